/* SPDX-License-Identifier: Apache-2.0 */
/* What tests of packages over the network stand on: two versions of a package of FILES files, the first
 * LAUNCH_FILES even ones of them in its feature block, a server that serves the first, and a cache. */
#ifndef FLOE_TEST_STREAMING_FIXTURE_H
#define FLOE_TEST_STREAMING_FIXTURE_H

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

enum { FILES = 60, FILE_SIZE = 200000, LAUNCH_FILES = 20, BIG = 6 * 1024 * 1024 };

static char top[] = "/tmp/floe-test-package-XXXXXX";
static char *config_dir, *tree, *package_path;
static struct buf package = BUF_INIT(1 << 28), package2 = BUF_INIT(1 << 28);
static struct fault_server *server;
static struct stream_cache *cache;
static char cache_dir[128];
static int cache_number;

/* ---- making packages -------------------------------------------------------------------- */

static inline uint8_t content_at(unsigned file, uint64_t off, unsigned version)
{
	uint64_t x = (off / 3 + 1) * UINT64_C(0x9E3779B97F4A7C15) + file * 7919 + (file == 5 ? version : 0);

	x ^= x >> 29;
	x *= UINT64_C(0xBF58476D1CE4E5B9);
	return (uint8_t)(x >> 32);
}

static inline uint64_t size_of_file(unsigned file)
{
	return file == FILES - 1 ? BIG : FILE_SIZE + file;
}

static inline void write_tree(unsigned version)
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

static inline void make_package(struct buf *ret)
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

static inline int set_up(void **state)
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

static inline int tear_down(void **state)
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
static inline int begin(void **state)
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

static inline int end(void **state)
{
	(void)state;
	stream_cache_close(cache);
	cache = NULL;
	return 0;
}

static inline struct stream_package *open_with(struct stream_package_opt opt)
{
	struct stream_package *p;
	struct err e;

	if (!opt.fetch.attempts)
		opt.fetch = (struct stream_fetch_opt){ 1000, 1000, 2, false };
	if (!opt.config_dir)
		opt.config_dir = config_dir;
	if (stream_package_open(fault_server_url(server), &opt, &p, &e) < 0)
		fail_msg("%s", e.msg);
	return p;
}

static inline uint64_t feature_block_end_of(const struct buf *object)
{
	struct pkg_header header;
	struct err e;

	assert_int_equal(pkg_header_decode(object->data, &header, &e), 0);
	return header.feature_block_end;
}

static inline uint64_t feature_block_end(void)
{
	return feature_block_end_of(&package);
}

static inline struct stream_package *open_cold(void)
{
	return open_with((struct stream_package_opt){ .cache = cache });
}

/* Nothing comes behind the block, as may while the header is being checked: its length is known beforehand,
 * as by a repository's list. */
static inline struct stream_package *open_block(void)
{
	return open_with((struct stream_package_opt){ .cache = cache, .start_len = feature_block_end() });
}

static inline void expect_open(const char *source, struct stream_package_opt opt, enum err_code code)
{
	struct stream_package *p;
	struct err e;

	opt.fetch = (struct stream_fetch_opt){ 500, 500, 1, false };
	assert_int_equal(stream_package_open(source, &opt, &p, &e), -1);
	if (e.code != code)
		fail_msg("expected %d: %d %s", (int)code, (int)e.code, e.msg);
}

static inline int read_file(struct stream_package *p, unsigned file, struct err *e)
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

static inline void read_right(struct stream_package *p, unsigned file)
{
	struct err e;

	if (read_file(p, file, &e) < 0)
		fail_msg("file %u: %s", file, e.msg);
}

static inline unsigned requests(void)
{
	struct fault_counts counts;

	fault_server_counts(server, &counts);
	return counts.requests;
}

static inline void read_launch(struct stream_package *p)
{
	for (unsigned i = 0; i < LAUNCH_FILES; i++)
		read_right(p, i * 2);
}

#endif
