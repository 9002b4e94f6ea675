/* SPDX-License-Identifier: Apache-2.0 */
/* Longest prefix, precedence of sources, locks, and what no rule can be made for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/path.h"
#include "launcher/path_rules.h"

static void add(struct launch_rules *r, const char *path, enum launch_policy policy,
		enum launch_rule_source source, bool is_locked)
{
	struct launch_rule rule = {
		.path = (char *)path, .policy = policy, .source = source, .is_locked = is_locked
	};
	struct err e;

	if (launch_rules_add(r, &rule, &e) < 0)
		fail_msg("%s", e.msg);
}

static void settle(struct launch_rules *r)
{
	struct err e;

	if (launch_rules_settle(r, &e) < 0)
		fail_msg("%s", e.msg);
}

static enum launch_policy policy_at(const struct launch_rules *r, const char *path)
{
	const struct launch_rule *rule = launch_rules_ruling(r, path, false);

	return rule ? rule->policy : LAUNCH_PRIVATE;
}

static void test_longest_prefix_wins(void **state)
{
	struct launch_rules r = { 0 };

	(void)state;
	add(&r, "/a/b/c", LAUNCH_HIDDEN, LAUNCH_RULE_DEFAULT, false);
	add(&r, "/a", LAUNCH_DIRECT, LAUNCH_RULE_OPTION, false);
	add(&r, "/a/b", LAUNCH_PRIVATE, LAUNCH_RULE_PACKAGE, false);
	settle(&r);
	assert_int_equal(policy_at(&r, "/"), LAUNCH_PRIVATE);
	assert_int_equal(policy_at(&r, "/a"), LAUNCH_DIRECT);
	assert_int_equal(policy_at(&r, "/ab"), LAUNCH_PRIVATE);
	assert_int_equal(policy_at(&r, "/a/bc"), LAUNCH_DIRECT);
	assert_int_equal(policy_at(&r, "/a/b/x"), LAUNCH_PRIVATE);
	assert_int_equal(policy_at(&r, "/a/b/c"), LAUNCH_HIDDEN);
	assert_int_equal(policy_at(&r, "/a/b/c/d/e"), LAUNCH_HIDDEN);
	assert_int_equal(launch_rules_ruling(&r, "/a/b/c", true)->policy, LAUNCH_PRIVATE);
	assert_null(launch_rules_ruling(&r, "/a", true));
	for (size_t i = 1; i < r.count; i++)
		assert_true(strcmp(r.list[i - 1].path, r.list[i].path) < 0);
	launch_rules_fini(&r);
}

/* Whatever the order in which they come. */
static void test_stronger_sources_win(void **state)
{
	static const enum launch_policy of_source[] = { LAUNCH_DIRECT, LAUNCH_HIDDEN, LAUNCH_PRIVATE,
							LAUNCH_DIRECT_READ_ONLY, LAUNCH_HIDDEN };

	(void)state;
	for (int strongest = LAUNCH_RULE_DEFAULT; strongest <= LAUNCH_RULE_OPTION; strongest++)
		for (int start = 0; start <= strongest; start++) {
			struct launch_rules r = { 0 };

			for (int i = 0; i <= strongest; i++) {
				int source = (start + i) % (strongest + 1);

				add(&r, "/a/b", of_source[source], (enum launch_rule_source)source, false);
			}
			settle(&r);
			assert_int_equal(r.count, 1);
			assert_int_equal(r.list[0].source, strongest);
			assert_int_equal(policy_at(&r, "/a/b"), of_source[strongest]);
			launch_rules_fini(&r);
		}
}

static void test_last_word_wins_within_a_source(void **state)
{
	struct launch_rules r = { 0 };

	(void)state;
	add(&r, "/a", LAUNCH_DIRECT, LAUNCH_RULE_OPTION, false);
	add(&r, "/a/", LAUNCH_HIDDEN, LAUNCH_RULE_OPTION, false);
	add(&r, "/x/../a", LAUNCH_DIRECT_READ_ONLY, LAUNCH_RULE_OPTION, false);
	settle(&r);
	assert_int_equal(r.count, 1);
	assert_int_equal(policy_at(&r, "/a"), LAUNCH_DIRECT_READ_ONLY);
	launch_rules_fini(&r);
}

static void test_locks_hold_for_all_below(void **state)
{
	struct launch_rules r = { 0 };

	(void)state;
	add(&r, "/a", LAUNCH_HIDDEN, LAUNCH_RULE_SITE, true);
	add(&r, "/a/hole", LAUNCH_DIRECT, LAUNCH_RULE_SITE, false); /* the same file may say more */
	add(&r, "/a", LAUNCH_DIRECT, LAUNCH_RULE_DEFAULT, false);
	add(&r, "/a/x", LAUNCH_DIRECT, LAUNCH_RULE_PACKAGE, false);
	add(&r, "/a/hole", LAUNCH_HIDDEN, LAUNCH_RULE_USER, true);
	add(&r, "/a/y", LAUNCH_HIDDEN, LAUNCH_RULE_OPTION, false); /* asks for what is so anyway */
	add(&r, "/ab", LAUNCH_DIRECT, LAUNCH_RULE_PACKAGE, false);
	settle(&r);
	assert_int_equal(policy_at(&r, "/a"), LAUNCH_HIDDEN);
	assert_int_equal(policy_at(&r, "/a/x"), LAUNCH_HIDDEN);
	assert_int_equal(policy_at(&r, "/a/y"), LAUNCH_HIDDEN);
	assert_int_equal(policy_at(&r, "/a/hole"), LAUNCH_DIRECT);
	assert_int_equal(policy_at(&r, "/ab"), LAUNCH_DIRECT);
	assert_int_equal(r.count, 3);
	launch_rules_fini(&r);
}

