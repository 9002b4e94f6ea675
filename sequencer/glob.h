/* SPDX-License-Identifier: Apache-2.0 */
/* Patterns over paths: '*' and '?' stay within one component, "**" crosses them, [a-z] and [!a-z] are
 * sets. A pattern without a slash is matched against the last component. No recursion: time is bounded
 * by pattern length times path length. Any thread; never blocks, never fails. */
#ifndef FLOE_SEQ_GLOB_H
#define FLOE_SEQ_GLOB_H

#include <stdbool.h>

bool seq_glob_match(const char *pattern, const char *path);

#endif
