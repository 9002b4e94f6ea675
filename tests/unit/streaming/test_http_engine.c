/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever does not answer, every transfer ends; and what it held up goes on. A transfer without an end makes
 * the alarm end the test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <dlfcn.h>
#include <net/if.h>
#include <netdb.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sync.h"
#include "streaming/fetcher.h"
#include "tests/net/fault_server.h"

enum { OBJECT = 8 * 1024 * 1024, HANG_S = 60, CONNECTIONS = 20 };

static uint8_t object[OBJECT];
static struct fault_server *server;
static const struct stream_fetch_opt quick = { .connect_timeout_ms = 500,
					       .stall_timeout_ms = 500,
					       .attempts = 1 };

/* ---- a name server that does not answer -------------------------------------------------- */

static pthread_mutex_t name_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t name_known = PTHREAD_COND_INITIALIZER;
static bool is_name_known = true;
static atomic_uint lookups;

/* libcurl's too. Never knows another name than localhost. */
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **ret)
{
	static int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

	(void)name;
	pthread_mutex_lock(&name_lock);
	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
	lookups++;
	while (!is_name_known)
		pthread_cond_wait(&name_known, &name_lock);
	pthread_mutex_unlock(&name_lock);
	return real("127.0.0.1", service, hints, ret);
}

static void answer_names(bool yes)
{
	pthread_mutex_lock(&name_lock);
	is_name_known = yes;
	pthread_cond_broadcast(&name_known);
	pthread_mutex_unlock(&name_lock);
}

/* ---- a machine that sleeps --------------------------------------------------------------- */

static atomic_int passed_s, slept_s; /* since the test began, by a clock that is put forward */

int clock_gettime(clockid_t id, struct timespec *ret)
{
	int rc = (int)syscall(SYS_clock_gettime, id, ret);

	ret->tv_sec += passed_s + (id == CLOCK_BOOTTIME ? slept_s : 0);
	return rc;
}

/* ---- reading ----------------------------------------------------------------------------- */

static int set_up(void **state)
{
	(void)state;
	for (size_t i = 0; i < OBJECT; i++)
		object[i] = (uint8_t)(i * 2654435761u >> 24);
	memset(object, 'x', 64); /* as FAULT_DRIP sends */
	server = fault_server_start();
	fault_server_object(server, object, OBJECT, "\"one\"");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fault_server_stop(server);
	return 0;
}

static int compare(void *arg, const uint8_t *data, size_t len, struct err *e)
{
	uint64_t *at = arg;

	if (memcmp(data, object + *at, len) != 0)
		return err_set(e, ERR_INTEGRITY, "wrong bytes");
	*at += len;
	return 0;
}

static struct stream_fetcher *open_url(const char *url, const struct stream_fetch_opt *opt)
{
	struct stream_fetcher *f;
	struct err e;

	assert_int_equal(stream_fetcher_open(url, opt, &f, &e), 0);
	return f;
}

static enum err_code read_code(struct stream_fetcher *f, uint64_t len, struct err *e)
{
	uint64_t at = 0;

	if (f->ops->read(f, 0, len, compare, &at, e) < 0)
		return e->code;
	return at == len ? ERR_NONE : ERR_INTEGRITY;
}

static void assert_ends(const char *url, const char *words)
{
	struct stream_fetcher *f = open_url(url, &quick);
	struct err e = { 0 };

	if (read_code(f, 1000, &e) != ERR_NET || !strstr(e.msg, words))
		fail_msg("%s: %s", url, e.msg);
	f->ops->close(f);
}

static const char *with_scheme(char ret[80], const char *scheme, const char *host)
{
	(void)snprintf(ret, 80, "%s://%s%s", scheme, host, strrchr(fault_server_url(server), ':'));
	return ret;
}

static void test_silent_name_server(void **state)
{
	char url[80];

	(void)state;
	answer_names(false);
	lookups = 0;
	assert_ends(with_scheme(url, "http", "silent.test"), "in time");
	assert_int_not_equal(lookups, 0);
	answer_names(true);
}

static void test_silent_handshake(void **state)
{
	char url[80];

	(void)state;
	assert_ends(with_scheme(url, "https", "127.0.0.1"), "in time");
}

/* A proxy that takes the request, or the wish for a tunnel, and says nothing. */
static void test_silent_proxy(void **state)
{
	char proxy[80];

	(void)state;
	fault_server_fault(server, FAULT_SILENT, 0, 0);
	(void)setenv("http_proxy", with_scheme(proxy, "http", "127.0.0.1"), 1);
	(void)setenv("https_proxy", proxy, 1);
	assert_ends("http://192.0.2.1/x.floe", "in time");
	assert_ends("https://192.0.2.1/x.floe", "in time");
	(void)unsetenv("http_proxy");
	(void)unsetenv("https_proxy");
	fault_server_fault(server, FAULT_NONE, 0, 0);
}

