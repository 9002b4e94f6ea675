/* SPDX-License-Identifier: Apache-2.0 */
/* Wrapped: functions that open files; see shim.h. */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "registry-shim/shim.h"
#include "registry-shim/shim_sys.h"

/* The mode argument is there only when the flags say so. */
#define MODE_AFTER(flags)                                                                                    \
	unsigned mode = 0;                                                                                   \
	if ((flags)&O_CREAT || ((flags)&O_TMPFILE) == O_TMPFILE) {                                           \
		va_list ap;                                                                                  \
		va_start(ap, flags);                                                                         \
		mode = va_arg(ap, unsigned);                                                                 \
		va_end(ap);                                                                                  \
	}

/* `call` opens aim.path with aim.flags. */
#define OPEN_DECLARED(file, flags, mode, call)                                                               \
	struct shim_aim aim;                                                                                 \
	return shim_aim(&aim, file, flags, mode) ? shim_track_open(call, &aim) : -1;

#define WRAP_OPEN(name)                                                                                      \
	SHIM_WRAP(int, name, (const char *path, int flags, ...))                                             \
	{                                                                                                    \
		int file = shim_find(AT_FDCWD, path);                                                        \
		MODE_AFTER(flags)                                                                            \
		if (file < 0)                                                                                \
			return SHIM_NEXT(name)(path, flags, mode);                                           \
		OPEN_DECLARED(file, flags, mode, SHIM_NEXT(name)(aim.path, aim.flags, mode))                 \
	}
WRAP_OPEN(open)
WRAP_OPEN(open64)
WRAP_OPEN(__open)
WRAP_OPEN(__open64)

#define WRAP_OPENAT(name)                                                                                    \
	SHIM_WRAP(int, name, (int dirfd, const char *path, int flags, ...))                                  \
	{                                                                                                    \
		int file = shim_find(dirfd, path);                                                           \
		MODE_AFTER(flags)                                                                            \
		if (file < 0)                                                                                \
			return SHIM_NEXT(name)(dirfd, path, flags, mode);                                    \
		OPEN_DECLARED(file, flags, mode, SHIM_NEXT(name)(AT_FDCWD, aim.path, aim.flags, mode))       \
	}
WRAP_OPENAT(openat)
WRAP_OPENAT(openat64)

/* What -D_FORTIFY_SOURCE makes of calls without a mode. */
#define WRAP_OPEN_2(name)                                                                                    \
	SHIM_WRAP(int, name, (const char *path, int flags))                                                  \
	{                                                                                                    \
		int file = shim_find(AT_FDCWD, path);                                                        \
		if (file < 0)                                                                                \
			return SHIM_NEXT(name)(path, flags);                                                 \
		OPEN_DECLARED(file, flags, 0, SHIM_NEXT(name)(aim.path, aim.flags))                          \
	}
WRAP_OPEN_2(__open_2)
WRAP_OPEN_2(__open64_2)

#define WRAP_OPENAT_2(name)                                                                                  \
	SHIM_WRAP(int, name, (int dirfd, const char *path, int flags))                                       \
	{                                                                                                    \
		int file = shim_find(dirfd, path);                                                           \
		if (file < 0)                                                                                \
			return SHIM_NEXT(name)(dirfd, path, flags);                                          \
		OPEN_DECLARED(file, flags, 0, SHIM_NEXT(name)(AT_FDCWD, aim.path, aim.flags))                \
	}
WRAP_OPENAT_2(__openat_2)
WRAP_OPENAT_2(__openat64_2)

#define WRAP_CREAT(name)                                                                                     \
	SHIM_WRAP(int, name, (const char *path, mode_t mode))                                                \
	{                                                                                                    \
		int file = shim_find(AT_FDCWD, path);                                                        \
		if (file < 0)                                                                                \
			return SHIM_NEXT(name)(path, mode);                                                  \
		OPEN_DECLARED(file, O_WRONLY | O_CREAT | O_TRUNC, mode, SHIM_NEXT(name)(aim.path, mode))     \
	}
WRAP_CREAT(creat)
WRAP_CREAT(creat64)

/* ---- streams -------------------------------------------------------------------------------- */

enum { MODE_MAX = 64 };

