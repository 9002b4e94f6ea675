/* SPDX-License-Identifier: Apache-2.0 */
/* For tests with environments: XDG directories of their own. */
#ifndef FLOE_TESTS_UNIT_LAUNCHER_ENVIRONMENT_FIXTURE_H
#define FLOE_TESTS_UNIT_LAUNCHER_ENVIRONMENT_FIXTURE_H

#include "tests/unit/cmocka_all.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "launcher/environment.h"

static char root[64];

static inline int make_root(void **state)
{
	(void)state;
	(void)strcpy(root, "/tmp/floe-test-XXXXXX");
	return mkdtemp(root) && setenv("XDG_DATA_HOME", root, 1) == 0 &&
			       setenv("XDG_CACHE_HOME", root, 1) == 0
		       ? 0
		       : -1;
}

static inline int remove_root(void **state)
{
	struct err e;

	(void)state;
	return path_remove_tree(AT_FDCWD, root, &e);
}

static inline struct launch_environment *made(const char *name)
{
	struct launch_environment *env = NULL;
	struct err e;

	if (launch_environment_make(name, &env, &e) < 0)
		fail_msg("%s", e.msg);
	return env;
}

#endif
