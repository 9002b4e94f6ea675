/* SPDX-License-Identifier: Apache-2.0 */
/* Packages over a network that works, and one that does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/sync.h"
#include "package-format/chunk.h"
#include "package-format/writer.h"
#include "streaming/package.h"
#include "tests/net/fault_server.h"

enum { FILES = 60, FILE_SIZE = 200000, LAUNCH_FILES = 20, BIG = 6 * 1024 * 1024 };

static char top[] = "/tmp/floe-test-package-XXXXXX";
static char *config_dir, *tree, *package_path;
static struct buf package = BUF_INIT(1 << 28), package2 = BUF_INIT(1 << 28);
static struct fault_server *server;
static struct stream_cache *cache;
static char cache_dir[128];
static int cache_number;

/* ---- making packages -------------------------------------------------------------------- */

static uint8_t content_at(unsigned file, uint64_t off, unsigned version)
{
	uint64_t x = (off / 3 + 1) * UINT64_C(0x9E3779B97F4A7C15) + file * 7919 + (file == 5 ? version : 0);

	x ^= x >> 29;
	x *= UINT64_C(0xBF58476D1CE4E5B9);
	return (uint8_t)(x >> 32);
}

static uint64_t size_of_file(unsigned file)
{
	return file == FILES - 1 ? BIG : FILE_SIZE + file;
}

static void write_tree(unsigned version)
{
	auto_free uint8_t *data = malloc(BIG);
	struct err e;

	for (unsigned i = 0; i < FILES; i++) {
		char path[256];

		for (uint64_t k = 0; k < size_of_file(i); k++)
			data[k] = content_at(i, k, version);
		(void)snprintf(path, sizeof(path), "%s/f%03u", tree, i);
		assert_int_equal(fd_write_file(AT_FDCWD, path, data, size_of_file(i), 0644, &e), 0);
	}
}

static void make_package(struct buf *ret)
{
	struct pkg_manifest m = { .name = (char[]){ "sample" }, .version = (char[]){ "1" } };
	struct pkg_writer_opt opt = { .zstd_level = 1 };
	struct pkg_touch touches[LAUNCH_FILES];
	struct pkg_secret_key *key;
	struct pkg_writer_report report;
	struct stream_package *p;
	struct pkg_writer *w;
	struct err e;

	assert_int_equal(pkg_key_load(config_dir, "default", &key, &e), 0);
	assert_int_equal(pkg_writer_open(&opt, &w, &e), 0);
	assert_int_equal(pkg_writer_add_tree(w, tree, "", &e), 0);
	if (pkg_writer_finish(w, &m, key, package_path, &report, &e) < 0)
		fail_msg("%s", e.msg);
	pkg_writer_close(w);
	/* The launch touches every third file. */
	assert_int_equal(stream_package_open(package_path, &(struct stream_package_opt){ 0 }, &p, &e), 0);
	for (unsigned i = 0; i < LAUNCH_FILES; i++) {
		struct pkg_inode inode;
		char name[16];

		(void)snprintf(name, sizeof(name), "f%03u", i * 2);
		assert_int_equal(pkg_index_resolve(stream_package_index(p), name, &inode, &e), 0);
		touches[i] = (struct pkg_touch){ inode.ino, 0, (uint32_t)inode.size };
	}
	stream_package_close(p);
	if (pkg_writer_relayout(package_path, touches, LAUNCH_FILES, NULL, key, package_path, &report, &e) <
	    0)
		fail_msg("%s", e.msg);
	pkg_key_close(key);
	assert_int_equal(fd_read_file(AT_FDCWD, package_path, ret, &e), 0);
}

