/* SPDX-License-Identifier: Apache-2.0 */
/* Documents in pieces; see lens_doc.h, and lens.h for what callers see. */
#include "registry-shim/lens_doc.h"

#include <string.h>

#include "base/hash.h"

enum { KEPT_MAX = 192 * 1024 * 1024, PIECES_MAX = 3 * REG_ENTRIES_MAX, ROOM = 64 * 1024, FIRST_CAP = 64 };

/* ---- texts ---------------------------------------------------------------------------------- */

const char *doc_keep(struct reg_doc *d, const char *text, size_t len, struct err *e)
{
	char *kept;

	if (len >= d->room_len) {
		size_t want = len + 1 > ROOM / 4 ? len + 1 : ROOM;

		kept = arena_alloc(&d->arena, want, 1, e);
		if (!kept)
			return NULL;
		if (want == ROOM) {
			d->room = kept;
			d->room_len = ROOM;
		} else {
			memcpy(kept, text, len);
			return kept;
		}
	}
	kept = d->room;
	if (len)
		memcpy(kept, text, len);
	kept[len] = 0;
	d->room += len + 1;
	d->room_len -= len + 1;
	return kept;
}

const char *doc_keep_buf(struct reg_doc *d, const struct buf *b, struct err *e)
{
	return doc_keep(d, b->len ? (const char *)b->data : "", b->len, e);
}

/* ---- pieces --------------------------------------------------------------------------------- */

uint32_t doc_insert(struct reg_doc *d, uint32_t after, enum doc_kind kind, const char *text, size_t len,
		    struct err *e)
{
	uint32_t number = d->piece_count;
	struct doc_piece *p;

	if (number > PIECES_MAX || len > UINT32_MAX) {
		(void)err_set(e, ERR_LIMIT, "more than %d pieces", PIECES_MAX);
		return DOC_NONE;
	}
	if (number == d->piece_cap) {
		uint32_t cap = d->piece_cap * 2;
		struct doc_piece *pieces = mem_grow(d->pieces, cap, sizeof(*pieces), e);

		if (!pieces)
			return DOC_NONE;
		d->pieces = pieces;
		d->piece_cap = cap;
	}
	p = &d->pieces[number];
	*p = (struct doc_piece){ .kind = kind, .text = text, .len = (uint32_t)len, .prev = after };
	p->next = d->pieces[after].next;
	d->pieces[p->next].prev = number;
	d->pieces[after].next = number;
	d->piece_count++;
	return number;
}

int doc_gap(struct reg_doc *d, size_t off, size_t len, struct err *e)
{
	const uint32_t end = d->pieces[0].prev;
	struct doc_piece *last = &d->pieces[end];

	if (len == 0)
		return 0;
	if (end != DOC_NONE && last->kind == DOC_GAP && last->text + last->len == d->text + off) {
		last->len += (uint32_t)len;
		return 0;
	}
	return doc_insert(d, end, DOC_GAP, d->text + off, len, e) ? 0 : -1;
}

void doc_unlink(struct reg_doc *d, uint32_t piece)
{
	struct doc_piece *p = &d->pieces[piece];

	d->pieces[p->prev].next = p->next;
	d->pieces[p->next].prev = p->prev;
}

int doc_splice(struct reg_doc *d, uint32_t piece, size_t off, size_t cut, const char *middle,
	       size_t middle_len, struct err *e)
{
	struct doc_piece *p = &d->pieces[piece];
	size_t tail = p->len - off - cut, len = off + middle_len + tail;
	char *text = arena_alloc(&d->arena, len, 1, e);

	if (!text)
		return -1;
	memcpy(text, p->text, off);
	memcpy(text + off, middle, middle_len);
	memcpy(text + off + middle_len, p->text + off + cut, tail);
	p->text = text;
	p->len = (uint32_t)len;
	return 0;
}

/* ---- names ---------------------------------------------------------------------------------- */

static uint32_t hash_name(const char *text, size_t len, bool is_container)
{
	uint64_t h = hash_bytes(HASH_SEED ^ (uint64_t)(uintptr_t)&hash_name ^ is_container, text, len);

	return (uint32_t)(h ^ h >> 29);
}

static uint32_t *find_slot(const struct reg_doc *d, const char *text, size_t len, uint32_t hash,
			   bool is_container)
{
	uint32_t i = hash & (d->table_cap - 1);

	for (;; i = (i + 1) & (d->table_cap - 1)) {
		const struct doc_name *n = &d->names[d->table[i]];

		if (d->table[i] == DOC_NONE || (n->hash == hash && n->is_container == is_container &&
						n->len == len && !memcmp(n->text, text, len)))
			return &d->table[i];
	}
}