/* Nobody takes the connections out of the listener's queue: after a few, the kernel drops the next ones. */
static void test_silent_connect(void **state)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	auto_fd int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(a);
	int others[4];
	char url[80];

	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 0), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	for (int i = 0; i < 4; i++) {
		others[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		(void)connect(others[i], (struct sockaddr *)&a, sizeof(a));
	}
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%d/x.floe", ntohs(a.sin_port));
	assert_ends(url, "in time");
	for (int i = 0; i < 4; i++)
		(void)close(others[i]);
}

/* What is slow but above the limit is no reason to end. */
static void test_slow_but_steady(void **state)
{
	struct stream_fetch_opt patient = quick; /* or a busy machine is the slower one */
	struct stream_fetcher *f;
	struct err e = { 0 };

	(void)state;
	patient.stall_timeout_ms = 2000;
	f = open_url(fault_server_url(server), &patient);
	fault_server_rate(server, 4000);
	if (read_code(f, 12000, &e) != ERR_NONE)
		fail_msg("%s", e.msg);
	fault_server_rate(server, 0);
	fault_server_fault(server, FAULT_DRIP, 0, 1);
	assert_int_equal(read_code(f, 8000, &e), ERR_NET);
	assert_non_null(strstr(e.msg, "less than"));
	assert_int_equal(read_code(f, 8000, &e), ERR_NONE);
	f->ops->close(f);
}

/* ---- all connections are in use ---------------------------------------------------------- */

struct crowd {
	struct stream_fetcher *f;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned began, failed;
	bool may_go_on;
};

struct member {
	struct crowd *crowd;
	pthread_t thread;
	uint64_t at;
	bool has_begun;
};

static int take_slowly(void *arg, const uint8_t *data, size_t len, struct err *e)
{
	struct member *m = arg;
	struct crowd *c = m->crowd;

	pthread_mutex_lock(&c->lock);
	c->began += !m->has_begun;
	m->has_begun = true;
	pthread_cond_broadcast(&c->changed);
	while (!c->may_go_on)
		pthread_cond_wait(&c->changed, &c->lock);
	pthread_mutex_unlock(&c->lock);
	return compare(&m->at, data, len, e);
}

static void *member_main(void *arg)
{
	struct member *m = arg;
	struct crowd *c = m->crowd;
	struct err e;
	int rc = c->f->ops->read(c->f, 0, OBJECT, take_slowly, m, &e);

	pthread_mutex_lock(&c->lock);
	c->failed += rc < 0 || m->at != OBJECT;
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

/* Readers who take nothing hold all of them. One more is told so in time, and has his turn later; to the
 * others nothing happens however long they take. */
static void test_no_connection_free(void **state)
{
	struct crowd c = { .f = open_url(fault_server_url(server), &quick),
			   .lock = PTHREAD_MUTEX_INITIALIZER,
			   .changed = PTHREAD_COND_INITIALIZER };
	struct member members[CONNECTIONS];
	struct err e = { 0 };

	(void)state;
	for (int i = 0; i < CONNECTIONS; i++) {
		members[i] = (struct member){ .crowd = &c };
		assert_int_equal(pthread_create(&members[i].thread, NULL, member_main, &members[i]), 0);
	}
	pthread_mutex_lock(&c.lock);
	while (c.began < CONNECTIONS)
		pthread_cond_wait(&c.changed, &c.lock);
	pthread_mutex_unlock(&c.lock);
	assert_int_equal(read_code(c.f, 1000, &e), ERR_NET);
	assert_non_null(strstr(e.msg, "no connection"));
	pthread_mutex_lock(&c.lock);
	c.may_go_on = true;
	pthread_cond_broadcast(&c.changed);
	pthread_mutex_unlock(&c.lock);
	for (int i = 0; i < CONNECTIONS; i++)
		(void)pthread_join(members[i].thread, NULL);
	assert_int_equal(c.failed, 0);
	assert_int_equal(read_code(c.f, 1000, &e), ERR_NONE);
	c.f->ops->close(c.f);
}

/* ---- a connection that dies while it is idle --------------------------------------------- */

/* What was asked over it is asked once more over another, with one attempt and long before that would end. */
static void test_idle_connection_dies(void **state)
{
	const struct stream_fetch_opt patient = { .connect_timeout_ms = HANG_S * 1000,
						  .stall_timeout_ms = 10 * HANG_S * 1000,
						  .attempts = 1 };
	struct stream_fetcher *f = open_url(fault_server_url(server), &patient);
	struct fault_counts counts;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(read_code(f, 1000, &e), ERR_NONE);
	fault_server_reset_counts(server);
	fault_server_fault(server, FAULT_SILENT, 0, 1);
	assert_int_equal(read_code(f, 1000, &e), ERR_NONE);
	fault_server_counts(server, &counts);
	assert_true(counts.requests >= 2 && counts.connections >= 1);
	f->ops->close(f);
}

/* A server that has become slow is asked twice at most, and then known to be. */
static void test_server_becomes_slow(void **state)
{
	struct stream_fetcher *f = open_url(fault_server_url(server), NULL);
	struct fault_counts counts;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(read_code(f, 1000, &e), ERR_NONE);
	fault_server_delay(server, 1500);
	assert_int_equal(read_code(f, 1000, &e), ERR_NONE);
	fault_server_reset_counts(server);
	assert_int_equal(read_code(f, 1000, &e), ERR_NONE);
	fault_server_counts(server, &counts);
	assert_int_equal(counts.requests, 1);
	fault_server_delay(server, 0);
	f->ops->close(f);
}

static void *read_small(void *arg)
{
	struct stream_fetcher *f = arg;
	struct err e;

	return read_code(f, 1000, &e) == ERR_NONE ? f : NULL;
}

/* More requests than connections, to a server that says nothing: all end, and the next is served. */
static void test_all_connections_hang(void **state)
{
	struct stream_fetcher *f = open_url(fault_server_url(server), &quick);
	pthread_t threads[CONNECTIONS + 10];
	struct err e;

	(void)state;
	fault_server_fault(server, FAULT_SILENT, 0, 0);
	for (int i = 0; i < CONNECTIONS + 10; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_small, f), 0);
	for (int i = 0; i < CONNECTIONS + 10; i++) {
		void *served;

		(void)pthread_join(threads[i], &served);
		assert_null(served);
	}
	fault_server_fault(server, FAULT_NONE, 0, 0);
	assert_int_equal(read_code(f, 1000, &e), ERR_NONE);
	f->ops->close(f);
}

