/* SPDX-License-Identifier: Apache-2.0 */
/* A package from several origins that fail and lie in turn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/path.h"
#include "package-format/writer.h"
#include "streaming/package.h"
#include "tests/net/fault_server.h"

enum { FILES = 12, FILE_SIZE = 500000, SERVERS = 3 };

static char top[] = "/tmp/floe-test-mirrors-XXXXXX";
static char *config_dir;
static struct buf packages[2] = { BUF_INIT(1 << 28), BUF_INIT(1 << 28) };
static struct fault_server *servers[SERVERS];

static uint8_t content_at(unsigned file, uint64_t off, unsigned version)
{
	uint64_t x = (off / 3 + 1) * UINT64_C(0x9E3779B97F4A7C15) + file * 7919 + version;

	x ^= x >> 29;
	x *= UINT64_C(0xBF58476D1CE4E5B9);
	return (uint8_t)(x >> 32);
}

static void make_package(unsigned version, struct buf *ret)
{
	struct pkg_manifest m = { .name = (char[]){ "sample" }, .version = (char[]){ "1" } };
	static uint8_t data[FILE_SIZE];
	struct err e;
	auto_free char *tree = path_join(top, "tree", &e);
	auto_free char *path = path_join(top, "sample.floe", &e);
	struct pkg_writer_report report;
	struct pkg_secret_key *key;
	struct pkg_writer *w;

	assert_int_equal(path_make_dirs(tree, 0755, &e), 0);
	for (unsigned i = 0; i < FILES; i++) {
		char name[256];

		for (uint64_t k = 0; k < FILE_SIZE; k++)
			data[k] = content_at(i, k, version);
		(void)snprintf(name, sizeof(name), "%s/f%02u", tree, i);
		assert_int_equal(fd_write_file(AT_FDCWD, name, data, FILE_SIZE, 0644, &e), 0);
	}
	assert_int_equal(pkg_key_load(config_dir, "default", &key, &e), 0);
	assert_int_equal(pkg_writer_open(&(struct pkg_writer_opt){ .zstd_level = 1 }, &w, &e), 0);
	assert_int_equal(pkg_writer_add_tree(w, tree, "", &e), 0);
	if (pkg_writer_finish(w, &m, key, path, &report, &e) < 0)
		fail_msg("%s", e.msg);
	pkg_writer_close(w);
	pkg_key_close(key);
	assert_int_equal(fd_read_file(AT_FDCWD, path, ret, &e), 0);
}

static int set_up(void **state)
{
	struct pkg_public_key key;
	struct err e;

	(void)state;
	assert_non_null(mkdtemp(top));
	config_dir = path_join(top, "config", &e);
	assert_int_equal(path_make_dirs(config_dir, 0755, &e), 0);
	if (pkg_key_generate(config_dir, "default", &key, &e) < 0)
		fail_msg("%s", e.msg);
	make_package(1, &packages[0]);
	make_package(2, &packages[1]);
	for (int i = 0; i < SERVERS; i++)
		servers[i] = fault_server_start();
	return 0;
}

static int tear_down(void **state)
{
	struct err e;

	(void)state;
	for (int i = 0; i < SERVERS; i++)
		fault_server_stop(servers[i]);
	assert_int_equal(path_remove_tree(AT_FDCWD, top, &e), 0);
	buf_fini(&packages[0]);
	buf_fini(&packages[1]);
	free(config_dir);
	return 0;
}

static int begin(void **state)
{
	(void)state;
	for (int i = 0; i < SERVERS; i++) {
		fault_server_object(servers[i], packages[0].data, packages[0].len, "\"one\"");
		fault_server_fault(servers[i], FAULT_NONE, 0, 0);
		fault_server_reset_counts(servers[i]);
	}
	return 0;
}

static int open_them(struct stream_package_opt opt, struct stream_package **ret, struct err *e)
{
	const char *const mirrors[] = { fault_server_url(servers[1]), fault_server_url(servers[2]) };

	opt.config_dir = config_dir;
	opt.fetch = (struct stream_fetch_opt){ 1000, 1000, 2, false };
	opt.mirrors = mirrors;
	opt.mirror_count = 2;
	return stream_package_open(fault_server_url(servers[0]), &opt, ret, e);
}

static int read_file(struct stream_package *p, unsigned file, struct err *e)
{
	static uint8_t data[FILE_SIZE];
	struct pkg_inode inode;
	char name[16];
	size_t got;

	(void)snprintf(name, sizeof(name), "/f%02u", file);
	if (pkg_index_resolve(stream_package_index(p), name, &inode, e) < 0 ||
	    stream_package_read(p, &inode, 0, FILE_SIZE, data, &got, NULL, NULL, e) < 0)
		return -1;
	assert_int_equal(got, FILE_SIZE);
	for (size_t i = 0; i < got; i++)
		if (data[i] != content_at(file, i, 1))
			fail_msg("file %u differs at %zu", file, i);
	return 0;
}

static void read_all(struct stream_package *p)
{
	struct err e;

	for (unsigned i = 0; i < FILES; i++)
		if (read_file(p, i, &e) < 0)
			fail_msg("file %u: %s", i, e.msg);
}

/* The preferred one lies, the second has another package, the third dies now and then. */
static void test_all_at_once(void **state)
{
	struct fault_counts counts;
	struct stream_package *p;
	struct err e;

	(void)state;
	fault_server_object(servers[1], packages[1].data, packages[1].len, "\"one\"");
	fault_server_fault(servers[2], FAULT_RESET, 3, 2);
	if (open_them((struct stream_package_opt){ .no_prefetch = true }, &p, &e) < 0)
		fail_msg("%s", e.msg);
	fault_server_fault(servers[0], FAULT_FLIP, 0, 0);
	read_all(p);
	fault_server_counts(servers[2], &counts);
	assert_true(counts.requests > 3);
	fault_server_counts(servers[1], &counts);
	assert_true(counts.bytes < packages[1].len / 4);
	stream_package_close(p);
}

