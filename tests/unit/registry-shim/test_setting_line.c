/* SPDX-License-Identifier: Apache-2.0 */
/* Settings as lines of text, and policy files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <string.h>

#include "base/fd.h"
#include "base/path.h"
#include "registry-shim/policy.h"
#include "registry-shim/setting_line.h"

static struct err e;

static void same(const char *a, const char *b)
{
	if (a && b)
		assert_string_equal(a, b);
	else
		assert_true(a == b);
}

static void test_lines(void **state)
{
	static const struct {
		const char *line, *word, *file, *key, *value;
	} cases[] = {
		{ "", NULL, NULL, NULL, NULL },
		{ "  # set a:b/c = d", NULL, NULL, NULL, NULL },
		{ "set f:s/k = v", "set", "f", "s/k", "v" },
		{ " \tset  f:s/k=v \r", "set", "f", "s/k", "v" },
		{ "set f:s/a b c = d  e", "set", "f", "s/a b c", "d  e" },
		{ "set f:name =", "set", "f", "name", "" },
		{ "set f:/name =", "set", "f", "name", "" }, /* by earlier versions */
		{ "set f:/a/b =", "set", "f", "/a/b", "" },
		{ "set f://name =", "set", "f", "//name", "" },
		{ "unset f:s/k", "unset", "f", "s/k", NULL },
		{ "set f:s/k\\=1 = a=b", "set", "f", "s/k=1", "a=b" },
		{ "set f:s/k = \\x20a\\n\\t\\\\ \\x20 ", "set", "f", "s/k", " a\n\t\\  " },
		{ "set f:s/k = # no comment", "set", "f", "s/k", "# no comment" },
		{ "text config/vim = a:b\\n", "text", "config/vim", NULL, "a:b\n" },
		{ "set f%3A:s/k:l = v", "set", "f%3A", "s/k:l", "v" },
		{ "set f:s/\xff = \xfe", "set", "f", "s/\xff", "\xfe" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		auto_reg_line l = { 0 };

		if (reg_line_parse(cases[i].line, &l, &e) < 0)
			fail_msg("%s: %s", cases[i].line, e.msg);
		same(l.word, cases[i].word);
		same(l.file, cases[i].file);
		same(l.key, cases[i].key);
		same(l.value, cases[i].value);
	}
}

static void test_wrong_lines(void **state)
{
	static const char *const lines[] = {
		"set",           "set = v",        "set :k = v",      "set f: = v", "set f:k = \\",
		"set f:k = \\q", "set f:k = \\x0", "set f:k = \\x00", "set f:k\\",  "set f:k = \\xgg"
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		auto_reg_line l = { 0 };

		if (reg_line_parse(lines[i], &l, &e) == 0)
			fail_msg("accepted: %s", lines[i]);
		assert_null(l.file);
	}
}

/* Every byte in every place comes back, on one line. */
static void test_round_trip(void **state)
{
	(void)state;
	for (int c = 1; c < 256; c++) {
		char value[8], key[16];
		auto_buf struct buf text = BUF_INIT(256);
		auto_reg_line l = { 0 };

		sprintf(value, "%ca%c\\%c", c, c, c);
		sprintf(key, "s/%ck%c", c, c);
		assert_int_equal(reg_line_add(&text, "set", "f", key, value, &e), 0);
		assert_int_equal(strcspn(buf_text(&text, &e), "\n"), text.len - 1);
		text.data[text.len - 1] = 0;
		if (reg_line_parse((char *)text.data, &l, &e) < 0)
			fail_msg("%d: %s", c, e.msg);
		assert_string_equal(l.file, "f");
		assert_string_equal(l.key, key);
		assert_string_equal(l.value, value);
	}
}

