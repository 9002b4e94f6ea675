/* SPDX-License-Identifier: Apache-2.0 */
/* A small HTTP/1.1 server inside the test process that serves one object, well or badly as told.
 * Any thread may change its behaviour while it serves. Failures to start abort the test. */
#ifndef FLOE_TESTS_NET_FAULT_SERVER_H
#define FLOE_TESTS_NET_FAULT_SERVER_H

#include <stddef.h>
#include <stdint.h>

enum fault {
	FAULT_NONE,
	FAULT_NOT_FOUND,
	FAULT_DENIED,
	FAULT_BUSY,        /* 503 */
	FAULT_RESET,       /* half of the body, then a reset */
	FAULT_SHORT,       /* half of the body, then an orderly end */
	FAULT_SILENT,      /* takes the request and says nothing */
	FAULT_DRIP,        /* a byte now and then */
	FAULT_GARBAGE,     /* not HTTP */
	FAULT_WHOLE,       /* 200 for 206 */
	FAULT_WRONG_RANGE, /* Content-Range one byte off */
	FAULT_SHORT_RANGE, /* Content-Range and body smaller than asked for */
	FAULT_NO_RANGE,    /* 206 without Content-Range */
	FAULT_ENCODED,     /* Content-Encoding: gzip */
	FAULT_REDIRECT_LOOP,
	FAULT_REDIRECT_ONCE, /* to /moved, which is served well */
	FAULT_REDIRECT_FILE, /* to file:///etc/passwd */
	FAULT_FLIP,          /* one bit of each body wrong */
	FAULT_LOGIN_PAGE,    /* 200 with a little HTML */
};

struct fault_server;

struct fault_server *fault_server_start(void); /* on a free port of 127.0.0.1 */
void fault_server_stop(struct fault_server *s);
/* "http://127.0.0.1:PORT/x.floe", the server's. */
const char *fault_server_url(const struct fault_server *s);
/* Borrowed until replaced. `etag` with its quotes; NULL: only Last-Modified; "": nothing at all. */
void fault_server_object(struct fault_server *s, const void *data, size_t len, const char *etag);
/* The next `times` requests after `skip` more good ones go wrong like this; times 0 = all. */
void fault_server_fault(struct fault_server *s, enum fault fault, unsigned skip, unsigned times);
/* Before each answer. */
void fault_server_delay(struct fault_server *s, unsigned ms);
/* Refuses connections, and resets those that are open; or accepts again, on the same port. */
void fault_server_listen(struct fault_server *s, int on);
/* Body bytes a second of each connection; 0 = no limit. */
void fault_server_rate(struct fault_server *s, unsigned bytes_per_s);

struct fault_counts {
	unsigned requests, connections, if_match, no_cache;
	uint64_t bytes;
};
void fault_server_counts(struct fault_server *s, struct fault_counts *ret);
void fault_server_reset_counts(struct fault_server *s);

#endif
