/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include "lua.h"

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);	/* a reader that went away is an error of write(), reported as such */
	return lua_main(argc, argv);
}
