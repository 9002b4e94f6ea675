/* SPDX-License-Identifier: Apache-2.0 */
/* The whole of a sequencing run: capture, filter, detect, pack, learn, report. Called by the verb; prints
 * progress and notes through base/log.h. One thread; blocks for as long as it takes. */
#ifndef FLOE_SEQ_SEQUENCE_H
#define FLOE_SEQ_SEQUENCE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"
#include "launcher/engine.h"
#include "launcher/sandbox.h"

/* All borrowed. */
struct seq_request {
	const char *out_path;
	const char *name, *version, *summary; /* NULL = find out */
	char **commands, **launches, **profiles, **configs, **envs, **paths, **locals;
	size_t command_count, launch_count, profile_count, config_count, env_count, path_count, local_count;
	enum launch_engine engine; /* of the session's union and the launches' */
	unsigned launch_seconds;   /* 0 = 30 */
	const char *rules_path;    /* NULL = the rules that come with floe; for a directory: none */
	const char *report_path;   /* NULL = none */
	const char *key_name;      /* NULL = "default" */
	const char *keep_dir;      /* NULL = the working directory is removed */
	int level;
	bool json, keep_going;
	char **installer; /* NULL = from_dir */
	const char *from_dir, *prefix;
	const volatile bool *cancel;
};

/* The package is at out_path afterwards, or nothing is. The summary goes to standard output. *ret_status (set
 * also on failure): how the installer ended. */
int seq_run(const struct seq_request *r, struct launch_status *ret_status, struct err *e) FLOE_MUST_USE;

#endif
