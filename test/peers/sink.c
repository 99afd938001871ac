/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An HTTP server to send alerts to: writes what it gets to a file, a body a line.
 *	sink PORT OUT [CERTS [mtls]]	PORT 0: any; the one it has comes on standard output
 * What stands on its standard input it does, a line at a time: "stop" (break all connections, refuse new ones), "start",
 * "status N" (answer so from now on), "end". Ends with its standard input.
 */
#include <signal.h>
#include <stdatomic.h>
#include "../http_server.h"

static FILE *out;
static atomic_int status = 200;

static int on_request(struct http_server *s, const struct http_seen *seen, char *text, size_t cap)
{
	int now = status;

	if (now == 200) {
		fwrite(seen->body, 1, seen->len, out);
		fputc('\n', out);
		fflush(out);
	}
	return now;
}

int main(int argc, char **argv)
{
	struct http_server s = { .answer = on_request };
	char line[64];
	bool up = true;

	if (argc < 3)
		return 2;
	signal(SIGPIPE, SIG_IGN);
	s.port = atoi(argv[1]);
	out = fopen(argv[2], "a");
	if (!out)
		return 1;
	s.certs = argc > 3 ? argv[3] : NULL;
	s.mtls = argc > 4;
	http_server_start(&s);
	printf("%d\n", s.port);
	fflush(stdout);
	while (fgets(line, sizeof line, stdin)) {
		if (!strncmp(line, "status ", 7))
			status = atoi(line + 7);
		if (!strcmp(line, "stop\n") && up) {
			http_server_stop(&s);
			up = false;
		}
		if (!strcmp(line, "start\n") && !up) {
			http_server_start(&s);
			up = true;
		}
		if (!strcmp(line, "end\n"))
			break;
	}
	if (up)
		http_server_stop(&s);
	return fclose(out);
}
