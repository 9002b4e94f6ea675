/* SPDX-License-Identifier: Apache-2.0 */
/* What a byte costs on the emulated link. A line is one direction of it, shared by all connections; a queue
 * holds the bytes of one connection that are on their way in one direction.
 *
 * A byte that is given to the line at `now` has left when those before it have, and arrives half a round trip
 * later. Whoever reads from a sender asks link_queue_room() first: the line takes 10 ms of bytes ahead of
 * time and no more, so that connections take turns, and senders feel the link as they would feel a real one.
 * With slow start a queue also has a congestion window as a new TCP connection has: ten segments, then what
 * was acknowledged on top, without loss; back to ten after an idle time.
 *
 * Times are of CLOCK_MONOTONIC in nanoseconds. One thread. Lack of memory ends the program. */
#ifndef FLOE_TESTS_NET_LINK_LINE_H
#define FLOE_TESTS_NET_LINK_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LINK_PIECE_MAX = 64 * 1024 };
#define LINK_NEVER UINT64_MAX

struct link_line {
	uint64_t bits_per_s; /* 0 = no limit */
	uint64_t free_ns;    /* when all that was given to it has left */
	uint64_t bytes;
};

enum link_piece_kind {
	LINK_DATA,
	LINK_END,   /* the sender closed its side in good order */
	LINK_RESET, /* the connection dies here */
};

struct link_piece {
	struct link_piece *next;
	enum link_piece_kind kind;
	uint64_t due_ns;
	size_t len, off; /* `off` bytes have been delivered */
	uint8_t data[];
};

struct link_queue {
	struct link_piece *first, *last;
	size_t bytes;
	/* slow start */
	struct link_ack *first_ack, *last_ack;
	size_t in_flight, window;
	uint64_t last_ns;
};

uint64_t link_now_ns(void);

/* How many bytes may be read from the sender now; 0 until *ret_ns, or until the receiver has taken some
 * (LINK_NEVER). */
size_t link_queue_room(struct link_queue *q, const struct link_line *line, uint64_t now_ns, uint64_t rtt_ns,
		       bool slow_start, uint64_t *ret_ns);
/* Gives bytes, or an end, to the line. `data` is copied. */
void link_queue_add(struct link_queue *q, struct link_line *line, enum link_piece_kind kind, const void *data,
		    size_t len, uint64_t now_ns, uint64_t rtt_ns);
/* The piece that has arrived and waits to be delivered; NULL: none before *ret_ns. */
struct link_piece *link_queue_due(const struct link_queue *q, uint64_t now_ns, uint64_t *ret_ns);
void link_queue_delivered(struct link_queue *q, size_t len); /* of the first piece; an end has length 0 */
void link_queue_fini(struct link_queue *q);

#endif
