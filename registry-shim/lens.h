/* SPDX-License-Identifier: Apache-2.0 */
/* Lenses: configuration text <-> keys, both ways, keeping comments, order and spelling.
 *
 * Law: parse then render gives the same bytes; changing one key changes only its line.
 * Text of up to REG_TEXT_MAX bytes and REG_ENTRIES_MAX keys; no recursion on input. Pure functions of
 * memory: any thread, never block. */
#ifndef FLOE_REG_LENS_H
#define FLOE_REG_LENS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"

enum { REG_TEXT_MAX = 16 * 1024 * 1024, REG_ENTRIES_MAX = 1000 * 1000 };

struct reg_doc; /* a parsed text, opaque */

struct reg_lens {
	const char *name; /* "ini" */
	/* ERR_FORMAT, with the line, when the text is not of this kind. */
	int (*parse)(const char *text, size_t len, struct reg_doc **ret, struct err *e);
	int (*render)(const struct reg_doc *d, struct buf *ret, struct err *e);
	/* Keys in order; false at the end. Strings are borrowed until the next change of the document. */
	bool (*next)(const struct reg_doc *d, size_t *pos, const char **ret_key, const char **ret_value);
	const char *(*get)(const struct reg_doc *d, const char *key); /* NULL = none */
	/* Adds behind the last key of its section, making the section if needed. */
	int (*set)(struct reg_doc *d, const char *key, const char *value, struct err *e);
	void (*unset)(struct reg_doc *d, const char *key);
	void (*free)(struct reg_doc *d);
};

/* NULL when there is no lens of that name. Static storage. */
const struct reg_lens *reg_lens_find(const char *name);
/* The lens that fits a text (for the sequencer's proposals), or NULL. */
const struct reg_lens *reg_lens_guess(const char *path, const char *text, size_t len);

#endif
