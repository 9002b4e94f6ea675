/* SPDX-License-Identifier: Apache-2.0 */
/* Wrapped: functions that give, take or remove a declared file's name; see shim.h.
 *
 * A file renamed over a declared one is handed to the broker and then unlinked; when there is no broker it is
 * copied into view/, whole before it gets the name, and harvested later. Moving a declared file away copies
 * it to the new name, and removes it then. Crash at any point: at worst both names exist. */
#include <errno.h>
#include <string.h>

#include "registry-shim/shim.h"
#include "registry-shim/shim_paths.h"
#include "registry-shim/shim_sys.h"

enum { NO_REPLACE = 1 }; /* of renameat2 */

/* ---- copying -------------------------------------------------------------------------------- */

/* `name` + `suffix`, cut never: false when too long. */
static bool spell(char *ret, size_t cap, const char *a, const char *b, const char *c)
{
	size_t len = strlen(a) + strlen(b) + strlen(c);

	if (len >= cap)
		return false;
	strcpy(ret, a);
	strcat(ret, b);
	strcat(ret, c);
	return true;
}

int shim_copy_to(int from, int dirfd, const char *path)
{
	char tmp[SHIM_PATH_MAX + 16];
	struct stat st;
	int fd, saved;

	if (!spell(tmp, sizeof(tmp), path, ".floe-new", "")) {
		errno = ENAMETOOLONG;
		return -1;
	}
	(void)sys_unlinkat(dirfd, tmp);
	fd = sys_openat(dirfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -1;
	if (sys_fstat(from, &st) == 0 && shim_copy_content(from, fd) &&
	    syscall(SYS_fchmod, fd, st.st_mode & 07777) == 0 &&
	    sys_renameat2(dirfd, tmp, dirfd, path, 0) == 0) {
		sys_close(fd);
		return 0;
	}
	saved = errno;
	sys_close(fd);
	(void)sys_unlinkat(dirfd, tmp);
	errno = saved;
	return -1;
}

void shim_keep(int file, int fd)
{
	struct stat st;
	int saved = errno, from;

	if (sys_fstat(fd, &st) == 0 && st.st_nlink == 0) {
		from = shim_open_to_read(fd);
		if (from >= 0) {
			(void)shim_copy_to(from, AT_FDCWD, shim_view_path(file));
			sys_close(from);
		}
	}
	errno = saved;
}

/* ---- remove --------------------------------------------------------------------------------- */

static int remove_declared(int file)
{
	char note[SHIM_PATH_MAX];

	if (!sys_exists(AT_FDCWD, shim_view_path(file))) {
		errno = ENOENT;
		return -1;
	}
	shim_track_supersede(file);
	if (shim_ask("remove", shim_view_name(file), -1))
		return 0;
	/* No broker: a note for the next one, which finds the file gone. */
	if (!spell(note, sizeof(note), shim_view_dir(), "/" REG_SHIM_REMOVED_PREFIX, shim_view_name(file)))
		return -1;
	return sys_renameat2(AT_FDCWD, shim_view_path(file), AT_FDCWD, note, 0);
}

SHIM_WRAP(int, unlink, (const char *path))
{
	int file = shim_find(AT_FDCWD, path);

	return file < 0 ? SHIM_NEXT(unlink)(path) : remove_declared(file);
}

SHIM_WRAP(int, unlinkat, (int dirfd, const char *path, int flags))
{
	int file = flags & AT_REMOVEDIR ? -1 : shim_find(dirfd, path);

	return file < 0 ? SHIM_NEXT(unlinkat)(dirfd, path, flags) : remove_declared(file);
}

SHIM_WRAP(int, remove, (const char *path))
{
	int file = shim_find(AT_FDCWD, path);

	return file < 0 ? SHIM_NEXT(remove)(path) : remove_declared(file);
}

/* ---- rename and link ------------------------------------------------------------------------ */

struct move {
	int from_dir, to_dir;
	const char *from, *to;
	int from_file, to_file; /* declared, or -1 */
	int flags;              /* of linkat, which can name an open file that has no name */
};

static struct move move_of(int from_dir, const char *from, int to_dir, const char *to)
{
	return (struct move){
		from_dir, to_dir, from, to, shim_find(from_dir, from), shim_find(to_dir, to), 0
	};
}

static bool is_declared(const struct move *m)
{
	return m->from_file >= 0 || m->to_file >= 0;
}

static bool target_exists(const struct move *m)
{
	return m->to_file >= 0 ? sys_exists(AT_FDCWD, shim_view_path(m->to_file))
			       : sys_exists(m->to_dir, m->to);
}

static int open_from(const struct move *m)
{
	int no_follow = m->flags & AT_SYMLINK_FOLLOW ? 0 : O_NOFOLLOW;

	if (m->from_file >= 0)
		return sys_openat(AT_FDCWD, shim_file_path(m->from_file), O_RDONLY | O_NOFOLLOW, 0);
	if ((m->flags & AT_EMPTY_PATH) && m->from && !*m->from && m->from_dir >= 0)
		return shim_open_to_read(m->from_dir);
	return sys_openat(m->from_dir, m->from, O_RDONLY | O_NONBLOCK | no_follow, 0);
}

/* The content of the one under the name of the other. */
static int copy_over(const struct move *m)
{
	struct stat st;
	int fd = open_from(m), r;

	if (fd < 0)
		return -1;
	if (sys_fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		sys_close(fd);
		errno = EXDEV; /* no settings file: what mv knows how to handle */
		return -1;
	}
	if (m->to_file >= 0)
		shim_track_supersede(m->to_file);
	if (m->to_file < 0)
		r = shim_copy_to(fd, m->to_dir, m->to);
	else if (shim_ask("replace", shim_view_name(m->to_file), fd))
		r = 0;
	else
		r = shim_copy_to(fd, AT_FDCWD, shim_view_path(m->to_file));
	if (r == 0 && m->to_file >= 0 && m->from_file < 0)
		shim_track_replaced(&st, m->to_file);
	sys_close(fd);
	return r;
}

static int rename_declared(const struct move *m, unsigned flags)
{
	int saved = errno;

	if (flags & ~(unsigned)NO_REPLACE) {
		errno = EINVAL; /* as of a file system that cannot */
		return -1;
	}
	if ((flags & NO_REPLACE) && target_exists(m)) {
		errno = EEXIST;
		return -1;
	}
	if (m->from_file >= 0 && m->from_file == m->to_file)
		return sys_exists(AT_FDCWD, shim_view_path(m->from_file)) ? 0 : (errno = ENOENT, -1);
	if (copy_over(m) < 0)
		return -1;
	if (m->from_file >= 0)
		return remove_declared(m->from_file);
	(void)sys_unlinkat(m->from_dir, m->from);
	errno = saved;
	return 0;
}

static int link_declared(const struct move *m)
{
	int saved = errno;

	if (target_exists(m)) {
		errno = EEXIST;
		return -1;
	}
	if (copy_over(m) < 0)
		return -1;
	errno = saved;
	return 0;
}

SHIM_WRAP(int, rename, (const char *from, const char *to))
{
	struct move m = move_of(AT_FDCWD, from, AT_FDCWD, to);

	return is_declared(&m) ? rename_declared(&m, 0) : SHIM_NEXT(rename)(from, to);
}

SHIM_WRAP(int, renameat, (int from_dir, const char *from, int to_dir, const char *to))
{
	struct move m = move_of(from_dir, from, to_dir, to);

	return is_declared(&m) ? rename_declared(&m, 0) : SHIM_NEXT(renameat)(from_dir, from, to_dir, to);
}

SHIM_WRAP(int, renameat2, (int from_dir, const char *from, int to_dir, const char *to, unsigned flags))
{
	struct move m = move_of(from_dir, from, to_dir, to);

	return is_declared(&m) ? rename_declared(&m, flags)
			       : SHIM_NEXT(renameat2)(from_dir, from, to_dir, to, flags);
}

SHIM_WRAP(int, link, (const char *from, const char *to))
{
	struct move m = move_of(AT_FDCWD, from, AT_FDCWD, to);

	return is_declared(&m) ? link_declared(&m) : SHIM_NEXT(link)(from, to);
}

SHIM_WRAP(int, linkat, (int from_dir, const char *from, int to_dir, const char *to, int flags))
{
	struct move m = move_of(from_dir, from, to_dir, to);

	m.flags = flags;
	return is_declared(&m) ? link_declared(&m) : SHIM_NEXT(linkat)(from_dir, from, to_dir, to, flags);
}

/* ---- making something else ------------------------------------------------------------------- */

/* A setting is a regular file: refused as by a file system that knows nothing else. */
static int refuse(int file)
{
	errno = sys_exists(AT_FDCWD, shim_view_path(file)) ? EEXIST : EPERM;
	return -1;
}

#define WRAP_MAKE(name, dirfd, params, ...)                                                                  \
	SHIM_WRAP(int, name, params)                                                                         \
	{                                                                                                    \
		int file = shim_find(dirfd, path);                                                           \
		return file < 0 ? SHIM_NEXT(name)(__VA_ARGS__) : refuse(file);                               \
	}
WRAP_MAKE(symlink, AT_FDCWD, (const char *target, const char *path), target, path)
WRAP_MAKE(symlinkat, dirfd, (const char *target, int dirfd, const char *path), target, dirfd, path)
WRAP_MAKE(mkdir, AT_FDCWD, (const char *path, mode_t mode), path, mode)
WRAP_MAKE(mkdirat, dirfd, (int dirfd, const char *path, mode_t mode), dirfd, path, mode)
WRAP_MAKE(mkfifo, AT_FDCWD, (const char *path, mode_t mode), path, mode)
WRAP_MAKE(mkfifoat, dirfd, (int dirfd, const char *path, mode_t mode), dirfd, path, mode)
WRAP_MAKE(mknod, AT_FDCWD, (const char *path, mode_t mode, dev_t device), path, mode, device)
WRAP_MAKE(mknodat, dirfd, (int dirfd, const char *path, mode_t mode, dev_t device), dirfd, path, mode, device)
/* How programs built for glibc before 2.33 spell them. */
WRAP_MAKE(__xmknod, AT_FDCWD, (int version, const char *path, mode_t mode, dev_t *device), version, path,
	  mode, device)
WRAP_MAKE(__xmknodat, dirfd, (int version, int dirfd, const char *path, mode_t mode, dev_t *device), version,
	  dirfd, path, mode, device)