static void test_policy(void **state)
{
	auto_reg_policy p = { 0 };

	(void)state;
	assert_int_equal(
		reg_policy_parse("# all\ndefault f:s/a = 1\n\n[package mc*]\nlock f:s/b\r\n lock f:s/c = 2",
				 "x", &p, &e),
		0);
	assert_int_equal(p.count, 3);
	assert_false(p.rules[0].is_lock);
	assert_string_equal(p.rules[0].package, "*");
	assert_string_equal(p.rules[0].value, "1");
	assert_string_equal(p.rules[0].where, "x:2");
	assert_true(p.rules[1].is_lock);
	assert_string_equal(p.rules[1].package, "mc*");
	assert_null(p.rules[1].value);
	assert_string_equal(p.rules[2].where, "x:6");
}

static void test_wrong_policy(void **state)
{
	static const struct {
		const char *text, *said;
	} cases[] = {
		{ "lock f:s/a = 1\nset f:s/a = 1", "x:2: \"set\"" },
		{ "default f:s/a", "x:1: a default needs" },
		{ "lock f", "x:1: 'f' is no key" },
		{ "\n\n[packages a]", "x:3: a section" },
		{ "[package ]", "x:1: a section" },
		{ "[package a", "x:1: a section" },
		{ "[package a] b", "x:1: a section" },
		{ "lock f:s/a = \\q", "x:1: " },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		auto_reg_policy p = { 0 };

		if (reg_policy_parse(cases[i].text, "x", &p, &e) == 0)
			fail_msg("accepted: %s", cases[i].text);
		assert_int_equal(strncmp(e.msg, cases[i].said, strlen(cases[i].said)), 0);
	}
}

static void write_file(const char *dir, const char *name, const char *text)
{
	auto_free char *path = path_join(dir, name, &e);

	assert_int_equal(fd_write_file(AT_FDCWD, path, text, strlen(text), 0600, &e), 0);
}

/* Files of a directory in order of their names, others left alone; one that is wrong is said by name. */
static void test_directory(void **state)
{
	char dir[] = "/tmp/floe-policy-XXXXXX";
	auto_buf struct buf packed = BUF_INIT(REG_POLICY_TEXT_MAX), again = BUF_INIT(REG_POLICY_TEXT_MAX);
	auto_buf struct buf small = BUF_INIT(10);
	auto_reg_policy p = { 0 };

	(void)state;
	assert_int_equal(reg_policy_pack_dir("/nowhere/at/all", &packed, &e), 0);
	assert_int_equal(packed.len, 0);
	assert_non_null(mkdtemp(dir));
	write_file(dir, "20.policy", "lock f:s/a = last");
	write_file(dir, "10.policy", "lock f:s/a = first");
	write_file(dir, "10.policy.bak", "nonsense");
	write_file(dir, ".hidden.policy", "nonsense");
	assert_int_equal(reg_policy_pack_dir(dir, &packed, &e), 0);
	assert_int_equal(reg_policy_unpack((char *)packed.data, packed.len, &p, &e), 0);
	assert_int_equal(p.count, 2);
	assert_string_equal(p.rules[0].value, "first");
	assert_string_equal(p.rules[1].value, "last");
	assert_non_null(strstr(p.rules[1].where, "/20.policy:1"));
	assert_int_equal(reg_policy_unpack((char *)packed.data, packed.len - 1, &p, &e), -1);
	assert_int_equal(reg_policy_pack_dir(dir, &small, &e), -1);
	assert_int_equal(e.code, ERR_LIMIT);
	write_file(dir, "15.policy", "nonsense");
	assert_int_equal(reg_policy_pack_dir(dir, &again, &e), -1);
	assert_non_null(strstr(e.msg, "/15.policy:1: "));
	assert_int_equal(path_remove_tree(AT_FDCWD, dir, &e), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),        cmocka_unit_test(test_wrong_lines),
		cmocka_unit_test(test_round_trip),   cmocka_unit_test(test_policy),
		cmocka_unit_test(test_wrong_policy), cmocka_unit_test(test_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
