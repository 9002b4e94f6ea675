/* SPDX-License-Identifier: Apache-2.0 */
/* The table of descriptors; see shim_slots.h.
 *
 * After fork the child has its own copy of table and descriptors and goes on alone. After vfork it writes in
 * the parent's memory: then nothing may be changed here and nothing is saved; the parent, or the program that
 * the child becomes, does. The two are told apart by a page that the kernel empties in a fork only. */
#include "registry-shim/shim_slots.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "registry-shim/shim_sys.h"

atomic_int shim_tracked_count;
_Atomic uint32_t shim_slots[SHIM_SLOTS];
_Atomic uint64_t shim_noted[SHIM_SLOTS];
static atomic_uint next_serial = 1;
static _Atomic(atomic_int *) owner; /* pid of the process that the table describes */

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

uint32_t shim_slot_serial(void)
{
	return atomic_fetch_add(&next_serial, 1) << SHIM_SLOT_WHAT_BITS;
}

void shim_slot_set(int fd, uint32_t value)
{
	uint32_t old = atomic_exchange(&shim_slots[fd], value);

	atomic_store(&shim_noted[fd], 0);
	atomic_fetch_add(&shim_tracked_count, (value != 0) - (old != 0));
}

void shim_slot_copy(int from, int to)
{
	shim_slot_set(to, atomic_load(&shim_slots[from]));
	atomic_store(&shim_noted[to], atomic_load(&shim_noted[from]));
}

bool shim_slot_is_last(int fd, uint32_t slot)
{
	if (atomic_load(&shim_tracked_count) > 1)
		for (int i = 0; i < SHIM_SLOTS; i++)
			if (i != fd && atomic_load(&shim_slots[i]) == slot)
				return false;
	return true;
}

/* `may_open`: nobody here has locks of it that are fcntl's. */
static bool digest_of(int fd, bool may_open, uint64_t *ret)
{
	enum { DIGEST_MAX = 4 * 1024 * 1024 };
	int flags = (int)syscall(SYS_fcntl, fd, F_GETFL), own = -1;
	struct stat st;
	bool is_done;

	if (sys_fstat(fd, &st) < 0 || st.st_size > DIGEST_MAX)
		return false;
	if ((flags & O_ACCMODE) == O_WRONLY)
		own = may_open ? shim_open_to_read(fd) : -1;
	is_done = own >= 0 || (flags & O_ACCMODE) != O_WRONLY ? shim_digest(own < 0 ? fd : own, ret) : false;
	if (own >= 0)
		sys_close(own);
	return is_done;
}

void shim_slot_note(int fd, bool may_open)
{
	int saved = errno;
	uint64_t digest;

	atomic_store(&shim_noted[fd], digest_of(fd, may_open, &digest) ? digest : 0);
	errno = saved;
}

static bool is_left_behind(int fd, int file)
{
	uint64_t then = atomic_load(&shim_noted[fd]), now;

	return then && !shim_is_in_view(fd, file) && digest_of(fd, true, &now) && now == then;
}

void shim_slot_commit(int file, int fd)
{
	if (!is_left_behind(fd, file) && !shim_ask("commit", shim_view_name(file), fd))
		shim_keep(file, fd);
}

void shim_slot_close(int fd)
{
	unsigned token = shim_track_closing_slow(fd);

	sys_close(fd);
	shim_track_closed(token);
}
