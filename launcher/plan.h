/* SPDX-License-Identifier: Apache-2.0 */
/* The plan of a launch: what the application sees beside the union, its environment variables, its program.
 * Made from options, files and the package's description without touching the kernel's namespaces, so that it
 * can be printed (--dry-run) and tested; launcher/sandbox.h carries it out.
 *
 * Path policy is path_rules.h: private (the union), direct (the real thing), hidden. Defaults: the user's
 * document folders and the working directory are direct (the latter when it lies inside the home directory or
 * on a data mount, is not the home directory itself, and not below one of its hidden directories); sockets
 * and FIFOs in /tmp and home are the host's own. libc only. One thread; blocks on the disk. */
#ifndef FLOE_LAUNCH_PLAN_H
#define FLOE_LAUNCH_PLAN_H

#include <stdio.h>

#include "base/wire.h"
#include "launcher/path_rules.h"
#include "launcher/sandbox.h"

struct launch_plan {
	struct launch_rules
		rules; /* in any order while being filled; then as launch_rules_settle leaves them */
	struct launch_bind *binds; /* sorted: parents before children */
	size_t bind_count;
	char **argv; /* NULL-terminated */
	char **envp; /* NULL-terminated */
	char *cwd;
	char *home;
	char **sockets; /* of the host, that stay what they are; NULL-terminated */
	size_t socket_count;
};

void launch_plan_fini(struct launch_plan *p);
/* `path` may be relative; errors are those of launch_rules_add. */
int launch_plan_rule(struct launch_plan *p, const char *path, enum launch_policy policy,
		     enum launch_rule_source source, struct err *e) FLOE_MUST_USE;
/* Document folders, working directory. */
int launch_plan_defaults(struct launch_plan *p, struct err *e) FLOE_MUST_USE;
/* After launch_plan_defaults; like that, it needs nothing of the package. */
int launch_plan_find_sockets(struct launch_plan *p, struct err *e) FLOE_MUST_USE;
/* Rules of the package's description (fields of launch_info.h). */
int launch_plan_package(struct launch_plan *p, const struct wire_in *package, struct err *e) FLOE_MUST_USE;
/* Rules of the administrator's and the user's paths.conf. */
int launch_plan_files(struct launch_plan *p, struct err *e) FLOE_MUST_USE;
/* Settles the rules, turns them into binds, and adds the sockets that were found. What is not there is passed
 * over, but ERR_NOTFOUND for what the command line names: a slip of the pen would send writes elsewhere. */
int launch_plan_resolve(struct launch_plan *p, struct err *e) FLOE_MUST_USE;
/* What is run: the package's command `name` (NULL = its default; a name with a slash is a path inside) with
 * its own arguments, then `args` (NULL-terminated). */
int launch_plan_command(struct launch_plan *p, const struct wire_in *package, const char *name,
			char *const *args, struct err *e) FLOE_MUST_USE;
/* The caller's environment variables, the package's, and our own. */
int launch_plan_environment(struct launch_plan *p, const struct wire_in *package, const char *env_name,
			    bool with_shim, struct err *e) FLOE_MUST_USE;
void launch_plan_print(const struct launch_plan *p, FILE *to);

#endif
