/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the copy-on-write union share. Private to cow_*.c.
 *
 * Order of locks: an object's lock (cow_lock), then anything inside the parts. Of two objects the one with
 * the lower id's stripe first (cow_lock_pair). An object's lock is held across the file-system steps that
 * change which layer it is in: that is what it is for. Plain reads and writes take none. */
#ifndef FLOE_VFS_COW_STATE_H
#define FLOE_VFS_COW_STATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/sync.h"
#include "vfs/cow_content.h"
#include "vfs/cow_layer.h"
#include "vfs/cow_nodes.h"
#include "vfs/cow_union.h"
#include "vfs/cow_upper.h"

enum { COW_STRIPES = 256 };

struct cow_cache;
struct cow_told;
struct cow_lists;   /* cow_list.h: directory listings */
struct cow_watches; /* cow_watch.h: what the host changes */
struct cow_notices; /* cow_notice.h: what the kernel must forget */

struct cow_union {
	struct cow_union_opt opt;
	struct cow_layer *layers[COW_LAYERS_MAX + 1]; /* by layer number; [COW_UPPER] is NULL */
	unsigned layer_count;                         /* lower ones: numbers 1 .. layer_count */
	struct cow_upper *upper;                      /* NULL = read-only */
	uint64_t main_dev;                            /* st_ino of objects on this device is shown as it is */
	double timeout_s;
	struct cow_nodes *nodes;
	struct cow_cache *dirs;  /* cow_dir.h: open directories */
	struct cow_cache *files; /* cow_file.h: open files */
	struct cow_cache *holds; /* cow_hold.h: files of the host's that may be opened */
	struct cow_lists *lists;
	struct cow_told *told; /* cow_told.h: what the kernel knows already */
	struct cow_notices *notices;
	struct cow_watches *watches;
	struct vfs_fuse_session *session;
	struct sync_mutex stripes[COW_STRIPES];
	atomic_uint
		steps; /* changes between their step on the disk and the one in the table: cow_step_begin */
	atomic_uint_fast64_t copy_ups, bytes_copied_up;
	atomic_bool is_stopping;
};

/* Around the two steps of a rename or a removal, on the disk and in the table: between them an object is not
 * where the table says. */
static inline void cow_step_begin(struct cow_union *u)
{
	atomic_fetch_add(&u->steps, 1);
}

static inline void cow_step_end(struct cow_union *u)
{
	atomic_fetch_sub(&u->steps, 1);
}

/* For those who look meanwhile, which are not kept apart from the change: true, after a while, when it is
 * worth to look again. That lasts for as long as somebody is between two steps, also on a busy machine, and
 * for a moment when nobody is: then what is not where the table says is not there. Starts with { 0 }. */
struct cow_patience {
	unsigned moment, busy;
};
bool cow_step_wait(struct cow_union *u, struct cow_patience *p);

#endif
