/* SPDX-License-Identifier: Apache-2.0 */
/* Wrapped: functions that close, copy or abandon descriptors; see shim.h. */
#include <alloca.h>
#include <stdarg.h>
#include <stdint.h>

#include "registry-shim/shim.h"
#include "registry-shim/shim_sys.h"

static bool is_tracking(void)
{
	return atomic_load_explicit(&shim_tracked_count, memory_order_relaxed) != 0;
}

SHIM_WRAP(int, close, (int fd))
{
	shim_track_closing(fd);
	return SHIM_NEXT(close)(fd);
}

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
SHIM_WRAP(int, dup2, (int from, int to))
{
	int r;

	if (from != to)
		shim_track_closing(to);
	r = SHIM_NEXT(dup2)(from, to);
	if (r >= 0 && is_tracking())
		shim_track_dup(from, to);
	return r;
}

SHIM_WRAP(int, dup3, (int from, int to, int flags))
{
	int r;

	if (from != to)
		shim_track_closing(to);
	r = SHIM_NEXT(dup3)(from, to, flags);
	if (r >= 0 && is_tracking())
		shim_track_dup(from, to);
	return r;
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
		r = SHIM_NEXT(name)(fd, what, arg);                                                          \
		if (r >= 0 && is_tracking() && (what == F_DUPFD || what == F_DUPFD_CLOEXEC))                 \
			shim_track_dup(fd, r);                                                               \
		return r;                                                                                    \
	}
WRAP_FCNTL(fcntl)
WRAP_FCNTL(fcntl64)

/* ---- the end of the program ----------------------------------------------------------------- */

#define WRAP_EXIT(name)                                                                                      \
	SHIM_WRAP(void, name, (int status)) /* does not return */                                            \
	{                                                                                                    \
		if (is_tracking())                                                                           \
			shim_track_exit_slow();                                                              \
		for (;;)                                                                                     \
			(void)syscall(SYS_exit_group, status);                                               \
	}
WRAP_EXIT(_exit)
WRAP_EXIT(_Exit)

#define WRAP_EXEC(name, params, ...)                                                                         \
	SHIM_WRAP(int, name, params)                                                                         \
	{                                                                                                    \
		if (is_tracking())                                                                           \
			shim_track_exec_slow();                                                              \
		return SHIM_NEXT(name)(__VA_ARGS__);                                                         \
	}
WRAP_EXEC(execve, (const char *path, char *const argv[], char *const env[]), path, argv, env)
WRAP_EXEC(execv, (const char *path, char *const argv[]), path, argv)
WRAP_EXEC(execvp, (const char *path, char *const argv[]), path, argv)
WRAP_EXEC(execvpe, (const char *path, char *const argv[], char *const env[]), path, argv, env)
WRAP_EXEC(fexecve, (int fd, char *const argv[], char *const env[]), fd, argv, env)

/* The variants with a list of arguments, gathered on the stack. `last` runs with the list still open. */
#define GATHER(argv, first, last)                                                                            \
	va_list ap;                                                                                          \
	size_t n = 1;                                                                                        \
	char **argv;                                                                                         \
	va_start(ap, first);                                                                                 \
	while (first && va_arg(ap, char *))                                                                  \
		n++;                                                                                         \
	va_end(ap);                                                                                          \
	argv = alloca((n + 1) * sizeof(*argv));                                                              \
	argv[0] = (char *)(uintptr_t)first;                                                                  \
	va_start(ap, first);                                                                                 \
	for (size_t i = 1; first && i <= n; i++)                                                             \
		argv[i] = va_arg(ap, char *);                                                                \
	last;                                                                                                \
	va_end(ap)

SHIM_WRAP(int, execl, (const char *path, const char *first, ...))
{
	GATHER(argv, first, );
	return shim_execv(path, argv);
}

SHIM_WRAP(int, execlp, (const char *path, const char *first, ...))
{
	GATHER(argv, first, );
	return shim_execvp(path, argv);
}

SHIM_WRAP(int, execle, (const char *path, const char *first, ...))
{
	char **env;

	GATHER(argv, first, env = va_arg(ap, char **));
	return shim_execve(path, argv, env);
}
