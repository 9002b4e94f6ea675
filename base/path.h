/* SPDX-License-Identifier: Apache-2.0 */
/* Paths as text, and the few directories that are floe's own.
 *
 * Strings returned are the caller's to free. Any thread; only path_make_dirs and the path_*_dir
 * functions touch the file system. */
#ifndef FLOE_BASE_PATH_H
#define FLOE_BASE_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/mem.h"

/* "a" + "b" -> "a/b", without doubling the slash. An empty part is left out. */
char *path_join(const char *a, const char *b, struct err *e) FLOE_MUST_USE;
/* Absolute (against cwd), without ".", ".." and doubled slashes; symbolic links are not followed. */
char *path_absolute(const char *path, struct err *e) FLOE_MUST_USE;
/* True for `dir` itself and everything below it; both absolute and normal. */
bool path_is_below(const char *path, const char *dir);
/* The last component, borrowed from `path`. */
const char *path_base(const char *path);
/* Is it "." or ".."? */
static inline bool path_is_dot(const char *name)
{
	return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}
/* A name that may be a directory entry of ours: 1-64 of [A-Za-z0-9._+@-], not starting with '.' or '-'. */
bool path_is_plain_name(const char *name);

/* mkdir -p. Existing directories are left as they are. */
int path_make_dirs(const char *path, mode_t mode, struct err *e) FLOE_MUST_USE;
/* rm -r below dirfd, without following symbolic links or crossing file systems; nothing there is
 * fine. Opens directories it may not read by giving itself the permission first. */
int path_remove_tree(int dirfd, const char *name, struct err *e) FLOE_MUST_USE;

/* $HOME; without it, the user's entry in the user database. */
char *path_home(struct err *e) FLOE_MUST_USE;
/* $XDG_x_HOME/floe or its default below home; made (0700) when `make`. */
char *path_data_dir(bool make, struct err *e) FLOE_MUST_USE;
char *path_config_dir(bool make, struct err *e) FLOE_MUST_USE;
char *path_cache_dir(bool make, struct err *e) FLOE_MUST_USE;
char *path_state_dir(bool make, struct err *e) FLOE_MUST_USE;
/* $XDG_RUNTIME_DIR/floe, else /run/user/UID/floe where /run/user/UID is ours, else /tmp/floe-UID.
 * Refused (ERR_DENIED) unless it is a real directory, ours, and closed to others. */
char *path_runtime_dir(bool make, struct err *e) FLOE_MUST_USE;

/* A file of this floe installation, relative to its prefix: "libexec/floe/floe-holder",
 * "lib/floe/libfloe-shim.so". Found from the running executable. */
char *path_of_install(const char *relative, struct err *e) FLOE_MUST_USE;

#endif
