/* SPDX-License-Identifier: Apache-2.0 */
/* What writer.c and writer_tree.c share; private to them. */
#ifndef FLOE_PKG_WRITER_STATE_H
#define FLOE_PKG_WRITER_STATE_H

#include "package-format/plan.h"
#include "package-format/writer.h"

struct pkg_writer_default {
	char *file, *key, *value; /* in the plan's arena */
};

struct pkg_writer {
	struct pkg_writer_opt opt;
	struct pkg_plan plan;
	struct pkg_writer_default *defaults;
	size_t default_count, default_cap;
	bool is_finished;
};

#endif
