/* SPDX-License-Identifier: Apache-2.0 */
/* The upper of a copy-on-write union, as something to write into: the steps that must leave the old state or
 * the new, whenever they are interrupted. What it looks like on disk is in upper.h; here is what this engine
 * adds to overlayfs's userxattr dialect:
 *
 *   on the upper's root   user.floe.features = names, separated by blanks: what the kernel's overlayfs would
 *                         get wrong. Set, and durable, before the first use of a feature. While it is there,
 *                         the `overlay` engine must not mount this upper (cow_upper_features).
 *     redirect            user.floe.redirect on a directory = the path it had in the layers below, absolute;
 *                         it is opaque, too, so that who does not know of redirects sees less, not wrong
 *     links               /.floe/links/KEY in the upper: one more name of each copied-up file that has
 *                         several names below; user.floe.links on it = the number of names the union shows,
 *                         user.floe.links.key = KEY
 *     lazy                user.floe.lazy on a file (cow_content.h)
 *     owner               user.containers.override_stat = "UID:GID:MODE" (octal mode), podman's
 *   anywhere              user.overlay.floe.ino on what was copied up = decimal st_ino it had (hidden from
 *                         applications by either engine); user.overlay.floe.impure = "y" on directories with
 *                         such an entry, whose listings must ask each entry
 *
 * Where character devices 0:0 cannot be made, a whiteout is an empty file with user.overlay.whiteout, and its
 * directory has user.overlay.opaque = "x" (unless that is "y" already); both kinds are understood everywhere.
 *
 * work/ holds: tmp/ (half-made things), orphans/ID (deleted files that the kernel may still use), trash/. All
 * of it is emptied by _open without takeover; with takeover only tmp/ is, and what was on its way from there
 * to orphans/ arrives.
 *
 * Names are relative to open directories (of the upper, O_PATH will do). Results are errno values, 0 =
 * success. Any thread; two operations on one name at a time are the caller's to prevent. Blocks on the disk.
 */
#ifndef FLOE_VFS_COW_UPPER_H
#define FLOE_VFS_COW_UPPER_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

#include "base/err.h"

enum cow_feature {
	COW_FEATURE_REDIRECT = 1,
	COW_FEATURE_LINKS = 2,
	COW_FEATURE_LAZY = 4,
	COW_FEATURE_OWNER = 8,
	COW_FEATURES_ALL = 15,
};

struct cow_upper; /* opaque */

/* Directories, both borrowed paths; on one file system (ERR_UNSUPPORTED otherwise). Probes what the file
 * system can do: ERR_UNSUPPORTED with the reason when user xattrs or renames are missing. Unknown features of
 * the upper are ERR_UNSUPPORTED ("made by a newer floe"). */
int cow_upper_open(const char *upper, const char *work, bool takeover, struct cow_upper **ret,
		   struct err *e) FLOE_MUST_USE;
void cow_upper_close(struct cow_upper *u);     /* NULL ok */
int cow_upper_root(const struct cow_upper *u); /* borrowed descriptor */

/* The features in use; without opening anything, for the choice of engine. None when there is no upper yet.
 * Of frozen uppers, too. libc only. */
int cow_upper_features(const char *upper, unsigned *ret, struct err *e) FLOE_MUST_USE;
bool cow_upper_has(const struct cow_upper *u, enum cow_feature f);
int cow_upper_use(struct cow_upper *u, enum cow_feature f) FLOE_MUST_USE; /* cheap when in use already */
/* The file system tells holes from data, and keeps zeros that were written as data. */
bool cow_upper_can_be_lazy(const struct cow_upper *u);

/* ---- looking */
/* ENOENT. Whiteouts are found as such (*ret_whiteout), with st as it is. */
int cow_upper_lookup(const struct cow_upper *u, int dir, const char *name, struct stat *ret,
		     bool *ret_whiteout) FLOE_MUST_USE;
