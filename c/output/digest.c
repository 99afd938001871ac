/* SPDX-License-Identifier: Apache-2.0 */
/* Which files were loaded, told by their SHA-256. Declared in ffi.h. */
#include <openssl/evp.h>
#include <string.h>
#include "../engine/ffi.h"

void digest_sha256(const char *data, size_t len, char hex[65])
{
	unsigned char sum[EVP_MAX_MD_SIZE] = { 0 };
	unsigned n = 0;

	if (!EVP_Digest(data, len, sum, &n, EVP_sha256(), NULL))
		n = 0;
	hex[0] = '\0';
	for (unsigned i = 0; i < n && i < 32; i++)
		snprintf(hex + 2 * i, 3, "%02x", sum[i]);
}
