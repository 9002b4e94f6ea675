/* SPDX-License-Identifier: Apache-2.0 */
/* The INI lens: see lens_ini.h, and lens.h for the law and the spelling of keys.
 *
 * A document is a doubly linked list of lines (in one array, linked by index) over a copy of the text in
 * which each line's end is replaced by NUL; so values need no copies and rendering is concatenation. Keys
 * and sections are names in one hash table; a name knows its last line, a line of a repeated key the one
 * before it. Keys and lines never move once made, so borrowed strings stay good. */
#include "registry-shim/lens_ini.h"

#include <string.h>

#include "base/hash.h"
#include "registry-shim/hive.h"
#include "registry-shim/lens_ini_line.h"

enum { NONE = 0 }; /* line 0 is the list's anchor, name 0 is unused */
enum { NAMES_MEMORY_MAX = 128 * 1024 * 1024, LINES_MAX = 2 * REG_ENTRIES_MAX };

struct line {
	const char *text; /* the whole line, NUL-terminated */
	uint32_t len;
	uint32_t value_off; /* of a key */
	uint32_t prev, next;
	uint32_t name; /* of the key or the section; NONE for other lines */
	uint32_t same; /* the line before with this name */
	uint32_t crs;  /* carriage returns behind the text: no value ends with one */
	bool has_feed;
	bool is_section;
};

struct name {
	const char *text; /* a full key, or a section's escaped name */
	uint64_t hash;
	uint32_t line;     /* the last with this name; NONE when there is none (any more) */
	uint32_t section;  /* of a key: its section's name */
	uint32_t last_key; /* of a section: the last key line below its last header */
	bool is_section;
};

struct reg_doc {
	char *text; /* the parsed text, owned */
	size_t bom; /* length of the byte-order mark in front: 0 or 3 */
	struct line *lines;
	uint32_t nlines, lines_cap;
	struct name *names;
	uint32_t nnames, names_cap;
	uint32_t *table;    /* open addressing, of name numbers */
	uint32_t table_cap; /* a power of two */
	uint32_t crs;       /* how this text ends lines: 0 = LF, 1 = CRLF */
	struct arena arena;
	struct buf scratch; /* spelling of the key at hand */
};

/* ---- names ---------------------------------------------------------------------------------- */

static uint64_t hash_name(const char *s, bool is_section)
{
	uint64_t h = hash_text(HASH_SEED ^ (uint64_t)(uintptr_t)&reg_lens_ini ^ is_section, s);

	return h ^ h >> 29;
}

static uint32_t *find_slot(const struct reg_doc *d, const char *text, uint64_t hash, bool is_section)
{
	uint32_t i = (uint32_t)hash & (d->table_cap - 1);

	for (;; i = (i + 1) & (d->table_cap - 1)) {
		const struct name *n = &d->names[d->table[i]];

		if (d->table[i] == NONE ||
		    (n->hash == hash && n->is_section == is_section && !strcmp(n->text, text)))
			return &d->table[i];
	}
}

static uint32_t find_name(const struct reg_doc *d, const char *text, bool is_section)
{
	return *find_slot(d, text, hash_name(text, is_section), is_section);
}

static int grow_table(struct reg_doc *d, struct err *e)
{
	uint32_t cap = d->table_cap ? d->table_cap * 2 : 64;
	uint32_t *table = mem_alloc(cap, sizeof(*table), e);

	if (!table)
		return -1;
	free(d->table);
	d->table = table;
	d->table_cap = cap;
	for (uint32_t i = 1; i < d->nnames; i++)
		*find_slot(d, d->names[i].text, d->names[i].hash, d->names[i].is_section) = i;
	return 0;
}

/* The name's number, made if missing; NONE on failure. */
static uint32_t intern(struct reg_doc *d, const char *text, size_t len, bool is_section, uint32_t section,
		       struct err *e)
{
	uint64_t hash = hash_name(text, is_section);
	uint32_t *slot = find_slot(d, text, hash, is_section), number = *slot;

