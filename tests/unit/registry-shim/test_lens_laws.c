/* SPDX-License-Identifier: Apache-2.0 */
/* The laws that every lens keeps, on texts of our own and on what this machine has: parse then render gives
 * the same bytes, a key set to what it is changes nothing, set to something else only its line, unset and set
 * again it has its value back; and whatever a text is, the answer comes in bounded time and memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <glob.h>
#include <string.h>

#include "base/fd.h"
#include "registry-shim/lens.h"
#include "tests/unit/sanitized.h"

enum { KEYS_TRIED = 10, FILES_PER_PLACE = 50, FILE_MAX = 64 * 1024 };

struct kind {
	const char *lens;
	const char *other[2];   /* values unlike those in the texts */
	bool spans;             /* values may be spelled over several lines */
	const char *texts[40];  /* up to NULL */
	const char *places[12]; /* up to NULL */
};

static const struct kind kinds[] = {
	{ .lens = "yaml",
	  .other = { "it's: \"so\"\n", "" },
	  .texts = { "a: 1\n",
		     "%YAML 1.2\n---\n# c\nserver:\n    port: 8080 # p\n    host: \"h\\u00e9\"\n\n    tls: "
		     "{on: true}\n"
		     "    # end\nnames:\n- a: 1\n- b\nlist:\n  - x\ntext: |\n  one\n\n  two\n\nempty:\nlong: "
		     "one\n  two\nq: 'it''s'\n",
		     "a:\r\n  b:\r\n    c: \"12\"\r\n    d: [1, 'x']\r\n  e: ~\r\nf: &x y\ng: *x\n\"k: 1\": "
		     "yes",
		     "l: [1,\n  2]\nm: \"a\n  b\"\nn: x:y#z\n" },
	  .places = { "/usr/share/*/*.yaml", "/usr/share/*/*.yml", "/etc/*/*.yaml", "/etc/*/*.yml",
		      "/usr/lib/node_modules/npm/node_modules/*/.*.yml", "/usr/lib/python3*/*/*.yml" } },
	{ .lens = "kde",
	  .other = { "changed=1", "" },
	  .texts = { "[$i]\n[General][$i]\nName[de]=x\nfont[$e]=$HOME\n[Colors:View][Sub/Group]\na/"
		     "b=1\n\n[General]\nb = 2\n",
		     "top=1\n[Containments][2][Applets][3]\nplugin=x\n" },
	  .places = { "/etc/xdg/*rc", "/usr/share/kde*/*rc" } },
	{ .lens = "gsettings",
	  .other = { "'changed'", "" },
	  .texts = { "[org/gnome/desktop/interface]\ngtk-theme='Adwaita'\nsize=uint32 "
		     "5\n\n[/]\nx=1\n[org]\ny=true\n" },
	  .places = { "/etc/glib-2.0/settings/*" } },
	{ .lens = "wine",
	  .other = { "C:\\dir \"x\"", "" },
	  .spans = true,
	  .texts = { "WINE REGISTRY Version 2\n;; All keys relative to \\\\User\\\\S-1-5\n\n#arch=win64\n\n"
		     "[Software\\\\Wine\\\\Direct3D] "
		     "1700000000\n#time=1da1\n\"renderer\"=\"gdi\"\n@=\"default\"\n"
		     "\"n\"=dword:0000000a\n\"b\"=hex:01,02,\\\n  "
		     "03\n\"e\"=str(2):\"%TEMP%\\\\x\"\n\"q\"=\"dword:00000001\"\n"
		     "\"u\"=\"a\\x20ac\\n\"\n\"a\\\"/b\"=\"C:\\\\x\"\n",
		     "REGEDIT4\r\n\r\n[HKEY_CURRENT_USER\\Software\\X]\r\n\"a\"=\"\"\r\n[-HKEY_CURRENT_"
		     "USER\\Y]\r\n" },
	  .places = { "/usr/share/wine/*.reg" } },
	{ .lens = "toml",
	  .other = { "it's \"so\"\n\x7f", "" },
	  .spans = true,
	  .texts = { "a = 1\n",
		     "# c\ntitle = \"T\\u00e9\"\n[owner] # o\nname = 'N'\ndob = 1979-05-27T07:32:00-08:00\r\n"
		     "[a . \"b/c\"]\nx.y.\"z z\" = [1, # one\n 2,]\nx.q=0xff\nw = \"\"\"\nl1\nl2 \\\n   "
		     "l3\"\"\" # d\n"
		     "[[list]]\nk = 1\n[list.sub]\nk = 2\n[after]\nk = {a = 1, b.c = [true, {d = \"e\"}]}\n",
		     "n = '12'\nt = \"true\"\nq = '\"q\"'\ne = ''\nf = -1.5e+3\nu = \"\\u0000\"\ni = inf\nd "
		     "= 1979-05-27 07:32:00.5Z\n",
		     "[a]\n[a.b]\nx = 1\n[a.c]\n\"\" = '''\n'' '''\ny = 07:32:00",
		     "\xef\xbb\xbf"
		     "a.b = 1\na.c = 2\n[d]\na.e = 3" },
	  .places = { "/usr/share/*/*.toml", "/usr/lib/python3*/*/*.toml", "/etc/*/*.toml",
		      "/usr/share/doc/*/examples/*.toml", "/usr/share/cargo/registry/*/*.toml",
		      "/usr/lib/python3/dist-packages/*/*.toml" } },
	{ .lens = "xfconf",
	  .other = { "<changed> & \"so\" \n'", "" },
	  .texts = { "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\n<channel name=\"xfwm4\" "
		     "version=\"1.0\">\n"
		     "  <property name=\"general\" type=\"empty\">\n"
		     "    <property name=\"theme\" type=\"string\" value=\"Default\"/>\n"
		     "    <property name=\"snap\" type=\"bool\" value=\"true\"/>\n    <!-- a comment -->\n"
		     "    <property name=\"names\" type=\"array\">\n"
		     "      <value type=\"string\" value=\"one\"/>\n    </property>\n"
		     "    <property name=\"count\" type=\"uint\" value=\"4\"/>\n"
		     "    <property name='both' value='5' type='string'>\n"
		     "      <property name=\"in&amp;/%\" type=\"double\" value=\"0.5\"/>\n    </property>\n"
		     "  </property>\n  <property name=\"none\" type=\"empty\"/>\n</channel>\n",
		     "<channel name='a'><property name='b' type='string' "
		     "value='int:&#x20ac;&lt;'/></channel>",
		     "<channel name='a'>\r\n\t<property name='b' type='int' value='-1'\r\n\t locked='x' "
		     "/>\r\n</channel><!---->" },
	  .places = { "/etc/xdg/xfce4/xfconf/*/*.xml", "/usr/share/xfce4/*/*.xml" } },
	{ .lens = "properties",
	  .other = { " changed = \\ \xc3\xa9 \n", "" },
	  .spans = true,
	  .texts = { "a=1\n", "# c\n! d\n\n a : b\\\n   c\\\r\n  d\r\nname\nk v\n",
		     "\\u00e9\\ =\\u20ac\\ud83d\\ude00\\t\\q", "a\\:b\\=c = x\na=1\na=2\n", "x=\xe9\xc3\xa9",
		     "p=C:\\\\dir\\\\\nq=1", "a==b\na= =\n/=%\n" },
	  .places = { "/usr/share/*/*.properties", "/etc/*/*.properties", "/usr/lib/jvm/*/conf/*.properties",
		      "/usr/lib/jvm/*/conf/*/*.properties", "/etc/java*/*/*.properties" } },
	{ .lens = "shell",
	  .other = { "it's $5 `x` \"\\", "" },
	  .spans = true,
	  .texts = { "A=1\n",
		     "# c\nexport A=1 # one\nB='two words'\nC=\"three $\\{4}\"\r\nD=\"$HOME/x\"\nE=\n",
		     "if true; then\n\tA=1\nfi\nA=$(date)\nB=\"a\nb\"\nC=x y\nF=\"`x`\"\n_1=a\\ "
		     "b$x\nG='\"q\"'\nH=it\\'s",
		     "A=1\\\n2\nB=\"1\\\n2\"\n" },
	  .places = { "/etc/default/*", "/etc/os-release", "/etc/environment", "/usr/lib/*.d/*.sh",
		      "/etc/adduser.conf", "/etc/deluser.conf" } },
	{ .lens = "json",
	  .other = { "changed", "" },
	  .spans = true,
	  .texts = { "{}", "{\"a\":1}", "{\"a\": \"b\", \"c\": {\"d\": true}}\n",
		     "{\n  // about a\n  \"a\": 1, // one\n  \"b\": \"x\", /* two */\n  \"c\": null // "
		     "three\n}\n",
		     "// c\n{ // d\n\"a\":1,\"b\":2}// e", "{\"a\":1,\"b\":{},}",
		     "\xef\xbb\xbf{\r\n\t\"a\": 1\r\n}\r\n",
		     "{\n    \"editor.fontSize\": 14,\n    \"files.exclude\": {\n        \"**/.git\": "
		     "true,\n    },\n"
		     "    \"rulers\": [80, // soft\n 120],\n    \"o\": {\"\": \"e\", \"%\": -0.10e+5}\n}\n",
		     "{\"n\": \"12\", \"t\": \"true\", \"q\": \"\\\"q\\\"\", \"l\": \"[1]\", \"o\": \"{}\", "
		     "\"e\": \"\"}",
		     "{\"u\": \"\\u00e9\\ud83d\\ude00\", \"z\": \"a\\u0000\", \"s\": \"\\ud800\", "
		     "\"k\\u0000\": {\"a\": [1]}, "
		     "\"\\n\": \"\\n\\u0001\"}",
		     "{\"a\": 1, \"a\": 2, \"o\": {\"x\": 1}, \"o\": {\"y\": {\"z\": 2}}}" },
	  .places = { "/usr/share/*/*.json", "/usr/lib/node_modules/npm/*.json",
		      "/usr/lib/node_modules/npm/node_modules/*/package.json", "/usr/share/vulkan/*/*.json",
		      "/usr/share/nodejs/*/package.json", "/etc/*/*.json" } },
	{ .lens = "ini",
	  .other = { "changed=1 \\; #", "" },
	  .texts = { "[s]\na=1\n", "a=1\n[s]\r\nb = 2 ; c\r\n" },
	  .places = { "/usr/share/applications/*.desktop", "/usr/lib/systemd/system/*.service",
		      "/etc/*/*.conf", "/usr/share/*/*.ini" } },
};

