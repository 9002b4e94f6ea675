/* SPDX-License-Identifier: Apache-2.0 */
/* What the upper's file system can do, found out by doing it in work/tmp; see cow_upper.h.
 *
 * What was found is remembered as an attribute of work/tmp, for this kernel, device and user: opening is
 * cheaper, and a successor can take over while the disk is full. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fd.h"
#include "vfs/cow_upper_state.h"

enum { SPARSE_LEN = 16 << 20, DATA_AT = 8 << 20, BLOCK_MIN = 512, BLOCK_MAX = 64 << 10, TEXT_MAX = 256 };

#define FILE_1 "probe-file"
#define FILE_2 "probe-renamed"
#define DIR_1  "probe-dir"
#define NODE_1 "probe-whiteout"

/* Without and with write back, these keep what was written as data, zeros too, and nothing around it. Others
 * may look right at first: ZFS makes holes of zeros when it compresses. */
static bool keeps_zeros(int fd)
{
	struct statfs s;

	if (fstatfs(fd, &s) < 0)
		return false;
	return s.f_type == EXT4_SUPER_MAGIC || s.f_type == XFS_SUPER_MAGIC || s.f_type == BTRFS_SUPER_MAGIC ||
	       s.f_type == TMPFS_MAGIC;
}

/* 0: holes and data are not told apart, or too coarsely. The file is large, since tmpfs with huge pages uses
 * them only for large ones. */
static uint32_t measure_block(int fd)
{
	off_t end, block;

	if (!keeps_zeros(fd) || ftruncate(fd, SPARSE_LEN) < 0 || lseek(fd, 0, SEEK_DATA) >= 0 ||
	    errno != ENXIO)
		return 0;
	if (pwrite(fd, "", 1, DATA_AT) != 1 || lseek(fd, 0, SEEK_DATA) != DATA_AT)
		return 0;
	end = lseek(fd, DATA_AT, SEEK_HOLE);
	block = end - DATA_AT;
	if (end < 0 || block < BLOCK_MIN || block > BLOCK_MAX || (block & (block - 1)))
		return 0;
	if (pwrite(fd, "", 1, end + block) != 1 || lseek(fd, end, SEEK_DATA) != end + block ||
	    lseek(fd, end + block, SEEK_HOLE) != end + 2 * block)
		return 0;
	return (uint32_t)block;
}

static bool is_whiteout_node(int dir, const char *name)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == 0;
}

static void clean(int tmp)
{
	static const char *const names[] = { FILE_1, FILE_2, DIR_1, NODE_1 };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (unlinkat(tmp, names[i], 0) < 0 && errno == EISDIR)
			(void)unlinkat(tmp, names[i], AT_REMOVEDIR);
}

static bool is_full(int sys)
{
	return sys == ENOSPC || sys == EDQUOT;
}

static int missing(int sys, const char *what, struct err *e)
{
	if (is_full(sys) || sys == EIO || sys == EROFS)
		return err_sys(e, sys, "work directory");
	return err_set(e, ERR_UNSUPPORTED, "the file system of the environment %s (%s)", what, strerror(sys));
}

/* FILE_1 and DIR_1 exist. */
static int probe_renames(struct cow_upper *u, struct err *e)
{
	unsigned can = 0;

	if (renameat2(u->tmp, FILE_1, u->tmp, FILE_2, RENAME_NOREPLACE) < 0)
		return missing(errno, "cannot rename without replacing", e);
	if (renameat2(u->tmp, FILE_2, u->tmp, DIR_1, RENAME_EXCHANGE) < 0)
		return missing(errno, "cannot exchange two names", e);
	if (renameat2(u->tmp, DIR_1, u->tmp, FILE_1, RENAME_WHITEOUT | RENAME_NOREPLACE) == 0) {
		if (is_whiteout_node(u->tmp, DIR_1))
			can |= COW_CAN_LEAVE_WHITEOUT;
	} else if (is_full(errno)) {
		return missing(errno, "", e);
	}
	if (mknodat(u->tmp, NODE_1, S_IFCHR, makedev(0, 0)) == 0) {
		if (is_whiteout_node(u->tmp, NODE_1))
			can |= COW_CAN_MAKE_WHITEOUT;
	} else if (is_full(errno)) {
		return missing(errno, "", e);
	}
	u->can = can;
	return 0;
}

static int probe(struct cow_upper *u, struct err *e)
{
	auto_fd int fd = openat(u->tmp, FILE_1, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600), dir = -1;

	if (fd < 0 || mkdirat(u->tmp, DIR_1, 0700) < 0)
		return err_sys(e, errno, "work directory");
	dir = openat(u->tmp, DIR_1, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_sys(e, errno, "work directory");
	if (fsetxattr(fd, COW_ATTR_WHITEOUT, "y", 1, 0) < 0 || fsetxattr(dir, COW_ATTR_OPAQUE, "y", 1, 0) < 0)
		return missing(errno, "keeps no user.* attributes", e);
	if (probe_renames(u, e) < 0)
		return -1;
	u->block = measure_block(fd);
	return 0;
}

/* Of what the answers depend on. */
static int circumstances(const struct cow_upper *u, char ret[TEXT_MAX])
{
	struct utsname name;
	struct stat st;

	if (uname(&name) < 0 || fstat(u->tmp, &st) < 0)
		return -1;
	return snprintf(ret, TEXT_MAX, "1 %s %" PRIx64 " %u ", name.release, (uint64_t)st.st_dev,
			(unsigned)geteuid());
}

static bool remembered(struct cow_upper *u, const char *known, size_t known_len)
{
	char text[TEXT_MAX + 64];
	ssize_t len = fgetxattr(u->tmp, COW_ATTR_PROBE, text, sizeof(text) - 1);

	if (len < (ssize_t)known_len || memcmp(text, known, known_len) != 0)
		return false;
	text[len] = 0;
	return sscanf(text + known_len, "%u %" SCNu32, &u->can, &u->block) == 2;
}

int cow_upper_probe(struct cow_upper *u, struct err *e)
{
	char known[TEXT_MAX], text[TEXT_MAX + 64];
	int known_len = circumstances(u, known), len;

	if (known_len < 0 || known_len >= TEXT_MAX)
		return err_set(e, ERR_UNSUPPORTED, "a kernel without a name");
	if (remembered(u, known, (size_t)known_len))
		return 0;
	clean(u->tmp);
	if (probe(u, e) < 0) {
		clean(u->tmp);
		return -1;
	}
	clean(u->tmp);
	len = snprintf(text, sizeof(text), "%s%u %" PRIu32, known, u->can, u->block);
	/* Not remembered: done again next time. */
	(void)fsetxattr(u->tmp, COW_ATTR_PROBE, text, (size_t)len, 0);
	return 0;
}
