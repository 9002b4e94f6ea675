/* SPDX-License-Identifier: Apache-2.0 */
/* The `fuse` engine: a copy-on-write union in one FUSE file system, upper over packages over frozen uppers
 * over the host. Without an upper it is the read-only host view.
 *
 * Exactness: directories rename (redirects), hard links stay links through copy-up, st_ino is stable over
 * copy-up and remount and equals d_ino, and all input and output of a file goes through the object, not
 * through what was open, so that whoever opened a file before its copy-up sees what is written later.
 * Locks are the kernel's. Times of access are the file system's below. Names and attributes of the host are
 * believed for timeout_ms, all else for ever.
 *
 * Unkillable: a server that dies is replaced by another with the same `table` and `takeover_init`, and the
 * kernel sends unanswered requests again; one that had been carried out already is recognised by its effect.
 *
 * <fuse_lowlevel.h> is included only in cow_ops*.c and their like. */
#ifndef FLOE_VFS_COW_UNION_H
#define FLOE_VFS_COW_UNION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "vfs/cow_layer.h"

struct cow_union; /* opaque */

struct cow_union_opt {
	const char *upper, *work; /* both NULL: read-only, nothing is ever written */
	/* Lower layers, topmost first; borrowed, must outlive the union. */
	struct cow_layer *const *layers;
	size_t layer_count;
	/* Owners: with `map_owners` every object shows as uid:gid unless the upper notes another owner (a
	 * user namespace knows no other numbers); otherwise as they are, and new files get their maker's. */
	bool map_owners;
	uid_t uid;
	gid_t gid;
	unsigned timeout_ms;          /* of the host's names and attributes; 0 = 1,000 */
	unsigned threads;             /* 0 = a sane number */
	unsigned fds_max;             /* descriptors kept open; 0 = a sane number below RLIMIT_NOFILE */
	int table;                    /* memfd of the node table, borrowed */
	const uint8_t *takeover_init; /* as for vfs_fuse_session_open */
	size_t takeover_init_len;
	void (*on_serving)(void *arg, const uint8_t *init, size_t init_len);
	void *on_serving_arg;
};

/* fuse_fd: a /dev/fuse descriptor whose mount(2) has been done (default_permissions); owned on success. */
int cow_union_open(int fuse_fd, const struct cow_union_opt *opt, struct cow_union **ret,
		   struct err *e) FLOE_MUST_USE;
/* Serves until unmounted or stopped. Blocks. */
int cow_union_run(struct cow_union *u, struct err *e) FLOE_MUST_USE;
void cow_union_stop(struct cow_union *u);  /* any thread */
void cow_union_close(struct cow_union *u); /* NULL ok; not while _run runs */

struct cow_union_stats {
	uint64_t operations, lookups, reads, writes, copy_ups, bytes_copied_up;
	uint64_t nodes, table_bytes, open_fds;
};
void cow_union_stats(struct cow_union *u, struct cow_union_stats *ret); /* any thread */

#endif
