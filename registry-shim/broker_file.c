/* SPDX-License-Identifier: Apache-2.0 */
/* One declared file; see broker_file.h. */
#include "registry-shim/broker_file.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/hash.h"
#include "registry-shim/broker_view.h"
#include "registry-shim/hive_declared.h"
#include "registry-shim/hive_history.h"
#include "registry-shim/shim_paths.h"

enum { VIEW_MODE = 0600 };

void broker_file_fini(struct broker_file *f)
{
	free(f->path);
	free(f->file);
	free(f->name);
	free(f->shown);
	free(f->note);
	broker_past_fini(&f->past);
	free(f->rendered.place);
	free(f->rendered.text);
	memset(f, 0, sizeof(*f));
}

/* ---- settings as a list --------------------------------------------------------------------- */

struct settings {
	struct reg_change *list; /* key and value are owned; sorted by key */
	size_t count, cap;
};

static void settings_fini(struct settings *s)
{
	for (size_t i = 0; i < s->count; i++) {
		free((char *)s->list[i].key);
		free((char *)s->list[i].value);
	}
	free(s->list);
}
#define auto_settings __attribute__((cleanup(settings_fini))) struct settings

static int settings_add(struct settings *s, const char *key, const char *value, struct err *e)
{
	auto_free char *k = mem_strdup(key, e), *v = k && value ? mem_strdup(value, e) : NULL;

	if (!k || (value && !v))
		return -1;
	if (s->count == s->cap) {
		size_t cap = s->cap ? s->cap * 2 : 64;
		struct reg_change *list = mem_grow(s->list, cap, sizeof(*list), e);

		if (!list)
			return -1;
		s->list = list;
		s->cap = cap;
	}
	s->list[s->count++] = (struct reg_change){ mem_steal(k), mem_steal(v) };
	return 0;
}

static int add_effective(void *arg, const struct reg_setting *s, struct err *e)
{
	return s->value ? settings_add(arg, s->key, s->value, e) : 0;
}

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct reg_change *)a)->key, ((const struct reg_change *)b)->key);
}

static bool settings_has(const struct settings *s, const char *key)
{
	struct reg_change probe = { .key = key };

	return s->count && bsearch(&probe, s->list, s->count, sizeof(*s->list), by_key);
}

/* ---- documents ------------------------------------------------------------------------------ */

struct document {
	const struct reg_lens *lens;
	struct reg_doc *doc; /* NULL = not understood */
};

static void document_fini(struct document *d)
{
	reg_doc_free(d->doc);
}
#define auto_document __attribute__((cleanup(document_fini))) struct document

/* A text that the lens does not understand is no error, but lack of memory is. */
static int document_read(struct document *d, const struct reg_lens *lens, const char *text, size_t len,
			 struct err *e)
{
	d->lens = lens;
	if (!lens || reg_doc_parse(lens, text, len, &d->doc, e) == 0)
		return 0;
	d->doc = NULL;
	return e->code == ERR_NOMEM ? -1 : 0;
}

/* Gives the document exactly these settings. A setting that this kind of file cannot express is left out, and
 * told to `left_out` (NULL = to nobody). */
static int document_settle(struct document *d, const struct settings *want, reg_left_out_fn *left_out,
			   void *arg, struct err *e)
{
	auto_settings changes = { 0 };
	const char *key, *value;

	for (size_t pos = 0; reg_doc_next(d->doc, &pos, &key, &value);)
		if (!settings_has(want, key) && settings_add(&changes, key, NULL, e) < 0)
			return -1;
	for (size_t i = 0; i < want->count; i++) {
		value = reg_doc_get(d->doc, want->list[i].key);
		if ((!value || strcmp(value, want->list[i].value) != 0) &&
		    settings_add(&changes, want->list[i].key, want->list[i].value, e) < 0)
			return -1;
	}
	return reg_doc_settle(d->doc, changes.list, changes.count, left_out, arg, e);
}

