/* SPDX-License-Identifier: Apache-2.0 */
/* What launches touch first: kept in a profile per command (profile.h), and prefetched at the next cold start
 * behind the primary feature block.
 *
 * What is read belongs to the command that was launched last; each command counts once while a package is
 * open, since what it reads again comes from the kernel's page cache. The first has read all by itself; later
 * ones may lack what earlier ones had brought into that cache: their next cold start shows. A launch ends
 * when nothing was read for LEARN_QUIET_MS, or another command is launched.
 *
 * A thread of its own replays and saves. */
#ifndef FLOE_STREAM_LEARN_H
#define FLOE_STREAM_LEARN_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/sync.h"
#include "package-format/digest.h"

enum { LEARN_QUIET_MS = 10000, LEARN_LAUNCHES = 32 /* more commands than that are not told apart */ };

struct stream_package;

struct learn_launch {
	struct pkg_digest key; /* of the command's profile */
	bool is_replayed;
	uint32_t *touched; /* STREAM_PROFILE_MAX, in order; NULL = no longer recorded */
	size_t count;
};

struct learning {
	char *dir; /* the cache's; NULL = nothing is learnt */
	pthread_t learner;
	bool has_learner;

	/* guarded by the package's lock */
	struct sync_cond told; /* a launch, the end of the primary feature block, closing */
	/* In order; what is read before the first is told of belongs to it. */
	struct learn_launch launches[LEARN_LAUNCHES];
	unsigned launch_count;
	uint64_t launched_ms; /* the newest */
	uint8_t *is_touched;  /* per chunk, by the newest */
};

/* After the index is open. */
int learn_init(struct stream_package *p, const char *dir, struct err *e) FLOE_MUST_USE;
/* Starts the thread. Without it everything is saved at the end, and nothing replayed. */
void learn_start(struct stream_package *p);
/* Joins the thread; is_closing was set before. */
void learn_stop(struct stream_package *p);
/* Saves what was not saved yet. NULL members ok. */
void learn_fini(struct stream_package *p);
/* The key of a command's profile; NULL = the package's default command. */
void learn_key(const struct stream_package *p, const char *command, struct pkg_digest *ret);

#endif
