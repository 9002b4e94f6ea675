/* SPDX-License-Identifier: Apache-2.0 */
/* One line of an INI text: what it is and where its parts lie. Pure functions of memory; never fail. */
#ifndef FLOE_REG_LENS_INI_LINE_H
#define FLOE_REG_LENS_INI_LINE_H

#include <stddef.h>

enum ini_kind {
	INI_OTHER,   /* blank, comment, or nothing we know: kept as it is */
	INI_SECTION, /* name = between the brackets */
	INI_KEY,     /* name, value */
	INI_BROKEN,  /* a section header that does not end; markup; a brace that names nothing */
	INI_STRAY,   /* as INI_OTHER, but neither blank nor a comment */
};

struct ini_line {
	enum ini_kind kind;
	size_t name_off, name_len;
	size_t value_off; /* to the end of the line */
};

/* `line` without its end of line. */
struct ini_line ini_line_read(const char *line, size_t len);

#endif
