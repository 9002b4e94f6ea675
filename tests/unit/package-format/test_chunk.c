/* SPDX-License-Identifier: Apache-2.0 */
/* Chunks: round trips at the limits, and frames that lie. */
#include "tests/unit/package-format/fixture.h"

static void one(const uint8_t *content, size_t len)
{
	auto_buf struct buf stored = BUF_INIT(PKG_CHUNK_STORED_MAX);
	auto_free uint8_t *got = malloc(PKG_CHUNK_MAX);
	struct pkg_digest d;
	struct err e;

	pkg_digest_of(content, len, &d);
	OK(pkg_chunk_compress(content, len, 3, &stored, &e));
	OK(pkg_chunk_inflate(stored.data, stored.len, len, &d, got, &e));
	assert_memory_equal(got, content, len);
}

static void round_trips(void **state)
{
	auto_free uint8_t *data = malloc(PKG_CHUNK_MAX);

	(void)state;
	noise(1, data, PKG_CHUNK_MAX);
	one(data, 1);
	one(data, PKG_CHUNK_MIN);
	one(data, PKG_CHUNK_MAX);
	memset(data, 'x', PKG_CHUNK_MAX);
	one(data, PKG_CHUNK_MAX);
}

static void lies_are_noticed(void **state)
{
	auto_buf struct buf stored = BUF_INIT(PKG_CHUNK_STORED_MAX);
	uint8_t content[5000], got[6000];
	struct pkg_digest d;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(content); i++)
		content[i] = (uint8_t)(i % 100);
	pkg_digest_of(content, sizeof(content), &d);
	OK(pkg_chunk_compress(content, sizeof(content), 3, &stored, &e));
	FAILS(pkg_chunk_inflate(stored.data, stored.len - 1, 5000, &d, got, &e), ERR_FORMAT);
	FAILS(pkg_chunk_inflate(stored.data, 3, 5000, &d, got, &e), ERR_FORMAT);
	FAILS(pkg_chunk_inflate(stored.data, 0, 5000, &d, got, &e), ERR_FORMAT);
	FAILS(pkg_chunk_inflate(stored.data, stored.len, 4999, &d, got, &e), ERR_FORMAT);
	FAILS(pkg_chunk_inflate(stored.data, stored.len, 5001, &d, got, &e), ERR_FORMAT);
	FAILS(pkg_chunk_inflate(stored.data, stored.len, 0, &d, got, &e), ERR_LIMIT);
	FAILS(pkg_chunk_inflate(stored.data, stored.len, PKG_CHUNK_MAX + 1, &d, got, &e), ERR_LIMIT);
	OK(buf_add(&stored, "x", 1, &e));
	FAILS(pkg_chunk_inflate(stored.data, stored.len, 5000, &d, got, &e), ERR_FORMAT);
	stored.len--;
	d.b[7] ^= 1;
	FAILS(pkg_chunk_inflate(stored.data, stored.len, 5000, &d, got, &e), ERR_INTEGRITY);
	d.b[7] ^= 1;
	for (size_t i = 0; i < stored.len; i++) {
		stored.data[i] ^= 0x10;
		if (pkg_chunk_inflate(stored.data, stored.len, 5000, &d, got, &e) == 0)
			assert_memory_equal(got, content, sizeof(content)); /* a bit without meaning */
		stored.data[i] ^= 0x10;
	}
	OK(pkg_chunk_inflate(stored.data, stored.len, 5000, &d, got, &e));
}

static void limits(void **state)
{
	auto_buf struct buf stored = BUF_INIT(100);
	auto_free uint8_t *data = calloc(1, PKG_CHUNK_MAX + 1);
	struct err e;

	(void)state;
	FAILS(pkg_chunk_compress(data, 0, 3, &stored, &e), ERR_LIMIT);
	FAILS(pkg_chunk_compress(data, PKG_CHUNK_MAX + 1, 3, &stored, &e), ERR_LIMIT);
	FAILS(pkg_chunk_compress(data, 4096, 3, &stored, &e), ERR_LIMIT); /* the buffer's own */
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(round_trips), cmocka_unit_test(lies_are_noticed),
					    cmocka_unit_test(limits) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
