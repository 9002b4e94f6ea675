/* SPDX-License-Identifier: Apache-2.0 */
/* A network link for tests, on machines that have none to spoil: relays TCP from 127.0.0.1 to a server with a
 * round trip, a bandwidth and faults, all of which can be changed while it runs.
 *
 *   floe-test-link [OPTIONS] --control SOCKET ADDRESS:PORT     relays; prints the port it listens on
 *   floe-test-link --ask SOCKET COMMAND...                     tells a running one, prints its answer
 *
 * See --help for the commands. link_line.h says what a byte costs, link_fault.h what a fault is, link_conn.h
 * how the two meet on a connection. One thread and no waiting but for epoll. */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/fd.h"
#include "tests/net/link_control.h"

enum { EVENTS_MAX = 256 };

static const char usage[] =
	"usage: floe-test-link [--listen PORT] [--rtt MS] [--rate BITS/S] [--slow-start]\n"
	"                      --control SOCKET ADDRESS:PORT\n"
	"       floe-test-link --ask SOCKET COMMAND...\n"
	"\n"
	"Relays TCP from 127.0.0.1:PORT (0: any, printed) and emulates a link. Rates take k, M and G; 0 = no "
	"limit.\n"
	"Commands:\n";

struct relay {
	struct link_control control; /* the link, and what it may be told */
	struct sockaddr_in target, own;
	int epoll, listener, asked;
	struct link_conn **conns;
	size_t count, cap, turn; /* whoever is at `turn` reads first */
};

static int fail(const char *what)
{
	fprintf(stderr, "floe-test-link: %s: %s\n", what, strerror(errno));
	return 1;
}

/* ---- sockets ---------------------------------------------------------------------------- */

static int socket_path(const char *path, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(ret->sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	(void)strcpy(ret->sun_path, path);
	return 0;
}

/* A listener points to nothing of a connection's: its own descriptor's place in the relay tells it apart. */
static int watch_listener(struct relay *r, int *fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = fd };

	return epoll_ctl(r->epoll, EPOLL_CTL_ADD, *fd, &event);
}

