/* SPDX-License-Identifier: Apache-2.0 */
/* Lazy files under load: random operations against a buffer in memory, threads in the same blocks, and
 * processes killed in the midst of it. FLOE_TEST_SEED=N repeats a run, FLOE_TEST_RUNS=N makes more. */
#include "tests/unit/vfs/lazy_fixture.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <time.h>

#include "vfs/cow_lazy.h"

static unsigned from_environment(const char *name, unsigned otherwise)
{
	const char *value = getenv(name);

	return value ? (unsigned)strtoul(value, NULL, 10) : otherwise;
}

/* ---- random operations ------------------------------------------------------------------ */

enum { MODEL_MAX = 512 * 1024, MODEL_STEPS = 1500 };

struct model {
	uint8_t bytes[MODEL_MAX];
	uint64_t size;
	int fd;
	struct cow_lazy *z;
	struct fake_layer layer;
	unsigned seed, random;
};

static uint64_t below(struct model *m, uint64_t end)
{
	return end ? (uint64_t)rand_r(&m->random) % end : 0;
}

/* Offsets like to be where blocks or the end or the limit are. */
static uint64_t some_offset(struct model *m)
{
	uint64_t off = below(m, MODEL_MAX);

	switch (below(m, 6)) {
	case 0:
		return off & ~4095ull;
	case 1:
		return (m->size + below(m, 9)) % MODEL_MAX;
	case 2:
		return (m->layer.size + below(m, 9)) % MODEL_MAX;
	default:
		return off;
	}
}

static uint64_t some_length(struct model *m, uint64_t off)
{
	uint64_t most = below(m, 4) ? 9000 : 100000, len = 1 + below(m, most);

	if (below(m, 4) == 0)
		len = (len + 4095) & ~4095ull;
	return len < MODEL_MAX - off ? len : MODEL_MAX - off;
}

static void do_read(struct model *m)
{
	uint64_t off = some_offset(m), len = some_length(m, off);
	static uint8_t buf[MODEL_MAX];
	size_t got, expected = off < m->size ? (size_t)(m->size - off) : 0;

	if (expected > len)
		expected = (size_t)len;
	assert_int_equal(cow_content_read(m->fd, m->z, buf, (size_t)len, off, &got, NULL, NULL), 0);
	assert_int_equal(got, expected);
	for (size_t i = 0; i < got; i++)
		if (buf[i] != m->bytes[off + i])
			fail_msg("byte %ju of %ju is %d, not %d", (uintmax_t)(off + i), (uintmax_t)m->size,
				 buf[i], m->bytes[off + i]);
}

static void do_write(struct model *m)
{
	uint64_t off = some_offset(m), len = some_length(m, off);
	bool is_zero = below(m, 3) == 0;
	size_t put;

	if (off > m->size)
		memset(m->bytes + m->size, 0, off - m->size);
	for (uint64_t i = off; i < off + len; i++)
		m->bytes[i] = is_zero ? 0 : (uint8_t)(128 + below(m, 128));
	if (off + len > m->size)
		m->size = off + len;
	assert_int_equal(cow_content_write(m->fd, m->z, m->bytes + off, (size_t)len, off, &put), 0);
	assert_int_equal(put, len);
}

static void set_model_size(struct model *m, uint64_t size)
{
	if (size > m->size)
		memset(m->bytes + m->size, 0, size - m->size);
	m->size = size;
}

static void do_truncate(struct model *m)
{
	/* Mostly upwards, or there would soon be nothing left of the layer. */
	uint64_t size = below(m, 8) && m->size < MODEL_MAX ? m->size + below(m, MODEL_MAX - m->size)
							   : m->size - below(m, m->size / 4 + 1);

	set_model_size(m, size);
	assert_int_equal(cow_content_truncate(m->fd, m->z, size), 0);
}

static void do_allocate(struct model *m)
{
	static const int modes[] = { 0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				     FALLOC_FL_ZERO_RANGE, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE };
	int mode = modes[below(m, ARRAY_LEN(modes))], error;
	uint64_t off = some_offset(m), len = some_length(m, off), end = off + len;

	error = cow_content_allocate(m->fd, m->z, mode, off, len);
	if (error == EOPNOTSUPP && (mode & FALLOC_FL_ZERO_RANGE))
		return; /* tmpfs, btrfs at times */
	assert_int_equal(error, 0);
	if (!(mode & FALLOC_FL_KEEP_SIZE) && end > m->size)
		set_model_size(m, end);
	if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE) && off < m->size)
		memset(m->bytes + off, 0, (end < m->size ? end : m->size) - off);
}

