/* SPDX-License-Identifier: Apache-2.0 */
/* Packages over a network that works, and one that does not. */
#include "tests/unit/streaming/package_fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sync.h"
#include "package-format/chunk.h"
#include "streaming/http_engine.h"

static void test_file(void **state)
{
	struct stream_package_opt opt = { .cache = cache, .config_dir = config_dir };
	struct stream_package_stats stats;
	struct stream_package *p;
	struct err e;

	(void)state;
	assert_int_equal(stream_package_open(package_path, &opt, &p, &e), 0);
	for (unsigned i = 0; i < FILES; i++)
		read_right(p, i);
	stream_package_stats(p, &stats);
	assert_int_equal(stats.net.requests, 0);
	stream_package_close(p);
}

static void test_cold(void **state)
{
	struct stream_package *p = open_cold();
	struct stream_package_stats stats;

	(void)state;
	assert_false(stream_package_is_offline(p));
	read_launch(p);
	assert_true(requests() <= 2);
	for (unsigned i = 0; i < FILES; i++)
		read_right(p, i);
	stream_package_stats(p, &stats);
	print_message("requests: %u, bytes %llu of %zu\n", requests(), (unsigned long long)stats.net.bytes,
		      package.len);
	assert_true(requests() <= 2 + 16);
	/* The chunk across the end of the first request comes twice, and what was on its way then may. */
	assert_true(stats.net.bytes <= package.len + PKG_CHUNK_STORED_MAX + HTTP_SHARED_MAX);
	stream_package_close(p);
}

static void test_warm_and_offline(void **state)
{
	struct stream_package_stats stats;
	struct stream_package *p = open_cold();
	uint64_t start;
	struct err e;

	(void)state;
	for (unsigned i = 0; i < FILES; i++)
		read_right(p, i);
	stream_package_close(p);
	assert_int_equal(stream_cache_sync(cache, &e), 0);
	fault_server_reset_counts(server);
	p = open_cold();
	assert_false(stream_package_is_offline(p));
	for (unsigned i = 0; i < FILES; i++)
		read_right(p, i);
	assert_int_equal(requests(), 1);
	stream_package_stats(p, &stats);
	assert_int_equal(stats.net.bytes, 4096);
	stream_package_close(p);
	/* By choice, refused, silent, gone, and behind a login page. */
	p = open_with((struct stream_package_opt){ .cache = cache, .offline = true });
	assert_true(stream_package_is_offline(p));
	read_launch(p);
	stream_package_close(p);
	for (enum fault f = FAULT_NONE; f <= FAULT_LOGIN_PAGE; f++) {
		if (f != FAULT_NONE && f != FAULT_SILENT && f != FAULT_NOT_FOUND && f != FAULT_LOGIN_PAGE)
			continue;
		fault_server_listen(server, f != FAULT_NONE);
		fault_server_fault(server, f, 0, 0);
		start = sync_now_ms();
		p = open_cold();
		assert_true(sync_now_ms() - start < 5000);
		assert_true(stream_package_is_offline(p));
		read_launch(p);
		stream_package_close(p);
	}
}

/* Whoever knows the version that he wants asks the origin only for what the cache lacks. */
static void test_known_version(void **state)
{
	struct stream_package *p = open_block();
	struct pkg_digest root = stream_package_header(p)->root;
	struct stream_package_opt opt = { .cache = cache, .root = &root, .no_prefetch = true };
	struct err e;

	(void)state;
	read_launch(p);
	stream_package_close(p);
	assert_int_equal(stream_cache_sync(cache, &e), 0);
	fault_server_reset_counts(server);
	p = open_with(opt);
	assert_false(stream_package_is_offline(p));
	read_launch(p);
	assert_int_equal(requests(), 0);
	read_right(p, 33);
	assert_int_equal(requests(), 2); /* is it still that version? */
	stream_package_close(p);
	/* The origin has another version: what the cache has is what was wanted. */
	fault_server_object(server, package2.data, package2.len, "\"two\"");
	p = open_with(opt);
	read_launch(p);
	assert_int_equal(read_file(p, 55, &e), -1);
	assert_int_equal(e.code, ERR_CHANGED);
	stream_package_close(p);
	/* A version that the cache does not have: what the origin has, for the caller to compare. */
	root.b[0] ^= 1;
	p = open_with(opt);
	assert_false(pkg_digest_equal(&stream_package_header(p)->root, &root));
	stream_package_close(p);
}

