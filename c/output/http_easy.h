/* SPDX-License-Identifier: Apache-2.0 */
/* What libcurl is told the same way for alerts (http.c) and for requests of scripts (http_client.c). */
#ifndef FALCO_OUTPUT_HTTP_EASY_H
#define FALCO_OUTPUT_HTTP_EASY_H

#include <curl/curl.h>
#include "../engine/ffi.h"

/* Once for the process, from any thread. */
int http_global_init(struct err *err);
/* Only http and https, no redirects, no signals; errors as text in errors[CURL_ERROR_SIZE]. The texts of `tls` are copied. */
bool http_easy_set(CURL *easy, const char *url, const struct tls_options *tls, uint32_t timeout_ms, char *errors);
/* One line on why a transfer failed; errors: see above. */
const char *http_easy_why(CURLcode code, const char *errors);
/* Scheme, host and port of a URL: no password, and no path, where some services keep one. -EINVAL: that is no URL. */
int http_url_name(const char *url, char *name, uint32_t cap, struct err *err);
/* Files that were named must be there, and readable. */
int tls_files_check(const struct tls_options *tls, struct err *err);

#endif
