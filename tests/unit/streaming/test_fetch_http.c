/* SPDX-License-Identifier: Apache-2.0 */
/* Fetching ranges: every way in which a server can be wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/sync.h"
#include "streaming/fetcher.h"
#include "tests/net/fault_server.h"

enum { OBJECT = 3 * 1024 * 1024 + 17 };

static uint8_t object[OBJECT], other[OBJECT];
static struct fault_server *server;
static const struct stream_fetch_opt quick = { .connect_timeout_ms = 1000,
					       .stall_timeout_ms = 1000,
					       .attempts = 2 };

static int collect(void *arg, const uint8_t *data, size_t len, struct err *e)
{
	return buf_add(arg, data, len, e);
}

static int set_up(void **state)
{
	uint32_t x = 1;

	(void)state;
	for (size_t i = 0; i < OBJECT; i++) {
		x = x * 1664525 + 1013904223;
		object[i] = (uint8_t)(x >> 24);
		other[i] = (uint8_t)(x >> 16);
	}
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

static struct stream_fetcher *open_it(void)
{
	struct stream_fetcher *f;
	struct err e;

	assert_int_equal(stream_fetcher_open(fault_server_url(server), &quick, &f, &e), 0);
	return f;
}

/* Reads and compares; the error's code when it fails. */
static enum err_code read_code(struct stream_fetcher *f, uint64_t off, uint64_t len, struct err *e)
{
	auto_buf struct buf got = BUF_INIT(OBJECT + 1);

	if (f->ops->read(f, off, len, collect, &got, e) < 0) {
		assert_string_not_equal(e->msg, "");
		return e->code;
	}
	assert_int_equal(got.len, off >= OBJECT ? 0 : off + len > OBJECT ? OBJECT - off : len);
	if (got.len)
		assert_memory_equal(got.data, object + off, got.len);
	return ERR_NONE;
}

static void test_ranges(void **state)
{
	struct stream_fetcher *f = open_it();
	char identity[STREAM_IDENTITY_MAX];
	struct stream_counters counters;
	struct fault_counts counts;
	struct err e;

	(void)state;
	assert_int_equal(read_code(f, 0, 4096, &e), ERR_NONE);
	assert_int_equal(f->ops->size(f), OBJECT);
	f->ops->identity(f, identity);
	assert_string_equal(identity, "\"one\"");
	assert_int_equal(read_code(f, 5000, 2 * 1024 * 1024, &e), ERR_NONE);
	assert_int_equal(read_code(f, OBJECT - 10, 1000, &e), ERR_NONE);
	assert_int_equal(read_code(f, OBJECT, 10, &e), ERR_NONE); /* nothing to ask for */
	f->ops->counters(f, &counters);
	assert_int_equal(counters.requests, 3);
	assert_int_equal(counters.bytes, 4096 + 2 * 1024 * 1024 + 10);
	fault_server_counts(server, &counts);
	assert_int_equal(counts.connections, 1); /* kept alive */
	assert_int_equal(counts.if_match, 2);
	f->ops->close(f);
}

struct expectation {
	enum fault fault;
	enum err_code code;
	const char *words;
};