static int listen_tcp(struct relay *r)
{
	socklen_t len = sizeof(r->own);
	int one = 1;

	r->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (r->listener < 0 || setsockopt(r->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    bind(r->listener, (struct sockaddr *)&r->own, len) < 0 || listen(r->listener, 1024) < 0 ||
	    getsockname(r->listener, (struct sockaddr *)&r->own, &len) < 0)
		return -1;
	return watch_listener(r, &r->listener);
}

static int listen_control(struct relay *r, const char *path)
{
	struct sockaddr_un address;

	if (socket_path(path, &address) < 0)
		return -1;
	r->asked = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (r->asked < 0 || bind(r->asked, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(r->asked, 16) < 0)
		return -1;
	return watch_listener(r, &r->asked);
}

/* ---- what happens ----------------------------------------------------------------------- */

static void accept_one(struct relay *r)
{
	int fd = accept4(r->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct link_conn *c;
	struct err e;

	if (fd < 0)
		return;
	if (r->count == r->cap) {
		struct link_conn **more = mem_grow(r->conns, r->cap + 64, sizeof(struct link_conn *), &e);

		if (!more) {
			fd_close(fd);
			return;
		}
		r->conns = more;
		r->cap += 64;
	}
	c = link_conn_open(&r->control.link, fd, &r->target, r->epoll);
	if (c)
		r->conns[r->count++] = c;
}

/* A command is one short line from one who waits for the answer: this blocks no longer than he writes. */
static void obey(struct relay *r)
{
	auto_fd int fd = accept4(r->asked, NULL, NULL, SOCK_CLOEXEC);
	auto_buf struct buf line = BUF_INIT(4096), answer = BUF_INIT(4096);
	struct timeval patience = { .tv_sec = 1 };
	const char *text;
	struct err e;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
	    fd_read_to_end(fd, &line, &e) < 0)
		return;
	text = buf_text(&line, &e);
	r->control.open = r->count;
	if ((!text || link_control_command(&r->control, text, &answer, &e) < 0) &&
	    buf_printf(&answer, &e, "error: %s\n", e.msg) < 0)
		return;
	if (fd_write_all(fd, answer.data, answer.len, &e) < 0)
		fprintf(stderr, "floe-test-link: an answer is lost: %s\n", e.msg);
	if (r->control.wants_reset)
		for (size_t i = 0; i < r->count; i++)
			link_conn_reset(r->conns[i]);
	r->control.wants_reset = false;
	if (r->control.refuses && r->listener >= 0) {
		fd_close(r->listener);
		r->listener = -1;
	} else if (!r->control.refuses && r->listener < 0 && listen_tcp(r) < 0) {
		(void)fail("cannot listen again");
	}
}

static void bury(struct relay *r)
{
	for (size_t i = 0; i < r->count;) {
		if (!r->conns[i]->is_dead) {
			i++;
			continue;
		}
		link_conn_close(r->conns[i]);
		r->conns[i] = r->conns[--r->count];
	}
}

/* One piece for everybody who has something, beginning with him who waited longest. */
static void move(struct relay *r, uint64_t *wake_ns)
{
	struct link *l = &r->control.link;
	uint64_t now_ns = link_now_ns();
	size_t first = r->count ? r->turn % r->count : 0;

	for (size_t i = 0; i < r->count; i++) {
		size_t idx = (first + i) % r->count;

		if (!link_conn_read(r->conns[idx], l, now_ns, wake_ns))
			continue;
		r->turn = idx + 1;
		*wake_ns = now_ns;
	}
	for (size_t i = 0; i < r->count; i++)
		link_conn_deliver(r->conns[i], l, now_ns, wake_ns);
}

static void take_events(struct relay *r, const struct epoll_event *events, int count)
{
	for (int i = 0; i < count; i++) {
		void *who = events[i].data.ptr;

		if (who == &r->listener)
			accept_one(r);
		else if (who == &r->asked)
			obey(r);
		else
			link_side_event(who, events[i].events);
	}
}

static int run(struct relay *r)
{
	struct epoll_event events[EVENTS_MAX];

	while (!r->control.wants_quit) {
		uint64_t wake_ns = LINK_NEVER, now_ns, left_ns;
		struct timespec timeout;
		int n;

		move(r, &wake_ns);
		bury(r);
		now_ns = link_now_ns();
		left_ns = wake_ns > now_ns ? wake_ns - now_ns : 0;
		timeout.tv_sec = (time_t)(left_ns / 1000000000);
		timeout.tv_nsec = (long)(left_ns % 1000000000);
		n = epoll_pwait2(r->epoll, events, EVENTS_MAX, wake_ns == LINK_NEVER ? NULL : &timeout, NULL);
		if (n < 0 && errno != EINTR)
			return fail("epoll");
		take_events(r, events, n < 0 ? 0 : n);
	}
	while (r->count)
		link_conn_close(r->conns[--r->count]);
	free(r->conns);
	return 0;
}

/* ---- beginning -------------------------------------------------------------------------- */

static int ask(const char *path, int argc, char **argv)
{
	auto_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	auto_buf struct buf answer = BUF_INIT(4096), line = BUF_INIT(4096);
	struct sockaddr_un address;
	const char *text;
	struct err e;

	if (socket_path(path, &address) < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return fail(path);
	for (int i = 0; i < argc; i++)
		if (buf_printf(&line, &e, "%s%s", i ? " " : "", argv[i]) < 0)
			return 1;
	if (fd_write_all(fd, line.data, line.len, &e) < 0 || shutdown(fd, SHUT_WR) < 0 ||
	    fd_read_to_end(fd, &answer, &e) < 0)
		return fail(path);
	text = buf_text(&answer, &e);
	if (!text || strncmp(text, "error", 5) == 0) {
		fprintf(stderr, "floe-test-link: %s", text ? text : "out of memory\n");
		return 1;
	}
	fputs(text, stdout);
	return 0;
}

static int parse_target(char *text, struct sockaddr_in *ret)
{
	char *colon = strrchr(text, ':');

	*ret = (struct sockaddr_in){ .sin_family = AF_INET };
	if (!colon)
		return -1;
	*colon = 0;
	ret->sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
	return ret->sin_port && inet_pton(AF_INET, text, &ret->sin_addr) == 1 ? 0 : -1;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "listen", 1, NULL, 'l' },  { "rtt", 1, NULL, 'r' },
		{ "rate", 1, NULL, 'b' },    { "slow-start", 0, NULL, 's' },
		{ "control", 1, NULL, 'c' }, { "ask", 1, NULL, 'a' },
		{ "help", 0, NULL, 'h' },    { 0 },
	};
	struct relay r = { .own = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) } };
	const char *control = NULL;
	struct err e;
	int c;

	while ((c = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		if (c == 'h') {
			printf("%s%s", usage, link_control_help);
			return 0;
		}
		if (c == 'a')
			return ask(optarg, argc - optind, argv + optind);
		if (c == 'c')
			control = optarg;
		else if (c == 'l')
			r.own.sin_port = htons((uint16_t)strtoul(optarg, NULL, 10));
		else if (c == 's')
			r.control.link.slow_start = true;
		else if (c == '?' ||
			 link_control_set(&r.control.link, c == 'r' ? "rtt" : "rate", optarg, &e) < 0)
			return fprintf(stderr, "%s", c == '?' ? usage : "not a number\n"), 2;
	}
	if (!control || optind + 1 != argc || parse_target(argv[optind], &r.target) < 0)
		return fprintf(stderr, "%s", usage), 2;
	r.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (r.epoll < 0 || listen_tcp(&r) < 0)
		return fail("cannot listen");
	if (listen_control(&r, control) < 0)
		return fail(control);
	printf("%u\n", ntohs(r.own.sin_port));
	fflush(stdout);
	return run(&r);
}
