/* SPDX-License-Identifier: Apache-2.0 */
/* Texts under Augeas' lenses, in memory: what floe-augeas does. <augeas.h> is included only in augeas_*.c.
 *
 * Augeas makes a tree of a text. Keys are the labels on the way to a node, spelled as doc_spell has them and
 * joined by '/'; '[' is "%5B". Of siblings with one label the second is "label[2]", and so on. Nodes that
 * have a value have a key, and so have nodes without one that stand alone (a flag: its value is ""). Comments
 * (#comment and the like) have none.
 *
 * Neither time nor memory is bounded here: Augeas' own effort is not. One thread per handle. Blocks on the
 * disk, where the lenses are. */
#ifndef FLOE_REG_AUGEAS_TEXT_H
#define FLOE_REG_AUGEAS_TEXT_H

#include "base/mem.h"

struct augeas; /* of libaugeas */

/* Nothing but lenses is read from the disk: those of libaugeas' own directory, and of AUGEAS_LENS_LIB. */
int augeas_text_open(struct augeas **ret, struct err *e) FLOE_MUST_USE;
void augeas_text_close(struct augeas *a);

/* The keys of a text under the lens MODULE.lns, in order: key NUL value NUL, repeated, added to ret.
 * ERR_NOTFOUND when there is no such lens, ERR_FORMAT when it does not understand the text - then *ret_at is
 * where, in bytes. */
int augeas_text_keys(struct augeas *a, const char *module, const char *text, struct buf *ret, size_t *ret_at,
		     struct err *e) FLOE_MUST_USE;

/* A text after changes, all at once, in the order given: '=' key NUL value NUL gives a key another value,
 * '-' key NUL NUL takes it away, with what surrounds nothing else, '+' key NUL value NUL adds it. ERR_USAGE
 * when the lens has no text that says so. */
int augeas_text_change(struct augeas *a, const char *module, const char *text, const char *changes,
		       size_t changes_len, struct buf *ret, struct err *e) FLOE_MUST_USE;

#endif
