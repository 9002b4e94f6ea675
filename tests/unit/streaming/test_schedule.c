/* SPDX-License-Identifier: Apache-2.0 */
/* Requests beside each other, and what is fetched when nobody reads. */
#include "tests/unit/streaming/package_fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "streaming/schedule.h"

static void test_parallel(void **state)
{
	struct pace pace = { 0 };

	(void)state;
	assert_int_equal(schedule_parallel(&pace), SCHEDULE_PARALLEL_MIN);
	pace = (struct pace){ .wait_ms = 20, .bytes_per_s = 2500000 };
	assert_int_equal(schedule_parallel(&pace), SCHEDULE_PARALLEL_MIN);
	pace = (struct pace){ .wait_ms = 100, .bytes_per_s = 12500000 };
	assert_int_equal(schedule_parallel(&pace), SCHEDULE_PARALLEL_MIN + 2);
	pace = (struct pace){ .wait_ms = 250, .bytes_per_s = 125000000 };
	assert_int_equal(schedule_parallel(&pace), SCHEDULE_PARALLEL_MAX);
}

struct hanging {
	struct stream_package *p;
	uint32_t idx;
	pthread_t thread;
};

static atomic_int ended;

static void *hang(void *arg)
{
	struct hanging *h = arg;
	struct stream_chunk *c;
	struct err e;

	assert_int_equal(stream_package_chunk(h->p, h->idx, NULL, NULL, &c, &e), -1);
	assert_int_equal(e.code, ERR_INTERRUPTED);
	atomic_fetch_add(&ended, 1);
	return NULL;
}

static void *close_it(void *arg)
{
	stream_package_close(arg);
	return NULL;
}

static uint32_t chunk_of(struct stream_package *p, unsigned file, uint64_t off)
{
	struct pkg_inode inode;
	struct pkg_extent x;
	char name[16];
	struct err e;
	size_t n;

	(void)snprintf(name, sizeof(name), "f%03u", file);
	assert_int_equal(pkg_index_resolve(stream_package_index(p), name, &inode, &e), 0);
	assert_int_equal(pkg_index_extents(stream_package_index(p), inode.ino, off, 1, &x, 1, &n, &e), 0);
	assert_int_equal(n, 1);
	return x.chunk_idx;
}

/* All of the opening's request has come: its connection is kept for the next one. */
static void await_kept_connection(struct stream_package *p)
{
	struct stream_package_stats stats;

	do {
		usleep(10000);
		stream_package_stats(p, &stats);
	} while (stats.net.bytes < STREAM_FIRST_REQUEST || stats.net.waiting);
}

/* As many requests hang as there are workers at most at a time: another one comes through all the same. */
static void test_hanging(void **state)
{
	/* So far from each other that no request takes along what another thread wants. */
	static const struct {
		unsigned file;
		uint64_t off;
	} wanted[] = { { 1, 0 },
		       { 15, 0 },
		       { 29, 0 },
		       { 41, 0 },
		       { 48, 0 },
		       { 55, 0 },
		       { FILES - 1, 1500000 },
		       { FILES - 1, 3500000 } };
	/* The opening's, one each, and one that is asked again since the kept connection might be at fault.
	 */
	const unsigned all = 1 + SCHEDULE_PARALLEL_MAX + 1;
	struct hanging hanging[SCHEDULE_PARALLEL_MAX];
	struct stream_package *p = open_with((struct stream_package_opt){
		.cache = cache, .no_prefetch = true, .fetch = { 1000, 60000, 1, false } });
	pthread_t closer;

	(void)state;
	_Static_assert(ARRAY_LEN(wanted) == SCHEDULE_PARALLEL_MAX, "one for each");
	atomic_store(&ended, 0);
	await_kept_connection(p);
	fault_server_fault(server, FAULT_SILENT, 0, all - 1);
	for (unsigned i = 0; i < SCHEDULE_PARALLEL_MAX; i++) {
		hanging[i] = (struct hanging){ .p = p, .idx = chunk_of(p, wanted[i].file, wanted[i].off) };
		assert_int_equal(pthread_create(&hanging[i].thread, NULL, hang, &hanging[i]), 0);
	}
	for (int i = 0; i < 4000 && requests() < all; i++)
		usleep(10000);
	assert_int_equal(requests(), all);
	read_right(p, 37);
	assert_int_equal(atomic_load(&ended), 0);
	assert_int_equal(pthread_create(&closer, NULL, close_it, p), 0);
	for (unsigned i = 0; i < SCHEDULE_PARALLEL_MAX; i++)
		(void)pthread_join(hanging[i].thread, NULL);
	(void)pthread_join(closer, NULL);
	assert_int_equal(atomic_load(&ended), SCHEDULE_PARALLEL_MAX);
}

static bool is_complete(struct stream_package *p)
{
	struct pkg_index_counts counts;
	bool is_there = true;

	pkg_index_counts(stream_package_index(p), &counts);
	for (uint32_t i = 0; i < counts.chunks; i++)
		is_there &= stream_package_has(p, i);
	return is_there;
}

/* The package becomes complete by itself: then it can be read without the network. */
static void test_completion(void **state)
{
	struct stream_package *p =
		open_with((struct stream_package_opt){ .cache = cache, .complete_after_s = 1 });
	struct err e;

	(void)state;
	read_right(p, 0);
	for (int i = 0; i < 4000 && !is_complete(p); i++)
		usleep(10000);
	assert_true(is_complete(p));
	stream_package_close(p);
	assert_int_equal(stream_cache_sync(cache, &e), 0);
	fault_server_listen(server, 0);
	p = open_with((struct stream_package_opt){ .cache = cache, .offline = true });
	for (unsigned i = 0; i < FILES; i++)
		read_right(p, i);
	stream_package_close(p);
}

/* Capped so low that the second piece is due in minutes. */
static void test_completion_rate(void **state)
{
	struct stream_package_opt opt = {
		.cache = cache, .no_prefetch = true, .complete_after_s = 1, .complete_rate = 1000
	};
	struct stream_package *p = open_with(opt);
	struct stream_chunk *c;
	unsigned before;
	struct err e;

	(void)state;
	assert_int_equal(stream_package_chunk(p, chunk_of(p, 1, 0), NULL, NULL, &c, &e), 0);
	stream_chunk_unref(p, c);
	before = requests();
	for (int i = 0; i < 4000 && requests() == before; i++)
		usleep(10000);
	usleep(1500000);
	assert_int_equal(requests(), before + 1);
	stream_package_close(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parallel),
		cmocka_unit_test_setup_teardown(test_hanging, begin, end),
		cmocka_unit_test_setup_teardown(test_completion, begin, end),
		cmocka_unit_test_setup_teardown(test_completion_rate, begin, end),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
