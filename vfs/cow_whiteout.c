/* SPDX-License-Identifier: Apache-2.0 */
/* Whiteouts: making them, and directories that hold nothing else; see cow_upper.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "vfs/cow_upper_state.h"
#include "vfs/upper_content.h"

/* ---- making ----------------------------------------------------------------------------------- */

static int make_file(struct cow_upper *u, const char *name)
{
	auto_fd int fd = openat(u->tmp, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	int sys;

	if (fd < 0)
		return errno;
	sys = cow_upper_exact_mode(fd, 0644);
	if (!sys && fsetxattr(fd, COW_ATTR_WHITEOUT, "y", 1, 0) < 0)
		sys = errno;
	if (sys)
		(void)unlinkat(u->tmp, name, 0);
	return sys;
}

int cow_whiteout_make(struct cow_upper *u, const char *name)
{
	if (u->can & COW_CAN_MAKE_WHITEOUT)
		return mknodat(u->tmp, name, S_IFCHR, makedev(0, 0)) < 0 ? errno : 0;
	return make_file(u, name);
}

int cow_whiteout_temp(struct cow_upper *u, char ret[32])
{
	int sys;

	do {
		cow_temp_name(u, ret);
		sys = cow_whiteout_make(u, ret);
	} while (sys == EEXIST);
	if (sys)
		*ret = 0;
	return sys;
}

int cow_whiteout_mark(int dir)
{
	char value[4];
	size_t len;
	int sys = cow_upper_attr_get(dir, ".", COW_ATTR_OPAQUE, value, sizeof(value), &len);

	if (!sys || sys == ERANGE)
		return 0;
	return sys == ENODATA ? cow_upper_attr_set(dir, ".", COW_ATTR_OPAQUE, "x", 1) : sys;
}

int cow_whiteout_allow(const struct cow_upper *u, int dir)
{
	return u->can & COW_CAN_MAKE_WHITEOUT ? 0 : cow_whiteout_mark(dir);
}

int cow_whiteout_over(struct cow_upper *u, int dir, const char *name)
{
	char tmp[32];
	int sys = cow_whiteout_allow(u, dir);

	if (!sys)
		sys = cow_whiteout_temp(u, tmp);
	if (!sys && renameat(u->tmp, tmp, dir, name) < 0) {
		sys = errno;
		(void)unlinkat(u->tmp, tmp, 0);
	}
	return sys;
}

static int over_nothing(struct cow_upper *u, int dir, const char *name)
{
	if (!(u->can & COW_CAN_MAKE_WHITEOUT))
		return cow_whiteout_over(u, dir, name);
	return mknodat(dir, name, S_IFCHR, makedev(0, 0)) < 0 ? errno : 0;
}

/* Without RENAME_WHITEOUT: the whiteout waits under a name that says where what it is exchanged for goes. */
static int exchange_for_orphan(struct cow_upper *u, int dir, const char *name, uint64_t id)
{
	char tmp[32];
	int sys = cow_whiteout_allow(u, dir);

	if (sys)
		return sys;
	cow_orphan_tmp_text(id, tmp);
	sys = cow_whiteout_make(u, tmp);
	if (sys == EEXIST && unlinkat(u->tmp, tmp, 0) == 0)
		sys = cow_whiteout_make(u, tmp);
	if (sys)
		return sys;
	if (renameat2(u->tmp, tmp, dir, name, RENAME_EXCHANGE) < 0) {
		sys = errno;
		(void)unlinkat(u->tmp, tmp, 0);
		return sys;
	}
	sys = cow_orphan_take(u, u->tmp, tmp, id, 0);
	if (sys && renameat2(u->tmp, tmp, dir, name, RENAME_EXCHANGE) == 0)
		(void)unlinkat(u->tmp, tmp, 0);
	return sys;
}

int cow_upper_whiteout(struct cow_upper *u, int dir, const char *name, uint64_t orphan_id)
{
	struct stat st;
	bool is_whiteout;
	int sys = cow_upper_lookup(u, dir, name, &st, &is_whiteout);

	if (sys == ENOENT)
		return over_nothing(u, dir, name);
	if (sys)
		return sys;
	if (is_whiteout)
		return 0;
	if (S_ISDIR(st.st_mode))
		return EISDIR;
	if (!orphan_id)
		return cow_whiteout_over(u, dir, name);
	if (u->can & COW_CAN_LEAVE_WHITEOUT)
		return cow_orphan_take(u, dir, name, orphan_id, RENAME_WHITEOUT);
	return exchange_for_orphan(u, dir, name, orphan_id);
}

/* ---- directories of whiteouts ------------------------------------------------------------------ */

static bool may_be_whiteout(const struct dirent *de)
{
	return de->d_type == DT_CHR || de->d_type == DT_REG || de->d_type == DT_UNKNOWN;
}

/* 0, ENOTEMPTY: it is none. ENOENT: gone. */
static int check_entry(const struct cow_upper *u, int dir, const struct dirent *de)
{
	struct stat st;
	bool is_whiteout;
	int sys;

	if (!may_be_whiteout(de))
		return ENOTEMPTY;
	sys = cow_upper_lookup(u, dir, de->d_name, &st, &is_whiteout);
	return sys || is_whiteout ? sys : ENOTEMPTY;
}

static int each_whiteout(const struct cow_upper *u, int dir, bool clear, bool *ret_any)
{
	int own = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_closedir DIR *d = own < 0 ? NULL : fdopendir(own);
	const struct dirent *de;
	int sys = 0;

	if (!d) {
		sys = errno;
		fd_close(own);
		return sys;
	}
	*ret_any = false;
	while (!sys && (errno = 0, de = readdir(d))) {
		if (path_is_dot(de->d_name))
			continue;
		sys = check_entry(u, dir, de);
		if (!sys && clear && unlinkat(dir, de->d_name, 0) < 0)
			sys = errno;
		*ret_any = true;
		if (sys == ENOENT)
			sys = 0;
	}
	return sys ? sys : errno;
}

int cow_whiteouts_only(const struct cow_upper *u, int dir, bool *ret_any)
{
	return each_whiteout(u, dir, false, ret_any);
}

int cow_whiteouts_clear(const struct cow_upper *u, int dir)
{
	bool ignored;

	return each_whiteout(u, dir, true, &ignored);
}
