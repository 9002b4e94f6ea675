/* SPDX-License-Identifier: Apache-2.0 */
/* What is read from text: command lines, desktop entries, dpkg's database, names, UTF-8. */
#include "tests/unit/sequencer/fixture.h"

#include "sequencer/desktop.h"
#include "sequencer/detect.h"
#include "sequencer/dpkg.h"
#include "sequencer/draft.h"
#include "sequencer/naming.h"

static void words_are_split_as_a_shell_would(void **state)
{
	static const char *const want[] = { "a", "b c", "d e", "f'g", "h\"i", "", "j k", "\\l" };
	char **words;
	struct err e;

	(void)state;
	assert_int_equal(seq_words_split("  a 'b c' \"d e\" f\\'g \"h\\\"i\" '' j' 'k '\\'l ", &words, &e),
			 0);
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		assert_non_null(words[i]);
		assert_string_equal(words[i], want[i]);
	}
	assert_null(words[ARRAY_LEN(want)]);
	free(words);
	assert_int_equal(seq_words_split("", &words, &e), 0);
	assert_null(words[0]);
	free(words);
	assert_int_equal(seq_words_split("a 'b", &words, &e), -1);
	assert_int_equal(e.code, ERR_USAGE);
	assert_int_equal(seq_words_split("\"", &words, &e), -1);
}

static void desktop_entries_are_read(void **state)
{
	static const char text[] =
		"# c\n[Other]\nExec=wrong\n[Desktop Entry]\nType = Application \nName=A\nName[de]=B\n"
		"Exec=/usr/bin/env -i A=b \"/opt/a b/run\" --x %U\r\nIcon=ic\nMimeType=text/plain;\n"
		"Terminal=true\n[Desktop Action new]\nExec=other\n";
	struct seq_desktop d;
	struct err e;

	(void)state;
	assert_int_equal(seq_desktop_parse(text, strlen(text), &d, &e), 0);
	assert_string_equal(d.name, "A");
	assert_string_equal(d.program, "/opt/a b/run");
	assert_string_equal(d.icon, "ic");
	assert_string_equal(d.mime_types, "text/plain;");
	assert_true(d.is_terminal);
	assert_false(d.no_display);
	seq_desktop_fini(&d);
}

static void what_is_no_application_is_refused(void **state)
{
	static const char *const wrong[] = { "",
					     "[Desktop Entry]\n",
					     "[Desktop Entry]\nType=Link\nExec=x\n",
					     "[Desktop Entry]\nType=Application\n",
					     "[Desktop Entry]\nType=Application\nExec=\n",
					     "[Desktop Entry]\nType=Application\nExec=env A=b\n",
					     "[Desktop Entry]\nType=Application\nExec='x\n",
					     "Type=Application\nExec=x\n" };
	struct seq_desktop d;
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		assert_int_equal(seq_desktop_parse(wrong[i], strlen(wrong[i]), &d, &e), -1);
	assert_int_equal(seq_desktop_parse("[Desktop Entry]\0\n", 17, &d, &e), -1);
}

static const char before[] = "Package: a\nStatus: install ok installed\nVersion: 1\n\n"
			     "Package: b\nStatus: install ok installed\nVersion: 1\n";
static const char after[] =
	"Package: a\nStatus: install ok installed\nVersion: 1\n\n"
	"Package: b\nStatus: install ok installed\nVersion: 2\nDescription: the b\n more\n\n"
	"Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n\n"
	"Package: half\nStatus: install ok not-installed\nVersion: 1\n\n"
	"Package: c\nStatus: install ok installed\nVersion: 3\n\n";

static void new_packages_are_those_that_differ(void **state)
{
	struct seq_dpkg old, new;
	struct err e;

	(void)state;
	assert_int_equal(seq_dpkg_parse(before, strlen(before), &old, &e), 0);
	assert_int_equal(seq_dpkg_parse(after, strlen(after), &new, &e), 0);
	assert_int_equal(old.count, 2);
	assert_int_equal(new.count, 3);
	assert_null(seq_dpkg_find(&new, "gone"));
	seq_dpkg_keep_new(&new, &old);
	assert_int_equal(new.count, 2);
	assert_string_equal(new.packages[0].name, "b");
	assert_string_equal(new.packages[0].summary, "the b");
	assert_string_equal(new.packages[1].name, "c");
	seq_dpkg_fini(&old);
	seq_dpkg_fini(&new);
	assert_int_equal(seq_dpkg_parse("", 0, &old, &e), 0);
	assert_int_equal(old.count, 0);
	seq_dpkg_fini(&old);
}

static void packages_get_names(void **state)
{
	static const struct {
		const char *line, *name;
	} cases[] = {
		{ "apt-get install -y mc", "mc" },
		{ "apt-get -o X=y -t stable install --no-install-recommends gimp=2.10 foo", "gimp" },
		{ "/usr/bin/apt install inkscape/stable", "inkscape" },
		{ "sh -c 'apt-get update -qq && apt-get install -y htop'", "htop" },
		{ "dpkg -i ./mc_4.8.29-2_amd64.deb", "mc" },
		{ "apt-get install /tmp/vendor-app_1.0_all.deb", "vendor-app" },
		{ "pip install --prefix /opt/x black==22.1", "black" },
		{ "pip3 install httpie[extra]", "httpie" },
		{ "./Blender-4.1-linux.run --silent", "Blender" },
		{ "sh ./setup-tool.sh", "setup-tool" },
		{ "make install", "make" },
		{ "/x/!!!", "application" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		auto_free char **argv = NULL;
		auto_free char *name = NULL;
		struct err e;

		assert_int_equal(seq_words_split(cases[i].line, &argv, &e), 0);
		name = seq_name_from_installer(argv, &e);
		assert_non_null(name);
		if (strcmp(name, cases[i].name))
			fail_msg("%s: %s", cases[i].line, name);
		assert_true(path_is_plain_name(name));
	}
}

static void names_become_plain(void **state)
{
	static const char *const texts[] = { "",
					     "---",
					     "...",
					     "a b",
					     "\xff",
					     "-x-",
					     ("0123456789012345678901234567890123456789"
					      "012345678901234567890123456789") };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct err e;
		auto_free char *name = seq_name_plain(texts[i], &e);

		assert_non_null(name);
		if (!path_is_plain_name(name))
			fail_msg("%s: %s", texts[i], name);
	}
}

static void utf8_is_told_from_other_bytes(void **state)
{
	static const char *const right[] = {
		"", "a", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf"
	};
	static const char *const wrong[] = { "\xff",
					     "\xc3",
					     "\x80",
					     "\xc0\xaf",
					     "\xe0\x80\xaf",
					     "\xed\xa0\x80",
					     "\xf4\x90\x80\x80",
					     "\xf8\x88\x80\x80\x80",
					     "a\xe2\x82" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(right); i++)
		assert_true(seq_text_is_utf8(right[i]));
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		assert_false(seq_text_is_utf8(wrong[i]));
}

#define TEST(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(words_are_split_as_a_shell_would),
		TEST(desktop_entries_are_read),
		TEST(what_is_no_application_is_refused),
		TEST(new_packages_are_those_that_differ),
		TEST(packages_get_names),
		TEST(names_become_plain),
		TEST(utf8_is_told_from_other_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
