/* SPDX-License-Identifier: Apache-2.0 */
/* The connection that is begun before everything else is the one that the first transfer uses; where it
 * cannot be, the transfer does without. A process knocks once: each case has one of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sync.h"
#include "streaming/dial.h"
#include "streaming/fetcher.h"
#include "streaming/knock.h"
#include "tests/net/fault_server.h"

enum { OBJECT = 100 * 1000, UNWANTED_MS = 5000 };

static uint8_t object[OBJECT];

/* In a child, since cmocka's own assertions end only the parent's test. */
static void check(bool is_right, int line)
{
	if (!is_right)
		_exit(line < 255 ? line : 255);
}
#define CHECK(x) check(x, __LINE__)

static void run_alone(void (*run)(struct fault_server *s))
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct fault_server *s = fault_server_start();

		fault_server_object(s, object, OBJECT, "\"one\"");
		(void)alarm(60);
		run(s);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status))
		fail_msg("line %d", WEXITSTATUS(status));
}

static int compare(void *arg, const uint8_t *data, size_t len, struct err *e)
{
	uint64_t *at = arg;

	if (memcmp(data, object + *at, len) != 0)
		return err_set(e, ERR_INTEGRITY, "wrong bytes");
	*at += len;
	return 0;
}

static void fetch(const char *url)
{
	struct stream_fetcher *f;
	uint64_t at = 0;
	struct err e;

	CHECK(stream_fetcher_open(url, NULL, &f, &e) == 0);
	CHECK(f->ops->read(f, 0, OBJECT, compare, &at, &e) == 0);
	CHECK(at == OBJECT);
	f->ops->close(f);
}

static unsigned connections(struct fault_server *s)
{
	struct fault_counts counts;

	fault_server_counts(s, &counts);
	return counts.connections;
}

static void await_connection(struct fault_server *s)
{
	for (uint64_t end = sync_now_ms() + UNWANTED_MS; !connections(s) && sync_now_ms() < end;)
		(void)usleep(1000);
	CHECK(connections(s) == 1);
}

static void use_it(struct fault_server *s)
{
	stream_knock(fault_server_url(s), -1);
	await_connection(s);
	fetch(fault_server_url(s));
	CHECK(connections(s) == 1);
	/* It is handed out once. */
	fetch(fault_server_url(s));
	CHECK(connections(s) == 2);
}

static void use_it_at_once(struct fault_server *s)
{
	stream_knock(fault_server_url(s), -1);
	fetch(fault_server_url(s));
	CHECK(connections(s) == 1);
}

static void go_elsewhere(struct fault_server *s)
{
	struct fault_server *other = fault_server_start();

	fault_server_object(other, object, OBJECT, "\"one\"");
	stream_knock(fault_server_url(s), -1);
	fetch(fault_server_url(other));
	CHECK(connections(other) == 1);
}

static void find_nobody(struct fault_server *s)
{
	fault_server_listen(s, 0);
	stream_knock(fault_server_url(s), -1);
	(void)usleep(100 * 1000);
	fault_server_listen(s, 1);
	fetch(fault_server_url(s));
}

static void lose_it(struct fault_server *s)
{
	stream_knock(fault_server_url(s), -1);
	await_connection(s);
	fault_server_listen(s, 0);
	fault_server_listen(s, 1);
	fetch(fault_server_url(s));
	CHECK(connections(s) == 2);
}

static void respect_proxy(struct fault_server *s)
{
	struct stream_knocked k;

	(void)setenv("http_proxy", "http://127.0.0.1:1", 1);
	stream_knock(fault_server_url(s), -1);
	CHECK(!stream_knock_take(fault_server_url(s), &k));
	CHECK(connections(s) == 0);
}

/* Nobody comes for it: it is closed, and who comes later connects himself. */
static void forget_it(struct fault_server *s)
{
	struct stream_knocked k;

	stream_knock(fault_server_url(s), -1);
	await_connection(s);
	(void)usleep(3000 * 1000);
	CHECK(!stream_knock_take(fault_server_url(s), &k));
	fetch(fault_server_url(s));
	CHECK(connections(s) == 2);
}

/* Another process makes the connection. */
static void use_what_another_dialled(struct fault_server *s)
{
	int dialled = stream_dial_elsewhere(fault_server_url(s));

	CHECK(dialled >= 0);
	await_connection(s);
	stream_knock(fault_server_url(s), dialled);
	fetch(fault_server_url(s));
	CHECK(connections(s) == 1);
	/* It left nothing to reap. */
	CHECK(waitpid(-1, NULL, WNOHANG) < 0);
}

static void do_without_who_dialled(struct fault_server *s)
{
	int pair[2];

	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	CHECK(close(pair[1]) == 0);
	stream_knock(fault_server_url(s), pair[0]);
	fetch(fault_server_url(s));
	CHECK(connections(s) == 1);
}

/* What comes is no connection. */
static void do_without_nonsense(struct fault_server *s)
{
	int pair[2];

	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	CHECK(send(pair[1], "nonsense", 8, 0) == 8);
	stream_knock(fault_server_url(s), pair[0]);
	fetch(fault_server_url(s));
	CHECK(connections(s) == 1);
	(void)close(pair[1]);
}

static void dial_nobody(struct fault_server *s)
{
	struct sockaddr_in here = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int closed = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), dialled;
	socklen_t len = sizeof(here);
	struct stream_dialled d;
	char url[64];

	/* Bound, so that nobody else listens there, either. */
	CHECK(bind(closed, (struct sockaddr *)&here, len) == 0 &&
	      getsockname(closed, (struct sockaddr *)&here, &len) == 0);
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/p.floe", ntohs(here.sin_port));
	dialled = stream_dial_elsewhere(url);
	CHECK(dialled >= 0);
	CHECK(!stream_dial_receive(dialled, sync_now_ms() + UNWANTED_MS, &d) && d.fd < 0 && !d.address);
	(void)close(dialled);
	(void)setenv("https_proxy", "http://127.0.0.1:1", 1);
	CHECK(stream_dial_elsewhere(fault_server_url(s)) < 0);
	CHECK(stream_dial_elsewhere("/a/file") < 0);
}

#define ALONE(name)                                                                                          \
	static void test_##name(void **state)                                                                \
	{                                                                                                    \
		(void)state;                                                                                 \
		run_alone(name);                                                                             \
	}
ALONE(use_it)
ALONE(use_it_at_once)
ALONE(go_elsewhere)
ALONE(find_nobody)
ALONE(lose_it)
ALONE(respect_proxy)
ALONE(forget_it)
ALONE(use_what_another_dialled)
ALONE(do_without_who_dialled)
ALONE(do_without_nonsense)
ALONE(dial_nobody)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_use_it),
		cmocka_unit_test(test_use_it_at_once),
		cmocka_unit_test(test_go_elsewhere),
		cmocka_unit_test(test_find_nobody),
		cmocka_unit_test(test_lose_it),
		cmocka_unit_test(test_respect_proxy),
		cmocka_unit_test(test_forget_it),
		cmocka_unit_test(test_use_what_another_dialled),
		cmocka_unit_test(test_do_without_who_dialled),
		cmocka_unit_test(test_do_without_nonsense),
		cmocka_unit_test(test_dial_nobody),
	};

	for (size_t i = 0; i < OBJECT; i++)
		object[i] = (uint8_t)(i * 2654435761u >> 24);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