static struct reg_doc *parse(const struct reg_lens *l, const char *text, size_t len)
{
	struct reg_doc *d = NULL;
	struct err e;

	if (reg_doc_parse(l, text, len, &d, &e) < 0)
		fail_msg("%s: %s: %.*s", reg_lens_name(l), e.msg, len > 2000 ? 2000 : (int)len, text);
	return d;
}

static void render(const struct reg_doc *d, struct buf *ret)
{
	struct err e;

	buf_reset(ret);
	assert_int_equal(reg_doc_render(d, ret, &e), 0);
	assert_non_null(buf_text(ret, &e));
}

static void assert_renders(const struct reg_doc *d, const char *text, size_t len)
{
	auto_buf struct buf got = BUF_INIT(64 * 1024 * 1024);

	render(d, &got);
	if (got.len != len || memcmp(got.data, text, len) != 0)
		fail_msg("rendered \"%s\" where \"%.*s\" is right", (char *)got.data, (int)len, text);
}

/* Bytes in front and behind that two texts share; what is left is what changed. */
static void assert_one_line_changed(const char *a, size_t alen, const char *b, size_t blen, bool spans)
{
	size_t head = 0, tail = 0;

	while (head < alen && head < blen && a[head] == b[head])
		head++;
	while (tail < alen - head && tail < blen - head && a[alen - 1 - tail] == b[blen - 1 - tail])
		tail++;
	if (!spans && memchr(a + head, '\n', alen - head - tail))
		fail_msg("changed %.*s", (int)(alen - head - tail), a + head);
	assert_null(memchr(b + head, '\n', blen - head - tail));
}

