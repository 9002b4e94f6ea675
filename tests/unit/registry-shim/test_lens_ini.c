/* SPDX-License-Identifier: Apache-2.0 */
/* The INI lens: its laws on awkward texts and on what this machine has, and its cost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <glob.h>
#include <string.h>

#include "base/fd.h"
#include "base/sync.h"
#include "registry-shim/hive.h"
#include "registry-shim/lens.h"

static const struct reg_lens *ini;

static struct reg_doc *parse(const char *text, size_t len)
{
	struct reg_doc *d = NULL;
	struct err e;

	if (reg_doc_parse(ini, text, len, &d, &e) < 0)
		fail_msg("%s: %.200s", e.msg, text);
	return d;
}

static char *render(const struct reg_doc *d, size_t *len)
{
	struct buf b = BUF_INIT(64 * 1024 * 1024);
	struct err e;

	assert_int_equal(reg_doc_render(d, &b, &e), 0);
	assert_non_null(buf_text(&b, &e));
	*len = b.len;
	return (char *)b.data;
}

static void assert_renders(const struct reg_doc *d, const char *text, size_t len)
{
	size_t got_len;
	char *got = render(d, &got_len);

	if (got_len != len || memcmp(got, text, len) != 0)
		fail_msg("rendered \"%s\" where \"%.*s\" is right", got, (int)len, text);
	free(got);
}

/* Bytes in front and behind that two texts share; what is left is what changed. */
static void assert_one_line_changed(const char *a, size_t alen, const char *b, size_t blen)
{
	size_t head = 0, tail = 0;

	while (head < alen && head < blen && a[head] == b[head])
		head++;
	while (tail < alen - head && tail < blen - head && a[alen - 1 - tail] == b[blen - 1 - tail])
		tail++;
	assert_null(memchr(a + head, '\n', alen - head - tail));
	assert_null(memchr(b + head, '\n', blen - head - tail));
}

/* The laws, for every key of a text. */
static void check_laws(const char *text, size_t len)
{
	struct reg_doc *d = parse(text, len), *again;
	const char *key, *value;
	size_t keys = 0;
	struct err e;

	assert_renders(d, text, len);
	for (size_t pos = 0; reg_doc_next(d, &pos, &key, &value); keys++) {
		char *out, *name, *was;
		size_t out_len;

		if (keys == 50)
			break;
		name = strdup(key);
		was = strdup(value);
		assert_string_equal(reg_doc_get(d, key), value);
		assert_int_equal(reg_doc_set(d, name, was, &e), 0);
		assert_renders(d, text, len);
		assert_int_equal(reg_doc_set(d, name, "changed=1 \\; #", &e), 0);
		out = render(d, &out_len);
		assert_one_line_changed(text, len, out, out_len);
		again = parse(out, out_len);
		assert_string_equal(reg_doc_get(again, name), "changed=1 \\; #");
		reg_doc_free(again);
		free(out);
		assert_int_equal(reg_doc_set(d, name, was, &e), 0);
		assert_renders(d, text, len);
		again = parse(text, len);
		assert_int_equal(reg_doc_unset(again, name, &e), 0);
		assert_null(reg_doc_get(again, name));
		out = render(again, &out_len);
		reg_doc_free(again);
		again = parse(out, out_len);
		assert_null(reg_doc_get(again, name));
		reg_doc_free(again);
		free(out);
		free(name);
		free(was);
	}
	reg_doc_free(d);
}

