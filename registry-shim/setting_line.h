/* SPDX-License-Identifier: Apache-2.0 */
/* One setting as a line of text: what `floe registry export` writes and policy files say.
 *
 *   WORD FILE:SECTION/NAME = VALUE        set config/mc/ini:Midnight-Commander/skin = dark
 *   WORD FILE:SECTION/NAME                unset config/mc/ini:Layout/menubar_visible
 *   WORD FILE = VALUE  |  WORD FILE
 *
 * Blanks around the '=' and at the ends of the line do not count; what is empty or begins with '#' says
 * nothing. \n \r \t \\ and \xNN (a byte, not 00) have their meaning everywhere, \= is an equals sign of a
 * key; blanks at the ends of a key or a value, and control characters, are written that way. A line feed at
 * the end of a line is its end. Bytes that are no UTF-8 stand as they are. libc only; any thread; never
 * blocks. */
#ifndef FLOE_REG_SETTING_LINE_H
#define FLOE_REG_SETTING_LINE_H

#include <stddef.h>

#include "base/mem.h"

struct reg_line {
	char *word;  /* NULL: the line says nothing */
	char *file;  /* owned, as all */
	char *key;   /* NULL: only a file */
	char *value; /* NULL: there is no '=' */
};
#define auto_reg_line __attribute__((cleanup(reg_line_fini))) struct reg_line
void reg_line_fini(struct reg_line *l);

/* `line` ends at NUL. ERR_FORMAT says what is wrong, without the line's number. */
int reg_line_parse(const char *line, struct reg_line *ret, struct err *e) FLOE_MUST_USE;
/* Adds a line to a text, with its line feed. key and value may be NULL. */
int reg_line_add(struct buf *text, const char *word, const char *file, const char *key, const char *value,
		 struct err *e) FLOE_MUST_USE;

/* What is spelled with a '/' in front as earlier versions did ("/name" for a key at the top of a file), as
 * keys are spelled now ("name"; lens.h); any other key is returned as it is. Part of `key`. */
const char *reg_key_plain(const char *key);
/* "FILE:SECTION/NAME" or "FILE:NAME" into both, as people type it: no escapes, the key made plain. Caller
 * frees. ERR_USAGE when it is no key. */
int reg_key_split(const char *text, char **ret_file, char **ret_key, struct err *e) FLOE_MUST_USE;

#endif
