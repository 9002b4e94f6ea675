/* SPDX-License-Identifier: Apache-2.0 */
/* libfloe-shim.so: what its parts share.
 *
 * The shim lives inside strangers' processes. Rules for every line of it: no allocation, no locks that a
 * signal handler, a fork or a vfork could find held, no stdio, errno as the wrapped function leaves it, libc
 * only, and for calls that have nothing to do with a declared file no more than a few compares. Its own I/O
 * goes through raw system calls (shim_sys.h), so it never calls a wrapper.
 *
 *   shim_paths_table.c  RUN/paths, and path -> file in view/
 *   shim_draft.c        the private copy that a program writes, from open to close
 *   shim_slots.c        the table of descriptors opened for writing on declared files
 *   shim_track.c        these, until they are closed
 *   shim_in_place.c     files that are written in place: locks, and what others put in their place
 *   shim_program.c      the beginning and the end of a program
 *   shim_content.c      what is in files
 *   shim_broker.c       requests to the broker
 *   shim_open.c  shim_path.c  shim_move.c  shim_descriptor.c  shim_exec.c   the wrapped functions
 *
 * Writing. Who opens a declared file for writing writes a draft of his own: with O_TRUNC it is empty, else a
 * copy. Other processes see the file as it was, and what its own process does by path it does to the draft.
 * When the last descriptor is closed, by a call or by the program's normal end, the broker is told and the
 * draft becomes the file in one step; fsync() does so with what is there so far. A program that a signal ends
 * before that has not saved. An exec keeps descriptors 0 to 9; a child program that starts with another's
 * draft as its descriptor 0 to 2 writes that as well.
 *
 * In place, as files are written everywhere, and half written when its program is killed in the middle: a
 * file that no lens reads and that is opened without O_TRUNC (programs may share it, lock it, map it); one
 * that a program locks, which shares it on purpose (who locks a descriptor of his parent's locks the parent's
 * draft, or a file that has been replaced, and keeps nobody out); one that changes while it is copied; one
 * opened in a vfork child or by posix_spawn's actions; one handed to a program that the shim cannot enter (or
 * that is looked for in PATH); one that is open across chroot() or a change of the user; more than
 * SHIM_DRAFTS_MAX at once.
 *
 * tests/unit/registry-shim/test_shim_exports.c holds this against everything that libc exports. */
#ifndef FLOE_REG_SHIM_H
#define FLOE_REG_SHIM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/types.h>

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
/* Does no lens read it? */
bool shim_is_whole(int file);
/* RUN/view, RUN/drafts, RUN/registry.sock */
const char *shim_view_dir(void);
const char *shim_drafts_dir(void);
const char *shim_socket_path(void);
/* The number of the file in view/ that a descriptor is open on, or of the one that has this name there; or
 * -1.
 */
int shim_find_fd(int fd);
/* The same of a file in view/ whose place another has taken since. */
int shim_find_lost_fd(int fd);
int shim_find_name(const char *name);
/* The path that a descriptor is open on: its length, 0 = unknown. */
size_t shim_fd_path(int fd, char *ret, size_t cap);

/* ---- drafts --------------------------------------------------------------------------------- */

enum { SHIM_DRAFTS_MAX = 64 };

/* Descriptors that are remembered. */
extern atomic_int shim_tracked_count;

/* What to open instead of a declared file. */
struct shim_aim {
	const char *path;
	int flags;
	int file, draft; /* draft -1: in place, or for reading */
};
/* Makes the draft if there is to be one. False, with errno, when the open fails. */
bool shim_aim(struct shim_aim *ret, int file, int flags, unsigned mode);

int shim_draft_file(int draft);
/* Opened by this process (before an exec perhaps)? Else it came with a descriptor. */
bool shim_draft_is_own(int draft);
/* The draft that a descriptor from before an exec is open on; or -1. */
int shim_draft_adopt(int fd);
void shim_draft_forget(int draft);
void shim_draft_drop(int draft);
/* Is it a copy of the file, to be edited, and still as it was made? */
bool shim_draft_is_copy(int draft, int fd);
/* It takes the file's place in view/ and is written there from now on. Forgotten. */
void shim_draft_to_view(int draft);
/* What the broker is told; see broker_draft.h. After `closed` it is forgotten. */
void shim_draft_joined(int draft);
void shim_draft_left(int draft);
void shim_draft_closed(int draft);
void shim_draft_synced(int draft);

/* Its name is no longer the file's. */
void shim_draft_supersede(int file);

/* Editors compare what they have opened with what they looked at before: a draft shows itself as the file
 * that it stands for. */
