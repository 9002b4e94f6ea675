/* SPDX-License-Identifier: Apache-2.0 */
/* Wanting a package's chunks a little before they are read, for verbs that read them in their order: as many
 * as memory holds until they are used, so that none comes twice. One thread. */
#ifndef FLOE_LAUNCH_CMD_AHEAD_H
#define FLOE_LAUNCH_CMD_AHEAD_H

#include "streaming/package.h"

enum { CMD_AHEAD_MEMORY = 32 * 1024 * 1024 /* for stream_package_opt.memory_max */ };

struct cmd_ahead {
	struct stream_package *package;
	uint32_t count;        /* of chunks */
	const uint8_t *wanted; /* borrowed; per chunk, those that have `mark`; NULL = all */
	uint8_t mark;
	/* its own */
	uint32_t next, passed;
	uint64_t outstanding; /* bytes of content between these */
};

/* Chunk `idx` is read next, and none before it any more. Does not wait for the network. */
int cmd_ahead_reach(struct cmd_ahead *a, uint32_t idx, struct err *e) FLOE_MUST_USE;

#endif
