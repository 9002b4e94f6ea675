/* SPDX-License-Identifier: Apache-2.0 */
/* The head of an HTTP answer: what of it matters to us, and whether its body is the range we asked for
 * (RFC 9110 sections 8.8 and 14). Pure; never blocks. */
#ifndef FLOE_STREAM_HTTP_ANSWER_H
#define FLOE_STREAM_HTTP_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { HTTP_VALIDATOR_MAX = 192 };

struct http_answer {
	int status; /* 0 while no status line was seen */
	bool has_range, has_total, has_length, is_encoded;
	uint64_t first, last, total; /* Content-Range */
	uint64_t length;             /* Content-Length */
	unsigned retry_after_s;
	char etag[HTTP_VALIDATOR_MAX]; /* with its quotes and W/; "" = none, or too long to be of use */
	char modified[HTTP_VALIDATOR_MAX];
};

/* Takes one header line, with or without its line end. A status line starts over: the answers of
 * redirects are forgotten. */
void http_answer_line(struct http_answer *a, const char *line, size_t len);

/* Which object the first answer came from. */
struct http_pin {
	bool is_set, length_only;
	uint64_t size;
	char etag[HTTP_VALIDATOR_MAX];
	char modified[HTTP_VALIDATOR_MAX];
};

/* Judges an answer to a request for [off, off+len), len > 0. 0: the body's first *ret_len bytes end with the
 * wanted ones, and are no more than these unless the server has sent the object from its start (status 200);
 * the object is `ret_size` long. With `ranges_only` the latter is refused unless all of it was wanted. -1:
 * ERR_UNSUPPORTED, ERR_CHANGED, ERR_NOTFOUND, ERR_NET; *ret_retry tells whether asking again may help. */
int http_answer_judge(const struct http_answer *a, uint64_t off, uint64_t len, const struct http_pin *pin,
		      bool ranges_only, uint64_t *ret_len, uint64_t *ret_size, bool *ret_retry,
		      struct err *e) FLOE_MUST_USE;
void http_pin_set(struct http_pin *pin, const struct http_answer *a, uint64_t size);
/* True when the tag may be sent in If-Match. */
bool http_etag_is_strong(const char *etag);

#endif
