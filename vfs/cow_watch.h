/* SPDX-License-Identifier: Apache-2.0 */
/* Directories of the host that are watched (inotify): what the host changes in them is told to the kernel at
 * once, so that what the kernel knows of them can be believed for longer than a moment.
 *
 * Names that are not there are believed for a moment only: after a takeover, or when more happens than is
 * kept, everything the node table knows expires, and it does not know them.
 *
 * Not all is told: what is written through another hard link or a shared mapping, and what is mounted. Hence
 * the bound COW_WATCHED_S on all that is watched, and files with several names are not. File systems that
 * others may change (network, FUSE), or whose events are known to be incomplete, are not watched either; nor
 * is anything by kernels before 6.2, which cannot let a name expire without taking away what is mounted below
 * it. Any thread; none blocks for long. */
#ifndef FLOE_VFS_COW_WATCH_H
#define FLOE_VFS_COW_WATCH_H

#include "vfs/cow_dir.h"

enum { COW_WATCHED_S = 30 };

/* fuse_fd and the union's parts are borrowed. Takeover: what the predecessor's watches would have told is
 * made up for. Without inotify there are no watches, and no error. */
int cow_watches_open(int fuse_fd, struct cow_union *u, bool takeover, struct cow_watches **ret,
		     struct err *e) FLOE_MUST_USE;
void cow_watches_close(struct cow_watches *w); /* NULL ok */
/* Watches the directory from here on, if it is not yet. True: all that changes by itself in it is told. What
 * is looked at before the call is not. */
bool cow_watch(struct cow_union *u, const struct cow_dir *d);
/* Is the node watched, and is it still the host's directory (dev, ino) that is? */
bool cow_watch_has(struct cow_union *u, uint64_t node, uint64_t dev, uint64_t ino);
/* The kernel asks for that name again at its next use. Without watches it does so after a moment anyway. */
void cow_watches_expire(struct cow_watches *w, uint64_t parent, const char *name);
void cow_watch_end(struct cow_watches *w, uint64_t node);

#endif
