/* SPDX-License-Identifier: Apache-2.0 */
/* The chunk cache: kept, found again, and never wrong, whatever is killed or damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "streaming/cache.h"

enum { CHUNK = 60000 };

static char top[] = "/tmp/floe-test-cache-XXXXXX";
static char dir[128];
static int number;

static int set_up(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(top));
	return 0;
}

static int tear_down(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(path_remove_tree(AT_FDCWD, top, &e), 0);
	return 0;
}

static int begin(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "%s/%d", top, number++);
	return 0;
}

static struct stream_cache *open_it(void)
{
	struct stream_cache *c;
	struct err e;

	if (stream_cache_open(dir, &c, &e) < 0)
		fail_msg("%s", e.msg);
	return c;
}

/* Content number n: its length varies, its digest follows. */
static size_t make(unsigned n, uint8_t data[CHUNK + 100], struct pkg_digest *digest)
{
	size_t len = CHUNK + n % 100;
	uint64_t x = n + 1;

	for (size_t i = 0; i < len; i++) {
		x = x * UINT64_C(6364136223846793005) + 1442695040888963407;
		data[i] = (uint8_t)(x >> 40);
	}
	pkg_digest_of(data, len, digest);
	return len;
}

static void put(struct stream_cache *c, unsigned n)
{
	uint8_t data[CHUNK + 100];
	struct pkg_digest digest;
	size_t len = make(n, data, &digest);

	stream_cache_put(c, &digest, &(struct stream_cache_content){ .data = data, .len = len }, 0);
}

/* 1: there and right; 0: a miss. Wrong content fails the test. */
static int look(struct stream_cache *c, unsigned n)
{
	uint8_t data[CHUNK + 100], got[CHUNK + 100];
	struct pkg_digest digest;
	size_t len = make(n, data, &digest);
	struct err e;

	if (stream_cache_get(c, &digest, got, len, &e) < 0) {
		assert_int_equal(e.code, ERR_NOTFOUND);
		return 0;
	}
	assert_memory_equal(data, got, len);
	return 1;
}

static void sync_it(struct stream_cache *c)
{
	struct err e;

	if (stream_cache_sync(c, &e) < 0)
		fail_msg("%s", e.msg);
}

static void test_keeps(void **state)
{
	struct stream_cache_status status;
	struct stream_cache *c = open_it();
	struct err e;

	(void)state;
	assert_int_equal(look(c, 0), 0);
	for (unsigned i = 0; i < 50; i++)
		put(c, i);
	assert_int_equal(look(c, 49), 1); /* before it is written */
	put(c, 49);
	sync_it(c);
	for (unsigned i = 0; i < 50; i++)
		assert_int_equal(look(c, i), 1);
	stream_cache_close(c);
	c = open_it();
	for (unsigned i = 0; i < 50; i++)
		assert_int_equal(look(c, i), 1);
	assert_int_equal(look(c, 50), 0);
	assert_int_equal(stream_cache_status(c, &status, &e), 0);
	assert_int_equal(status.chunks, 50);
	assert_true(status.bytes >= 50 * CHUNK && status.file_bytes >= status.bytes);
	assert_int_equal(status.wrong, 0);
	stream_cache_close(c);
}

struct lent {
	uint8_t data[CHUNK + 100];
	atomic_uint returned;
};

static void take_back(void *arg)
{
	struct lent *l = arg;

	memset(l->data, 0, sizeof(l->data));
	atomic_fetch_add(&l->returned, 1);
}

/* Content that is not copied comes back once, whether it was kept or not. */
static void test_lent_content(void **state)
{
	static struct lent lent[3];
	struct pkg_digest digests[4];
	struct stream_cache *c = open_it();
	bool has[4];

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		unsigned n = i == 2 ? 0 : i; /* the last one is known already */
		size_t len = make(n, lent[i].data, &digests[i]);

		stream_cache_put(c, &digests[i],
				 &(struct stream_cache_content){ lent[i].data, len, take_back, &lent[i] }, 0);
	}
	(void)make(3, (uint8_t[CHUNK + 100]){ 0 }, &digests[3]);
	stream_cache_has_each(c, digests, 4, has);
	assert_true(has[0] && has[1] && has[2] && !has[3]);
	assert_int_equal(look(c, 1), 1);
	sync_it(c);
	stream_cache_has_each(c, digests, 4, has);
	assert_true(has[0] && has[1] && has[2] && !has[3]);
	assert_int_equal(look(c, 0), 1);
	stream_cache_close(c);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(atomic_load(&lent[i].returned), 1);
}

