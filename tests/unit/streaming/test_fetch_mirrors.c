/* SPDX-License-Identifier: Apache-2.0 */
/* Several origins of one object, of which some are dead, silent, slow, lying or something else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/sync.h"
#include "streaming/fetch_mirrors.h"
#include "tests/net/fault_server.h"

enum { OBJECT = 3 * 1024 * 1024 + 17, SERVERS = 3, AWAY_MS = 300000 };

static uint8_t object[OBJECT], other[OBJECT];
static struct fault_server *servers[SERVERS];
static atomic_uint_fast64_t clock_ms = 1000;

static uint64_t now_ms(void *arg)
{
	(void)arg;
	return atomic_load(&clock_ms);
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
	for (int i = 0; i < SERVERS; i++)
		servers[i] = fault_server_start();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	for (int i = 0; i < SERVERS; i++)
		fault_server_stop(servers[i]);
	return 0;
}

/* All have the same object, each its own ETag. */
static int begin(void **state)
{
	static const char *const etags[SERVERS] = { "\"a\"", "\"b\"", "W/\"c\"" };

	(void)state;
	for (int i = 0; i < SERVERS; i++) {
		fault_server_listen(servers[i], 1);
		fault_server_object(servers[i], object, OBJECT, etags[i]);
		fault_server_fault(servers[i], FAULT_NONE, 0, 0);
		fault_server_delay(servers[i], 0);
		fault_server_rate(servers[i], 0);
		fault_server_reset_counts(servers[i]);
	}
	return 0;
}

static struct stream_fetcher *open_with(size_t count, struct stream_mirrors_opt opt)
{
	const char *urls[SERVERS];
	struct stream_fetcher *f;
	struct err e;

	for (size_t i = 0; i < count; i++)
		urls[i] = fault_server_url(servers[i]);
	opt.now_ms = now_ms;
	opt.away_ms = AWAY_MS;
	if (!opt.race_after_ms)
		opt.race_after_ms = 800; /* no race on a busy machine, but before the stall timeout */
	if (!opt.fetch.stall_timeout_ms)
		opt.fetch = (struct stream_fetch_opt){ 1000, 1000, 1, false };
	if (stream_fetch_mirrors_open(urls, count, &opt, &f, &e) < 0)
		fail_msg("%s", e.msg);
	return f;
}

static struct stream_fetcher *open_them(size_t count)
{
	return open_with(count, (struct stream_mirrors_opt){ 0 });
}

static int collect(void *arg, const uint8_t *data, size_t len, struct err *e)
{
	return buf_add(arg, data, len, e);
}

static enum err_code read_code(struct stream_fetcher *f, const uint8_t *from, uint64_t off, uint64_t len)
{
	auto_buf struct buf got = BUF_INIT(OBJECT + 1);
	struct err e;

	if (f->ops->read(f, off, len, collect, &got, &e) < 0) {
		assert_string_not_equal(e.msg, "");
		return e.code;
	}
	assert_int_equal(got.len, off + len > OBJECT ? OBJECT - off : len);
	if (memcmp(got.data, from + off, got.len) != 0)
		fail_msg("wrong bytes at %llu", (unsigned long long)off);
	return ERR_NONE;
}

static void read_right(struct stream_fetcher *f, uint64_t off, uint64_t len)
{
	assert_int_equal(read_code(f, object, off, len), ERR_NONE);
}

static struct fault_counts counts_of(int server)
{
	struct fault_counts c;

	fault_server_counts(servers[server], &c);
	return c;
}

/* The server counts a body when it has gone, a little after it has arrived. */
static uint64_t bytes_of(int server, uint64_t at_least)
{
	for (int i = 0; i < 1000 && counts_of(server).bytes < at_least; i++)
		usleep(5000);
	return counts_of(server).bytes;
}

static void test_preferred(void **state)
{
	struct stream_fetcher *f = open_with(2, (struct stream_mirrors_opt){ .race_after_ms = 60000 });
	char identity[STREAM_IDENTITY_MAX];
	struct stream_counters counters;

	(void)state;
	assert_int_equal(f->ops->size(f), 0);
	read_right(f, 0, 300000);
	read_right(f, 1000, 5000);
	read_right(f, OBJECT - 100, 1000);
	assert_int_equal(f->ops->size(f), OBJECT);
	f->ops->identity(f, identity);
	assert_string_equal(identity, "\"a\"");
	f->ops->counters(f, &counters);
	assert_int_equal(counters.requests, 3);
	assert_int_equal(counters.bytes, 300000 + 5000 + 100);
	assert_int_equal(counters.waiting, 0);
	assert_int_equal(counts_of(1).requests, 0);
	f->ops->close(f);
}

