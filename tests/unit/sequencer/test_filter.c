/* SPDX-License-Identifier: Apache-2.0 */
/* Junk rules: how they are read, which one decides, and what happens to directories. */
#include "tests/unit/sequencer/fixture.h"

#include "sequencer/filter.h"

static struct seq_rules parsed(const char *text)
{
	struct seq_rules r;
	struct err e;

	if (seq_rules_parse(text, "test", &r, &e) < 0)
		fail_msg("%s", e.msg);
	return r;
}

static void rules_are_read(void **state)
{
	struct seq_rules r = parsed("# why\n\nexclude /a/**\n  include\t/a/b  \n# other\nexclude *.pid");

	(void)state;
	assert_int_equal(r.count, 3);
	assert_string_equal(r.rules[0].pattern, "/a/**");
	assert_string_equal(r.rules[0].comment, "why");
	assert_false(r.rules[0].include);
	assert_int_equal(r.rules[0].line, 3);
	assert_string_equal(r.rules[1].pattern, "/a/b");
	assert_true(r.rules[1].include);
	assert_string_equal(r.rules[2].comment, "other");
	assert_int_equal(r.rules[2].line, 6);
	seq_rules_fini(&r);
}

static void nonsense_is_refused_with_its_line(void **state)
{
	static const char *const wrong[] = { "\n\nremove /x\n", "\n\nexclude\n", "\n\nexclude   \n",
					     "\n\nexcludes /x" };
	struct seq_rules r;
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		assert_int_equal(seq_rules_parse(wrong[i], "test", &r, &e), -1);
		assert_int_equal(e.code, ERR_FORMAT);
		assert_non_null(strstr(e.msg, "line 3"));
	}
}

static void the_last_rule_decides(void **state)
{
	struct seq_rules r = parsed("exclude /a/**\ninclude /a/keep*\nexclude /a/keep-not\n");
	auto_capture struct seq_capture c = SEQ_CAPTURE_INIT;

	(void)state;
	put_entry(&c, "/a/x", S_IFREG | 0644)->st.st_size = 10;
	put_entry(&c, "/a/keep", S_IFREG | 0644);
	put_entry(&c, "/a/keep-not", S_IFREG | 0644)->st.st_size = 5;
	put_entry(&c, "/b", S_IFREG | 0644);
	seq_capture_sort(&c);
	seq_rules_apply(&r, &c);
	assert_int_equal(get_entry(&c, "/a/x")->rule, 0);
	assert_int_equal(get_entry(&c, "/a/keep")->rule, SEQ_TAKEN);
	assert_int_equal(get_entry(&c, "/a/keep-not")->rule, 2);
	assert_int_equal(get_entry(&c, "/b")->rule, SEQ_TAKEN);
	assert_int_equal(r.rules[0].hits, 1);
	assert_int_equal(r.rules[0].bytes, 10);
	assert_int_equal(r.rules[2].bytes, 5);
	seq_rules_fini(&r);
}

static void home_is_matched_by_its_token(void **state)
{
	struct seq_rules r = parsed("exclude @home/.cache/**\nexclude /root/**\n");
	auto_capture struct seq_capture c = SEQ_CAPTURE_INIT;

	(void)state;
	c.home = "/root";
	put_entry(&c, "/root/.cache/x", S_IFREG | 0644);
	put_entry(&c, "/root/.config", S_IFDIR | 0755);
	seq_capture_sort(&c);
	seq_rules_apply(&r, &c);
	assert_int_equal(get_entry(&c, "/root/.cache/x")->rule, 0);
	assert_int_equal(get_entry(&c, "/root/.config")->rule, SEQ_TAKEN);
	seq_rules_fini(&r);
}

