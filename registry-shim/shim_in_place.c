/* SPDX-License-Identifier: Apache-2.0 */
/* Declared files that are written in place: locks, and what others put in their place; see shim.h. */
#include <errno.h>
#include <string.h>

#include "registry-shim/shim_slots.h"
#include "registry-shim/shim_sys.h"

atomic_bool shim_may_hold_back;

/* The file that is in view/ now, at the offset of `fd`, or -1. */
static int open_view(int fd, int file, int flags)
{
	int view = sys_openat(AT_FDCWD, shim_view_path(file), flags, 0);

	if (view >= 0)
		(void)syscall(SYS_lseek, view, (off_t)syscall(SYS_lseek, fd, (off_t)0, SEEK_CUR), SEEK_SET);
	return view;
}

/* `fd` becomes a descriptor of what `other` is open on. */
static bool become(int fd, int other)
{
	bool is_cloexec = (int)syscall(SYS_fcntl, fd, F_GETFD) & FD_CLOEXEC;

	return syscall(SYS_dup3, other, fd, is_cloexec ? O_CLOEXEC : 0) >= 0;
}

void shim_track_lock_slow(int fd)
{
	uint32_t slot = shim_slot(fd);
	int saved = errno, flags, view, draft, file;

	if (!slot || !slot_is_draft(slot) || !shim_is_ours() || !shim_draft_is_copy(slot_draft(slot), fd))
		return;
	draft = slot_draft(slot);
	file = shim_draft_file(draft);
	flags = (int)syscall(SYS_fcntl, fd, F_GETFL);
	view = open_view(fd, file, O_RDWR | (flags & (O_NONBLOCK | O_APPEND)));
	if (view >= 0 && shim_slot_is_last(fd, slot) && become(fd, view)) {
		shim_slot_set(fd, slot_in_place(slot, file));
		shim_slot_note(fd, false);
		shim_draft_drop(draft);
	}
	if (view >= 0)
		sys_close(view);
	errno = saved;
}

bool shim_track_in_place(int file)
{
	if (atomic_load_explicit(&shim_tracked_count, memory_order_relaxed))
		for (int fd = 0; fd < SHIM_SLOTS; fd++)
			if (slot_what(atomic_load(&shim_slots[fd])) == file + 1 && shim_is_in_view(fd, file))
				return true;
	return false;
}

/* `fd`, and what it is a duplicate of, become descriptors of the file that is in view/ now. */
static bool move_to_view(int fd, int file)
{
	uint32_t slot = shim_slot(fd);
	int flags = (int)syscall(SYS_fcntl, fd, F_GETFL);
	int view = open_view(fd, file, flags & (O_ACCMODE | O_NONBLOCK | O_APPEND));
	bool is_done = false;

	if (view < 0)
		return false;
	for (int to = 0; to < SHIM_SLOTS; to++)
		if (to == fd || (slot && atomic_load(&shim_slots[to]) == slot))
			is_done |= become(to, view) && to == fd;
	sys_close(view);
	if (is_done && !slot)
		(void)shim_track_open(fd, &(struct shim_aim){ .flags = flags, .file = file, .draft = -1 });
	return is_done;
}

bool shim_track_locked(int fd)
{
	uint32_t slot = shim_slot(fd);
	int saved = errno, file = -1;
	struct stat st;
	bool is_again = false;

	if (!shim_has_files() || fd >= SHIM_SLOTS || sys_fstat(fd, &st) < 0 || !shim_is_ours()) {
		errno = saved;
		return false;
	}
	if (st.st_nlink == 0)
		file = shim_find_lost_fd(fd);
	if (file >= 0)
		is_again = move_to_view(fd, file);
	else if (slot && !slot_is_draft(slot))
		shim_slot_note(fd, false);
	errno = saved;
	return is_again;
}

void shim_track_supersede_slow(int file)
{
	shim_draft_supersede(file);
	if (!shim_is_ours())
		return;
	for (int fd = 0; fd < SHIM_SLOTS; fd++) {
		uint32_t slot = atomic_load(&shim_slots[fd]);

		if (slot && slot_what(slot) == file + 1)
			shim_slot_set(fd, 0);
	}
}

static bool writes(int fd, const struct stat *file)
{
	struct stat st;
	int flags;

	if (sys_fstat(fd, &st) < 0 || st.st_ino != file->st_ino || st.st_dev != file->st_dev)
		return false;
	flags = (int)syscall(SYS_fcntl, fd, F_GETFL);
	return flags >= 0 && !(flags & O_PATH) && (flags & O_ACCMODE) != O_RDONLY;
}

static int number_of(const char *digits)
{
	int n = 0;

	for (; *digits >= '0' && *digits <= '9' && n < SHIM_SLOTS; digits++)
		n = 10 * n + *digits - '0';
	return *digits ? -1 : n;
}

void shim_track_replaced(const struct stat *by, int file)
{
	struct entry { /* getdents64(2) */
		uint64_t ino;
		int64_t off;
		uint16_t len;
		uint8_t type;
		char name[];
	};
	_Alignas(struct entry) char block[2048];
	uint32_t slot = shim_slot_serial() | (uint32_t)(file + 1);
	int saved = errno;
	int dir = shim_is_ours() ? sys_openat(AT_FDCWD, "/proc/self/fd", O_RDONLY | O_DIRECTORY, 0) : -1;
	long n;

	while (dir >= 0 && (n = syscall(SYS_getdents64, dir, block, sizeof(block))) > 0)
		for (long at = 0; at < n; at += ((struct entry *)(void *)(block + at))->len) {
			int fd = number_of(((struct entry *)(void *)(block + at))->name);

			if (fd >= 0 && fd < SHIM_SLOTS && !atomic_load(&shim_slots[fd]) && writes(fd, by)) {
				shim_slot_set(fd, slot);
				shim_slot_note(fd, true);
				atomic_store(&shim_may_hold_back, true);
			}
		}
	if (dir >= 0)
		sys_close(dir);
	errno = saved;
}