/* A first read that is not at the beginning, or smaller than the head. */
static void test_small_reads(void **state)
{
	struct stream_fetcher *f = open_them(2);

	(void)state;
	read_right(f, 5, 10);
	read_right(f, 0, 10);
	f->ops->close(f);
	for (int i = 0; i < 2; i++) {
		static const char tiny[] = "tiny";
		auto_buf struct buf got = BUF_INIT(100);
		struct err e;

		for (int k = 0; k < 2; k++)
			fault_server_object(servers[k], tiny, 4, "\"t\"");
		f = open_them(2);
		assert_int_equal(f->ops->read(f, 0, i ? 4096 : 4, collect, &got, &e), 0);
		assert_int_equal(got.len, 4);
		assert_memory_equal(got.data, tiny, 4);
		f->ops->close(f);
	}
}

/* Away for a while, and back. */
static void test_dead_and_back(void **state)
{
	struct stream_fetcher *f = open_them(2);

	(void)state;
	fault_server_listen(servers[0], 0);
	read_right(f, 0, 100000);
	read_right(f, 100000, 100000);
	fault_server_listen(servers[0], 1);
	read_right(f, 200000, 100000);
	assert_int_equal(counts_of(0).requests, 0);
	atomic_fetch_add(&clock_ms, AWAY_MS);
	assert_true(bytes_of(1, 300000) >= 300000);
	fault_server_reset_counts(servers[1]);
	fault_server_delay(servers[1], 300);
	read_right(f, 300000, 100000);
	read_right(f, 400000, 100000);
	assert_true(counts_of(0).requests >= 2);
	assert_int_equal(counts_of(1).bytes, 0);
	f->ops->close(f);
}

static void test_silent(void **state)
{
	static const enum fault faults[] = { FAULT_SILENT,  FAULT_DRIP,        FAULT_GARBAGE,
					     FAULT_BUSY,    FAULT_DENIED,      FAULT_NOT_FOUND,
					     FAULT_ENCODED, FAULT_WRONG_RANGE, FAULT_REDIRECT_LOOP };

	(void)state;
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		struct stream_mirrors_opt patient = { .fetch = { 60000, 60000, 1, false } };
		struct stream_fetcher *f = open_with(2, patient);

		fault_server_fault(servers[0], faults[i], 0, 0);
		read_right(f, 0, 300000);
		read_right(f, 300000, 300000);
		assert_true(counts_of(0).requests <= 6);
		f->ops->close(f); /* does not wait for the one that still hangs */
		begin(state);
	}
}

/* Goes on with the next one where the first stopped. */
static void test_dies_in_between(void **state)
{
	static const enum fault faults[] = { FAULT_RESET, FAULT_SHORT };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct stream_fetcher *f = open_them(2);

		read_right(f, 0, 8192);
		fault_server_reset_counts(servers[0]);
		fault_server_fault(servers[0], faults[i], 0, 1);
		read_right(f, 8192, 2000000);
		assert_int_equal(counts_of(0).requests, 1);
		assert_true(bytes_of(1, 1000000) >= 1000000);
		assert_true(counts_of(1).bytes <= 1000000 + STREAM_MIRROR_HEAD);
		f->ops->close(f);
		begin(state);
	}
}

static void test_slow(void **state)
{
	/* Its first bytes come in time: it is the rest that shows what it is. */
	struct stream_fetcher *f = open_with(2, (struct stream_mirrors_opt){ .race_after_ms = 10000 });

	(void)state;
	fault_server_listen(servers[0], 0);
	read_right(f, 0, 2000000); /* now the second one is known to be fast */
	fault_server_listen(servers[0], 1);
	fault_server_rate(servers[0], 40000);
	atomic_fetch_add(&clock_ms, AWAY_MS);
	read_right(f, 1000000, 2000000); /* at 40,000 bytes a second it would take 50 s */
	assert_true(counts_of(0).requests > 0);
	assert_true(bytes_of(1, 3000000) > 3000000);
	fault_server_reset_counts(servers[0]);
	read_right(f, 0, 1000000);
	assert_int_equal(counts_of(0).requests, 0);
	f->ops->close(f);
}

/* The only one may be slow. */
static void test_slow_alone(void **state)
{
	struct stream_fetcher *f = open_them(2);

	(void)state;
	fault_server_listen(servers[1], 0);
	fault_server_rate(servers[0], 200000);
	read_right(f, 0, 500000);
	f->ops->close(f);
}

