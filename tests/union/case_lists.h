/* SPDX-License-Identifier: Apache-2.0 */
/* The lists of cases, one for each file; a NULL name is their end. */
#ifndef FLOE_TESTS_UNION_CASE_LISTS_H
#define FLOE_TESTS_UNION_CASE_LISTS_H

#include "tests/union/case.h"

extern const struct test_case cases_content[], cases_space[], cases_copy[], cases_names[], cases_rename[],
	cases_rename_dir[], cases_delete[], cases_list[], cases_links[], cases_times[], cases_owners[],
	cases_attrs[], cases_unnamed[], cases_kernel[];
extern const struct test_case posix_paths[], posix_tree[], posix_open[], posix_owners[], posix_times[];

#endif