static void do_seek(struct model *m)
{
	uint64_t off = some_offset(m), at = 0;
	int whence = below(m, 2) ? SEEK_DATA : SEEK_HOLE, error;

	error = cow_content_seek(m->fd, m->z, off, whence, &at);
	if (error == ENXIO)
		at = m->size;
	else
		assert_int_equal(error, 0);
	assert_true(error || (at >= off && at <= m->size));
	if (whence == SEEK_DATA)
		for (uint64_t i = off; i < at; i++)
			assert_int_equal(m->bytes[i], 0);
	else if (error)
		assert_true(off >= m->size);
	else if (at < m->size)
		assert_int_equal(m->bytes[at], 0);
}

static void reopen(struct model *m)
{
	bool done = !m->z || cow_lazy_is_done(m->z);

	cow_lazy_close(m->z);
	m->z = NULL;
	assert_int_equal(done, !has_attribute(m->fd));
	if (!done)
		m->z = open_lazy(m->fd, &m->layer);
}

/* All pages go out of memory, or zeros come in for all holes. */
static void disturb_memory(struct model *m)
{
	static uint8_t buf[MODEL_MAX];

	if (below(m, 2)) {
		assert_int_equal(fsync(m->fd), 0);
		assert_int_equal(posix_fadvise(m->fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	} else {
		assert_true(pread(m->fd, buf, sizeof(buf), 0) >= 0);
	}
}

static void do_copy(struct model *m)
{
	uint64_t from = some_offset(m), to = some_offset(m), len = some_length(m, from > to ? from : to), n;
	struct cow_source in = { .fd = m->fd, .lazy = m->z };

	if (from + len > m->size || (from < to + len && to < from + len))
		return;
	assert_int_equal(cow_content_copy(&in, from, m->fd, m->z, to, len, &n), 0);
	assert_int_equal(n, len);
	if (to + len > m->size)
		set_model_size(m, to + len);
	memmove(m->bytes + to, m->bytes + from, len);
}

static void step(struct model *m)
{
	switch (below(m, 16)) {
	case 0 ... 4:
		do_read(m);
		break;
	case 5 ... 9:
		do_write(m);
		break;
	case 10:
		do_truncate(m);
		break;
	case 11:
	case 12:
		do_allocate(m);
		break;
	case 13:
		do_seek(m);
		break;
	case 14:
		do_copy(m);
		break;
	default:
		if (below(m, 8) == 0)
			disturb_memory(m);
		else if (below(m, 2))
			reopen(m);
	}
}

static void check_all(struct model *m)
{
	static uint8_t buf[MODEL_MAX + 1];
	size_t got;

	assert_int_equal(cow_content_read(m->fd, m->z, buf, sizeof(buf), 0, &got, NULL, NULL), 0);
	assert_int_equal(got, m->size);
	assert_memory_equal(buf, m->bytes, got);
}

static void run_model(const struct place *p, unsigned seed, unsigned steps)
{
	static struct model m;

	m = (struct model){ .random = seed, .seed = seed };
	m.layer =
		fake_layer_of(below(&m, 8) ? MODEL_MAX / 8 + below(&m, MODEL_MAX * 3 / 4) : below(&m, 9000));
	m.fd = new_file(p);
	m.z = make_lazy(m.fd, &m.layer);
	m.size = m.layer.size;
	for (uint64_t i = 0; i < m.size; i++)
		m.bytes[i] = old_byte(i);
	for (unsigned i = 0; i < steps; i++) {
		step(&m);
		if (i % 64 == 0)
			check_all(&m);
	}
	check_all(&m);
	reopen(&m);
	check_all(&m);
	cow_lazy_close(m.z);
	fd_close(m.fd);
}

static void test_model(void **state)
{
	unsigned seed = from_environment("FLOE_TEST_SEED", (unsigned)time(NULL) & 0xffffff);

	(void)state;
	for (unsigned run = 0; run < from_environment("FLOE_TEST_RUNS", 4); run++)
		for (size_t i = 0; i < place_count; i++) {
			print_message("%s: FLOE_TEST_SEED=%u\n", places[i].name, seed + run);
			run_model(&places[i], seed + run, run % 2 ? MODEL_STEPS : MODEL_STEPS / 8);
		}
}

/* ---- threads ---------------------------------------------------------------------------- */

enum { CROWD = 4, CROWD_SIZE = 512 * 1024, PATCH = 96 };

struct crowd {
	int fd;
	struct fake_layer *layer;
	atomic_bool is_over;
};
struct worker {
	struct crowd *crowd;
	unsigned number;
};

static uint8_t new_byte(uint64_t off)
{
	return (uint8_t)(128 + off % 127);
}

/* Patches belong to threads in turn; whole blocks, every 16th, to whoever comes. The file is opened anew all
 * the time, as when a cache is too small. */
static void *patch(void *arg)
{
	struct worker *w = arg;
	uint8_t bytes[4096];
	unsigned random = w->number;
	struct cow_lazy *z = open_lazy(w->crowd->fd, w->crowd->layer);
	size_t put, count = CROWD_SIZE / PATCH / CROWD;

	for (size_t i = 0; i < count; i++) {
		uint64_t nth = (i * 7919 % count) * CROWD + w->number, off = nth * PATCH, len = PATCH;

		if (rand_r(&random) % 16 == 0) {
			off &= ~4095ull;
			len = 4096;
		}
		for (size_t j = 0; j < len; j++)
			bytes[j] = new_byte(off + j);
		if (cow_content_write(w->crowd->fd, z, bytes, len, off, &put) != 0 || put != len)
			abort();
		if (rand_r(&random) % 64 == 0) {
			cow_lazy_close(z);
			z = open_lazy(w->crowd->fd, w->crowd->layer);
		}
		if (len == 4096)
			i--; /* its patch is still to come */
	}
	cow_lazy_close(z);
	return NULL;
}

/* Whatever is seen is old or new, and what is new stays. */
static void *watch(void *arg)
{
	struct crowd *c = arg;
	static uint8_t seen[CROWD_SIZE];
	static uint8_t bytes[65536];
	unsigned random = 99;
	struct cow_lazy *z = open_lazy(c->fd, c->layer);
	size_t got;

	while (!atomic_load(&c->is_over)) {
		uint64_t off = (uint64_t)rand_r(&random) % (CROWD_SIZE - sizeof(bytes));

		if (pread(c->fd, bytes, sizeof(bytes), (off_t)off) < 0) /* zeros into memory */
			abort();
		if (cow_content_read(c->fd, z, bytes, sizeof(bytes), off, &got, NULL, NULL) != 0 ||
		    got != sizeof(bytes))
			abort();
		for (size_t i = 0; i < got; i++) {
			uint8_t expected =
				seen[off + i] || bytes[i] != old_byte(off + i) ? new_byte(off + i) : bytes[i];

			if (bytes[i] != expected) {
				print_error("byte %ju is %d, old %d, new %d, was new: %d\n",
					    (uintmax_t)(off + i), bytes[i], old_byte(off + i),
					    new_byte(off + i), seen[off + i]);
				abort();
			}
			seen[off + i] = bytes[i] == new_byte(off + i);
		}
	}
	memset(seen, 0, sizeof(seen));
	cow_lazy_close(z);
	return NULL;
}

static void run_crowd(const struct place *p, unsigned delay_us)
{
	struct fake_layer layer = fake_layer_of(CROWD_SIZE + 1);
	struct crowd c = { .fd = new_file(p), .layer = &layer };
	struct cow_lazy *z;
	struct worker workers[CROWD];
	pthread_t threads[CROWD], watcher;
	static uint8_t bytes[CROWD_SIZE + 1];
	size_t got;

	layer.delay_us = delay_us;
	cow_lazy_close(make_lazy(c.fd, &layer));
	assert_int_equal(pthread_create(&watcher, NULL, watch, &c), 0);
	for (unsigned i = 0; i < CROWD; i++) {
		workers[i] = (struct worker){ &c, i };
		assert_int_equal(pthread_create(&threads[i], NULL, patch, &workers[i]), 0);
	}
	for (unsigned i = 0; i < CROWD; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	atomic_store(&c.is_over, true);
	assert_int_equal(pthread_join(watcher, NULL), 0);
	z = open_lazy(c.fd, &layer);
	assert_int_equal(cow_content_read(c.fd, z, bytes, sizeof(bytes), 0, &got, NULL, NULL), 0);
	for (size_t i = 0; i < CROWD_SIZE / PATCH / CROWD * CROWD * PATCH; i++)
		if (bytes[i] != new_byte(i))
			fail_msg("byte %zu is %d, not %d", i, bytes[i], new_byte(i));
	assert_int_equal(bytes[CROWD_SIZE], old_byte(CROWD_SIZE));
	assert_false(cow_lazy_is_done(z));
	assert_int_equal(cow_content_write(c.fd, z, "x", 1, CROWD_SIZE, &got), 0);
	assert_int_equal(cow_content_write(c.fd, z, bytes, 4096, CROWD_SIZE - 4096, &got), 0);
	assert_true(cow_lazy_is_done(z));
	cow_lazy_close(z);
	fd_close(c.fd);
}

static void test_crowd(void **state)
{
	(void)state;
	for (size_t i = 0; i < place_count; i++)
		for (unsigned run = 0; run < 2 + from_environment("FLOE_TEST_RUNS", 1); run++)
			run_crowd(&places[i], run % 3 == 0 ? 300 : 0);
}

/* ---- killed ----------------------------------------------------------------------------- */

enum { VICTIM_SIZE = 4 * 1024 * 1024 + 1234 };

/* What the parent may expect. */
struct progress {
	_Atomic uint64_t cut, cut_done; /* everything from here on is zeros, perhaps and surely */
};

/* Whole blocks in the first half, pieces in the second. */
static void scribble(int fd, struct fake_layer *layer, struct progress *progress)
{
	struct cow_lazy *z = open_lazy(fd, layer);
	static uint8_t bytes[256 * 1024];
	unsigned random = (unsigned)getpid();
	size_t put;

	(void)progress;
	for (;;) {
		bool is_whole = rand_r(&random) % 2;
		uint64_t off = (uint64_t)rand_r(&random) % (VICTIM_SIZE / 2), len;

		len = 1 + (uint64_t)rand_r(&random) % (rand_r(&random) % 2 ? sizeof(bytes) : 5000);
		off = is_whole ? off & ~4095ull : VICTIM_SIZE / 2 + off;
		len = is_whole ? (len + 4095) & ~4095ull : len;
		if (off + len > (is_whole ? VICTIM_SIZE / 2 : VICTIM_SIZE))
			continue;
		for (size_t i = 0; i < len; i++)
			bytes[i] = new_byte(off + i);
		if (cow_content_write(fd, z, bytes, len, off, &put) != 0)
			_exit(1);
	}
}

static void cut_and_grow(int fd, struct fake_layer *layer, struct progress *progress)
{
	struct cow_lazy *z = open_lazy(fd, layer);
	unsigned random = (unsigned)getpid();

	for (;;) {
		uint64_t cut = progress->cut_done - (uint64_t)rand_r(&random) % (progress->cut_done / 64 + 1);

		progress->cut = cut;
		if (cow_content_truncate(fd, z, cut) != 0)
			_exit(1);
		progress->cut_done = cut;
		if (cow_content_truncate(fd, z, VICTIM_SIZE + (uint64_t)rand_r(&random) % 99999) != 0)
			_exit(1);
	}
}

static void kill_midway(void (*victim)(int fd, struct fake_layer *layer, struct progress *progress), int fd,
			struct fake_layer *layer, struct progress *progress)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0)
		victim(fd, layer, progress);
	(void)usleep(1000 + (unsigned)rand() % 30000);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
}

static void expect_old_or_new(const uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (bytes[i] != old_byte(i) && bytes[i] != new_byte(i))
			fail_msg("byte %zu is %d, neither %d nor %d", i, bytes[i], old_byte(i), new_byte(i));
		if (i % 4096 > 0 && i < VICTIM_SIZE / 2 / 4096 * 4096 &&
		    (bytes[i] == new_byte(i)) != (bytes[i - 1] == new_byte(i - 1)))
			fail_msg("byte %zu is %d, the one before is not", i, bytes[i]);
	}
}

