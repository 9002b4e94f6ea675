/* SPDX-License-Identifier: Apache-2.0 */
/* Reading what is on this machine: without a copy, and ahead of the reader. */
#include "streaming/package_state.h"
#include "tests/unit/streaming/package_fixture.h"

enum { STEP = 128 * 1024 };

static void big_file(struct stream_package *p, struct pkg_inode *ret)
{
	char name[16];
	struct err e;

	(void)snprintf(name, sizeof(name), "/f%03u", FILES - 1);
	assert_int_equal(pkg_index_resolve(stream_package_index(p), name, ret, &e), 0);
}

static size_t borrow(struct stream_package *p, const struct pkg_inode *inode, uint64_t off, size_t len)
{
	struct stream_piece pieces[STREAM_PIECES];
	size_t count, done = 0;
	struct err e;

	if (stream_package_borrow(p, inode, off, len, pieces, &count, NULL, NULL, &e) < 0)
		fail_msg("%s", e.msg);
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < pieces[i].len; k++, done++)
			if (pieces[i].data[k] != content_at(FILES - 1, off + done, 1))
				fail_msg("differs at %llu", (unsigned long long)(off + done));
	stream_pieces_unref(p, pieces, count);
	return done;
}

static void test_borrowed(void **state)
{
	struct stream_package *p = open_cold();
	struct pkg_inode inode;
	size_t borrowed = 0;

	(void)state;
	big_file(p, &inode);
	for (uint64_t off = 0; off < inode.size; off += STEP) {
		size_t len = inode.size - off < STEP ? (size_t)(inode.size - off) : STEP;
		size_t got = borrow(p, &inode, off, STEP);

		assert_true(got == len || got == 0); /* 0: three chunks meet there */
		borrowed += got;
	}
	assert_true(borrowed > inode.size / 2);
	assert_int_equal(borrow(p, &inode, 0, inode.size), 0); /* in too many places */
	assert_int_equal(borrow(p, &inode, inode.size, 1), 0);
	stream_package_close(p);
}

static bool is_in_memory(struct stream_package *p, uint32_t idx, unsigned seconds)
{
	uint64_t end = sync_now_ms() + seconds * UINT64_C(1000);
	bool found;

	sync_lock(&p->lock);
	while (!(found = memory_has(&p->memory, idx)) && sync_now_ms() < end)
		(void)sync_wait_ms(&p->changed, &p->lock, 100);
	sync_unlock(&p->lock);
	return found;
}

static void test_loaded_ahead(void **state)
{
	struct stream_package *p;
	struct pkg_extent next;
	struct pkg_inode inode;
	size_t count;
	struct err e;

	(void)state;
	assert_int_equal(stream_package_open(package_path, &(struct stream_package_opt){ 0 }, &p, &e), 0);
	big_file(p, &inode);
	assert_true(inode.size > 5 * STEP);
	assert_int_equal(pkg_index_extents(p->index, inode.ino, inode.size - 1, 1, &next, 1, &count, &e), 0);
	assert_int_equal(count, 1);
	/* One read is no order; several in a row are. */
	(void)borrow(p, &inode, 0, STEP);
	assert_false(memory_has(&p->memory, next.chunk_idx));
	for (uint64_t off = STEP; off < next.file_off; off += STEP)
		(void)borrow(p, &inode, off, STEP <= next.file_off - off ? STEP : next.file_off - off);
	assert_true(is_in_memory(p, next.chunk_idx, 20));
	stream_package_close(p);
}

/* What a launch touched lies in order, whatever files it belongs to. */
static void test_feature_block_is_loaded_ahead(void **state)
{
	struct stream_package *p;
	struct err e;

	(void)state;
	assert_int_equal(stream_package_open(package_path, &(struct stream_package_opt){ 0 }, &p, &e), 0);
	assert_true(p->block_chunks > NEAR_BLOCK + 1 && p->block_chunks < p->chunk_count);
	read_right(p, 0);
	assert_true(is_in_memory(p, NEAR_BLOCK, 20));
	/* Nothing is where nobody reads, nor behind the block. */
	assert_false(stream_package_is_loaded(p, p->block_chunks - 1));
	for (unsigned i = 0; i < LAUNCH_FILES; i++)
		read_right(p, i * 2);
	for (uint32_t idx = p->block_chunks; idx < p->chunk_count; idx++)
		assert_false(stream_package_is_loaded(p, idx));
	stream_package_close(p);
}

static uint64_t loads(struct stream_package *p)
{
	struct stream_package_stats stats;

	stream_package_stats(p, &stats);
	return stats.chunks_fetched + stats.chunks_from_cache;
}

static void read_launch_files(struct stream_package *p)
{
	for (unsigned i = 0; i < LAUNCH_FILES; i++)
		read_right(p, i * 2);
}

static void test_more_is_kept_for_a_launch(void **state)
{
	struct stream_package_opt opt = { .memory_max = 1 }; /* the least there is: 4 MiB */
	struct stream_package *p;
	struct err e;
	uint64_t once;

	(void)state;
	assert_int_equal(stream_package_open(package_path, &opt, &p, &e), 0);
	stream_package_keep(p, 64 << 20);
	read_launch_files(p);
	once = loads(p);
	assert_int_equal(once, p->block_chunks);
	read_launch_files(p);
	assert_int_equal(loads(p), once);
	stream_package_keep(p, 0);
	sync_lock(&p->lock);
	assert_true(p->memory.len <= p->opt.memory_max);
	sync_unlock(&p->lock);
	read_launch_files(p);
	assert_true(loads(p) > once);
	stream_package_close(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_borrowed, begin, end),
		cmocka_unit_test_setup_teardown(test_loaded_ahead, begin, end),
		cmocka_unit_test_setup_teardown(test_feature_block_is_loaded_ahead, begin, end),
		cmocka_unit_test_setup_teardown(test_more_is_kept_for_a_launch, begin, end),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
