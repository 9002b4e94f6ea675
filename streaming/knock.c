/* SPDX-License-Identifier: Apache-2.0 */
/* See knock.h. */
#include "streaming/knock.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/sync.h"
#include "streaming/curl_library.h"
#include "streaming/source.h"

enum {
	PATIENCE_MS = 1000,
	SECOND_FAMILY_MS = 200, /* CURL_HET_DEFAULT */
	TRIES = 2,              /* one for each family */
};

static struct knock {
	struct stream_source_host host; /* these three are set before the thread comes */
	uint64_t began_ms;
	bool is_begun;

	struct sync_mutex lock;
	/* guarded by lock */
	struct sync_cond changed;
	bool is_over;  /* there is or will be nothing to take */
	int fd;        /* -1 = not yet */
	char *address; /* of fd */
} knock = { .fd = -1 };

static int left_ms(uint64_t of_ms)
{
	uint64_t end = knock.began_ms + of_ms, now = sync_now_ms();

	return end > now ? (int)(end - now) : 0;
}

/* ---- the thread ------------------------------------------------------------------------- */

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
static void connect_to(const struct addrinfo *list, int *ret_fd, char **ret_address)
{
	const struct addrinfo *to[TRIES] = { list };
	struct pollfd p[TRIES] = { { .fd = begin_connection(list), .events = POLLOUT },
				   { .fd = -1, .events = POLLOUT } };
	struct err ignored;
	int got;

	(void)!curl_library_load(&ignored);
	got = wait_for_one(p, SECOND_FAMILY_MS);
	for (to[1] = list->ai_next; to[1] && to[1]->ai_family == list->ai_family; to[1] = to[1]->ai_next)
		;
	if (got < 0 && to[1])
		p[1].fd = begin_connection(to[1]);
	if (got < 0)
		got = wait_for_one(p, PATIENCE_MS);
	if (got >= 0 && (*ret_address = address_text(to[got]))) {
		*ret_fd = p[got].fd;
		p[got].fd = -1;
	}
	fd_close(p[0].fd);
	fd_close(p[1].fd);
}

/* One that nobody wants is not kept. */
static void offer(int fd, char *address)
{
	sync_lock(&knock.lock);
	if (!knock.is_over) {
		knock.fd = fd;
		knock.address = address;
		fd = -1;
		address = NULL;
	}
	knock.is_over |= knock.fd < 0;
	sync_wake_all(&knock.changed);
	while (!knock.is_over && sync_wait_ms(&knock.changed, &knock.lock, (uint64_t)left_ms(PATIENCE_MS)))
		;
	knock.is_over = true;
	if (knock.fd >= 0) {
		fd = knock.fd;
		address = knock.address;
		knock.fd = -1;
		knock.address = NULL;
	}
	sync_unlock(&knock.lock);
	fd_close(fd);
	free(address);
}

static void *knock_main(void *unused)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
					.ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV };
	struct addrinfo *list = NULL;
	char *address = NULL;
	int fd = -1;

	if (getaddrinfo(knock.host.name, knock.host.port, &hints, &list) == 0) {
		connect_to(list, &fd, &address);
		freeaddrinfo(list);
	}
	offer(fd, address);
	return unused;
}

/* ---- the rest of the process ------------------------------------------------------------ */

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

void stream_knock(const char *url)
{
	if (knock.is_begun || has_proxy() || !stream_source_find_host(url, &knock.host))
		return;
	sync_mutex_init(&knock.lock);
	sync_cond_init(&knock.changed);
	knock.began_ms = sync_now_ms();
	knock.is_begun = sync_run_detached(knock_main, NULL) == 0;
}

bool stream_knock_take(const char *url, struct stream_knocked *ret)
{
	auto_free char *address = NULL;
	struct stream_source_host host;
	struct err ignored;
	auto_fd int fd = -1;

	if (!knock.is_begun || !stream_source_find_host(url, &host) ||
	    strcmp(host.name, knock.host.name) != 0 || strcmp(host.port, knock.host.port) != 0)
		return false;
	sync_lock(&knock.lock);
	while (!knock.is_over && knock.fd < 0 &&
	       sync_wait_ms(&knock.changed, &knock.lock, (uint64_t)left_ms(PATIENCE_MS)))
		;
	fd = knock.fd;
	address = knock.address;
	knock.fd = -1;
	knock.address = NULL;
	knock.is_over = true;
	sync_wake_all(&knock.changed);
	sync_unlock(&knock.lock);
	if (fd < 0)
		return false;
	ret->resolve = mem_printf(&ignored, "+%s:%s:%s", host.name, host.port, address);
	ret->fd = ret->resolve ? fd_steal(&fd) : -1;
	return ret->resolve != NULL;
}
