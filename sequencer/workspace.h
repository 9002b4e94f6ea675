/* SPDX-License-Identifier: Apache-2.0 */
/* The working directory of one sequencing run, below CACHE/sequence/: locked while the run lives, so that
 * the next run can tell what a dead one left behind, and removes it. One thread; blocks on the disk. */
#ifndef FLOE_SEQ_WORKSPACE_H
#define FLOE_SEQ_WORKSPACE_H

#include <stdbool.h>

#include "base/mem.h"

struct seq_workspace {
	char *dir; /* absolute; owned */
	int lock_fd;
	bool keep; /* stays when closed */
};

/* `dir` NULL: a new one below the cache directory, after cleaning up behind dead runs. Otherwise that
 * directory, made if missing and kept; ERR_EXISTS when it is not empty. */
int seq_workspace_open(const char *dir, struct seq_workspace *ret, struct err *e) FLOE_MUST_USE;
/* A directory of that name inside, made (0700). Caller frees. */
char *seq_workspace_subdir(const struct seq_workspace *w, const char *name, struct err *e) FLOE_MUST_USE;
/* Removes it unless `keep`. 0, or -1 when something could not be removed; closed in either case. */
int seq_workspace_close(struct seq_workspace *w, struct err *e);

#endif
