/* SPDX-License-Identifier: Apache-2.0 */
/* What changes the union's tree. Each call leaves the old state or the new. `again`: the request may have
 * been carried out already by a server that died before it could answer; then an effect that is there counts
 * as success. Results are errno values; EROFS without an upper. Any thread; blocks on the disk. */
#ifndef FLOE_VFS_COW_CHANGE_H
#define FLOE_VFS_COW_CHANGE_H

#include "vfs/cow_tree.h"

struct cow_attempt {     /* at a request */
	uint64_t unique; /* its number: what is noted of it is found by that */
	bool again;
};

struct cow_maker { /* of new objects */
	uid_t uid;
	gid_t gid;
	mode_t umask; /* applied unless the directory has a default ACL */
	bool again;
};

/* S_IFREG; the file is in the cache of open files afterwards (cow_file.h). */
int cow_make_file(struct cow_union *u, const struct cow_maker *m, uint64_t parent, const char *name,
		  mode_t mode, struct cow_entry *ret) FLOE_MUST_USE;
int cow_make_dir(struct cow_union *u, const struct cow_maker *m, uint64_t parent, const char *name,
		 mode_t mode, struct cow_entry *ret) FLOE_MUST_USE;
int cow_make_symlink(struct cow_union *u, const struct cow_maker *m, uint64_t parent, const char *name,
		     const char *target, struct cow_entry *ret) FLOE_MUST_USE;
/* FIFOs, sockets, devices. */
int cow_make_node(struct cow_union *u, const struct cow_maker *m, uint64_t parent, const char *name,
		  mode_t mode, dev_t rdev, struct cow_entry *ret) FLOE_MUST_USE;
/* A file without a name (O_TMPFILE) in that directory. */
int cow_make_unnamed(struct cow_union *u, const struct cow_maker *m, uint64_t parent, mode_t mode,
		     struct cow_entry *ret) FLOE_MUST_USE;
int cow_link(struct cow_union *u, uint64_t id, uint64_t parent, const char *name, const struct cow_attempt *a,
	     struct cow_entry *ret) FLOE_MUST_USE;
int cow_unlink(struct cow_union *u, uint64_t parent, const char *name,
	       const struct cow_attempt *a) FLOE_MUST_USE;
int cow_rmdir(struct cow_union *u, uint64_t parent, const char *name,
	      const struct cow_attempt *a) FLOE_MUST_USE;
/* flags: RENAME_NOREPLACE, RENAME_EXCHANGE; others EINVAL. Never EXDEV. Of an
 * exchange that is done is noted that it is (cow_nodes_note). */
int cow_rename(struct cow_union *u, uint64_t old_parent, const char *old_name, uint64_t new_parent,
	       const char *new_name, unsigned flags, const struct cow_attempt *a) FLOE_MUST_USE;

/* The kernel, or whoever looked it up, does not know the node by these lookups any more. */
void cow_forget(struct cow_union *u, uint64_t id, uint64_t lookups);

struct cow_attrs { /* what to set */
	bool has_mode, has_uid, has_gid, has_size, has_atime, has_mtime, has_ctime;
	bool kill_suid; /* set-user-ID and set-group-ID bits and capabilities go */
	mode_t mode;
	uid_t uid;
	gid_t gid;
	uint64_t size;
	struct timespec atime, mtime; /* UTIME_NOW as usual */
};
int cow_setattr(struct cow_union *u, uint64_t id, const struct cow_attrs *a,
		struct cow_entry *ret) FLOE_MUST_USE;

/* ---- content (cow_data.c) */
int cow_read(struct cow_union *u, uint64_t id, void *buf, size_t size, uint64_t off, size_t *ret_got,
	     bool (*is_over)(void *arg), void *arg) FLOE_MUST_USE;
int cow_write(struct cow_union *u, uint64_t id, const void *buf, size_t size, uint64_t off, bool kill_suid,
	      size_t *ret_put) FLOE_MUST_USE;
/* What a write by an ordinary user does to set-user-ID and set-group-ID bits, for the calls below. */
int cow_kill_suid(struct cow_union *u, uint64_t id) FLOE_MUST_USE;
int cow_allocate(struct cow_union *u, uint64_t id, int mode, uint64_t off, uint64_t len) FLOE_MUST_USE;
int cow_seek(struct cow_union *u, uint64_t id, uint64_t off, int whence, uint64_t *ret) FLOE_MUST_USE;
int cow_copy_range(struct cow_union *u, uint64_t in, uint64_t off_in, uint64_t out, uint64_t off_out,
		   uint64_t len, uint64_t *ret_copied) FLOE_MUST_USE;
int cow_fsync(struct cow_union *u, uint64_t id, bool data_only) FLOE_MUST_USE; /* files and directories */

/* ---- extended attributes (cow_attr.c): user.overlay.* from inside is kept as user.overlay.overlay.*, floe's
 * and overlayfs's own do not show. As the system calls; cap 0 asks for the length. */
int cow_getxattr(struct cow_union *u, uint64_t id, const char *attr, void *value, size_t cap,
		 size_t *ret_len) FLOE_MUST_USE;
int cow_listxattr(struct cow_union *u, uint64_t id, char *names, size_t cap, size_t *ret_len) FLOE_MUST_USE;
int cow_setxattr(struct cow_union *u, uint64_t id, const char *attr, const void *value, size_t len, int flags,
		 bool again) FLOE_MUST_USE;
int cow_removexattr(struct cow_union *u, uint64_t id, const char *attr, bool again) FLOE_MUST_USE;

#endif