/* A directory of the host comes along only when something in it does; "a.b" sorts between "a" and "a/b". */
static void parents_come_with_their_children(void **state)
{
	struct seq_rules r = parsed("exclude /var/log/**\nexclude /opt\n");
	auto_capture struct seq_capture c = SEQ_CAPTURE_INIT;

	(void)state;
	put_entry(&c, "/var", S_IFDIR | 0755)->change = SEQ_PARENT;
	put_entry(&c, "/var/log", S_IFDIR | 0755)->change = SEQ_PARENT;
	put_entry(&c, "/var/log/x", S_IFREG | 0644);
	put_entry(&c, "/usr", S_IFDIR | 0755)->change = SEQ_PARENT;
	put_entry(&c, "/usr/lib", S_IFDIR | 0755)->change = SEQ_PARENT;
	put_entry(&c, "/usr/lib.d", S_IFDIR | 0755)->change = SEQ_PARENT;
	put_entry(&c, "/usr/lib/x", S_IFREG | 0644);
	put_entry(&c, "/opt", S_IFDIR | 0755);
	put_entry(&c, "/opt/x", S_IFREG | 0644);
	seq_capture_sort(&c);
	seq_rules_apply(&r, &c);
	assert_false(seq_entry_is_taken(get_entry(&c, "/var")));
	assert_false(seq_entry_is_taken(get_entry(&c, "/var/log")));
	assert_true(seq_entry_is_taken(get_entry(&c, "/usr")));
	assert_true(seq_entry_is_taken(get_entry(&c, "/usr/lib")));
	assert_false(seq_entry_is_taken(get_entry(&c, "/usr/lib.d")));
	/* What is taken needs its directory, whatever a rule says of that. */
	assert_true(seq_entry_is_taken(get_entry(&c, "/opt")));
	assert_int_equal(r.rules[1].hits, 0);
	seq_rules_fini(&r);
}

static void the_rules_of_floe_itself_hold(void **state)
{
	static const char *const junk[] = { "/var/cache/apt/archives/x.deb",
					    "/var/lib/dpkg/status",
					    "/etc/passwd",
					    "/etc/shadow-",
					    "/run/x.pid",
					    "/usr/share/x.dpkg-new",
					    "/tmp/x",
					    "/var/log/apt/history.log",
					    "/etc/machine-id" };
	static const char *const kept[] = {
		"/etc/ld.so.cache", "/usr/share/mime/mime.cache",
		"/usr/bin/passwd",  "/usr/share/glib-2.0/schemas/gschemas.compiled",
		"/etc/mc/mc.lib",   "/usr/lib/python3/dist-packages/x/__pycache__/y.pyc"
	};
	auto_capture struct seq_capture c = SEQ_CAPTURE_INIT;
	struct seq_rules r;
	struct err e;
	auto_free char *path = seq_rules_default_path(&e);

	(void)state;
	assert_non_null(path);
	if (seq_rules_load(path, &r, &e) < 0)
		fail_msg("%s", e.msg);
	for (size_t i = 0; i < ARRAY_LEN(junk); i++)
		put_entry(&c, junk[i], S_IFREG | 0644);
	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		put_entry(&c, kept[i], S_IFREG | 0644);
	seq_capture_sort(&c);
	seq_rules_apply(&r, &c);
	for (size_t i = 0; i < ARRAY_LEN(junk); i++)
		if (seq_entry_is_taken(get_entry(&c, junk[i])))
			fail_msg("%s is taken", junk[i]);
	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		if (!seq_entry_is_taken(get_entry(&c, kept[i])))
			fail_msg("%s is left out", kept[i]);
	for (size_t i = 0; i < r.count; i++)
		if (!*r.rules[i].comment)
			fail_msg("%s has no comment", r.rules[i].pattern);
	seq_rules_fini(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules_are_read),
		cmocka_unit_test(nonsense_is_refused_with_its_line),
		cmocka_unit_test(the_last_rule_decides),
		cmocka_unit_test(home_is_matched_by_its_token),
		cmocka_unit_test(parents_come_with_their_children),
		cmocka_unit_test(the_rules_of_floe_itself_hold),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
