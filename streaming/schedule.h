/* SPDX-License-Identifier: Apache-2.0 */
/* Requests for chunks: what goes together into one, who carries it out, and in which order.
 *
 * One thread streams the primary feature block, another asks for what earlier launches touched (learn.h).
 * Others, started when needed, take wanted chunks first and hints after them: as many as it takes to fill the
 * way to the origin (schedule_parallel), and one more for each that is late, so that a request that hangs
 * holds up no other. A request takes along what lies beside the wanted chunk and is neither cached nor on its
 * way: few requests instead of many. */
#ifndef FLOE_STREAM_SCHEDULE_H
#define FLOE_STREAM_SCHEDULE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "streaming/pace.h"

enum {
	SCHEDULE_WORKERS = 16,
	SCHEDULE_PARALLEL_MIN = 4,
	SCHEDULE_PARALLEL_MAX = 8,
	SCHEDULE_HINTS = 64,
	SCHEDULE_GAP_MAX = 128 * 1024,
	SCHEDULE_REQUEST_MAX = 4 * 1024 * 1024,
	SCHEDULE_WINDOW_MIN = 512 * 1024,
};

struct stream_package;
struct flight; /* a request: chunks first .. first+count-1, some of which it obtains */

struct schedule_hint {
	uint32_t first, count;
};

struct schedule_worker {
	struct stream_package *p;
	pthread_t thread;
	uint64_t late_ms; /* when the request it carries out should have ended long ago; 0 = none */
};

struct schedule { /* guarded by the package's lock */
	struct flight *wanted, **wanted_last;
	struct schedule_hint hints[SCHEDULE_HINTS];
	unsigned hint_count;
	struct schedule_worker workers[SCHEDULE_WORKERS];
	unsigned worker_count, idle_count, hinting_count;
	pthread_t streamer;
	bool has_streamer;
	bool is_streaming; /* the primary feature block: what was learnt comes after it */
};

/* How many requests at once such a way can use. */
unsigned schedule_parallel(const struct pace *pace);
void schedule_init(struct stream_package *p);
/* Starts streaming the primary feature block, or goes on with it when p->beginning has begun. Failure to
 * start a thread is not an error: chunks then come on demand. */
void schedule_start(struct stream_package *p);
/* How many chunks lie before `end` of the file. */
uint32_t schedule_count_until(struct stream_package *p, uint64_t end) FLOE_MUST_USE;
/* Streams what is lacking of the block, from chunk `at` on, after carrying out `first` (NULL = none), until
 * it is complete or the package closes; after `failures` failures it first waits a while. */
void schedule_stream(struct stream_package *p, struct flight *first, uint32_t at, unsigned failures);
/* Joins all threads; the fetcher was cancelled and is_closing set before. */
void schedule_stop(struct stream_package *p);
/* Puts a request for a chunk, which the caller has made busy, into the queue. On -1 it is still the
 * caller's to settle. */
int schedule_want(struct stream_package *p, uint32_t idx, struct err *e) FLOE_MUST_USE;
/* Blocks until something was read, and then nothing for so long. False when the package closes. */
bool schedule_await_quiet(struct stream_package *p, unsigned quiet_ms);
void schedule_hint(struct stream_package *p, uint32_t first, uint32_t count);
/* The same, but waits until the queue is short. False when the package closes. */
bool schedule_prefetch(struct stream_package *p, uint32_t first, uint32_t count);

#endif
