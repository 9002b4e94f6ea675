/* SPDX-License-Identifier: Apache-2.0 */
/* Wrapped: functions that close, copy, flush or abandon descriptors; see shim.h. */
#include <stdarg.h>
#include <sys/file.h>

#include "registry-shim/shim.h"
#include "registry-shim/shim_sys.h"

static bool is_tracking(void)
{
	return atomic_load_explicit(&shim_tracked_count, memory_order_relaxed) != 0;
}

#define WRAP_CLOSE(name)                                                                                     \
	SHIM_WRAP(int, name, (int fd))                                                                       \
	{                                                                                                    \
		unsigned token = shim_track_closing(fd);                                                     \
		int r = SHIM_NEXT(name)(fd);                                                                 \
		shim_track_closed(token);                                                                    \
		return r;                                                                                    \
	}
WRAP_CLOSE(close)
WRAP_CLOSE(__close)

/* Whoever asks for his data to be on the disk gets it into the hive. */
#define WRAP_SYNC(name)                                                                                      \
	SHIM_WRAP(int, name, (int fd))                                                                       \
	{                                                                                                    \
		int r = SHIM_NEXT(name)(fd);                                                                 \
		if (r == 0 && is_tracking())                                                                 \
			shim_track_sync_slow(fd);                                                            \
		return r;                                                                                    \
	}
WRAP_SYNC(fsync)
WRAP_SYNC(fdatasync)

SHIM_WRAP(int, close_range, (unsigned first, unsigned last, int flags))
{
	if (is_tracking() && !(flags & 4 /* CLOSE_RANGE_CLOEXEC */))
		shim_track_closing_range_slow(first, last);
	return SHIM_NEXT(close_range)(first, last, flags);
}

SHIM_WRAP(void, closefrom, (int first))
{
	if (is_tracking())
		shim_track_closing_range_slow(first < 0 ? 0 : (unsigned)first, ~0u);
	SHIM_NEXT(closefrom)(first);
}

SHIM_WRAP(int, dup, (int fd))
{
	int r = SHIM_NEXT(dup)(fd);

	if (r >= 0 && is_tracking())
		shim_track_dup(fd, r);
	return r;
}

/* The target is closed on the way. */
#define WRAP_DUP_TO(name, params, ...)                                                                       \
	SHIM_WRAP(int, name, params)                                                                         \
	{                                                                                                    \
		unsigned token = from != to ? shim_track_closing(to) : 0;                                    \
		int r = SHIM_NEXT(name)(__VA_ARGS__);                                                        \
		if (r < 0 && token)                                                                          \
			shim_track_stays(to, token);                                                         \
		if (r >= 0 && is_tracking())                                                                 \
			shim_track_dup(from, to);                                                            \
		if (r >= 0)                                                                                  \
			shim_track_closed(token);                                                            \
		return r;                                                                                    \
	}
WRAP_DUP_TO(dup2, (int from, int to), from, to)
WRAP_DUP_TO(__dup2, (int from, int to), from, to)
WRAP_DUP_TO(dup3, (int from, int to, int flags), from, to, flags)

#define WRAP_LOCK(name, params, takes, ...)                                                                  \
	SHIM_WRAP(int, name, params)                                                                         \
	{                                                                                                    \
		int r;                                                                                       \
		if (is_tracking())                                                                           \
			shim_track_lock_slow(fd);                                                            \
		do                                                                                           \
			r = SHIM_NEXT(name)(__VA_ARGS__);                                                    \
		while (r == 0 && (takes) && shim_track_locked(fd));                                          \
		return r;                                                                                    \
	}
WRAP_LOCK(flock, (int fd, int how), !(how & LOCK_UN), fd, how)
WRAP_LOCK(lockf, (int fd, int how, off_t len), is_tracking() && (how == F_LOCK || how == F_TLOCK), fd, how,
	  len)
WRAP_LOCK(lockf64, (int fd, int how, off_t len), is_tracking() && (how == F_LOCK || how == F_TLOCK), fd, how,
	  len)

static bool is_lock(int what)
{
	return what == F_SETLK || what == F_SETLKW || what == F_OFD_SETLK || what == F_OFD_SETLKW;
}

/* The argument is an int, a pointer or nothing; as a pointer it passes through unharmed. */
#define WRAP_FCNTL(name)                                                                                     \
	SHIM_WRAP(int, name, (int fd, int what, ...))                                                        \
	{                                                                                                    \
		va_list ap;                                                                                  \
		void *arg;                                                                                   \
		int r;                                                                                       \
		va_start(ap, what);                                                                          \
		arg = va_arg(ap, void *);                                                                    \
		va_end(ap);                                                                                  \
		if (is_tracking() && is_lock(what))                                                          \
			shim_track_lock_slow(fd);                                                            \
		do                                                                                           \
			r = SHIM_NEXT(name)(fd, what, arg);                                                  \
		while (r == 0 && is_tracking() && is_lock(what) &&                                           \
		       ((struct flock *)arg)->l_type != F_UNLCK && shim_track_locked(fd));                   \
		if (r >= 0 && is_tracking() && (what == F_DUPFD || what == F_DUPFD_CLOEXEC))                 \
			shim_track_dup(fd, r);                                                               \
		return r;                                                                                    \
	}
WRAP_FCNTL(fcntl)
WRAP_FCNTL(__fcntl)
WRAP_FCNTL(fcntl64)

/* ---- the end of the program ----------------------------------------------------------------- */

#define WRAP_EXIT(name)                                                                                      \
	SHIM_WRAP(void, name, (int status)) /* does not return */                                            \
	{                                                                                                    \
		if (is_tracking())                                                                           \
			shim_track_exit_slow(true);                                                          \
		for (;;)                                                                                     \
			(void)syscall(SYS_exit_group, status);                                               \
	}
WRAP_EXIT(_exit)
WRAP_EXIT(_Exit)
