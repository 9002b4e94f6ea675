/* SPDX-License-Identifier: Apache-2.0 */
/* A connection through the link; see link_conn.h. */
#include "tests/net/link_conn.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "tests/net/link_http.h"

static void need(int rc)
{
	if (rc == 0)
		return;
	fprintf(stderr, "out of memory, or a head that is too long\n");
	abort();
}

static void sooner(uint64_t *wake_ns, uint64_t ns)
{
	if (ns < *wake_ns)
		*wake_ns = ns;
}

/* ---- lifecycle -------------------------------------------------------------------------- */

static int watch(int epoll, struct link_side *s)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = s };
	int one = 1;

	(void)setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return epoll_ctl(epoll, EPOLL_CTL_ADD, s->fd, &event);
}

struct link_conn *link_conn_open(struct link *l, int client, const struct sockaddr_in *target, int epoll)
{
	struct err e;
	struct link_conn *c = mem_alloc(1, sizeof(*c), &e);
	int server = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (!c || server < 0) {
		fd_close(client);
		fd_close(server);
		free(c);
		return NULL;
	}
	c->client = (struct link_side){ .conn = c, .fd = client };
	c->server = (struct link_side){ .conn = c, .fd = server };
	c->open_ns = link_now_ns() + l->rtt_ns;
	c->is_turn = true;
	c->request = c->answer = c->reply = (struct buf)BUF_INIT(LINK_HEAD_MAX + LINK_PIECE_MAX);
	c->reply_ns = LINK_NEVER;
	if ((connect(server, (const struct sockaddr *)target, sizeof(*target)) < 0 && errno != EINPROGRESS) ||
	    watch(epoll, &c->client) < 0 || watch(epoll, &c->server) < 0) {
		link_conn_close(c);
		return NULL;
	}
	l->connections++;
	return c;
}

void link_conn_close(struct link_conn *c)
{
	fd_close(c->client.fd);
	fd_close(c->server.fd);
	link_queue_fini(&c->up);
	link_queue_fini(&c->down);
	buf_fini(&c->request);
	buf_fini(&c->answer);
	buf_fini(&c->reply);
	free(c);
}