/* Opened from the cache, with holes: the rest comes when the network is back. */
static void test_offline_then_back(void **state)
{
	struct stream_package *p = open_block();
	struct err e;

	(void)state;
	read_launch(p);
	stream_package_close(p);
	fault_server_listen(server, 0);
	p = open_with((struct stream_package_opt){ .cache = cache, .fail_after_s = 1 });
	assert_true(stream_package_is_offline(p));
	read_launch(p);
	assert_int_equal(read_file(p, 33, &e), -1);
	assert_int_equal(e.code, ERR_NET);
	fault_server_listen(server, 1);
	read_right(p, 33);
	stream_package_close(p);
	/* The origin has another package by then. */
	fault_server_listen(server, 0);
	p = open_cold();
	fault_server_object(server, package2.data, package2.len, "\"two\"");
	fault_server_listen(server, 1);
	read_launch(p);
	assert_int_equal(read_file(p, 55, &e), -1);
	assert_int_equal(e.code, ERR_CHANGED);
	stream_package_close(p);
}

static void test_new_version(void **state)
{
	struct stream_package *p = open_cold();
	struct stream_package_stats stats;

	(void)state;
	for (unsigned i = 0; i < FILES; i++)
		read_right(p, i);
	stream_package_close(p);
	fault_server_object(server, package2.data, package2.len, "\"two\"");
	p = open_cold();
	read_launch(p); /* f005 is not among these */
	stream_package_stats(p, &stats);
	assert_true(stats.net.bytes < 600000); /* what both have is not fetched again */
	stream_package_close(p);
}

struct crowd {
	struct stream_package *p;
	atomic_int failures;
};

static void *read_one_chunk(void *arg)
{
	struct crowd *crowd = arg;
	struct stream_chunk *c;
	struct err e;

	if (stream_package_chunk(crowd->p, stream_package_has(crowd->p, 0) ? 0 : 60, NULL, NULL, &c, &e) < 0)
		atomic_fetch_add(&crowd->failures, 1);
	else
		stream_chunk_unref(crowd->p, c);
	return NULL;
}

static void test_crowd(void **state)
{
	enum { CROWD = 1000 };
	static pthread_t threads[CROWD];
	struct crowd crowd = { 0 };
	pthread_attr_t small;
	struct fault_counts counts;

	(void)state;
	crowd.p = open_with((struct stream_package_opt){ .cache = cache, .no_prefetch = true });
	fault_server_delay(server, 300);
	(void)pthread_attr_init(&small);
	(void)pthread_attr_setstacksize(&small, 256 * 1024);
	for (int i = 0; i < CROWD; i++)
		assert_int_equal(pthread_create(&threads[i], &small, read_one_chunk, &crowd), 0);
	for (int i = 0; i < CROWD; i++)
		(void)pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&crowd.failures), 0);
	fault_server_counts(server, &counts);
	assert_int_equal(counts.requests, 2); /* the opening, and one */
	stream_package_close(crowd.p);
}

/* A reader of the block that is on its way waits for it and asks for nothing itself. */
static void test_stream_serves_readers(void **state)
{
	struct stream_package *p;

	(void)state;
	fault_server_rate(server, 8 * 1024 * 1024);
	p = open_cold();
	read_right(p, (LAUNCH_FILES - 1) * 2);
	read_right(p, 0);
	assert_true(requests() <= 2);
	stream_package_close(p);
}

static void test_no_cache(void **state)
{
	struct stream_package *p = open_with((struct stream_package_opt){ .memory_max = 1 });

	(void)state;
	for (unsigned i = 0; i < FILES; i++)
		read_right(p, i);
	stream_package_close(p);
}

static atomic_int stalls, returns;

static void on_stall(void *arg, bool is_stalled, const char *why)
{
	(void)arg;
	assert_true(!is_stalled || strstr(why, "127.0.0.1"));
	atomic_fetch_add(is_stalled ? &stalls : &returns, 1);
}

static void *return_soon(void *arg)
{
	(void)arg;
	usleep(1500000);
	fault_server_listen(server, 1);
	return NULL;
}