void shim_draft_disguise_slow(dev_t dev, ino_t *ino);
static inline void shim_draft_disguise(dev_t dev, ino_t *ino)
{
	if (atomic_load_explicit(&shim_tracked_count, memory_order_relaxed))
		shim_draft_disguise_slow(dev, ino);
}

/* Where this process finds a declared file: its own draft, else in view/. */
const char *shim_own_path(int file);
static inline const char *shim_file_path(int file)
{
	return atomic_load_explicit(&shim_tracked_count, memory_order_relaxed) ? shim_own_path(file)
									       : shim_view_path(file);
}

/* The path to use instead when `path` is declared, else `path` itself. */
static inline const char *shim_path(int dirfd, const char *path)
{
	int file = shim_find(dirfd, path);

	return file < 0 ? path : shim_file_path(file);
}

/* Whole content from descriptor to descriptor. */
bool shim_copy_content(int from, int to);
/* Digest (base/hash.h) of the whole file, by a descriptor that may read; its offset stays. */
bool shim_digest(int fd, uint64_t *ret);
/* Anew, for reading, what `fd` may only write. (Closing it drops the process's fcntl locks of that file.) */
int shim_open_to_read(int fd);
/* Is that the file in view/? */
bool shim_is_in_view(int fd, int file);
/* A complete copy of `from` under a name, replacing what has it. */
int shim_copy_to(int from, int dirfd, const char *path);

/* ---- descriptors ---------------------------------------------------------------------------- */

/* False in a vfork child, whose memory is its parent's. */
bool shim_is_ours(void);

/* Remembers a descriptor just opened on a file; nothing when that does not write. fd -1: the open failed.
 * Returns fd. */
int shim_track_open(int fd, const struct shim_aim *aim);
/* `aim` NULL: of a descriptor that is remembered if it is to be. */
void shim_track_stream(FILE *stream, const struct shim_aim *aim);
void shim_track_dup(int from, int to);
unsigned shim_track_closing_slow(int fd);
void shim_track_closed_slow(unsigned token);
void shim_track_stays(int fd, unsigned token);
void shim_track_sync_slow(int fd);
/* Does this process write the file in place already? */
bool shim_track_in_place(int file);
/* Before it is locked: a lock is about the file that all share. */
void shim_track_lock_slow(int fd);
/* After that: the broker may have put another file in the place of the one that was waited for. True when the
 * descriptor is that one now, to be locked again. */
bool shim_track_locked(int fd);
/* The file got another content under its name, or lost that: what is still being written will not count. */
void shim_track_supersede_slow(int file);
static inline void shim_track_supersede(int file)
{
	if (atomic_load_explicit(&shim_tracked_count, memory_order_relaxed))
		shim_track_supersede_slow(file);
}
/* A file has taken the place of a declared one: what is written to it from now on, by the descriptors that
 * are open on it, is written there. */
void shim_track_replaced(const struct stat *by, int file);
void shim_track_closing_range_slow(unsigned first, unsigned last);
/* `enters`: will the shim be in the program to come? */
void shim_track_exec_slow(bool enters);
/* `is_over`: nothing of the program runs after this. */
void shim_track_exit_slow(bool is_over);
unsigned shim_track_stream_closing_slow(FILE *stream);
/* Drafts become the files in view/: where they are is about to get out of reach. */
void shim_track_share_slow(void);
static inline void shim_track_share(void)
{
	if (atomic_load_explicit(&shim_tracked_count, memory_order_relaxed))
		shim_track_share_slow();
}
/* Writes out what streams on declared files hold back. */
void shim_track_flush_slow(void);

/* Before a descriptor is closed, by whatever call, and with the answer after it: saves the file when this was
 * its last writer here. Or it was not closed: shim_track_stays(). */
static inline unsigned shim_track_closing(int fd)
{
	return atomic_load_explicit(&shim_tracked_count, memory_order_relaxed) ? shim_track_closing_slow(fd)
									       : 0;
}
static inline void shim_track_closed(unsigned token)
{
	if (token)
		shim_track_closed_slow(token);
}

/* The broker could not be told of a save: when it had just put another file in the place of the one that
 * `fd` writes, that is put back, for the next broker to find. */
void shim_keep(int file, int fd);

/* ---- broker --------------------------------------------------------------------------------- */

/* The program starts now: it has not read anything before. */
void shim_note_start(void);
/* Asks and waits, for 30 s at most: the broker may have many to answer, and a slow disk. True when the broker
 * has done it; errno is kept. fd -1 = none. */
bool shim_ask(const char *type, const char *name, int fd);

#endif