/* What the hive has of a file, and makes of it. */
struct made {
	struct settings want;
	enum reg_text_kind kind;
	char *text; /* the template; NULL = none */
	size_t len;
	struct document doc; /* with what is wanted; none when the text is kept as it was written */
};

static void made_fini(struct made *m)
{
	settings_fini(&m->want);
	free(m->text);
	document_fini(&m->doc);
}
#define auto_made __attribute__((cleanup(made_fini))) struct made

static bool is_no_file(const struct made *m)
{
	return m->want.count == 0 && (m->kind == REG_TEXT_NONE || m->kind == REG_TEXT_REMOVED);
}

static int make(const struct broker_file *f, struct reg_hive *h, reg_left_out_fn *left_out, void *arg,
		struct made *m, struct err *e)
{
	if (reg_hive_template(h, f->file, &m->text, &m->len, &m->kind, e) < 0 && e->code != ERR_NOTFOUND)
		return -1;
	if (m->kind == REG_TEXT_OPAQUE)
		return 0;
	if (reg_hive_each(h, f->file, REG_EACH_EFFECTIVE, add_effective, &m->want, e) < 0)
		return -1;
	if (is_no_file(m))
		return 0;
	if (document_read(&m->doc, f->lens, m->text ? m->text : "", m->len, e) < 0)
		return -1;
	return m->doc.doc ? document_settle(&m->doc, &m->want, left_out, arg, e) : 0;
}

int broker_file_render(const struct broker_file *f, struct reg_hive *h, char **ret, size_t *ret_len,
		       struct err *e)
{
	auto_made m = { .kind = REG_TEXT_NONE };
	auto_buf struct buf out = BUF_INIT(2 * (size_t)REG_TEXT_MAX);

	if (make(f, h, NULL, NULL, &m, e) < 0)
		return -1;
	if (is_no_file(&m)) {
		*ret = NULL;
		*ret_len = 0;
		return 0;
	}
	if (!m.doc.doc) { /* as it was written */
		*ret_len = m.len;
		*ret = m.text ? mem_steal(m.text) : mem_strdup("", e);
		return *ret ? 0 : -1;
	}
	if (reg_doc_render(m.doc.doc, &out, e) < 0 || !buf_text(&out, e))
		return -1;
	*ret_len = out.len;
	*ret = (char *)out.data;
	out = (struct buf)BUF_INIT(0);
	return 0;
}

/* ---- what cannot be said -------------------------------------------------------------------- */

struct refusal {
	const char *key;
	struct err why; /* code 0 = the key is not the trouble */
};

static void note_refusal(void *arg, const struct reg_change *c, const struct err *why)
{
	struct refusal *r = arg;

	if (!strcmp(c->key, r->key))
		r->why = *why;
}

int broker_file_check(struct reg_hive *h, const char *file, const char *key, struct err *e)
{
	auto_free char *lens = NULL, *name = mem_strdup(file, e);
	struct refusal r = { .key = key };
	auto_made m = { .kind = REG_TEXT_NONE };
	struct broker_file f = { .file = name };

	if (!name || reg_hive_declared_lens(h, file, &lens, e) < 0)
		return -1;
	f.lens = lens ? reg_lens_find(lens) : NULL;
	if (!f.lens)
		return 0;
	if (make(&f, h, note_refusal, &r, &m, e) < 0)
		return -1;
	if (!r.why.code || m.kind != REG_TEXT_KEYS)
		return 0;
	*e = r.why;
	return err_wrap(e, "%s:%s cannot be set so", file, key);
}

/* ---- view ----------------------------------------------------------------------------------- */

bool broker_file_shows(const struct broker_file *f, const char *text, size_t len)
{
	return text ? f->shown && f->shown_len == len && !memcmp(f->shown, text, len) : !f->shown;
}