	if (number != NONE)
		return number;
	if (d->nnames > REG_ENTRIES_MAX) {
		(void)err_set(e, ERR_LIMIT, "more than %d keys", REG_ENTRIES_MAX);
		return NONE;
	}
	if (d->nnames == d->names_cap) {
		uint32_t cap = d->names_cap * 2;
		struct name *names = mem_grow(d->names, cap, sizeof(*names), e);

		if (!names)
			return NONE;
		d->names = names;
		d->names_cap = cap;
	}
	text = arena_strndup(&d->arena, text, len, e);
	if (!text)
		return NONE;
	number = d->nnames++;
	d->names[number] =
		(struct name){ .text = text, .hash = hash, .section = section, .is_section = is_section };
	*slot = number;
	if (d->nnames * 2 > d->table_cap && grow_table(d, e) < 0)
		return NONE; /* the caller gives the document up */
	return number;
}

/* Spells a section's name in scratch; an empty one is "" before the first header and "%" for "[]". */
static int spell_section(struct reg_doc *d, const char *name, size_t len, struct err *e)
{
	buf_reset(&d->scratch);
	if (len == 0)
		return buf_add(&d->scratch, "%", 1, e);
	for (size_t i = 0; i < len; i++) {
		const char *piece = name[i] == '/' ? "%2F" : name[i] == '%' ? "%25" : NULL;

		if (buf_add(&d->scratch, piece ? piece : &name[i], piece ? 3 : 1, e) < 0)
			return err_set(e, ERR_LIMIT, "a section's name is too long");
	}
	return 0;
}

/* The inverse of spell_section, into scratch. */
static int unspell_section(struct reg_doc *d, const char *spelled, struct err *e)
{
	buf_reset(&d->scratch);
	if (!strcmp(spelled, "%"))
		return 0;
	for (const char *s = spelled; *s; s++) {
		char c = *s;

		if (c == '%' && !strncmp(s, "%2F", 3))
			c = '/';
		else if (c == '%' && strncmp(s, "%25", 3) != 0)
			return err_set(e, ERR_USAGE, "%s: in a section's name '%%' is written %%25", spelled);
		if (*s == '%')
			s += 2;
		if (buf_add(&d->scratch, &c, 1, e) < 0)
			return -1;
	}
	return 0;
}

/* ---- lines ---------------------------------------------------------------------------------- */

/* A new line behind `after`; its number, or NONE. */
static uint32_t add_line(struct reg_doc *d, uint32_t after, const char *text, size_t len, struct err *e)
{
	uint32_t number = d->nlines;
	struct line *l;

	if (d->nlines > LINES_MAX) {
		(void)err_set(e, ERR_LIMIT, "more than %d lines", LINES_MAX);
		return NONE;
	}
	if (d->nlines == d->lines_cap) {
		uint32_t cap = d->lines_cap * 2;
		struct line *lines = mem_grow(d->lines, cap, sizeof(*lines), e);

		if (!lines)
			return NONE;
		d->lines = lines;
		d->lines_cap = cap;
	}
	l = &d->lines[number];
	*l = (struct line){ .text = text, .len = (uint32_t)len, .crs = d->crs, .has_feed = true };
	l->prev = after;
	l->next = d->lines[after].next;
	d->lines[l->next].prev = number;
	d->lines[after].next = number;
	d->nlines++;
	return number;
}

/* Makes the line at hand the one that counts for its name. */
static void bind_line(struct reg_doc *d, uint32_t line, uint32_t name)
{
	struct name *n = &d->names[name];

	d->lines[line].name = name;
	d->lines[line].is_section = n->is_section;
	d->lines[line].same = n->line;
	n->line = line;
	if (n->is_section)
		n->last_key = NONE;
	else
		d->names[n->section].last_key = line;
}

static uint32_t intern_key(struct reg_doc *d, uint32_t section, const char *name, size_t len, struct err *e)
{
	const char *text;

	buf_reset(&d->scratch);
	if (strlen(d->names[section].text) + 1 + len > REG_KEY_MAX) {
		(void)err_set(e, ERR_LIMIT, "a key is longer than %d bytes", REG_KEY_MAX);
		return NONE;
	}
	if (buf_add_str(&d->scratch, d->names[section].text, e) < 0 || buf_add(&d->scratch, "/", 1, e) < 0 ||
	    buf_add(&d->scratch, name, len, e) < 0)
		return NONE;
	text = buf_text(&d->scratch, e);
	return text ? intern(d, text, d->scratch.len, false, section, e) : NONE;
}

