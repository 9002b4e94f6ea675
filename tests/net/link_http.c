/* SPDX-License-Identifier: Apache-2.0 */
/* Spoiling heads; see link_http.h. */
#include "tests/net/link_http.h"

#include <string.h>
#include <strings.h>

static const char portal[] =
	"<!DOCTYPE html><html><head><title>Welcome</title></head><body><h1>Guest network</h1>"
	"<form action=/login><button>Accept the terms</button></form></body></html>\n";

static void need(int rc)
{
	if (rc == 0)
		return;
	fprintf(stderr, "out of memory, or a head that is too long\n");
	abort();
}

size_t link_http_head_len(const struct buf *b)
{
	const uint8_t *end = b->len ? memmem(b->data, b->len, "\r\n\r\n", 4) : NULL;

	return end ? (size_t)(end - b->data) + 4 : 0;
}

static bool may_begin(const struct buf *b, const char *word)
{
	size_t len = strlen(word);

	return memcmp(b->data, word, b->len < len ? b->len : len) == 0;
}

bool link_http_may_be_request(const struct buf *b)
{
	return !b->len || may_begin(b, "GET ") || may_begin(b, "HEAD ");
}

static bool is_field(const char *line, const char *name)
{
	size_t len = strlen(name);

	return strncasecmp(line, name, len) == 0 && line[len] == ':';
}

/* Copies the head's lines without those fields, and with `extra` before the empty line. */
static void copy_head(const char *head, size_t len, const char *without, const char *also_without,
		      const char *extra, struct buf *ret)
{
	const char *end = head + len - 2; /* the empty line */
	struct err e;

	for (const char *line = head; line < end;) {
		const char *next = (const char *)memmem(line, (size_t)(end - line), "\r\n", 2) + 2;

		if (line == head || !(is_field(line, without) || is_field(line, also_without)))
			need(buf_add(ret, line, (size_t)(next - line), &e));
		line = next;
	}
	need(buf_add_str(ret, extra, &e));
	need(buf_add_str(ret, "\r\n", &e));
}

void link_http_spoil_request(const char *head, size_t len, enum link_fault_kind kind, struct buf *ret)
{
	struct err e;

	if (kind == LINK_WHOLE) /* who is not asked for a range sends everything */
		copy_head(head, len, "Range", "If-Range", "", ret);
	else
		need(buf_add(ret, head, len, &e));
}

void link_http_spoil_answer(const char *head, size_t len, enum link_fault_kind kind, struct buf *ret)
{
	struct err e;

	if (kind == LINK_ETAG)
		copy_head(head, len, "ETag", "Last-Modified", "ETag: \"changed-by-the-link\"\r\n", ret);
	else if (kind == LINK_GZIP)
		copy_head(head, len, "Content-Encoding", "Content-Encoding", "Content-Encoding: gzip\r\n",
			  ret);
	else
		need(buf_add(ret, head, len, &e));
}

bool link_http_own_answer(struct link_fault fault, bool is_head, struct buf *ret)
{
	struct err e;

	switch (fault.kind) {
	case LINK_PORTAL:
		need(buf_printf(ret, &e,
				"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %zu\r\n\r\n%s",
				sizeof(portal) - 1, is_head ? "" : portal));
		return true;
	case LINK_403:
		need(buf_add_str(ret, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", &e));
		return true;
	case LINK_404:
		need(buf_add_str(ret, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", &e));
		return true;
	case LINK_416:
		need(buf_add_str(ret,
				 "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Range: bytes */1\r\n"
				 "Content-Length: 0\r\n\r\n",
				 &e));
		return true;
	case LINK_503:
		need(buf_printf(ret, &e,
				"HTTP/1.1 503 Service Unavailable\r\nRetry-After: %llu\r\n"
				"Content-Length: 0\r\n\r\n",
				(unsigned long long)fault.at));
		return true;
	default:
		return false;
	}
}