static void test_locks_refuse_the_command_line(void **state)
{
	static const struct {
		const char *path;
		enum launch_policy policy;
		bool is_refused;
	} cases[] = {
		{ "/l", LAUNCH_DIRECT, true },
		{ "/l/sub", LAUNCH_PRIVATE, true },
		{ "/l/sub", LAUNCH_HIDDEN, false },
		{ "/l/ro/x", LAUNCH_DIRECT, true },
		{ "/l/ro", LAUNCH_DIRECT_READ_ONLY, false },
		{ "/lx", LAUNCH_DIRECT, false },
		{ "/other", LAUNCH_DIRECT, false },
	};
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct launch_rules r = { 0 };
		int rc;

		add(&r, cases[i].path, cases[i].policy, LAUNCH_RULE_OPTION, false);
		add(&r, "/l", LAUNCH_HIDDEN, LAUNCH_RULE_USER, true);
		add(&r, "/l/ro", LAUNCH_DIRECT_READ_ONLY, LAUNCH_RULE_SITE, true);
		rc = launch_rules_settle(&r, &e);
		assert_int_equal(rc, cases[i].is_refused ? -1 : 0);
		if (rc < 0) {
			assert_int_equal(e.code, ERR_TRUST);
			assert_non_null(strstr(e.msg, cases[i].path));
		}
		launch_rules_fini(&r);
	}
}

/* A rule that loses by its path to one that a lock has dropped must not be lost with it. */
static void test_dropped_rules_drop_no_others(void **state)
{
	struct launch_rules r = { 0 };

	(void)state;
	add(&r, "/a", LAUNCH_HIDDEN, LAUNCH_RULE_SITE, true);
	add(&r, "/a/b", LAUNCH_DIRECT, LAUNCH_RULE_SITE, false);
	add(&r, "/a/b", LAUNCH_HIDDEN, LAUNCH_RULE_USER, false);
	settle(&r);
	assert_int_equal(policy_at(&r, "/a/b"), LAUNCH_DIRECT);
	launch_rules_fini(&r);
}

static void test_places_that_no_rule_changes(void **state)
{
	static const char *const refused[] = { "/",          "/proc",      "/proc/self",
					       "/sys/fs",    "/dev/shm",   "/run/user/1",
					       "/run/media", "/.floe/run", "/tmp/../dev" };
	struct launch_rules r = { 0 };
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		struct launch_rule rule = { .path = (char *)refused[i],
					    .policy = LAUNCH_DIRECT,
					    .source = LAUNCH_RULE_OPTION };

		assert_int_equal(launch_rules_add(&r, &rule, &e), -1);
		assert_int_equal(e.code, ERR_USAGE);
		assert_int_equal(r.count, 0);
		rule.source = LAUNCH_RULE_PACKAGE; /* left out */
		assert_int_equal(launch_rules_add(&r, &rule, &e), 0);
		assert_int_equal(r.count, 0);
	}
	add(&r, "/run/media/me/disk", LAUNCH_DIRECT, LAUNCH_RULE_OPTION, false);
	add(&r, "/devices", LAUNCH_DIRECT, LAUNCH_RULE_OPTION, false);
	assert_int_equal(r.count, 2);
	launch_rules_fini(&r);
}

static void test_links_are_followed_once(void **state)
{
	char dir[] = "/var/tmp/floe-rules-XXXXXX";
	struct launch_rules r = { 0 };
	struct err e;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	assert_int_equal(mkdir("real", 0755), 0);
	assert_int_equal(symlink("real", "link"), 0);
	assert_int_equal(symlink("/proc", "outside"), 0);
	assert_int_equal(symlink("nowhere", "dangling"), 0);
	add(&r, "link", LAUNCH_DIRECT, LAUNCH_RULE_OPTION, false);
	add(&r, "link/not/yet", LAUNCH_HIDDEN, LAUNCH_RULE_OPTION, false);
	add(&r, "dangling", LAUNCH_HIDDEN, LAUNCH_RULE_OPTION, false);
	{
		auto_free char *real = mem_printf(&e, "%s/real", dir);
		auto_free char *below = mem_printf(&e, "%s/real/not/yet", dir);
		struct launch_rule rule = { .path = (char *)"outside/x", .source = LAUNCH_RULE_USER };

		assert_string_equal(r.list[0].path, real);
		assert_string_equal(r.list[1].path, below);
		assert_string_equal(r.list[2].path + strlen(dir), "/dangling");
		assert_int_equal(launch_rules_add(&r, &rule, &e), -1);
		assert_non_null(strstr(e.msg, "outside"));
	}
	launch_rules_fini(&r);
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(path_remove_tree(AT_FDCWD, dir, &e), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_longest_prefix_wins),
		cmocka_unit_test(test_stronger_sources_win),
		cmocka_unit_test(test_last_word_wins_within_a_source),
		cmocka_unit_test(test_locks_hold_for_all_below),
		cmocka_unit_test(test_locks_refuse_the_command_line),
		cmocka_unit_test(test_dropped_rules_drop_no_others),
		cmocka_unit_test(test_places_that_no_rule_changes),
		cmocka_unit_test(test_links_are_followed_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
