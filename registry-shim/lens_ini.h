/* SPDX-License-Identifier: Apache-2.0 */
/* The generic INI lens: [sections] of any characters, "name=value" with or without blanks around the '=',
 * names with spaces, comments with ';' or '#', LF or CRLF, any bytes but NUL.
 *
 * A line that is none of these (a bare word, a continuation) is kept where it stands and has no key; but a
 * text with lines that start with '<', or with '{' and no '=', is refused as markup. Carriage returns at the
 * end of a line belong to the line, not to the value. See lens.h for how keys are spelled. */
#ifndef FLOE_REG_LENS_INI_H
#define FLOE_REG_LENS_INI_H

#include "registry-shim/lens.h"

extern const struct reg_lens reg_lens_ini;

/* True when the text is plainly INI: a section and a key at least, and no line without meaning. */
bool reg_lens_ini_fits(const char *text, size_t len);

#endif
