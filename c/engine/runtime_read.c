/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "runtime_source.h"

bool host_path(const struct quest *q, char out[RUNTIME_PATH], const char *fmt, ...)
{
	va_list ap;
	int n;

	if (q->root.len >= RUNTIME_PATH)
		return false;
	memcpy(out, q->root.p, q->root.len);
	va_start(ap, fmt);
	n = vsnprintf(out + q->root.len, RUNTIME_PATH - q->root.len, fmt, ap);
	va_end(ap);
	return n >= 0 && (uint32_t)n < RUNTIME_PATH - q->root.len;
}

static char *read_whole(int fd, size_t size, size_t *len)
{
	char *text = malloc(size + 1);
	ssize_t n;

	*len = 0;
	while (text && *len < size) {
		n = read(fd, text + *len, size - *len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		*len += (size_t)n;
	}
	return text;
}

json_t *host_json(const struct quest *q, const char *path)
{
	char whole[RUNTIME_PATH], *text;
	struct stat st;
	json_t *json = NULL;
	size_t len;
	int fd;

	if (!host_path(q, whole, "%s", path) || (fd = open(whole, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)) < 0)
		return NULL;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= RUNTIME_MAX_FILE &&
	    (text = read_whole(fd, (size_t)st.st_size, &len))) {
		json = json_loadb(text, len, JSON_DISABLE_EOF_CHECK, NULL);
		free(text);
	}
	close(fd);
	return json;
}

bool host_link(const struct quest *q, const char *path, char out[RUNTIME_PATH])
{
	char whole[RUNTIME_PATH];
	ssize_t n;

	if (!host_path(q, whole, "%s", path) || (n = readlink(whole, out, RUNTIME_PATH - 1)) <= 0)
		return false;
	out[n] = '\0';
	return n < RUNTIME_PATH - 1 && out[0] == '/';
}

bool host_has(const struct quest *q, const char *path)
{
	char whole[RUNTIME_PATH];

	return host_path(q, whole, "%s", path) && access(whole, F_OK) == 0;
}

json_t *host_each(const struct quest *q, const char *dir, json_t *(*see)(const struct quest *q, const char *path))
{
	enum { ENTRIES = 1024 };
	char whole[RUNTIME_PATH], path[RUNTIME_PATH];
	struct dirent *entry;
	json_t *found = NULL;
	DIR *list;

	if (!host_path(q, whole, "%s", dir) || !(list = opendir(whole)))
		return NULL;
	for (uint32_t n = 0; !found && n < ENTRIES && (entry = readdir(list)); n++)
		if (entry->d_name[0] != '.' &&
		    snprintf(path, sizeof path, "%s/%s", dir, entry->d_name) < (int)sizeof path)
			found = see(q, path);
	closedir(list);
	return found;
}