static uint32_t find_name(const struct reg_doc *d, const char *text, size_t len, bool is_container)
{
	return *find_slot(d, text, len, hash_name(text, len, is_container), is_container);
}

uint32_t doc_find_container(const struct reg_doc *d, const char *path, size_t len)
{
	return find_name(d, path, len, true);
}

static int grow_table(struct reg_doc *d, struct err *e)
{
	uint32_t cap = d->table_cap ? d->table_cap * 2 : 2 * FIRST_CAP;
	uint32_t *table = mem_alloc(cap, sizeof(*table), e);

	if (!table)
		return -1;
	free(d->table);
	d->table = table;
	d->table_cap = cap;
	for (uint32_t i = 1; i < d->name_count; i++) {
		const struct doc_name *n = &d->names[i];

		*find_slot(d, n->text, n->len, n->hash, n->is_container) = i;
	}
	return 0;
}

static int grow_names(struct reg_doc *d, struct err *e)
{
	if (d->name_count > REG_ENTRIES_MAX)
		return err_set(e, ERR_LIMIT, "more than %d keys", REG_ENTRIES_MAX);
	if ((d->name_count + 1) * 2 > d->table_cap && grow_table(d, e) < 0)
		return -1;
	if (d->name_count == d->name_cap) {
		uint32_t cap = d->name_cap * 2;
		struct doc_name *names = mem_grow(d->names, cap, sizeof(*names), e);

		if (!names)
			return -1;
		d->names = names;
		d->name_cap = cap;
	}
	return 0;
}

/* What d->scratch spells: its number, made if missing; DOC_NONE on failure. */
static uint32_t intern(struct reg_doc *d, uint32_t container, bool is_container, struct err *e)
{
	const char *text = d->scratch.len ? (const char *)d->scratch.data : "";
	size_t len = d->scratch.len;
	uint32_t hash = hash_name(text, len, is_container);
	uint32_t number = *find_slot(d, text, len, hash, is_container);

	if (number != DOC_NONE)
		return number;
	if (len > REG_KEY_MAX) {
		(void)err_set(e, ERR_LIMIT, "a key is longer than %d bytes", REG_KEY_MAX);
		return DOC_NONE;
	}
	if (grow_names(d, e) < 0)
		return DOC_NONE;
	text = doc_keep(d, text, len, e);
	if (!text)
		return DOC_NONE;
	number = d->name_count++;
	d->names[number] = (struct doc_name){ .text = text,
					      .len = (uint32_t)len,
					      .hash = hash,
					      .container = container,
					      .is_container = is_container };
	*find_slot(d, text, len, hash, is_container) = number;
	return number;
}

/* The path of a container and a '/', where one belongs, in d->scratch. */
static int spell_path(struct reg_doc *d, uint32_t container, size_t name_len, struct err *e)
{
	const struct doc_name *n = &d->names[container];

	buf_reset(&d->scratch);
	if (n->len + 1 + name_len > REG_KEY_MAX)
		return err_set(e, ERR_LIMIT, "a key is longer than %d bytes", REG_KEY_MAX);
	return buf_add(&d->scratch, n->text, n->len, e);
}

uint32_t doc_container(struct reg_doc *d, uint32_t parent, const char *name, size_t len, struct err *e)
{
	if (spell_path(d, parent, len, e) < 0 || (parent != DOC_TOP && buf_add(&d->scratch, "/", 1, e) < 0) ||
	    doc_spell(name, len, &d->scratch, e) < 0)
		return DOC_NONE;
	return intern(d, parent, true, e);
}

/* Whether there is a '/' between the container's path and the name; see enum doc_paths. */
static bool has_slash_before(const struct reg_doc *d, uint32_t container, const char *name, size_t len)
{
	if (container != DOC_TOP)
		return true;
	switch (d->lens->paths) {
	case DOC_FLAT:
		return len && *name == '/';
	case DOC_SECTION:
		return len && memchr(name, '/', len);
	case DOC_NESTED:
		break;
	}
	return false;
}

uint32_t doc_key(struct reg_doc *d, uint32_t container, const char *name, size_t len, struct err *e)
{
	enum doc_paths paths = d->lens->paths;
	bool has_slash = has_slash_before(d, container, name, len);

	if (spell_path(d, container, len, e) < 0 || (has_slash && buf_add(&d->scratch, "/", 1, e) < 0) ||
	    (paths == DOC_NESTED ? doc_spell(name, len, &d->scratch, e)
				 : buf_add(&d->scratch, name, len, e)) < 0)
		return DOC_NONE;
	return intern(d, container, false, e);
}