/* Remembers what view/ holds, here and for the broker after a crash. Takes `text` over. */
static int remember(struct broker_file *f, const struct broker_dirs *dirs, char *text, size_t len,
		    struct err *e)
{
	if (!broker_file_shows(f, text, len))
		broker_past_add(&f->past, mem_steal(f->shown), f->shown_len, f->client.pid);
	free(f->shown);
	f->shown = text;
	f->shown_len = len;
	return text ? view_write(dirs->shown, f->name, text, len, VIEW_MODE, e)
		    : view_remove(dirs->shown, f->name, e);
}

static int put_in_view(struct broker_file *f, const struct broker_dirs *dirs, char *text, size_t len,
		       struct err *e)
{
	auto_free char *owned = text;

	if (owned ? view_write(dirs->view, f->name, text, len, VIEW_MODE, e) < 0
		  : view_remove(dirs->view, f->name, e) < 0)
		return -1;
	return remember(f, dirs, mem_steal(owned), len, e);
}

/* 1 when view/ holds something else than what we put there, 0 when not, -1 on error. */
static int is_changed(const struct broker_file *f, const struct broker_dirs *dirs, struct buf *ret,
		      struct err *e)
{
	if (view_read(dirs->view, f->name, ret, e) < 0)
		return e->code == ERR_NOTFOUND || e->code == ERR_FORMAT ? 0 : -1;
	if (!buf_text(ret, e))
		return -1;
	return !broker_file_shows(f, (const char *)ret->data, ret->len);
}

int broker_file_show(struct broker_file *f, struct reg_hive *h, const struct broker_dirs *dirs, struct err *e)
{
	auto_buf struct buf now = BUF_INIT(REG_TEXT_MAX);
	auto_free char *text = NULL;
	size_t len = 0;

	if (broker_file_render(f, h, &text, &len, e) < 0)
		return -1;
	/* Too large to be ours is an unreported change as well. */
	if (is_changed(f, dirs, &now, e) != 0)
		return 0;
	if (broker_file_shows(f, text, len) && (!text || now.data))
		return 0;
	return put_in_view(f, dirs, mem_steal(text), len, e);
}

int broker_file_recall(struct broker_file *f, const struct broker_dirs *dirs, struct err *e)
{
	struct buf text = BUF_INIT(2 * (size_t)REG_TEXT_MAX);

	if (view_read(dirs->shown, f->name, &text, e) < 0 || !buf_text(&text, e)) {
		buf_fini(&text);
		return e->code == ERR_NOMEM ? -1 : 0;
	}
	f->shown = (char *)text.data;
	f->shown_len = text.len;
	return 0;
}

/* ---- changes -------------------------------------------------------------------------------- */

/* What differs between two documents. */
static int compare(const struct document *before, const struct document *now, struct settings *ret,
		   struct err *e)
{
	const char *key, *value, *old;

	for (size_t pos = 0; reg_doc_next(now->doc, &pos, &key, &value);) {
		old = reg_doc_get(before->doc, key);
		if ((!old || strcmp(old, value) != 0) && settings_add(ret, key, value, e) < 0)
			return -1;
	}
	for (size_t pos = 0; reg_doc_next(before->doc, &pos, &key, &value);)
		if (!reg_doc_get(now->doc, key) && settings_add(ret, key, NULL, e) < 0)
			return -1;
	return 0;
}

/* What the hive makes, in one step: whoever reads the file now must find one. */
static int put_back(struct broker_file *f, struct reg_hive *h, const struct broker_dirs *dirs, struct err *e)
{
	char *text = NULL;
	size_t len = 0;

	if (broker_file_render(f, h, &text, &len, e) < 0)
		return -1;
	return put_in_view(f, dirs, text, len, e);
}

/* A file that has locked keys stays a file of its kind, or writing garbage to it would be the way around. */
static int refuse_text(struct broker_file *f, struct reg_hive *h, const struct broker_dirs *dirs,
		       struct reg_saved *ret, struct err *e)
{
	if (reg_hive_note_refused_text(h, f->file, e) < 0)
		return -1;
	ret->refused++;
	f->rendered.is_overruled = true;
	return put_back(f, h, dirs, e);
}

