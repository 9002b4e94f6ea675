/* SPDX-License-Identifier: Apache-2.0 */
/* As much of HTTP/1.1 as it takes to spoil it: heads of requests without a body, and of their answers.
 *
 * A head is the bytes up to and with the empty line. Never blocks; lack of memory ends the program. */
#ifndef FLOE_TESTS_NET_LINK_HTTP_H
#define FLOE_TESTS_NET_LINK_HTTP_H

#include "base/mem.h"
#include "tests/net/link_fault.h"

enum { LINK_HEAD_MAX = 64 * 1024 };

/* Length of the head at the beginning of `b`; 0 while it is not complete. */
size_t link_http_head_len(const struct buf *b);
/* True for GET and HEAD, or what may become one. */
bool link_http_may_be_request(const struct buf *b);
/* Appends what is to be sent to the server instead of the request head `head`. */
void link_http_spoil_request(const char *head, size_t len, enum link_fault_kind kind, struct buf *ret);
/* The same for an answer's head. */
void link_http_spoil_answer(const char *head, size_t len, enum link_fault_kind kind, struct buf *ret);
/* The whole answer of a fault that needs no server (portal, 4xx, 5xx); false: it is none of these. */
bool link_http_own_answer(struct link_fault fault, bool is_head, struct buf *ret);

#endif
