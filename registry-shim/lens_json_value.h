/* SPDX-License-Identifier: Apache-2.0 */
/* JSON's values: where one ends, and how a registry value spells it. See lens_json.h. */
#ifndef FLOE_REG_LENS_JSON_VALUE_H
#define FLOE_REG_LENS_JSON_VALUE_H

#include "registry-shim/lens_doc.h"

/* Past blanks and comments. *ret_lead, where not NULL: the blanks directly before what follows. ERR_FORMAT
 * for a comment that does not end; *at is where it went wrong, as in all of these. */
int json_skip_blanks(const char *s, size_t len, size_t *at, size_t *ret_lead, struct err *e);
/* Past the string that begins at *at. */
int json_skip_string(const char *s, size_t len, size_t *at, struct err *e);
/* Past any value; nothing is nested deeper than JSON_DEPTH_MAX. */
int json_skip_value(const char *s, size_t len, size_t *at, struct err *e);

/* The text of a spelled string, quotes included, added to ret. 1 when it has none that C can hold (U+0000,
 * half a surrogate pair), 0, or -1. */
int json_read_string(const char *spelled, size_t len, struct buf *ret, struct err *e);
int json_write_string(const char *text, size_t len, struct buf *ret, struct err *e);

/* A spelled value as the registry spells it, and back; both add to ret. ERR_USAGE for an object. */
int json_read_value(const char *spelled, size_t len, struct buf *ret, struct err *e);
int json_write_value(const char *value, struct buf *ret, struct err *e);

#endif
