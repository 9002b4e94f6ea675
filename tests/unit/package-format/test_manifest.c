/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests: what is printed reads back the same, and each wrong member is refused by its name. */
#include "tests/unit/package-format/fixture.h"

static const char full[] = "{\n"
			   "  \"commands\": [\n"
			   "    {\n"
			   "      \"args\": [\n"
			   "        \"-x\",\n"
			   "        \"two words\"\n"
			   "      ],\n"
			   "      \"name\": \"mc\",\n"
			   "      \"path\": \"/usr/bin/mc\"\n"
			   "    },\n"
			   "    {\n"
			   "      \"name\": \"mcedit\",\n"
			   "      \"path\": \"@home/.local/bin/mcedit\"\n"
			   "    }\n"
			   "  ],\n"
			   "  \"config_files\": [\n"
			   "    {\n"
			   "      \"defaults\": \"/etc/mc/ini\",\n"
			   "      \"lens\": \"ini\",\n"
			   "      \"path\": \"@config/mc/ini\"\n"
			   "    }\n"
			   "  ],\n"
			   "  \"default_command\": \"mc\",\n"
			   "  \"desktop_files\": [\n"
			   "    \"/usr/share/applications/mc.desktop\"\n"
			   "  ],\n"
			   "  \"environment\": [\n"
			   "    {\n"
			   "      \"name\": \"MC_SKIN\",\n"
			   "      \"value\": \"\"\n"
			   "    }\n"
			   "  ],\n"
			   "  \"local_settings\": [\n"
			   "    {\n"
			   "      \"rule\": \"merge-local\",\n"
			   "      \"subtree\": \"@config/mc\"\n"
			   "    },\n"
			   "    {\n"
			   "      \"rule\": \"override-local\",\n"
			   "      \"subtree\": \"@config/mc/ini:Panels\"\n"
			   "    }\n"
			   "  ],\n"
			   "  \"name\": \"mc\",\n"
			   "  \"notes\": [\n"
			   "    \"a unit was left out\"\n"
			   "  ],\n"
			   "  \"paths\": [\n"
			   "    {\n"
			   "      \"path\": \"@documents\",\n"
			   "      \"policy\": \"direct\"\n"
			   "    },\n"
			   "    {\n"
			   "      \"path\": \"/srv\",\n"
			   "      \"policy\": \"hidden\"\n"
			   "    }\n"
			   "  ],\n"
			   "  \"summary\": \"a file manager \u2013 for terminals\",\n"
			   "  \"version\": \"4.8.29\"\n"
			   "}\n";

static void round_trip(void **state)
{
	struct pkg_manifest *m;
	auto_buf struct buf text = BUF_INIT(PKG_MANIFEST_MAX);
	struct err e;

	(void)state;
	OK(pkg_manifest_parse(full, strlen(full), &m, &e));
	assert_string_equal(m->name, "mc");
	assert_int_equal(m->command_count, 2);
	assert_string_equal(m->commands[0].args[1], "two words");
	assert_null(m->commands[0].args[2]);
	assert_null(m->commands[1].args);
	assert_string_equal(m->configs[0].lens, "ini");
	assert_string_equal(m->env[0].value, "");
	assert_int_equal(m->rules[1].policy, PKG_HIDDEN);
	assert_true(m->locals[0].is_merged);
	assert_false(m->locals[1].is_merged);
	assert_string_equal(m->notes[0], "a unit was left out");
	OK(pkg_manifest_print(m, &text, &e));
	assert_string_equal(buf_text(&text, &e), full);
	pkg_manifest_free(m);
}

static void smallest(void **state)
{
	static const char json[] = "{\"name\":\"x\",\"from_the_future\":{\"a\":[1]},\"notes\":null}";
	struct pkg_manifest *m;
	struct err e;

	(void)state;
	OK(pkg_manifest_parse(json, strlen(json), &m, &e));
	assert_string_equal(m->version, "");
	assert_null(m->commands);
	assert_int_equal(m->note_count, 0);
	pkg_manifest_free(m);
}

