/* SPDX-License-Identifier: Apache-2.0 */
/* Wrapped: functions that open files; see shim.h. */
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

#define WRAP_OPEN(name)                                                                                      \
	SHIM_WRAP(int, name, (const char *path, int flags, ...))                                             \
	{                                                                                                    \
		int file = shim_find(AT_FDCWD, path);                                                        \
		MODE_AFTER(flags)                                                                            \
		if (file < 0)                                                                                \
			return SHIM_NEXT(name)(path, flags, mode);                                           \
		return shim_track_open(SHIM_NEXT(name)(shim_view_path(file), flags, mode), file, flags);     \
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
		return shim_track_open(SHIM_NEXT(name)(AT_FDCWD, shim_view_path(file), flags, mode), file,   \
				       flags);                                                               \
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
		return shim_track_open(SHIM_NEXT(name)(shim_view_path(file), flags), file, flags);           \
	}
WRAP_OPEN_2(__open_2)
WRAP_OPEN_2(__open64_2)

#define WRAP_OPENAT_2(name)                                                                                  \
	SHIM_WRAP(int, name, (int dirfd, const char *path, int flags))                                       \
	{                                                                                                    \
		int file = shim_find(dirfd, path);                                                           \
		if (file < 0)                                                                                \
			return SHIM_NEXT(name)(dirfd, path, flags);                                          \
		return shim_track_open(SHIM_NEXT(name)(AT_FDCWD, shim_view_path(file), flags), file, flags); \
	}
WRAP_OPENAT_2(__openat_2)
WRAP_OPENAT_2(__openat64_2)

#define WRAP_CREAT(name)                                                                                     \
	SHIM_WRAP(int, name, (const char *path, mode_t mode))                                                \
	{                                                                                                    \
		int file = shim_find(AT_FDCWD, path);                                                        \
		if (file < 0)                                                                                \
			return SHIM_NEXT(name)(path, mode);                                                  \
		return shim_track_open(SHIM_NEXT(name)(shim_view_path(file), mode), file, O_WRONLY);         \
	}
WRAP_CREAT(creat)
WRAP_CREAT(creat64)

/* ---- streams -------------------------------------------------------------------------------- */

#define WRAP_FOPEN(name)                                                                                     \
	SHIM_WRAP(FILE *, name, (const char *path, const char *mode))                                        \
	{                                                                                                    \
		int file = shim_find(AT_FDCWD, path);                                                        \
		FILE *f;                                                                                     \
		if (file < 0)                                                                                \
			return SHIM_NEXT(name)(path, mode);                                                  \
		f = SHIM_NEXT(name)(shim_view_path(file), mode);                                             \
		if (f)                                                                                       \
			shim_track_stream(f, file);                                                          \
		return f;                                                                                    \
	}
WRAP_FOPEN(fopen)
WRAP_FOPEN(fopen64)
WRAP_FOPEN(_IO_fopen)

static void stream_closing(FILE *f)
{
	if (f && atomic_load_explicit(&shim_tracked_count, memory_order_relaxed))
		shim_track_stream_closing_slow(f);
}

#define WRAP_FREOPEN(name)                                                                                   \
	SHIM_WRAP(FILE *, name, (const char *path, const char *mode, FILE *f))                               \
	{                                                                                                    \
		int file = shim_find(AT_FDCWD, path);                                                        \
		stream_closing(f);                                                                           \
		f = SHIM_NEXT(name)(file < 0 ? path : shim_view_path(file), mode, f);                        \
		if (f && file >= 0)                                                                          \
			shim_track_stream(f, file);                                                          \
		return f;                                                                                    \
	}
WRAP_FREOPEN(freopen)
WRAP_FREOPEN(freopen64)

#define WRAP_FDOPEN(name)                                                                                    \
	SHIM_WRAP(FILE *, name, (int fd, const char *mode))                                                  \
	{                                                                                                    \
		FILE *f = SHIM_NEXT(name)(fd, mode);                                                         \
		if (f && atomic_load_explicit(&shim_tracked_count, memory_order_relaxed))                    \
			shim_track_stream(f, -1);                                                            \
		return f;                                                                                    \
	}
WRAP_FDOPEN(fdopen)
WRAP_FDOPEN(_IO_fdopen)

#define WRAP_FCLOSE(name)                                                                                    \
	SHIM_WRAP(int, name, (FILE * f))                                                                     \
	{                                                                                                    \
		stream_closing(f);                                                                           \
		return SHIM_NEXT(name)(f);                                                                   \
	}
WRAP_FCLOSE(fclose)
WRAP_FCLOSE(_IO_fclose)
