/* SPDX-License-Identifier: Apache-2.0 */
/* Little-endian integers and hexadecimal text. */
#include <string.h>

#include "base/bytes.h"
#include "tests/unit/cmocka_all.h"

static void integers_are_little_endian(void **state)
{
	struct le16 a = le16_of(0x1234);
	struct le32 b = le32_of(0x12345678);
	struct le64 c = le64_of(UINT64_C(0x123456789abcdef0));

	(void)state;
	assert_memory_equal(a.b, "\x34\x12", 2);
	assert_memory_equal(b.b, "\x78\x56\x34\x12", 4);
	assert_memory_equal(c.b, "\xf0\xde\xbc\x9a\x78\x56\x34\x12", 8);
	assert_int_equal(le16_get(a), 0x1234);
	assert_int_equal(le32_get(b), 0x12345678);
	assert_true(le64_get(c) == UINT64_C(0x123456789abcdef0));
	assert_true(le64_get(le64_of(UINT64_MAX)) == UINT64_MAX);
	assert_int_equal(le32_get(le32_of(UINT32_MAX)), UINT32_MAX);
}

static void hex_goes_both_ways(void **state)
{
	uint8_t all[256], back[256];
	char text[513];

	(void)state;
	for (int i = 0; i < 256; i++)
		all[i] = (uint8_t)i;
	bytes_to_hex(all, sizeof(all), text);
	assert_int_equal(strlen(text), 512);
	assert_int_equal(bytes_from_hex(text, back, sizeof(back)), 0);
	assert_memory_equal(all, back, sizeof(all));
	assert_int_equal(bytes_from_hex("DEADbeef", back, 4), 0);
	assert_memory_equal(back, "\xde\xad\xbe\xef", 4);
	assert_int_equal(bytes_from_hex("", back, 0), 0);
}

static void hex_refuses(void **state)
{
	static const char *const bad[] = { "",      "d",        "de",   "dea",  "deag",
					   "dead0", "deadbeef", "-1ff", " dea", "de d" };
	uint8_t out[2];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(bytes_from_hex(bad[i], out, sizeof(out)), -1);
}

static void amounts_read_well(void **state)
{
	static const struct {
		uint64_t len;
		const char *text;
	} row[] = {
		{ 0, "0 B" },
		{ 1023, "1023 B" },
		{ 1024, "1.0 KiB" },
		{ 1536, "1.5 KiB" },
		{ 5 * 1024 * 1024, "5.0 MiB" },
		{ UINT64_MAX, "16.0 EiB" },
	};
	char text[32];

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		bytes_human(row[i].len, text);
		assert_string_equal(text, row[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(integers_are_little_endian),
		cmocka_unit_test(hex_goes_both_ways),
		cmocka_unit_test(hex_refuses),
		cmocka_unit_test(amounts_read_well),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
