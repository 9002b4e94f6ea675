/* SPDX-License-Identifier: Apache-2.0 */
/* What the upper's objects have noted on them; see cow_upper.h.
 *
 * Descriptors here are mostly O_PATH, for which there are no calls on attributes. So attributes go through
 * /proc/self/fd/N: the magic link for the directory itself, N/NAME (not followed) for what is in it. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "base/mem.h"
#include "vfs/cow_upper_state.h"

enum { PROC_PATH = 32 + NAME_MAX + 1, LIST_MAX = 2048 };

/* Follow the last component or not: the magic link must be, an entry must not be. */
static bool proc_path(int dir, const char *name, char ret[PROC_PATH])
{
	bool is_self = !*name || !strcmp(name, ".");

	(void)snprintf(ret, PROC_PATH, "/proc/self/fd/%d%s%s", dir, is_self ? "" : "/", is_self ? "" : name);
	return is_self;
}

/* ---- one attribute ---------------------------------------------------------------------------- */

int cow_upper_attr_get(int dir, const char *name, const char *attr, void *value, size_t cap, size_t *ret_len)
{
	char path[PROC_PATH];
	bool follow = proc_path(dir, name, path);
	ssize_t len = follow ? getxattr(path, attr, value, cap) : lgetxattr(path, attr, value, cap);

	if (len < 0)
		return errno == ENOTSUP || errno == EPERM ? ENODATA : errno;
	*ret_len = (size_t)len;
	return 0;
}

/* What the owner's permissions lack, for the moment. */
struct permission {
	char path[PROC_PATH];
	mode_t was;
	bool is_changed;
};

static void permission_begin(struct permission *p, mode_t needed)
{
	struct stat st;
	bool follow = !strchr(p->path + sizeof("/proc/self/fd/") - 1, '/');

	p->is_changed = (follow ? stat(p->path, &st) : lstat(p->path, &st)) == 0 &&
			(S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) && (st.st_mode & needed) != needed &&
			chmod(p->path, (st.st_mode & 07777) | needed) == 0;
	p->was = st.st_mode & 07777;
}

static void permission_end(const struct permission *p)
{
	int sys = errno;

	if (p->is_changed && chmod(p->path, p->was) < 0)
		sys = errno; /* gone meanwhile */
	errno = sys;
}

int cow_upper_attr_set(int dir, const char *name, const char *attr, const void *value, size_t len)
{
	struct permission p = { .is_changed = false };
	bool follow = proc_path(dir, name, p.path);
	int rc = follow ? setxattr(p.path, attr, value, len, 0) : lsetxattr(p.path, attr, value, len, 0);

	if (rc == 0)
		return 0;
	if (errno != EACCES)
		return errno;
	permission_begin(&p, 0600);
	if (!p.is_changed)
		return EACCES;
	rc = follow ? setxattr(p.path, attr, value, len, 0) : lsetxattr(p.path, attr, value, len, 0);
	permission_end(&p);
	return rc < 0 ? errno : 0;
}

/* ---- directories ------------------------------------------------------------------------------ */

static int get_redirect(int dir, char **ret)
{
	size_t cap = 0, len;
	char *text;
	int sys = cow_upper_attr_get(dir, ".", COW_ATTR_REDIRECT, NULL, 0, &cap);

	if (sys)
		return sys == ENODATA ? 0 : sys;
	text = malloc(cap + 1);
	if (!text)
		return ENOMEM;
	sys = cow_upper_attr_get(dir, ".", COW_ATTR_REDIRECT, text, cap, &len);
	if (!sys && (len == 0 || *text != '/' || memchr(text, 0, len)))
		sys = EIO;
	if (sys) {
		free(text);
		return sys;
	}
	text[len] = 0;
	*ret = text;
	return 0;
}

/* A single letter. */
static int get_mark(int dir, const char *attr, char letter, bool *ret)
{
	char value[4];
	size_t len;
	int sys = cow_upper_attr_get(dir, ".", attr, value, sizeof(value), &len);

	*ret = !sys && len == 1 && *value == letter;
	return sys == ENODATA || sys == ERANGE ? 0 : sys;
}

/* Most directories have none of our attributes: one call finds that out. It needs no permission. */
static bool has_marks(int dir)
{
	char names[LIST_MAX], path[PROC_PATH];
	ssize_t len;

	(void)proc_path(dir, ".", path);
	len = listxattr(path, names, sizeof(names));
	if (len < 0)
		return errno != ENOTSUP;
	for (const char *p = names; p < names + len; p += strlen(p) + 1)
		if (!strncmp(p, "user.overlay.", 13) || !strcmp(p, COW_ATTR_REDIRECT))
			return true;
	return false;
}

static int get_info(int dir, struct cow_upper_dir_info *ret)
{
	struct cow_upper_dir_info info = { .redirect = NULL };
	int sys = get_mark(dir, COW_ATTR_OPAQUE, 'y', &info.is_opaque);

	if (!sys)
		sys = get_mark(dir, COW_ATTR_IMPURE, 'y', &info.is_impure);
	if (!sys)
		sys = get_redirect(dir, &info.redirect);
	if (!sys)
		*ret = info;
	return sys;
}