static void test_stall(void **state)
{
	struct stream_package *p = open_with(
		(struct stream_package_opt){ .cache = cache, .no_prefetch = true, .on_stall = on_stall });
	pthread_t thread;

	(void)state;
	fault_server_listen(server, 0);
	assert_int_equal(pthread_create(&thread, NULL, return_soon, NULL), 0);
	read_right(p, 7);
	(void)pthread_join(thread, NULL);
	assert_int_equal(atomic_load(&stalls), 1);
	assert_int_equal(atomic_load(&returns), 1);
	stream_package_close(p);
}

/* A server that takes the question and says nothing: found out and given up long before its request would be.
 */
static void test_silence(void **state)
{
	struct stream_package *p = open_with((struct stream_package_opt){ .cache = cache,
									  .no_prefetch = true,
									  .fail_after_s = 2,
									  .on_stall = on_stall,
									  .fetch = { .attempts = 3 } });
	struct fault_counts counts;
	struct err e;

	(void)state;
	atomic_store(&stalls, 0);
	atomic_store(&returns, 0);
	fault_server_fault(server, FAULT_SILENT, 0, 0);
	fault_server_reset_counts(server);
	assert_int_equal(read_file(p, 7, &e), -1);
	assert_int_equal(e.code, ERR_NET);
	assert_non_null(strstr(e.msg, "does not answer"));
	fault_server_counts(server, &counts);
	/* Over the kept connection and over a fresh one; no second attempt was waited for. */
	assert_true(counts.requests <= 2);
	assert_int_equal(atomic_load(&stalls), 1);
	assert_int_equal(atomic_load(&returns), 0);
	fault_server_fault(server, FAULT_NONE, 0, 0);
	read_right(p, 51); /* another chunk: the first one's request is still out */
	assert_int_equal(atomic_load(&returns), 1);
	stream_package_close(p);
}

static bool always(void *arg)
{
	(void)arg;
	return true;
}

static void *close_it(void *arg)
{
	usleep(300000);
	stream_package_close(arg);
	return NULL;
}

static void test_interrupt_and_close(void **state)
{
	struct stream_package *p =
		open_with((struct stream_package_opt){ .cache = cache, .no_prefetch = true });
	struct stream_chunk *c;
	uint64_t start = sync_now_ms();
	pthread_t thread;
	struct err e;

	(void)state;
	fault_server_fault(server, FAULT_SILENT, 0, 0);
	assert_int_equal(stream_package_chunk(p, 3, always, NULL, &c, &e), -1);
	assert_int_equal(e.code, ERR_INTERRUPTED);
	assert_int_equal(pthread_create(&thread, NULL, close_it, p), 0);
	assert_int_equal(stream_package_chunk(p, 3, NULL, NULL, &c, &e), -1);
	assert_int_equal(e.code, ERR_INTERRUPTED);
	(void)pthread_join(thread, NULL);
	assert_true(sync_now_ms() - start < 2000);
}

static void test_wrong_bytes(void **state)
{
	struct stream_package *p =
		open_with((struct stream_package_opt){ .cache = cache, .no_prefetch = true });
	struct fault_counts counts;
	struct err e;

	(void)state;
	/* Once: fetched again, past caches. */
	fault_server_fault(server, FAULT_FLIP, 0, 1);
	read_right(p, 7);
	for (int i = 0; i < 200; i++) { /* the damaged chunk may be a neighbour of the wanted ones */
		fault_server_counts(server, &counts);
		if (counts.no_cache)
			break;
		usleep(10000);
	}
	assert_true(counts.no_cache >= 1);
	/* Always: an error that names the chunk. */
	fault_server_fault(server, FAULT_FLIP, 0, 0);
	assert_int_equal(read_file(p, FILES - 1, &e), -1);
	assert_int_equal(e.code, ERR_INTEGRITY);
	assert_non_null(strstr(e.msg, "chunk"));
	fault_server_fault(server, FAULT_NONE, 0, 0);
	read_right(p, FILES - 1);
	stream_package_close(p);
}

static void test_replaced(void **state)
{
	struct stream_package *p =
		open_with((struct stream_package_opt){ .cache = cache, .no_prefetch = true });
	struct err e;

	(void)state;
	read_right(p, 7);
	/* The same package under another tag, twice: goes on. */
	fault_server_object(server, package.data, package.len, "\"two\"");
	read_right(p, 17);
	fault_server_object(server, package.data, package.len, "\"three\"");
	read_right(p, 27);
	/* Another package: an error, while what we have stays readable. */
	fault_server_object(server, package2.data, package2.len, "\"four\"");
	assert_int_equal(read_file(p, 50, &e), -1);
	assert_int_equal(e.code, ERR_CHANGED);
	assert_non_null(strstr(e.msg, "was replaced while in use"));
	read_right(p, 7);
	stream_package_close(p);
}

