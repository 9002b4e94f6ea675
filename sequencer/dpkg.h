/* SPDX-License-Identifier: Apache-2.0 */
/* dpkg's status database, read as text: which distribution packages a session has added. Pure functions of
 * memory. */
#ifndef FLOE_SEQ_DPKG_H
#define FLOE_SEQ_DPKG_H

#include <stdbool.h>

#include "base/mem.h"

enum { SEQ_DPKG_TEXT_MAX = 64 * 1024 * 1024 };

struct seq_dpkg_package {
	char *name, *version, *summary; /* owned; summary is the first line of the description */
};

struct seq_dpkg {
	struct seq_dpkg_package *packages; /* owned; installed ones, in the file's order */
	size_t count;
};

void seq_dpkg_fini(struct seq_dpkg *d);
int seq_dpkg_parse(const char *text, size_t len, struct seq_dpkg *ret, struct err *e) FLOE_MUST_USE;
/* NULL = not installed. */
const struct seq_dpkg_package *seq_dpkg_find(const struct seq_dpkg *d, const char *name);
/* Moves what `after` has and `before` has not, or in another version, to *ret (in order); the rest of
 * `after` is freed. */
void seq_dpkg_keep_new(struct seq_dpkg *after, const struct seq_dpkg *before);

#endif
