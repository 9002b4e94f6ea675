/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors that may still write a declared file; see shim.h.
 *
 * A slot per descriptor holds the file's number and a serial of the open() that it comes from, so that a
 * duplicate keeps the save back until the last of them closes. Descriptors of SLOTS and more, and streams
 * beyond STREAMS, are not remembered: what they write is found by the broker's harvest.
 *
 * After fork the child has its own copy of table and descriptors and goes on alone. After vfork it writes in
 * the parent's memory: then nothing may be changed here and nothing is saved; the parent, or the program that
 * the child becomes, does. The two are told apart by a page that the kernel empties in a fork only. */
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "registry-shim/shim.h"
#include "registry-shim/shim_sys.h"

enum { SLOTS = 4096, STREAMS = 32, FILE_BITS = 9 };

atomic_int shim_tracked_count;
static _Atomic uint32_t slots[SLOTS]; /* 0 = free, else serial << FILE_BITS | file + 1 */
static atomic_uint next_serial = 1;
static FILE *_Atomic streams[STREAMS];
static _Atomic(atomic_int *) owner; /* pid of the process that the table describes */

static int file_of(uint32_t slot)
{
	return (int)(slot & ((1u << FILE_BITS) - 1)) - 1;
}

bool shim_is_ours(void)
{
	atomic_int *page = atomic_load(&owner);
	int pid = (int)syscall(SYS_getpid), held;

	if (!page) {
		int saved = errno;
		atomic_int *none = NULL;
		void *fresh = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (fresh == MAP_FAILED || madvise(fresh, 4096, MADV_WIPEONFORK) < 0) {
			errno = saved;
			return true;
		}
		errno = saved;
		atomic_store((atomic_int *)fresh, pid);
		if (atomic_compare_exchange_strong(&owner, &none, fresh))
			return true;
		(void)munmap(fresh, 4096);
		page = none;
	}
	held = atomic_load(page);
	if (held == 0) /* emptied by fork */
		atomic_store(page, pid);
	return held == 0 || held == pid;
}

static void set_slot(int fd, uint32_t value)
{
	uint32_t old = atomic_exchange(&slots[fd], value);

	atomic_fetch_add(&shim_tracked_count, (value != 0) - (old != 0));
}

int shim_track_open(int fd, int file, int flags)
{
	uint32_t serial;

	if (fd < 0 || fd >= SLOTS || (flags & O_PATH) ||
	    ((flags & O_ACCMODE) == O_RDONLY && !(flags & O_TRUNC)) || !shim_is_ours())
		return fd;
	serial = atomic_fetch_add(&next_serial, 1);
	set_slot(fd, serial << FILE_BITS | (uint32_t)(file + 1));
	return fd;
}

void shim_track_stream(FILE *stream, int file)
{
	int fd = fileno(stream), saved = errno, flags = (int)syscall(SYS_fcntl, fd, F_GETFL);

	errno = saved;
	if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY || !shim_is_ours())
		return;
	if (file >= 0)
		(void)shim_track_open(fd, file, flags);
	for (int i = 0; i < STREAMS; i++) {
		FILE *none = NULL;

		if (atomic_compare_exchange_strong(&streams[i], &none, stream))
			return;
	}
}

void shim_track_dup(int from, int to)
{
	if (from >= 0 && from < SLOTS && to >= 0 && to < SLOTS && from != to && atomic_load(&slots[from]) &&
	    shim_is_ours())
		set_slot(to, atomic_load(&slots[from]));
}

static bool is_last(int fd, uint32_t slot)
{
	if (atomic_load(&shim_tracked_count) > 1)
		for (int i = 0; i < SLOTS; i++)
			if (i != fd && atomic_load(&slots[i]) == slot)
				return false;
	return true;
}

static void commit(int file, int fd)
{
	if (!shim_ask("commit", file, fd))
		shim_keep(file, fd);
}

