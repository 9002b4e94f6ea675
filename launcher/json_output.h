/* SPDX-License-Identifier: Apache-2.0 */
/* What verbs print with --json. For the programs with verbs only. Never blocks but on standard output. */
#ifndef FLOE_LAUNCH_JSON_OUTPUT_H
#define FLOE_LAUNCH_JSON_OUTPUT_H

#include <jansson.h>

/* A string of bytes that may be no UTF-8 (a path): every byte that is none becomes U+FFFD. A new reference,
 * or NULL on lack of memory. */
json_t *launch_json_bytes(const char *bytes);
/* Prints and lets go of `root` (NULL: lack of memory). The exit status: 0 or 125. */
int launch_json_print(json_t *root);

#endif