static size_t count_keys(const struct reg_doc *d)
{
	const char *key, *value;
	size_t n = 0;

	for (size_t pos = 0; reg_doc_next(d, &pos, &key, &value);)
		n++;
	return n;
}

/* What the document says is what its text says; the other keys are as they were in `before`. */
static void assert_says(const struct reg_lens *l, const struct reg_doc *d, const char *key, const char *value,
			const struct reg_doc *before)
{
	auto_buf struct buf out = BUF_INIT(64 * 1024 * 1024);
	const char *k, *v, *got;
	struct reg_doc *again;

	render(d, &out);
	again = parse(l, (char *)out.data, out.len);
	for (int i = 0; i < 2; i++) {
		got = reg_doc_get(i ? again : d, key);
		if (!got != !value || (got && strcmp(got, value) != 0))
			fail_msg("%s is %s and not %s in %s", key, got ? got : "nothing",
				 value ? value : "nothing", (char *)out.data);
	}
	for (size_t pos = 0; reg_doc_next(before, &pos, &k, &v);) {
		got = reg_doc_get(again, k);
		if (strcmp(k, key) != 0 && (!got || strcmp(got, v) != 0))
			fail_msg("with %s %s became %s in %s", key, k, got ? got : "nothing",
				 (char *)out.data);
	}
	assert_int_equal(count_keys(again), count_keys(before) - !value);
	reg_doc_free(again);
}

