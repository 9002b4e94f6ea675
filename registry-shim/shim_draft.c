/* SPDX-License-Identifier: Apache-2.0 */
/* Drafts: the private copies that programs write; see shim.h, and broker_draft.h for what becomes of them.
 *
 * A draft is a file in RUN/drafts/ whose name says who opened it and how (shim_paths.h). Those of this
 * process stand in a table, so that a thread that looks at the path finds what it has written itself; for
 * everybody else the file stays as it was. Without a broker the draft takes the file's place in view/, whole,
 * for the next broker. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "registry-shim/shim.h"
#include "registry-shim/shim_paths.h"
#include "registry-shim/shim_sys.h"

enum { DRAFT_PATH_MAX = 640 };

enum { FREE = 0, TAKEN = -1 }; /* else file + 1 */
static struct {
	atomic_int file;
	atomic_long thread;      /* that opened it; 0 = of another process */
	atomic_bool is_copy;     /* made as one */
	atomic_bool is_gone;     /* its name is no longer the file's: removed, or another took its place */
	struct timespec changed; /* size and time of the copy */
	off_t size;
	ino_t ino, shown; /* its own, and that of the file it stands for; 0 = not known */
	dev_t dev;
	char path[DRAFT_PATH_MAX];
} drafts[SHIM_DRAFTS_MAX];

/* ---- the table ------------------------------------------------------------------------------ */

static int take_entry(void)
{
	for (int i = 0; i < SHIM_DRAFTS_MAX; i++) {
		int none = FREE;

		if (atomic_compare_exchange_strong(&drafts[i].file, &none, TAKEN))
			return i;
	}
	return -1;
}

static void publish(int draft, int file, long thread, bool is_copy)
{
	atomic_store(&drafts[draft].is_copy, is_copy);
	atomic_store(&drafts[draft].thread, thread);
	atomic_store(&drafts[draft].is_gone, false);
	atomic_store(&drafts[draft].file, file + 1);
}

int shim_draft_file(int draft)
{
	return atomic_load(&drafts[draft].file) - 1;
}

void shim_draft_forget(int draft)
{
	atomic_store(&drafts[draft].file, FREE);
}

void shim_draft_drop(int draft)
{
	int saved = errno;

	(void)sys_unlinkat(AT_FDCWD, drafts[draft].path);
	errno = saved;
	shim_draft_forget(draft);
}

const char *shim_own_path(int file)
{
	for (int i = SHIM_DRAFTS_MAX - 1; i >= 0; i--)
		if (atomic_load(&drafts[i].file) == file + 1 && !atomic_load(&drafts[i].is_gone) &&
		    atomic_load(&drafts[i].thread) == syscall(SYS_gettid))
			return drafts[i].path;
	return shim_view_path(file);
}

void shim_draft_supersede(int file)
{
	int saved = errno;

	for (int i = 0; i < SHIM_DRAFTS_MAX; i++)
		if (atomic_load(&drafts[i].file) == file + 1 && !atomic_exchange(&drafts[i].is_gone, true))
			(void)sys_unlinkat(AT_FDCWD, drafts[i].path);
	errno = saved;
}

static const char *name_of(int draft)
{
	return strrchr(drafts[draft].path, '/') + 1;
}

void shim_draft_disguise_slow(dev_t dev, ino_t *ino)
{
	for (int i = 0; i < SHIM_DRAFTS_MAX; i++)
		if (atomic_load(&drafts[i].file) > 0 && drafts[i].ino == *ino && drafts[i].dev == dev &&
		    drafts[i].shown) {
			*ino = drafts[i].shown;
			return;
		}
}

bool shim_draft_is_copy(int draft, int fd)
{
	struct stat st;

	return atomic_load(&drafts[draft].is_copy) && !atomic_load(&drafts[draft].is_gone) &&
	       sys_fstat(fd, &st) == 0 && st.st_size == drafts[draft].size &&
	       st.st_mtim.tv_sec == drafts[draft].changed.tv_sec &&
	       st.st_mtim.tv_nsec == drafts[draft].changed.tv_nsec;
}

