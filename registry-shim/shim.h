/* SPDX-License-Identifier: Apache-2.0 */
/* libfloe-shim.so: what its parts share.
 *
 * The shim lives inside strangers' processes. Rules for every line of it: no allocation, no locks that a
 * signal handler, a fork or a vfork could find held, no stdio, errno as the wrapped function leaves it, libc
 * only, and for calls that have nothing to do with a declared file no more than a few compares. Its own I/O
 * goes through raw system calls (shim_sys.h), so it never calls a wrapper.
 *
 *   shim_paths_table.c  RUN/paths, and path -> file in view/
 *   shim_track.c        descriptors opened for writing on declared files, until they are closed
 *   shim_broker.c       requests to the broker
 *   shim_open.c  shim_path.c  shim_move.c  shim_descriptor.c  shim_exec.c   the wrapped functions
 *
 * tests/unit/registry-shim/test_shim_exports.c holds this against everything that libc exports. */
#ifndef FLOE_REG_SHIM_H
#define FLOE_REG_SHIM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* ---- wrapping ------------------------------------------------------------------------------- */

/* Defines the exported function `name` under a C name of our own, so that libc's headers (which rename and
 * inline these very functions) stay out of it. */
#define SHIM_WRAP(type, name, args)                                                                          \
	type shim_##name args __asm__(#name) __attribute__((visibility("default")));                         \
	type shim_##name args

/* The next definition of the wrapped function: libc's, or another preloaded library's. */
#define SHIM_NEXT(name)                                                                                      \
	(__extension__({                                                                                     \
		static void *_Atomic shim_slot_;                                                             \
		(__typeof__(&shim_##name))shim_next(&shim_slot_, #name);                                     \
	}))

/* A function that answers ENOSYS when this libc has none of that name. */
void *shim_next(void *_Atomic *slot, const char *name);

/* ---- declared files ------------------------------------------------------------------------- */

enum { SHIM_FILES_MAX = 256, SHIM_PATH_MAX = 4096, SHIM_NAME_MAX = 192 };

bool shim_has_files(void);
/* From now on no path is declared any more: they name other files. */
void shim_forget_files(void);
/* Number of the declared file that a path means (relative to dirfd), or -1. */
int shim_find(int dirfd, const char *path);
/* Its path as declared, its absolute path in view/, and its name there. Static storage. */
const char *shim_declared_path(int file);
const char *shim_view_path(int file);
const char *shim_view_name(int file);
/* RUN/view, RUN/registry.sock */
const char *shim_view_dir(void);
const char *shim_socket_path(void);
/* The number of the file in view/ that a descriptor is open on, or -1. */
int shim_find_fd(int fd);

/* The path to use instead: of the file in view/ when `path` is declared, else `path` itself. */
static inline const char *shim_path(int dirfd, const char *path)
{
	int file = shim_find(dirfd, path);

	return file < 0 ? path : shim_view_path(file);
}

/* ---- descriptors ---------------------------------------------------------------------------- */

extern atomic_int shim_tracked_count;

/* False in a vfork child, whose memory is its parent's. */
bool shim_is_ours(void);

/* Remembers a descriptor just opened on a file; nothing when `flags` do not write. Returns fd. */
int shim_track_open(int fd, int file, int flags);
void shim_track_stream(FILE *stream, int file);
void shim_track_dup(int from, int to);
void shim_track_closing_slow(int fd);
void shim_track_sync_slow(int fd);
void shim_track_closing_range_slow(unsigned first, unsigned last);
void shim_track_exec_slow(void);
void shim_track_exit_slow(void);
void shim_track_stream_closing_slow(FILE *stream);
/* Writes out what streams on declared files hold back. */
void shim_track_flush_slow(void);

/* Before a descriptor is closed, by whatever call: saves the file when this was its last writer here. */
static inline void shim_track_closing(int fd)
{
	if (atomic_load_explicit(&shim_tracked_count, memory_order_relaxed))
		shim_track_closing_slow(fd);
}

/* The broker could not be told of a save: when it had just put another file in the place of the one that
 * `fd` writes, that is put back, for the next broker to find. */
void shim_keep(int file, int fd);

/* ---- broker --------------------------------------------------------------------------------- */

/* Asks and waits, for 5 s at most. True when the broker has done it; errno is kept. fd -1 = none. */
bool shim_ask(const char *type, int file, int fd);

#endif
