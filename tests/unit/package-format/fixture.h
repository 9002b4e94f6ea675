/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of package-format share: a directory that goes away, a key that is always the same, and a
 * reader of packages that is as plain as FORMAT.md. */
#ifndef FLOE_TEST_PACKAGE_FIXTURE_H
#define FLOE_TEST_PACKAGE_FIXTURE_H

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/path.h"
#include "package-format/chunk.h"
#include "package-format/header.h"
#include "package-format/index.h"
#include "package-format/writer.h"

/* Ed25519, seed 00 01 02 ... 1f; signs nothing but tests. */
static const char throwaway_key[] = "-----BEGIN PRIVATE KEY-----\n"
				    "MC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n"
				    "-----END PRIVATE KEY-----\n";

#define OK(call)                                                                                             \
	do {                                                                                                 \
		if ((call) < 0)                                                                              \
			fail_msg("%s: %s", #call, e.msg);                                                    \
	} while (0)
#define FAILS(call, wanted)                                                                                  \
	do {                                                                                                 \
		if ((call) >= 0)                                                                             \
			fail_msg("%s: should fail", #call);                                                  \
		if (e.code != (wanted))                                                                      \
			fail_msg("%s: code %d (%s), not %s", #call, e.code, e.msg, #wanted);                 \
	} while (0)

struct fixture {
	char dir[64];
	struct pkg_secret_key *key;
	struct pkg_manifest manifest;
};

__attribute__((unused)) static char *below(const struct fixture *f, const char *name)
{
	static char paths[8][4200];
	static unsigned next;
	char *path = paths[next++ % 8];

	(void)snprintf(path, sizeof(paths[0]), "%s/%s", f->dir, name);
	return path;
}

__attribute__((unused)) static int fixture_open(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct err e;

	(void)snprintf(f->dir, sizeof(f->dir), "/tmp/floe-test-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	OK(path_make_dirs(below(f, "config/keys"), 0700, &e));
	OK(fd_write_file(AT_FDCWD, below(f, "config/keys/test.key"), throwaway_key, strlen(throwaway_key),
			 0600, &e));
	OK(pkg_key_load(below(f, "config"), "test", &f->key, &e));
	f->manifest.name = (char *)"sample";
	f->manifest.version = (char *)"1.0";
	*state = f;
	return 0;
}

__attribute__((unused)) static int fixture_close(void **state)
{
	struct fixture *f = *state;
	struct err e;

	pkg_key_close(f->key);
	OK(path_remove_tree(AT_FDCWD, f->dir, &e));
	free(f);
	return 0;
}

__attribute__((unused)) static void put_file(const struct fixture *f, const char *name, const void *data,
					     size_t len)
{
	struct err e;
	char *path = below(f, name), *slash = strrchr(path, '/');

	*slash = 0;
	OK(path_make_dirs(path, 0755, &e));
	*slash = '/';
	OK(fd_write_file(AT_FDCWD, path, data, len, 0644, &e));
}

/* Bytes that do not compress and are the same in every run (xorshift64*). */
__attribute__((unused)) static void noise(uint64_t seed, uint8_t *ret, size_t len)
{
	uint64_t x = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;

	for (size_t i = 0; i < len; i++) {
		x ^= x >> 12;
		x ^= x << 25;
		x ^= x >> 27;
		ret[i] = (uint8_t)((x * UINT64_C(2685821657736338717)) >> 56);
	}
}

/* ---- reading -------------------------------------------------------------------------------- */

struct opened {
	int fd;
	struct pkg_header header;
	struct pkg_index *index;
};

__attribute__((unused)) static int opened_open(struct opened *o, const char *path, struct err *e)
{
	uint8_t header[PKG_HEADER_LEN];
	auto_buf struct buf index = BUF_INIT(PKG_INDEX_STORED_MAX);

	o->fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(o->fd >= 0);
	o->index = NULL;
	if (fd_pread_exact(o->fd, header, sizeof(header), 0, e) < 0 ||
	    pkg_header_decode(header, &o->header, e) < 0 ||
	    buf_reserve(&index, o->header.index_stored_len, e) < 0 ||
	    fd_pread_exact(o->fd, index.data, o->header.index_stored_len, PKG_HEADER_LEN, e) < 0)
		return -1;
	return pkg_index_open(index.data, o->header.index_stored_len, o->header.index_content_len, -1,
			      &o->index, e);
}

__attribute__((unused)) static void opened_close(struct opened *o)
{
	pkg_index_close(o->index);
	(void)close(o->fd);
}

/* Content of one range of an inode, holes as zeros. */
__attribute__((unused)) static void read_range(struct opened *o, uint64_t ino, uint64_t off, size_t len,
					       uint8_t *ret)
{
	static uint8_t stored[PKG_CHUNK_STORED_MAX], content[PKG_CHUNK_MAX];
	struct pkg_extent x[64];
	uint64_t at = off;
	size_t count;
	struct err e;

	memset(ret, 0, len);
	do {
		OK(pkg_index_extents(o->index, ino, at, off + len - at, x, 64, &count, &e));
		for (size_t i = 0; i < count; i++) {
			struct pkg_chunk_info c;
			uint64_t from = x[i].file_off < off ? off : x[i].file_off;
			uint64_t end = x[i].file_off + x[i].len;

			if (end > off + len)
				end = off + len;
			OK(pkg_index_chunk(o->index, x[i].chunk_idx, &c, &e));
			assert_true(x[i].chunk_off + x[i].len <= c.content_len);
			OK(fd_pread_exact(o->fd, stored, c.stored_len, c.off, &e));
			OK(pkg_chunk_inflate(stored, c.stored_len, c.content_len, &c.digest, content, &e));
			memcpy(ret + (from - off), content + x[i].chunk_off + (from - x[i].file_off),
			       end - from);
			at = x[i].file_off + x[i].len;
		}
	} while (count == 64);
}

__attribute__((unused)) static void assert_content(struct opened *o, const char *path, const void *data,
						   size_t len)
{
	uint8_t *got = malloc(len + 1);
	struct pkg_inode i;
	struct err e;

	OK(pkg_index_resolve(o->index, path, &i, &e));
	assert_int_equal(i.size, len);
	read_range(o, i.ino, 0, len, got);
	assert_memory_equal(got, data, len);
	free(got);
}

__attribute__((unused)) static struct buf whole(const char *path)
{
	struct buf b = BUF_INIT((size_t)1 << 30);
	struct err e;

	OK(fd_read_file(AT_FDCWD, path, &b, &e));
	return b;
}

/* A package of everything below DIR/tree. */
__attribute__((unused)) static void make_package(const struct fixture *f, const char *out, unsigned threads,
						 struct pkg_writer_report *ret)
{
	const struct pkg_writer_opt opt = { .zstd_level = 3, .threads = threads };
	struct pkg_writer *w;
	struct err e;

	OK(pkg_writer_open(&opt, &w, &e));
	OK(pkg_writer_add_tree(w, below(f, "tree"), "", &e));
	OK(pkg_writer_finish(w, &f->manifest, f->key, below(f, out), ret, &e));
	pkg_writer_close(w);
}

#endif
