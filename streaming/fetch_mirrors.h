/* SPDX-License-Identifier: Apache-2.0 */
/* One object from several origins; see fetcher.h for the contract.
 *
 * The first source is preferred. A source that fails, is far slower than another one has been, or gave wrong
 * bytes (distrust) is left for a while, longer each time, at most `away_ms`; then it is asked again, and the
 * preferred one is returned to. A source that has not answered yet is raced: when nothing has come from it
 * after `race_after_ms`, the next one is asked too, and the first to answer right serves the read.
 *
 * Each source is held to its own validators (ETag, ...) as a single one would be. They are the same object
 * when length and first STREAM_MIRROR_HEAD bytes agree, which is looked at when a source is first used; one
 * that has something else is left out (ERR_CHANGED only when the first one has, ERR_NOTFOUND from others). A
 * read may go on with another source where the first one stopped: callers verify content by digest.
 *
 * The sink may run in another thread than the one that called read, which waits meanwhile. */
#ifndef FLOE_STREAM_FETCH_MIRRORS_H
#define FLOE_STREAM_FETCH_MIRRORS_H

#include "streaming/fetcher.h"

enum { STREAM_MIRRORS_MAX = 16, STREAM_MIRROR_HEAD = 4096 };

struct stream_mirrors_opt {
	/* Zeros: 4 s to connect, 5 s of silence, 2 rounds over all sources; a single source has the
	 * defaults of fetcher.h. */
	struct stream_fetch_opt fetch;
	unsigned race_after_ms;        /* 0 = 700 */
	unsigned away_ms;              /* 0 = 5 minutes */
	uint64_t (*now_ms)(void *arg); /* the clock that ends absences; NULL = sync_now_ms */
	void *clock_arg;
	/* Is this the beginning of what is wanted? -1 leaves the source out. Any thread, several at once;
	 * NULL = whatever answers first. `len` is below STREAM_MIRROR_HEAD only for shorter objects. */
	int (*check)(void *arg, const uint8_t *head, size_t len, struct err *e);
	void *check_arg;
};

/* `sources` as stream_fetcher_open takes them, copied; opt may be NULL. A source that cannot be opened (a
 * file that is not there) is as one that fails, unless none can. ERR_LIMIT: more than STREAM_MIRRORS_MAX. */
int stream_fetch_mirrors_open(const char *const *sources, size_t count, const struct stream_mirrors_opt *opt,
			      struct stream_fetcher **ret, struct err *e) FLOE_MUST_USE;

#endif
