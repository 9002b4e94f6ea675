/* SPDX-License-Identifier: Apache-2.0 */
/* The system calls that change a tree: every error, every time stamp, every permission, by tables. See case.c
 * for how to run it. */
#include "tests/union/case_lists.h"
#include "tests/union/case_run.h"

static const struct case_difference differences[] = {
	{ "overlay", "link_each", "a new name of a symbolic link or FIFO of a layer below has another st_ino",
	  true },
	{ "overlay", "times_after_failures", "a call that fails may have copied up, which shows in ctime",
	  true },
	{ NULL, NULL, NULL, false },
};

int main(int argc, char **argv)
{
	static const struct test_case *const lists[] = {
		posix_paths, posix_tree, posix_open, posix_owners, posix_times, NULL,
	};

	return case_main(argc, argv, lists, differences);
}
