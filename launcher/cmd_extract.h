/* SPDX-License-Identifier: Apache-2.0 */
/* floe extract's two halves: cmd_extract.c walks the package, cmd_extract_file.c makes one thing on disk. */
#ifndef FLOE_LAUNCH_CMD_EXTRACT_H
#define FLOE_LAUNCH_CMD_EXTRACT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "launcher/cmd_spool.h"
#include "package-format/index_cursor.h"
#include "streaming/package.h"

struct cmd_extract_link {
	uint64_t ino;
	char *path; /* below the target directory; owned */
};

struct cmd_extract {
	struct stream_package *package;
	struct pkg_index *index;
	int root_fd; /* the target directory */
	bool overwrite;
	struct cmd_extract_link *links; /* files with several names that are out already, by inode */
	size_t link_count, link_cap;
	struct cmd_spool spool;
	uint8_t *is_planned; /* per inode with several names; owned */
	uint64_t inode_count;
	uint64_t files, skipped, total /* bytes of content */, done;
	struct log_progress progress;
};

/* All take the directory to work in as a descriptor and one plain name in it, and follow no symbolic link.
 * `path` is the whole path below the target directory, for messages and hard links. What is there already is
 * ERR_EXISTS, or replaced in one step with `overwrite`. */

/* A regular file or, for one that is out under another name, a hard link to it. */
int cmd_extract_file(struct cmd_extract *x, int dir_fd, const char *name, const char *path,
		     const struct pkg_inode *i, struct err *e) FLOE_MUST_USE;
int cmd_extract_symlink(struct cmd_extract *x, int dir_fd, const char *name, const char *path,
			const struct pkg_inode *i, struct err *e) FLOE_MUST_USE;
int cmd_extract_fifo(struct cmd_extract *x, int dir_fd, const char *name, const char *path,
		     const struct pkg_inode *i, struct err *e) FLOE_MUST_USE;
/* Makes a directory, or takes the one that is there; returns a descriptor of it that the caller closes. */
int cmd_extract_dir(int dir_fd, const char *name, const char *path, bool *ret_is_new,
		    struct err *e) FLOE_MUST_USE;
/* Permissions (set-uid and set-gid left out), user attributes, times: last, as what is in a directory
 * changes it. */
int cmd_extract_finish(struct cmd_extract *x, int fd, const char *path, const struct pkg_inode *i,
		       struct err *e) FLOE_MUST_USE;

#endif
