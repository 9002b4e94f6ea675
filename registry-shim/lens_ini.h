/* SPDX-License-Identifier: Apache-2.0 */
/* The generic INI lens: [sections] of any characters, "name=value" with or without blanks around the '=',
 * names with spaces, comments with ';' or '#', LF or CRLF, any bytes but NUL.
 *
 * Keys are "Section/name": the first '/' divides, so a name may contain '/' itself. In the section's part
 * '/' is spelled "%2F" and '%' is "%25". Keys before the first section are "name", and "/a/b" when the name
 * has a '/' itself; keys below an empty header "[]" are "%/name". A value is everything behind the '=' and
 * the blanks that follow it, up to the end of the line; escapes and quotes are part of it.
 *
 * A line that is none of these (a bare word, a continuation) is kept where it stands and has no key; but a
 * text with lines that start with '<', or with '{' and no '=', is refused as markup. Carriage returns at the
 * end of a line belong to the line, not to the value. */
#ifndef FLOE_REG_LENS_INI_H
#define FLOE_REG_LENS_INI_H

#include "registry-shim/lens_lines.h"

extern const struct reg_lens reg_lens_ini;

/* One line of an INI text, for lenses of its family. */
struct line_parts ini_read(const char *line, size_t len);

#endif