static void wrong_members(void **state)
{
	static const struct {
		const char *json, *said;
	} cases[] = {
		{ "", "manifest" },
		{ "[]", "object" },
		{ "{}", "name" },
		{ "{\"name\":7}", "name" },
		{ "{\"name\":\"a/b\"}", "name" },
		{ "{\"name\":\"x\",\"name\":\"y\"}", "duplicate" },
		{ "{\"name\":\"x\\u0000y\"}", "NUL" },
		{ "{\"name\":\"x\",\"version\":1}", "version" },
		{ "{\"name\":\"x\",\"notes\":\"text\"}", "notes" },
		{ "{\"name\":\"x\",\"notes\":[\"a\",1]}", "notes" },
		{ "{\"name\":\"x\",\"commands\":[{\"name\":\"a\"}]}", "path" },
		{ "{\"name\":\"x\",\"commands\":[{\"path\":\"/a\"}]}", "name" },
		{ "{\"name\":\"x\",\"commands\":[{\"name\":\"a/b\",\"path\":\"/a\"}]}", "command" },
		{ "{\"name\":\"x\",\"commands\":[{\"name\":\"a\",\"path\":\"bin/a\"}]}", "commands" },
		{ "{\"name\":\"x\",\"commands\":[{\"name\":\"a\",\"path\":\"/x/../../a\"}]}", "commands" },
		{ "{\"name\":\"x\",\"commands\":[7]}", "commands" },
		{ "{\"name\":\"x\",\"paths\":[{\"path\":\"@root/x\",\"policy\":\"direct\"}]}", "paths" },
		{ "{\"name\":\"x\",\"paths\":[{\"path\":\"/x\",\"policy\":\"open\"}]}", "policy" },
		{ "{\"name\":\"x\",\"paths\":[{\"path\":\"/\",\"policy\":\"direct\"}]}", "paths" },
		{ "{\"name\":\"x\",\"paths\":[{\"path\":\"/proc/1\",\"policy\":\"direct\"}]}", "/proc/1" },
		{ "{\"name\":\"x\",\"paths\":[{\"path\":\"@runtime\",\"policy\":\"direct\"}]}", "@runtime" },
		{ "{\"name\":\"x\",\"local_settings\":[{\"subtree\":\"@config/a\",\"rule\":\"keep\"}]}",
		  "rule" },
		{ "{\"name\":\"x\",\"local_settings\":[{\"subtree\":\"a:b\",\"rule\":\"merge-local\"}]}",
		  "local_settings" },
		{ "{\"name\":\"x\",\"environment\":[{\"name\":\"A=B\",\"value\":\"\"}]}", "environment" },
		{ "{\"name\":\"x\",\"desktop_files\":[\"x\"]}", "desktop_files" },
	};
	struct pkg_manifest *m;
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		if (pkg_manifest_parse(cases[i].json, strlen(cases[i].json), &m, &e) == 0)
			fail_msg("accepted: %s", cases[i].json);
		assert_int_equal(e.code, ERR_FORMAT);
		if (!strstr(e.msg, cases[i].said))
			fail_msg("%s does not name %s", e.msg, cases[i].said);
	}
}

static void limits(void **state)
{
	auto_buf struct buf json = BUF_INIT(4 * PKG_MANIFEST_MAX);
	struct pkg_manifest *m;
	struct err e;

	(void)state;
	OK(buf_add_str(&json, "{\"name\":\"x\",\"notes\":[\"\"", &e));
	for (int i = 0; i < 1024; i++)
		OK(buf_add_str(&json, ",\"\"", &e));
	OK(buf_add_str(&json, "]}", &e));
	FAILS(pkg_manifest_parse((char *)json.data, json.len, &m, &e), ERR_LIMIT);
	buf_reset(&json);
	OK(buf_add_str(&json, "{\"name\":\"x\",\"summary\":\"", &e));
	for (int i = 0; i < 4097; i++)
		OK(buf_add_str(&json, "s", &e));
	OK(buf_add_str(&json, "\"}", &e));
	FAILS(pkg_manifest_parse((char *)json.data, json.len, &m, &e), ERR_LIMIT);
	FAILS(pkg_manifest_parse(full, PKG_MANIFEST_MAX + 1, &m, &e), ERR_LIMIT);
}

static void what_cannot_be_read_is_not_printed(void **state)
{
	struct pkg_manifest m = { .name = (char *)"x", .version = (char *)"\xff" };
	auto_buf struct buf text = BUF_INIT(PKG_MANIFEST_MAX);
	struct err e;

	(void)state;
	FAILS(pkg_manifest_print(&m, &text, &e), ERR_FORMAT);
	m.version = (char *)"1";
	m.name = (char *)"not a name";
	FAILS(pkg_manifest_print(&m, &text, &e), ERR_FORMAT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(smallest),
		cmocka_unit_test(wrong_members),
		cmocka_unit_test(limits),
		cmocka_unit_test(what_cannot_be_read_is_not_printed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
