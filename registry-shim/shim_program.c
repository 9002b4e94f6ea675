/* SPDX-License-Identifier: Apache-2.0 */
/* The beginning and the end of a program: what it finds open, and what it leaves behind when another takes
 * its place or it exits; see shim.h. */
#include <errno.h>

#include "registry-shim/shim_slots.h"
#include "registry-shim/shim_sys.h"

enum { ADOPTED = 10 }; /* descriptors that an exec keeps */

/* Every descriptor of a draft goes on in place. */
static void to_view(int draft)
{
	int file = shim_draft_file(draft);

	shim_draft_to_view(draft);
	for (int fd = 0; fd < SHIM_SLOTS; fd++) {
		uint32_t slot = atomic_load(&shim_slots[fd]);

		if (slot && slot_is_draft(slot) && slot_draft(slot) == draft)
			shim_slot_set(fd, slot_in_place(slot, file));
	}
}

void shim_track_share_slow(void)
{
	int saved = errno;

	if (!shim_is_ours())
		return;
	for (int fd = 0; fd < SHIM_SLOTS; fd++) {
		uint32_t slot = atomic_load(&shim_slots[fd]);

		if (slot && slot_is_draft(slot))
			to_view(slot_draft(slot));
	}
	errno = saved;
}

/* Saves a draft that is about to end, while the descriptor must stay open, for the case that somebody still
 * uses it: what comes late is written in place. */
static void finish(int fd, uint32_t slot)
{
	int flags = (int)syscall(SYS_fcntl, fd, F_GETFL), file = shim_draft_file(slot_draft(slot)), again;
	int is_cloexec = (int)syscall(SYS_fcntl, fd, F_GETFD) & FD_CLOEXEC;
	off_t off = (off_t)syscall(SYS_lseek, fd, (off_t)0, SEEK_CUR);
	bool is_own = shim_draft_is_own(slot_draft(slot));

	shim_slot_close(fd);
	if (!is_own || flags < 0 || file < 0)
		return;
	again = sys_openat(AT_FDCWD, shim_view_path(file), flags & (O_ACCMODE | O_APPEND), 0);
	if (again < 0)
		return;
	(void)syscall(SYS_lseek, again, off, SEEK_SET);
	if (again != fd) {
		(void)syscall(SYS_dup3, again, fd, is_cloexec ? O_CLOEXEC : 0);
		sys_close(again);
	}
	shim_slot_set(fd, slot_in_place(slot, file));
}

static void exec_with(int fd, uint32_t slot, bool enters)
{
	bool is_kept = !((int)syscall(SYS_fcntl, fd, F_GETFD) & FD_CLOEXEC);

	if (slot_is_draft(slot) && is_kept && !shim_draft_is_own(slot_draft(slot))) {
		if (!enters || fd >= ADOPTED)
			shim_draft_left(slot_draft(slot));
	} else if (slot_is_draft(slot) && is_kept && (!enters || fd >= ADOPTED)) {
		to_view(slot_draft(slot));
	} else if (slot_is_draft(slot) && !is_kept) {
		finish(fd, slot);
	} else if (!slot_is_draft(slot) && (!is_kept || fd >= ADOPTED) && shim_slot_is_last(fd, slot)) {
		shim_slot_commit(slot_what(slot) - 1, fd);
	}
}

/* What an exec is going to close; and what stays open belongs to the program that comes, which finds it by
 * itself if the shim gets into it. */
void shim_track_exec_slow(bool enters)
{
	int saved = errno;

	if (!shim_is_ours())
		return;
	for (int fd = 0; fd < SHIM_SLOTS; fd++) {
		uint32_t slot = atomic_load(&shim_slots[fd]);

		if (slot)
			exec_with(fd, slot, enters);
	}
	errno = saved;
}

void shim_track_exit_slow(bool is_over)
{
	if (!shim_is_ours())
		return;
	for (int fd = 0; fd < SHIM_SLOTS; fd++) {
		uint32_t slot = atomic_load(&shim_slots[fd]);

		if (slot && slot_is_draft(slot) && !is_over)
			finish(fd, slot);
		else if (slot && slot_is_draft(slot))
			shim_slot_close(fd);
		else if (slot)
			(void)shim_track_closing_slow(fd);
	}
}

/* quick_exit() runs no destructors, and comes to _exit() past our wrapper. */
extern int __cxa_at_quick_exit(void (*f)(void *), void *object);

static void end_quickly(void *unused)
{
	(void)unused;
	if (atomic_load(&shim_tracked_count))
		shim_track_exit_slow(true);
}

/* An open descriptor from whoever started us; writing a declared file perhaps. */
static void adopt(int fd)
{
	struct shim_aim aim = { .draft = -1, .file = -1 };
	struct stat st;

	aim.flags = (int)syscall(SYS_fcntl, fd, F_GETFL);
	if (aim.flags < 0 || (aim.flags & O_ACCMODE) == O_RDONLY || sys_fstat(fd, &st) < 0 ||
	    !S_ISREG(st.st_mode))
		return;
	for (int before = 0; before < fd; before++) { /* a duplicate */
		uint32_t slot = atomic_load(&shim_slots[before]);

		if (slot && syscall(SYS_kcmp, syscall(SYS_getpid), syscall(SYS_getpid), 0 /* KCMP_FILE */,
				    before, fd) == 0) {
			shim_slot_set(fd, slot);
			return;
		}
	}
	aim.draft = shim_draft_adopt(fd);
	if (aim.draft >= 0 && !shim_draft_is_own(aim.draft)) {
		if (fd > 2) { /* it may not even know */
			shim_draft_forget(aim.draft);
			return;
		}
		shim_draft_joined(aim.draft);
	}
	if (aim.draft < 0)
		aim.file = shim_find_fd(fd);
	if (aim.draft >= 0 || aim.file >= 0)
		(void)shim_track_open(fd, &aim);
	atomic_store(&shim_noted[fd], 0); /* the program before may have written it */
}

__attribute__((constructor)) static void start(void)
{
	int saved = errno;

	if (!shim_has_files())
		return;
	shim_note_start();
	(void)shim_is_ours(); /* now, while we cannot be a vfork child */
	(void)__cxa_at_quick_exit(end_quickly, NULL);
	for (int fd = 0; fd < ADOPTED; fd++)
		adopt(fd);
	errno = saved;
}

/* Streams are flushed by libc only after this, so ours are flushed here. */
__attribute__((destructor)) static void end(void)
{
	if (!atomic_load(&shim_tracked_count))
		return;
	if (atomic_load(&shim_may_hold_back))
		(void)fflush(NULL);
	shim_track_flush_slow();
	shim_track_exit_slow(false);
}