void shim_track_closing_slow(int fd)
{
	uint32_t slot = fd >= 0 && fd < SLOTS ? atomic_load(&slots[fd]) : 0;

	if (!slot || !shim_is_ours())
		return;
	if (is_last(fd, slot))
		commit(file_of(slot), fd);
	set_slot(fd, 0);
}

void shim_track_sync_slow(int fd)
{
	uint32_t slot = fd >= 0 && fd < SLOTS ? atomic_load(&slots[fd]) : 0;

	if (slot && shim_is_ours())
		commit(file_of(slot), fd);
}

void shim_track_closing_range_slow(unsigned first, unsigned last)
{
	for (unsigned fd = first; fd <= last && fd < SLOTS; fd++)
		shim_track_closing((int)fd);
}

void shim_track_stream_closing_slow(FILE *stream)
{
	int fd;

	if (!shim_is_ours())
		return;
	for (int i = 0; i < STREAMS; i++)
		if (atomic_load(&streams[i]) == stream)
			atomic_store(&streams[i], NULL);
	fd = fileno(stream);
	if (fd >= 0 && fd < SLOTS && atomic_load(&slots[fd])) {
		(void)fflush(stream);
		shim_track_closing_slow(fd);
	}
}

/* What an exec is going to close. Descriptors 0 to 2 that stay open belong to the program that comes, which
 * finds them by itself. */
void shim_track_exec_slow(void)
{
	int saved = errno;

	if (!shim_is_ours())
		return;
	for (int fd = 0; fd < SLOTS; fd++) {
		uint32_t slot = atomic_load(&slots[fd]);

		if (slot && (fd > 2 || ((int)syscall(SYS_fcntl, fd, F_GETFD) & FD_CLOEXEC)) &&
		    is_last(fd, slot))
			commit(file_of(slot), fd);
	}
	errno = saved;
}

void shim_track_exit_slow(void)
{
	if (shim_is_ours())
		shim_track_closing_range_slow(0, SLOTS - 1);
}

/* quick_exit() runs no destructors, and comes to _exit() past our wrapper. */
extern int __cxa_at_quick_exit(void (*f)(void *), void *object);

static void end_quickly(void *unused)
{
	(void)unused;
	if (atomic_load(&shim_tracked_count))
		shim_track_exit_slow();
}

/* Output redirected into a declared file by whoever started us. */
__attribute__((constructor)) static void start(void)
{
	int saved = errno;

	if (!shim_has_files())
		return;
	(void)shim_is_ours(); /* now, while we cannot be a vfork child */
	(void)__cxa_at_quick_exit(end_quickly, NULL);
	for (int fd = 0; fd <= 2; fd++) {
		struct stat st;
		int flags = (int)syscall(SYS_fcntl, fd, F_GETFL), file;

		if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY || sys_fstat(fd, &st) < 0 ||
		    !S_ISREG(st.st_mode))
			continue;
		file = shim_find_fd(fd);
		if (file >= 0)
			(void)shim_track_open(fd, file, flags);
	}
	errno = saved;
}

/* One that another thread holds is left to it. */
void shim_track_flush_slow(void)
{
	if (!shim_is_ours())
		return;
	for (int i = 0; i < STREAMS; i++) {
		FILE *f = atomic_load(&streams[i]);

		if (f && ftrylockfile(f) == 0) {
			(void)fflush_unlocked(f);
			funlockfile(f);
		}
	}
	for (FILE *const *f = (FILE *const[]){ stdout, stderr, NULL }; *f; f++) {
		int fd = fileno(*f);

		if (fd >= 0 && fd < SLOTS && atomic_load(&slots[fd]) && ftrylockfile(*f) == 0) {
			(void)fflush_unlocked(*f);
			funlockfile(*f);
		}
	}
}

/* Streams are flushed by libc only after this, so ours are flushed here. */
__attribute__((destructor)) static void end(void)
{
	if (!atomic_load(&shim_tracked_count))
		return;
	shim_track_flush_slow();
	shim_track_exit_slow();
}