void link_conn_reset(struct link_conn *c)
{
	struct linger now = { .l_onoff = 1 };

	(void)setsockopt(c->client.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	c->is_dead = true;
}

void link_side_event(struct link_side *s, unsigned events)
{
	s->can_read |= (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
	s->can_write |= (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0;
	s->has_hung_up |= (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
}

/* ---- delivering ------------------------------------------------------------------------- */

/* True when there is more to do. */
static bool deliver_piece(struct link_conn *c, struct link_queue *q, struct link_side *to,
			  struct link_piece *p)
{
	ssize_t n;

	if (p->kind == LINK_RESET) {
		link_conn_reset(c);
		return false;
	}
	if (p->kind == LINK_END) {
		(void)shutdown(to->fd, SHUT_WR);
		link_queue_delivered(q, 0);
		to->has_ended = true;
		c->is_dead |= c->client.has_ended && c->server.has_ended;
		return true;
	}
	n = send(to->fd, p->data + p->off, p->len - p->off, MSG_NOSIGNAL);
	if (n >= 0) {
		link_queue_delivered(q, (size_t)n);
		return true;
	}
	if (errno == EAGAIN)
		to->can_write = false;
	else
		link_conn_reset(c); /* the receiver is gone: so is the sender */
	return false;
}

static void deliver(struct link_conn *c, struct link_queue *q, struct link_side *to, uint64_t now_ns,
		    uint64_t *wake_ns)
{
	struct link_piece *p;
	uint64_t due_ns;

	while (to->can_write && !c->is_dead) {
		p = link_queue_due(q, now_ns, &due_ns);
		if (!p) {
			sooner(wake_ns, due_ns);
			return;
		}
		if (!deliver_piece(c, q, to, p))
			return;
	}
}

void link_conn_deliver(struct link_conn *c, const struct link *l, uint64_t now_ns, uint64_t *wake_ns)
{
	/* Nobody reads from a client that is not to be heard; that it has gone is noticed all the same. */
	if (c->client.has_hung_up && (l->is_cut || c->is_stalled))
		c->is_dead = true;
	if (l->is_cut)
		return;
	deliver(c, &c->up, &c->server, now_ns, wake_ns);
	deliver(c, &c->down, &c->client, now_ns, wake_ns);
}

/* ---- from the server -------------------------------------------------------------------- */

static void pass(struct link_conn *c, struct link *l, const void *data, size_t len, uint64_t now_ns)
{
	if (len)
		link_queue_add(&c->down, &l->down, LINK_DATA, data, len, now_ns, l->rtt_ns);
}

/* The fault's place in the answer is reached: what happens there. */
static void strike(struct link_conn *c, struct link *l, uint8_t *next, uint64_t now_ns)
{
	switch (c->fault.kind) {
	case LINK_DROP:
	case LINK_TRUNCATE:
		link_queue_add(&c->down, &l->down, c->fault.kind == LINK_DROP ? LINK_RESET : LINK_END, NULL,
			       0, now_ns, l->rtt_ns);
		c->is_done = true;
		break;
	case LINK_STALL:
		c->is_stalled = true;
		break;
	default:
		*next ^= 0x40;
	}
	c->fault.kind = LINK_FAULT_NONE;
}

static void take_body(struct link_conn *c, struct link *l, uint8_t *data, size_t len, uint64_t now_ns)
{
	uint64_t left = c->fault.at - c->answer_len;

	if (!len)
		return;
	if (!link_fault_has_place(c->fault.kind) || left >= len) {
		pass(c, l, data, len, now_ns);
		c->answer_len += len;
		return;
	}
	pass(c, l, data, left, now_ns);
	c->answer_len += left;
	strike(c, l, data + left, now_ns);
	if (!c->is_done && !c->is_stalled)
		take_body(c, l, data + left, len - left, now_ns);
}

static void take_answer(struct link_conn *c, struct link *l, uint8_t *data, size_t len, uint64_t now_ns)
{
	auto_buf struct buf head = BUF_INIT(LINK_HEAD_MAX + LINK_PIECE_MAX);
	size_t head_len;
	struct err e;

	c->is_turn = true;
	if (!c->is_answer) {
		take_body(c, l, data, len, now_ns);
		return;
	}
	need(buf_add(&c->answer, data, len, &e));
	head_len = link_http_head_len(&c->answer);
	if (!head_len && c->answer.len <= LINK_HEAD_MAX)
		return;
	link_http_spoil_answer((const char *)c->answer.data, head_len, c->fault.kind, &head);
	pass(c, l, head.data, head.len, now_ns);
	c->is_answer = false;
	take_body(c, l, c->answer.data + head_len, c->answer.len - head_len, now_ns);
	buf_reset(&c->answer);
}

/* ---- from the client -------------------------------------------------------------------- */

/* The request's way takes half a round trip before anybody answers. */
static void reply_later(struct link_conn *c, const struct link *l, enum link_piece_kind kind, uint64_t now_ns)
{
	c->reply_kind = kind;
	c->reply_ns = now_ns + l->rtt_ns / 2;
}

/* A turn begins: draws its fault; false when the server never hears of it. */
static bool begin_turn(struct link_conn *c, struct link *l, bool is_http, bool is_head, uint64_t now_ns)
{
	c->fault = link_faults_next(&l->faults, is_http);
	c->answer_len = 0;
	c->is_turn = false;
	if (is_http && link_http_own_answer(c->fault, is_head, &c->reply)) {
		reply_later(c, l, LINK_DATA, now_ns);
		return false;
	}
	if (c->fault.at || !link_fault_has_place(c->fault.kind) || c->fault.kind == LINK_CORRUPT)
		return true;
	if (c->fault.kind == LINK_STALL)
		c->is_stalled = true;
	else
		reply_later(c, l, c->fault.kind == LINK_DROP ? LINK_RESET : LINK_END, now_ns);
	return false;
}

static void send_up(struct link_conn *c, struct link *l, const void *data, size_t len, uint64_t now_ns)
{
	if (len)
		link_queue_add(&c->up, &l->up, LINK_DATA, data, len, now_ns, l->rtt_ns);
}

static void take_requests(struct link_conn *c, struct link *l, uint64_t now_ns)
{
	size_t len;

	while (!c->is_stalled && (len = link_http_head_len(&c->request)) > 0) {
		auto_buf struct buf head = BUF_INIT(LINK_HEAD_MAX + LINK_PIECE_MAX);

		l->requests++;
		if (begin_turn(c, l, true, c->request.data[0] == 'H', now_ns)) {
			link_http_spoil_request((const char *)c->request.data, len, c->fault.kind, &head);
			send_up(c, l, head.data, head.len, now_ns);
			c->is_answer = true;
		}
		memmove(c->request.data, c->request.data + len, c->request.len - len);
		c->request.len -= len;
	}
}

static void take_client(struct link_conn *c, struct link *l, const void *data, size_t len, uint64_t now_ns)
{
	struct err e;

	if (!c->is_opaque) {
		need(buf_add(&c->request, data, len, &e));
		if (link_http_may_be_request(&c->request) && c->request.len <= LINK_HEAD_MAX) {
			take_requests(c, l, now_ns);
			return;
		}
		c->is_opaque = true;
		c->is_answer = false;
		data = c->request.data;
		len = c->request.len;
	}
	if (!c->is_turn || begin_turn(c, l, false, false, now_ns))
		send_up(c, l, data, len, now_ns);
}

/* ---- reading ---------------------------------------------------------------------------- */

/* How much may be read from `from` now. */
static size_t room(struct link_conn *c, struct link_side *from, struct link *l, uint64_t now_ns,
		   uint64_t *wake_ns)
{
	bool is_up = from == &c->client;
	uint64_t ns;
	size_t len;

	if (!from->can_read || from->is_read || (!is_up && c->is_done))
		return 0;
	if (is_up && now_ns < c->open_ns) {
		sooner(wake_ns, c->open_ns);
		return 0;
	}
	len = link_queue_room(is_up ? &c->up : &c->down, is_up ? &l->up : &l->down, now_ns, l->rtt_ns,
			      l->slow_start, &ns);
	if (!len)
		sooner(wake_ns, ns);
	return len;
}

static bool read_side(struct link_conn *c, struct link_side *from, struct link *l, uint64_t now_ns,
		      uint64_t *wake_ns)
{
	static uint8_t piece[LINK_PIECE_MAX];
	bool is_up = from == &c->client;
	size_t max = room(c, from, l, now_ns, wake_ns);
	ssize_t n;

	if (!max)
		return false;
	n = recv(from->fd, piece, max, 0);
	if (n > 0 && is_up)
		take_client(c, l, piece, (size_t)n, now_ns);
	else if (n > 0)
		take_answer(c, l, piece, (size_t)n, now_ns);
	if (n > 0)
		return true;
	from->can_read = false;
	if (n < 0 && errno == EAGAIN)
		return false;
	from->is_read = true;
	link_queue_add(is_up ? &c->up : &c->down, is_up ? &l->up : &l->down, n == 0 ? LINK_END : LINK_RESET,
		       NULL, 0, now_ns, l->rtt_ns);
	return true;
}

static void say_reply(struct link_conn *c, struct link *l, uint64_t now_ns, uint64_t *wake_ns)
{
	if (now_ns < c->reply_ns) {
		sooner(wake_ns, c->reply_ns);
		return;
	}
	c->reply_ns = LINK_NEVER;
	link_queue_add(&c->down, &l->down, c->reply_kind, c->reply.data, c->reply.len, now_ns, l->rtt_ns);
	buf_reset(&c->reply);
}

bool link_conn_read(struct link_conn *c, struct link *l, uint64_t now_ns, uint64_t *wake_ns)
{
	bool did;

	if (l->is_cut || c->is_stalled || c->is_dead)
		return false;
	if (c->reply_ns != LINK_NEVER)
		say_reply(c, l, now_ns, wake_ns);
	did = read_side(c, &c->client, l, now_ns, wake_ns);
	if (!c->is_stalled)
		did |= read_side(c, &c->server, l, now_ns, wake_ns);
	return did;
}
