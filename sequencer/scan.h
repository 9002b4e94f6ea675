/* SPDX-License-Identifier: Apache-2.0 */
/* Scanning: from a tree on disk to a capture.
 *
 * Two kinds of tree: the upper of a session (vfs/upper.h, vfs/cow_upper.h; compared with the host) and an
 * ordinary directory that goes below a prefix. Does not cross file systems and follows no links.
 * One thread; blocks on the disk. */
#ifndef FLOE_SEQ_SCAN_H
#define FLOE_SEQ_SCAN_H

#include <stdbool.h>
#include <sys/types.h>

#include "sequencer/capture.h"

struct seq_scan {
	const char *dir;  /* the tree */
	const char *host; /* what lies below an upper; NULL = "/" */
	const char *home; /* the installer's home: what is below it becomes "@home/..."; may be NULL */
	/* Paths (absolute) that the session itself made and that are left out; NULL-terminated, may be NULL.
	 */
	const char *const *session_paths;
	/* This owner is recorded as root: the user that pretended to be root. */
	uid_t uid;
	gid_t gid;
	const volatile bool *cancel; /* may be NULL; ERR_INTERRUPTED when it becomes true */
};

struct seq_scan_report {
	size_t unchanged; /* files that were rewritten with the host's own content; not in the capture */
	uint64_t unchanged_bytes;
};

/* Whiteouts become entries; an opaque directory becomes whiteouts for what it hides of the host. Files and
 * directories that this user made unreadable are given to their owner (the upper is ours); their
 * recorded mode stays. A renamed directory has its content from the host, and a changed file all names that
 * the host has for it, looked for where the upper does not hold them; owners and modes that were only noted
 * count. floe's own (/.floe, and attributes that are bookkeeping) is left out. What the host has is read
 * while it is packed: it may change until then. The capture is sorted. */
int seq_scan_upper(const struct seq_scan *s, struct seq_capture *ret, struct seq_scan_report *ret_report,
		   struct err *e) FLOE_MUST_USE;

/* Everything below s->dir as it is, at `prefix` ("/", "/opt/x" or "@home/x"). Nothing on disk is
 * changed. The capture is sorted. */
int seq_scan_tree(const struct seq_scan *s, const char *prefix, struct seq_capture *ret,
		  struct err *e) FLOE_MUST_USE;

#endif
