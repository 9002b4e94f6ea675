/* SPDX-License-Identifier: Apache-2.0 */
/* The links index of an upper (vfs/cow_upper.h) that stands on the host alone: files of the host with several
 * names that were changed. The changed file shows under each of those names, and the upper holds only those
 * that somebody used. One thread; blocks on the disk. */
#ifndef FLOE_SEQ_UPPER_LINKS_H
#define FLOE_SEQ_UPPER_LINKS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/mem.h"

struct seq_link {
	uint64_t dev, ino; /* of the host's file */
	char *source;      /* the changed file; owned */
	unsigned count;    /* names that the union showed */
	const char *near;  /* a path that is one of them; the owner of the list sets it */
	unsigned seen;     /* of these, how many have been found so far; the owner of the list counts */
};

struct seq_links {
	struct seq_link *links; /* sorted by dev, ino; owned */
	size_t count, cap;
};

/* Of the upper in `dir`. No index is an empty one. */
int seq_links_read(const char *dir, struct seq_links *ret, struct err *e) FLOE_MUST_USE;
void seq_links_fini(struct seq_links *l);
/* That file of the host has been changed; NULL: it has not. */
struct seq_link *seq_links_of_host(const struct seq_links *l, const struct stat *host);
/* The entry of a file in the upper; NULL: it is an ordinary one. */
struct seq_link *seq_links_of_upper(const struct seq_links *l, const char *source);

#endif