/* Understands a line that has just been appended; *section is the one it stands in. */
static int take_line(struct reg_doc *d, uint32_t number, uint32_t *section, struct err *e)
{
	struct line *l = &d->lines[number];
	struct ini_line r = ini_line_read(l->text, l->len);
	uint32_t name;
	const char *text;

	switch (r.kind) {
	case INI_BROKEN:
		return err_set(e, ERR_FORMAT, "neither a section, a setting nor a comment");
	case INI_SECTION:
		if (r.name_len > REG_KEY_MAX)
			return err_set(e, ERR_LIMIT, "a section's name is too long");
		if (spell_section(d, l->text + r.name_off, r.name_len, e) < 0)
			return -1;
		text = buf_text(&d->scratch, e);
		name = text ? intern(d, text, d->scratch.len, true, NONE, e) : NONE;
		*section = name;
		break;
	case INI_KEY:
		if (l->len - r.value_off > REG_VALUE_MAX)
			return err_set(e, ERR_LIMIT, "a value is longer than %d bytes", REG_VALUE_MAX);
		l->value_off = (uint32_t)r.value_off;
		name = intern_key(d, *section, l->text + r.name_off, r.name_len, e);
		break;
	default:
		return 0;
	}
	if (name == NONE)
		return -1;
	bind_line(d, number, name);
	return 0;
}

/* ---- parse, render -------------------------------------------------------------------------- */

static void ini_free(struct reg_doc *d)
{
	if (!d)
		return;
	free(d->text);
	free(d->lines);
	free(d->names);
	free(d->table);
	arena_fini(&d->arena);
	buf_fini(&d->scratch);
	free(d);
}

static void ini_free_ptr(struct reg_doc **d)
{
	ini_free(*d);
}

static struct reg_doc *make_doc(const char *text, size_t len, struct err *e)
{
	struct reg_doc *d = mem_alloc(1, sizeof(*d), e);

	if (!d)
		return NULL;
	d->arena = (struct arena)ARENA_INIT(NAMES_MEMORY_MAX);
	d->scratch = (struct buf)BUF_INIT(4 * REG_KEY_MAX);
	d->lines_cap = 64;
	d->names_cap = 64;
	d->text = mem_strndup(text, len, e);
	d->lines = d->text ? mem_alloc(d->lines_cap, sizeof(*d->lines), e) : NULL;
	d->names = d->lines ? mem_alloc(d->names_cap, sizeof(*d->names), e) : NULL;
	d->nlines = d->nnames = 1;
	/* Name 1 is the section in front of the first header. */
	if (!d->names || grow_table(d, e) < 0 || intern(d, "", 0, true, NONE, e) == NONE) {
		ini_free(d);
		return NULL;
	}
	return d;
}

static int ini_parse(const char *text, size_t len, struct reg_doc **ret, struct err *e)
{
	__attribute__((cleanup(ini_free_ptr))) struct reg_doc *d = NULL;
	uint32_t section = 1, last = NONE, count = 0;

	if (len > REG_TEXT_MAX)
		return err_set(e, ERR_LIMIT, "text of more than %d bytes", REG_TEXT_MAX);
	if (len && memchr(text, 0, len))
		return err_set(e, ERR_FORMAT, "binary data, not an INI text");
	d = make_doc(text, len, e);
	if (!d)
		return -1;
	d->bom = len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3) ? 3 : 0;
	for (size_t off = d->bom; off < len;) {
		char *start = d->text + off, *feed = memchr(start, '\n', len - off);
		size_t whole = feed ? (size_t)(feed - start) : len - off, line_len = whole;

		off += whole + (feed != NULL);
		while (line_len && start[line_len - 1] == '\r')
			line_len--;
		start[line_len] = 0;
		last = add_line(d, last, start, line_len, e);
		count++;
		if (last == NONE)
			return -1;
		d->lines[last].crs = (uint32_t)(whole - line_len);
		d->lines[last].has_feed = feed != NULL;
		if (count == 1)
			d->crs = feed && whole > line_len;
		if (take_line(d, last, &section, e) < 0)
			return err_wrap(e, "line %u", count);
	}
	*ret = mem_steal(d);
	return 0;
}

static int ini_render(const struct reg_doc *d, struct buf *ret, struct err *e)
{
	if (d->bom && buf_add(ret, "\xef\xbb\xbf", 3, e) < 0)
		return -1;
	for (uint32_t i = d->lines[0].next; i != NONE; i = d->lines[i].next) {
		const struct line *l = &d->lines[i];

		if (buf_add(ret, l->text, l->len, e) < 0)
			return -1;
		for (uint32_t n = 0; n < l->crs; n++)
			if (buf_add(ret, "\r", 1, e) < 0)
				return -1;
		if (l->has_feed && buf_add(ret, "\n", 1, e) < 0)
			return -1;
	}
	return 0;
}

