/* SPDX-License-Identifier: Apache-2.0 */
/* What is noted about an environment, in "key=value" lines of NAME/environment. Part of environment.c; nobody
 * else includes this. Blocks on the disk. */
#ifndef FLOE_LAUNCH_ENVIRONMENT_RECORD_H
#define FLOE_LAUNCH_ENVIRONMENT_RECORD_H

#include "launcher/environment.h"

struct launch_environment_record {
	const char *package, *version, *root, *source, *engine; /* borrowed, not NULL */
	int64_t created_s;
};

/* Fills package, version, root, source, engine and created_s of env from env->dir. ERR_FORMAT,
 * ERR_UNSUPPORTED. */
int launch_environment_record_read(struct launch_environment *env, struct err *e) FLOE_MUST_USE;
/* Replaces the record in one step. A line break in a value is ERR_FORMAT. */
int launch_environment_record_write(int dir_fd, const struct launch_environment_record *r,
				    struct err *e) FLOE_MUST_USE;

#endif