static void check_key(const struct kind *kind, const struct reg_lens *l, const char *text, size_t len,
		      const char *key, const char *was)
{
	auto_buf struct buf out = BUF_INIT(64 * 1024 * 1024);
	struct reg_doc *d = parse(l, text, len), *before = parse(l, text, len);
	struct err e;

	assert_string_equal(reg_doc_get(d, key), was);
	assert_int_equal(reg_doc_set(d, key, was, &e), 0);
	assert_renders(d, text, len);
	for (int i = 0; i < 2; i++) {
		if (reg_doc_set(d, key, kind->other[i], &e) < 0)
			fail_msg("%s: %s = %s: %s", kind->lens, key, kind->other[i], e.msg);
		render(d, &out);
		if (i == 0)
			assert_one_line_changed(text, len, (char *)out.data, out.len, kind->spans);
		assert_says(l, d, key, kind->other[i], before);
	}
	assert_int_equal(reg_doc_set(d, key, was, &e), 0);
	assert_says(l, d, key, was, before);
	reg_doc_free(d);
	d = parse(l, text, len);
	assert_int_equal(reg_doc_unset(d, key, &e), 0);
	assert_says(l, d, key, NULL, before);
	if (reg_doc_set(d, key, was, &e) < 0)
		fail_msg("%s: %s = %s again: %s", kind->lens, key, was, e.msg);
	assert_says(l, d, key, was, before);
	reg_doc_free(d);
	reg_doc_free(before);
}

static void check_laws(const struct kind *kind, const char *text, size_t len)
{
	const struct reg_lens *l = reg_lens_find(kind->lens);
	struct reg_doc *d = parse(l, text, len);
	size_t keys = count_keys(d), at = 0;
	const char *key, *value;

	assert_renders(d, text, len);
	/* Of many keys some from everywhere. */
	for (size_t pos = 0; reg_doc_next(d, &pos, &key, &value); at++)
		if (at % (keys / KEYS_TRIED + 1) == 0)
			check_key(kind, l, text, len, key, value);
	/* All away, and all back. */
	if (keys < 1000) {
		struct reg_doc *none = parse(l, text, len);
		struct err e;

		for (size_t pos = 0; reg_doc_next(d, &pos, &key, &value);)
			assert_int_equal(reg_doc_unset(none, key, &e), 0);
		assert_int_equal(count_keys(none), 0);
		for (size_t pos = 0; reg_doc_next(d, &pos, &key, &value);)
			assert_int_equal(reg_doc_set(none, key, value, &e), 0);
		for (size_t pos = 0; reg_doc_next(d, &pos, &key, &value);)
			assert_says(l, none, key, value, d);
		reg_doc_free(none);
	}
	reg_doc_free(d);
}

static void test_texts(void **state)
{
	(void)state;
	for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
		assert_non_null(reg_lens_find(kinds[k].lens));
		for (size_t i = 0; kinds[k].texts[i]; i++)
			check_laws(&kinds[k], kinds[k].texts[i], strlen(kinds[k].texts[i]));
	}
}

static void check_place(const struct kind *kind, const char *place, size_t *files, size_t *understood)
{
	const struct reg_lens *l = reg_lens_find(kind->lens);
	glob_t g;

	if (glob(place, 0, NULL, &g) != 0)
		return;
	for (size_t i = 0; i < g.gl_pathc && i < FILES_PER_PLACE; i++) {
		auto_buf struct buf text = BUF_INIT(FILE_MAX);
		struct reg_doc *d = NULL;
		struct err e;

		if (fd_read_file(AT_FDCWD, g.gl_pathv[i], &text, &e) < 0 || !text.len)
			continue;
		*files += 1;
		if (reg_doc_parse(l, (char *)text.data, text.len, &d, &e) < 0)
			continue;
		reg_doc_free(d);
		*understood += 1;
		check_laws(kind, (char *)text.data, text.len);
	}
	globfree(&g);
}

