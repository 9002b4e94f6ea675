/* SPDX-License-Identifier: Apache-2.0 */
/* Files that are read from front to back, when their content is on this machine: a thread or two load the
 * next chunks into memory (from the cache, or from the package's file) while the reader still has to do with
 * the ones before. Reading from the disk and checking digests then go on beside the answers.
 *
 * The threads are started by the first such reader. */
#ifndef FLOE_STREAM_NEAR_H
#define FLOE_STREAM_NEAR_H

#include <pthread.h>
#include <stdint.h>

#include "base/sync.h"

enum { NEAR_THREADS = 2, NEAR_QUEUE = 16, NEAR_BLOCK = 8 /* chunks of the feature block */ };

struct stream_package;

struct near { /* guarded by the package's lock */
	struct sync_cond wanted;
	uint32_t queue[NEAR_QUEUE];
	unsigned first, count;
	pthread_t threads[NEAR_THREADS];
	unsigned started;
	uint32_t block_next; /* of the feature block, what lies before was wanted */
};

void near_init(struct stream_package *p);
/* Wants these chunks soon; what does not fit is forgotten. Never blocks. */
void near_want(struct stream_package *p, const uint32_t *chunks, size_t count);
/* A reader is at this chunk: in the primary feature block, which lies in the order of first touches, the next
 * ones are wanted soon. Never blocks. */
void near_follow(struct stream_package *p, uint32_t idx);
void near_stop(struct stream_package *p); /* the package is closing */

#endif