static int set_up(void **state)
{
	struct pkg_public_key key;
	struct err e;

	(void)state;
	assert_non_null(mkdtemp(top));
	config_dir = path_join(top, "config", &e);
	tree = path_join(top, "tree", &e);
	package_path = path_join(top, "sample.floe", &e);
	assert_int_equal(path_make_dirs(tree, 0755, &e), 0);
	assert_int_equal(path_make_dirs(config_dir, 0755, &e), 0);
	if (pkg_key_generate(config_dir, "default", &key, &e) < 0)
		fail_msg("%s", e.msg);
	write_tree(2);
	make_package(&package2);
	write_tree(1);
	make_package(&package);
	server = fault_server_start();
	return 0;
}

static int tear_down(void **state)
{
	struct err e;

	(void)state;
	fault_server_stop(server);
	assert_int_equal(path_remove_tree(AT_FDCWD, top, &e), 0);
	buf_fini(&package);
	buf_fini(&package2);
	free(config_dir);
	free(tree);
	free(package_path);
	return 0;
}

/* Each test has a server that works and an empty cache. */
static int begin(void **state)
{
	struct err e;

	(void)state;
	fault_server_listen(server, 1);
	fault_server_object(server, package.data, package.len, "\"one\"");
	fault_server_fault(server, FAULT_NONE, 0, 0);
	fault_server_delay(server, 0);
	fault_server_rate(server, 0);
	fault_server_reset_counts(server);
	(void)snprintf(cache_dir, sizeof(cache_dir), "%s/cache%d", top, cache_number++);
	assert_int_equal(stream_cache_open(cache_dir, &cache, &e), 0);
	return 0;
}

static int end(void **state)
{
	(void)state;
	stream_cache_close(cache);
	cache = NULL;
	return 0;
}

static struct stream_package *open_with(struct stream_package_opt opt)
{
	struct stream_package *p;
	struct err e;

	if (!opt.fetch.attempts)
		opt.fetch = (struct stream_fetch_opt){ 1000, 1000, 2 };
	if (!opt.config_dir)
		opt.config_dir = config_dir;
	if (stream_package_open(fault_server_url(server), &opt, &p, &e) < 0)
		fail_msg("%s", e.msg);
	return p;
}

static struct stream_package *open_cold(void)
{
	return open_with((struct stream_package_opt){ .cache = cache });
}

static void expect_open(const char *source, struct stream_package_opt opt, enum err_code code)
{
	struct stream_package *p;
	struct err e;

	opt.fetch = (struct stream_fetch_opt){ 500, 500, 1 };
	assert_int_equal(stream_package_open(source, &opt, &p, &e), -1);
	if (e.code != code)
		fail_msg("expected %d: %d %s", (int)code, (int)e.code, e.msg);
}

static int read_file(struct stream_package *p, unsigned file, struct err *e)
{
	auto_free uint8_t *data = malloc(BIG);
	struct pkg_inode inode;
	uint64_t size = size_of_file(file), step = 131072;
	char name[16];

	(void)snprintf(name, sizeof(name), "/f%03u", file);
	if (pkg_index_resolve(stream_package_index(p), name, &inode, e) < 0)
		return -1;
	assert_int_equal(inode.size, size);
	for (uint64_t off = 0; off < size; off += step) {
		size_t got;

		if (stream_package_read(p, &inode, off, step, data, &got, NULL, NULL, e) < 0)
			return -1;
		assert_int_equal(got, off + step > size ? size - off : step);
		for (size_t i = 0; i < got; i++)
			if (data[i] != content_at(file, off + i, 1))
				fail_msg("file %u differs at %llu", file, (unsigned long long)(off + i));
	}
	return 0;
}

static void read_right(struct stream_package *p, unsigned file)
{
	struct err e;

	if (read_file(p, file, &e) < 0)
		fail_msg("file %u: %s", file, e.msg);
}

static unsigned requests(void)
{
	struct fault_counts counts;

	fault_server_counts(server, &counts);
	return counts.requests;
}

static void read_launch(struct stream_package *p)
{
	for (unsigned i = 0; i < LAUNCH_FILES; i++)
		read_right(p, i * 2);
}

