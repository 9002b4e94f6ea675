/* SPDX-License-Identifier: Apache-2.0 */
/* Wrapped: functions that look at or change a file by its path, where the file in view/ simply takes the
 * place of the declared one; see shim.h. */
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "registry-shim/shim.h"
#include "registry-shim/shim_sys.h"

struct timeval;
struct timespec;
struct utimbuf;

/* f(path, more...) */
#define WRAP(type, name, params, ...)                                                                        \
	SHIM_WRAP(type, name, params)                                                                        \
	{                                                                                                    \
		path = shim_path(AT_FDCWD, path);                                                            \
		return SHIM_NEXT(name)(__VA_ARGS__);                                                         \
	}
/* f(dirfd, path, more...): an absolute path makes dirfd not matter. */
#define WRAP_AT(type, name, params, ...)                                                                     \
	SHIM_WRAP(type, name, params)                                                                        \
	{                                                                                                    \
		path = shim_path(dirfd, path);                                                               \
		return SHIM_NEXT(name)(__VA_ARGS__);                                                         \
	}

/* The same for what tells the file's number. (On 64-bit machines every struct stat is the kernel's.) */
static int disguised(int r, void *st)
{
	struct stat *s = st;

	if (r == 0)
		shim_draft_disguise(s->st_dev, &s->st_ino);
	return r;
}

#define WRAP_STAT(name)                                                                                      \
	SHIM_WRAP(int, name, (const char *path, void *st))                                                   \
	{                                                                                                    \
		return disguised(SHIM_NEXT(name)(shim_path(AT_FDCWD, path), st), st);                        \
	}
#define WRAP_XSTAT(name)                                                                                     \
	SHIM_WRAP(int, name, (int version, const char *path, void *st))                                      \
	{                                                                                                    \
		return disguised(SHIM_NEXT(name)(version, shim_path(AT_FDCWD, path), st), st);               \
	}
#define WRAP_FSTATAT(name)                                                                                   \
	SHIM_WRAP(int, name, (int dirfd, const char *path, void *st, int flags))                             \
	{                                                                                                    \
		return disguised(SHIM_NEXT(name)(dirfd, shim_path(dirfd, path), st, flags), st);             \
	}
#define WRAP_FXSTATAT(name)                                                                                  \
	SHIM_WRAP(int, name, (int version, int dirfd, const char *path, void *st, int flags))                \
	{                                                                                                    \
		return disguised(SHIM_NEXT(name)(version, dirfd, shim_path(dirfd, path), st, flags), st);    \
	}
#define WRAP_FSTAT(name)                                                                                     \
	SHIM_WRAP(int, name, (int fd, void *st))                                                             \
	{                                                                                                    \
		return disguised(SHIM_NEXT(name)(fd, st), st);                                               \
	}
#define WRAP_FXSTAT(name)                                                                                    \
	SHIM_WRAP(int, name, (int version, int fd, void *st))                                                \
	{                                                                                                    \
		return disguised(SHIM_NEXT(name)(version, fd, st), st);                                      \
	}

WRAP_STAT(stat)
WRAP_STAT(stat64)
WRAP_STAT(lstat)
WRAP_STAT(lstat64)
WRAP_FSTATAT(fstatat)
WRAP_FSTATAT(fstatat64)
/* How programs built for glibc before 2.33 spell them. */
WRAP_XSTAT(__xstat)
WRAP_XSTAT(__xstat64)
WRAP_XSTAT(__lxstat)
WRAP_XSTAT(__lxstat64)
WRAP_FXSTATAT(__fxstatat)
WRAP_FXSTATAT(__fxstatat64)
WRAP_FXSTAT(__fxstat)
WRAP_FXSTAT(__fxstat64)
WRAP_FSTAT(fstat)
WRAP_FSTAT(fstat64)

SHIM_WRAP(int, statx, (int dirfd, const char *path, int flags, unsigned mask, struct statx *st))
{
	int r = SHIM_NEXT(statx)(dirfd, shim_path(dirfd, path), flags, mask, st);

	if (r == 0) {
		ino_t ino = st->stx_ino;

		shim_draft_disguise(makedev(st->stx_dev_major, st->stx_dev_minor), &ino);
		st->stx_ino = ino;
	}
	return r;
}
WRAP(int, __statfs, (const char *path, void *st), path, st)
WRAP(int, statfs, (const char *path, void *st), path, st)
WRAP(int, statfs64, (const char *path, void *st), path, st)
WRAP(int, statvfs, (const char *path, void *st), path, st)
WRAP(int, statvfs64, (const char *path, void *st), path, st)

WRAP(int, access, (const char *path, int mode), path, mode)
WRAP(int, eaccess, (const char *path, int mode), path, mode)
WRAP(int, euidaccess, (const char *path, int mode), path, mode)
WRAP_AT(int, faccessat, (int dirfd, const char *path, int mode, int flags), dirfd, path, mode, flags)

WRAP(ssize_t, readlink, (const char *path, char *ret, size_t cap), path, ret, cap)
WRAP(ssize_t, __readlink_chk, (const char *path, char *ret, size_t cap, size_t room), path, ret, cap, room)
WRAP_AT(ssize_t, readlinkat, (int dirfd, const char *path, char *ret, size_t cap), dirfd, path, ret, cap)
WRAP_AT(ssize_t, __readlinkat_chk, (int dirfd, const char *path, char *ret, size_t cap, size_t room), dirfd,
	path, ret, cap, room)

