/* SPDX-License-Identifier: Apache-2.0 */
/* Comparing an upper's entry with what lies below it, and reading its overlay attributes. Part of the upper's
 * walker; nobody else includes this. Blocks on the disk. */
#ifndef FLOE_VFS_UPPER_CONTENT_H
#define FLOE_VFS_UPPER_CONTENT_H

#include <stdbool.h>
#include <sys/stat.h>

/* Character device 0:0, or an empty file with user.overlay.whiteout. */
bool vfs_upper_is_whiteout(int dir_fd, const char *name, const struct stat *st);
/* user.overlay.opaque is "y". */
bool vfs_upper_is_opaque(int dir_fd);
/* Opaque, and user.floe.redirect says where in the layers below its own content is (cow_upper.h). */
bool vfs_upper_is_redirected(int dir_fd);

enum vfs_upper_sameness {
	VFS_UPPER_SAME,
	VFS_UPPER_SAME_BYTES, /* but extended attributes differ */
	VFS_UPPER_DIFFERENT,  /* or not to be compared */
};
/* Regular files of equal size. lower_fd (what `below` describes) is borrowed. What a lazy file has
 * not got itself is not read. */
enum vfs_upper_sameness vfs_upper_compare_files(int dir_fd, const char *name, const struct stat *below,
						int lower_fd);
/* Symbolic links of equal length. lower_fd: O_PATH of the link, or a file that holds its target. */
bool vfs_upper_same_target(int dir_fd, const char *name, int lower_fd);

#endif
