/* SPDX-License-Identifier: Apache-2.0 */
/* What a copy-on-write union is made of, below its upper: read-only layers. One of floe's two vtables.
 *
 * Implementations: cow_layer_dir.c (a directory tree of the host, or a frozen upper), cow_layer_package.c (a
 * package, read through the streaming library without a mount).
 *
 * Objects are named by an open directory and a name; paths never reach a layer whole, so their length does
 * not matter, and nothing resolves an absolute path or follows a symbolic link. Results are errno values, 0
 * = success. Any thread. Blocks on the disk or, a package, on the network. */
#ifndef FLOE_VFS_COW_LAYER_H
#define FLOE_VFS_COW_LAYER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/err.h"

enum { COW_LAYERS_MAX = 16 };

struct cow_layer;

/* An open object of a layer. Plain value; cow_layer_close_handle ends it. */
struct cow_handle {
	int fd; /* -1: a package's, or nothing */
	uint64_t dev, ino;
};
#define COW_HANDLE_NONE                                                                                      \
	{                                                                                                    \
		.fd = -1                                                                                     \
	}

struct cow_found {
	/* As the layer has it, with its own st_dev and st_ino; size and blocks 0 of a file whose content may
	 * not be read (`is_empty`). nlink > 1 of a file: it has other names in this layer. */
	struct stat st;
	bool is_whiteout; /* frozen uppers only: the name is hidden, also in the layers below */
	bool is_empty;
};

/* False ends the listing early, which is no error. `ino`: the layer's own. type: DT_*; whiteouts come with
 * DT_WHT. "." and ".." never come. */
typedef bool cow_list_fn(void *arg, const char *name, uint64_t dev, uint64_t ino, unsigned char type);

/* Where a frozen upper has its index of links (cow_upper.h). It shows nowhere; nor does "/.floe" when nothing
 * else is in it. */
struct cow_layer_index {
	bool is_there, is_alone;
	uint64_t root_ino, own_ino; /* of "/" and of "/.floe" */
	struct cow_handle links;    /* "/.floe/links" */
};

struct cow_layer_ops {
	void (*close)(struct cow_layer *l);
	int (*open_root)(struct cow_layer *l, struct cow_handle *ret);
	/* ENOENT: no such name; EACCES counts as that: what may not be searched is empty. `held` (may be
	 * NULL, else COW_HANDLE_NONE before): a readable file that somebody may replace under this name comes
	 * open, for open_held. */
	int (*lookup)(struct cow_layer *l, const struct cow_handle *dir, const char *name,
		      struct cow_found *ret, struct cow_handle *held);
	/* Directories. ENOTDIR, ENOENT. */
	int (*open_dir)(struct cow_layer *l, const struct cow_handle *dir, const char *name,
			struct cow_handle *ret);
	int (*list)(struct cow_layer *l, const struct cow_handle *dir, cow_list_fn *fn, void *arg);
	/* A regular file for reading; it must be (dev, ino), else ESTALE. EACCES: not readable. */
	int (*open_file)(struct cow_layer *l, const struct cow_handle *dir, const char *name, uint64_t dev,
			 uint64_t ino, struct cow_handle *ret);
	/* For reading, what _lookup held. Of layers that hold. */
	int (*open_held)(const struct cow_handle *held, struct cow_handle *ret);
	/* A file that has lost its name in the union: `path` relative to the layer's root where the layer
	 * needs it. */
	int (*open_lost)(struct cow_layer *l, const char *path, uint64_t dev, uint64_t ino,
			 struct cow_handle *ret);
	/* Of an open file or directory. */
	int (*stat)(struct cow_layer *l, const struct cow_handle *h, struct cow_found *ret);
	/* Fewer bytes than wanted only at the end. `is_over` (may be NULL) ends a wait for the network:
	 * EINTR. */
	int (*read)(struct cow_layer *l, const struct cow_handle *h, uint64_t off, size_t size, void *buf,
		    size_t *ret_got, bool (*is_over)(void *arg), void *arg);
	/* No NUL at its end; ERANGE unless there is more room than it takes. EINVAL: no symbolic link. */
	int (*readlink)(struct cow_layer *l, const struct cow_handle *dir, const char *name, char *buf,
			size_t cap, size_t *ret_len);
	/* By name in a directory; name "" = the open directory, or file, itself. getxattr: ENODATA; *ret_len
	 * is the true length, the value is filled when cap suffices, else ERANGE unless cap is 0. listxattr
	 * alike: names, each with NUL. A frozen upper shows what the upper holds, bookkeeping included: the
	 * union filters.
	 */
	int (*getxattr)(struct cow_layer *l, const struct cow_handle *dir, const char *name, const char *attr,
			void *value, size_t cap, size_t *ret_len);
	int (*listxattr)(struct cow_layer *l, const struct cow_handle *dir, const char *name, char *names,
			 size_t cap, size_t *ret_len);
};

struct cow_layer {
	const struct cow_layer_ops *ops;
	/* Nothing in it ever changes while it is mounted: answers may be remembered for ever. */
	bool is_immutable;
	/* In the upper's format: whiteouts, opaque directories, redirects, lazy files. */
	bool is_frozen_upper;
	unsigned features; /* of a frozen upper: those in use, enum cow_feature */
	struct cow_layer_index index;
	/* Reading may wait for the network: worth a lazy copy-up. Implies is_immutable. */
	bool is_streamed;
	/* Asked a few times a second while a wait for the network that brings no such question lasts: of a
	 * copy-up, of a write. NULL: it lasts. */
	bool (*is_over)(void *arg);
	void *is_over_arg;
	/* What lazy files and links of the upper remember this layer by: for a package "package:ROOTHEX",
	 * for the host "host", for a frozen upper "frozen:ID". Owned. */
	char *key;
};

/* A directory tree. root_fd (O_PATH or O_RDONLY) is owned on success. `frozen`: in the upper's format,
 * immutable; one of a newer floe is ERR_UNSUPPORTED. Otherwise the host's: submounts are part of it, except
 * floe's own FUSE mounts; what may not be read is shown empty. `key` is copied. */
int cow_layer_dir_open(int root_fd, bool frozen, const char *key, struct cow_layer **ret,
		       struct err *e) FLOE_MUST_USE;

struct stream_package;
/* A package; `p` is borrowed. `home`: absolute path at which its "@home" tree appears (NULL = nowhere), the
 * directories above made up when the package has none. "@home" itself does not show. */
int cow_layer_package_open(struct stream_package *p, const char *home, struct cow_layer **ret,
			   struct err *e) FLOE_MUST_USE;

/* From now on what is read of this package is noted in `t`, borrowed until the layer is closed. Before it is
 * used. */
struct package_touches;
void cow_layer_package_record(struct cow_layer *l, struct package_touches *t);

/* That name in that directory is bookkeeping of a frozen upper, which the operations above do not show. */
bool cow_layer_hides(const struct cow_layer *l, const struct cow_handle *dir, const char *name);
/* Finds the index of links of a frozen upper. */
int cow_layer_index_open(int root_fd, struct cow_layer_index *ret, struct err *e) FLOE_MUST_USE;

void cow_layer_close(struct cow_layer *l);   /* NULL ok */
void cow_handle_close(struct cow_handle *h); /* closes fd if any; safe twice */

#endif
