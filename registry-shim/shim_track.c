/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors that may still write a declared file; see shim.h.
 *
 * A slot per descriptor holds the number of its draft, or of the file when that is written in place, and a
 * serial of the open() that it comes from, so that a duplicate keeps the save back until the last of them
 * closes. Descriptors of SLOTS and more, and streams beyond STREAMS, are not remembered: what they write is
 * written in place and found by the broker's harvest.
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

enum { SLOTS = 4096, STREAMS = 32, WHAT_BITS = 9, ADOPTED = 10 };

atomic_int shim_tracked_count;
static _Atomic uint32_t slots[SLOTS]; /* 0 = free, else serial << WHAT_BITS | what */
/* Of a file that is written in place: the digest of what was in it when the descriptor came to it, or got its
 * lock; 0 = not known. When others have put another file in its place since, who has not written it has
 * nothing to say. */
static _Atomic uint64_t noted[SLOTS];
static atomic_uint next_serial = 1;
static atomic_bool may_hold_back; /* streams that are not remembered may be about a file in place */
static FILE *_Atomic streams[STREAMS];
static _Atomic(atomic_int *) owner; /* pid of the process that the table describes */

/* What a slot is about: file + 1, or FIRST_DRAFT + draft. */
enum { FIRST_DRAFT = SHIM_FILES_MAX + 1, WHAT_MAX = FIRST_DRAFT + SHIM_DRAFTS_MAX };
_Static_assert(WHAT_MAX <= 1 << WHAT_BITS, "it has room");

static int what_of(uint32_t slot)
{
	return (int)(slot & ((1u << WHAT_BITS) - 1));
}

static bool is_draft(uint32_t slot)
{
	return what_of(slot) >= FIRST_DRAFT;
}

static int draft_of(uint32_t slot)
{
	return what_of(slot) - FIRST_DRAFT;
}

static uint32_t in_place(uint32_t slot, int file)
{
	return (slot & ~((1u << WHAT_BITS) - 1)) | (uint32_t)(file + 1);
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

	atomic_store(&noted[fd], 0);
	atomic_fetch_add(&shim_tracked_count, (value != 0) - (old != 0));
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

static void note_content(int fd, bool may_open)
{
	int saved = errno;
	uint64_t digest;

	atomic_store(&noted[fd], digest_of(fd, may_open, &digest) ? digest : 0);
	errno = saved;
}

static bool is_left_behind(int fd, int file)
{
	uint64_t then = atomic_load(&noted[fd]), now;

	return then && !shim_is_in_view(fd, file) && digest_of(fd, true, &now) && now == then;
}

int shim_track_open(int fd, const struct shim_aim *aim)
{
	bool is_writer =
		!(aim->flags & O_PATH) && ((aim->flags & O_ACCMODE) != O_RDONLY || (aim->flags & O_TRUNC));

	if (fd < 0 && aim->draft >= 0)
		shim_draft_drop(aim->draft);
	else if (fd >= SLOTS && aim->draft >= 0)
		shim_draft_to_view(aim->draft);
	else if (fd >= 0 && fd < SLOTS && is_writer && shim_is_ours()) {
		set_slot(fd, atomic_fetch_add(&next_serial, 1) << WHAT_BITS |
				     (uint32_t)(aim->draft < 0 ? aim->file + 1 : FIRST_DRAFT + aim->draft));
		if (aim->draft < 0 && !(aim->flags & O_TRUNC))
			note_content(fd, false);
	}
	return fd;
}

void shim_track_stream(FILE *stream, const struct shim_aim *aim)
{
	int fd = fileno(stream), saved = errno, flags = (int)syscall(SYS_fcntl, fd, F_GETFL);

	errno = saved;
	if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY || !shim_is_ours())
		return;
	if (aim)
		(void)shim_track_open(fd, aim);
	for (int i = 0; i < STREAMS; i++) {
		FILE *none = NULL;

		if (atomic_compare_exchange_strong(&streams[i], &none, stream))
			return;
	}
}

static void copy_slot(int from, int to)
{
	set_slot(to, atomic_load(&slots[from]));
	atomic_store(&noted[to], atomic_load(&noted[from]));
}

void shim_track_dup(int from, int to)
{
	if (from >= 0 && from < SLOTS && to >= 0 && to < SLOTS && from != to && atomic_load(&slots[from]) &&
	    shim_is_ours())
		copy_slot(from, to);
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
	if (!is_left_behind(fd, file) && !shim_ask("commit", shim_view_name(file), fd))
		shim_keep(file, fd);
}

unsigned shim_track_closing_slow(int fd)
{
	uint32_t slot = fd >= 0 && fd < SLOTS ? atomic_load(&slots[fd]) : 0;
	bool was_last;

	if (!slot || !shim_is_ours())
		return 0;
	was_last = is_last(fd, slot);
	if (was_last && !is_draft(slot))
		commit(what_of(slot) - 1, fd);
	set_slot(fd, 0);
	return was_last && is_draft(slot) ? slot : 0;
}

