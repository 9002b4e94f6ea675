/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of scanning share: scan.c (the walk), scan_entry.c (one file), scan_union.c (what the union
 * showed and the upper alone does not tell). Private to them. */
#ifndef FLOE_SEQ_SCAN_STATE_H
#define FLOE_SEQ_SCAN_STATE_H

#include <limits.h>

#include "sequencer/scan.h"
#include "sequencer/upper_links.h"

struct scanning {
	const struct seq_scan *opt;
	const char *root;   /* of the tree, absolute */
	const char *prefix; /* in front of paths; "" for an upper */
	bool is_upper;
	struct seq_capture *capture;
	struct seq_scan_report report;
	struct seq_links links; /* of an upper */
	size_t walked; /* entries of the capture that the walk has found; what follows was searched for */
};

struct scan_object {
	const char *path;   /* as the installer saw it */
	const char *source; /* on disk */
	struct stat st;     /* as the installer saw it */
};

/* How a directory of the upper stands to the host. In the capture's arena. */
struct scan_place {
	bool is_opaque;     /* itself, or something above it: what the host has at its path does not show */
	const char *origin; /* the directory of the host that shows in it; NULL = none, or that of its path */
};

/* 0 and *ret, or -1 when the host has nothing there that we can see. `host`: where that is. */
int seq_scan_host(const struct scanning *s, const char *path, struct stat *ret, char host[PATH_MAX]);
/* Unless the host has just that. */
int seq_scan_take(struct scanning *s, const struct scan_object *o, struct err *e) FLOE_MUST_USE;
int seq_scan_add_whiteout(struct scanning *s, const char *path, struct err *e) FLOE_MUST_USE;

/* Of directory `path`, `source` on disk, whose parent is at `above` (NULL: it is the root). */
const struct scan_place *seq_scan_place(struct scanning *s, const struct scan_place *above, const char *path,
					const char *source, struct err *e);
/* Adds what shows in this directory and is not in the upper, and whiteouts for what the host has at its path
 * and does not show. */
int seq_scan_complete(struct scanning *s, const struct scan_place *place, const char *path,
		      const char *source, struct err *e) FLOE_MUST_USE;
/* A file with other names below: its content and attributes are one for all of them. */
int seq_scan_see_link(struct scanning *s, const struct scan_object *o, struct err *e) FLOE_MUST_USE;
/* After all: adds the names of changed files that only the host has. */
int seq_scan_add_names(struct scanning *s, struct err *e) FLOE_MUST_USE;

#endif
