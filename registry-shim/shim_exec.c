/* SPDX-License-Identifier: Apache-2.0 */
/* Wrapped: functions that become or start another program; see shim.h.
 *
 * What the new program's environment lacks of the shim is added, also when that was cleared on purpose: its
 * settings are declared all the same. Copies are made on the stack, since a vfork child may ask. Not added
 * where the library is out of reach (chroot): the loader would complain on the program's standard error. */
#include <alloca.h>
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "registry-shim/shim.h"
#include "registry-shim/shim_paths.h"
#include "registry-shim/shim_sys.h"

#define PRELOAD "LD_PRELOAD="

static const char *library = REG_SHIM_LIBRARY;

__attribute__((constructor)) static void note_library(void)
{
	Dl_info info;

	if (shim_has_files() && dladdr((void *)(uintptr_t)&library, &info) && info.dli_fname[0] == '/')
		library = info.dli_fname;
}

/* ---- the environment ------------------------------------------------------------------------ */

struct room {
	size_t count;  /* variables there are */
	char *preload; /* the LD_PRELOAD there is, or NULL */
	size_t text;   /* length of the one to come; 0 = all is well as it is */
};

static struct room measure(char *const env[])
{
	struct room r = { 0 };
	int saved = errno;

	if (!env || !shim_has_files())
		return r;
	for (; env[r.count]; r.count++)
		if (!r.preload && !strncmp(env[r.count], PRELOAD, strlen(PRELOAD)))
			r.preload = env[r.count];
	if ((!r.preload || !strstr(r.preload, library)) && sys_exists(AT_FDCWD, library))
		r.text = strlen(PRELOAD) + strlen(library) + 1 + (r.preload ? strlen(r.preload) : 0) + 1;
	errno = saved;
	return r;
}

static char *const *fill(char *const env[], const struct room *r, char **to, char *text)
{
	const char *others = r->preload ? r->preload + strlen(PRELOAD) : "";
	size_t n = 0;

	strcpy(text, PRELOAD);
	strcat(text, library);
	if (*others)
		strcat(strcat(text, ":"), others);
	to[n++] = text;
	for (size_t i = 0; i < r->count; i++)
		if (env[i] != r->preload)
			to[n++] = env[i];
	to[n] = NULL;
	return to;
}

/* `env`, or a copy with the shim in it on the stack of the function that this is in. */
#define WITH_SHIM(env)                                                                                       \
	(__extension__({                                                                                     \
		struct room room_ = measure(env);                                                            \
		room_.text ? fill((env), &room_, alloca((room_.count + 2) * sizeof(char *)),                 \
				  alloca(room_.text))                                                        \
			   : (env);                                                                          \
	}))

/* ---- exec ----------------------------------------------------------------------------------- */

enum { HEAD = 4096 };

/* Does a loader load it, and so the shim? A script's interpreter answers for the script. */
static bool is_entered(int dirfd, const char *path, int depth)
{
	union {
		ElfW(Ehdr) elf;
		char text[HEAD];
	} head;
	int fd = sys_openat(dirfd, path, O_RDONLY, 0);
	ssize_t n = fd < 0 ? -1 : sys_read(fd, head.text, HEAD - 1);
	bool is_elf = n >= (ssize_t)sizeof(head.elf) && !memcmp(head.elf.e_ident, ELFMAG, SELFMAG);

	if (fd >= 0)
		sys_close(fd);
	if (n > 2 && head.text[0] == '#' && head.text[1] == '!' && depth == 0) {
		char *start = head.text + 2;

		head.text[n] = 0;
		start += strspn(start, " \t");
		start[strcspn(start, " \t\n")] = 0;
		return is_entered(AT_FDCWD, start, 1);
	}
	if (!is_elf || head.elf.e_ident[EI_CLASS] != (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32) ||
	    head.elf.e_phentsize != sizeof(ElfW(Phdr)))
		return false;
	for (size_t i = 0; i < head.elf.e_phnum; i++) {
		size_t at = head.elf.e_phoff + i * sizeof(ElfW(Phdr));
		ElfW(Phdr) segment;

		if (at > (size_t)n || (size_t)n - at < sizeof(segment))
			return false;
		memcpy(&segment, head.text + at, sizeof(segment));
		if (segment.p_type == PT_INTERP)
			return true;
	}
	return false;
}

/* What is looked for in PATH, and what only a descriptor names, counts as not entered. */
static void leaving(int dirfd, const char *path)
{
	int saved = errno;

	if (atomic_load_explicit(&shim_tracked_count, memory_order_relaxed))
		shim_track_exec_slow(path && strchr(path, '/') && is_entered(dirfd, path, 0));
	errno = saved;
}

#define WRAP_EXEC(name, params, dirfd, path, ...)                                                            \
	SHIM_WRAP(int, name, params)                                                                         \
	{                                                                                                    \
		char *const *kept = WITH_SHIM(env);                                                          \
		leaving(dirfd, path);                                                                        \
		return SHIM_NEXT(name)(__VA_ARGS__);                                                         \
	}
WRAP_EXEC(execve, (const char *path, char *const argv[], char *const env[]), AT_FDCWD, path, path, argv, kept)
WRAP_EXEC(execvpe, (const char *path, char *const argv[], char *const env[]), AT_FDCWD, path, path, argv,
	  kept)
WRAP_EXEC(fexecve, (int fd, char *const argv[], char *const env[]), fd, NULL, fd, argv, kept)
WRAP_EXEC(execveat, (int dirfd, const char *path, char *const argv[], char *const env[], int flags), dirfd,
	  path, dirfd, path, argv, kept, flags)

SHIM_WRAP(int, execv, (const char *path, char *const argv[]))
{
	return shim_execve(path, argv, environ);
}

SHIM_WRAP(int, execvp, (const char *path, char *const argv[]))
{
	return shim_execvpe(path, argv, environ);
}

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

/* ---- posix_spawn ---------------------------------------------------------------------------- */

#define WRAP_SPAWN(name)                                                                                     \
	SHIM_WRAP(int, name,                                                                                 \
		  (pid_t * pid, const char *path, const posix_spawn_file_actions_t *actions,                 \
		   const posix_spawnattr_t *attr, char *const argv[], char *const env[]))                    \
	{                                                                                                    \
		return SHIM_NEXT(name)(pid, path, actions, attr, argv, WITH_SHIM(env));                      \
	}
WRAP_SPAWN(posix_spawn)
WRAP_SPAWN(posix_spawnp)

/* A relative path is looked up in a directory that we do not know yet. */
SHIM_WRAP(int, posix_spawn_file_actions_addopen,
	  (posix_spawn_file_actions_t * actions, int fd, const char *path, int flags, mode_t mode))
{
	if (path && *path == '/')
		path = shim_path(AT_FDCWD, path);
	return SHIM_NEXT(posix_spawn_file_actions_addopen)(actions, fd, path, flags, mode);
}
