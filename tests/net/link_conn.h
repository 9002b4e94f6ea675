/* SPDX-License-Identifier: Apache-2.0 */
/* One connection through the emulated link: a client's socket, the server's, and what is on its way between.
 *
 * connect() over loopback is done at once, so the client's first bytes wait for the round trip that
 * connecting would have taken. Speech that begins with GET or HEAD is read as HTTP/1.1, one request after the
 * other (no pipelining); everything else passes as it is. Sockets do not block; one thread. */
#ifndef FLOE_TESTS_NET_LINK_CONN_H
#define FLOE_TESTS_NET_LINK_CONN_H

#include <netinet/in.h>

#include "base/mem.h"
#include "tests/net/link_fault.h"
#include "tests/net/link_line.h"

struct link {
	struct link_line up, down;
	uint64_t rtt_ns;
	bool slow_start;
	bool is_cut; /* nothing passes in either direction; nothing is lost either */
	struct link_faults faults;
	uint64_t connections, requests;
};

struct link_side { /* what epoll points to */
	struct link_conn *conn;
	int fd;
	bool can_read, can_write, has_hung_up;
	bool is_read;   /* to its end */
	bool has_ended; /* was told the other side's end */
};

struct link_conn {
	struct link_side client, server;
	struct link_queue up, down;
	uint64_t open_ns; /* the client's bytes wait until then */
	bool is_dead;     /* to be closed */
	bool is_stalled;
	bool is_done; /* the answer was cut short: nothing more is read from the server */

	bool is_opaque;             /* not HTTP/1.1 */
	bool is_turn;               /* opaque: the client's next bytes are a turn */
	bool is_answer;             /* the bytes of the answer's head are next */
	struct buf request, answer; /* heads that are not complete */
	struct link_fault fault;
	uint64_t answer_len;
	/* What is said instead of the server, at reply_ns. */
	struct buf reply;
	uint64_t reply_ns;
	enum link_piece_kind reply_kind;
};

/* Takes over the accepted socket; NULL: no room for a connection to the server. Both sides are in `epoll`,
 * edge-triggered. */
struct link_conn *link_conn_open(struct link *l, int client, const struct sockaddr_in *target, int epoll);
void link_conn_close(struct link_conn *c);
void link_conn_reset(struct link_conn *c); /* the client sees a reset when it is closed */
/* What epoll said of a side. */
void link_side_event(struct link_side *s, unsigned events);
/* Delivers what has arrived; *wake_ns becomes no later than the next arrival. */
void link_conn_deliver(struct link_conn *c, const struct link *l, uint64_t now_ns, uint64_t *wake_ns);
/* Reads at most one piece in each direction; true when it did. *wake_ns as above. */
bool link_conn_read(struct link_conn *c, struct link *l, uint64_t now_ns, uint64_t *wake_ns);

#endif