static void test_closing_writes(void **state)
{
	struct stream_cache *c = open_it();

	(void)state;
	put(c, 7);
	stream_cache_close(c);
	c = open_it();
	assert_int_equal(look(c, 7), 1);
	stream_cache_close(c);
}

static void damage(const char *name, uint64_t off, const char *bytes, size_t len)
{
	auto_free char *path = NULL;
	struct err e;

	path = path_join(dir, name, &e);
	auto_fd int fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(fd_pwrite_all(fd, bytes, len, off, &e), 0);
}

static void test_wrong_content(void **state)
{
	struct stream_cache_status status;
	struct stream_cache *c = open_it();
	uint64_t checked, wrong;
	struct err e;

	(void)state;
	for (unsigned i = 0; i < 10; i++)
		put(c, i);
	sync_it(c);
	damage("chunks.dat", 100, "x", 1);
	damage("chunks.dat", 5 * 61440 + 100, "x", 1);
	assert_int_equal(look(c, 0), 0); /* the first was the first written */
	assert_int_equal(stream_cache_verify(c, NULL, &checked, &wrong, &e), 0);
	assert_int_equal(checked, 9);
	assert_int_equal(wrong, 1);
	assert_int_equal(stream_cache_status(c, &status, &e), 0);
	assert_int_equal(status.wrong, 2);
	put(c, 0);
	sync_it(c);
	assert_int_equal(look(c, 0), 1);
	stream_cache_close(c);
}

/* Bytes changed in 1,000 places: each chunk is right or a miss, each miss is counted, and what is put again
 * is right again. */
static void test_a_thousand_wounds(void **state)
{
	enum { CHUNKS = 300, WOUNDS = 1000, STEP = 61440 };
	struct stream_cache *c = open_it();
	struct stream_cache_status status;
	bool is_hurt[CHUNKS] = { false };
	unsigned hurt = 0, missed = 0;
	uint64_t checked, wrong, x = 42;
	struct err e;

	(void)state;
	for (unsigned i = 0; i < CHUNKS; i++)
		put(c, i);
	sync_it(c);
	for (unsigned i = 0; i < WOUNDS; i++) {
		uint64_t place;

		x = x * UINT64_C(6364136223846793005) + 1442695040888963407;
		place = (x >> 20) % ((uint64_t)CHUNKS / 2 * STEP);
		damage("chunks.dat", place, "\x5a\xa5\x5a", 3);
		/* Content ends before its last page does; and wounds may lie across an end. */
		for (uint64_t at = place; at < place + 3; at++)
			if (at % STEP < CHUNK + at / STEP % 100)
				is_hurt[at / STEP] = true;
	}
	for (unsigned i = 0; i < CHUNKS; i++)
		hurt += is_hurt[i];
	assert_true(hurt > CHUNKS / 3 && hurt < CHUNKS);
	for (unsigned i = 0; i < CHUNKS; i += 2) /* half of them by reading, the others by verifying */
		missed += !look(c, i);
	assert_int_equal(stream_cache_verify(c, NULL, &checked, &wrong, &e), 0);
	assert_int_equal(missed + wrong, hurt);
	assert_int_equal(stream_cache_status(c, &status, &e), 0);
	assert_int_equal(status.wrong, hurt);
	for (unsigned i = 0; i < CHUNKS; i++)
		assert_int_equal(look(c, i), !is_hurt[i]);
	for (unsigned i = 0; i < CHUNKS; i++)
		put(c, i);
	sync_it(c);
	for (unsigned i = 0; i < CHUNKS; i++)
		assert_int_equal(look(c, i), 1);
	assert_int_equal(stream_cache_verify(c, NULL, &checked, &wrong, &e), 0);
	assert_int_equal(wrong, 0);
	stream_cache_close(c);
}

/* The database is disposable, in whatever way it was damaged. */
static void test_damaged_database(void **state)
{
	static const char junk[8192] = "not a database at all";
	struct stream_cache *c;
	auto_free char *path = NULL;
	struct err e;

	(void)state;
	for (int round = 0; round < 4; round++) {
		uint64_t checked, wrong;

		c = open_it();
		for (unsigned i = 0; i < 30; i++)
			put(c, i);
		sync_it(c);
		stream_cache_close(c);
		free(mem_steal(path));
		path = path_join(dir, round == 3 ? "chunks.dat" : "cache.db", &e);
		if (round == 0)
			damage("cache.db", 0, junk, sizeof(junk));
		else if (round == 1)
			damage("cache.db", 4096 * 2, junk, sizeof(junk));
		else if (round == 2)
			assert_int_equal(truncate(path, 5000), 0);
		else
			assert_int_equal(unlink(path), 0);
		c = open_it();
		for (unsigned i = 0; i < 30; i++)
			(void)look(c, i);
		(void)!stream_cache_verify(c, NULL, &checked, &wrong, &e);
		stream_cache_close(c);
		c = open_it(); /* at the latest now it works again */
		for (unsigned i = 0; i < 30; i++)
			put(c, i);
		sync_it(c);
		for (unsigned i = 0; i < 30; i++)
			assert_int_equal(look(c, i), 1);
		stream_cache_close(c);
	}
}