/* What `now` changed of an earlier text, if that is understood: *best, when it is less than that or `always`.
 */
static int compare_with(const struct broker_file *f, const struct broker_past_text *earlier,
			const struct document *now, bool always, struct settings *best, struct err *e)
{
	auto_document before = { 0 };
	auto_settings changes = { 0 };

	if (document_read(&before, f->lens, earlier->text, earlier->len, e) < 0)
		return -1;
	if (!before.doc)
		return 0;
	if (compare(&before, now, &changes, e) < 0)
		return -1;
	if (!always && changes.count >= best->count)
		return 0;
	settings_fini(best);
	*best = changes;
	changes = (struct settings){ 0 };
	return 0;
}

static bool has_digest(const char *text, size_t len, uint64_t digest)
{
	return text && hash_bytes(HASH_SEED, text, len) == digest;
}

/* A program that saves may have read an earlier text than what is shown now, because another saved meanwhile.
 * When it is not known which: of the texts that it can have read, the one from which it would have changed
 * the fewest keys; but exactly an earlier text is taken for what it looks like: everything since is taken
 * back. */
static int find_earlier(const struct broker_file *f, const struct document *now, const struct broker_text *t,
			struct settings *best, struct err *e)
{
	const struct broker_past_text *past = f->past.list;
	size_t since = broker_past_since(&f->past, &f->client);

	if (t->has_base && has_digest(f->shown, f->shown_len, t->base))
		return 0;
	for (size_t i = f->past.count; t->has_base && i-- > 0;)
		if (has_digest(past[i].text, past[i].len, t->base))
			return compare_with(f, &past[i], now, true, best, e);
	if (broker_past_has(&f->past, since, t->data, t->len))
		return 0;
	for (size_t i = f->past.count; i-- > since && best->count > 1;)
		if (compare_with(f, &past[i], now, false, best, e) < 0)
			return -1;
	return 0;
}

/* What the application changed: `now` against the text that it was shown, or without one against the hive. */
static int find_changes(const struct broker_file *f, struct reg_hive *h, const struct document *now,
			const struct broker_text *t, struct settings *ret, struct err *e)
{
	auto_settings held = { 0 };
	auto_document before = { 0 };

	if (f->shown && document_read(&before, f->lens, f->shown, f->shown_len, e) < 0)
		return -1;
	if (!before.doc) { /* the hive's own settings, as a document */
		before.lens = f->lens;
		if (reg_hive_each(h, f->file, REG_EACH_EFFECTIVE, add_effective, &held, e) < 0 ||
		    reg_doc_parse(f->lens, "", 0, &before.doc, e) < 0 ||
		    document_settle(&before, &held, NULL, NULL, e) < 0)
			return -1;
	}
	return compare(&before, now, ret, e) < 0 ? -1 : find_earlier(f, now, t, ret, e);
}

/* A text that was never shown as it is: the program that saved it may go on from it. */
static int remember_own(struct broker_file *f, const struct broker_text *t, struct err *e)
{
	char *text = mem_alloc(t->len + 1, 1, e);

	if (!text)
		return -1;
	memcpy(text, t->data, t->len);
	broker_past_add(&f->past, text, t->len, 0);
	return 0;
}

void broker_text_from_shown(struct broker_text *t, const struct broker_file *f)
{
	t->has_base = f->shown != NULL;
	t->base = t->has_base ? hash_bytes(HASH_SEED, f->shown, f->shown_len) : 0;
}

