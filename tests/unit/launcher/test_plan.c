/* SPDX-License-Identifier: Apache-2.0 */
/* Which rule wins, what becomes a mount, and what the application gets as variables: plans are made
 * without a kernel, so that all of it can be looked at. Runs in a home directory of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "launcher/plan.h"

static char home[64];

static void make(const char *relative)
{
	struct err e;
	auto_free char *path = path_join(home, relative, &e);

	assert_non_null(path);
	assert_int_equal(path_make_dirs(path, 0755, &e), 0);
}

static int set_up(void **state)
{
	(void)state;
	(void)strcpy(home, "/var/tmp/floe-plan-XXXXXX");
	assert_non_null(mkdtemp(home));
	assert_int_equal(setenv("HOME", home, 1), 0);
	assert_int_equal(unsetenv("XDG_CONFIG_HOME"), 0);
	assert_int_equal(unsetenv("SSH_AUTH_SOCK"), 0);
	make("Documents/old");
	make("work");
	make(".config");
	assert_int_equal(chdir(home), 0);
	return 0;
}

static int tear_down(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(path_remove_tree(AT_FDCWD, home, &e), 0);
	return 0;
}

/* The bind at home/RELATIVE, or NULL. */
static const struct launch_bind *bind_at(const struct launch_plan *p, const char *relative)
{
	struct err e;
	auto_free char *path = path_join(home, relative, &e);

	assert_non_null(path);
	for (size_t i = 0; i < p->bind_count; i++)
		if (!strcmp(p->binds[i].target, path))
			return &p->binds[i];
	return NULL;
}

static void rule(struct launch_plan *p, const char *path, enum launch_policy policy)
{
	struct err e;

	assert_int_equal(launch_plan_rule(p, path, policy, LAUNCH_RULE_OPTION, &e), 0);
}

static void test_documents_are_direct_home_is_not(void **state)
{
	struct launch_plan p = { 0 };
	struct err e;

	(void)state;
	assert_int_equal(launch_plan_defaults(&p, &e), 0);
	assert_int_equal(launch_plan_resolve(&p, &e), 0);
	assert_non_null(bind_at(&p, "Documents"));
	assert_string_equal(bind_at(&p, "Documents")->source, bind_at(&p, "Documents")->target);
	assert_null(bind_at(&p, ""));
	assert_null(bind_at(&p, "Pictures")); /* is not there */
	launch_plan_fini(&p);
}

static void test_working_directory(void **state)
{
	static const struct {
		const char *cwd;
		bool is_direct;
	} cases[] = { { "work", true }, { ".config", false }, { "", false } };
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct launch_plan p = { 0 };
		auto_free char *cwd = path_join(home, cases[i].cwd, &e);

		assert_non_null(cwd);
		assert_int_equal(chdir(cwd), 0);
		assert_int_equal(launch_plan_defaults(&p, &e), 0);
		assert_int_equal(launch_plan_resolve(&p, &e), 0);
		assert_int_equal(bind_at(&p, cases[i].cwd) != NULL, cases[i].is_direct);
		launch_plan_fini(&p);
	}
	assert_int_equal(chdir(home), 0);
}

static void test_longest_prefix_and_last_word_win(void **state)
{
	struct launch_plan p = { 0 };
	struct err e;

	(void)state;
	assert_int_equal(launch_plan_defaults(&p, &e), 0);
	rule(&p, "Documents/old", LAUNCH_PRIVATE);
	rule(&p, "work", LAUNCH_DIRECT);
	rule(&p, "work", LAUNCH_HIDDEN);
	assert_int_equal(launch_plan_resolve(&p, &e), 0);
	assert_non_null(bind_at(&p, "Documents/old"));
	assert_null(bind_at(&p, "Documents/old")->source);
	assert_false(bind_at(&p, "Documents/old")->hide);
	assert_true(bind_at(&p, "work")->hide);
	for (size_t i = 1; i < p.bind_count; i++)
		assert_true(strcmp(p.binds[i - 1].target, p.binds[i].target) <= 0);
	launch_plan_fini(&p);
}

static void test_rules_that_change_nothing_mount_nothing(void **state)
{
	struct launch_plan p = { 0 };
	struct err e;

	(void)state;
	assert_int_equal(launch_plan_defaults(&p, &e), 0);
	rule(&p, "work", LAUNCH_PRIVATE);
	rule(&p, "Documents/old", LAUNCH_DIRECT);
	assert_int_equal(launch_plan_resolve(&p, &e), 0);
	assert_null(bind_at(&p, "work"));
	assert_null(bind_at(&p, "Documents/old"));
	launch_plan_fini(&p);
}

static void test_missing_shares_are_errors(void **state)
{
	struct launch_plan p = { 0 };
	struct err e;

	(void)state;
	assert_int_equal(launch_plan_defaults(&p, &e), 0);
	rule(&p, "nowhere", LAUNCH_HIDDEN);
	rule(&p, "neither", LAUNCH_DIRECT);
	assert_int_equal(launch_plan_resolve(&p, &e), -1);
	assert_int_equal(e.code, ERR_NOTFOUND);
	assert_non_null(strstr(e.msg, "neither"));
	assert_int_equal(launch_plan_rule(&p, "/", LAUNCH_DIRECT, LAUNCH_RULE_OPTION, &e), -1);
	launch_plan_fini(&p);
}

