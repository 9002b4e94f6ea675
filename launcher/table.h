/* SPDX-License-Identifier: Apache-2.0 */
/* Rows for people: columns as wide as their widest cell, numbers to the right. Cells are shown with control
 * characters escaped, so that what an application chose for a name cannot play with the terminal. */
#ifndef FLOE_LAUNCH_TABLE_H
#define FLOE_LAUNCH_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"

struct launch_table {
	const char *const *heads; /* borrowed; a head that starts with '>' stands to the right */
	size_t columns;
	char **cells; /* owned */
	size_t count, cap;
};

#define LAUNCH_TABLE_INIT(heads_array)                                                                       \
	{                                                                                                    \
		(heads_array), ARRAY_LEN(heads_array), NULL, 0, 0                                            \
	}
#define auto_launch_table __attribute__((cleanup(launch_table_fini)))

void launch_table_fini(struct launch_table *t);
/* The next cell, rows first; a copy. */
int launch_table_add(struct launch_table *t, const char *text, struct err *e) FLOE_MUST_USE;
int launch_table_addf(struct launch_table *t, struct err *e, const char *fmt, ...)
	FLOE_PRINTF(3, 4) FLOE_MUST_USE;
/* On standard output, heads first. */
void launch_table_print(const struct launch_table *t);

/* One text with control characters and backslashes as \n, \t, \\ or \xNN. Caller frees. */
char *launch_table_escape(const char *text, struct err *e) FLOE_MUST_USE;
/* Seconds since 1970 as local "YYYY-MM-DD HH:MM"; "" for 0. */
void launch_table_time(long long seconds, char ret[32]);

#endif
