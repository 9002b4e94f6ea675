/* SPDX-License-Identifier: Apache-2.0 */
/* The first transfer of a cold start: one request for the beginning of the package, of which the header, then
 * the index, then the primary feature block are used as they arrive.
 *
 * One thread receives, and keeps what arrives until the opener, who reads header and index from it, has
 * checked these and says by beginning_go_on what is wanted of the rest; from then on others check chunk
 * after chunk and hand them to the readers. When the wanted part is complete the transfer ends, unless so
 * little is left of it that its connection is worth more. */
#ifndef FLOE_STREAM_BEGINNING_H
#define FLOE_STREAM_BEGINNING_H

#include "streaming/flight.h"

enum { BEGINNING_SPARE = 512 * 1024 /* bytes that a connection is worth */ };

struct beginning; /* opaque */

/* Asks for the first `len` bytes. Does not wait. */
int beginning_open(struct stream_package *p, uint64_t len, struct beginning **ret,
		   struct err *e) FLOE_MUST_USE;
/* Ends the transfer, if need be at the fetcher's next sign of life, and waits for that. NULL ok. */
void beginning_close(struct beginning *b);
/* Up to where it was asked for, cut at the file's end once the header is known; never blocks. */
uint64_t beginning_end(const struct beginning *b);
/* Up to where it has come by now. Before beginning_go_on. */
uint64_t beginning_come(struct beginning *b);
/* Blocks until [off, off+len), cut at beginning_end and the file's end, is there, and appends it. Only before
 * beginning_go_on. -1: the transfer failed before. */
int beginning_read(struct beginning *b, uint64_t off, uint64_t len, struct buf *ret,
		   struct err *e) FLOE_MUST_USE;
/* To be called once: takes over a flight whose chunks lie before beginning_end; NULL = nothing more is
 * wanted. Does not wait. */
void beginning_go_on(struct beginning *b, struct flight *f);
/* Blocks until the transfer has ended, well or not. NULL ok. */
void beginning_await_end(struct beginning *b);

#endif