struct cow_upper_dir_info {
	bool is_opaque, is_impure;
	char *redirect; /* malloc'ed, the caller's; NULL = none */
};
/* Of an open directory (O_PATH will do). */
int cow_upper_dir_info(const struct cow_upper *u, int dir, struct cow_upper_dir_info *ret) FLOE_MUST_USE;
/* What was noted at the copy-up; 0 = nothing, the object's own number counts. In all that follows, name "."
 * is the directory itself. */
uint64_t cow_upper_noted_ino(const struct cow_upper *u, int dir, const char *name);
/* Applies an override to *st; no override: st stays. Only asked when the upper has the feature. */
int cow_upper_override(const struct cow_upper *u, int dir, const char *name, struct stat *st) FLOE_MUST_USE;
/* The setters below use their feature (cow_upper_use) by themselves. EPERM: this cannot have attributes. */
int cow_upper_set_override(struct cow_upper *u, int dir, const char *name, uid_t uid, gid_t gid,
			   mode_t mode) FLOE_MUST_USE;
int cow_upper_set_opaque(struct cow_upper *u, int dir) FLOE_MUST_USE;
int cow_upper_set_redirect(struct cow_upper *u, int dir, const char *path) FLOE_MUST_USE; /* and opaque */
/* A hint: 0 also for what can have no attributes (symbolic links, special files). Marks the directory impure
 * first, unless that is work/tmp: then cow_upper_set_impure is due before the object gets its place. */
int cow_upper_note_ino(struct cow_upper *u, int parent_dir, const char *name, uint64_t ino) FLOE_MUST_USE;
/* Cheap when it is. Moving, and placing further names, does it for what has a noted number. */
int cow_upper_set_impure(struct cow_upper *u, int dir) FLOE_MUST_USE;

/* ---- half-made things: a name in work/tmp, put into place whole */
struct cow_temp {
	char name[32];
	int fd; /* O_RDWR of a regular file, O_RDONLY of a directory, -1 of anything else; owned */
};
/* Made with exactly `mode`, whatever the umask. */
int cow_temp_file(struct cow_upper *u, mode_t mode, struct cow_temp *ret) FLOE_MUST_USE;
int cow_temp_dir(struct cow_upper *u, mode_t mode, struct cow_temp *ret) FLOE_MUST_USE;
int cow_temp_symlink(struct cow_upper *u, const char *target, struct cow_temp *ret) FLOE_MUST_USE;
/* EPERM: a character device 0:0, which would be a whiteout. */
int cow_temp_node(struct cow_upper *u, mode_t mode, dev_t rdev, struct cow_temp *ret) FLOE_MUST_USE;
/* Another name of an object of the upper. */
int cow_temp_link(struct cow_upper *u, int dir, const char *name, struct cow_temp *ret) FLOE_MUST_USE;
/* Takes DIR/name for one; fd is the caller's to set. */
int cow_temp_take(struct cow_upper *u, int dir, const char *name, struct cow_temp *ret) FLOE_MUST_USE;
int cow_temp_dir_fd(const struct cow_upper *u); /* work/tmp, borrowed: for fchownat and the like on names */
/* Moves it to DIR/name, which must not exist, or be a whiteout (EEXIST otherwise). The descriptor stays open
 * and is the caller's. */
int cow_temp_place(struct cow_upper *u, struct cow_temp *t, int dir, const char *name) FLOE_MUST_USE;
void cow_temp_drop(struct cow_upper *u,
		   struct cow_temp *t); /* removes and closes; after _place only closes */

/* ---- taking away */
/* DIR/name becomes a whiteout. What was there (if anything) becomes work/orphans/ID (id 0: it is removed).
 * One step for everybody who looks. EISDIR: a directory, for which there is _remove_dir. */