static void run_scribble(const struct place *p, unsigned runs)
{
	static uint8_t bytes[VICTIM_SIZE];

	for (unsigned run = 0; run < runs; run++) {
		struct fake_layer layer = fake_layer_of(VICTIM_SIZE);
		auto_fd int fd = new_file(p);
		struct cow_lazy *z = make_lazy(fd, &layer);
		size_t got;

		cow_lazy_close(z);
		for (int again = 0; again < 3; again++) {
			kill_midway(scribble, fd, &layer, NULL);
			if (!has_attribute(fd))
				break;
			z = open_lazy(fd, &layer);
			assert_int_equal(cow_content_read(fd, z, bytes, sizeof(bytes), 0, &got, NULL, NULL),
					 0);
			assert_int_equal(got, sizeof(bytes));
			expect_old_or_new(bytes, sizeof(bytes));
			cow_lazy_close(z);
		}
	}
}

static void run_cuts(const struct place *p, unsigned runs)
{
	struct progress *progress =
		mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	static uint8_t bytes[VICTIM_SIZE + 100000];

	assert_ptr_not_equal(progress, MAP_FAILED);
	for (unsigned run = 0; run < runs; run++) {
		struct fake_layer layer = fake_layer_of(VICTIM_SIZE);
		auto_fd int fd = new_file(p);
		struct cow_lazy *z = make_lazy(fd, &layer);
		size_t got;

		cow_lazy_close(z);
		progress->cut = progress->cut_done = VICTIM_SIZE;
		for (int again = 0; again < 3; again++) {
			kill_midway(cut_and_grow, fd, &layer, progress);
			z = has_attribute(fd) ? open_lazy(fd, &layer) : NULL;
			assert_int_equal(cow_content_read(fd, z, bytes, sizeof(bytes), 0, &got, NULL, NULL),
					 0);
			assert_true(got >= progress->cut);
			for (size_t i = 0; i < got; i++)
				if (!(i < progress->cut_done && bytes[i] == old_byte(i)) &&
				    !(i >= progress->cut && bytes[i] == 0))
					fail_msg("byte %zu is %d, cut at %ju or %ju", i, bytes[i],
						 (uintmax_t)progress->cut, (uintmax_t)progress->cut_done);
			progress->cut_done = progress->cut;
			assert_int_equal(cow_content_truncate(fd, z, progress->cut_done), 0);
			cow_lazy_close(z);
			if (!has_attribute(fd))
				break;
		}
	}
	(void)munmap(progress, sizeof(*progress));
}