static void test_what_is_not_there_is_passed_over(void **state)
{
	struct launch_plan p = { 0 };
	struct err e;

	(void)state;
	assert_int_equal(launch_plan_defaults(&p, &e), 0);
	for (int source = LAUNCH_RULE_DEFAULT; source < LAUNCH_RULE_OPTION; source++) {
		assert_int_equal(
			launch_plan_rule(&p, "nowhere", LAUNCH_DIRECT, (enum launch_rule_source)source, &e),
			0);
		assert_int_equal(launch_plan_rule(&p, "Documents/none", LAUNCH_PRIVATE,
						  (enum launch_rule_source)source, &e),
				 0);
	}
	assert_int_equal(launch_plan_resolve(&p, &e), 0);
	assert_null(bind_at(&p, "nowhere"));
	assert_null(bind_at(&p, "Documents/none"));
	launch_plan_fini(&p);
}

/* Private > direct > private > hidden > direct, read-only within direct. */
static void test_nested_rules(void **state)
{
	struct launch_plan p = { 0 };
	struct err e;

	(void)state;
	make("work/a/b/c");
	make("work/ro");
	assert_int_equal(launch_plan_defaults(&p, &e), 0);
	rule(&p, "work/a/b/c", LAUNCH_DIRECT);
	rule(&p, "work/a/b", LAUNCH_HIDDEN);
	rule(&p, "work/ro", LAUNCH_DIRECT_READ_ONLY);
	rule(&p, "work/a", LAUNCH_PRIVATE);
	rule(&p, "work", LAUNCH_DIRECT);
	assert_int_equal(launch_plan_resolve(&p, &e), 0);
	assert_non_null(bind_at(&p, "work")->source);
	assert_false(bind_at(&p, "work")->read_only);
	assert_null(bind_at(&p, "work/a")->source);
	assert_true(bind_at(&p, "work/a/b")->hide);
	assert_non_null(bind_at(&p, "work/a/b/c")->source);
	assert_true(bind_at(&p, "work/a/b/c")->make);
	assert_true(bind_at(&p, "work/a/b/c")->is_dir);
	assert_true(bind_at(&p, "work/ro")->read_only);
	for (size_t i = 1; i < p.bind_count; i++)
		assert_true(strcmp(p.binds[i - 1].target, p.binds[i].target) < 0);
	launch_plan_fini(&p);
}

static void test_sockets_are_the_hosts(void **state)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	auto_fd int sock = socket(AF_UNIX, SOCK_STREAM, 0);
	struct launch_plan p = { 0 };
	struct err e;

	(void)state;
	(void)snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/agent", home);
	assert_int_equal(bind(sock, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(launch_plan_defaults(&p, &e), 0);
	assert_int_equal(launch_plan_find_sockets(&p, &e), 0);
	assert_int_equal(launch_plan_resolve(&p, &e), 0);
	assert_non_null(bind_at(&p, "agent"));
	assert_true(bind_at(&p, "agent")->optional);
	launch_plan_fini(&p);
}

static const char *variable(const struct launch_plan *p, const char *name)
{
	size_t len = strlen(name);

	for (char **v = p->envp; v && *v; v++)
		if (!strncmp(*v, name, len) && (*v)[len] == '=')
			return *v + len + 1;
	return NULL;
}

static void test_variables(void **state)
{
	auto_wire_out struct wire_out out = WIRE_OUT_INIT;
	auto_wire_in struct wire_in in = WIRE_IN_INIT;
	struct launch_plan p = { 0 };
	struct err e;

	(void)state;
	assert_int_equal(setenv("LD_PRELOAD", "", 1), 0);
	assert_int_equal(setenv("KEPT", "yes", 1), 0);
	assert_int_equal(setenv("MOVED", "no", 1), 0);
	assert_int_equal(wire_put_str(&out, "env", "MOVED=yes", &e), 0);
	assert_int_equal(wire_put_str(&out, "env", "nonsense", &e), 0);
	assert_int_equal(wire_parse(out.buf.data, out.buf.len, &in, &e), 0);
	assert_int_equal(launch_plan_environment(&p, &in, "box", true, &e), 0);
	assert_string_equal(variable(&p, "KEPT"), "yes");
	assert_string_equal(variable(&p, "MOVED"), "yes");
	assert_string_equal(variable(&p, "FLOE_ENVIRONMENT"), "box");
	assert_non_null(strstr(variable(&p, "LD_PRELOAD"), "libfloe-shim.so"));
	assert_null(variable(&p, "nonsense"));
	launch_plan_fini(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_documents_are_direct_home_is_not),
		cmocka_unit_test(test_working_directory),
		cmocka_unit_test(test_longest_prefix_and_last_word_win),
		cmocka_unit_test(test_rules_that_change_nothing_mount_nothing),
		cmocka_unit_test(test_missing_shares_are_errors),
		cmocka_unit_test(test_what_is_not_there_is_passed_over),
		cmocka_unit_test(test_nested_rules),
		cmocka_unit_test(test_sockets_are_the_hosts),
		cmocka_unit_test(test_variables),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