static void test_awkward(void **state)
{
	static const char *const texts[] = {
		"",
		"\n",
		"\n\n\r\n",
		"a=1",
		"[s]",
		"[s]\na=1",
		"[s]\r\na = 1\r\nb=2\r\n",
		"; c\n# d\n\n[Midnight-Commander]\nskin=default\nverbose = true\n",
		"top=1\n\n[with spaces and / slash % percent]\nkey with spaces   =\t value with = and ; "
		"inside \n",
		"[a]\nx=1\nx=2\n[b]\nx=3\n[a]\nx=4\ny=5\n",
		"[a][b]\nk=v\n[remote \"x]y\"]\n\turl = git@h:p\n\tbare\n",
		"[]\nx=1\n",
		"[s] ; comment ]\nx=\n",
		"[s]\nkey\\ =a\\nb\n\xff\xfe = \x80\x81\n",
		"[s]\n  continued = a\n    and more\n",
		"\xef\xbb\xbf[s]\na=1\n",
		"\xef\xbb\xbf"
		"a=1\n",
		"[s]\n= no name\n==\na==\n a = = \n",
		"[s]\na=1\rb=2\n",
		"%2F=1\n[%]\n%=1\n[%%2F/]\n/=/\n",
		"%=\014%\r\r\r",
		"[s]\r\r\na=\r\r\nb=1\r",
		"a/b=c\n[s]\na/b=c\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		check_laws(texts[i], strlen(texts[i]));
}

static void test_reading(void **state)
{
	static const char text[] = "g=0\np/q=1\n[a]\nx=1\nx= 2 \n[b/c%]\ny==\n[a]\nz=\n[]\ne=1\n";
	struct reg_doc *d = parse(text, strlen(text));

	(void)state;
	assert_string_equal(reg_doc_get(d, "g"), "0");
	assert_string_equal(reg_doc_get(d, "/p/q"), "1");
	assert_null(reg_doc_get(d, "/g"));
	assert_null(reg_doc_get(d, "p/q"));
	assert_string_equal(reg_doc_get(d, "a/x"), "2 ");
	assert_string_equal(reg_doc_get(d, "b%2Fc%25/y"), "=");
	assert_string_equal(reg_doc_get(d, "a/z"), "");
	assert_string_equal(reg_doc_get(d, "%/e"), "1");
	assert_null(reg_doc_get(d, "a/y"));
	assert_null(reg_doc_get(d, "b/c%/y"));
	reg_doc_free(d);
}

static void assert_after(const char *text, const char *key, const char *value, const char *want)
{
	struct reg_doc *d = parse(text, strlen(text));
	struct err e;

	if (value)
		assert_int_equal(reg_doc_set(d, key, value, &e), 0);
	else
		assert_int_equal(reg_doc_unset(d, key, &e), 0);
	assert_renders(d, want, strlen(want));
	reg_doc_free(d);
}

static void test_changing(void **state)
{
	(void)state;
	assert_after("[a]\nx=1\n; end\n", "a/y", "2", "[a]\nx=1\ny=2\n; end\n");
	assert_after("[a]\nx = 1", "a/y", "2", "[a]\nx = 1\ny = 2\n");
	assert_after("[a]\r\nx=1\r\n", "a/y", "2", "[a]\r\nx=1\r\ny=2\r\n");
	assert_after("[a]\nx=1\n", "b/y", "2", "[a]\nx=1\n\n[b]\ny=2\n");
	assert_after("", "b/y", "2", "[b]\ny=2\n");
	assert_after("", "y", "2", "y=2\n");
	assert_after("[a]\nx=1\n", "y", "2", "y=2\n[a]\nx=1\n");
	assert_after("y=1\n[a]\nx=1\n", "/y/z", "2", "y=1\ny/z=2\n[a]\nx=1\n");
	assert_after("y=1\n[a]\nx=1\n", "y", NULL, "[a]\nx=1\n");
	assert_after("y=1\n[a]\nx=1\n", "/y", NULL, "y=1\n[a]\nx=1\n");
	assert_after("[a]\nx=1\n[a]\n", "a/y", "2", "[a]\nx=1\n[a]\ny=2\n");
	assert_after("[a]\nx=1\nx=2\n", "a/x", "3", "[a]\nx=1\nx=3\n");
	assert_after("[a]\nx=1\nx=2\n", "a/x", NULL, "[a]\n");
	assert_after("[a]\nx=1\n", "p%2Fq%25/k/l", "2", "[a]\nx=1\n\n[p/q%]\nk/l=2\n");
	assert_after("[a]\n", "%/k", "2", "[a]\n\n[]\nk=2\n");
	assert_after("[a]\nx=1\ny=2\n", "a/nothing", NULL, "[a]\nx=1\ny=2\n");
}

static void test_unset_and_back(void **state)
{
	struct reg_doc *d = parse("[a]\nx=1\n;c\ny=2\n[b]\n", 19);
	struct err e;

	(void)state;
	assert_int_equal(reg_doc_unset(d, "a/y", &e), 0);
	assert_int_equal(reg_doc_set(d, "a/z", "3", &e), 0);
	assert_int_equal(reg_doc_unset(d, "a/x", &e), 0);
	assert_int_equal(reg_doc_unset(d, "a/z", &e), 0);
	assert_int_equal(reg_doc_set(d, "a/x", "4", &e), 0);
	assert_renders(d, "[a]\nx=4\n;c\n[b]\n", 15);
	reg_doc_free(d);
}

static void test_refused(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		enum err_code code;
	} texts[] = {
		{ "[s\na=1\n", 7, ERR_FORMAT },        { "[s]x\n", 5, ERR_FORMAT },
		{ "a=\0b\n", 5, ERR_FORMAT },          { "{\"a\": 1}", 8, ERR_FORMAT },
		{ "\n <a b=\"c\"/>", 12, ERR_FORMAT },
	};
	static const char *const keys[][2] = {
		{ "a/x", "line\nfeed" }, { "a/x", " blank" },  { "a/x=y", "1" }, { "a/[x", "1" },
		{ "a/;x", "1" },         { "a]b[\nc/x", "1" }, { "%x/y", "1" },  { "a/", "1" },
		{ "a/x", "end\r" },      { "/y", "1" },        { "/", "1" },     { "", "1" },
	};
	struct reg_doc *d = NULL;
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		assert_int_equal(reg_doc_parse(ini, texts[i].text, texts[i].len, &d, &e), -1);
		assert_int_equal(e.code, texts[i].code);
		assert_null(d);
	}
	d = parse("[a]\nx=1\n", 8);
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		if (reg_doc_set(d, keys[i][0], keys[i][1], &e) == 0)
			fail_msg("took %s", keys[i][0]);
		assert_renders(d, "[a]\nx=1\n", 8);
	}
	reg_doc_free(d);
}

