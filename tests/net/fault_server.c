/* SPDX-License-Identifier: Apache-2.0 */
/* The server of fault_server.h: one thread that accepts, one for each connection. */
#include "tests/net/fault_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECTIONS = 64, HEAD_MAX = 8192, PIECE = 64 * 1024 };

struct fault_server {
	char url[64];
	int port, reserved;
	pthread_t acceptor;

	pthread_mutex_t lock; /* guards the rest */
	pthread_cond_t idle;
	const uint8_t *data;
	size_t len;
	char etag[64];
	bool has_modified, stops;
	enum fault fault;
	unsigned skip, times, delay_ms, rate;
	bool is_forever;
	struct fault_counts counts;
	int listener;
	int fds[CONNECTIONS];
	unsigned active;
};

struct connection {
	struct fault_server *s;
	int fd;
};

struct request {
	char path[256];
	uint64_t first, last;
	bool has_range, has_if_match;
	char if_match[128];
};

/* What one answer is made from, copied out from under the lock. */
struct answer {
	enum fault fault;
	const uint8_t *data;
	size_t len;
	char validators[256];
	char etag[64];
	unsigned delay_ms, rate;
	int port;
};

static void must(bool ok, const char *what)
{
	if (!ok) {
		perror(what);
		abort();
	}
}

/* Port 0: a free one. Bound but not listening it stays ours while connections are refused. */
static int open_port(int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				 .sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	must(fd >= 0, "socket");
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
	must(bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0, "bind");
	return fd;
}

static int open_listener(int port)
{
	int fd = open_port(port);

	must(listen(fd, 64) == 0, "listen");
	/* What poll has seen may be gone, with the listener that it came to. */
	must(fcntl(fd, F_SETFL, O_NONBLOCK) == 0, "fcntl");
	return fd;
}