bool shim_draft_is_own(int draft)
{
	unsigned long pid = 0;

	for (const char *s = name_of(draft); *s >= '0' && *s <= '9'; s++)
		pid = 10 * pid + (unsigned long)(*s - '0');
	return pid == (unsigned long)syscall(SYS_getpid);
}

int shim_draft_adopt(int fd)
{
	char path[SHIM_PATH_MAX];
	size_t len = shim_fd_path(fd, path, sizeof(path)), dir_len = strlen(shim_drafts_dir());
	const char *dash = len > dir_len ? strchr(path + dir_len, '-') : NULL;
	int file, draft;

	if (!dash || len >= DRAFT_PATH_MAX || memcmp(path, shim_drafts_dir(), dir_len) != 0 ||
	    path[dir_len] != '/')
		return -1;
	file = shim_find_name(dash + 1);
	draft = file < 0 ? -1 : take_entry();
	if (draft < 0)
		return -1;
	memcpy(drafts[draft].path, path, len + 1);
	drafts[draft].ino = drafts[draft].shown = 0;
	publish(draft, file, shim_draft_is_own(draft) ? syscall(SYS_gettid) : 0, false);
	return draft;
}

/* ---- making one ----------------------------------------------------------------------------- */

static char *put_text(char *at, const char *text)
{
	size_t len = strlen(text);

	memcpy(at, text, len + 1);
	return at + len;
}

static char *put_number(char *at, unsigned long long v, unsigned base)
{
	char digits[24];
	size_t n = 0;

	do
		digits[n++] = "0123456789abcdef"[v % base];
	while ((v /= base) > 0);
	while (n > 0)
		*at++ = digits[--n];
	*at = 0;
	return at;
}

/* What a draft's name says of it (shim_paths.h). */
struct kind {
	mode_t mode;
	bool is_anew; /* it begins empty */
	bool is_append;
	off_t size;    /* of the copy that it begins as */
	uint64_t base; /* digest of that */
};

