/* SPDX-License-Identifier: Apache-2.0 */
/* Augeas' lenses; see lens_augeas.h.
 *
 * Here a document's pieces are its keys only; its text is one, and every change makes both anew. */
#include "registry-shim/lens_augeas.h"

#include <string.h>

#include "base/sync.h"
#include "registry-shim/augeas_client.h"

/* ---- names ---------------------------------------------------------------------------------- */

enum { MODULE_MAX = 63 };

struct augeas_named {
	struct reg_lens lens; /* first */
	struct augeas_named *next;
	char name[sizeof(AUGEAS_PREFIX) + MODULE_MAX];
};

static struct {
	struct sync_mutex mutex;
	struct augeas_named *first; /* guarded by mutex */
} known = { .mutex = { PTHREAD_MUTEX_INITIALIZER } };

static const char *module_of(const struct reg_lens *l)
{
	return l->name + strlen(AUGEAS_PREFIX);
}

/* As Augeas' language has it: a file's name is made of it. */
static bool is_module(const char *s)
{
	size_t len = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");

	return *s >= 'A' && *s <= 'Z' && !s[len] && len <= MODULE_MAX;
}

/* ---- reading -------------------------------------------------------------------------------- */

static int take_key(struct reg_doc *d, const char *key, const char *value, struct err *e)
{
	uint32_t piece = doc_insert(d, d->pieces[0].prev, DOC_SETTING, "", 0, e);
	uint32_t name = piece == DOC_NONE ? DOC_NONE : doc_key(d, DOC_TOP, key, strlen(key), e);
	struct buf text = { .data = (uint8_t *)(uintptr_t)value, .len = strlen(value) };

	if (name == DOC_NONE || doc_value(d, piece, &text, e) < 0)
		return -1;
	if (d->names[name].piece != DOC_NONE)
		return err_set(e, ERR_FORMAT, "the key %s comes twice", key);
	doc_bind(d, piece, name);
	return 0;
}

static int take_keys(struct reg_doc *d, const struct buf *keys, struct err *e)
{
	const char *at = (const char *)keys->data, *end = at ? at + keys->len : NULL;

	while (at < end) {
		const char *value = memchr(at, 0, (size_t)(end - at));
		const char *stop =
			value && value + 1 < end ? memchr(value + 1, 0, (size_t)(end - value - 1)) : NULL;

		if (!stop)
			return err_set(e, ERR_FORMAT, "floe-augeas answers nonsense");
		if (take_key(d, at, value + 1, e) < 0)
			return -1;
		at = stop + 1;
	}
	return 0;
}

/* Lenses want the last line to end, and a text without one is not wrong. */
static bool is_open_ended(const struct reg_doc *d)
{
	return d->len && d->text[d->len - 1] != '\n';
}

static int ask(const struct reg_doc *d, const struct buf *changes, struct buf *ret, size_t *ret_at,
	       struct err *e)
{
	auto_free char *ended = is_open_ended(d) ? mem_printf(e, "%s\n", d->text) : NULL;

	if (is_open_ended(d) && !ended)
		return -1;
	return augeas_ask(module_of(d->lens), ended ? ended : d->text, d->len + (ended != NULL), changes, ret,
			  ret_at, e);
}

static int augeas_scan(struct reg_doc *d, struct err *e)
{
	auto_buf struct buf keys = BUF_INIT(AUGEAS_REPLY_MAX);
	size_t at = 0;

	if (d->len > AUGEAS_TEXT_MAX)
		return err_set(e, ERR_LIMIT, "text of more than %d bytes, too much for Augeas",
			       AUGEAS_TEXT_MAX);
	/* Not every lens knows of empty files, which have no keys in any. */
	if (d->len == 0)
		return 0;
	if (ask(d, NULL, &keys, &at, e) < 0) {
		d->at = at < d->len ? at : d->len;
		return -1;
	}
	return take_keys(d, &keys, e);
}

static int augeas_render(const struct reg_doc *d, struct buf *ret, struct err *e)
{
	return buf_add(ret, d->text, d->len, e);
}

/* ---- changing ------------------------------------------------------------------------------- */

static void free_ptr(struct reg_doc **d)
{
	reg_doc_free(*d);
}
#define auto_doc __attribute__((cleanup(free_ptr))) struct reg_doc

/* "3/a" before "12/a". */
static int by_number(const void *a, const void *b)
{
	return strverscmp((*(const struct reg_change *const *)a)->key,
			  (*(const struct reg_change *const *)b)->key);
}

static int add_change(struct buf *ret, char what, const struct reg_change *c, struct err *e)
{
	const char *value = c->value ? c->value : "";

	if (!*c->key)
		return err_set(e, ERR_USAGE, "an empty key");
	return buf_add(ret, &what, 1, e) < 0 || buf_add(ret, c->key, strlen(c->key) + 1, e) < 0
		       ? -1
		       : buf_add(ret, value, strlen(value) + 1, e);
}