int cow_upper_whiteout(struct cow_upper *u, int dir, const char *name, uint64_t orphan_id) FLOE_MUST_USE;
/* DIR/name (not a directory) goes: to work/orphans/ID, or, id 0, for good. */
int cow_upper_remove(struct cow_upper *u, int dir, const char *name, uint64_t orphan_id) FLOE_MUST_USE;
/* A directory with nothing but whiteouts in it goes, in one step; with `whiteout` it leaves one. ENOTEMPTY:
 * nothing has changed. */
int cow_upper_remove_dir(struct cow_upper *u, int dir, const char *name, bool whiteout) FLOE_MUST_USE;
/* renameat2 inside the upper. `whiteout`: one is left at the old place, in the same step. The target may be a
 * whiteout, an object of the same kind (a replaced directory may hold whiteouts), or nothing; a replaced file
 * becomes orphan `orphan_id` unless 0. Two names of one file: nothing happens, as with rename(2). `exchange`:
 * both exist, both stay.
 * Before a directory with whiteouts is replaced it becomes opaque and loses them, which looks the same. So,
 * should the last step fail, what is remembered of it (cow_dir_forget) is out of date. */
struct cow_upper_move {
	int old_dir, new_dir;
	const char *old_name, *new_name;
	bool whiteout, exchange;
	uint64_t orphan_id;
};
int cow_upper_move(struct cow_upper *u, const struct cow_upper_move *m) FLOE_MUST_USE;

/* ---- orphans */
/* Gives it a name (linkat of an O_TMPFILE), which may be that of a whiteout; the orphan goes, in the same
 * step. EEXIST. */
int cow_orphan_name(struct cow_upper *u, uint64_t id, int dir, const char *name) FLOE_MUST_USE;
void cow_orphan_remove(struct cow_upper *u, uint64_t id);
int cow_orphans_dir(const struct cow_upper *u); /* borrowed: orphans are named by decimal id in it */
void cow_orphan_text(uint64_t id, char ret[24]);

/* ---- links index */
/* KEY of (layer key, dev, ino): at most 80 bytes. */
void cow_links_key(const char *layer_key, uint64_t dev, uint64_t ino, char ret[96]);
/* ENOENT: that lower file has not been copied up. */
int cow_links_stat(const struct cow_upper *u, const char *key, struct stat *ret) FLOE_MUST_USE;
/* Puts DIR/name into the index as KEY, with `count` names in the union. EEXIST: another file is there. EPERM:
 * this cannot have attributes (symbolic links, special files), so that its links cannot be counted. */
int cow_links_add(struct cow_upper *u, const char *key, int dir, const char *name,
		  unsigned count) FLOE_MUST_USE;
/* Makes DIR/name (nothing, or a whiteout) one more name of KEY's file, in the upper. */
int cow_links_place(struct cow_upper *u, const char *key, int dir, const char *name) FLOE_MUST_USE;
int cow_links_count(const struct cow_upper *u, int dir, const char *name, unsigned *ret) FLOE_MUST_USE;
/* 0: the file leaves the index. */
int cow_links_set_count(struct cow_upper *u, int dir, const char *name, unsigned count) FLOE_MUST_USE;
int cow_links_dir(const struct cow_upper *u); /* borrowed; -1 = the index is empty */
/* /.floe holds the index and nothing else: then it does not show, unless a layer below has one, too. */
bool cow_links_is_alone(const struct cow_upper *u);

/* ---- freezing (snapshots): the upper becomes a read-only layer below a new, empty one */
/* UPPER gets the name FROZEN (same file system, must not exist), a new, empty UPPER takes its place with the
 * old one's mode, owner, times and root xattrs except bookkeeping, and WORK is emptied. Constant time, and
 * one step on the disk: a crash leaves the old state or the new, and of the old maybe an empty FROZEN with
 * the mark user.floe.fresh, which the next call does away with. Durable on return. The union must not be
 * mounted. What the frozen upper needs of its readers stays on it (cow_upper_features). libc only. */
int cow_upper_freeze(const char *upper, const char *work, const char *frozen, struct err *e) FLOE_MUST_USE;

#endif
