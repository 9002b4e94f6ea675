/* SPDX-License-Identifier: Apache-2.0 */
/* The page that `floe serve` shows for a directory: its packages, each with the command that runs it; the
 * catalogue when it is a repository (whoever signed it). Blocks
 * on the local disk. */
#ifndef FLOE_LAUNCH_CMD_SERVE_INDEX_H
#define FLOE_LAUNCH_CMD_SERVE_INDEX_H

#include "base/mem.h"

/* `dir_fd` is borrowed; `path` is the directory's in the URL, not escaped, with slashes at both ends; `host`
 * goes into the commands. */
int serve_index_page(int dir_fd, const char *path, const char *host, struct buf *ret,
		     struct err *e) FLOE_MUST_USE;

#endif
