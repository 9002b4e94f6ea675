/* SPDX-License-Identifier: Apache-2.0 */
/* Removing names of the upper; see cow_upper.h. A directory goes to work/trash whole, in one step, and is
 * taken apart there. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "vfs/cow_upper_state.h"

int cow_upper_remove(struct cow_upper *u, int dir, const char *name, uint64_t orphan_id)
{
	struct stat st;

	if (!orphan_id)
		return unlinkat(dir, name, 0) < 0 ? errno : 0;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno;
	return S_ISDIR(st.st_mode) ? EISDIR : cow_orphan_take(u, dir, name, orphan_id, 0);
}

/* Into a directory of ours, under a name of its own. */
static int move_to(struct cow_upper *u, int dir, const char *name, int to, unsigned flags, char ret[32])
{
	do {
		cow_temp_name(u, ret);
		if (renameat2(dir, name, to, ret, RENAME_NOREPLACE | flags) == 0)
			return 0;
	} while (errno == EEXIST);
	return errno;
}

/* Without RENAME_WHITEOUT the directory ends in work/tmp. */
static int exchange_for_whiteout(struct cow_upper *u, int dir, const char *name, char ret[32])
{
	int sys = cow_whiteout_allow(u, dir);

	if (!sys)
		sys = cow_whiteout_temp(u, ret);
	if (!sys && renameat2(u->tmp, ret, dir, name, RENAME_EXCHANGE) < 0) {
		sys = errno;
		(void)unlinkat(u->tmp, ret, 0);
	}
	return sys;
}

static int remove_dir(struct cow_upper *u, int dir, const char *name, bool whiteout)
{
	auto_fd int fd = -1;
	int to = u->trash, sys;
	struct err ignored;
	char moved[32];
	bool any;

	if (!whiteout && unlinkat(dir, name, AT_REMOVEDIR) == 0)
		return 0;
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ELOOP ? ENOTDIR : errno;
	sys = cow_whiteouts_only(u, fd, &any);
	if (sys)
		return sys;
	if (!whiteout) {
		sys = move_to(u, dir, name, to, 0, moved);
	} else if (u->can & COW_CAN_LEAVE_WHITEOUT) {
		sys = move_to(u, dir, name, to, RENAME_WHITEOUT, moved);
	} else {
		to = u->tmp;
		sys = exchange_for_whiteout(u, dir, name, moved);
	}
	/* What is left of it is nobody's any more; the next cow_upper_open tries again. */
	return !sys && path_remove_tree(to, moved, &ignored) < 0 ? 0 : sys;
}

/* Removing an empty directory takes no permissions on itself; reading and moving it does. */
int cow_upper_remove_dir(struct cow_upper *u, int dir, const char *name, bool whiteout)
{
	int sys = remove_dir(u, dir, name, whiteout);
	struct stat st;

	if (sys != EACCES || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode) ||
	    (st.st_mode & 0700) == 0700 || fchmodat(dir, name, (st.st_mode & 07777) | 0700, 0) < 0)
		return sys;
	sys = remove_dir(u, dir, name, whiteout);
	if (sys && fchmodat(dir, name, st.st_mode & 07777, 0) < 0)
		return errno;
	return sys;
}