int broker_file_take(struct broker_file *f, struct reg_hive *h, const struct broker_dirs *dirs,
		     const struct broker_text *t, struct reg_saved *ret, struct err *e)
{
	auto_settings changes = { 0 };
	auto_document now = { 0 };
	auto_free char *rendered = NULL;
	struct reg_save save = { .text = t->data, .len = t->len, .kind = REG_TEXT_OPAQUE };
	size_t rendered_len = 0;
	bool is_locked = false, is_as_saved;

	*ret = (struct reg_saved){ 0 };
	if (broker_file_shows(f, t->data, t->len))
		return t->is_in_view ? 0 : view_write(dirs->view, f->name, t->data, t->len, VIEW_MODE, e);
	if (document_read(&now, f->lens, t->data, t->len, e) < 0 ||
	    (!now.doc && f->lens && reg_hive_has_locks(h, f->file, &is_locked, e) < 0))
		return -1;
	if (is_locked)
		return refuse_text(f, h, dirs, ret, e);
	if (now.doc) {
		if (find_changes(f, h, &now, t, &changes, e) < 0)
			return -1;
		save.changes = changes.list;
		save.count = changes.count;
		save.kind = REG_TEXT_KEYS;
	}
	if (reg_hive_save(h, f->file, &save, ret, e) < 0 ||
	    broker_file_render(f, h, &rendered, &rendered_len, e) < 0)
		return -1;
	is_as_saved = rendered && rendered_len == t->len && !memcmp(rendered, t->data, t->len);
	f->rendered.is_overruled |= !is_as_saved;
	if (t->is_in_view && is_as_saved)
		return remember(f, dirs, mem_steal(rendered), rendered_len, e);
	if (put_in_view(f, dirs, mem_steal(rendered), rendered_len, e) < 0)
		return -1;
	return is_as_saved ? 0 : remember_own(f, t, e);
}

static int add_deletion(void *arg, const struct reg_setting *s, struct err *e)
{
	return s->value ? settings_add(arg, s->key, NULL, e) : 0;
}

int broker_file_remove(struct broker_file *f, struct reg_hive *h, const struct broker_dirs *dirs,
		       struct reg_saved *ret, struct err *e)
{
	auto_settings changes = { 0 };
	struct reg_save save = { .kind = REG_TEXT_REMOVED };

	if (reg_hive_each(h, f->file, REG_EACH_EFFECTIVE, add_deletion, &changes, e) < 0)
		return -1;
	save.changes = changes.list;
	save.count = changes.count;
	if (reg_hive_save(h, f->file, &save, ret, e) < 0)
		return -1;
	/* What is locked makes it anew at the next look; a program that is about to write the file anew
	 * itself must find nothing in its way. */
	return put_in_view(f, dirs, NULL, 0, e);
}

/* Its writer will say so when he has closed it, or is dead at the next harvest. */
static bool is_being_written(const struct broker_file *f, const struct broker_dirs *dirs)
{
	auto_fd int fd =
		openat(dirs->view, f->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);

	return fd >= 0 && view_is_held(fd);
}

int broker_file_harvest(struct broker_file *f, struct reg_hive *h, const struct broker_dirs *dirs,
			struct reg_saved *ret, struct err *e)
{
	auto_buf struct buf text = BUF_INIT(REG_TEXT_MAX);
	auto_free char *note = mem_printf(e, REG_SHIM_REMOVED_PREFIX "%s", f->name);
	int changed;

	*ret = (struct reg_saved){ 0 };
	if (!note)
		return -1;
	if (faccessat(dirs->view, note, F_OK, AT_SYMLINK_NOFOLLOW) == 0 &&
	    faccessat(dirs->view, f->name, F_OK, AT_SYMLINK_NOFOLLOW) != 0) {
		if (broker_file_remove(f, h, dirs, ret, e) < 0)
			return -1;
		return view_remove(dirs->view, note, e);
	}
	(void)unlinkat(dirs->view, note, 0);
	changed = is_changed(f, dirs, &text, e);
	if (changed < 0)
		return err_wrap(e, "%s", f->path);
	if (changed && is_being_written(f, dirs))
		return 0;
	if (changed && text.len == 0)
		return put_back(f, h, dirs, e);
	if (!changed)
		return broker_file_show(f, h, dirs, e);
	return broker_file_take(
		f, h, dirs,
		&(struct broker_text){ .data = (const char *)text.data, .len = text.len, .is_in_view = true },
		ret, e);
}
