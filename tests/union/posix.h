/* SPDX-License-Identifier: Apache-2.0 */
/* What the cases of the POSIX suite share (posix_steps.c): results that are counted, objects of every kind,
 * made new or found in the layers below. */
#ifndef FLOE_TESTS_UNION_POSIX_H
#define FLOE_TESTS_UNION_POSIX_H

#include "tests/union/case_lists.h"

/* Does the call fail like this (0: succeed)? The case goes on. `about` says of what a table's line is. */
#define WANT(about, call, want) (errno = 0, want_result(__LINE__, about, #call, (call), want))
void want_result(int line, const char *about, const char *call, long long result, int want);

enum kind { KIND_FILE, KIND_FIFO, KIND_SOCKET, KIND_SYMLINK, KIND_DIR, KINDS };
extern const char *const kind_names[KINDS];
void make_object(enum kind kind, const char *path); /* mode 0644 or 0755 */
void remove_object(const char *path);
bool is_object(enum kind kind, const char *path);
extern const char *const lower_objects[KINDS]; /* NULL: the layers have none */

#endif