/* Every origin lies: the read fails, and heals when one of them does. */
static void test_all_lie(void **state)
{
	struct stream_package *p;
	struct err e;

	(void)state;
	if (open_them((struct stream_package_opt){ .no_prefetch = true, .fail_after_s = 2 }, &p, &e) < 0)
		fail_msg("%s", e.msg);
	for (int i = 0; i < SERVERS; i++)
		fault_server_fault(servers[i], FAULT_FLIP, 0, 0);
	assert_int_equal(read_file(p, 7, &e), -1);
	begin(state);
	read_all(p);
	stream_package_close(p);
}

/* The second one brings the first transfer, whose content is wrong from the index on: it is the one that is
 * left, also for what it has spoiled, and not the first. */
static void test_liar_of_the_first_transfer(void **state)
{
	auto_buf struct buf spoiled = BUF_INIT(1 << 28);
	struct fault_counts counts;
	struct stream_package *p;
	struct pkg_header header;
	struct err e;

	(void)state;
	assert_int_equal(pkg_header_decode(packages[0].data, &header, &e), 0);
	assert_int_equal(buf_add(&spoiled, packages[0].data, packages[0].len, &e), 0);
	for (size_t at = PKG_HEADER_LEN + header.index_stored_len + 100; at < spoiled.len; at += 10000)
		spoiled.data[at] ^= 1;
	fault_server_object(servers[1], spoiled.data, spoiled.len, "\"one\"");
	fault_server_fault(servers[0], FAULT_NOT_FOUND, 0, 0);
	if (open_them((struct stream_package_opt){ .memory_max = 64 << 20 }, &p, &e) < 0)
		fail_msg("%s", e.msg);
	fault_server_fault(servers[0], FAULT_NONE, 0, 0);
	read_all(p);
	fault_server_counts(servers[1], &counts);
	assert_true(counts.requests <= 3); /* of dozens of damaged chunks */
	stream_package_close(p);
	fault_server_object(servers[1], packages[0].data, packages[0].len, "\"one\"");
}

/* Who knows the version that he wants does not get another one, whoever answers first. */
static void test_wanted_version(void **state)
{
	struct stream_package_opt opt = { .no_prefetch = true };
	struct stream_package *p;
	struct pkg_header header;
	struct err e;

	(void)state;
	assert_int_equal(pkg_header_decode(packages[0].data, &header, &e), 0);
	opt.root = &header.root;
	fault_server_object(servers[0], packages[1].data, packages[1].len, "\"two\"");
	if (open_them(opt, &p, &e) < 0)
		fail_msg("%s", e.msg);
	assert_true(pkg_digest_equal(&stream_package_header(p)->root, &header.root));
	read_all(p);
	stream_package_close(p);
	for (int i = 0; i < SERVERS; i++)
		fault_server_object(servers[i], packages[1].data, packages[1].len, "\"two\"");
	assert_int_equal(open_them(opt, &p, &e), -1);
	assert_int_equal(e.code, ERR_CHANGED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_all_at_once, begin),
		cmocka_unit_test_setup(test_all_lie, begin),
		cmocka_unit_test_setup(test_liar_of_the_first_transfer, begin),
		cmocka_unit_test_setup(test_wanted_version, begin),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
