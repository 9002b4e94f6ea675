/* SPDX-License-Identifier: Apache-2.0 */
/* What verbs print with --json. For the programs with verbs only. Never blocks but on standard output. */
#ifndef FLOE_LAUNCH_JSON_OUTPUT_H
#define FLOE_LAUNCH_JSON_OUTPUT_H

#include <jansson.h>

#include "base/err.h"

/* A string of bytes that may be no UTF-8 (a path): every byte that is none becomes U+FFFD. A new reference,
 * or NULL on lack of memory. */
json_t *launch_json_bytes(const char *bytes);
/* The same, or JSON's null for NULL. */
json_t *launch_json_bytes_or_null(const char *bytes);
/* Takes `row` over (NULL: lack of memory). */
int launch_json_append(json_t *list, json_t *row, struct err *e) FLOE_MUST_USE;
/* Prints and lets go of `root` (NULL: lack of memory). The exit status: 0 or 125. */
int launch_json_print(json_t *root);

#endif