static void test_faults(void **state)
{
	static const struct expectation all[] = {
		{ FAULT_NOT_FOUND, ERR_NOTFOUND, "no such file" },
		{ FAULT_DENIED, ERR_NET, "403" },
		{ FAULT_BUSY, ERR_NET, "503" },
		{ FAULT_SILENT, ERR_NET, "in time" },
		{ FAULT_DRIP, ERR_NET, "in time" },
		{ FAULT_GARBAGE, ERR_NET, "not HTTP" },
		{ FAULT_WRONG_RANGE, ERR_NET, "instead of" },
		{ FAULT_SHORT_RANGE, ERR_NET, "instead of" },
		{ FAULT_NO_RANGE, ERR_NET, "Content-Range" },
		{ FAULT_ENCODED, ERR_UNSUPPORTED, "compresses" },
		{ FAULT_REDIRECT_LOOP, ERR_NET, "circle" },
		{ FAULT_REDIRECT_FILE, ERR_NET, "protocol" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct stream_fetcher *f = open_it();
		enum err_code code;
		struct err e;

		fault_server_fault(server, all[i].fault, 0, 0);
		code = read_code(f, 1000, 50000, &e);
		if (code != all[i].code || !strstr(e.msg, all[i].words))
			fail_msg("fault %d: code %d, %s", (int)all[i].fault, (int)code, e.msg);
		fault_server_fault(server, FAULT_NONE, 0, 0);
		f->ops->close(f);
	}
}

static void test_refused(void **state)
{
	struct stream_fetcher *f;
	uint64_t start = sync_now_ms();
	struct err e;

	(void)state;
	assert_int_equal(stream_fetcher_open(fault_server_url(server), NULL, &f, &e), 0);
	fault_server_listen(server, 0);
	assert_int_equal(read_code(f, 0, 100, &e), ERR_NET);
	assert_non_null(strstr(e.msg, "127.0.0.1"));
	assert_true(sync_now_ms() - start < 4000);
	fault_server_listen(server, 1);
	assert_int_equal(read_code(f, 0, 100, &e), ERR_NONE);
	f->ops->close(f);
}

/* What fails once is asked for again, from where it stopped. */
static void test_retries(void **state)
{
	static const enum fault once[] = { FAULT_BUSY, FAULT_RESET, FAULT_SHORT, FAULT_SILENT };

	(void)state;
	for (size_t i = 0; i < sizeof(once) / sizeof(once[0]); i++) {
		struct stream_fetcher *f = open_it();
		struct fault_counts counts;
		struct err e;

		fault_server_reset_counts(server);
		fault_server_fault(server, once[i], 0, 1);
		assert_int_equal(read_code(f, 100, 2000000, &e), ERR_NONE);
		fault_server_counts(server, &counts);
		assert_int_equal(counts.requests, 2);
		/* From the start it would be 3,000,000. */
		assert_true(counts.bytes < 2500000);
		f->ops->close(f);
	}
	/* Every attempt brings something: goes on beyond the number of attempts. */
	struct stream_fetcher *f = open_it();
	struct err e;

	fault_server_fault(server, FAULT_RESET, 0, 4);
	assert_int_equal(read_code(f, 0, OBJECT, &e), ERR_NONE);
	f->ops->close(f);
}

/* The whole object for a range: what comes before it is passed over, and what comes behind not awaited. */
static void test_whole_object(void **state)
{
	struct stream_fetcher *f = open_it();
	struct stream_counters counters;
	struct err e;

	(void)state;
	fault_server_fault(server, FAULT_WHOLE, 0, 0);
	assert_int_equal(read_code(f, 300000, 10, &e), ERR_NONE);
	assert_int_equal(f->ops->size(f), OBJECT);
	assert_int_equal(read_code(f, 0, 300000, &e), ERR_NONE);
	assert_int_equal(read_code(f, 0, OBJECT, &e), ERR_NONE);
	assert_int_equal(read_code(f, OBJECT - 10, 100, &e), ERR_NONE);
	f->ops->counters(f, &counters);
	assert_int_equal(counters.wholes, 4);
	assert_int_equal(counters.bytes, 300010 + 300000 + 2 * OBJECT);
	fault_server_fault(server, FAULT_NONE, 0, 0);
	f->ops->close(f);
}

static void test_ranges_only(void **state)
{
	const struct stream_fetch_opt opt = { 1000, 1000, 1, true };
	struct stream_fetcher *f;
	struct err e;

	(void)state;
	assert_int_equal(stream_fetcher_open(fault_server_url(server), &opt, &f, &e), 0);
	fault_server_fault(server, FAULT_WHOLE, 0, 0);
	assert_int_equal(read_code(f, 0, 300000, &e), ERR_UNSUPPORTED);
	assert_non_null(strstr(e.msg, "does not serve ranges"));
	assert_int_equal(read_code(f, 0, OBJECT, &e), ERR_NONE);
	assert_int_equal(read_code(f, 300000, 10, &e), ERR_UNSUPPORTED);
	fault_server_fault(server, FAULT_NONE, 0, 0);
	f->ops->close(f);
}

static void test_changed(void **state)
{
	static const char *const etags[][2] = { { "\"one\"", "\"two\"" }, { "W/\"one\"", "W/\"two\"" } };
	struct stream_fetcher *f;
	struct err e;

	(void)state;
	for (int i = 0; i < 2; i++) {
		fault_server_object(server, object, OBJECT, etags[i][0]);
		f = open_it();
		assert_int_equal(read_code(f, 0, 100, &e), ERR_NONE);
		fault_server_object(server, other, OBJECT, etags[i][1]);
		assert_int_equal(read_code(f, 100, 100, &e), ERR_CHANGED);
		f->ops->close(f);
	}
	/* Nothing to compare but the length. */
	fault_server_object(server, object, OBJECT, "");
	f = open_it();
	assert_int_equal(read_code(f, 0, 100, &e), ERR_NONE);
	fault_server_object(server, object, OBJECT - 1, "");
	assert_int_equal(read_code(f, 100, 100, &e), ERR_CHANGED);
	fault_server_object(server, object, 1000, "");
	assert_int_equal(read_code(f, 2000, 100, &e), ERR_CHANGED); /* 416 */
	f->ops->close(f);
	fault_server_object(server, object, OBJECT, NULL);
	f = open_it();
	assert_int_equal(read_code(f, 0, 100, &e), ERR_NONE);
	assert_int_equal(read_code(f, 100, 100, &e), ERR_NONE); /* Last-Modified */
	f->ops->close(f);
	fault_server_object(server, object, OBJECT, "\"one\"");
}

/* The final address is asked directly, and given up when it fails. */
static void test_redirect(void **state)
{
	struct stream_fetcher *f = open_it();
	struct stream_counters counters;
	struct err e;

	(void)state;
	fault_server_fault(server, FAULT_REDIRECT_ONCE, 0, 0);
	assert_int_equal(read_code(f, 0, 100, &e), ERR_NONE);
	assert_int_equal(read_code(f, 100, 100, &e), ERR_NONE);
	f->ops->counters(f, &counters);
	assert_int_equal(counters.requests, 3);
	fault_server_fault(server, FAULT_DENIED, 0, 1);
	assert_int_equal(read_code(f, 200, 100, &e), ERR_NONE);
	f->ops->close(f);
}

static int stop_sink(void *arg, const uint8_t *data, size_t len, struct err *e)
{
	(void)arg;
	(void)data;
	(void)len;
	return err_set(e, ERR_FORMAT, "enough");
}

static void test_sink_stops(void **state)
{
	struct stream_fetcher *f = open_it();
	struct err e;

	(void)state;
	assert_int_equal(f->ops->read(f, 0, OBJECT, stop_sink, NULL, &e), -1);
	assert_int_equal(e.code, ERR_FORMAT);
	assert_int_equal(read_code(f, 0, 100, &e), ERR_NONE);
	f->ops->close(f);
}

static int slow_sink(void *arg, const uint8_t *data, size_t len, struct err *e)
{
	usleep(30000);
	return collect(arg, data, len, e);
}

/* A sink slower than the network: the transfer waits for it, and no timeout strikes. */
static void test_slow_sink(void **state)
{
	struct stream_fetcher *f = open_it();
	auto_buf struct buf got = BUF_INIT(OBJECT);
	struct err e;

	(void)state;
	assert_int_equal(f->ops->read(f, 0, OBJECT, slow_sink, &got, &e), 0);
	assert_int_equal(got.len, OBJECT);
	assert_memory_equal(got.data, object, OBJECT);
	f->ops->close(f);
}

static void *cancel_soon(void *arg)
{
	struct stream_fetcher *f = arg;

	usleep(200000);
	f->ops->cancel(f);
	return NULL;
}

static void test_cancel(void **state)
{
	static const enum fault faults[] = { FAULT_SILENT, FAULT_BUSY };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct stream_fetch_opt patient = { .attempts = 50 };
		struct stream_fetcher *f;
		uint64_t start = sync_now_ms();
		pthread_t thread;
		struct err e;

		assert_int_equal(stream_fetcher_open(fault_server_url(server), &patient, &f, &e), 0);
		fault_server_fault(server, faults[i], 0, 0);
		assert_int_equal(pthread_create(&thread, NULL, cancel_soon, f), 0);
		assert_int_equal(read_code(f, 0, 100, &e), ERR_INTERRUPTED);
		assert_true(sync_now_ms() - start < 900);
		assert_int_equal(read_code(f, 0, 100, &e), ERR_INTERRUPTED);
		(void)pthread_join(thread, NULL);
		fault_server_fault(server, FAULT_NONE, 0, 0);
		f->ops->close(f);
	}
}