/* What fopen's mode says, as flags of open(); and in `ret` the mode for a file that is there, when that is no
 * longer the same. */
static bool aim_stream(struct shim_aim *ret, int file, const char *mode, char own[MODE_MAX])
{
	int flags = *mode == 'r'   ? O_RDONLY
		    : *mode == 'w' ? O_WRONLY | O_CREAT | O_TRUNC
				   : O_WRONLY | O_CREAT;
	size_t n = 0;

	if (*mode == 'a')
		flags |= O_APPEND;
	for (const char *s = mode; *s && n + 1 < MODE_MAX; s++) {
		bool is_option = s > mode && !memchr(mode, ',', (size_t)(s - mode));

		if (is_option && *s == '+')
			flags = (flags & ~O_ACCMODE) | O_RDWR;
		if (is_option && *s == 'x')
			flags |= O_EXCL;
		else
			own[n++] = *s;
	}
	own[n] = 0;
	if (!shim_aim(ret, file, flags, 0666))
		return false;
	if (ret->flags & O_EXCL)
		strncpy(own, mode, MODE_MAX - 1);
	return true;
}

/* A stream that could not be made leaves nothing behind. */
static FILE *track_stream(FILE *f, const struct shim_aim *aim)
{
	if (f)
		shim_track_stream(f, aim);
	else
		(void)shim_track_open(-1, aim);
	return f;
}

#define WRAP_FOPEN(name)                                                                                     \
	SHIM_WRAP(FILE *, name, (const char *path, const char *mode))                                        \
	{                                                                                                    \
		int file = shim_find(AT_FDCWD, path);                                                        \
		char own[MODE_MAX] = "";                                                                     \
		struct shim_aim aim;                                                                         \
		if (file < 0)                                                                                \
			return SHIM_NEXT(name)(path, mode);                                                  \
		if (!aim_stream(&aim, file, mode, own))                                                      \
			return NULL;                                                                         \
		return track_stream(SHIM_NEXT(name)(aim.path, own), &aim);                                   \
	}
WRAP_FOPEN(fopen)
WRAP_FOPEN(fopen64)
WRAP_FOPEN(_IO_fopen)

static unsigned stream_closing(FILE *f)
{
	return f && atomic_load_explicit(&shim_tracked_count, memory_order_relaxed)
		       ? shim_track_stream_closing_slow(f)
		       : 0;
}

/* What cannot be opened closes the stream all the same. */
#define WRAP_FREOPEN(name)                                                                                   \
	SHIM_WRAP(FILE *, name, (const char *path, const char *mode, FILE *f))                               \
	{                                                                                                    \
		int file = shim_find(AT_FDCWD, path);                                                        \
		char own[MODE_MAX] = "";                                                                     \
		unsigned token = stream_closing(f);                                                          \
		struct shim_aim aim;                                                                         \
		bool is_ours = file >= 0 && aim_stream(&aim, file, mode, own);                               \
		f = is_ours ? SHIM_NEXT(name)(aim.path, own, f) : SHIM_NEXT(name)(path, mode, f);            \
		shim_track_closed(token);                                                                    \
		return is_ours ? track_stream(f, &aim) : f;                                                  \
	}
WRAP_FREOPEN(freopen)
WRAP_FREOPEN(freopen64)

#define WRAP_FDOPEN(name)                                                                                    \
	SHIM_WRAP(FILE *, name, (int fd, const char *mode))                                                  \
	{                                                                                                    \
		FILE *f = SHIM_NEXT(name)(fd, mode);                                                         \
		if (f && atomic_load_explicit(&shim_tracked_count, memory_order_relaxed))                    \
			shim_track_stream(f, NULL);                                                          \
		return f;                                                                                    \
	}
WRAP_FDOPEN(fdopen)
WRAP_FDOPEN(_IO_fdopen)

#define WRAP_FCLOSE(name)                                                                                    \
	SHIM_WRAP(int, name, (FILE * f))                                                                     \
	{                                                                                                    \
		unsigned token = stream_closing(f);                                                          \
		int r = SHIM_NEXT(name)(f);                                                                  \
		shim_track_closed(token);                                                                    \
		return r;                                                                                    \
	}
WRAP_FCLOSE(fclose)
WRAP_FCLOSE(_IO_fclose)
