/* SPDX-License-Identifier: Apache-2.0 */
/* What a launch needs of a manifest, as fields of a message: the package server puts them (it alone reads
 * packages), the holder carries them, `floe run` takes them. Paths are resolved for the running user.
 *
 *   name, version, default-command                       text
 *   command = name NUL path NUL argument NUL ...          repeated
 *   env     = NAME=VALUE                                  repeated
 *   rule    = "private" | "direct" | "hidden" NUL path    repeated
 *   config  = path NUL lens NUL defaults NUL              repeated; absolute, as the application sees it
 *   local   = "merge" | "override" NUL subtree NUL        repeated (registry-shim/broker.h)
 *   key     = the file's name in keys                     repeated, in the same order
 *
 * launch_info_put needs the manifest's types only; the rest is libc. Any thread, never blocks. */
#ifndef FLOE_LAUNCH_INFO_H
#define FLOE_LAUNCH_INFO_H

#include <stddef.h>

#include "base/wire.h"
#include "package-format/manifest.h"

int launch_info_put(const struct pkg_manifest *m, struct wire_out *out, struct err *e) FLOE_MUST_USE;

/* "@config/mc/ini" -> "/home/u/.config/mc/ini"; an absolute path stays. ERR_FORMAT for anything else. Caller
 * frees. */
char *launch_token_resolve(const char *path, struct err *e) FLOE_MUST_USE;

struct launch_command {
	char *name, *path;
	char **args; /* NULL-terminated, never NULL */
};

/* The command called `name`, or the default one when NULL. ERR_NOTFOUND names those there are. */
int launch_info_command(const struct wire_in *m, const char *name, struct launch_command *ret,
			struct err *e) FLOE_MUST_USE;
void launch_command_fini(struct launch_command *c);

#endif
