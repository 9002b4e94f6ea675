/* SPDX-License-Identifier: Apache-2.0 */
/* Half-made things in work/tmp; see cow_upper.h. Whoever dies leaves them to the next cow_upper_open. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "vfs/cow_upper_state.h"

void cow_temp_name(struct cow_upper *u, char ret[32])
{
	(void)snprintf(ret, 32, "t%" PRIx64, (uint64_t)atomic_fetch_add(&u->serial, 1));
}

int cow_temp_dir_fd(const struct cow_upper *u)
{
	return u->tmp;
}

int cow_upper_exact_mode(int fd, mode_t mode)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return errno;
	return (st.st_mode & 07777) != (mode & 07777) && fchmod(fd, mode & 07777) < 0 ? errno : 0;
}

/* ---- making ----------------------------------------------------------------------------------- */

/* Hands it out, or drops it. */
static int made(struct cow_upper *u, struct cow_temp *t, int sys, struct cow_temp *ret)
{
	if (sys)
		cow_temp_drop(u, t);
	else
		*ret = *t;
	return sys;
}

int cow_temp_file(struct cow_upper *u, mode_t mode, struct cow_temp *ret)
{
	struct cow_temp t;

	do {
		cow_temp_name(u, t.name);
		t.fd = openat(u->tmp, t.name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode & 07777);
	} while (t.fd < 0 && errno == EEXIST);
	return t.fd < 0 ? errno : made(u, &t, cow_upper_exact_mode(t.fd, mode), ret);
}

int cow_temp_dir(struct cow_upper *u, mode_t mode, struct cow_temp *ret)
{
	struct cow_temp t = { .fd = -1 };
	int rc;

	do {
		cow_temp_name(u, t.name);
		rc = mkdirat(u->tmp, t.name, (mode & 07777) | 0700);
	} while (rc < 0 && errno == EEXIST);
	if (rc < 0)
		return errno;
	t.fd = openat(u->tmp, t.name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (t.fd < 0 && errno == EACCES && fchmodat(u->tmp, t.name, 0700, 0) == 0) /* a hard umask */
		t.fd = openat(u->tmp, t.name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return made(u, &t, t.fd < 0 ? errno : cow_upper_exact_mode(t.fd, mode), ret);
}

int cow_temp_symlink(struct cow_upper *u, const char *target, struct cow_temp *ret)
{
	struct cow_temp t = { .fd = -1 };
	int rc;

	do {
		cow_temp_name(u, t.name);
		rc = symlinkat(target, u->tmp, t.name);
	} while (rc < 0 && errno == EEXIST);
	if (rc < 0)
		return errno;
	*ret = t;
	return 0;
}

int cow_temp_node(struct cow_upper *u, mode_t mode, dev_t rdev, struct cow_temp *ret)
{
	struct cow_temp t = { .fd = -1 };
	struct stat st;
	int rc;

	if (S_ISCHR(mode) && rdev == 0)
		return EPERM;
	do {
		cow_temp_name(u, t.name);
		rc = mknodat(u->tmp, t.name, mode, rdev);
	} while (rc < 0 && errno == EEXIST);
	if (rc < 0)
		return errno;
	rc = fstatat(u->tmp, t.name, &st, AT_SYMLINK_NOFOLLOW);
	if (rc == 0 && (st.st_mode & 07777) != (mode & 07777))
		rc = fchmodat(u->tmp, t.name, mode & 07777, 0);
	return made(u, &t, rc < 0 ? errno : 0, ret);
}

int cow_temp_link(struct cow_upper *u, int dir, const char *name, struct cow_temp *ret)
{
	struct cow_temp t = { .fd = -1 };
	int rc;

	do {
		cow_temp_name(u, t.name);
		rc = linkat(dir, name, u->tmp, t.name, 0);
	} while (rc < 0 && errno == EEXIST);
	if (rc < 0)
		return errno;
	*ret = t;
	return 0;
}

int cow_temp_take(struct cow_upper *u, int dir, const char *name, struct cow_temp *ret)
{
	struct cow_temp t = { .fd = -1 };
	int rc;

	do {
		cow_temp_name(u, t.name);
		rc = renameat2(dir, name, u->tmp, t.name, RENAME_NOREPLACE);
	} while (rc < 0 && errno == EEXIST);
	if (rc < 0)
		return errno;
	*ret = t;
	return 0;
}

/* ---- putting into place ----------------------------------------------------------------------- */

int cow_upper_put(struct cow_upper *u, int from, const char *from_name, int dir, const char *name)
{
	struct stat st;
	bool is_whiteout;
	int sys;

	if (renameat2(from, from_name, dir, name, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EEXIST)
		return errno;
	sys = cow_upper_lookup(u, dir, name, &st, &is_whiteout);
	if (sys)
		return sys;
	if (!is_whiteout)
		return EEXIST;
	if (renameat(from, from_name, dir, name) == 0)
		return 0;
	if (errno != ENOTDIR)
		return errno;
	/* A directory replaces no device. */
	if (renameat2(from, from_name, dir, name, RENAME_EXCHANGE) < 0)
		return errno;
	(void)unlinkat(from, from_name, 0);
	return 0;
}

/* A directory that its owner may not write cannot change its parent. */
static int put_closed_dir(struct cow_upper *u, const struct cow_temp *t, int dir, const char *name)
{
	struct stat st;
	int sys;

	if (t->fd < 0 || fstat(t->fd, &st) < 0 || !S_ISDIR(st.st_mode) || (st.st_mode & 0200) ||
	    fchmod(t->fd, (st.st_mode & 07777) | 0200) < 0)
		return EACCES;
	sys = cow_upper_put(u, u->tmp, t->name, dir, name);
	if (fchmod(t->fd, st.st_mode & 07777) < 0 && !sys)
		sys = errno;
	return sys;
}

int cow_temp_place(struct cow_upper *u, struct cow_temp *t, int dir, const char *name)
{
	int sys = 0;

	/* Another name of something: listings must ask for its number. */
	if (t->fd < 0 && cow_upper_noted_ino(u, u->tmp, t->name))
		sys = cow_upper_set_impure(u, dir);
	if (!sys)
		sys = cow_upper_put(u, u->tmp, t->name, dir, name);
	if (sys == EACCES)
		sys = put_closed_dir(u, t, dir, name);
	if (!sys)
		*t->name = 0;
	return sys;
}

void cow_temp_drop(struct cow_upper *u, struct cow_temp *t)
{
	int sys = errno;
	struct err ignored;

	if (*t->name && unlinkat(u->tmp, t->name, 0) < 0 && errno == EISDIR &&
	    path_remove_tree(u->tmp, t->name, &ignored) < 0)
		sys = errno; /* the next cow_upper_open will */
	*t->name = 0;
	fd_close(t->fd);
	t->fd = -1;
	errno = sys;
}
