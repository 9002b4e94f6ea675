/* SPDX-License-Identifier: Apache-2.0 */
/* One thread that owns libcurl's multi handle and only moves bytes: it fills a bounded ring for each request,
 * and pauses the transfer while the ring is full. Judging answers, retrying and using bytes happen in
 * the thread that asked. Connections are kept alive for the engine's next requests. <curl/curl.h> is
 * included only in curl_library.h.
 *
 * An engine is for one protocol. Over HTTP/2 requests share a connection, which nobody may hold up: of a
 * paused stream libcurl keeps up to 32 MiB in memory (7.88), or stalls the streams beside it (8.0). So only
 * what a ring holds whole is asked for that way. With both protocols in one engine, libcurl 7.88 hands the
 * HTTP/1.1 connection of one transfer to another as well, and each gets the other's bytes.
 *
 * A kept connection that brings nothing for much longer than answers take is dropped, with the others that
 * are idle, and the request is made once more over a fresh one.
 *
 * After a long sleep of the machine, and when an address of it is gone, what waits for bytes of connections
 * from before ends at once with may_retry, and those that are idle are not used again. */
#ifndef FLOE_STREAM_HTTP_ENGINE_H
#define FLOE_STREAM_HTTP_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "streaming/fetcher.h"
#include "streaming/http_answer.h"

struct stream_origin;
struct http_engine; /* opaque; any thread */
struct http_result;

enum {
	HTTP_SHARED_MAX = 1024 * 1024, /* bytes of one request of an engine that shares connections */
	HTTP_REDIRECTS_MAX = 5,
};

/* `shares`: over HTTP/2 where the server offers it; else each transfer has a connection for itself. */
int http_engine_open(bool shares, struct http_engine **ret, struct err *e) FLOE_MUST_USE;
void http_engine_close(struct http_engine *g); /* NULL ok; no request may be under way */
/* Every request, now and from now on, ends with ERR_INTERRUPTED. Never blocks. */
void http_engine_cancel(struct http_engine *g);

struct http_get {
	const char *url;
	uint64_t off, len;    /* len > 0 */
	const char *if_match; /* NULL = none */
	/* NULL = nothing set. With it, an answer that redirects is the end: is_redirect, and its address in
	 * moved_to. */
	const struct stream_origin *origin;
	bool no_cache;
	/* Refuse an object as a whole when a part was asked for; else the sink gets it from its start to the
	 * end of the part (answer.status is 200). */
	bool ranges_only;
	unsigned connect_timeout_ms, stall_timeout_ms;
	struct http_pin pin; /* what the answer must come from */
	stream_sink_fn *sink;
	void *sink_arg;
	/* Told, in the asker's thread, that the answer was found right, before its first byte goes to the
	 * sink; -1 ends the attempt. NULL ok. */
	int (*on_judged)(void *arg, const struct http_result *r, struct err *e);
	void *judged_arg;
};

struct http_result {
	struct http_answer answer;
	uint64_t delivered; /* bytes that the sink took */
	uint64_t size;      /* of the object; valid when is_judged */
	bool is_judged;     /* the answer was found right */
	bool may_retry;     /* on -1: asking again may help */
	bool is_redirect;   /* on -1: see http_get.origin */
	bool is_http1;      /* judged, and came over HTTP/1 */
	unsigned requests;  /* redirects included */
	char *moved_to;     /* final address when the server redirected, else NULL; caller frees */
};

/* One attempt. *ret is filled in either case. */
int http_engine_get(struct http_engine *g, const struct http_get *get, struct http_result *ret,
		    struct err *e) FLOE_MUST_USE;

#endif
