/* SPDX-License-Identifier: Apache-2.0 */
/* See dial.h. */
#include "streaming/dial.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sync.h"
#include "base/wire.h"

enum {
	SECOND_FAMILY_MS = 200, /* CURL_HET_DEFAULT */
	TRIES = 2,              /* one for each family */
	PROCESS_S = 2,          /* a name that takes longer is of no use to anybody any more */
	PROCESS_SOCK = 0,
};

static int left_ms(uint64_t until_ms)
{
	uint64_t now = sync_now_ms();

	return until_ms > now ? (int)(until_ms - now) : 0;
}

/* ---- connecting -------------------------------------------------------------------------- */

/* -1 when that comes to nothing at once. */
static int begin_connection(const struct addrinfo *a)
{
	auto_fd int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->ai_protocol);

	if (fd < 0 || (connect(fd, a->ai_addr, a->ai_addrlen) < 0 && errno != EINPROGRESS))
		return -1;
	return fd_steal(&fd);
}

static bool is_connected(int fd)
{
	socklen_t len = sizeof(int);
	int error = 0;

	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && !error;
}

/* Waits for the one or other; which, or -1. What failed is closed. */
static int wait_for_one(struct pollfd p[TRIES], uint64_t until_ms)
{
	while (p[0].fd >= 0 || p[1].fd >= 0) {
		int n = poll(p, TRIES, left_ms(until_ms));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		for (int i = 0; i < TRIES; i++) {
			if (p[i].fd < 0 || !p[i].revents)
				continue;
			if (is_connected(p[i].fd))
				return i;
			fd_close(p[i].fd);
			p[i].fd = -1;
		}
	}
	return -1;
}

static char *address_text(const struct addrinfo *a)
{
	char text[NI_MAXHOST];
	struct err ignored;

	if (getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof(text), NULL, 0, NI_NUMERICHOST) != 0 ||
	    strchr(text, '%'))
		return NULL;
	return mem_printf(&ignored, a->ai_family == AF_INET6 ? "[%s]" : "%s", text);
}

/* The first address, and the first one of the other family. */
static bool connect_to(const struct addrinfo *list, uint64_t until_ms, void (*meanwhile)(void),
		       struct stream_dialled *ret)
{
	const struct addrinfo *to[TRIES] = { list };
	struct pollfd p[TRIES] = { { .fd = begin_connection(list), .events = POLLOUT },
				   { .fd = -1, .events = POLLOUT } };
	uint64_t second_ms = sync_now_ms() + SECOND_FAMILY_MS;
	int got;

	if (meanwhile)
		meanwhile();
	got = wait_for_one(p, second_ms < until_ms ? second_ms : until_ms);
	for (to[1] = list->ai_next; to[1] && to[1]->ai_family == list->ai_family; to[1] = to[1]->ai_next)
		;
	if (got < 0 && to[1])
		p[1].fd = begin_connection(to[1]);
	if (got < 0)
		got = wait_for_one(p, until_ms);
	if (got >= 0 && (ret->address = address_text(to[got]))) {
		ret->fd = p[got].fd;
		p[got].fd = -1;
	}
	fd_close(p[0].fd);
	fd_close(p[1].fd);
	return ret->fd >= 0;
}

bool stream_dial(const struct stream_source_host *host, uint64_t until_ms, void (*meanwhile)(void),
		 struct stream_dialled *ret)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
					.ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV };
	struct addrinfo *list = NULL;
	bool is_there;

	*ret = (struct stream_dialled){ .fd = -1 };
	if (getaddrinfo(host->name, host->port, &hints, &list) != 0)
		return false;
	is_there = connect_to(list, until_ms, meanwhile, ret);
	freeaddrinfo(list);
	return is_there;
}

/* ---- whether ----------------------------------------------------------------------------- */

static bool has_proxy(void)
{
	static const char *const names[] = { "http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",
					     "ALL_PROXY" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const char *value = getenv(names[i]);

		if (value && *value)
			return true;
	}
	return false;
}

bool stream_dial_is_possible(const char *url, struct stream_source_host *ret)
{
	return !has_proxy() && stream_source_find_host(url, ret);
}

/* ---- in a process of its own ------------------------------------------------------------- */

static int send_it(int sock, const struct stream_dialled *d)
{
	auto_wire_out struct wire_out m = WIRE_OUT_INIT;
	struct err e;

	if (wire_put_str(&m, "address", d->address, &e) < 0 || wire_put_fd(&m, d->fd, &e) < 0)
		return -1;
	return wire_send(sock, &m, &e);
}

/* Nothing of its parent's stays open in it: nobody waits for its end. */
static _Noreturn void process_main(int sock, const struct stream_source_host *host)
{
	struct stream_dialled d;
	sigset_t none;

	(void)prctl(PR_SET_NAME, "floe-dial");
	(void)setsid();
	(void)signal(SIGALRM, SIG_DFL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)alarm(PROCESS_S);
	(void)dup2(sock, PROCESS_SOCK);
	(void)close_range(PROCESS_SOCK + 1, ~0U, 0);
	while (open("/dev/null", O_RDWR) >= 0 && fcntl(STDERR_FILENO, F_GETFD) < 0)
		;
	if (stream_dial(host, sync_now_ms() + PROCESS_S * UINT64_C(1000), NULL, &d))
		(void)send_it(PROCESS_SOCK, &d);
	_exit(0);
}

int stream_dial_elsewhere(const char *url)
{
	struct stream_source_host host;
	int pair[2];
	pid_t pid;

	if (!stream_dial_is_possible(url, &host) ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		/* Twice, so that it is nobody's child. */
		if (fork() == 0)
			process_main(pair[1], &host);
		_exit(0);
	}
	fd_close(pair[1]);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return pair[0]; /* should there be no process, its end tells */
}

bool stream_dial_receive(int sock, uint64_t until_ms, struct stream_dialled *ret)
{
	auto_wire_in struct wire_in m = WIRE_IN_INIT;
	struct pollfd p = { .fd = sock, .events = POLLIN };
	struct err ignored;
	int n;

	*ret = (struct stream_dialled){ .fd = -1 };
	do
		n = poll(&p, 1, left_ms(until_ms));
	while (n < 0 && errno == EINTR);
	if (n <= 0 || wire_recv(sock, &m, &ignored) <= 0)
		return false;
	if (m.nfds)
		ret->address = wire_str(&m, "address", &ignored);
	if (ret->address)
		ret->fd = wire_steal_fd(&m, 0);
	return ret->fd >= 0;
}