static bool send_all(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

static bool send_text(int fd, const char *text)
{
	return send_all(fd, text, strlen(text));
}

static bool is_stopping(struct fault_server *s)
{
	bool yes;

	pthread_mutex_lock(&s->lock);
	yes = s->stops;
	pthread_mutex_unlock(&s->lock);
	return yes;
}

/* Until the peer goes or the server stops. */
static void hang(struct connection *c, bool drips)
{
	while (!is_stopping(c->s)) {
		struct pollfd p = { c->fd, POLLIN, 0 };

		if (poll(&p, 1, 100) > 0)
			return;
		if (drips && !send_all(c->fd, "x", 1))
			return;
	}
}

/* Until the peer's kernel has all that was sent: a reset would overtake the rest. */
static void await_arrival(const struct connection *c)
{
	int unacknowledged;

	while (ioctl(c->fd, SIOCOUTQ, &unacknowledged) == 0 && unacknowledged && !is_stopping(c->s))
		usleep(1000);
}

static bool send_body(struct connection *c, const struct answer *a, const uint8_t *data, size_t len)
{
	size_t step = a->rate ? a->rate / 50 + 1 : PIECE;

	for (size_t at = 0; at < len; at += step) {
		size_t n = len - at < step ? len - at : step;

		/* Before: whoever has the bytes finds them counted. */
		pthread_mutex_lock(&c->s->lock);
		c->s->counts.bytes += n;
		pthread_mutex_unlock(&c->s->lock);
		if (!send_all(c->fd, data + at, n))
			return false;
		if (a->rate)
			usleep(20000);
	}
	return true;
}

static bool serve_range(struct connection *c, const struct answer *a, const struct request *r)
{
	uint64_t first = r->has_range ? r->first : 0, last = r->has_range ? r->last : UINT64_MAX;
	bool whole = !r->has_range || a->fault == FAULT_WHOLE;
	char head[1024], range[128] = "";
	uint8_t *copy = NULL;
	bool ok;

	if (whole)
		first = 0, last = UINT64_MAX;
	if (r->has_if_match && strcmp(r->if_match, a->etag) != 0)
		return send_text(c->fd, "HTTP/1.1 412 Precondition Failed\r\nContent-Length: 0\r\n\r\n");
	if (first >= a->len)
		return send_text(c->fd, "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\n\r\n");
	if (last >= a->len)
		last = a->len - 1;
	if (a->fault == FAULT_SHORT_RANGE)
		last = first + (last - first) / 2;
	if (!whole && a->fault != FAULT_NO_RANGE)
		(void)snprintf(range, sizeof(range), "Content-Range: bytes %llu-%llu/%zu\r\n",
			       (unsigned long long)first + (a->fault == FAULT_WRONG_RANGE),
			       (unsigned long long)last + (a->fault == FAULT_WRONG_RANGE), a->len);
	(void)snprintf(head, sizeof(head), "HTTP/1.1 %s\r\n%sContent-Length: %llu\r\n%s%s\r\n",
		       whole ? "200 OK" : "206 Partial Content", range,
		       (unsigned long long)(last - first + 1), a->validators,
		       a->fault == FAULT_ENCODED ? "Content-Encoding: gzip\r\n" : "");
	if (!send_text(c->fd, head))
		return false;
	if (a->fault == FAULT_DRIP) {
		hang(c, true);
		return false;
	}
	if (a->fault == FAULT_RESET || a->fault == FAULT_SHORT) {
		struct linger l = { 1, 0 };

		if (!send_body(c, a, a->data + first, (last - first + 1) / 2))
			return false;
		await_arrival(c);
		if (a->fault == FAULT_RESET)
			(void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
		return false;
	}
	if (a->fault == FAULT_FLIP) {
		copy = malloc(last - first + 1);
		must(copy != NULL, "malloc");
		memcpy(copy, a->data + first, last - first + 1);
		copy[(last - first) / 2] ^= 0x10;
	}
	ok = send_body(c, a, copy ? copy : a->data + first, last - first + 1);
	free(copy);
	return ok;
}

static bool redirect(struct connection *c, const char *where, int port)
{
	char head[256];

	(void)snprintf(head, sizeof(head), "HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n",
		       where);
	(void)port;
	return send_text(c->fd, head);
}

static bool answer(struct connection *c, const struct answer *a, const struct request *r)
{
	if (a->delay_ms)
		usleep(a->delay_ms * 1000);
	switch (a->fault) {
	case FAULT_NOT_FOUND:
		return send_text(c->fd, "HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nnone\n");
	case FAULT_DENIED:
		return send_text(c->fd, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
	case FAULT_BUSY:
		return send_text(c->fd,
				 "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 5\r\n\r\nbusy\n");
	case FAULT_SILENT:
		hang(c, false);
		return false;
	case FAULT_GARBAGE:
		(void)send_text(c->fd, "\x01\x02 this is not the protocol you are looking for\r\n\r\n");
		return false;
	case FAULT_LOGIN_PAGE:
		return send_text(c->fd, "HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n<html></html>\n");
	case FAULT_REDIRECT_LOOP:
		return redirect(c, "/x.floe", a->port);
	case FAULT_REDIRECT_FILE:
		return redirect(c, "file:///etc/passwd", a->port);
	case FAULT_REDIRECT_ONCE:
		if (strcmp(r->path, "/moved") != 0)
			return redirect(c, "/moved", a->port);
		return serve_range(c, a, r);
	default:
		return serve_range(c, a, r);
	}
}

/* Case-insensitive: the value of a header line, or NULL. */
static const char *header_value(const char *head, const char *name)
{
	const char *at = strcasestr(head, name);

	return at ? at + strlen(name) : NULL;
}

static void parse(const char *head, struct request *r)
{
	const char *v;

	memset(r, 0, sizeof(*r));
	(void)sscanf(head, "%*s %255s", r->path);
	v = header_value(head, "\r\nRange: bytes=");
	if (v && sscanf(v, "%llu-%llu", (unsigned long long *)&r->first, (unsigned long long *)&r->last) == 2)
		r->has_range = true;
	v = header_value(head, "\r\nIf-Match: ");
	if (v && sscanf(v, "%127[^\r]", r->if_match) == 1)
		r->has_if_match = true;
}

static void choose(struct fault_server *s, const char *head, const struct request *r, struct answer *a)
{
	pthread_mutex_lock(&s->lock);
	s->counts.requests++;
	s->counts.if_match += r->has_if_match;
	s->counts.no_cache += strstr(head, "no-cache") != NULL;
	memset(a, 0, sizeof(*a));
	a->data = s->data;
	a->len = s->len;
	a->port = s->port;
	a->delay_ms = s->delay_ms;
	a->rate = s->rate;
	(void)snprintf(a->etag, sizeof(a->etag), "%s", s->etag);
	(void)snprintf(a->validators, sizeof(a->validators), "%s%s%s%s", s->etag[0] ? "ETag: " : "", s->etag,
		       s->etag[0] ? "\r\n" : "",
		       s->has_modified ? "Last-Modified: Sat, 21 Nov 2026 10:00:00 GMT\r\n" : "");
	if (s->skip) {
		s->skip--;
	} else if (s->is_forever || s->times) {
		a->fault = s->fault;
		if (!s->is_forever)
			s->times--;
	}
	pthread_mutex_unlock(&s->lock);
}

static bool read_head(struct connection *c, char *head)
{
	size_t len = 0;

	while (len < HEAD_MAX) {
		struct pollfd p = { c->fd, POLLIN, 0 };
		ssize_t n;

		if (is_stopping(c->s))
			return false;
		if (poll(&p, 1, 100) <= 0)
			continue;
		n = recv(c->fd, head + len, 1, 0);
		if (n <= 0)
			return false;
		head[++len] = '\0';
		if (len >= 4 && memcmp(head + len - 4, "\r\n\r\n", 4) == 0)
			return true;
	}
	return false;
}

static void *connection_main(void *arg)
{
	struct connection *c = arg;
	struct fault_server *s = c->s;
	char head[HEAD_MAX + 1];
	struct request r;
	struct answer a;

	do {
		if (!read_head(c, head))
			break;
		parse(head, &r);
		choose(s, head, &r, &a);
	} while (answer(c, &a, &r));
	pthread_mutex_lock(&s->lock);
	for (int i = 0; i < CONNECTIONS; i++)
		if (s->fds[i] == c->fd)
			s->fds[i] = -1;
	close(c->fd);
	s->active--;
	pthread_cond_broadcast(&s->idle);
	pthread_mutex_unlock(&s->lock);
	free(c);
	return NULL;
}

static void take_connection(struct fault_server *s, int fd)
{
	struct connection *c = malloc(sizeof(*c));
	pthread_t thread;
	int one = 1;

	must(c != NULL, "malloc");
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	*c = (struct connection){ s, fd };
	pthread_mutex_lock(&s->lock);
	s->counts.connections++;
	s->active++;
	for (int i = 0; i < CONNECTIONS; i++)
		if (s->fds[i] < 0) {
			s->fds[i] = fd;
			break;
		}
	pthread_mutex_unlock(&s->lock);
	must(pthread_create(&thread, NULL, connection_main, c) == 0, "pthread_create");
	(void)pthread_detach(thread);
}

static void *acceptor_main(void *arg)
{
	struct fault_server *s = arg;

	while (!is_stopping(s)) {
		struct pollfd p = { -1, POLLIN, 0 };
		int fd;

		pthread_mutex_lock(&s->lock);
		p.fd = s->listener;
		pthread_mutex_unlock(&s->lock);
		if (poll(&p, 1, 20) <= 0)
			continue;
		pthread_mutex_lock(&s->lock);
		fd = s->listener >= 0 ? accept4(s->listener, NULL, NULL, SOCK_CLOEXEC) : -1;
		pthread_mutex_unlock(&s->lock);
		if (fd >= 0)
			take_connection(s, fd);
	}
	return NULL;
}

struct fault_server *fault_server_start(void)
{
	struct fault_server *s = calloc(1, sizeof(*s));
	struct sockaddr_in a;
	socklen_t len = sizeof(a);

	must(s != NULL, "calloc");
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->idle, NULL);
	for (int i = 0; i < CONNECTIONS; i++)
		s->fds[i] = -1;
	s->reserved = open_port(0);
	must(getsockname(s->reserved, (struct sockaddr *)&a, &len) == 0, "getsockname");
	s->port = ntohs(a.sin_port);
	s->listener = open_listener(s->port);
	(void)snprintf(s->url, sizeof(s->url), "http://127.0.0.1:%d/x.floe", s->port);
	must(pthread_create(&s->acceptor, NULL, acceptor_main, s) == 0, "pthread_create");
	return s;
}

void fault_server_stop(struct fault_server *s)
{
	pthread_mutex_lock(&s->lock);
	s->stops = true;
	for (int i = 0; i < CONNECTIONS; i++)
		if (s->fds[i] >= 0)
			(void)shutdown(s->fds[i], SHUT_RDWR);
	pthread_mutex_unlock(&s->lock);
	(void)pthread_join(s->acceptor, NULL);
	pthread_mutex_lock(&s->lock);
	while (s->active)
		pthread_cond_wait(&s->idle, &s->lock);
	if (s->listener >= 0)
		close(s->listener);
	close(s->reserved);
	pthread_mutex_unlock(&s->lock);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->idle);
	free(s);
}

const char *fault_server_url(const struct fault_server *s)
{
	return s->url;
}

void fault_server_object(struct fault_server *s, const void *data, size_t len, const char *etag)
{
	pthread_mutex_lock(&s->lock);
	s->data = data;
	s->len = len;
	s->has_modified = !etag;
	(void)snprintf(s->etag, sizeof(s->etag), "%s", etag ? etag : "");
	pthread_mutex_unlock(&s->lock);
}

void fault_server_fault(struct fault_server *s, enum fault fault, unsigned skip, unsigned times)
{
	pthread_mutex_lock(&s->lock);
	s->fault = fault;
	s->skip = skip;
	s->times = times;
	s->is_forever = !times && fault != FAULT_NONE;
	pthread_mutex_unlock(&s->lock);
}

void fault_server_delay(struct fault_server *s, unsigned ms)
{
	pthread_mutex_lock(&s->lock);
	s->delay_ms = ms;
	pthread_mutex_unlock(&s->lock);
}

void fault_server_rate(struct fault_server *s, unsigned bytes_per_s)
{
	pthread_mutex_lock(&s->lock);
	s->rate = bytes_per_s;
	pthread_mutex_unlock(&s->lock);
}

void fault_server_listen(struct fault_server *s, int on)
{
	struct linger l = { 1, 0 };

	pthread_mutex_lock(&s->lock);
	if (!on && s->listener >= 0) {
		close(s->listener);
		s->listener = -1;
		for (int i = 0; i < CONNECTIONS; i++)
			if (s->fds[i] >= 0) {
				(void)setsockopt(s->fds[i], SOL_SOCKET, SO_LINGER, &l, sizeof(l));
				(void)shutdown(s->fds[i], SHUT_RDWR);
			}
	} else if (on && s->listener < 0) {
		s->listener = open_listener(s->port);
	}
	pthread_mutex_unlock(&s->lock);
}

void fault_server_counts(struct fault_server *s, struct fault_counts *ret)
{
	pthread_mutex_lock(&s->lock);
	*ret = s->counts;
	pthread_mutex_unlock(&s->lock);
}

void fault_server_reset_counts(struct fault_server *s)
{
	pthread_mutex_lock(&s->lock);
	memset(&s->counts, 0, sizeof(s->counts));
	pthread_mutex_unlock(&s->lock);
}
