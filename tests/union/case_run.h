/* SPDX-License-Identifier: Apache-2.0 */
/* The program around the cases; see case.c. */
#ifndef FLOE_TESTS_UNION_CASE_RUN_H
#define FLOE_TESTS_UNION_CASE_RUN_H

#include "tests/union/case.h"

/* lists: one for each file of cases, each ending with a NULL name; NULL at the end. differences: NULL at the
 * end. */
int case_main(int argc, char **argv, const struct test_case *const *lists,
	      const struct case_difference *differences);
/* Ends a case's process: did all its case_expect hold? */
void case_end(void) __attribute__((noreturn));
/* May this process become any user (and not only in a namespace that knows no other)? */
bool can_be_others(void);

#endif
