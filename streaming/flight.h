/* SPDX-License-Identifier: Apache-2.0 */
/* One request for a run of chunks: planned, carried out, and its bytes cut into chunks as they arrive.
 *
 * A flight obtains only the chunks that it has made busy (`mine`); bytes of others in between are passed
 * over. Whatever happens, each of its chunks is settled when flight_run returns. */
#ifndef FLOE_STREAM_FLIGHT_H
#define FLOE_STREAM_FLIGHT_H

#include "streaming/package_state.h"

struct flight {
	struct flight *next; /* in the schedule's queue */
	uint32_t first, count;
	uint64_t off, end; /* in the file */
	uint8_t *mine;     /* per chunk: FLIGHT_* */
};
enum { FLIGHT_NOT_MINE, FLIGHT_WANTED, FLIGHT_WRONG /* came, but its digest is wrong */ };

struct flight_plan {
	uint32_t first, count_max;
	uint64_t bytes_max;
	bool first_is_busy; /* made busy by the caller, for this flight */
};

/* Takes from plan->first on what is neither cached nor on its way, over gaps of at most SCHEDULE_GAP_MAX, up
 * to bytes_max. *ret is NULL when there is nothing to get. Blocks on the local disk only. */
int flight_plan(struct stream_package *p, const struct flight_plan *plan, struct flight **ret,
		struct err *e) FLOE_MUST_USE;
/* Carries it out and frees it. -1 with *e when a chunk could not be had; the waiters have been told.
 * `head` (may be NULL) holds bytes of the file from p->head_off on. */
int flight_run(struct stream_package *p, struct flight *f, bool is_prefetch, const struct buf *head,
	       struct err *e);
/* Frees a flight that never ran; its chunks are settled with *why. */
void flight_abandon(struct stream_package *p, struct flight *f, const struct err *why);
/* pkg_index_chunk, and bounds. */
int flight_chunk_info(struct stream_package *p, uint32_t idx, struct pkg_chunk_info *ret,
		      struct err *e) FLOE_MUST_USE;

#endif