uint32_t doc_container_buf(struct reg_doc *d, uint32_t parent, const struct buf *name, struct err *e)
{
	return doc_container(d, parent, (const char *)name->data, name->len, e);
}

uint32_t doc_key_buf(struct reg_doc *d, uint32_t container, const struct buf *name, struct err *e)
{
	return doc_key(d, container, (const char *)name->data, name->len, e);
}

uint32_t doc_find_key(const struct reg_doc *d, const char *key)
{
	return find_name(d, key, strlen(key), false);
}

const char *doc_last_part(const struct reg_doc *d, const char *key, size_t *ret_path_len)
{
	enum doc_paths paths = d->lens->paths;
	const char *slash = paths == DOC_FLAT      ? (*key == '/' ? key : NULL)
			    : paths == DOC_SECTION ? strchr(key, '/')
						   : strrchr(key, '/');

	*ret_path_len = slash ? (size_t)(slash - key) : 0;
	return slash ? slash + 1 : key;
}

uint32_t doc_container_at(struct reg_doc *d, const char *path, size_t len, struct err *e)
{
	uint32_t container = DOC_TOP;

	while (len && container != DOC_NONE) {
		const char *slash = memchr(path, '/', len);
		size_t part = slash ? (size_t)(slash - path) : len, skip = part + (slash != NULL);

		buf_reset(&d->plain);
		if (doc_unspell(path, part, &d->plain, e) < 0)
			return DOC_NONE;
		container = doc_container_buf(d, container, &d->plain, e);
		path += skip;
		len -= skip;
		if (slash && len == 0) {
			(void)err_set(e, ERR_USAGE, "a part of a key without a name is written %%");
			return DOC_NONE;
		}
	}
	return container;
}

void doc_bind(struct reg_doc *d, uint32_t piece, uint32_t name)
{
	d->pieces[piece].name = name;
	d->pieces[piece].same = d->names[name].piece;
	d->names[name].piece = piece;
}

int doc_value(struct reg_doc *d, uint32_t piece, const struct buf *value, struct err *e)
{
	const char *kept;

	if (value->len > REG_VALUE_MAX)
		return err_set(e, ERR_LIMIT, "a value is longer than %d bytes", REG_VALUE_MAX);
	kept = doc_keep_buf(d, value, e);
	if (!kept)
		return -1;
	d->pieces[piece].value = kept;
	return 0;
}

/* ---- parse, render -------------------------------------------------------------------------- */

void reg_doc_free(struct reg_doc *d)
{
	if (!d)
		return;
	if (d->lens->release)
		d->lens->release(d);
	free(d->text);
	free(d->pieces);
	free(d->names);
	free(d->table);
	arena_fini(&d->arena);
	buf_fini(&d->scratch);
	buf_fini(&d->line);
	buf_fini(&d->plain);
	free(d);
}

static void free_ptr(struct reg_doc **d)
{
	reg_doc_free(*d);
}

static struct reg_doc *make_doc(const struct reg_lens *l, const char *text, size_t len, struct err *e)
{
	struct reg_doc *d = mem_alloc(1, sizeof(*d), e);
	const char *feed;

	if (!d)
		return NULL;
	d->lens = l;
	d->arena = (struct arena)ARENA_INIT(KEPT_MAX);
	d->scratch = (struct buf)BUF_INIT(4 * REG_KEY_MAX);
	d->line = d->plain = (struct buf)BUF_INIT(2 * (size_t)REG_TEXT_MAX);
	d->piece_cap = d->name_cap = FIRST_CAP;
	d->text = mem_strndup(text, len, e);
	d->len = len;
	d->pieces = d->text ? mem_alloc(d->piece_cap, sizeof(*d->pieces), e) : NULL;
	d->names = d->pieces ? mem_alloc(d->name_cap, sizeof(*d->names), e) : NULL;
	d->piece_count = d->name_count = 1;
	if (!d->names || grow_table(d, e) < 0 || intern(d, DOC_NONE, true, e) == DOC_NONE) { /* DOC_TOP */
		reg_doc_free(d);
		return NULL;
	}
	feed = memchr(d->text, '\n', len);
	d->feed = feed && feed > d->text && feed[-1] == '\r' ? "\r\n" : "\n";
	return d;
}

static size_t line_of(const char *text, size_t off)
{
	size_t line = 1;

	for (const char *end = text + off; (text = memchr(text, '\n', (size_t)(end - text))); text++)
		line++;
	return line;
}

