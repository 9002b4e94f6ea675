/* SPDX-License-Identifier: Apache-2.0 */
/* YAML's scalars on one line. See lens_yaml.h. Pure functions of memory. */
#ifndef FLOE_REG_LENS_YAML_VALUE_H
#define FLOE_REG_LENS_YAML_VALUE_H

#include <stdbool.h>

#include "base/mem.h"

/* Behind the quotes or the brackets that end what begins at `at`, on whatever line; 0 when nothing ends it.
 */
size_t yaml_skip_quoted(const char *s, size_t at, size_t len);
size_t yaml_skip_flow(const char *s, size_t at, size_t len);

/* Whether a text can stand without quotes. */
bool yaml_is_plain(const char *s, size_t len);

/* What stands within quotes, added to ret. ERR_FORMAT for unknown escapes; 1 when C has no text for it, 0, or
 * -1. */
int yaml_read_quoted(const char *s, size_t len, struct buf *ret, struct err *e);

/* A spelled value as the registry spells it, and back; both add to ret. `old`: what is replaced, or NULL. */
int yaml_read_value(const char *s, size_t len, struct buf *ret, struct err *e);
int yaml_write_value(const char *old, size_t old_len, const char *value, struct buf *ret, struct err *e);

#endif