struct reader {
	struct stream_fetcher *f;
	unsigned seed;
	int failures;
};

static void *read_many(void *arg)
{
	struct reader *r = arg;

	for (int i = 0; i < 20; i++) {
		uint64_t off = (unsigned)rand_r(&r->seed) % OBJECT;
		auto_buf struct buf got = BUF_INIT(OBJECT);
		struct err e;

		if (r->f->ops->read(r->f, off, 200000, collect, &got, &e) < 0 ||
		    memcmp(got.data, object + off, got.len) != 0)
			r->failures++;
	}
	return NULL;
}

static void test_many_readers(void **state)
{
	struct stream_fetcher *f = open_it();
	struct reader readers[6];
	pthread_t threads[6];

	(void)state;
	for (int i = 0; i < 6; i++) {
		readers[i] = (struct reader){ f, (unsigned)i, 0 };
		assert_int_equal(pthread_create(&threads[i], NULL, read_many, &readers[i]), 0);
	}
	for (int i = 0; i < 6; i++) {
		(void)pthread_join(threads[i], NULL);
		assert_int_equal(readers[i].failures, 0);
	}
	f->ops->close(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ranges),       cmocka_unit_test(test_faults),
		cmocka_unit_test(test_refused),      cmocka_unit_test(test_retries),
		cmocka_unit_test(test_whole_object), cmocka_unit_test(test_changed),
		cmocka_unit_test(test_ranges_only),  cmocka_unit_test(test_changed),
		cmocka_unit_test(test_redirect),     cmocka_unit_test(test_sink_stops),
		cmocka_unit_test(test_slow_sink),    cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_many_readers),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
