/* SPDX-License-Identifier: Apache-2.0 */
/* Blanks, characters in escapes, and strings, as several lenses have them. Pure functions of memory. */
#ifndef FLOE_REG_LENS_TEXT_H
#define FLOE_REG_LENS_TEXT_H

#include <stdbool.h>

#include "base/mem.h"

/* From `at`, past blanks and tabs. */
size_t text_skip_blanks(const char *s, size_t at, size_t len);

/* Adds a code point as UTF-8. ERR_FORMAT for 0, surrogates and what is beyond Unicode. */
int text_add_code_point(unsigned long c, struct buf *ret, struct err *e) FLOE_MUST_USE;
/* The code point that s begins with and its length in bytes; 0 where that is not UTF-8. */
size_t text_code_point(const char *s, size_t len, unsigned long *ret);
/* The number that `digits` hexadecimal digits spell; -1 where there are fewer. */
long text_hex(const char *s, size_t len, size_t digits);
/* What follows a "\u" at s, "XXXX" or "XXXX\uXXXX": bytes read, or 0 where that is no character (0, half a
 * surrogate pair, no digits). */
size_t text_utf16(const char *s, size_t len, unsigned long *ret);

/* The registry's spelling of a string that a file spells, added to ret: its text; but the string as it stands
 * where `read` says that it has none (1, not 0 or -1), or where its text would be taken for a value that a
 * file spells. */
int text_string_value(const char *spelled, size_t len,
		      int (*read)(const char *spelled, size_t len, struct buf *ret, struct err *e),
		      bool (*is_spelled)(const char *text, size_t len), struct buf *ret,
		      struct err *e) FLOE_MUST_USE;

#endif