WRAP(int, chmod, (const char *path, mode_t mode), path, mode)
WRAP(int, lchmod, (const char *path, mode_t mode), path, mode)
WRAP_AT(int, fchmodat, (int dirfd, const char *path, mode_t mode, int flags), dirfd, path, mode, flags)
WRAP(int, chown, (const char *path, uid_t uid, gid_t gid), path, uid, gid)
WRAP(int, lchown, (const char *path, uid_t uid, gid_t gid), path, uid, gid)
WRAP_AT(int, fchownat, (int dirfd, const char *path, uid_t uid, gid_t gid, int flags), dirfd, path, uid, gid,
	flags)

WRAP(int, utime, (const char *path, const struct utimbuf *t), path, t)
WRAP(int, utimes, (const char *path, const struct timeval *t), path, t)
WRAP(int, lutimes, (const char *path, const struct timeval *t), path, t)
WRAP_AT(int, futimesat, (int dirfd, const char *path, const struct timeval *t), dirfd, path, t)
WRAP_AT(int, utimensat, (int dirfd, const char *path, const struct timespec *t, int flags), dirfd, path, t,
	flags)

WRAP(ssize_t, getxattr, (const char *path, const char *name, void *v, size_t len), path, name, v, len)
WRAP(ssize_t, lgetxattr, (const char *path, const char *name, void *v, size_t len), path, name, v, len)
WRAP(int, setxattr, (const char *path, const char *name, const void *v, size_t len, int flags), path, name, v,
     len, flags)
WRAP(int, lsetxattr, (const char *path, const char *name, const void *v, size_t len, int flags), path, name,
     v, len, flags)
WRAP(ssize_t, listxattr, (const char *path, char *ret, size_t len), path, ret, len)
WRAP(ssize_t, llistxattr, (const char *path, char *ret, size_t len), path, ret, len)
WRAP(int, removexattr, (const char *path, const char *name), path, name)
WRAP(int, lremovexattr, (const char *path, const char *name), path, name)

WRAP(long, pathconf, (const char *path, int name), path, name)
WRAP_AT(int, name_to_handle_at, (int dirfd, const char *path, void *handle, int *mount_id, int flags), dirfd,
	path, handle, mount_id, flags)
WRAP_AT(int, fanotify_mark, (int fd, unsigned flags, uint64_t mask, int dirfd, const char *path), fd, flags,
	mask, dirfd, path)
SHIM_WRAP(int, inotify_add_watch, (int fd, const char *path, uint32_t mask))
{
	return SHIM_NEXT(inotify_add_watch)(fd, shim_path(AT_FDCWD, path), mask);
}

/* What is declared lies outside the new root. */
SHIM_WRAP(int, chroot, (const char *path))
{
	int r;

	shim_track_share();
	r = SHIM_NEXT(chroot)(path);
	if (r == 0 && shim_is_ours())
		shim_forget_files();
	return r;
}

/* Another user may not get at what is private to this one, nor at the broker. */
#define WRAP_USER(name, params, ...)                                                                         \
	SHIM_WRAP(int, name, params)                                                                         \
	{                                                                                                    \
		shim_track_share();                                                                          \
		return SHIM_NEXT(name)(__VA_ARGS__);                                                         \
	}
WRAP_USER(setuid, (uid_t uid), uid)
WRAP_USER(seteuid, (uid_t uid), uid)
WRAP_USER(setreuid, (uid_t real, uid_t effective), real, effective)
WRAP_USER(setresuid, (uid_t real, uid_t effective, uid_t kept), real, effective, kept)
WRAP_USER(setfsuid, (uid_t uid), uid)

/* ---- truncate: a change of content ---------------------------------------------------------- */

#define WRAP_TRUNCATE(name)                                                                                  \
	SHIM_WRAP(int, name, (const char *path, off_t len))                                                  \
	{                                                                                                    \
		int file = shim_find(AT_FDCWD, path), r;                                                     \
		const char *at;                                                                              \
		if (file < 0)                                                                                \
			return SHIM_NEXT(name)(path, len);                                                   \
		at = shim_file_path(file);                                                                   \
		r = SHIM_NEXT(name)(at, len);                                                                \
		if (r == 0 && at == shim_view_path(file))                                                    \
			(void)shim_ask("commit", shim_view_name(file), -1);                                  \
		return r;                                                                                    \
	}
WRAP_TRUNCATE(truncate)
WRAP_TRUNCATE(truncate64)

/* ---- realpath: the declared file may exist in view/ only ------------------------------------- */

/* A declared file that exists is its own real path; callers ask in order to replace it in its directory. */
static char *real_declared(int file, char *ret)
{
	const char *path = shim_declared_path(file);

	if (!sys_exists(AT_FDCWD, shim_view_path(file))) {
		errno = ENOENT;
		return NULL;
	}
	return ret ? strcpy(ret, path) : strdup(path);
}

SHIM_WRAP(char *, realpath, (const char *path, char *ret))
{
	int file = shim_find(AT_FDCWD, path);

	return file < 0 ? SHIM_NEXT(realpath)(path, ret) : real_declared(file, ret);
}

SHIM_WRAP(char *, __realpath_chk, (const char *path, char *ret, size_t room))
{
	int file = room < PATH_MAX ? -1 : shim_find(AT_FDCWD, path);

	return file < 0 ? SHIM_NEXT(__realpath_chk)(path, ret, room) : real_declared(file, ret);
}

SHIM_WRAP(char *, canonicalize_file_name, (const char *path))
{
	int file = shim_find(AT_FDCWD, path);

	return file < 0 ? SHIM_NEXT(canonicalize_file_name)(path) : real_declared(file, NULL);
}