static bool ini_next(const struct reg_doc *d, size_t *pos, const char **ret_key, const char **ret_value)
{
	for (uint32_t i = d->lines[*pos].next; i != NONE; i = d->lines[i].next) {
		const struct line *l = &d->lines[i];

		if (l->name == NONE || l->is_section || d->names[l->name].line != i)
			continue;
		*pos = i;
		*ret_key = d->names[l->name].text;
		*ret_value = l->text + l->value_off;
		return true;
	}
	return false;
}

static uint32_t find_key(const struct reg_doc *d, const char *key)
{
	char global[REG_KEY_MAX + 2];

	if (strchr(key, '/'))
		return find_name(d, key, false);
	if (strlen(key) > REG_KEY_MAX)
		return NONE;
	global[0] = '/';
	strcpy(global + 1, key);
	return find_name(d, global, false);
}

static const char *ini_get(const struct reg_doc *d, const char *key)
{
	uint32_t name = find_key(d, key), line = d->names[name].line;

	return name == NONE || line == NONE ? NULL : d->lines[line].text + d->lines[line].value_off;
}

/* ---- changes -------------------------------------------------------------------------------- */

/* How this document writes "name = value": with the blanks of its nearest key. */
static const char *equals_style(const struct reg_doc *d, uint32_t near)
{
	const struct line *l;

	if (near == NONE)
		for (near = d->lines[0].next; near != NONE; near = d->lines[near].next)
			if (d->lines[near].name != NONE && !d->lines[near].is_section)
				break;
	l = &d->lines[near];
	return near != NONE && memmem(l->text, l->len, " = ", 3) ? " = " : "=";
}

/* A line of our own making, checked by reading it as the parser would. */
static const char *make_line(struct reg_doc *d, enum ini_kind kind, const char *name, size_t name_len,
			     const char *equals, const char *value, struct ini_line *ret, size_t *ret_len,
			     struct err *e)
{
	size_t value_len = strlen(value), len = name_len + strlen(equals) + value_len + 2;
	char *text;

	if (value_len > REG_VALUE_MAX || name_len > REG_KEY_MAX) {
		(void)err_set(e, ERR_LIMIT, "key or value is too long");
		return NULL;
	}
	text = arena_alloc(&d->arena, len + 1, 1, e);
	if (!text)
		return NULL;
	len = (size_t)sprintf(text, kind == INI_SECTION ? "[%.*s]%s%s" : "%.*s%s%s", (int)name_len, name,
			      equals, value);
	*ret = ini_line_read(text, len);
	if (ret->kind != kind || ret->name_len != name_len || memcmp(text + ret->name_off, name, name_len) ||
	    memchr(text, '\n', len) || text[len - 1] == '\r' ||
	    (kind == INI_KEY && strcmp(text + ret->value_off, value) != 0)) {
		(void)err_set(e, ERR_USAGE, "an INI file cannot hold %.*s%s%s", (int)name_len, name, equals,
			      value);
		return NULL;
	}
	*ret_len = len;
	return text;
}

/* The last line gets an end when another follows. */
static void end_line(struct reg_doc *d, uint32_t line)
{
	if (line == NONE || d->lines[line].has_feed)
		return;
	d->lines[line].has_feed = true;
	d->lines[line].crs += d->crs;
}

/* The section's header, added at the end when missing. */
static int want_section(struct reg_doc *d, uint32_t section, struct err *e)
{
	struct ini_line r;
	const char *text;
	size_t len;
	uint32_t last = d->lines[0].prev, line;

	if (section == 1 || d->names[section].line != NONE)
		return 0;
	if (unspell_section(d, d->names[section].text, e) < 0)
		return -1;
	text = buf_text(&d->scratch, e);
	if (!text)
		return -1;
	text = make_line(d, INI_SECTION, text, d->scratch.len, "", "", &r, &len, e);
	if (!text)
		return -1;
	if (last != NONE) {
		end_line(d, last);
		if (d->lines[last].len) {
			last = add_line(d, last, "", 0, e);
			if (last == NONE)
				return -1;
		}
	}
	line = add_line(d, last, text, len, e);
	if (line == NONE)
		return -1;
	bind_line(d, line, section);
	return 0;
}

