/* SPDX-License-Identifier: Apache-2.0 */
/* Many readers of one fetcher, compared with the file that is served:
 *
 *   floe-test-fetch [--readers N] [--reads N] [--len BYTES] [--slow BYTES]... URL FILE
 *
 * Each reader reads so many pieces at random places. Each --slow is one reader more, of the file's first so
 * many bytes, who takes his first piece and then nothing until all others have ended; by how many KiB of
 * memory that made this process grow is printed. Exits with 1 when a byte is wrong or a read fails. */
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/sync.h"
#include "streaming/fetcher.h"

enum { READERS_MAX = 64, STALL_MS = 2000, CONNECT_MS = 4000 };

struct test {
	struct stream_fetcher *fetcher;
	const uint8_t *file;
	size_t file_len;
	unsigned readers, reads, slow_count;
	uint64_t len, slow[READERS_MAX];

	struct sync_mutex lock;
	/* guarded by lock */
	struct sync_cond changed;
	unsigned waiting, running; /* slow readers that have begun, others that have not ended */
	unsigned failures;
	long memory; /* KiB before, and then by how many it grew */
};

struct reader {
	struct test *test;
	pthread_t thread;
	unsigned seed;
	uint64_t len; /* of a slow one */
};

/* Where a read stands. */
struct read {
	struct test *test;
	uint64_t at;
	bool is_slow;
};

/* KiB; 0 when the kernel does not say. */
static long own_memory(void)
{
	FILE *f = fopen("/proc/self/status", "re");
	char line[128];
	long kib = 0;

	while (f && !kib && fgets(line, sizeof(line), f))
		(void)sscanf(line, "RssAnon: %ld", &kib);
	if (f)
		(void)fclose(f);
	return kib;
}

static void wait_for_others(struct test *t)
{
	sync_lock(&t->lock);
	t->waiting++;
	sync_wake_all(&t->changed);
	while (t->running)
		sync_wait(&t->changed, &t->lock);
	sync_unlock(&t->lock);
}

static int compare(void *arg, const uint8_t *data, size_t len, struct err *e)
{
	struct read *r = arg;

	if (r->is_slow)
		wait_for_others(r->test);
	r->is_slow = false;
	if (len > r->test->file_len - r->at || memcmp(data, r->test->file + r->at, len) != 0)
		return err_set(e, ERR_INTEGRITY, "wrong bytes in %llu+%zu", (unsigned long long)r->at, len);
	r->at += len;
	return 0;
}

static void read_once(struct test *t, uint64_t off, uint64_t len, bool is_slow)
{
	struct read r = { t, off, is_slow };
	struct err e = { .msg = "too few bytes" };

	if (t->fetcher->ops->read(t->fetcher, off, len, compare, &r, &e) == 0 && r.at == off + len)
		return;
	fprintf(stderr, "%s reader, %llu+%llu: %s\n", is_slow ? "slow" : "quick", (unsigned long long)off,
		(unsigned long long)len, e.msg);
	sync_lock(&t->lock);
	t->failures++;
	sync_unlock(&t->lock);
}

static void *slow_main(void *arg)
{
	struct reader *r = arg;

	read_once(r->test, 0, r->len, true);
	return NULL;
}

static void *quick_main(void *arg)
{
	struct reader *r = arg;
	struct test *t = r->test;

	sync_lock(&t->lock);
	while (t->waiting < t->slow_count)
		sync_wait(&t->changed, &t->lock);
	sync_unlock(&t->lock);
	for (unsigned i = 0; i < t->reads; i++)
		read_once(t, (unsigned)rand_r(&r->seed) % (t->file_len - t->len + 1), t->len, false);
	sync_lock(&t->lock);
	if (t->running == 1)
		t->memory = own_memory() - t->memory;
	t->running--;
	sync_wake_all(&t->changed);
	sync_unlock(&t->lock);
	return NULL;
}

static int run(struct test *t)
{
	struct reader readers[2 * READERS_MAX];
	unsigned count = 0;

	read_once(t, 0, 1, false); /* the connection that the others share when they can */
	t->memory = own_memory();
	t->running = t->readers;
	for (unsigned i = 0; i < t->slow_count + t->readers; i++) {
		struct reader *r = &readers[count];
		bool is_slow = i < t->slow_count;

		*r = (struct reader){ .test = t, .seed = i, .len = is_slow ? t->slow[i] : 0 };
		if (pthread_create(&r->thread, NULL, is_slow ? slow_main : quick_main, r) != 0)
			return 1;
		count++;
	}
	for (unsigned i = 0; i < count; i++)
		(void)pthread_join(readers[i].thread, NULL);
	printf("%ld\n", t->memory);
	return t->failures > 0;
}

static int parse(struct test *t, int argc, char **argv)
{
	static const struct option options[] = { { "readers", required_argument, NULL, 'r' },
						 { "reads", required_argument, NULL, 'n' },
						 { "len", required_argument, NULL, 'l' },
						 { "slow", required_argument, NULL, 's' },
						 { NULL, 0, NULL, 0 } };

	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		uint64_t n = optarg ? strtoull(optarg, NULL, 10) : 0;

		if (c == 'r' && n <= READERS_MAX)
			t->readers = (unsigned)n;
		else if (c == 'n')
			t->reads = (unsigned)n;
		else if (c == 'l')
			t->len = n;
		else if (c == 's' && t->slow_count < READERS_MAX)
			t->slow[t->slow_count++] = n;
		else
			return -1;
	}
	return argc - optind == 2 ? 0 : -1;
}

static int map_file(struct test *t, const char *path)
{
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *map;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -1;
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	t->file = map;
	t->file_len = (size_t)st.st_size;
	return map == MAP_FAILED ? -1 : 0;
}

int main(int argc, char **argv)
{
	const struct stream_fetch_opt opt = { .connect_timeout_ms = CONNECT_MS,
					      .stall_timeout_ms = STALL_MS };
	struct test t = { .readers = 4, .reads = 10, .len = 64 * 1024 };
	struct err e;
	int rc;

	if (parse(&t, argc, argv) < 0) {
		fprintf(stderr, "usage: floe-test-fetch [--readers N] [--reads N] [--len BYTES] "
				"[--slow BYTES]... URL FILE\n");
		return 2;
	}
	sync_mutex_init(&t.lock);
	sync_cond_init(&t.changed);
	if (map_file(&t, argv[optind + 1]) < 0) {
		perror(argv[optind + 1]);
		return 2;
	}
	if (stream_fetcher_open(argv[optind], &opt, &t.fetcher, &e) < 0) {
		fprintf(stderr, "floe-test-fetch: %s\n", e.msg);
		return 2;
	}
	rc = run(&t);
	t.fetcher->ops->close(t.fetcher);
	(void)munmap((void *)t.file, t.file_len);
	sync_cond_fini(&t.changed);
	sync_mutex_fini(&t.lock);
	return rc;
}