static void test_liar(void **state)
{
	struct stream_fetcher *f = open_them(2);

	(void)state;
	read_right(f, 0, 100000);
	fault_server_fault(servers[0], FAULT_FLIP, 0, 0);
	fault_server_reset_counts(servers[0]);
	assert_true(f->ops->distrust(f));
	read_right(f, 100000, 100000);
	assert_int_equal(counts_of(0).requests, 0);
	assert_false(f->ops->distrust(f)); /* nobody is left */
	fault_server_fault(servers[0], FAULT_NONE, 0, 0);
	read_right(f, 200000, 100000); /* and yet somebody is asked, past the caches */
	assert_true(counts_of(0).no_cache + counts_of(1).no_cache > 0);
	f->ops->close(f);
}

struct judge {
	struct stream_fetcher *f;
	uint64_t pos, wrong;
};

/* Finds wrong bytes while they come. */
static int judge(void *arg, const uint8_t *data, size_t len, struct err *e)
{
	struct judge *j = arg;

	(void)e;
	for (size_t i = 0; i < len; i++)
		if (data[i] != object[j->pos + i]) {
			j->wrong++;
			assert_true(j->f->ops->distrust(j->f));
		}
	j->pos += len;
	return 0;
}

static void test_liar_in_between(void **state)
{
	struct stream_fetcher *f = open_them(2);
	struct judge j = { f, 0, 0 };
	struct err e;

	(void)state;
	read_right(f, 0, 100000);
	fault_server_fault(servers[0], FAULT_FLIP, 0, 0);
	assert_int_equal(f->ops->read(f, 0, OBJECT, judge, &j, &e), 0);
	assert_int_equal(j.wrong, 1);
	assert_int_equal(j.pos, OBJECT);
	assert_true(bytes_of(1, 1000000) > 1000000); /* the rest of the read came from there */
	f->ops->close(f);
}

/* Another version, of the same length or not, is left out. */
static void test_other_version(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct stream_fetcher *f =
			open_with(3, (struct stream_mirrors_opt){ .race_after_ms = 60000 });

		fault_server_object(servers[1], i ? object : other, i ? OBJECT - 1 : OBJECT, "\"a\"");
		read_right(f, 0, 100000);
		fault_server_listen(servers[0], 0);
		read_right(f, 100000, 100000);
		assert_int_equal(bytes_of(1, STREAM_MIRROR_HEAD), STREAM_MIRROR_HEAD);
		assert_true(bytes_of(2, 100000) >= 100000);
		fault_server_listen(servers[2], 0);
		assert_int_equal(read_code(f, object, 300000, 100000), ERR_NET); /* may come back */
		fault_server_listen(servers[2], 1);
		read_right(f, 300000, 100000);
		f->ops->close(f);
		begin(state);
	}
}

/* The same file uploaded again: no reason to leave the origin. */
static void test_uploaded_again(void **state)
{
	struct stream_fetcher *f = open_with(2, (struct stream_mirrors_opt){ .race_after_ms = 60000 });

	(void)state;
	read_right(f, 0, 100000);
	fault_server_object(servers[0], object, OBJECT, "\"again\"");
	read_right(f, 100000, 100000);
	read_right(f, 0, 100000);
	assert_int_equal(counts_of(1).requests, 0);
	f->ops->close(f);
}

/* The origin that is in use is replaced: its own validators tell. */
static void test_replaced(void **state)
{
	struct stream_fetcher *f = open_them(2);

	(void)state;
	read_right(f, 0, 100000);
	fault_server_object(servers[0], other, OBJECT, "\"new\"");
	read_right(f, 100000, 100000);
	fault_server_object(servers[1], other, OBJECT, "\"new\"");
	assert_int_equal(read_code(f, object, 200000, 100000), ERR_CHANGED);
	f->ops->unpin(f, false);
	assert_int_equal(read_code(f, other, 0, 100000), ERR_NONE);
	assert_int_equal(read_code(f, other, 100000, 100000), ERR_NONE);
	f->ops->close(f);
}

static int check(void *arg, const uint8_t *head, size_t len, struct err *e)
{
	(void)arg;
	if (len < STREAM_MIRROR_HEAD || memcmp(head, object, STREAM_MIRROR_HEAD) != 0)
		return err_set(e, ERR_FORMAT, "not the object");
	return 0;
}

/* The first to answer has a login page, or another version than the wanted one. */
static void test_check(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct stream_fetcher *f = open_with(2, (struct stream_mirrors_opt){ .check = check });

		if (i)
			fault_server_object(servers[0], other, OBJECT, "\"a\"");
		else
			fault_server_fault(servers[0], FAULT_LOGIN_PAGE, 0, 0);
		read_right(f, 0, 100000);
		read_right(f, 100000, 100000);
		fault_server_listen(servers[1], 0);
		assert_int_not_equal(read_code(f, object, 200000, 100000), ERR_NONE);
		/* Back to normal, at once: who is away is asked when there is nobody else. */
		begin(state);
		read_right(f, 200000, 100000);
		f->ops->close(f);
	}
}