/* ---- tests ------------------------------------------------------------------------------ */

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
	/* The chunk across the end of the first request comes twice. */
	assert_true(stats.net.bytes <= package.len + PKG_CHUNK_STORED_MAX);
	stream_package_close(p);
}

static uint64_t feature_block_end(void)
{
	struct pkg_header header;
	struct err e;

	assert_int_equal(pkg_header_decode(package.data, &header, &e), 0);
	return header.feature_block_end;
}

/* Header, index and feature block in one request, however well its length was guessed. */
static void test_one_request(void **state)
{
	const uint64_t exact = feature_block_end(),
		       guesses[] = { exact, exact + 1000, exact + 3000000, UINT64_MAX / 2 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(guesses); i++) {
		struct stream_package_opt opt = { .start_len = guesses[i] };
		struct stream_package_stats stats;
		struct stream_package *p;

		assert_int_equal(end(state), 0);
		assert_int_equal(begin(state), 0);
		opt.cache = cache;
		p = open_with(opt);
		read_launch(p);
		assert_int_equal(requests(), 1);
		stream_package_stats(p, &stats);
		assert_int_equal(stats.chunks_from_cache, 0);
		stream_package_close(p);
	}
	/* Far too short: the rest comes beside it. */
	for (uint64_t guess = 1; guess < exact; guess = guess * 50 + 4096) {
		struct stream_package *p;

		assert_int_equal(end(state), 0);
		assert_int_equal(begin(state), 0);
		p = open_with((struct stream_package_opt){ .cache = cache, .start_len = guess });
		read_launch(p);
		assert_true(requests() <= (guess < 20000 ? 3 : 2));
		stream_package_close(p);
	}
}

/* The server counts the bytes of a body when it has sent all of it. */
static void test_open_before_the_end(void **state)
{
	struct stream_package_opt opt = { .cache = cache, .start_len = feature_block_end() };
	struct fault_counts counts;
	struct stream_package *p;

	(void)state;
	fault_server_rate(server, 400000);
	p = open_with(opt);
	read_right(p, 0);
	fault_server_counts(server, &counts);
	assert_int_equal(counts.requests, 1);
	assert_int_equal(counts.bytes, 0);
	stream_package_close(p);
}

/* The first transfer breaks off, for good as far as the fetcher is concerned. */
static void test_broken_beginning(void **state)
{
	static const enum fault faults[] = { FAULT_SHORT, FAULT_RESET, FAULT_FLIP };

	for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
		struct stream_package_opt opt = { .start_len = feature_block_end(),
						  .fetch = { 1000, 1000, 1 } };
		struct stream_package *p;
		struct err e;

		assert_int_equal(end(state), 0);
		assert_int_equal(begin(state), 0);
		opt.cache = cache;
		opt.config_dir = config_dir;
		fault_server_fault(server, faults[i], 0, 1);
		/* The bit that is wrong may be one of the index. */
		if (stream_package_open(fault_server_url(server), &opt, &p, &e) < 0) {
			assert_int_equal(e.code, ERR_INTEGRITY);
			assert_int_equal(faults[i], FAULT_FLIP);
			continue;
		}
		read_launch(p);
		assert_true(requests() >= 2 && requests() <= 4);
		stream_package_close(p);
	}
	/* Nothing comes at all. */
	fault_server_fault(server, FAULT_SILENT, 0, 0);
	expect_open(fault_server_url(server), (struct stream_package_opt){ .config_dir = config_dir },
		    ERR_NET);
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
	struct stream_package *p = open_cold();
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
	struct stream_package *p = open_cold();
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
	assert_int_equal(counts.requests, 1); /* no second attempt was waited for */
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
		cmocka_unit_test_setup_teardown(test_one_request, begin, end),
		cmocka_unit_test_setup_teardown(test_open_before_the_end, begin, end),
		cmocka_unit_test_setup_teardown(test_broken_beginning, begin, end),
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