/* First what moves nothing; then what goes, from behind; then what comes. */
static int spell_changes(const struct reg_doc *d, const struct reg_change *changes, size_t count,
			 struct buf *ret, struct err *e)
{
	auto_free const struct reg_change **sorted = mem_alloc(count, sizeof(*sorted), e);

	if (!sorted)
		return -1;
	for (size_t i = 0; i < count; i++)
		sorted[i] = &changes[i];
	qsort(sorted, count, sizeof(*sorted), by_number);
	for (size_t i = 0; i < count; i++) {
		const char *was = reg_doc_get(d, sorted[i]->key);

		if (was && sorted[i]->value && strcmp(was, sorted[i]->value) != 0 &&
		    add_change(ret, '=', sorted[i], e) < 0)
			return -1;
	}
	for (size_t i = count; i-- > 0;)
		if (!sorted[i]->value && reg_doc_get(d, sorted[i]->key) &&
		    add_change(ret, '-', sorted[i], e) < 0)
			return -1;
	for (size_t i = 0; i < count; i++)
		if (sorted[i]->value && !reg_doc_get(d, sorted[i]->key) &&
		    add_change(ret, '+', sorted[i], e) < 0)
			return -1;
	return 0;
}

static size_t count_keys(const struct reg_doc *d)
{
	return d->piece_count - 1;
}

/* A change and nothing else: as many keys as there must be, and each of them as it must be. */
static int check_result(const struct reg_doc *before, const struct reg_doc *after,
			const struct reg_change *changes, size_t count, struct err *e)
{
	size_t want = count_keys(before), pos = 0, changed = 0;
	const char *key, *value, *now;

	for (size_t i = 0; i < count; i++) {
		const char *was = reg_doc_get(before, changes[i].key);

		now = reg_doc_get(after, changes[i].key);
		if (changes[i].value && (!now || strcmp(now, changes[i].value) != 0))
			return err_set(e, ERR_USAGE, "%s: Augeas' lens %s reads it back as %s",
				       changes[i].key, module_of(before->lens), now ? now : "nothing");
		if (!changes[i].value && now)
			return err_set(e, ERR_USAGE,
				       "%s: only the last of what is numbered can be removed: the next one "
				       "takes its place",
				       changes[i].key);
		want += !was && now;
		want -= was && !now;
		changed += was && now && strcmp(was, now) != 0;
	}
	while (reg_doc_next(before, &pos, &key, &value)) {
		now = reg_doc_get(after, key);
		if (now && strcmp(now, value) != 0 && changed-- == 0)
			return err_set(e, ERR_USAGE, "Augeas' lens %s would change %s as well",
				       module_of(before->lens), key);
	}
	return want == count_keys(after)
		       ? 0
		       : err_set(e, ERR_USAGE, "Augeas' lens %s would change other keys as well",
				 module_of(before->lens));
}

static int augeas_apply(struct reg_doc *d, const struct reg_change *changes, size_t count, struct err *e)
{
	auto_buf struct buf list = BUF_INIT(AUGEAS_REPLY_MAX), text = BUF_INIT(AUGEAS_REPLY_MAX);
	auto_doc *after = NULL;
	struct reg_doc swap;
	size_t at = 0;

	if (spell_changes(d, changes, count, &list, e) < 0)
		return -1;
	if (list.len == 0)
		return 0;
	if (ask(d, &list, &text, &at, e) < 0)
		return d->len == 0 && e->code == ERR_FORMAT
			       ? err_set(e, ERR_USAGE,
					 "Augeas' lens %s knows no empty file: the program has to make it",
					 module_of(d->lens))
			       : -1;
	if (is_open_ended(d) && text.len && text.data[text.len - 1] == '\n')
		text.len--;
	if (reg_doc_parse(d->lens, text.len ? (char *)text.data : "", text.len, &after, e) < 0) {
		if (e->code == ERR_FORMAT) /* a lens that writes what it does not read */
			e->code = ERR_USAGE;
		return -1;
	}
	if (check_result(d, after, changes, count, e) < 0)
		return -1;
	swap = *d;
	*d = *after;
	*after = swap;
	return 0;
}

const struct reg_lens *augeas_lens(const char *name)
{
	struct augeas_named *n;
	struct err ignored;

	if (strncmp(name, AUGEAS_PREFIX, strlen(AUGEAS_PREFIX)) != 0 ||
	    !is_module(name + strlen(AUGEAS_PREFIX)))
		return NULL;
	sync_lock(&known.mutex);
	for (n = known.first; n && strcmp(n->name, name) != 0; n = n->next)
		;
	if (!n && (n = mem_alloc(1, sizeof(*n), &ignored))) {
		strcpy(n->name, name);
		n->lens = (struct reg_lens){ .name = n->name,
					     .paths = DOC_FLAT,
					     .scan = augeas_scan,
					     .apply = augeas_apply,
					     .render = augeas_render };
		n->next = known.first;
		known.first = n;
	}
	sync_unlock(&known.mutex);
	return n ? &n->lens : NULL;
}