static void test_killed(void **state)
{
	unsigned runs = 4 * from_environment("FLOE_TEST_RUNS", 1);

	(void)state;
	for (size_t i = 0; i < place_count; i++) {
		run_scribble(&places[i], runs);
		run_cuts(&places[i], runs);
	}
}

/* ---- the locks -------------------------------------------------------------------------- */

struct turn {
	struct cow_ranges *ranges;
	uint64_t start, end;
	atomic_int *inside; /* one per 10 bytes of 100 */
};

static void *take_turns(void *arg)
{
	struct turn *t = arg;

	for (int n = 0; n < 2000; n++) {
		struct cow_range range;

		cow_ranges_lock(t->ranges, &range, t->start, t->end);
		for (uint64_t i = t->start / 10; i < t->end / 10; i++)
			if (atomic_fetch_add(&t->inside[i], 1) != 0)
				abort();
		for (uint64_t i = t->start / 10; i < t->end / 10; i++)
			atomic_fetch_sub(&t->inside[i], 1);
		cow_ranges_unlock(t->ranges, &range);
		cow_ranges_wait(t->ranges, t->start, t->end);
	}
	return NULL;
}

static void test_ranges(void **state)
{
	static atomic_int inside[10];
	struct cow_ranges ranges;
	struct cow_range one, other;
	struct turn turns[] = { { &ranges, 0, 30, inside },
				{ &ranges, 20, 50, inside },
				{ &ranges, 40, 100, inside },
				{ &ranges, 0, 100, inside } };
	pthread_t threads[ARRAY_LEN(turns)];

	(void)state;
	cow_ranges_init(&ranges);
	cow_ranges_lock(&ranges, &one, 0, 10);
	cow_ranges_lock(&ranges, &other, 10, 20); /* beside each other: at once */
	cow_ranges_wait(&ranges, 20, 30);
	cow_ranges_unlock(&ranges, &one);
	cow_ranges_unlock(&ranges, &other);
	for (size_t i = 0; i < ARRAY_LEN(turns); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, take_turns, &turns[i]), 0);
	for (size_t i = 0; i < ARRAY_LEN(turns); i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	cow_ranges_fini(&ranges);
}