void shim_track_closed_slow(unsigned token)
{
	shim_draft_closed(draft_of(token));
}

void shim_track_stays(int fd, unsigned token)
{
	set_slot(fd, token);
}

void shim_track_sync_slow(int fd)
{
	uint32_t slot = fd >= 0 && fd < SLOTS ? atomic_load(&slots[fd]) : 0;

	if (!slot || !shim_is_ours())
		return;
	if (is_draft(slot))
		shim_draft_synced(draft_of(slot));
	else
		commit(what_of(slot) - 1, fd);
}

void shim_track_lock_slow(int fd)
{
	uint32_t slot = fd >= 0 && fd < SLOTS ? atomic_load(&slots[fd]) : 0;
	int saved = errno, flags, view, draft, file;
	off_t off;

	if (!slot || !is_draft(slot) || !shim_is_ours() || !shim_draft_is_copy(draft_of(slot), fd))
		return;
	draft = draft_of(slot);
	file = shim_draft_file(draft);
	flags = (int)syscall(SYS_fcntl, fd, F_GETFL);
	view = sys_openat(AT_FDCWD, shim_view_path(file), O_RDWR | (flags & (O_NONBLOCK | O_APPEND)), 0);
	off = (off_t)syscall(SYS_lseek, fd, (off_t)0, SEEK_CUR);
	if (view >= 0 && is_last(fd, slot)) {
		(void)syscall(SYS_lseek, view, off, SEEK_SET);
		flags = (int)syscall(SYS_fcntl, fd, F_GETFD) & FD_CLOEXEC ? O_CLOEXEC : 0;
		if (syscall(SYS_dup3, view, fd, flags) >= 0) {
			set_slot(fd, in_place(slot, file));
			note_content(fd, false);
			shim_draft_drop(draft);
		}
	}
	if (view >= 0)
		sys_close(view);
	errno = saved;
}

bool shim_track_in_place(int file)
{
	if (atomic_load_explicit(&shim_tracked_count, memory_order_relaxed))
		for (int fd = 0; fd < SLOTS; fd++)
			if (what_of(atomic_load(&slots[fd])) == file + 1 && shim_is_in_view(fd, file))
				return true;
	return false;
}

/* `fd`, and what it is a duplicate of, become descriptors of the file that is in view/ now. */
static bool move_to_view(int fd, int file)
{
	uint32_t slot = fd < SLOTS ? atomic_load(&slots[fd]) : 0;
	int flags = (int)syscall(SYS_fcntl, fd, F_GETFL);
	int view = sys_openat(AT_FDCWD, shim_view_path(file), flags & (O_ACCMODE | O_NONBLOCK | O_APPEND), 0);
	bool is_done = false;

	if (view < 0)
		return false;
	(void)syscall(SYS_lseek, view, (off_t)syscall(SYS_lseek, fd, (off_t)0, SEEK_CUR), SEEK_SET);
	for (int to = 0; to < SLOTS; to++)
		if (to == fd || (slot && atomic_load(&slots[to]) == slot)) {
			int is_cloexec = (int)syscall(SYS_fcntl, to, F_GETFD) & FD_CLOEXEC;

			is_done |= syscall(SYS_dup3, view, to, is_cloexec ? O_CLOEXEC : 0) >= 0 && to == fd;
		}
	sys_close(view);
	if (is_done && !slot)
		(void)shim_track_open(fd, &(struct shim_aim){ .flags = flags, .file = file, .draft = -1 });
	return is_done;
}

bool shim_track_locked(int fd)
{
	uint32_t slot = fd >= 0 && fd < SLOTS ? atomic_load(&slots[fd]) : 0;
	int saved = errno, file = -1;
	struct stat st;
	bool is_again = false;

	if (!shim_has_files() || fd >= SLOTS || sys_fstat(fd, &st) < 0 || !shim_is_ours()) {
		errno = saved;
		return false;
	}
	if (st.st_nlink == 0)
		file = shim_find_lost_fd(fd);
	if (file >= 0)
		is_again = move_to_view(fd, file);
	else if (slot && !is_draft(slot))
		note_content(fd, false);
	errno = saved;
	return is_again;
}