static void test_limits(void **state)
{
	size_t len = REG_TEXT_MAX;
	char *text = malloc(len + 1);
	struct reg_doc *d = NULL;
	struct err e;

	(void)state;
	memset(text, 'a', len + 1);
	assert_int_equal(reg_doc_parse(ini, text, len + 1, &d, &e), -1);
	assert_int_equal(e.code, ERR_LIMIT);
	text[1] = '='; /* one value of 16 MiB */
	assert_int_equal(reg_doc_parse(ini, text, len, &d, &e), -1);
	assert_int_equal(e.code, ERR_LIMIT);
	for (size_t i = 0; i < len; i += 4) /* four million lines with one key */
		memcpy(text + i, "a=1\n", 4);
	assert_int_equal(reg_doc_parse(ini, text, len, &d, &e), -1);
	assert_int_equal(e.code, ERR_LIMIT);
	memset(text, '\n', len); /* 16 million lines */
	d = parse(text, len);
	assert_renders(d, text, len);
	reg_doc_free(d);
	text[0] = '['; /* a long section over a million keys */
	memset(text + 1, 's', REG_KEY_MAX - 10);
	text[REG_KEY_MAX - 9] = ']';
	for (size_t i = REG_KEY_MAX; i + 8 < len; i += 8) {
		sprintf(text + i, "%06x=", (unsigned)(i / 8) & 0xffffff);
		text[i + 7] = 10;
	}
	assert_int_equal(reg_doc_parse(ini, text, len, &d, &e), -1);
	assert_int_equal(e.code, ERR_LIMIT);
	free(text);
}

static void test_this_machine(void **state)
{
	static const char *const places[] = { "/usr/share/applications/*.desktop",
					      "/usr/lib/systemd/system/*.service",
					      "/etc/systemd/*.conf",
					      "/etc/*.ini",
					      "/etc/*/*.ini",
					      "/etc/*/*.conf",
					      "/etc/*/*/*.conf",
					      "/usr/share/*/*.ini",
					      "/usr/share/*/*/*.ini",
					      "/usr/share/glib-2.0/schemas/*.override" };
	size_t files = 0, understood = 0;

	(void)state;
	for (size_t p = 0; p < ARRAY_LEN(places); p++) {
		glob_t g;

		if (glob(places[p], 0, NULL, &g) != 0)
			continue;
		for (size_t i = 0; i < g.gl_pathc && i < 200; i++) {
			struct buf text = BUF_INIT(256 * 1024);
			struct reg_doc *d = NULL;
			struct err e;

			if (fd_read_file(AT_FDCWD, g.gl_pathv[i], &text, &e) == 0 && text.len) {
				files++;
				if (reg_doc_parse(ini, (char *)text.data, text.len, &d, &e) == 0) {
					reg_doc_free(d);
					understood++;
					check_laws((char *)text.data, text.len);
				}
			}
			buf_fini(&text);
		}
		globfree(&g);
	}
	print_message("%zu of %zu files of this machine understood\n", understood, files);
}