static void test_all_fail(void **state)
{
	struct stream_fetcher *f = open_them(3);
	const char *files[2] = { "/nonexistent/a", "/nonexistent/b" };
	struct err e;

	(void)state;
	for (int i = 0; i < SERVERS; i++)
		fault_server_fault(servers[i], i ? FAULT_BUSY : FAULT_NOT_FOUND, 0, 0);
	assert_int_equal(read_code(f, object, 0, 100), ERR_NET); /* may become better */
	for (int i = 0; i < SERVERS; i++)
		fault_server_fault(servers[i], FAULT_NOT_FOUND, 0, 0);
	assert_int_equal(read_code(f, object, 0, 100), ERR_NOTFOUND);
	begin(state);
	read_right(f, 0, 100);
	f->ops->close(f);
	assert_int_equal(stream_fetch_mirrors_open(files, 2, NULL, &f, &e), -1);
	assert_int_equal(e.code, ERR_NOTFOUND);
	/* One that cannot be opened is as one that is down. */
	files[1] = fault_server_url(servers[0]);
	assert_int_equal(stream_fetch_mirrors_open(files, 2, NULL, &f, &e), 0);
	read_right(f, 0, 100000);
	f->ops->close(f);
}

static int stop_sink(void *arg, const uint8_t *data, size_t len, struct err *e)
{
	(void)arg;
	(void)data;
	(void)len;
	return err_set(e, ERR_NET, "the reader's own trouble");
}

/* Nobody is blamed for what the sink does. */
static void test_sink_stops(void **state)
{
	struct stream_fetcher *f = open_with(2, (struct stream_mirrors_opt){ .race_after_ms = 60000 });
	struct err e;

	(void)state;
	for (int i = 0; i < 2; i++) { /* the first time in a race */
		assert_int_equal(f->ops->read(f, 0, OBJECT, stop_sink, NULL, &e), -1);
		assert_non_null(strstr(e.msg, "own trouble"));
	}
	assert_int_equal(counts_of(1).requests, 0);
	read_right(f, 0, 100000);
	assert_int_equal(counts_of(1).requests, 0);
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
	struct stream_mirrors_opt patient = { .fetch = { 60000, 60000, 50, false } };
	static const enum fault faults[] = { FAULT_SILENT, FAULT_BUSY };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct stream_fetcher *f = open_with(2, patient);
		pthread_t thread;

		fault_server_fault(servers[0], faults[i], 0, 0);
		fault_server_fault(servers[1], faults[i], 0, 0);
		assert_int_equal(pthread_create(&thread, NULL, cancel_soon, f), 0);
		assert_int_equal(read_code(f, object, 0, 100000), ERR_INTERRUPTED);
		(void)pthread_join(thread, NULL);
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

	for (int i = 0; i < 30; i++) {
		uint64_t off = (unsigned)rand_r(&r->seed) % (OBJECT - 200000);
		auto_buf struct buf got = BUF_INIT(OBJECT);
		struct err e;

		if (r->f->ops->read(r->f, off, 200000, collect, &got, &e) < 0 || got.len != 200000 ||
		    memcmp(got.data, object + off, got.len) != 0)
			r->failures++;
	}
	return NULL;
}

/* One dies and comes back all the time, one always works. */
static void test_many_readers(void **state)
{
	struct stream_fetcher *f = open_them(2);
	struct reader readers[6];
	pthread_t threads[6];

	(void)state;
	for (int i = 0; i < 6; i++) {
		readers[i] = (struct reader){ f, (unsigned)i, 0 };
		assert_int_equal(pthread_create(&threads[i], NULL, read_many, &readers[i]), 0);
	}
	for (int i = 0; i < 20; i++) {
		fault_server_listen(servers[0], i % 2);
		fault_server_fault(servers[0], FAULT_RESET, 2, 1);
		atomic_fetch_add(&clock_ms, AWAY_MS);
		usleep(20000);
	}
	for (int i = 0; i < 6; i++) {
		(void)pthread_join(threads[i], NULL);
		assert_int_equal(readers[i].failures, 0);
	}
	f->ops->close(f);
}

#define TEST(f) cmocka_unit_test_setup(f, begin)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_preferred),       TEST(test_small_reads),
		TEST(test_dead_and_back),   TEST(test_silent),
		TEST(test_dies_in_between), TEST(test_slow),
		TEST(test_slow_alone),      TEST(test_liar),
		TEST(test_liar_in_between), TEST(test_other_version),
		TEST(test_uploaded_again),  TEST(test_replaced),
		TEST(test_check),           TEST(test_all_fail),
		TEST(test_sink_stops),      TEST(test_cancel),
		TEST(test_many_readers),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
