/* SPDX-License-Identifier: Apache-2.0 */
/* Lenses: configuration text <-> keys, both ways, keeping comments, order and spelling.
 *
 * Law: parse then render gives the same bytes; changing one key changes only its line.
 * Text of up to REG_TEXT_MAX bytes and REG_ENTRIES_MAX keys; no recursion on input. Pure functions of
 * memory: any thread (one at a time per document), never block.
 *
 * Keys are "Section/name": the first '/' divides, so a name may contain '/' itself. In the section's part
 * '/' is spelled "%2F" and '%' is "%25". Keys before the first section are "/name" (get, set and unset also
 * take "name" for them, when the name has no '/'); keys below an empty header "[]" are "%/name".
 * Where a section or a key stands several times the last one is what is read and changed; the others stay
 * as they are, and unset removes them all. A value is everything behind the '=' and the blanks that
 * follow it, up to the end of the line; escapes and quotes are part of it. */
#ifndef FLOE_REG_LENS_H
#define FLOE_REG_LENS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"

enum { REG_TEXT_MAX = 16 * 1024 * 1024, REG_ENTRIES_MAX = 1000 * 1000 };

struct reg_doc; /* a parsed text, opaque */

struct reg_lens {
	const char *name; /* "ini" */
	/* ERR_FORMAT, with the line, when the text is not of this kind; ERR_LIMIT when it, one of its keys
	 * (REG_KEY_MAX) or values (REG_VALUE_MAX) is too long. */
	int (*parse)(const char *text, size_t len, struct reg_doc **ret, struct err *e);
	int (*render)(const struct reg_doc *d, struct buf *ret, struct err *e);
	/* Keys in order, each once; start with *pos = 0; false at the end. Strings are borrowed until the
	 * next change of the document. */
	bool (*next)(const struct reg_doc *d, size_t *pos, const char **ret_key, const char **ret_value);
	const char *(*get)(const struct reg_doc *d, const char *key); /* NULL = none */
	/* Adds behind the last key of its section, making the section if needed. ERR_USAGE when the kind of
	 * file cannot express the key or the value (a line feed, blanks in front). */
	int (*set)(struct reg_doc *d, const char *key, const char *value, struct err *e);
	void (*unset)(struct reg_doc *d, const char *key);
	void (*free)(struct reg_doc *d);
};

/* NULL when there is no lens of that name. Static storage. */
const struct reg_lens *reg_lens_find(const char *name);
/* A document with no text. */
int reg_lens_parse_empty(const struct reg_lens *l, struct reg_doc **ret, struct err *e) FLOE_MUST_USE;
/* The lens that fits a text (for the sequencer's proposals), or NULL. */
const struct reg_lens *reg_lens_guess(const char *path, const char *text, size_t len);

#endif