void shim_track_supersede_slow(int file)
{
	shim_draft_supersede(file);
	if (!shim_is_ours())
		return;
	for (int fd = 0; fd < SLOTS; fd++) {
		uint32_t slot = atomic_load(&slots[fd]);

		if (slot && what_of(slot) == file + 1)
			set_slot(fd, 0);
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

	for (; *digits >= '0' && *digits <= '9' && n < SLOTS; digits++)
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
	uint32_t slot = atomic_fetch_add(&next_serial, 1) << WHAT_BITS | (uint32_t)(file + 1);
	int saved = errno;
	int dir = shim_is_ours() ? sys_openat(AT_FDCWD, "/proc/self/fd", O_RDONLY | O_DIRECTORY, 0) : -1;
	long n;

	while (dir >= 0 && (n = syscall(SYS_getdents64, dir, block, sizeof(block))) > 0)
		for (long at = 0; at < n; at += ((struct entry *)(void *)(block + at))->len) {
			int fd = number_of(((struct entry *)(void *)(block + at))->name);

			if (fd >= 0 && fd < SLOTS && !atomic_load(&slots[fd]) && writes(fd, by)) {
				set_slot(fd, slot);
				note_content(fd, true);
				atomic_store(&may_hold_back, true);
			}
		}
	if (dir >= 0)
		sys_close(dir);
	errno = saved;
}

static void close_now(int fd)
{
	unsigned token = shim_track_closing_slow(fd);

	sys_close(fd);
	shim_track_closed(token);
}

void shim_track_closing_range_slow(unsigned first, unsigned last)
{
	if (!shim_is_ours())
		return;
	for (unsigned fd = first; fd <= last && fd < SLOTS; fd++)
		if (atomic_load(&slots[fd]))
			close_now((int)fd);
}

unsigned shim_track_stream_closing_slow(FILE *stream)
{
	int fd;

	if (!shim_is_ours())
		return 0;
	for (int i = 0; i < STREAMS; i++)
		if (atomic_load(&streams[i]) == stream)
			atomic_store(&streams[i], NULL);
	fd = fileno(stream);
	if (fd < 0 || fd >= SLOTS || !atomic_load(&slots[fd]))
		return 0;
	(void)fflush(stream);
	return shim_track_closing_slow(fd);
}

/* Every descriptor of a draft goes on in place. */
static void to_view(int draft)
{
	int file = shim_draft_file(draft);

	shim_draft_to_view(draft);
	for (int fd = 0; fd < SLOTS; fd++) {
		uint32_t slot = atomic_load(&slots[fd]);

		if (slot && is_draft(slot) && draft_of(slot) == draft)
			set_slot(fd, in_place(slot, file));
	}
}

void shim_track_share_slow(void)
{
	int saved = errno;

	if (!shim_is_ours())
		return;
	for (int fd = 0; fd < SLOTS; fd++) {
		uint32_t slot = atomic_load(&slots[fd]);

		if (slot && is_draft(slot))
			to_view(draft_of(slot));
	}
	errno = saved;
}

/* Saves a draft that is about to end, while the descriptor must stay open, for the case that somebody still
 * uses it: what comes late is written in place. */
static void finish(int fd, uint32_t slot)
{
	int flags = (int)syscall(SYS_fcntl, fd, F_GETFL), file = shim_draft_file(draft_of(slot)), again;
	int is_cloexec = (int)syscall(SYS_fcntl, fd, F_GETFD) & FD_CLOEXEC;
	off_t off = (off_t)syscall(SYS_lseek, fd, (off_t)0, SEEK_CUR);
	bool is_own = shim_draft_is_own(draft_of(slot));

	close_now(fd);
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
	set_slot(fd, in_place(slot, file));
}

static void exec_with(int fd, uint32_t slot, bool enters)
{
	bool is_kept = !((int)syscall(SYS_fcntl, fd, F_GETFD) & FD_CLOEXEC);

	if (is_draft(slot) && is_kept && !shim_draft_is_own(draft_of(slot))) {
		if (!enters || fd >= ADOPTED)
			shim_draft_left(draft_of(slot));
	} else if (is_draft(slot) && is_kept && (!enters || fd >= ADOPTED)) {
		to_view(draft_of(slot));
	} else if (is_draft(slot) && !is_kept) {
		finish(fd, slot);
	} else if (!is_draft(slot) && (!is_kept || fd >= ADOPTED) && is_last(fd, slot)) {
		commit(what_of(slot) - 1, fd);
	}
}

/* What an exec is going to close; and what stays open belongs to the program that comes, which finds it by
 * itself if the shim gets into it. */
void shim_track_exec_slow(bool enters)
{
	int saved = errno;

	if (!shim_is_ours())
		return;
	for (int fd = 0; fd < SLOTS; fd++) {
		uint32_t slot = atomic_load(&slots[fd]);

		if (slot)
			exec_with(fd, slot, enters);
	}
	errno = saved;
}

void shim_track_exit_slow(bool is_over)
{
	if (!shim_is_ours())
		return;
	for (int fd = 0; fd < SLOTS; fd++) {
		uint32_t slot = atomic_load(&slots[fd]);

		if (slot && is_draft(slot) && !is_over)
			finish(fd, slot);
		else if (slot && is_draft(slot))
			close_now(fd);
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
		uint32_t slot = atomic_load(&slots[before]);

		if (slot && syscall(SYS_kcmp, syscall(SYS_getpid), syscall(SYS_getpid), 0 /* KCMP_FILE */,
				    before, fd) == 0) {
			set_slot(fd, slot);
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
	atomic_store(&noted[fd], 0); /* the program before may have written it */
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
	if (atomic_load(&may_hold_back))
		(void)fflush(NULL);
	shim_track_flush_slow();
	shim_track_exit_slow(false);
}