/* Processes that put until they are killed, two at a time: 100 kills. Verifying compares every byte. */
static void test_kills(void **state)
{
	enum { ROUNDS = 50, WRITERS = 2 };
	uint64_t found = 0, freed;

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		uint64_t checked, wrong;
		struct stream_cache *c;
		pid_t pids[WRITERS];
		struct err e;

		for (int w = 0; w < WRITERS; w++) {
			pids[w] = fork();
			if (pids[w] == 0) {
				struct err why;

				if (stream_cache_open(dir, &c, &why) < 0)
					_exit(9);
				/* Overlapping: both processes write some of the same. */
				for (unsigned i = 0;; i++) {
					put(c, (unsigned)round * 100000 + i + (unsigned)w * 20);
					if (i % 20 == 19 && stream_cache_sync(c, &why) < 0)
						_exit(8);
				}
			}
		}
		usleep(10000 + (unsigned)(round * 7919) % 50000);
		for (int w = 0; w < WRITERS; w++) {
			int status;

			(void)kill(pids[w], SIGKILL);
			assert_int_equal(waitpid(pids[w], &status, 0), pids[w]);
			assert_true(WIFSIGNALED(status)); /* none ended by itself */
		}
		c = open_it();
		assert_int_equal(stream_cache_verify(c, NULL, &checked, &wrong, &e), 0);
		assert_int_equal(wrong, 0);
		found += checked;
		assert_int_equal(stream_cache_gc(c, 3000000, &freed, &e), 0);
		stream_cache_close(c);
	}
	assert_true(found > 50);
	print_message("%u chunks checked in %d rounds of kills\n", (unsigned)found, ROUNDS);
}

static void test_two_processes(void **state)
{
	struct stream_cache_status status;
	struct stream_cache *c;
	pid_t pids[2];
	struct err e;

	(void)state;
	for (unsigned w = 0; w < 2; w++) {
		pids[w] = fork();
		if (pids[w] == 0) {
			struct err why;

			if (stream_cache_open(dir, &c, &why) < 0)
				_exit(9);
			for (unsigned i = 0; i < 120; i++)
				put(c, i + w * 60);
			stream_cache_close(c);
			_exit(0);
		}
	}
	for (int w = 0; w < 2; w++) {
		int code;

		assert_int_equal(waitpid(pids[w], &code, 0), pids[w]);
		assert_int_equal(code, 0);
	}
	c = open_it();
	for (unsigned i = 0; i < 180; i++)
		assert_int_equal(look(c, i), 1);
	assert_int_equal(stream_cache_status(c, &status, &e), 0);
	assert_int_equal(status.chunks, 180);
	stream_cache_close(c);
}

static void test_gc(void **state)
{
	struct stream_cache_status before, after;
	struct stream_cache *c = open_it();
	uint64_t freed, checked, wrong;
	struct err e;

	(void)state;
	for (unsigned i = 0; i < 100; i++)
		put(c, i);
	sync_it(c);
	assert_int_equal(stream_cache_status(c, &before, &e), 0);
	assert_int_equal(stream_cache_gc(c, before.bytes / 2, &freed, &e), 0);
	assert_int_equal(stream_cache_status(c, &after, &e), 0);
	assert_true(after.bytes <= before.bytes / 2 && after.bytes > before.bytes / 3);
	assert_true(freed > before.file_bytes / 3);
	assert_true(after.file_bytes <= before.file_bytes - freed);
	assert_int_equal(stream_cache_verify(c, NULL, &checked, &wrong, &e), 0);
	assert_int_equal(wrong, 0);
	for (unsigned i = 0; i < 100; i++)
		put(c, i);
	sync_it(c);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(look(c, i), 1);
	assert_int_equal(stream_cache_gc(c, 0, &freed, &e), 0);
	assert_int_equal(stream_cache_status(c, &after, &e), 0);
	assert_int_equal(after.chunks, 0);
	assert_true(after.file_bytes < 100000);
	stream_cache_close(c);
}

