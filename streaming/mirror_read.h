/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of the fetcher of fetch_mirrors.h, shared by fetch_mirrors.c (which origin, and what if it
 * fails) and mirror_read.c (one read of one origin, and the race between several). */
#ifndef FLOE_STREAM_MIRROR_READ_H
#define FLOE_STREAM_MIRROR_READ_H

#include "base/sync.h"
#include "streaming/fetch_mirrors.h"
#include "streaming/mirror_health.h"

struct mirror_origin {
	struct stream_fetcher *fetcher; /* NULL: could not be opened */
	struct err why;                 /* then */
	char *shown;

	/* guarded by the lock of struct mirrors */
	struct mirror_health health;
	bool is_same; /* its length and first bytes are those of the others */
};

struct mirrors {
	struct stream_fetcher seam;
	struct stream_mirrors_opt opt; /* zeros replaced */
	size_t count;
	struct mirror_origin origins[STREAM_MIRRORS_MAX];

	struct sync_mutex lock;
	/* guarded by lock */
	struct sync_cond changed;
	bool is_cancelled;
	unsigned racers;     /* threads that may still touch this */
	unsigned generation; /* grows with unpin */
	bool has_head, length_only;
	uint8_t head[STREAM_MIRROR_HEAD];
	size_t head_len;
	uint64_t size;
	unsigned definer; /* the origin that head and size came from */
};

/* What is left of a read, handed from origin to origin. */
struct mirror_read {
	uint64_t off, len, done;
	unsigned generation; /* when it began */
	stream_sink_fn *sink;
	void *arg;
	bool has_sink_failed;
	unsigned last; /* the origin that brought its last bytes */
};

/* Reads what is left from origin `idx`, in the calling thread. */
int mirror_read_from(struct mirrors *m, struct mirror_read *r, unsigned idx, struct err *e) FLOE_MUST_USE;
/* The same from the first of order[0..n) that answers right. *ret_failed gets the bits of those that failed;
 * on -1 that is all of them, or the one that answered and failed later. */
int mirror_read_race(struct mirrors *m, struct mirror_read *r, const unsigned *order, size_t n,
		     uint32_t *ret_failed, struct err *e) FLOE_MUST_USE;

/* Of several failures the heaviest is the one to report: what may go away by itself before what stays, but
 * first of all that the preferred origin has another object (only that one's ERR_CHANGED is passed on), since
 * the caller can look what it is now. 0 = no failure. */
int mirror_weight(const struct err *why);
/* The origin that gave the calling thread its last bytes: it is the one to judge them. */
unsigned mirror_last_read(const struct mirrors *m);
void mirror_note_last(const struct mirrors *m, unsigned idx);
uint64_t mirrors_now_ms(const struct mirrors *m);
/* Points ret[] at all healths. */
void mirrors_health_locked(const struct mirrors *m, const struct mirror_health *ret[STREAM_MIRRORS_MAX])
	SYNC_REQUIRES(m->lock);

#endif
