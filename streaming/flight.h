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
	uint64_t gap_max;   /* over so much of what is here, too; 0 = 32 KiB */
	bool first_is_busy; /* made busy, and claimed, by the caller for this flight */
	/* Told: so many chunks were looked at. When there is nothing to get, they are all here or coming. */
	uint32_t passed;
};

/* Takes from plan->first on what is neither cached nor on its way to here or to another process that shares
 * the cache, over gaps of at most gap_max, up to bytes_max. *ret is NULL when there is nothing to get. Blocks
 * on the local disk only. */
int flight_plan(struct stream_package *p, struct flight_plan *plan, struct flight **ret,
		struct err *e) FLOE_MUST_USE;
/* Carries it out and frees it. -1 with *e when a chunk could not be had; the waiters have been told. */
int flight_run(struct stream_package *p, struct flight *f, bool is_prefetch, struct err *e);

/* A chunk that has come, as it is stored. */
struct flight_piece {
	struct flight_piece *next; /* its owner's */
	uint32_t at;               /* counted from the flight's first */
	struct pkg_chunk_info info;
	struct memory_chunk *stored;
};
/* Takes the piece over: it comes to flight_use, in any thread. */
typedef void flight_hand_fn(void *arg, struct flight_piece *piece);

/* The same for bytes that come by themselves: from `pos` in the file on, in order, by one thread at a time.
 */
struct flight_intake {
	struct stream_package *p;
	struct flight *f;
	bool is_prefetch;
	flight_hand_fn *hand; /* NULL: each chunk is used at once by who takes the bytes */
	void *hand_arg;
	uint32_t at;  /* the chunk that is gathered, counted from f->first */
	uint64_t pos; /* of the next byte, in the file */
	bool has_info;
	struct pkg_chunk_info info;
	struct memory_chunk *partial; /* what has come of it, in parts; NULL = nothing */
	size_t partial_len;
	uint64_t noted_ms; /* when others were last told that something came */
	uint32_t blamed;   /* so many of the wrong ones the origin was blamed for */
	bool has_others;   /* origins to ask for what was wrong */
	uint32_t wrong;    /* guarded by the package's lock */
};
void flight_intake_init(struct flight_intake *c, struct stream_package *p, struct flight *f, uint64_t pos,
			bool is_prefetch);
/* A stream_sink_fn with a struct flight_intake for argument. */
int flight_take(void *intake, const uint8_t *data, size_t len, struct err *e) FLOE_MUST_USE;
/* Checks what was handed out, keeps it and gives it to whoever waits. Frees the piece. Any thread, also
 * beside flight_take. */
void flight_use(struct flight_intake *c, struct flight_piece *piece);
/* When all that was handed out is used: asks for what did not come, and ends like flight_run. */
int flight_intake_fini(struct flight_intake *c, struct err *e);
/* Frees a flight that never ran; its chunks are settled with *why. */
void flight_abandon(struct stream_package *p, struct flight *f, const struct err *why);
/* The fetcher's read, timed. */
int flight_fetch(struct stream_package *p, uint64_t off, uint64_t len, stream_sink_fn *sink, void *arg,
		 struct err *e) FLOE_MUST_USE;
/* pkg_index_chunk, and bounds. */
int flight_chunk_info(struct stream_package *p, uint32_t idx, struct pkg_chunk_info *ret,
		      struct err *e) FLOE_MUST_USE;

#endif
