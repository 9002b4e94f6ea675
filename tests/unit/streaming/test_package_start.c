/* SPDX-License-Identifier: Apache-2.0 */
/* Cold starts: one request, and what earlier launches taught. */
#include "tests/unit/streaming/package_fixture.h"

#include <unistd.h>

#include "streaming/profile.h"

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

/* Chunks are handed out while the server still sends. */
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
	assert_true(counts.bytes < feature_block_end());
	stream_package_close(p);
}

/* The first transfer breaks off, for good as far as the fetcher is concerned. */
static void test_broken_beginning(void **state)
{
	static const enum fault faults[] = { FAULT_SHORT, FAULT_RESET, FAULT_FLIP };

	for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
		struct stream_package_opt opt = { .start_len = feature_block_end(),
						  .fetch = { 1000, 1000, 1, false } };
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

static const unsigned scattered[] = { 41, 3, 44, 9, 47, 15, 50, 21, 53, 27, 56, 33, 39 };

/* Until the beginnings of files are in the cache. */
static void await_cached(struct stream_package *p, const unsigned *files, size_t count, size_t len)
{
	bool is_there = false;

	for (unsigned tries = 0; !is_there && tries < 1000; tries++) {
		is_there = true;
		for (size_t i = 0; i < count; i++) {
			struct pkg_inode inode;
			struct pkg_extent x[8];
			char name[16];
			struct err e;
			size_t n;

			(void)snprintf(name, sizeof(name), "f%03u", files[i]);
			assert_int_equal(pkg_index_resolve(stream_package_index(p), name, &inode, &e), 0);
			assert_int_equal(pkg_index_extents(stream_package_index(p), inode.ino, 0, len, x,
							   ARRAY_LEN(x), &n, &e),
					 0);
			for (size_t k = 0; k < n; k++)
				is_there &= stream_package_has(p, x[k].chunk_idx);
		}
		usleep(10000);
	}
	assert_true(is_there);
}

/* Requests for a launch and scattered files beyond it, with an empty cache. Waits before reading until what
 * is prefetched is there. */
static unsigned launch_scattered(const struct buf *object, const char *profile_dir, bool expects_prefetch)
{
	struct stream_package *p;
	unsigned count;

	assert_int_equal(end(NULL), 0);
	assert_int_equal(begin(NULL), 0);
	fault_server_object(server, object->data, object->len, "\"learn\"");
	fault_server_delay(server, 100);
	p = open_with((struct stream_package_opt){
		.cache = cache, .profile_dir = profile_dir, .start_len = feature_block_end_of(object) });
	stream_package_launch(p, NULL);
	if (expects_prefetch)
		await_cached(p, scattered, ARRAY_LEN(scattered), 1);
	read_launch(p);
	for (size_t i = 0; i < ARRAY_LEN(scattered); i++)
		read_right(p, scattered[i]);
	count = requests();
	stream_package_close(p);
	return count;
}

/* A first transfer that is faster than its readers is decompressed once, if there is memory for it; else what
 * is wanted first stays, and the rest is read again. */
static void test_memory_at_first(void **state)
{
	unsigned launched[LAUNCH_FILES];

	(void)state;
	for (unsigned i = 0; i < LAUNCH_FILES; i++)
		launched[i] = i * 2;
	for (int has_room = 0; has_room < 2; has_room++) {
		struct stream_package_opt opt = { .memory_max = 1,
						  .memory_first = has_room ? 64 << 20 : 1 << 20,
						  .start_len = feature_block_end() };
		struct stream_package_stats stats;
		struct stream_package *p;

		assert_int_equal(end(state), 0);
		assert_int_equal(begin(state), 0);
		opt.cache = cache;
		p = open_with(opt);
		await_cached(p, launched, LAUNCH_FILES, FILE_SIZE);
		read_launch(p);
		stream_package_stats(p, &stats);
		assert_int_equal(stats.chunks_from_cache > 0, !has_room);
		assert_true(stats.chunks_from_cache < stats.chunks_fetched);
		stream_package_close(p);
	}
}

/* The profile as a version would leave it in which all content is elsewhere. */
static void misplace(const char *dir)
{
	struct stream_profile profile;
	struct pkg_header header;
	struct pkg_digest key;
	struct err e;

	assert_int_equal(pkg_header_decode(package.data, &header, &e), 0);
	stream_profile_key(&header, "sample", "", &key);
	assert_int_equal(stream_profile_load(dir, &key, &profile, &e), 0);
	assert_true(profile.count >= LAUNCH_FILES + ARRAY_LEN(scattered));
	for (size_t i = 0; i < profile.count; i++)
		profile.entries[i].chunk_idx = i % 2 ? 0 : UINT32_MAX;
	assert_int_equal(stream_profile_save(dir, &key, &profile, &e), 0);
	stream_profile_fini(&profile);
}

/* What a launch touched comes by itself at the next, merged into few requests; also in another version. */
static void test_learning(void **state)
{
	unsigned first, second, third;
	char dir[128];

	(void)state;
	(void)snprintf(dir, sizeof(dir), "%s/learnt", top);
	first = launch_scattered(&package, dir, false);
	second = launch_scattered(&package, dir, true);
	misplace(dir);
	third = launch_scattered(&package2, dir, true);
	print_message("requests: %u, then %u, of another version %u\n", first, second, third);
	assert_true(first >= 10);
	assert_true(second <= 6);
	assert_true(third <= 6);
	assert_true(launch_scattered(&package, NULL, false) >= 10);
}

/* ---- commands ---------------------------------------------------------------------------- */

static const unsigned of_one[] = { 3, 7, 11 }, of_two[] = { 45, 49, 53 };
enum { THREE = 3 };

static bool has_file(struct stream_package *p, unsigned file)
{
	struct pkg_inode inode;
	struct pkg_extent x[64];
	bool has = true;
	char name[16];
	struct err e;
	size_t n;

	(void)snprintf(name, sizeof(name), "f%03u", file);
	assert_int_equal(pkg_index_resolve(stream_package_index(p), name, &inode, &e), 0);
	assert_int_equal(
		pkg_index_extents(stream_package_index(p), inode.ino, 0, inode.size, x, ARRAY_LEN(x), &n, &e),
		0);
	for (size_t i = 0; i < n; i++)
		has &= stream_package_has(p, x[i].chunk_idx);
	return has;
}

static struct stream_package *open_to_learn(const char *dir)
{
	assert_int_equal(end(NULL), 0);
	assert_int_equal(begin(NULL), 0);
	return open_with((struct stream_package_opt){
		.cache = cache, .profile_dir = dir, .start_len = feature_block_end() });
}

static void read_all(struct stream_package *p, const unsigned files[THREE])
{
	for (size_t i = 0; i < THREE; i++)
		read_right(p, files[i]);
}

/* A cold launch of `command` brings `files` before anybody reads, and none of `others`. */
static void expect_replay(const char *dir, const char *command, const unsigned files[THREE],
			  const unsigned others[THREE])
{
	struct stream_package *p = open_to_learn(dir);
	bool is_there = false;

	stream_package_launch(p, command);
	for (unsigned tries = 0; !is_there && tries < 2000; tries++) {
		is_there = true;
		for (size_t i = 0; i < THREE; i++)
			is_there &= has_file(p, files[i]);
		usleep(10000);
	}
	assert_true(is_there);
	usleep(200000); /* what might come behind it */
	for (size_t i = 0; i < THREE; i++)
		assert_false(has_file(p, others[i]));
	stream_package_close(p);
}

/* Each command its own, also when one is launched while another is being recorded. */
static void test_commands(void **state)
{
	struct stream_package *p;
	char dir[128];

	(void)state;
	(void)snprintf(dir, sizeof(dir), "%s/commands", top);
	p = open_to_learn(dir);
	read_right(p, of_one[0]); /* before anybody has said who */
	stream_package_launch(p, "one");
	stream_package_launch(p, "one");
	read_all(p, of_one);
	stream_package_launch(p, "two");
	read_all(p, of_two);
	stream_package_launch(p, "one"); /* has had its turn */
	read_right(p, of_two[0]);
	stream_package_close(p);
	expect_replay(dir, "one", of_one, of_two);
	expect_replay(dir, "two", of_two, of_one);
	/* Nobody has launched the default command: nothing is known of a stranger. */
	p = open_to_learn(dir);
	stream_package_launch(p, "/usr/bin/stranger");
	read_launch(p);
	usleep(200000);
	assert_false(has_file(p, of_one[0]) || has_file(p, of_two[0]));
	stream_package_close(p);
	p = open_to_learn(dir);
	stream_package_launch(p, NULL);
	read_all(p, of_two);
	stream_package_close(p);
	expect_replay(dir, "/usr/bin/other", of_two, of_one);
}

/* Two commands in one: the second, launched later, comes at once, too, with what it shares with the first. */
static void test_second_command(void **state)
{
	struct stream_package *p;
	char dir[128];

	(void)state;
	(void)snprintf(dir, sizeof(dir), "%s/second", top);
	p = open_to_learn(dir);
	stream_package_launch(p, "one");
	read_all(p, of_one);
	stream_package_launch(p, "two");
	read_all(p, of_two);
	read_right(p, of_one[0]);
	stream_package_close(p);
	p = open_to_learn(dir);
	stream_package_launch(p, "two");
	for (unsigned tries = 0; !has_file(p, of_one[0]) && tries < 500; tries++)
		usleep(10000);
	assert_true(has_file(p, of_one[0]));
	stream_package_close(p);
	p = open_to_learn(dir);
	stream_package_launch(p, "one");
	read_all(p, of_one);
	assert_false(has_file(p, of_two[0]));
	stream_package_launch(p, "two");
	for (unsigned tries = 0; !has_file(p, of_two[THREE - 1]) && tries < 2000; tries++)
		usleep(10000);
	assert_true(has_file(p, of_two[THREE - 1]));
	stream_package_close(p);
}

/* So many that the last ones are not told apart; nothing worse happens. */
static void test_many_commands(void **state)
{
	struct stream_package *p;
	char dir[128], name[16];

	(void)state;
	(void)snprintf(dir, sizeof(dir), "%s/many", top);
	p = open_to_learn(dir);
	for (unsigned i = 0; i < 100; i++) {
		(void)snprintf(name, sizeof(name), "c%u", i);
		stream_package_launch(p, name);
		read_right(p, i == 0 ? of_one[0] : of_two[i % THREE]);
	}
	stream_package_close(p);
	p = open_to_learn(dir);
	stream_package_launch(p, "c0");
	for (unsigned tries = 0; !has_file(p, of_one[0]) && tries < 2000; tries++)
		usleep(10000);
	assert_true(has_file(p, of_one[0]));
	stream_package_close(p);
}

/* A server without ranges: the beginning, and then all of the rest in one go. */
static void test_without_ranges(void **state)
{
	struct stream_package *p;
	struct fault_counts counts;

	(void)state;
	fault_server_fault(server, FAULT_WHOLE, 0, 0);
	p = open_cold();
	for (unsigned i = 0; i < FILES; i++)
		read_right(p, FILES - 1 - i);
	stream_package_close(p);
	fault_server_counts(server, &counts);
	assert_in_range(counts.requests, 1, 2);
	/* Known: only the question whether it still is the same. */
	p = open_cold();
	for (unsigned i = 0; i < FILES; i++)
		read_right(p, i);
	stream_package_close(p);
	fault_server_counts(server, &counts);
	assert_in_range(counts.requests, 2, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_memory_at_first, begin, end),
		cmocka_unit_test_setup_teardown(test_one_request, begin, end),
		cmocka_unit_test_setup_teardown(test_open_before_the_end, begin, end),
		cmocka_unit_test_setup_teardown(test_broken_beginning, begin, end),
		cmocka_unit_test_setup_teardown(test_learning, begin, end),
		cmocka_unit_test_setup_teardown(test_commands, begin, end),
		cmocka_unit_test_setup_teardown(test_second_command, begin, end),
		cmocka_unit_test_setup_teardown(test_many_commands, begin, end),
		cmocka_unit_test_setup_teardown(test_without_ranges, begin, end),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
