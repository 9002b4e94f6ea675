/* SPDX-License-Identifier: Apache-2.0 */
/* Headers: round trip, the bytes that FORMAT.md shows, and that no bit can change unnoticed. */
#include "tests/unit/package-format/fixture.h"

static const struct pkg_header sample = { .features_optional = 5,
					  .index_stored_len = 1000,
					  .index_content_len = 40960,
					  .index_digest = { { 1, 2, 3 } },
					  .feature_block_end = PKG_HEADER_LEN + 1000 + 50,
					  .file_len = 123456 };

static void round_trip(void **state)
{
	struct fixture *f = *state;
	struct pkg_header h = sample, got;
	struct pkg_public_key k;
	struct pkg_digest root;
	uint8_t bytes[PKG_HEADER_LEN];
	struct err e;

	OK(pkg_header_encode(&h, f->key, bytes, &e));
	OK(pkg_header_decode(bytes, &got, &e));
	pkg_key_public(f->key, &k);
	pkg_digest_of(bytes, 128, &root);
	assert_memory_equal(&got.signer, &k, sizeof(k));
	assert_memory_equal(&got.root, &root, sizeof(root));
	assert_memory_equal(&h.root, &root, sizeof(root));
	assert_int_equal(got.version, PKG_VERSION);
	assert_int_equal(got.features_optional, 5);
	assert_int_equal(got.index_stored_len, 1000);
	assert_int_equal(got.index_content_len, 40960);
	assert_memory_equal(&got.index_digest, &sample.index_digest, PKG_DIGEST_LEN);
	assert_int_equal(got.feature_block_end, sample.feature_block_end);
	assert_int_equal(got.file_len, 123456);
}

static void every_flipped_bit_is_noticed(void **state)
{
	struct fixture *f = *state;
	struct pkg_header h = sample, got;
	uint8_t bytes[PKG_HEADER_LEN];
	struct err e;

	OK(pkg_header_encode(&h, f->key, bytes, &e));
	for (size_t i = 0; i < PKG_HEADER_LEN * 8; i++) {
		bytes[i / 8] ^= (uint8_t)(1 << i % 8);
		if (pkg_header_decode(bytes, &got, &e) == 0)
			fail_msg("bit %zu", i);
		bytes[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	OK(pkg_header_decode(bytes, &got, &e));
}

/* Changes one byte of an otherwise good header and signs anew, as a writer with other ideas would. */
static int decode_changed(struct fixture *f, size_t off, uint8_t value, struct err *ret_err)
{
	struct pkg_header h = sample, got;
	uint8_t bytes[PKG_HEADER_LEN];
	struct err e;

	OK(pkg_header_encode(&h, f->key, bytes, &e));
	bytes[off] = value;
	OK(pkg_key_sign(f->key, bytes, 128, bytes + 128, &e));
	return pkg_header_decode(bytes, &got, ret_err);
}

static void signed_nonsense_is_refused(void **state)
{
	struct fixture *f = *state;
	struct err e;

	OK(decode_changed(f, 24, 7, &e)); /* optional features are nobody's business */
	FAILS(decode_changed(f, 0, 'F', &e), ERR_FORMAT);
	FAILS(decode_changed(f, 8, 2, &e), ERR_UNSUPPORTED);
	FAILS(decode_changed(f, 8, 0, &e), ERR_UNSUPPORTED);
	FAILS(decode_changed(f, 10, 2, &e), ERR_UNSUPPORTED);
	FAILS(decode_changed(f, 13, 0x20, &e), ERR_FORMAT);
	FAILS(decode_changed(f, 16, 1, &e), ERR_UNSUPPORTED); /* a required feature */
	assert_non_null(strstr(e.msg, "newer floe"));
	FAILS(decode_changed(f, 39, 0x80, &e), ERR_LIMIT);  /* index_stored_len */
	FAILS(decode_changed(f, 47, 0x80, &e), ERR_LIMIT);  /* index_content_len */
	FAILS(decode_changed(f, 87, 0x80, &e), ERR_FORMAT); /* feature_block_end past the file */
	FAILS(decode_changed(f, 81, 0, &e), ERR_FORMAT);    /* ... and inside the index */
	FAILS(decode_changed(f, 95, 0x80, &e), ERR_FORMAT); /* file_len */
	FAILS(decode_changed(f, 200, 1, &e), ERR_FORMAT);   /* padding */
	FAILS(decode_changed(f, 4095, 1, &e), ERR_FORMAT);
}

/* FORMAT.md's example: its hexdump lines, read from the document. Empty when the sources are elsewhere. */
static size_t read_example(uint8_t ret[192])
{
	char path[4096], line[256];
	char *end;
	FILE *doc;
	size_t len = 0;

	(void)snprintf(path, sizeof(path), "%s", __FILE__);
	end = strstr(path, "tests/unit/");
	if (!end)
		return 0;
	(void)snprintf(end, sizeof(path) - (size_t)(end - path), "package-format/FORMAT.md");
	doc = fopen(path, "r");
	while (doc && len < 192 && fgets(line, sizeof(line), doc)) {
		char *p = line;

		if (strtoul(p, &p, 16) != len || p != line + 8 || line[8] != ' ')
			continue;
		for (int i = 0; i < 16; i++)
			ret[len++] = (uint8_t)strtoul(p, &p, 16);
	}
	if (doc)
		(void)fclose(doc);
	return len;
}

static void the_documents_example(void **state)
{
	struct fixture *f = *state;
	struct pkg_header h;
	uint8_t example[PKG_HEADER_LEN] = { 0 }, bytes[PKG_HEADER_LEN];
	char hex[PKG_DIGEST_HEX];
	struct err e;

	if (!read_example(example))
		skip();
	OK(pkg_header_decode(example, &h, &e));
	assert_int_equal(h.index_stored_len, 881);
	assert_int_equal(h.index_content_len, 45056);
	assert_int_equal(h.feature_block_end, 4977);
	assert_int_equal(h.file_len, 4998);
	pkg_digest_hex(&h.root, hex);
	assert_string_equal(hex, "4af562cd6685f5375d9d0c620e7158c927ebf013dde513ac8d43a74ab57df400");
	/* And the same fields give the same bytes. */
	OK(pkg_header_encode(&h, f->key, bytes, &e));
	assert_memory_equal(bytes, example, sizeof(bytes));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(round_trip, fixture_open, fixture_close),
		cmocka_unit_test_setup_teardown(every_flipped_bit_is_noticed, fixture_open, fixture_close),
		cmocka_unit_test_setup_teardown(signed_nonsense_is_refused, fixture_open, fixture_close),
		cmocka_unit_test_setup_teardown(the_documents_example, fixture_open, fixture_close),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
