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
	size_t len = strspn(name, "0123456789.w");

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

/* Has anybody it open for writing? */
static bool is_held(int fd)
{
	if (fcntl(fd, F_SETLEASE, F_RDLCK) < 0)
		return errno == EAGAIN;
	(void)fcntl(fd, F_SETLEASE, F_UNLCK);
	return false;
}

enum note { NOTE_LOOK, NOTE_MAKE, NOTE_REMOVE };

/* The note that a draft is closed: is it there (then)? */
static bool closed_note(const struct broker_drafts *d, const char *name, enum note what)
{
	struct err ignored;
	auto_free char *note = mem_printf(&ignored, ".closed-%s", name);
	auto_fd int fd = -1;

	if (!note)
		return what == NOTE_MAKE;
	if (what == NOTE_REMOVE)
		(void)unlinkat(d->dir, note, 0);
	if (what == NOTE_MAKE)
		fd = openat(d->dir, note, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	return what == NOTE_MAKE || faccessat(d->dir, note, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void throw_away(struct broker_drafts *d, const char *name)
{
	(void)closed_note(d, name, NOTE_REMOVE);
	(void)unlinkat(d->dir, name, 0);
	forget(d, name);
}

/* Mode of the file when the draft was opened, and where in it that begins which is to be appended. */
static bool read_name(const char *name, mode_t *ret_mode, size_t *ret_append_at)
{
	const char *mode = strchr(name, '.'), *append;
	char *end;

	mode = mode ? strchr(mode + 1, '.') : NULL;
	append = mode ? strchr(mode + 1, '.') : NULL;
	if (!append)
		return false;
	*ret_mode = (mode_t)strtoul(mode + 1, NULL, 8) & 07777;
	*ret_append_at = (size_t)strtoull(append + 1, &end, 10);
	return append[1] != 'w' && *end == '-';
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

/* The draft's own text is the new text: it moves, or (somebody writes it still) is copied. */
static int save_whole(const struct saving *s, const struct buf *text, mode_t mode, bool is_held,
		      struct reg_saved *ret, struct err *e)
{
	if (!is_held) {
		settle_mode(s, mode);
		if (renameat(s->drafts->dir, s->name, s->dirs->view, s->f->name) < 0)
			return err_sys(e, errno, "%s", s->f->path);
		throw_away(s->drafts, s->name);
	}
	return broker_file_take(s->f, s->h, s->dirs, (const char *)text->data, text->len, !is_held, ret, e);
}

/* The file has changed since the program opened it: what it appended goes behind that. */
static int save_appended(const struct saving *s, const struct buf *text, size_t append_at, bool is_held,
			 struct reg_saved *ret, struct err *e)
{
	auto_buf struct buf sum = BUF_INIT(REG_TEXT_MAX);

	if (buf_add(&sum, s->f->shown, s->f->shown_len, e) < 0 ||
	    buf_add(&sum, text->data + append_at, text->len - append_at, e) < 0 || !buf_text(&sum, e) ||
	    broker_file_take(s->f, s->h, s->dirs, (const char *)sum.data, sum.len, false, ret, e) < 0)
		return -1;
	if (!is_held)
		throw_away(s->drafts, s->name);
	return 0;
}

/* Does the draft hold something else than what was saved of it before? */
static bool is_new(const struct saving *s, uint64_t digest)
{
	const struct broker_draft *known = find(s->drafts, s->name);

	return !known || !known->is_saved || known->saved != digest;
}

/* Somebody may go on writing it. */
static void note_saved(const struct saving *s, uint64_t digest)
{
	struct broker_draft *known = find(s->drafts, s->name);

	if (!known)
		return;
	known->is_saved = true;
	known->saved = digest;
}

/* `whole_lines`: of what is to be appended, only those. */
static int save_text(const struct saving *s, struct buf *text, bool is_held, bool whole_lines,
		     struct reg_saved *ret, struct err *e)
{
	size_t append_at = 0, full = text->len;
	mode_t mode = 0600;
	bool is_append = read_name(s->name, &mode, &append_at) && append_at <= text->len;

	while (whole_lines && text->len > append_at && text->data[text->len - 1] != '\n')
		text->len--;
	if (is_append && s->f->shown &&
	    (full != text->len || s->f->shown_len != append_at ||
	     memcmp(s->f->shown, text->data, append_at) != 0))
		return save_appended(s, text, append_at, is_held, ret, e);
	return save_whole(s, text, mode, is_held, ret, e);
}

static int save(const struct saving *s, bool is_held, bool whole_lines, struct reg_saved *ret, struct err *e)
{
	auto_buf struct buf text = BUF_INIT(REG_TEXT_MAX);
	uint64_t digest;

	if (view_read_fd(s->fd, &text, e) < 0 || !buf_text(&text, e))
		return -1;
	digest = hash_bytes(HASH_SEED, text.data, text.len);
	if (is_new(s, digest)) {
		if (save_text(s, &text, is_held, whole_lines, ret, e) < 0)
			return -1;
		note_saved(s, digest);
	} else if (!is_held) {
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

static int end_of_killed(const struct saving *s, struct reg_saved *ret, struct err *e)
{
	size_t append_at;
	mode_t mode;

	/* Less than it was to begin with: the copy had not been made yet. */
	if (read_name(s->name, &mode, &append_at) && size_of(s->fd) > append_at)
		return save(s, false, true, ret, e);
	log_note("%s: a program was killed while it wrote this; it is what it was before", s->f->path);
	throw_away(s->drafts, s->name);
	return 0;
}

/* What becomes of one that is closed. */
static int end_of_closed(const struct saving *s, struct reg_saved *ret, struct err *e)
{
	bool held = is_held(s->fd);

	if (held) {
		(void)closed_note(s->drafts, s->name, NOTE_MAKE);
		return size_of(s->fd) ? save(s, true, false, ret, e) : 0;
	}
	return has_writers(s->drafts, s->name) ? end_of_killed(s, ret, e) : save(s, false, false, ret, e);
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
		return save(&s, true, false, ret, e);
	/* The one who opened it may just be about to say that he has closed it. */
	if (word == BROKER_DRAFT_JOINED || (word == BROKER_DRAFT_LEFT && !closed_note(d, name, NOTE_LOOK)))
		return 0;
	return end_of_closed(&s, ret, e);
}

/* ---- harvest -------------------------------------------------------------------------------- */

static int harvest_one(const struct saving *s, bool is_idle, struct reg_saved *ret, struct err *e)
{
	size_t append_at;
	mode_t mode;

	if (is_held(s->fd))
		return 0;
	if (closed_note(s->drafts, s->name, NOTE_LOOK))
		return end_of_closed(s, ret, e);
	return is_idle || read_name(s->name, &mode, &append_at) ? end_of_killed(s, ret, e) : 0;
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
