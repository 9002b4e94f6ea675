/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the upper share: cow_upper.c (life, looking), cow_upper_probe.c (what the file system can
 * do), cow_upper_attrs.c, cow_features.c, cow_temp.c, cow_whiteout.c, cow_remove.c, cow_move.c, cow_orphan.c,
 * cow_links.c, cow_freeze.c. Private to them and their tests. */
#ifndef FLOE_VFS_COW_UPPER_STATE_H
#define FLOE_VFS_COW_UPPER_STATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/sync.h"
#include "vfs/cow_attr_name.h"
#include "vfs/cow_upper.h"

#define COW_ATTR_FEATURES "user.floe.features"
#define COW_ATTR_REDIRECT "user.floe.redirect"
#define COW_ATTR_LINKS    "user.floe.links"
#define COW_ATTR_KEY      "user.floe.links.key"
#define COW_ATTR_FRESH    "user.floe.fresh" /* of an upper that a freeze has not put into place yet */
#define COW_ATTR_PROBE    "user.floe.probe" /* on work/tmp: what was found out about the file system */
#define COW_ATTR_OPAQUE   "user.overlay.opaque"
#define COW_ATTR_WHITEOUT "user.overlay.whiteout"
#define COW_ATTR_INO      "user.overlay.floe.ino"
#define COW_ATTR_IMPURE   "user.overlay.floe.impure"

enum cow_upper_can {                             /* a test clears bits to see what happens without */
		     COW_CAN_LEAVE_WHITEOUT = 1, /* RENAME_WHITEOUT */
		     COW_CAN_MAKE_WHITEOUT = 2,  /* mknod of a character device 0:0 */
};

struct cow_upper {
	int root, tmp, orphans, trash; /* O_RDONLY, owned */
	unsigned can;
	uint32_t block;              /* granularity of data and holes; 0 = cannot be lazy */
	atomic_uint_fast64_t serial; /* of names in tmp and trash */
	atomic_uint features;        /* grows only, under the lock */
	atomic_int links;            /* /.floe/links, owned; -1 = none yet. Set once, under the lock */
	struct sync_mutex lock;      /* held across I/O, a few times in an upper's life */
};

/* cow_features.c */
enum { COW_FEATURES_TEXT_MAX = 64 };
void cow_features_text(unsigned features, char ret[COW_FEATURES_TEXT_MAX]);

/* cow_upper_probe.c: fills `can` and `block`. Remembers what it found on work/tmp, so that a successor needs
 * no room on the disk. */
int cow_upper_probe(struct cow_upper *u, struct err *e) FLOE_MUST_USE;

/* cow_upper_attrs.c: by directory and name; "." (or "") is the directory itself. ENODATA also where there can
 * be no attributes; ERANGE. _set gives itself the permission for the moment, where the mode denies it. */
int cow_upper_attr_get(int dir, const char *name, const char *attr, void *value, size_t cap,
		       size_t *ret_len) FLOE_MUST_USE;
int cow_upper_attr_set(int dir, const char *name, const char *attr, const void *value,
		       size_t len) FLOE_MUST_USE;

/* cow_temp.c */
void cow_temp_name(struct cow_upper *u, char ret[32]);
/* Moves an object of the upper to a name that does not exist or is a whiteout; EEXIST. One step. */
int cow_upper_put(struct cow_upper *u, int from, const char *from_name, int dir,
		  const char *name) FLOE_MUST_USE;
/* Mode as given, whatever the umask was. */
int cow_upper_exact_mode(int fd, mode_t mode) FLOE_MUST_USE;

/* cow_whiteout.c */
/* A whiteout in work/tmp, of that name. EEXIST. */
int cow_whiteout_make(struct cow_upper *u, const char *name) FLOE_MUST_USE;
/* The same under a name of its own; "" on failure. */
int cow_whiteout_temp(struct cow_upper *u, char ret[32]) FLOE_MUST_USE;
/* Due before a whiteout that is no device appears in DIR. */
int cow_whiteout_mark(int dir) FLOE_MUST_USE;
/* One over DIR/name, which exists or not, but is no directory. One step. */
int cow_whiteout_over(struct cow_upper *u, int dir, const char *name) FLOE_MUST_USE;
/* Before a whiteout appears in DIR, of the kind that this upper makes. */
int cow_whiteout_allow(const struct cow_upper *u, int dir) FLOE_MUST_USE;
/* Of an open directory (O_RDONLY): ENOTEMPTY unless there are only whiteouts in it; *ret_any: there are some.
 */
int cow_whiteouts_only(const struct cow_upper *u, int dir, bool *ret_any) FLOE_MUST_USE;
int cow_whiteouts_clear(const struct cow_upper *u, int dir) FLOE_MUST_USE;

/* cow_orphan.c: name in work/tmp of an orphan on its way. */
void cow_orphan_tmp_text(uint64_t id, char ret[32]);
/* After a takeover: what is on its way arrives. `name`: any in work/tmp; false = it is not such a one. */
bool cow_orphan_arrive(struct cow_upper *u, const char *name);
/* DIR/name becomes the orphan, replacing a stale one; flags: 0 or RENAME_WHITEOUT. */
int cow_orphan_take(struct cow_upper *u, int dir, const char *name, uint64_t id,
		    unsigned flags) FLOE_MUST_USE;
/* DIR/name gets the orphan's name, too. */
int cow_orphan_link(struct cow_upper *u, int dir, const char *name, uint64_t id) FLOE_MUST_USE;

/* cow_links.c: opens an index that exists. */
int cow_links_open(struct cow_upper *u) FLOE_MUST_USE;

#endif