static void test_damaged_cache(void **state)
{
	struct stream_package *p = open_cold();
	struct stream_package_stats stats;
	char path[256];
	struct err e;

	(void)state;
	for (unsigned i = 0; i < FILES; i++)
		read_right(p, i);
	stream_package_close(p);
	assert_int_equal(stream_cache_sync(cache, &e), 0);
	(void)snprintf(path, sizeof(path), "%s/chunks.dat", cache_dir);
	auto_fd int fd = open(path, O_RDWR);
	struct stat st;
	assert_int_equal(fstat(fd, &st), 0);
	for (off_t off = 0; off < st.st_size; off += 1000000)
		assert_int_equal(fd_pwrite_all(fd, "damage", 6, (uint64_t)off, &e), 0);
	p = open_cold();
	for (unsigned i = 0; i < FILES; i++)
		read_right(p, i);
	stream_package_stats(p, &stats);
	assert_true(stats.chunks_wrong > 2);
	assert_true(stats.chunks_fetched >= stats.chunks_wrong);
	stream_package_close(p);
}

static void test_refusals(void **state)
{
	char stranger[256];
	struct stream_package_opt opt = { .cache = cache, .config_dir = stranger };
	struct stream_package *p;
	struct err e;

	(void)state;
	(void)snprintf(stranger, sizeof(stranger), "%s/stranger", top);
	expect_open(fault_server_url(server), opt, ERR_TRUST);
	opt.trust_once = true;
	assert_int_equal(stream_package_open(fault_server_url(server), &opt, &p, &e), 0);
	assert_int_equal(pkg_trust_revoke(stranger, &stream_package_header(p)->signer, &e), 0);
	stream_package_close(p);
	expect_open(fault_server_url(server), opt, ERR_TRUST);
	opt = (struct stream_package_opt){ .config_dir = config_dir };
	fault_server_object(server, package.data, package.len - 1, "\"short\"");
	expect_open(fault_server_url(server), opt, ERR_INTEGRITY);
	fault_server_object(server, package.data, 1000, "\"tiny\"");
	expect_open(fault_server_url(server), opt, ERR_FORMAT);
	fault_server_object(server, package.data, 0, "\"none\"");
	expect_open(fault_server_url(server), opt, ERR_NET);
	fault_server_object(server, package.data, package.len, "\"one\"");
	fault_server_fault(server, FAULT_LOGIN_PAGE, 0, 0);
	expect_open(fault_server_url(server), opt, ERR_FORMAT);
	fault_server_fault(server, FAULT_NOT_FOUND, 0, 0);
	expect_open(fault_server_url(server), opt, ERR_NOTFOUND);
	opt.offline = true;
	expect_open(fault_server_url(server), opt, ERR_NET);
	opt.offline = false;
	expect_open("/nowhere/x.floe", opt, ERR_NOTFOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_file, begin, end),
		cmocka_unit_test_setup_teardown(test_cold, begin, end),
		cmocka_unit_test_setup_teardown(test_warm_and_offline, begin, end),
		cmocka_unit_test_setup_teardown(test_known_version, begin, end),
		cmocka_unit_test_setup_teardown(test_offline_then_back, begin, end),
		cmocka_unit_test_setup_teardown(test_new_version, begin, end),
		cmocka_unit_test_setup_teardown(test_crowd, begin, end),
		cmocka_unit_test_setup_teardown(test_stream_serves_readers, begin, end),
		cmocka_unit_test_setup_teardown(test_no_cache, begin, end),
		cmocka_unit_test_setup_teardown(test_stall, begin, end),
		cmocka_unit_test_setup_teardown(test_silence, begin, end),
		cmocka_unit_test_setup_teardown(test_interrupt_and_close, begin, end),
		cmocka_unit_test_setup_teardown(test_wrong_bytes, begin, end),
		cmocka_unit_test_setup_teardown(test_replaced, begin, end),
		cmocka_unit_test_setup_teardown(test_damaged_cache, begin, end),
		cmocka_unit_test_setup_teardown(test_refusals, begin, end),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