static void test_this_machine(void **state)
{
	(void)state;
	for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
		size_t files = 0, understood = 0;

		for (size_t i = 0; kinds[k].places[i]; i++)
			check_place(&kinds[k], kinds[k].places[i], &files, &understood);
		print_message("%s: %zu of %zu files of this machine understood\n", kinds[k].lens, understood,
			      files);
	}
}

/* What a text of one repeated piece does; 16 MiB of it, and 100,000 of it. */
static void test_hostile(void **state)
{
	static const char *const pieces[] = {
		"[",    "{",  "{\"a\":", "[[",    "<a>",          "<",  "a",     "a=",      "\"",  "'", "\\",
		"\\\n", "\n", "\r\n",    "a:\n ", "- ",           "a.", "[a]\n", "a = [\n", "a={", "%", "/",
		"#",    "&",  "\"\"\"",  "\xff",  "\xef\xbb\xbf", " ",  "\t",
	};
	const size_t max = IS_SANITIZED ? REG_TEXT_MAX / 16 : REG_TEXT_MAX;
	auto_free char *text = malloc(max);

	(void)state;
	for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
		const struct reg_lens *l = reg_lens_find(kinds[k].lens);

		for (size_t p = 0; p < ARRAY_LEN(pieces); p++) {
			size_t len = strlen(pieces[p]);
			struct reg_doc *d = NULL;
			struct err e;

			for (size_t i = 0; i < max; i++)
				text[i] = pieces[p][i % len];
			if (k == 0)
				(void)reg_lens_guess("x", text, 100000 * len);
			/* The long one with a third of them, another third for each lens. */
			for (int i = 0; i < 1 + ((p + k) % 3 == 0); i++) {
				size_t used = i ? max : 100000 * len;

				d = NULL;
				if (reg_doc_parse(l, text, used, &d, &e) == 0)
					assert_renders(d, text, used);
				else if (e.code != ERR_FORMAT && e.code != ERR_LIMIT)
					fail_msg("%s: %s: %s", kinds[k].lens, pieces[p], e.msg);
				reg_doc_free(d);
			}
		}
	}
}

/* Texts as full of keys as they may be. */
static void test_many(void **state)
{
	static const struct {
		const char *lens, *start, *before, *behind, *end;
	} texts[] = {
		{ "ini", "", "k", "=1\n", "" },
		{ "kde", "", "k", "=1\n", "" },
		{ "gsettings", "[a/b]\n", "k", "=1\n", "" },
		{ "properties", "", "k", "=1\n", "" },
		{ "shell", "", "k", "=1\n", "" },
		{ "toml", "", "k", "=1\n", "" },
		{ "yaml", "", "k", ": 1\n", "" },
		{ "json", "{", "\"k", "\":1,", "}" },
		{ "wine", "REGEDIT4\n[a]\n", "\"k", "\"=\"\"\n", "" },
		{ "xfconf", "<channel>", "<property name='k", "' type='int' value='1'/>", "</channel>" },
	};
	const size_t most = IS_SANITIZED ? 30 * 1000 : REG_ENTRIES_MAX - 10;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		auto_buf struct buf text = BUF_INIT(2 * (size_t)REG_TEXT_MAX);
		struct reg_doc *d;
		size_t keys = 0;
		struct err e;

		assert_int_equal(buf_add_str(&text, texts[i].start, &e), 0);
		for (; keys < most && text.len < REG_TEXT_MAX - 100; keys++)
			assert_int_equal(
				buf_printf(&text, &e, "%s%zx%s", texts[i].before, keys, texts[i].behind), 0);
		assert_int_equal(buf_add_str(&text, texts[i].end, &e), 0);
		d = parse(reg_lens_find(texts[i].lens), (char *)text.data, text.len);
		assert_int_equal(count_keys(d), keys);
		assert_renders(d, (char *)text.data, text.len);
		reg_doc_free(d);
	}
}

static void test_refused(void **state)
{
	struct reg_doc *d = NULL;
	struct err e;

	(void)state;
	for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
		assert_int_equal(reg_doc_parse(reg_lens_find(kinds[k].lens), "a\0b", 3, &d, &e), -1);
		assert_int_equal(e.code, ERR_FORMAT);
		assert_null(d);
	}
	assert_null(reg_lens_find("nothing"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts),   cmocka_unit_test(test_this_machine),
		cmocka_unit_test(test_hostile), cmocka_unit_test(test_many),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