/* A new file in drafts/: descriptor. */
static int create(int draft, int file, const struct kind *k)
{
	char *at = drafts[draft].path;
	struct timespec now;
	int fd;

	if (strlen(shim_drafts_dir()) + strlen(shim_view_name(file)) + 100 > DRAFT_PATH_MAX)
		return -1;
	at = put_text(put_text(at, shim_drafts_dir()), "/");
	at = put_text(put_number(at, (unsigned long)syscall(SYS_getpid), 10), ".");
	for (char *start = at; clock_gettime(CLOCK_MONOTONIC, &now) == 0;) {
		unsigned long long ns =
			(unsigned long long)now.tv_sec * 1000000000ull + (unsigned long long)now.tv_nsec;

		at = put_text(put_number(start, ns, 16), ".");
		at = put_text(put_number(at, k->mode & 07777, 8), ".");
		at = k->is_append ? put_number(at, (unsigned long long)k->size, 10) : put_text(at, "w");
		if (!k->is_anew)
			at = put_number(put_text(at, "."), k->base, 16);
		(void)put_text(put_text(at, "-"), shim_view_name(file));
		fd = sys_openat(AT_FDCWD, drafts[draft].path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
		if (fd >= 0 || errno != EEXIST)
			return fd;
	}
	return -1;
}

/* False as well when the copy is not what was there a moment ago: somebody writes that in place. */
static bool copy(int from, int to, const struct kind *k)
{
	uint64_t digest;

	return shim_copy_content(from, to) && shim_digest(to, &digest) && digest == k->base;
}

/* `there`: the file as it is, open in any way. False: no draft can be had. */
static bool make(int draft, int file, int there, const char *content, int flags)
{
	struct kind k = { .is_anew = flags & O_TRUNC, .is_append = (flags & O_APPEND) && !(flags & O_TRUNC) };
	int from = -1, to;
	struct stat st, own;
	bool is_done;
	ino_t shown;

	if (sys_fstat(there, &st) < 0 || !S_ISREG(st.st_mode))
		return false;
	shown = st.st_ino;
	if (!k.is_anew) {
		from = sys_openat(AT_FDCWD, content, O_RDONLY | O_NOFOLLOW, 0);
		if (from < 0 || sys_fstat(from, &st) < 0 || !shim_digest(from, &k.base)) {
			sys_close(from);
			return false;
		}
	}
	k.mode = st.st_mode;
	k.size = st.st_size;
	drafts[draft].shown = shown;
	to = create(draft, file, &k);
	is_done = to >= 0 && (k.is_anew || copy(from, to, &k)) &&
		  syscall(SYS_fchmod, to, st.st_mode & 07777) == 0;
	is_done = is_done && sys_fstat(to, &own) == 0 && (k.is_anew || own.st_size == k.size);
	if (is_done) {
		drafts[draft].ino = own.st_ino;
		drafts[draft].dev = own.st_dev;
	}
	if (is_done && !k.is_anew) {
		struct timespec times[] = { { .tv_nsec = UTIME_OMIT }, st.st_mtim };

		(void)syscall(SYS_utimensat, to, NULL, times, 0);
		drafts[draft].changed = st.st_mtim;
		drafts[draft].size = k.size;
	}
	if (to >= 0 && !is_done)
		(void)sys_unlinkat(AT_FDCWD, drafts[draft].path);
	sys_close(from);
	sys_close(to);
	return is_done;
}

static bool wants_draft(int file, int flags)
{
	if ((flags & O_ACCMODE) == O_RDONLY || (flags & (O_PATH | O_DIRECTORY)))
		return false;
	return (flags & O_TRUNC) || !shim_is_whole(file);
}

bool shim_aim(struct shim_aim *ret, int file, int flags, unsigned mode)
{
	int saved = errno, there;

	*ret = (struct shim_aim){ .path = shim_file_path(file), .flags = flags, .file = file, .draft = -1 };
	if (!wants_draft(file, flags) || !shim_is_ours())
		return true;
	if (shim_track_in_place(file)) { /* one file, and one lock, for all of the program */
		ret->path = shim_view_path(file);
		return true;
	}
	/* What may go wrong with the open goes wrong here; a new file is there for everybody, empty. */
	there = sys_openat(AT_FDCWD, shim_view_path(file),
			   flags & (O_ACCMODE | O_CREAT | O_EXCL | O_NOFOLLOW), mode);
	if (there < 0)
		return false;
	ret->draft = take_entry();
	if (ret->draft >= 0 && make(ret->draft, file, there, ret->path, flags)) {
		ret->path = drafts[ret->draft].path;
		ret->flags &= ~(O_CREAT | O_EXCL | O_TRUNC);
		publish(ret->draft, file, syscall(SYS_gettid), !(flags & O_TRUNC));
	} else { /* no room: in place, as everywhere */
		if (ret->draft >= 0)
			shim_draft_forget(ret->draft);
		ret->draft = -1;
		ret->path = shim_view_path(file);
		ret->flags &= ~O_EXCL;
	}
	sys_close(there);
	errno = saved;
	return true;
}

/* ---- what becomes of it --------------------------------------------------------------------- */

void shim_draft_to_view(int draft)
{
	int saved = errno, file = shim_draft_file(draft);

	if (!atomic_load(&drafts[draft].is_gone))
		(void)sys_renameat2(AT_FDCWD, drafts[draft].path, AT_FDCWD, shim_view_path(file), 0);
	errno = saved;
	shim_draft_forget(draft);
}

void shim_draft_joined(int draft)
{
	(void)shim_ask("joined", name_of(draft), -1);
}

void shim_draft_left(int draft)
{
	if (!atomic_load(&drafts[draft].is_gone))
		(void)shim_ask("left", name_of(draft), -1);
}

void shim_draft_closed(int draft)
{
	if (!shim_draft_is_own(draft))
		shim_draft_left(draft);
	else if (!atomic_load(&drafts[draft].is_gone) && !shim_ask("closed", name_of(draft), -1))
		shim_draft_to_view(draft);
	shim_draft_forget(draft);
}

void shim_draft_synced(int draft)
{
	int saved = errno, from;

	if (atomic_load(&drafts[draft].is_gone) || shim_ask("synced", name_of(draft), -1))
		return;
	from = sys_openat(AT_FDCWD, drafts[draft].path, O_RDONLY | O_NOFOLLOW, 0);
	if (from >= 0)
		(void)shim_copy_to(from, AT_FDCWD, shim_view_path(shim_draft_file(draft)));
	sys_close(from);
	errno = saved;
}
