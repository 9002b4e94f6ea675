/* SPDX-License-Identifier: Apache-2.0 */
/* A directory that is published as a repository: its list, read and written again, and its packages and
 * icons.
 *
 * Files get their final names only when they are complete and on disk, under names that stand for their
 * content; then the list is replaced in one step. Killed anywhere, it leaves the old list or the new one, and
 * at worst files that no list names. One process changes a directory at a time (a lock on it). For floe-tools
 * only; one thread; blocks on the disk. */
#ifndef FLOE_LAUNCH_CMD_REPO_H
#define FLOE_LAUNCH_CMD_REPO_H

#include <stdbool.h>

#include "package-format/repository.h"
#include "streaming/package.h"

struct repo_dir {
	char *path;
	int fd;
	struct pkg_repository *list; /* NULL = there is none yet */
};

#define REPO_DIR_NONE                                                                                        \
	{                                                                                                    \
		.fd = -1                                                                                     \
	}
#define auto_repo_dir      __attribute__((cleanup(cmd_repo_dir_close)))
#define REPO_DIR_TEMPORARY ".floe-new-"
#define REPO_DIR_PACKAGES  "packages"
#define REPO_DIR_ICONS     "icons"

/* `to_change`: waits for the lock, and clears away what a killed process has left half-done. */
int cmd_repo_dir_open(const char *path, bool to_change, struct repo_dir *ret, struct err *e) FLOE_MUST_USE;
void cmd_repo_dir_close(struct repo_dir *d);

/* The time to write into lists; not later than SOURCE_DATE_EPOCH, when that is set. */
int64_t cmd_repo_now(void);

struct repo_terms {
	const char *key_name; /* signs */
	const char *name;     /* of the repository; NULL = as it was, at first the directory's */
	const char *const *mirrors;
	size_t mirror_count;
	bool set_mirrors;    /* else they stay */
	bool change_key;     /* the list was signed by another key */
	unsigned valid_days; /* 0 = as long as the last one, at first 90 */
};
/* Loads the key that signs; makes "default" when there is none yet. ERR_TRUST when the list is another key's
 * and that is not to change. Caller closes. */
int cmd_repo_dir_key(const struct repo_dir *d, const struct repo_terms *t, struct pkg_secret_key **ret,
		     struct err *e) FLOE_MUST_USE;
/* An empty list when there is none. */
int cmd_repo_dir_begin(struct repo_dir *d, const struct repo_terms *t, struct err *e) FLOE_MUST_USE;
/* Raises the serial number, sets the dates, signs, replaces the list. */
int cmd_repo_dir_publish(struct repo_dir *d, const struct repo_terms *t, const struct pkg_secret_key *key,
			 struct err *e) FLOE_MUST_USE;

/* Copies a package into the directory, checks every byte of the copy, gives it its name and puts it into the
 * list, which is not written. *ret_is_new is false when it was there already. ERR_EXISTS when another package
 * has that name and version. */
int cmd_repo_add(struct repo_dir *d, const char *path, bool *ret_is_new, struct err *e) FLOE_MUST_USE;
/* Takes NAME or NAME@VERSION off the list, publishes that, and then deletes the files that nothing in the
 * list uses any more. */
int cmd_repo_remove(struct repo_dir *d, char *const *names, size_t count, const struct repo_terms *t,
		    const struct pkg_secret_key *key, struct err *e) FLOE_MUST_USE;

enum { REPO_ICON_MAX = 256 * 1024 };
/* The package's icon: PNG or SVG, by its first desktop entry that has one. ERR_NOTFOUND when it has none that
 * will do. *ret_is_svg says which. */
int cmd_repo_icon(struct stream_package *p, struct buf *ret, bool *ret_is_svg, struct err *e) FLOE_MUST_USE;

#endif
