/* SPDX-License-Identifier: Apache-2.0 */
/* TOML's values: where one ends, and how a registry value spells it. See lens_toml.h. Pure functions of
 * memory. */
#ifndef FLOE_REG_LENS_TOML_VALUE_H
#define FLOE_REG_LENS_TOML_VALUE_H

#include <stdbool.h>

#include "base/mem.h"

/* Where the string or the value that begins at `at` ends, or 0 when it is none. */
size_t toml_skip_string(const char *s, size_t at, size_t len);
size_t toml_skip_value(const char *s, size_t at, size_t len);

/* The text of a spelled string, added to ret. 1 when C has none for it (U+0000), 0, or -1. */
int toml_read_string(const char *s, size_t len, struct buf *ret, struct err *e);
/* In double quotes. */
int toml_write_string(const char *text, size_t len, struct buf *ret, struct err *e);

/* A spelled value as the registry spells it, and back; see struct line_syntax. */
int toml_read_value(const char *s, size_t len, struct buf *ret, struct err *e);
int toml_write_value(const char *old, size_t old_len, const char *value, struct buf *ret, struct err *e);

#endif