/* ---- who waits for whom ----------------------------------------------------------------- */

struct meeting {
	int fd;
	struct cow_lazy *z;
	uint8_t bytes[4096];
	atomic_bool is_done;
};

static void *read_block(void *arg)
{
	struct meeting *m = arg;
	size_t got;

	if (cow_content_read(m->fd, m->z, m->bytes, 4096, 4096, &got, NULL, NULL) != 0 || got != 4096)
		abort();
	atomic_store(&m->is_done, true);
	return NULL;
}

static void *write_block(void *arg)
{
	struct meeting *m = arg;
	size_t put;

	memset(m->bytes, 200, sizeof(m->bytes));
	if (cow_content_write(m->fd, m->z, m->bytes, 4096, 4096, &put) != 0 || put != 4096)
		abort();
	atomic_store(&m->is_done, true);
	return NULL;
}

/* We are filling the second block: the file system calls it data, the bytes are not there yet. */
static void meet(const struct place *p, void *(*other)(void *arg), uint8_t expected)
{
	struct fake_layer layer = fake_layer_of(16384);
	struct meeting m = { .fd = new_file(p) };
	static const uint8_t zeros[4096];
	struct cow_range range;
	uint8_t bytes[4096];
	pthread_t thread;
	size_t got;

	m.z = make_lazy(m.fd, &layer);
	memset(bytes, 100, sizeof(bytes));
	cow_ranges_lock(&m.z->ranges, &range, 4096, 8192);
	assert_int_equal(pwrite(m.fd, zeros, 4096, 4096), 4096);
	assert_int_equal(pthread_create(&thread, NULL, other, &m), 0);
	(void)usleep(30000);
	assert_false(atomic_load(&m.is_done));
	assert_int_equal(pwrite(m.fd, bytes, 4096, 4096), 4096);
	cow_ranges_unlock(&m.z->ranges, &range);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(m.bytes[7], expected);
	assert_int_equal(cow_content_read(m.fd, m.z, bytes, 4096, 4096, &got, NULL, NULL), 0);
	assert_int_equal(bytes[7], expected);
	assert_int_equal(cow_content_read(m.fd, m.z, bytes, 1, 9000, &got, NULL, NULL), 0);
	assert_int_equal(bytes[0], old_byte(9000));
	cow_lazy_close(m.z);
	fd_close(m.fd);
}