/* To take an opaque directory that its owner may not read for a merged one would bring back what was deleted;
 * so it is asked in spite of its mode. */
int cow_upper_dir_info(const struct cow_upper *u, int dir, struct cow_upper_dir_info *ret)
{
	struct permission p = { .is_changed = false };
	int sys;

	(void)u;
	if (!has_marks(dir)) {
		*ret = (struct cow_upper_dir_info){ .redirect = NULL };
		return 0;
	}
	sys = get_info(dir, ret);
	if (sys != EACCES)
		return sys;
	(void)proc_path(dir, ".", p.path);
	permission_begin(&p, 0400);
	if (!p.is_changed)
		return EACCES;
	sys = get_info(dir, ret);
	permission_end(&p);
	return sys;
}

int cow_upper_set_opaque(struct cow_upper *u, int dir)
{
	(void)u;
	return cow_upper_attr_set(dir, ".", COW_ATTR_OPAQUE, "y", 1);
}

/* The redirect first: while the directory is where it was, both it and the merging without it lead to the
 * same place. Opaque alone would hide. */
int cow_upper_set_redirect(struct cow_upper *u, int dir, const char *path)
{
	int sys = cow_upper_use(u, COW_FEATURE_REDIRECT);

	if (!sys)
		sys = cow_upper_attr_set(dir, ".", COW_ATTR_REDIRECT, path, strlen(path));
	return sys ? sys : cow_upper_set_opaque(u, dir);
}

int cow_upper_set_impure(struct cow_upper *u, int dir)
{
	bool is_set;

	(void)u;
	if (get_mark(dir, COW_ATTR_IMPURE, 'y', &is_set) == 0 && is_set)
		return 0;
	return cow_upper_attr_set(dir, ".", COW_ATTR_IMPURE, "y", 1);
}

/* ---- inode numbers ---------------------------------------------------------------------------- */

uint64_t cow_upper_noted_ino(const struct cow_upper *u, int dir, const char *name)
{
	char text[24], *end;
	unsigned long long ino;
	size_t len;

	(void)u;
	if (cow_upper_attr_get(dir, name, COW_ATTR_INO, text, sizeof(text) - 1, &len) != 0 || len == 0 ||
	    text[0] < '0' || text[0] > '9')
		return 0;
	text[len] = 0;
	errno = 0;
	ino = strtoull(text, &end, 10);
	return errno || *end ? 0 : ino;
}

int cow_upper_note_ino(struct cow_upper *u, int parent_dir, const char *name, uint64_t ino)
{
	char text[24];
	int len = snprintf(text, sizeof(text), "%" PRIu64, ino), sys = 0;

	if (parent_dir != u->tmp)
		sys = cow_upper_set_impure(u, parent_dir);
	if (!sys)
		sys = cow_upper_attr_set(parent_dir, name, COW_ATTR_INO, text, (size_t)len);
	return sys == EPERM || sys == ENOTSUP ? 0 : sys;
}

/* ---- owners ----------------------------------------------------------------------------------- */

static bool number(const char **at, int base, unsigned long max, char end, unsigned long *ret)
{
	char *stop;

	if (**at < '0' || **at > '9')
		return false;
	errno = 0;
	*ret = strtoul(*at, &stop, base);
	if (errno || *ret > max || (*stop != end && (end || *stop != ':')))
		return false;
	*at = stop + (*stop != 0);
	return true;
}

/* podman adds ":TYPE" for what it keeps as something else; that is not for us. What makes no sense is none.
 */
int cow_upper_override(const struct cow_upper *u, int dir, const char *name, struct stat *st)
{
	unsigned long uid, gid, mode;
	char text[96];
	const char *at = text;
	size_t len;
	int sys = cow_upper_attr_get(dir, name, COW_ATTR_OVERRIDE, text, sizeof(text) - 1, &len);

	(void)u;
	if (sys)
		return sys == ENODATA || sys == ERANGE || sys == EACCES ? 0 : sys;
	text[len] = 0;
	if (!number(&at, 10, UINT32_MAX - 1, ':', &uid) || !number(&at, 10, UINT32_MAX - 1, ':', &gid) ||
	    !number(&at, 8, 0177777, 0, &mode))
		return 0;
	st->st_uid = (uid_t)uid;
	st->st_gid = (gid_t)gid;
	st->st_mode = (st->st_mode & S_IFMT) | ((mode_t)mode & 07777);
	return 0;
}

int cow_upper_set_override(struct cow_upper *u, int dir, const char *name, uid_t uid, gid_t gid, mode_t mode)
{
	char text[64];
	int len = snprintf(text, sizeof(text), "%u:%u:%04o", (unsigned)uid, (unsigned)gid,
			   (unsigned)(mode & 07777));
	int sys = cow_upper_use(u, COW_FEATURE_OWNER);

	return sys ? sys : cow_upper_attr_set(dir, name, COW_ATTR_OVERRIDE, text, (size_t)len);
}
