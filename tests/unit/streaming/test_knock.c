/* SPDX-License-Identifier: Apache-2.0 */
/* The connection that is begun before everything else is the one that the first transfer uses; where it
 * cannot be, the transfer does without. A process knocks once: each case has one of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sync.h"
#include "streaming/fetcher.h"
#include "streaming/knock.h"
#include "tests/net/fault_server.h"

enum { OBJECT = 100 * 1000, UNWANTED_MS = 5000 };

static uint8_t object[OBJECT];

/* In a child, since cmocka's own assertions end only the parent's test. */
static void check(bool is_right, int line)
{
	if (!is_right)
		_exit(line < 200 ? line : 200);
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
	stream_knock(fault_server_url(s));
	await_connection(s);
	fetch(fault_server_url(s));
	CHECK(connections(s) == 1);
	/* It is handed out once. */
	fetch(fault_server_url(s));
	CHECK(connections(s) == 2);
}

static void use_it_at_once(struct fault_server *s)
{
	stream_knock(fault_server_url(s));
	fetch(fault_server_url(s));
	CHECK(connections(s) == 1);
}

static void go_elsewhere(struct fault_server *s)
{
	struct fault_server *other = fault_server_start();

	fault_server_object(other, object, OBJECT, "\"one\"");
	stream_knock(fault_server_url(s));
	fetch(fault_server_url(other));
	CHECK(connections(other) == 1);
}

static void find_nobody(struct fault_server *s)
{
	fault_server_listen(s, 0);
	stream_knock(fault_server_url(s));
	(void)usleep(100 * 1000);
	fault_server_listen(s, 1);
	fetch(fault_server_url(s));
}

static void lose_it(struct fault_server *s)
{
	stream_knock(fault_server_url(s));
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
	stream_knock(fault_server_url(s));
	CHECK(!stream_knock_take(fault_server_url(s), &k));
	CHECK(connections(s) == 0);
}

/* Nobody comes for it: it is closed, and who comes later connects himself. */
static void forget_it(struct fault_server *s)
{
	struct stream_knocked k;

	stream_knock(fault_server_url(s));
	await_connection(s);
	(void)usleep(1200 * 1000);
	CHECK(!stream_knock_take(fault_server_url(s), &k));
	fetch(fault_server_url(s));
	CHECK(connections(s) == 2);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_use_it),       cmocka_unit_test(test_use_it_at_once),
		cmocka_unit_test(test_go_elsewhere), cmocka_unit_test(test_find_nobody),
		cmocka_unit_test(test_lose_it),      cmocka_unit_test(test_respect_proxy),
		cmocka_unit_test(test_forget_it),
	};

	for (size_t i = 0; i < OBJECT; i++)
		object[i] = (uint8_t)(i * 2654435761u >> 24);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
