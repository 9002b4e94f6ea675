/* SPDX-License-Identifier: Apache-2.0 */
/* Chunks that readers here want and another process is fetching (transit.h): a thread waits until they are in
 * the cache, and asks for them ourselves when they do not come after all: the other process failed, was
 * killed, or has received nothing for ELSEWHERE_SILENCE_MS.
 *
 * The thread is started by the first such chunk. */
#ifndef FLOE_STREAM_ELSEWHERE_H
#define FLOE_STREAM_ELSEWHERE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum { ELSEWHERE_MAX = 64, ELSEWHERE_SILENCE_MS = 1000 };

struct stream_package;

struct elsewhere {
	int bell;  /* an eventfd: rung for each new chunk, and when the package closes */
	int watch; /* of the transit; -1 = none. The thread's own */
	pthread_t thread;
	bool has_thread;
	/* guarded by the package's lock */
	uint32_t chunks[ELSEWHERE_MAX]; /* busy, with readers waiting */
	unsigned count;
};

void elsewhere_init(struct stream_package *p);
/* Takes a busy chunk over until it is obtained. False: no room, or no thread; fetch it all the same. Never
 * blocks. */
bool elsewhere_await(struct stream_package *p, uint32_t idx);
void elsewhere_stop(struct stream_package *p); /* the package is closing */

#endif
