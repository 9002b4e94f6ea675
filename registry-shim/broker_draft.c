/* SPDX-License-Identifier: Apache-2.0 */
/* Drafts; see broker_draft.h. */
#include "registry-shim/broker_draft.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/hash.h"
#include "base/log.h"
#include "registry-shim/broker_view.h"

/* What every step here is about. */
struct saving {
	struct broker_drafts *drafts;
	struct broker_file *f;
	struct reg_hive *h;
	const struct broker_dirs *dirs;
	const char *name;
	int fd;
};

int broker_drafts_open(struct broker_drafts *d, int run, struct err *e)
{
	if (mkdirat(run, "drafts", 0700) < 0 && errno != EEXIST)
		return err_sys(e, errno, "drafts");
	d->dir = openat(run, "drafts", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return d->dir < 0 ? err_sys(e, errno, "drafts") : 0;
}

void broker_drafts_fini(struct broker_drafts *d)
{
	for (size_t i = 0; i < BROKER_DRAFTS_MAX; i++)
		free(d->list[i].name);
	fd_close(d->dir);
	memset(d, 0, sizeof(*d));
	d->dir = -1;
}

const char *broker_draft_file(const char *name)
{
	size_t len = strspn(name, "0123456789abcdef.w");

	return len > 0 && *name != '.' && name[len] == '-' ? name + len + 1 : NULL;
}

/* ---- what was said -------------------------------------------------------------------------- */

static struct broker_draft *find(struct broker_drafts *d, const char *name)
{
	for (size_t i = 0; i < BROKER_DRAFTS_MAX; i++)
		if (d->list[i].name && !strcmp(d->list[i].name, name))
			return &d->list[i];
	return NULL;
}

static void forget(struct broker_drafts *d, const char *name)
{
	struct broker_draft *known = find(d, name);

	if (!known)
		return;
	free(known->name);
	*known = (struct broker_draft){ 0 };
}

/* Who writes it; without room for that it is not known. */
static int remember(struct broker_drafts *d, const char *name, enum broker_draft_word word, long pid,
		    struct err *e)
{
	struct broker_draft *known = find(d, name);

	for (size_t i = 0; i < BROKER_DRAFTS_MAX && !known; i++)
		if (!d->list[i].name)
			known = &d->list[i];
	if (!known)
		return 0;
	if (!known->name && !(known->name = mem_strdup(name, e)))
		return -1;
	for (size_t i = 0; i < BROKER_DRAFT_WRITERS_MAX; i++)
		if (known->joined[i] == pid && word != BROKER_DRAFT_SYNCED)
			known->joined[i] = 0;
	for (size_t i = 0; i < BROKER_DRAFT_WRITERS_MAX && word == BROKER_DRAFT_JOINED; i++)
		if (!known->joined[i]) {
			known->joined[i] = pid;
			break;
		}
	return 0;
}

static bool has_writers(struct broker_drafts *d, const char *name)
{
	const struct broker_draft *known = find(d, name);

	for (size_t i = 0; known && i < BROKER_DRAFT_WRITERS_MAX; i++)
		if (known->joined[i])
			return true;
	return false;
}

/* ---- the draft itself ----------------------------------------------------------------------- */

static int open_draft(const struct broker_drafts *d, const char *name)
{
	return openat(d->dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
}

/* The note that a draft is closed: ".closed-NAME", and in it what was saved of it then. Caller frees. */
static char *note_of(const char *name)
{
	struct err ignored;

	return mem_printf(&ignored, ".closed-%s", name);
}

static bool is_closed(const struct broker_drafts *d, const char *name)
{
	auto_free char *note = note_of(name);

	return note && faccessat(d->dir, note, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void note_closed(const struct broker_drafts *d, const char *name)
{
	auto_free char *note = note_of(name);
	auto_fd int fd =
		note ? openat(d->dir, note, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600)
		     : -1;

	(void)fd;
}

static void throw_away(struct broker_drafts *d, const char *name)
{
	auto_free char *note = note_of(name);

	if (note)
		(void)unlinkat(d->dir, note, 0);
	(void)unlinkat(d->dir, name, 0);
	forget(d, name);
}

/* What its name says of a draft (shim_paths.h). */
struct named {
	mode_t mode;
	bool is_append;
	size_t append_at;
	bool has_base;
	uint64_t base;
};

static struct named read_name(const char *name)
{
	const char *mode = strchr(name, '.'), *append, *base;
	struct named n = { .mode = 0600 };
	char *end;

	mode = mode ? strchr(mode + 1, '.') : NULL;
	append = mode ? strchr(mode + 1, '.') : NULL;
	if (!append)
		return n;
	n.mode = (mode_t)strtoul(mode + 1, NULL, 8) & 07777;
	n.append_at = (size_t)strtoull(append + 1, &end, 10);
	n.is_append = append[1] != 'w' && (*end == '.' || *end == '-');
	base = append + 1 + strcspn(append + 1, ".-");
	if (*base == '.') {
		n.base = strtoull(base + 1, &end, 16);
		n.has_base = end != base + 1 && *end == '-';
	}
	return n;
}

/* What somebody did to the file's mode meanwhile counts, unless the program did so to the draft's. */
static void settle_mode(const struct saving *s, mode_t before)
{
	struct stat draft, view;

	if (fstat(s->fd, &draft) == 0 && (draft.st_mode & 07777) == before &&
	    fstatat(s->dirs->view, s->f->name, &view, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(view.st_mode) &&
	    (view.st_mode & 07777) != before)
		(void)fchmod(s->fd, view.st_mode & 07777);
}

static bool is_later(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec > b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec > b->tv_nsec);
}

/* Nothing was written; mode and time may have been set all the same. A time in the past counts when the file
 * is still the one that the program opened. */
static void settle_unwritten(const struct saving *s, const struct named *n)
{
	auto_fd int view =
		openat(s->dirs->view, s->f->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	struct stat draft, st;
	bool is_same = s->f->shown && hash_bytes(HASH_SEED, s->f->shown, s->f->shown_len) == n->base;

	if (view < 0 || fstat(s->fd, &draft) < 0 || fstat(view, &st) < 0 || !S_ISREG(st.st_mode))
		return;
	if ((draft.st_mode & 07777) != n->mode)
		(void)fchmod(view, draft.st_mode & 07777);
	if (is_same || is_later(&draft.st_mtim, &st.st_mtim)) {
		const struct timespec times[] = { { .tv_nsec = UTIME_OMIT }, draft.st_mtim };

		(void)futimens(view, times);
	}
}

static struct draft_saved saved_of(const struct saving *s)
{
	const struct broker_draft *known = find(s->drafts, s->name);
	auto_free char *note = known && known->saved.is_any ? NULL : note_of(s->name);
	auto_fd int fd =
		note ? openat(s->drafts->dir, note, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC) : -1;
	uint64_t noted[2]; /* digest, length */

	if (known && known->saved.is_any)
		return known->saved;
	if (fd < 0 || pread(fd, noted, sizeof(noted), 0) != sizeof(noted))
		return (struct draft_saved){ 0 };
	return (struct draft_saved){ true, noted[0], (size_t)noted[1] };
}

/* The draft's own text is the new text: it moves, or (somebody writes it still) is copied. */
static int save_whole(const struct saving *s, const struct named *n, const struct buf *text, bool is_held,
		      struct reg_saved *ret, struct err *e)
{
	const struct draft_saved saved = saved_of(s);
	const struct broker_text t = { .data = (const char *)text->data,
				       .len = text->len,
				       .is_in_view = !is_held,
				       .has_base = saved.is_any || n->has_base,
				       .base = saved.is_any ? saved.digest : n->base };

	if (!is_held) {
		settle_mode(s, n->mode);
		if (renameat(s->drafts->dir, s->name, s->dirs->view, s->f->name) < 0)
			return err_sys(e, errno, "%s", s->f->path);
		throw_away(s->drafts, s->name);
	}
	return broker_file_take(s->f, s->h, s->dirs, &t, ret, e);
}

/* The file has changed since the program opened it: what it appended goes behind that. */
static int save_appended(const struct saving *s, const struct buf *text, size_t append_at, bool is_held,
			 struct reg_saved *ret, struct err *e)
{
	auto_buf struct buf sum = BUF_INIT(REG_TEXT_MAX);
	struct broker_text t = { 0 };

	if ((s->f->shown && buf_add(&sum, s->f->shown, s->f->shown_len, e) < 0) ||
	    buf_add(&sum, text->data + append_at, text->len - append_at, e) < 0 || !buf_text(&sum, e))
		return -1;
	t.data = (const char *)sum.data;
	t.len = sum.len;
	broker_text_from_shown(&t, s->f);
	if (broker_file_take(s->f, s->h, s->dirs, &t, ret, e) < 0)
		return -1;
	if (!is_held)
		throw_away(s->drafts, s->name);
	return 0;
}

/* Does the draft hold something else than what it began as, or what was saved of it before? A file that the
 * program has made, and not written, is saved, too. */
static bool is_new(const struct saving *s, const struct named *n, uint64_t digest)
{
	const struct draft_saved saved = saved_of(s);

	if (saved.is_any)
		return saved.digest != digest;
	return !n->has_base || n->base != digest || (!s->f->shown && n->base == HASH_SEED);
}

/* Somebody may go on writing it. */
static void note_saved(const struct saving *s, uint64_t digest, size_t len)
{
	struct broker_draft *known = find(s->drafts, s->name);
	const uint64_t noted[2] = { digest, len };
	auto_free char *note = note_of(s->name);
	auto_fd int fd = -1;

	if (known)
		known->saved = (struct draft_saved){ true, digest, len };
	if (note && is_closed(s->drafts, s->name))
		fd = openat(s->drafts->dir, note, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0)
		(void)!pwrite(fd, noted, sizeof(noted), 0);
}

/* Was it only appended to, and where begins what is not saved yet? (One may open a file to append, and then
 * write it anew.) */
static bool is_appended(const struct saving *s, const struct named *n, const struct buf *text,
			size_t *ret_from)
{
	const struct draft_saved saved = saved_of(s);
	const struct broker_file *f = s->f;

	*ret_from = saved.is_any ? saved.len : n->append_at;
	if (!n->is_append || *ret_from > text->len)
		return false;
	if ((saved.is_any || n->has_base) &&
	    hash_bytes(HASH_SEED, text->data, *ret_from) != (saved.is_any ? saved.digest : n->base))
		return false;
	/* Saved, and the broker that did it has died. */
	if (f->shown && f->shown_len > *ret_from && f->shown_len <= text->len &&
	    !memcmp(f->shown, text->data, f->shown_len))
		*ret_from = f->shown_len;
	return true;
}

static int save_text(const struct saving *s, const struct named *n, struct buf *text, bool is_held,
		     struct reg_saved *ret, struct err *e)
{
	size_t from;

	if (is_appended(s, n, text, &from) &&
	    (s->f->shown ? s->f->shown_len != from || memcmp(s->f->shown, text->data, from) != 0 : from > 0))
		return save_appended(s, text, from, is_held, ret, e);
	return save_whole(s, n, text, is_held, ret, e);
}

static int read_draft(const struct saving *s, struct buf *ret, struct err *e)
{
	return view_read_fd(s->fd, ret, e) < 0 || !buf_text(ret, e) ? -1 : 0;
}

static int save(const struct saving *s, bool is_held, struct reg_saved *ret, struct err *e)
{
	auto_buf struct buf text = BUF_INIT(REG_TEXT_MAX);
	const struct named n = read_name(s->name);
	uint64_t digest;

	if (read_draft(s, &text, e) < 0)
		return -1;
	digest = hash_bytes(HASH_SEED, text.data, text.len);
	if (is_new(s, &n, digest)) {
		if (save_text(s, &n, &text, is_held, ret, e) < 0)
			return -1;
		note_saved(s, digest, text.len);
	} else if (!is_held) {
		settle_unwritten(s, &n);
		throw_away(s->drafts, s->name);
	}
	return 0;
}

/* ---- words ---------------------------------------------------------------------------------- */

static uint64_t size_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) < 0 ? 0 : (uint64_t)st.st_size;
}

/* What a killed program has appended, in whole lines, goes into `text`: 1; 0 when it did anything else. */
static int find_lines(const struct saving *s, struct buf *text, size_t *ret_from, struct err *e)
{
	const struct named n = read_name(s->name);

	/* Less than it was to begin with: the copy had not been made yet. */
	if (!n.is_append || size_of(s->fd) <= n.append_at)
		return 0;
	if (read_draft(s, text, e) < 0)
		return -1;
	if (!is_appended(s, &n, text, ret_from))
		return 0;
	while (text->len > *ret_from && text->data[text->len - 1] != '\n')
		text->len--;
	return 1;
}

static int end_of_killed(const struct saving *s, struct reg_saved *ret, struct err *e)
{
	auto_buf struct buf text = BUF_INIT(REG_TEXT_MAX);
	size_t from;
	int is_lines = find_lines(s, &text, &from, e);

	if (is_lines < 0)
		return -1;
	if (is_lines && text.len > from)
		return save_appended(s, &text, from, false, ret, e);
	if (!is_lines)
		log_note("%s: a program was killed while it wrote this; it is what it was before",
			 s->f->path);
	throw_away(s->drafts, s->name);
	return 0;
}

/* What becomes of one that is closed. */
static int end_of_closed(const struct saving *s, struct reg_saved *ret, struct err *e)
{
	bool held = view_is_held(s->fd);

	if (held) {
		note_closed(s->drafts, s->name);
		return size_of(s->fd) ? save(s, true, ret, e) : 0;
	}
	return has_writers(s->drafts, s->name) ? end_of_killed(s, ret, e) : save(s, false, ret, e);
}

int broker_drafts_hear(struct broker_drafts *d, struct broker_file *f, struct reg_hive *h,
		       const struct broker_dirs *dirs, const char *name, enum broker_draft_word word,
		       struct reg_saved *ret, struct err *e)
{
	auto_fd int fd = open_draft(d, name);
	const struct saving s = { d, f, h, dirs, name, fd };

	*ret = (struct reg_saved){ 0 };
	if (fd < 0) {
		forget(d, name);
		return errno == ENOENT ? 0 : err_sys(e, errno, "%s", name);
	}
	if (remember(d, name, word, f->client.pid, e) < 0)
		return -1;
	if (word == BROKER_DRAFT_SYNCED)
		return save(&s, true, ret, e);
	/* The one who opened it may just be about to say that he has closed it. */
	if (word == BROKER_DRAFT_JOINED || (word == BROKER_DRAFT_LEFT && !is_closed(d, name)))
		return 0;
	return end_of_closed(&s, ret, e);
}

/* ---- harvest -------------------------------------------------------------------------------- */

static int harvest_one(const struct saving *s, bool is_idle, struct reg_saved *ret, struct err *e)
{
	if (view_is_held(s->fd))
		return 0;
	if (is_closed(s->drafts, s->name))
		return end_of_closed(s, ret, e);
	return is_idle || read_name(s->name).is_append ? end_of_killed(s, ret, e) : 0;
}

int broker_drafts_harvest(struct broker_drafts *d, struct broker_file *f, struct reg_hive *h,
			  const struct broker_dirs *dirs, bool is_idle, struct reg_saved *ret, struct err *e)
{
	auto_closedir DIR *dir = NULL;
	auto_fd int again = openat(d->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct dirent *entry;

	*ret = (struct reg_saved){ 0 };
	dir = again < 0 ? NULL : fdopendir(again);
	if (!dir)
		return err_sys(e, errno, "drafts");
	(void)fd_steal(&again);
	while ((entry = readdir(dir))) {
		const char *file = broker_draft_file(entry->d_name);
		auto_fd int fd = file && !strcmp(file, f->name) ? open_draft(d, entry->d_name) : -1;
		const struct saving s = { d, f, h, dirs, entry->d_name, fd };
		struct reg_saved one = { 0 };

		if (fd < 0)
			continue;
		if (harvest_one(&s, is_idle, &one, e) < 0)
			return -1;
		ret->changed += one.changed;
		ret->refused += one.refused;
	}
	return 0;
}
