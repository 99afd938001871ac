/* SPDX-License-Identifier: Apache-2.0 */
#include "http_easy.h"
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

static CURLcode global;

static void init_once(void)
{
	global = curl_global_init(CURL_GLOBAL_DEFAULT);
}

int http_global_init(struct err *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, init_once);
	return global == CURLE_OK ? 0 : err_set(err, EIO, "libcurl does not start: %s", curl_easy_strerror(global));
}

static bool given(const char *text)
{
	return text && *text;
}

/* A CA that is named is the only one: libcurl's own places are taken out. */
static bool set_trust(CURL *easy, const struct tls_options *tls)
{
	const char *file = given(tls->ca_cert) ? tls->ca_cert : given(tls->ca_bundle) ? tls->ca_bundle : NULL;
	CURLcode code = CURLE_OK;

	if (tls->insecure) {
		code = curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
		return !code && !curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	if (file || given(tls->ca_path)) {
		code = curl_easy_setopt(easy, CURLOPT_CAINFO, file);
		if (!code)
			code = curl_easy_setopt(easy, CURLOPT_CAPATH, file ? NULL : tls->ca_path);
	}
	return !code;
}

static bool set_certificate(CURL *easy, const struct tls_options *tls)
{
	return !given(tls->client_cert) || (!curl_easy_setopt(easy, CURLOPT_SSLCERT, tls->client_cert) &&
					    !curl_easy_setopt(easy, CURLOPT_SSLKEY, tls->client_key));
}

bool http_easy_set(CURL *easy, const char *url, const struct tls_options *tls, uint32_t timeout_ms, char *errors)
{
	return !curl_easy_setopt(easy, CURLOPT_URL, url) &&
	       !curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") &&
	       !curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) &&
	       !curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) &&
	       !curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms) &&
	       !curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)timeout_ms) &&
	       !curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) &&
	       !curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, errors) && set_trust(easy, tls) && set_certificate(easy, tls);
}

const char *http_easy_why(CURLcode code, const char *errors)
{
	return *errors ? errors : curl_easy_strerror(code);
}

int http_url_name(const char *url, char *name, uint32_t cap, struct err *err)
{
	char *scheme = NULL, *host = NULL, *port = NULL;
	CURLU *u = curl_url();
	int code = -EINVAL;

	if (!u)
		return err_set(err, ENOMEM, "out of memory");
	CURLUcode bad = curl_url_set(u, CURLUPART_URL, url, 0);
	if (!bad)
		bad = curl_url_get(u, CURLUPART_SCHEME, &scheme, 0);
	if (!bad)
		bad = curl_url_get(u, CURLUPART_HOST, &host, 0);
	if (!bad)
		bad = curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT);
	if (bad)
		code = err_set(err, EINVAL, "the URL is wrong: %s", curl_url_strerror(bad));
	else if (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)
		code = err_set(err, EINVAL, "the URL begins with '%s://', not with http:// or https://", scheme);
	else
		code = snprintf(name, cap, "%s://%s:%s", scheme, host, port) < 0 ? -EINVAL : 0;
	curl_free(scheme);
	curl_free(host);
	curl_free(port);
	curl_url_cleanup(u);
	return code;
}

int tls_files_check(const struct tls_options *tls, struct err *err)
{
	const struct { const char *what, *path; } files[] = {
		{ "certificate of the CA", tls->insecure ? NULL : tls->ca_cert },
		{ "certificates of CAs", tls->insecure || given(tls->ca_cert) ? NULL : tls->ca_bundle },
		{ "client certificate", tls->client_cert },
		{ "key of the client certificate", given(tls->client_cert) ? tls->client_key : NULL },
	};

	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		if (given(files[i].path) && access(files[i].path, R_OK) < 0)
			return err_set(err, errno, "cannot read the %s '%s': %s", files[i].what, files[i].path,
				       sys_error_text(errno));
	return 0;
}
