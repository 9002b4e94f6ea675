/* SPDX-License-Identifier: Apache-2.0 */
/* One transfer as libcurl sees it: its options, its callbacks and what its end means. For http_engine.c
 * alone.
 *
 * A transfer lives in its asker's frame. It is handed to the engine's thread through `arriving`, is then
 * touched by both under the engine's mutex, and belongs to the asker again once `is_detached`. The bytes
 * inside the ring are touched without the mutex: the thread writes only free space, the asker reads only
 * filled. */
#ifndef FLOE_STREAM_HTTP_TRANSFER_H
#define FLOE_STREAM_HTTP_TRANSFER_H

#include "streaming/curl_library.h"

#include "base/sync.h"
#include "streaming/http_engine.h"
#include "streaming/knock.h"
#include "streaming/net_change.h"

struct transfer {
	CURL *easy;
	struct curl_slist *headers, *resolve;
	struct stream_knocked knocked; /* resolve NULL: none; fd -1 once libcurl has it */
	char reason[CURL_ERROR_SIZE];
	struct http_engine *engine;
	struct transfer *next; /* in arriving or active */

	/* the thread's own */
	int taken;           /* the knocked connection, between two callbacks; else -1 */
	bool is_asking;      /* connected */
	uint64_t since_ms;   /* when its time began to count */
	uint64_t came;       /* bytes, from then on */
	bool has_begun;      /* to answer */
	bool is_reused;      /* the connection */
	bool is_fresh;       /* it must not be */
	bool is_stale;       /* ended, since the connection was not alive any more; the asker's, too, then */
	bool asks_directory; /* alone, for authorities (authorities.h); the asker's */
	unsigned connect_ms, stall_ms;

	/* guarded by engine->lock */
	struct sync_cond changed;
	struct http_answer answer;
	uint8_t *ring;
	size_t cap, start, fill;
	uint64_t discarded;
	bool is_paused, wants_resume, wants_abort, is_detached;
	CURLcode code;
};

struct http_engine {
	CURLM *multi; /* NULL until the first request; set under the lock */
	pthread_t thread;
	struct transfer *active;  /* the thread's own */
	bool shares;              /* connections, between transfers; constant */
	struct net_change change; /* the thread's own */
	uint64_t changed_ms;      /* connections from before are not used again; 0 = all are good */
	uint64_t answer_ms;       /* that answers took to begin, the slower ones; the thread's own */

	struct sync_mutex lock;
	struct transfer *arriving; /* guarded by lock */
	bool is_cancelled;         /* guarded by lock */
	bool is_closing;           /* guarded by lock */
};

/* In the asker's thread. On -1 it is still to be ended by transfer_fini. */
int transfer_init(struct transfer *t, struct http_engine *g, const struct http_get *get,
		  struct err *e) FLOE_MUST_USE;
void transfer_fini(struct transfer *t);
/* Of one that ended by itself, what libcurl's verdict means: always -1. */
int transfer_error(struct transfer *t, struct http_result *ret, struct err *e);
void transfer_note_route(struct transfer *t, const struct http_get *get, struct http_result *ret);
/* In the engine's thread: its time begins to count. */
void transfer_count_afresh(struct transfer *t);

#endif