struct late {
	pthread_t thread;
	void (*what)(void);
};

static void *do_late(void *arg)
{
	struct fault_counts counts;

	do { /* the request is there, and has no answer */
		usleep(20000);
		fault_server_counts(server, &counts);
	} while (!counts.requests);
	((struct late *)arg)->what();
	return NULL;
}

/* A read that would wait for ever on its connection comes to its end after `what`, over another one. */
static bool survives(void (*what)(void))
{
	static const struct stream_fetch_opt patient = { .stall_timeout_ms = 1000 * HANG_S, .attempts = 2 };
	struct stream_fetcher *f = open_url(fault_server_url(server), &patient);
	struct late late = { .what = what };
	struct fault_counts counts;
	enum err_code code;
	struct err e;

	fault_server_reset_counts(server);
	fault_server_fault(server, FAULT_SILENT, 0, 1);
	if (pthread_create(&late.thread, NULL, do_late, &late) != 0)
		return false;
	code = read_code(f, 1000, &e);
	(void)pthread_join(late.thread, NULL);
	fault_server_counts(server, &counts);
	f->ops->close(f);
	return code == ERR_NONE && counts.connections == 2;
}

static void sleep_long(void)
{
	slept_s += 3600;
}

static void test_sleep(void **state)
{
	static const int naps_s[] = { 0, 2, 3600, 0 };
	static const unsigned connections[] = { 1, 1, 2, 2 };
	struct stream_fetcher *f = open_url(fault_server_url(server), &quick);
	struct fault_counts counts;
	struct err e;

	(void)state;
	fault_server_reset_counts(server);
	for (int i = 0; i < 4; i++) {
		passed_s += 5; /* libcurl reckons in seconds */
		slept_s += naps_s[i];
		assert_int_equal(read_code(f, 1000, &e), ERR_NONE);
		fault_server_counts(server, &counts);
		assert_int_equal(counts.connections, connections[i]);
	}
	f->ops->close(f);
	passed_s = 0; /* condition variables wait by the kernel's clock */
	assert_true(survives(sleep_long));
}

static void set_address(const char *text)
{
	auto_fd int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq r = { .ifr_name = "lo" };
	struct sockaddr_in a = { .sin_family = AF_INET };

	(void)inet_pton(AF_INET, text, &a.sin_addr);
	memcpy(&r.ifr_addr, &a, sizeof(a));
	(void)ioctl(fd, SIOCSIFADDR, &r);
	r.ifr_flags = IFF_UP | IFF_RUNNING;
	(void)ioctl(fd, SIOCSIFFLAGS, &r);
}

static void move_away(void)
{
	set_address("127.0.0.2");
}

/* In a network of its own, where addresses can be changed. 77: there can be none. */
static int address_main(void)
{
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		return 77;
	set_address("127.0.0.1");
	server = fault_server_start();
	fault_server_object(server, object, OBJECT, "\"one\"");
	return !survives(move_away);
}

static void test_address_goes(void **state)
{
	pid_t child = fork();
	int status;

	(void)state;
	if (child == 0) {
		(void)alarm(HANG_S);
		_exit(address_main());
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_silent_name_server),   cmocka_unit_test(test_silent_handshake),
		cmocka_unit_test(test_silent_proxy),         cmocka_unit_test(test_silent_connect),
		cmocka_unit_test(test_slow_but_steady),      cmocka_unit_test(test_no_connection_free),
		cmocka_unit_test(test_all_connections_hang), cmocka_unit_test(test_sleep),
		cmocka_unit_test(test_address_goes),         cmocka_unit_test(test_idle_connection_dies),
		cmocka_unit_test(test_server_becomes_slow),
	};

	(void)alarm(HANG_S);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
