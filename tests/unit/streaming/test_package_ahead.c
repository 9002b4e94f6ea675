/* SPDX-License-Identifier: Apache-2.0 */
/* Reading ahead of who reads a large file from front to back: not in the primary feature block, but behind
 * it. */
#include "tests/unit/streaming/package_fixture.h"

#include <unistd.h>

enum { LAUNCH_LEN = 1024 * 1024, STEP = 128 * 1024 };

/* The package once more, with nothing but the beginning of the large file in its feature block. */
static int set_up_ahead(void **state)
{
	struct pkg_touch touch = { .len = LAUNCH_LEN };
	struct pkg_writer_report report;
	struct pkg_secret_key *key;
	struct stream_package *p;
	struct pkg_inode inode;
	struct err e;

	(void)set_up(state);
	assert_int_equal(stream_package_open(package_path, &(struct stream_package_opt){ 0 }, &p, &e), 0);
	assert_int_equal(pkg_index_resolve(stream_package_index(p), "f059", &inode, &e), 0);
	stream_package_close(p);
	touch.ino = inode.ino;
	assert_int_equal(pkg_key_load(config_dir, "default", &key, &e), 0);
	assert_int_equal(pkg_writer_relayout(package_path, &touch, 1, NULL, key, package_path, &report, &e),
			 0);
	pkg_key_close(key);
	buf_reset(&package);
	assert_int_equal(fd_read_file(AT_FDCWD, package_path, &package, &e), 0);
	return 0;
}

static void read_part(struct stream_package *p, uint64_t off, uint64_t end)
{
	static uint8_t data[STEP];
	struct pkg_inode inode;
	struct err e;

	assert_int_equal(pkg_index_resolve(stream_package_index(p), "f059", &inode, &e), 0);
	for (; off < end; off += STEP) {
		size_t got;

		assert_int_equal(stream_package_read(p, &inode, off, STEP, data, &got, NULL, NULL, &e), 0);
		assert_int_equal(got, STEP);
		for (size_t i = 0; i < got; i++)
			assert_int_equal(data[i], content_at(FILES - 1, off + i, 1));
	}
}

/* What a launch reads is in the block. What lies behind that in the same file is asked for when it is read.
 */
static void test_in_block(void **state)
{
	struct stream_package *p = open_block();
	struct stream_package_stats stats;

	(void)state;
	read_part(p, 0, LAUNCH_LEN);
	usleep(300000); /* for a request that should not be */
	assert_int_equal(requests(), 1);
	read_part(p, LAUNCH_LEN, BIG);
	stream_package_stats(p, &stats);
	assert_true(stats.prefetch_requests > 0);
	print_message("requests: %u\n", requests());
	assert_true(requests() <= 1 + 8);
	stream_package_close(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_in_block, begin, end),
	};

	return cmocka_run_group_tests(tests, set_up_ahead, tear_down);
}