int reg_doc_parse(const struct reg_lens *l, const char *text, size_t len, struct reg_doc **ret, struct err *e)
{
	__attribute__((cleanup(free_ptr))) struct reg_doc *d = NULL;

	if (len > REG_TEXT_MAX)
		return err_set(e, ERR_LIMIT, "text of more than %d bytes", REG_TEXT_MAX);
	if (len && memchr(text, 0, len))
		return err_set(e, ERR_FORMAT, "binary data, not a text");
	d = make_doc(l, text, len, e);
	if (!d)
		return -1;
	if (len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) {
		uint32_t mark = doc_insert(d, 0, DOC_OPEN, d->text, 3, e);

		if (mark == DOC_NONE)
			return -1;
		doc_bind(d, mark, DOC_TOP);
		d->at = 3;
	}
	if (l->scan(d, e) < 0)
		return err_wrap(e, "line %zu", line_of(d->text, d->at));
	*ret = mem_steal(d);
	return 0;
}

int reg_doc_render(const struct reg_doc *d, struct buf *ret, struct err *e)
{
	if (d->lens->render)
		return d->lens->render(d, ret, e);
	if (buf_reserve(ret, d->len, e) < 0)
		return -1;
	for (uint32_t i = d->pieces[0].next; i != DOC_NONE; i = d->pieces[i].next)
		if (buf_add(ret, d->pieces[i].text, d->pieces[i].len, e) < 0)
			return -1;
	return 0;
}

/* ---- keys ----------------------------------------------------------------------------------- */

bool reg_doc_next(const struct reg_doc *d, size_t *pos, const char **ret_key, const char **ret_value)
{
	for (uint32_t i = d->pieces[*pos].next; i != DOC_NONE; i = d->pieces[i].next) {
		const struct doc_piece *p = &d->pieces[i];

		if (p->kind != DOC_SETTING || d->names[p->name].piece != i)
			continue;
		*pos = i;
		*ret_key = d->names[p->name].text;
		*ret_value = p->value;
		return true;
	}
	return false;
}

const char *reg_doc_get(const struct reg_doc *d, const char *key)
{
	uint32_t piece = d->names[doc_find_key(d, key)].piece;

	return piece == DOC_NONE ? NULL : d->pieces[piece].value;
}

int reg_doc_set(struct reg_doc *d, const char *key, const char *value, struct err *e)
{
	uint32_t piece = d->names[doc_find_key(d, key)].piece;

	if (strlen(key) > REG_KEY_MAX)
		return err_set(e, ERR_LIMIT, "a key is longer than %d bytes", REG_KEY_MAX);
	if (strlen(value) > REG_VALUE_MAX)
		return err_set(e, ERR_LIMIT, "a value is longer than %d bytes", REG_VALUE_MAX);
	if (d->lens->paths == DOC_NESTED && *key == '/')
		return err_set(e, ERR_USAGE, "%s: a part of a key without a name is written %%", key);
	if (d->lens->apply)
		return d->lens->apply(d, &(struct reg_change){ key, value }, 1, e);
	if (piece == DOC_NONE)
		return d->lens->add(d, key, value, e);
	return strcmp(d->pieces[piece].value, value) ? d->lens->change(d, piece, value, e) : 0;
}

bool doc_is_named(const struct reg_lens *l, const char *base)
{
	size_t base_len = strlen(base), len;

	for (const char *word = l->files; word && *word; word += len + (word[len] == ' ')) {
		len = strcspn(word, " ");
		if (base_len >= len && !memcmp(base + base_len - len, word, len) &&
		    (*word == '.' || base_len == len))
			return true;
	}
	return false;
}

bool doc_has_keys(const struct reg_lens *l, const char *text, size_t len)
{
	__attribute__((cleanup(free_ptr))) struct reg_doc *d = NULL;
	const char *key, *value;
	struct err ignored;
	size_t pos = 0;

	return reg_doc_parse(l, text, len, &d, &ignored) == 0 && reg_doc_next(d, &pos, &key, &value);
}

int reg_doc_unset(struct reg_doc *d, const char *key, struct err *e)
{
	uint32_t name = doc_find_key(d, key), piece = d->names[name].piece;

	if (d->lens->apply)
		return d->lens->apply(d, &(struct reg_change){ key, NULL }, 1, e);
	while (piece != DOC_NONE) {
		uint32_t same = d->pieces[piece].same;

		if (d->lens->remove(d, piece, e) < 0)
			return -1;
		d->names[name].piece = piece = same;
	}
	return 0;
}
