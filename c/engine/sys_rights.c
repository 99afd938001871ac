/* SPDX-License-Identifier: Apache-2.0 */
/* The rights of this process: giving up those that are not needed any more. Declared in ffi.h. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "ffi.h"
#include "../err.h"

_Static_assert(RIGHT_DAC_READ_SEARCH == 1ull << CAP_DAC_READ_SEARCH, "numbers of the kernel");
_Static_assert(RIGHT_DAC_OVERRIDE == 1ull << CAP_DAC_OVERRIDE, "numbers of the kernel");
_Static_assert(RIGHT_KILL == 1ull << CAP_KILL, "numbers of the kernel");
_Static_assert(RIGHT_SYS_PTRACE == 1ull << CAP_SYS_PTRACE, "numbers of the kernel");

static int caps_get(struct __user_cap_header_struct *h, struct __user_cap_data_struct d[2])
{
	*h = (struct __user_cap_header_struct){ .version = _LINUX_CAPABILITY_VERSION_3 };
	return syscall(SYS_capget, h, d) < 0 ? -errno : 0;
}

int sys_rights(uint64_t *effective, uint64_t *permitted)
{
	struct __user_cap_header_struct h;
	struct __user_cap_data_struct d[2];
	int rc = caps_get(&h, d);

	*effective = rc < 0 ? 0 : d[0].effective | (uint64_t)d[1].effective << 32;
	*permitted = rc < 0 ? 0 : d[0].permitted | (uint64_t)d[1].permitted << 32;
	return rc;
}

/* Programs that are started would get rights back from here, as the superuser's do. Without CAP_SETPCAP it stays. */
static void narrow_bounding_set(uint64_t keep)
{
	for (int cap = 0; cap < 64 && prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (!(keep >> cap & 1))
			prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
}

int sys_keep_rights(uint64_t keep, uint32_t flags, struct err *err)
{
	struct __user_cap_header_struct h;
	struct __user_cap_data_struct d[2];
	int rc;

	if (!(flags & RIGHTS_FOR_PROGRAMS)) {
		narrow_bounding_set(keep);
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
			return err_set(err, errno, "new privileges cannot be ruled out: %s", strerror(errno));
	}
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if ((rc = caps_get(&h, d)) < 0)
		return err_set(err, -rc, "capabilities cannot be read: %s", strerror(-rc));
	for (uint32_t i = 0; i < 2; i++) {
		d[i].permitted &= (uint32_t)(keep >> 32 * i);
		d[i].effective = d[i].permitted;
		d[i].inheritable = 0;
	}
	if (syscall(SYS_capset, &h, d) < 0)
		return err_set(err, errno, "capabilities cannot be given up: %s", strerror(errno));
	return 0;
}

int sys_link(const char *path, char *buf, uint32_t cap)
{
	ssize_t n = cap ? readlink(path, buf, cap - 1) : -1;

	if (n < 0)
		return -errno;
	buf[n] = '\0';
	return (int)n;
}
