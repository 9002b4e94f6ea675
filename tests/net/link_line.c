/* SPDX-License-Identifier: Apache-2.0 */
/* The emulated link's time; see link_line.h. */
#include "tests/net/link_line.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	SEGMENT = 1460,
	WINDOW_FIRST = 10 * SEGMENT,
	WINDOW_MAX = 64 * 1024 * 1024,
	QUEUE_MAX = 64 * 1024 * 1024, /* of a receiver that does not read, or a link without a limit */
};
#define MS        UINT64_C(1000000)
#define BACKLOG   (20 * MS)
#define IDLE_GRIP (200 * MS) /* above the round trip: a sender's shortest retransmission time */

struct link_ack {
	struct link_ack *next;
	uint64_t due_ns;
	size_t len;
};

uint64_t link_now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void *need(size_t len)
{
	void *p = malloc(len);

	if (!p) {
		fprintf(stderr, "out of memory\n");
		abort();
	}
	return p;
}

/* What the line carries in a millisecond: pieces of that size arrive when a real link would have them. */
static size_t piece_len(const struct link_line *line)
{
	uint64_t len = line->bits_per_s / 8 / 1000;

	if (!line->bits_per_s || len > LINK_PIECE_MAX)
		return LINK_PIECE_MAX;
	return len < SEGMENT ? SEGMENT : (size_t)len;
}

static void take_acks(struct link_queue *q, uint64_t now_ns, uint64_t rtt_ns)
{
	while (q->first_ack && q->first_ack->due_ns <= now_ns) {
		struct link_ack *a = q->first_ack;

		q->first_ack = a->next;
		q->in_flight -= a->len;
		q->window = q->window + a->len < WINDOW_MAX ? q->window + a->len : WINDOW_MAX;
		free(a);
	}
	if (!q->window || (!q->in_flight && now_ns - q->last_ns > rtt_ns + IDLE_GRIP))
		q->window = WINDOW_FIRST;
}

size_t link_queue_room(struct link_queue *q, const struct link_line *line, uint64_t now_ns, uint64_t rtt_ns,
		       bool slow_start, uint64_t *ret_ns)
{
	size_t room = piece_len(line);

	take_acks(q, now_ns, rtt_ns);
	if (line->free_ns > now_ns + BACKLOG) {
		*ret_ns = line->free_ns - BACKLOG;
		return 0;
	}
	if (q->bytes >= QUEUE_MAX) {
		*ret_ns = LINK_NEVER;
		return 0;
	}
	if (!slow_start)
		return room;
	if (q->in_flight >= q->window) {
		*ret_ns = q->first_ack->due_ns;
		return 0;
	}
	return room < q->window - q->in_flight ? room : q->window - q->in_flight;
}

void link_queue_add(struct link_queue *q, struct link_line *line, enum link_piece_kind kind, const void *data,
		    size_t len, uint64_t now_ns, uint64_t rtt_ns)
{
	struct link_piece *p = need(sizeof(*p) + len);
	struct link_ack *a;

	if (line->free_ns < now_ns)
		line->free_ns = now_ns;
	if (line->bits_per_s)
		line->free_ns += len * 8 * UINT64_C(1000000000) / line->bits_per_s;
	line->bytes += len;
	*p = (struct link_piece){ .kind = kind, .len = len, .due_ns = line->free_ns + rtt_ns / 2 };
	/* A shorter round trip from now on lets nothing overtake. */
	if (q->last && q->last->due_ns > p->due_ns)
		p->due_ns = q->last->due_ns;
	if (len)
		memcpy(p->data, data, len);
	*(q->first ? &q->last->next : &q->first) = p;
	q->last = p;
	q->bytes += len;
	q->last_ns = now_ns;
	if (!len)
		return;
	a = need(sizeof(*a));
	*a = (struct link_ack){ .due_ns = p->due_ns + rtt_ns / 2, .len = len };
	*(q->first_ack ? &q->last_ack->next : &q->first_ack) = a;
	q->last_ack = a;
	q->in_flight += len;
}

struct link_piece *link_queue_due(const struct link_queue *q, uint64_t now_ns, uint64_t *ret_ns)
{
	*ret_ns = q->first ? q->first->due_ns : LINK_NEVER;
	return q->first && q->first->due_ns <= now_ns ? q->first : NULL;
}

void link_queue_delivered(struct link_queue *q, size_t len)
{
	struct link_piece *p = q->first;

	p->off += len;
	q->bytes -= len;
	if (p->off < p->len)
		return;
	q->first = p->next;
	if (!q->first)
		q->last = NULL;
	free(p);
}

void link_queue_fini(struct link_queue *q)
{
	while (q->first) {
		q->first->off = q->first->len;
		link_queue_delivered(q, 0);
	}
	while (q->first_ack) {
		struct link_ack *a = q->first_ack;

		q->first_ack = a->next;
		free(a);
	}
	*q = (struct link_queue){ 0 };
}