/* Adds a key that the document does not have. */
static int add_key(struct reg_doc *d, uint32_t section, const char *name, const char *value, struct err *e)
{
	uint32_t after, line, number;
	struct ini_line r;
	const char *text;
	size_t len;

	after = d->names[section].last_key;
	text = make_line(d, INI_KEY, name, strlen(name), equals_style(d, after), value, &r, &len, e);
	if (!text || want_section(d, section, e) < 0)
		return -1;
	number = intern_key(d, section, name, strlen(name), e);
	if (number == NONE)
		return -1;
	if (after == NONE) /* behind the header; in front of everything when there is none */
		after = d->names[section].line;
	line = add_line(d, after, text, len, e);
	if (line == NONE)
		return -1;
	end_line(d, after);
	d->lines[line].value_off = (uint32_t)r.value_off;
	bind_line(d, line, number);
	return 0;
}

static int ini_set(struct reg_doc *d, const char *key, const char *value, struct err *e)
{
	uint32_t name = find_key(d, key), line = d->names[name].line;
	const char *slash = strchr(key, '/'), *text;
	auto_free char *section = NULL;
	struct ini_line r;
	size_t len, head;

	if (name == NONE || line == NONE) {
		uint32_t number;

		section = mem_strndup(key, slash ? (size_t)(slash - key) : 0, e);
		if (!section || unspell_section(d, section, e) < 0)
			return -1;
		if (strlen(key) > REG_KEY_MAX)
			return err_set(e, ERR_LIMIT, "a key is longer than %d bytes", REG_KEY_MAX);
		number = intern(d, section, strlen(section), true, NONE, e);
		return number == NONE ? -1 : add_key(d, number, slash ? slash + 1 : key, value, e);
	}
	/* Everything up to the value stays as it is. */
	head = d->lines[line].value_off;
	r = ini_line_read(d->lines[line].text, d->lines[line].len);
	text = make_line(d, INI_KEY, d->lines[line].text + r.name_off, r.name_len, "=", value, &r, &len, e);
	if (!text)
		return -1;
	text = arena_alloc(&d->arena, head + strlen(value) + 1, 1, e);
	if (!text)
		return -1;
	memcpy((char *)text, d->lines[line].text, head);
	strcpy((char *)text + head, value);
	d->lines[line].text = text;
	d->lines[line].len = (uint32_t)(head + strlen(value));
	return 0;
}

/* The key line before `line` below the same header. */
static uint32_t key_before(const struct reg_doc *d, uint32_t line)
{
	do
		line = d->lines[line].prev;
	while (line != NONE && d->lines[line].name == NONE);
	return line != NONE && d->lines[line].is_section ? NONE : line;
}

static void ini_unset(struct reg_doc *d, const char *key)
{
	uint32_t name = find_key(d, key);
	struct name *n = &d->names[name];

	if (name == NONE)
		return;
	for (uint32_t i = n->line; i != NONE; i = d->lines[i].same) {
		struct line *l = &d->lines[i];

		if (d->names[n->section].last_key == i)
			d->names[n->section].last_key = key_before(d, i);
		d->lines[l->prev].next = l->next;
		d->lines[l->next].prev = l->prev;
	}
	n->line = NONE;
}

const struct reg_lens reg_lens_ini = {
	.name = "ini",
	.parse = ini_parse,
	.render = ini_render,
	.next = ini_next,
	.get = ini_get,
	.set = ini_set,
	.unset = ini_unset,
	.free = ini_free,
};

bool reg_lens_ini_fits(const char *text, size_t len)
{
	size_t sections = 0, keys = 0;

	if (len > REG_TEXT_MAX || (len && memchr(text, 0, len)))
		return false;
	for (size_t off = 0; off < len;) {
		const char *feed = memchr(text + off, '\n', len - off);
		size_t line_len = feed ? (size_t)(feed - text) - off : len - off;
		struct ini_line r = ini_line_read(text + off, line_len);

		if (r.kind == INI_BROKEN || r.kind == INI_STRAY || (r.kind == INI_KEY && !sections))
			return false;
		sections += r.kind == INI_SECTION;
		keys += r.kind == INI_KEY;
		off += line_len + 1;
	}
	return sections && keys;
}
