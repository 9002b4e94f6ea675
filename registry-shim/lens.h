/* SPDX-License-Identifier: Apache-2.0 */
/* Lenses: configuration text <-> keys, both ways, keeping comments, order and spelling.
 *
 * Law: parse then render gives the same bytes; changing one key changes only its line.
 * Text of up to REG_TEXT_MAX bytes and REG_ENTRIES_MAX keys; no recursion on input. Pure functions of
 * memory: any thread (one at a time per document), never block; but for Augeas' lenses, which ask a program.
 * How each kind of file spells keys and values
 * is in the header of its lens (lens_NAME.h).
 *
 * A key is spelled in one way only: the sections on the way to it, divided by '/', and its name; at the top
 * of a file the name alone. One in which that would read as a section has an empty one in front, "/a/b".
 *
 * Where a section or a key stands several times the last one is what is read and changed; the others stay
 * as they are, and unset removes them all. */
#ifndef FLOE_REG_LENS_H
#define FLOE_REG_LENS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"

enum { REG_TEXT_MAX = 16 * 1024 * 1024, REG_ENTRIES_MAX = 1000 * 1000 };

struct reg_lens; /* a kind of file, opaque; static storage */
struct reg_doc;  /* a parsed text, opaque */
struct reg_change;

/* NULL when there is no lens of that name. "augeas:MODULE" is Augeas' lens MODULE.lns (lens_augeas.h). */
const struct reg_lens *reg_lens_find(const char *name);
const char *reg_lens_name(const struct reg_lens *l); /* "ini" */
/* Whether changes of its texts may need each other, so that only all of them together can be judged
 * (reg_doc_settle). */
bool reg_lens_is_joint(const struct reg_lens *l);
/* The names of all lenses, as "ini, json", for people; static storage. */
const char *reg_lens_names(void);
/* The lens of files that are called so (".json"), for one that has no text yet; NULL when the path's name
 * does not tell. */
const struct reg_lens *reg_lens_of_name(const char *path);
/* The lens that fits a text (for the sequencer's proposals), by the path's name and the content, or NULL. */
const struct reg_lens *reg_lens_guess(const char *path, const char *text, size_t len);

/* ERR_FORMAT, with the line, when the text is not of this kind; ERR_LIMIT when it, one of its keys
 * (REG_KEY_MAX) or values (REG_VALUE_MAX) is too long. Every lens takes an empty text. The caller frees. */
int reg_doc_parse(const struct reg_lens *l, const char *text, size_t len, struct reg_doc **ret,
		  struct err *e) FLOE_MUST_USE;
void reg_doc_free(struct reg_doc *d);
int reg_doc_render(const struct reg_doc *d, struct buf *ret, struct err *e) FLOE_MUST_USE;
/* Keys in order, each once; start with *pos = 0; false at the end. Strings are borrowed until the
 * next change of the document. */
bool reg_doc_next(const struct reg_doc *d, size_t *pos, const char **ret_key, const char **ret_value);
const char *reg_doc_get(const struct reg_doc *d, const char *key); /* NULL = none */
/* Adds behind the last key of its section, making the section if needed. ERR_USAGE when the kind of
 * file cannot express the key or the value (a line feed, say); the document then says what it said. */
int reg_doc_set(struct reg_doc *d, const char *key, const char *value, struct err *e);
int reg_doc_unset(struct reg_doc *d, const char *key, struct err *e);
/* Makes what can be made of many changes (hive.h), each key once; what the kind of file cannot express is
 * left out and told of (left_out may be NULL). Changes that it can express only together go together. -1 with
 * ERR_NOMEM only. */
typedef void reg_left_out_fn(void *arg, const struct reg_change *c, const struct err *why);
int reg_doc_settle(struct reg_doc *d, const struct reg_change *changes, size_t count,
		   reg_left_out_fn *left_out, void *arg, struct err *e) FLOE_MUST_USE;

#endif