static void test_guess(void **state)
{
	static const char yes[] = "; c\n[Desktop Entry]\nName=x\n";

	(void)state;
	assert_ptr_equal(reg_lens_guess("x.conf", yes, strlen(yes)), ini);
	assert_null(reg_lens_guess("x.sh", "#!/bin/sh\na=1\nexit\n", 19));
	assert_ptr_not_equal(reg_lens_guess("x.json", "{\n\"a\": 1\n}\n", 11), ini);
	assert_null(reg_lens_find("nothing"));
}

static void test_names(void **state)
{
	static const char *const names[][2] = {
		{ "@config/x/x.ini", "ini" }, { "/usr/share/x.desktop", "ini" },
		{ "a/b.json", "json" },       { "settings.jsonc", "json" },
		{ "x.toml", "toml" },         { "x.y.yaml", "yaml" },
		{ "x.yml", "yaml" },          { "x.properties", "properties" },
		{ "/srv/.env", "shell" },     { "settings/keyfile", "gsettings" },
		{ "user.reg", "wine" },
	};
	static const char *const unknown[] = { "x",       "x.conf", "x.xml",      "ini",
					       "x.ini/x", "json.",  "my.keyfile", "" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const struct reg_lens *l = reg_lens_of_name(names[i][0]);

		if (!l || strcmp(reg_lens_name(l), names[i][1]) != 0)
			fail_msg("%s is taken for %s", names[i][0], l ? reg_lens_name(l) : "nothing");
	}
	for (size_t i = 0; i < ARRAY_LEN(unknown); i++)
		if (reg_lens_of_name(unknown[i]))
			fail_msg("%s is taken for %s", unknown[i],
				 reg_lens_name(reg_lens_of_name(unknown[i])));
}

/* 10,000 keys: a tenth of the goal's bound would still pass on a slow machine under a sanitizer. */
static void test_cost(void **state)
{
	struct buf text = BUF_INIT(4 * 1024 * 1024);
	struct reg_doc *d;
	struct err e;
	uint64_t start;
	size_t len;
	char *out;

	(void)state;
	for (int i = 0; i < 10000; i++) {
		if (i % 100 == 0)
			assert_int_equal(buf_printf(&text, &e, "[section %d]\n", i / 100), 0);
		assert_int_equal(buf_printf(&text, &e, "a setting %d=the value of %d\n", i, i), 0);
	}
	start = sync_now_ms();
	for (int i = 0; i < 10; i++) {
		d = parse((char *)text.data, text.len);
		out = render(d, &len);
		assert_int_equal(len, text.len);
		free(out);
		reg_doc_free(d);
	}
	print_message("10,000 keys: parse and render %.1f ms\n", (double)(sync_now_ms() - start) / 10);
	start = sync_now_ms();
	d = parse("", 0);
	for (int i = 0; i < 10000; i++) {
		char key[64];

		sprintf(key, "section %d/key %d", i % 100, i);
		assert_int_equal(reg_doc_set(d, key, "v", &e), 0);
	}
	print_message("10,000 keys set one by one: %llu ms\n", (unsigned long long)(sync_now_ms() - start));
	reg_doc_free(d);
	buf_fini(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_awkward),      cmocka_unit_test(test_reading),
		cmocka_unit_test(test_changing),     cmocka_unit_test(test_unset_and_back),
		cmocka_unit_test(test_refused),      cmocka_unit_test(test_limits),
		cmocka_unit_test(test_this_machine), cmocka_unit_test(test_guess),
		cmocka_unit_test(test_names),        cmocka_unit_test(test_cost),
	};

	ini = reg_lens_find("ini");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
