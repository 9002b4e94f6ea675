/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of struct stream_package, shared by package.c (chunks for readers), package_open.c (what is
 * believed), package_origin.c (whether the origin still has it), beginning.c (the first transfer),
 * package_read.c (byte ranges of inodes), near.c (loading ahead from this machine), elsewhere.c (what other
 * processes fetch) and schedule.c (requests, and the threads that carry them out).
 *
 * A chunk is idle or being obtained by exactly one thread or request (`is_busy`), or awaited from another
 * process (elsewhere.h). Whoever wants a busy chunk waits in `waiters` and is handed the chunk, or the error,
 * by the one who obtains it. Who asks the network has the chunk's claim (transit.h), which a put into the
 * cache takes along. */
#ifndef FLOE_STREAM_PACKAGE_STATE_H
#define FLOE_STREAM_PACKAGE_STATE_H

#include "base/sync.h"
#include "streaming/elsewhere.h"
#include "streaming/learn.h"
#include "streaming/memory.h"
#include "streaming/near.h"
#include "streaming/pace.h"
#include "streaming/package.h"
#include "streaming/schedule.h"

enum { STREAM_CURSORS = 8 };

struct waiter {
	struct waiter *next;
	uint32_t idx;
	bool is_done;
	struct memory_chunk *chunk; /* a reference, when all went well */
	struct err err;
};

/* A file that is read from front to back. */
struct read_cursor {
	uint64_t ino, next_off, ahead_off;
	uint64_t near_off; /* what lies before is loaded already, or will be */
	size_t window;
};

enum origin_state {
	ORIGIN_UNKNOWN,   /* opened from the cache: not yet compared */
	ORIGIN_CONFIRMED, /* serves our root digest */
	ORIGIN_CHANGED,   /* serves another package now */
};

struct stream_package {
	char *source, *shown;
	struct stream_package_opt opt;  /* strings not kept */
	struct stream_fetcher *fetcher; /* NULL: offline by choice */
	bool is_file, is_offline;
	struct pkg_header header;
	struct pkg_index *index;
	uint32_t chunk_count;
	uint32_t block_chunks;   /* the first so many are the primary feature block */
	uint32_t feature_chunks; /* so many are fetched before they are asked for; 0 = it is not streamed */

	struct pkg_digest wanted; /* what every one of several origins must have, */
	bool has_wanted;          /* once it is known; both guarded by lock */

	struct beginning *beginning; /* the first transfer of a cold start; NULL = none */
	bool is_remembering;         /* a thread puts header and index into the cache */
	pthread_t rememberer;
	struct buf beginning_bytes; /* the thread's own */

	struct sync_mutex lock;
	/* guarded by lock */
	struct sync_cond changed;
	struct memory_store memory;
	uint8_t *is_busy; /* per chunk */
	struct waiter *waiters;
	struct schedule schedule;
	unsigned users; /* threads inside stream_package_chunk */
	bool is_closing, is_stalled;
	uint64_t last_use_ms; /* when the last reader left; 0 = none yet */
	struct pace pace;
	struct learning learning;
	struct near near;
	struct elsewhere elsewhere;
	uint64_t good_answers; /* grows whenever the network works */
	enum origin_state origin;
	unsigned repins;
	uint64_t window, window_end_idx; /* read-ahead of the last miss */
	struct read_cursor cursors[STREAM_CURSORS];
	unsigned cursor_next;
	struct stream_package_stats stats;
};

/* From what this machine has. ERR_NOTFOUND: ask the network. *ret has a reference. Blocks on the disk. */
int package_load(struct stream_package *p, uint32_t idx, struct memory_chunk **ret,
		 struct err *e) FLOE_MUST_USE;
/* An unlisted chunk with one reference, to be filled by the caller. */
struct memory_chunk *package_take_room(struct stream_package *p, uint32_t idx, size_t len,
				       struct err *e) FLOE_MUST_USE;
/* The same for what comes before it is asked for, in the order in which it will be: nothing that came earlier
 * goes for it, and when there is no room it is for the cache, and who waits for it, alone. */
struct memory_chunk *package_pass_room(struct stream_package *p, uint32_t idx, size_t len,
				       struct err *e) FLOE_MUST_USE;
/* Asks the network for a busy chunk, or leaves that to the process that does, if not `anyway`; what comes of
 * it reaches the waiters. Never blocks on the network. */
void package_ask(struct stream_package *p, uint32_t idx, bool anyway);
/* Ends the obtaining of a chunk: gives `m` (borrowed; NULL with *why on failure) to whoever waits. */
void package_settle(struct stream_package *p, uint32_t idx, struct memory_chunk *m, const struct err *why);
/* Obtains a chunk that this machine has, unless somebody does or it is in memory. Blocks on the disk. */
void package_load_near(struct stream_package *p, uint32_t idx);
bool package_is_closing(struct stream_package *p);
/* A failure to fetch that may not last: no answer, or one that a server or something on the way gives for a
 * while. */
bool package_may_return(const struct err *e);
/* The network worked, or did not. Calls back outside the lock. */
void package_note_network(struct stream_package *p, bool works, const char *why);
/* Opens p->fetcher: of `source`, and of the mirrors in opt. */
int package_open_origins(struct stream_package *p, const char *source, const struct stream_package_opt *opt,
			 struct err *e) FLOE_MUST_USE;
/* From now on only origins with this root digest are used, where there are several. */
void package_want_root(struct stream_package *p, const struct pkg_digest *root);
/* Appends [off, off+len) of the origin's file. Blocks on the network. */
int package_fetch_part(struct stream_package *p, uint64_t off, uint64_t len, struct buf *ret,
		       struct err *e) FLOE_MUST_USE;
/* From now on one attempt must do that gets no further than `ms` without a connection, nor then without
 * bytes: there is something to go on with. 0 = as usual again. */
void package_hurry(struct stream_package *p, unsigned ms);
/* Reads the header from the origin and compares root digests. Blocks on the network. */
int package_confirm_origin(struct stream_package *p, struct err *e) FLOE_MUST_USE;
/* After ERR_CHANGED: 0 when the origin still serves our package under another identity. */
int package_reconfirm_origin(struct stream_package *p, struct err *e) FLOE_MUST_USE;

/* Starts another of the schedule's workers when wanted chunks wait and those at work are late. */
void schedule_nudge_locked(struct stream_package *p) SYNC_REQUIRES(p->lock);
/* A reader wants this chunk: recorded (learn.h). Never blocks. */
void learn_touch_locked(struct stream_package *p, uint32_t idx) SYNC_REQUIRES(p->lock);

#endif