static void test_packages(void **state)
{
	struct stream_cache *c = open_it();
	static const char index[] = "an index", url[] = "http://host/x.floe";
	uint8_t header[PKG_HEADER_LEN] = { 1, 2, 3 }, got[PKG_HEADER_LEN];
	auto_buf struct buf stored = BUF_INIT(1000);
	char identity[256];
	char hex[PKG_DIGEST_HEX], name[PKG_DIGEST_HEX + 8];
	struct pkg_digest digest;
	struct err e;

	(void)state;
	assert_int_equal(stream_cache_load_package(c, url, identity, sizeof(identity), got, &stored, &e), -1);
	assert_int_equal(e.code, ERR_NOTFOUND);
	assert_int_equal(stream_cache_save_package(c, url, "\"tag\"", header, index, sizeof(index), &e), 0);
	stream_cache_close(c);
	c = open_it();
	assert_int_equal(stream_cache_load_package(c, url, identity, sizeof(identity), got, &stored, &e), 0);
	assert_string_equal(identity, "\"tag\"");
	assert_memory_equal(header, got, sizeof(header));
	assert_memory_equal(stored.data, index, sizeof(index));
	/* A damaged index is no index. */
	pkg_digest_of(index, sizeof(index), &digest);
	pkg_digest_hex(&digest, hex);
	(void)snprintf(name, sizeof(name), "index/%s", hex);
	damage(name, 3, "x", 1);
	assert_int_equal(stream_cache_load_package(c, url, identity, sizeof(identity), got, &stored, &e), -1);
	assert_int_equal(e.code, ERR_NOTFOUND);
	stream_cache_close(c);
}

/* A disk that takes no more, played by the limit on file sizes. */
static void test_full_disk(void **state)
{
	pid_t pid;
	int code;

	(void)state;
	pid = fork();
	if (pid == 0) {
		struct stream_cache *c = open_it();
		struct rlimit limit = { 2 * 1024 * 1024, 2 * 1024 * 1024 };
		struct err e;
		int kept = 0;

		(void)signal(SIGXFSZ, SIG_IGN);
		for (unsigned i = 0; i < 10; i++)
			put(c, i);
		sync_it(c);
		if (setrlimit(RLIMIT_FSIZE, &limit) < 0)
			_exit(2);
		for (unsigned i = 10; i < 100; i++)
			put(c, i);
		if (stream_cache_sync(c, &e) == 0)
			_exit(3);
		for (unsigned i = 0; i < 100; i++)
			kept += look(c, i);
		stream_cache_close(c);
		_exit(kept == 10 ? 0 : 4);
	}
	assert_int_equal(waitpid(pid, &code, 0), pid);
	assert_int_equal(code, 0);
	struct stream_cache *c = open_it();
	put(c, 50);
	sync_it(c);
	assert_int_equal(look(c, 50), 1);
	stream_cache_close(c);
}

static void test_cannot_open(void **state)
{
	struct stream_cache *c;
	struct err e;

	(void)state;
	assert_int_equal(stream_cache_open("/proc/nowhere", &c, &e), -1);
	assert_string_not_equal(e.msg, "");
}

struct worker {
	struct stream_cache *c;
	unsigned start;
};

static void *work(void *arg)
{
	struct worker *w = arg;

	for (unsigned i = 0; i < 100; i++) {
		put(w->c, (w->start + i) % 150);
		(void)look(w->c, (w->start + i * 7) % 150);
	}
	return NULL;
}

static void test_threads(void **state)
{
	struct stream_cache *c = open_it();
	struct worker workers[4];
	pthread_t threads[4];
	uint64_t freed;
	struct err e;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		workers[i] = (struct worker){ c, i * 37 };
		assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
	}
	assert_int_equal(stream_cache_gc(c, 1000000, &freed, &e), 0);
	for (unsigned i = 0; i < 4; i++)
		(void)pthread_join(threads[i], NULL);
	stream_cache_close(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_keeps, begin),
		cmocka_unit_test_setup(test_lent_content, begin),
		cmocka_unit_test_setup(test_closing_writes, begin),
		cmocka_unit_test_setup(test_wrong_content, begin),
		cmocka_unit_test_setup(test_a_thousand_wounds, begin),
		cmocka_unit_test_setup(test_damaged_database, begin),
		cmocka_unit_test_setup(test_kills, begin),
		cmocka_unit_test_setup(test_two_processes, begin),
		cmocka_unit_test_setup(test_gc, begin),
		cmocka_unit_test_setup(test_packages, begin),
		cmocka_unit_test_setup(test_full_disk, begin),
		cmocka_unit_test_setup(test_cannot_open, begin),
		cmocka_unit_test_setup(test_threads, begin),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
