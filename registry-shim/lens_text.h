/* SPDX-License-Identifier: Apache-2.0 */
/* Characters in several lenses' escapes. Pure functions of memory. */
#ifndef FLOE_REG_LENS_TEXT_H
#define FLOE_REG_LENS_TEXT_H

#include "base/mem.h"

/* Adds a code point as UTF-8. ERR_FORMAT for 0, surrogates and what is beyond Unicode. */
int text_add_code_point(unsigned long c, struct buf *ret, struct err *e) FLOE_MUST_USE;
/* The code point that s begins with and its length in bytes; 0 where that is not UTF-8. */
size_t text_code_point(const char *s, size_t len, unsigned long *ret);
/* The number that `digits` hexadecimal digits spell; -1 where there are fewer. */
long text_hex(const char *s, size_t len, size_t digits);
/* What follows a "\u" at s, "XXXX" or "XXXX\uXXXX": bytes read, or 0 where that is no character (0, half a
 * surrogate pair, no digits). */
size_t text_utf16(const char *s, size_t len, unsigned long *ret);

#endif