static void test_meetings(void **state)
{
	(void)state;
	for (size_t i = 0; i < place_count; i++) {
		meet(&places[i], read_block, 100);
		meet(&places[i], write_block, 200);
	}
}

/* Of a file that is written to there is one state; it outlives the descriptor that it was opened by. */
static void test_one_state(void **state)
{
	struct fake_layer layer = fake_layer_of(16384);
	int fd = new_file(&places[0]);
	struct cow_lazy *z = make_lazy(fd, &layer), *again, *reader;
	auto_fd int second = -1, third = -1;
	char path[64];
	uint8_t byte;
	size_t got;

	(void)state;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	second = open(path, O_RDWR | O_CLOEXEC);
	third = open(path, O_RDONLY | O_CLOEXEC);
	again = open_lazy(second, &layer);
	reader = open_lazy(third, &layer);
	assert_ptr_equal(again, z);
	assert_ptr_not_equal(reader, z);
	cow_lazy_close(z);
	fd_close(fd);
	assert_int_equal(cow_content_write(second, again, "x", 1, 5000, &got), 0);
	assert_int_equal(cow_content_read(third, reader, &byte, 1, 5000, &got, NULL, NULL), 0);
	assert_int_equal(byte, 'x');
	assert_int_equal(cow_content_read(third, reader, &byte, 1, 5001, &got, NULL, NULL), 0);
	assert_int_equal(byte, old_byte(5001));
	cow_lazy_close(reader);
	cow_lazy_close(again);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model),    cmocka_unit_test(test_crowd),
		cmocka_unit_test(test_killed),   cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_meetings), cmocka_unit_test(test_one_state),
	};

	return cmocka_run_group_tests(tests, make_places, remove_places);
}
