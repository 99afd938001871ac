/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>
#include "engine/ffi.h"
#include "lua.h"

/*
 * A file opened later must not take the place of a standard stream that was closed, and get what is meant for it. The wrong
 * way round, so that using such a stream still fails.
 */
static void fill_standard_streams(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0)
			_exit(1);
}

int main(int argc, char **argv)
{
	sys_hold_signals();		/* until it is known what they mean for what is to be done */
	fill_standard_streams();
	signal(SIGPIPE, SIG_IGN);	/* a reader that went away is an error of write(), reported as such */
	return lua_main(argc, argv);
}
