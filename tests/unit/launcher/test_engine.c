/* SPDX-License-Identifier: Apache-2.0 */
/* The choice of an engine: what the environment holds, what was asked for, and what is remembered of this
 * machine. Nothing is mounted: that overlayfs works or not is put into the cache by hand. */
#include "tests/unit/launcher/environment_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fd.h"
#include "launcher/engine.h"
#include "launcher/engine_probe.h"

static struct launch_engine_choice chosen(const struct launch_environment *env, enum launch_engine wanted)
{
	struct launch_engine_choice c = { 0 };
	struct err e;

	if (launch_engine_choose(env, wanted, &c, &e) < 0)
		fail_msg("%s", e.msg);
	return c;
}

/* The one file that the cache consists of. */
static char *note_path(void)
{
	static char path[512];
	char command[512];
	FILE *p;

	(void)snprintf(command, sizeof(command), "ls %s/floe/engine/*", root);
	p = popen(command, "r");
	assert_non_null(p);
	assert_non_null(fgets(path, sizeof(path), p));
	(void)pclose(p);
	path[strcspn(path, "\n")] = 0;
	return path;
}

static void write_note(const char *text)
{
	struct err e;

	assert_int_equal(fd_write_file(AT_FDCWD, note_path(), text, strlen(text), 0600, &e), 0);
}

static void test_words(void **state)
{
	enum launch_engine engine = LAUNCH_ENGINE_FUSE;
	struct err e;

	(void)state;
	assert_int_equal(launch_engine_parse("", &engine, &e), 0);
	assert_int_equal(engine, LAUNCH_ENGINE_AUTO);
	for (int i = LAUNCH_ENGINE_AUTO; i <= LAUNCH_ENGINE_FUSE; i++) {
		assert_int_equal(launch_engine_parse(launch_engine_name((enum launch_engine)i), &engine, &e),
				 0);
		assert_int_equal(engine, i);
	}
	assert_int_equal(launch_engine_parse("overlayfs", &engine, &e), -1);
	assert_int_equal(e.code, ERR_USAGE);
}

static void test_the_wish_is_kept(void **state)
{
	struct launch_environment *env = made("kept");
	struct err e;

	(void)state;
	assert_string_equal(env->engine, "");
	assert_int_equal(launch_environment_set_engine(env, "fuse", &e), 0);
	assert_string_equal(env->engine, "fuse");
	/* What is noted at a launch leaves it alone, and the other way round. */
	assert_int_equal(launch_environment_note(env, "mc", "1", "aa", "/mc.floe", &e), 0);
	launch_environment_close(env);
	env = made("kept");
	assert_string_equal(env->engine, "fuse");
	assert_int_equal(launch_environment_set_engine(env, "overlay", &e), 0);
	launch_environment_close(env);
	env = made("kept");
	assert_string_equal(env->engine, "overlay");
	assert_string_equal(env->package, "mc");
	assert_string_equal(env->source, "/mc.floe");
	launch_environment_close(env);
}

static void test_auto_is_what_works(void **state)
{
	auto_environment struct launch_environment *env = made("auto");
	const struct launch_probe works = { .works = true }, fails = { .why = "no user attributes here" };
	struct launch_engine_choice c;

	(void)state;
	launch_probe_remember(env->dir, &works);
	assert_int_equal(chosen(env, LAUNCH_ENGINE_AUTO).engine, LAUNCH_ENGINE_OVERLAY);
	launch_probe_remember(env->dir, &fails);
	c = chosen(env, LAUNCH_ENGINE_AUTO);
	assert_int_equal(c.engine, LAUNCH_ENGINE_FUSE);
	assert_non_null(strstr(c.why, fails.why));
	/* Who asks gets what he asks for. */
	assert_int_equal(chosen(env, LAUNCH_ENGINE_OVERLAY).engine, LAUNCH_ENGINE_OVERLAY);
	launch_probe_remember(env->dir, &works);
	assert_int_equal(chosen(env, LAUNCH_ENGINE_FUSE).engine, LAUNCH_ENGINE_FUSE);
	launch_probe_forget(env->dir);
	assert_false(launch_engine_guess(env, &c));
}

static void test_features_need_fuse(void **state)
{
	auto_environment struct launch_environment *env = made("features");
	const struct launch_probe works = { .works = true };
	struct launch_engine_choice c = { 0 };
	struct err e;

	(void)state;
	if (setxattr(env->upper, "user.floe.features", "redirect links", 14, 0) < 0)
		skip(); /* no user attributes here */
	launch_probe_remember(env->dir, &works);
	c = chosen(env, LAUNCH_ENGINE_AUTO);
	assert_int_equal(c.engine, LAUNCH_ENGINE_FUSE);
	assert_non_null(strstr(c.why, "renamed directories, hard links"));
	assert_true(launch_engine_guess(env, &c));
	assert_int_equal(c.engine, LAUNCH_ENGINE_FUSE);
	assert_int_equal(launch_engine_choose(env, LAUNCH_ENGINE_OVERLAY, &c, &e), -1);
	assert_int_equal(e.code, ERR_UNSUPPORTED);
	assert_non_null(strstr(e.msg, "renamed directories"));
	assert_int_equal(launch_engine_check(env, LAUNCH_ENGINE_OVERLAY, &e), -1);
	assert_int_equal(launch_engine_check(env, LAUNCH_ENGINE_AUTO, &e), 0);
}

static void test_what_is_remembered(void **state)
{
	const struct launch_probe works = { .works = true }, fails = { .why = "a reason: of some length" };
	struct launch_probe p;

	(void)state;
	assert_false(launch_probe_recall(root, &p));
	launch_probe_remember(root, &works);
	assert_true(launch_probe_recall(root, &p));
	assert_true(p.works);
	launch_probe_remember(root, &fails);
	assert_true(launch_probe_recall(root, &p));
	assert_false(p.works);
	assert_string_equal(p.why, fails.why);
	launch_probe_forget(root);
	assert_false(launch_probe_recall(root, &p));
}

static void test_garbage_is_a_miss(void **state)
{
	static const char *const tails[] = { "",          "works",         "works\n\n", "worksx\n",
					     "fails: \n", "fails: a\nb\n", "fails\n",   "fails: no end" };
	struct launch_probe p = { .works = true };
	struct utsname u;
	char text[2048];
	size_t head;

	(void)state;
	launch_probe_remember(root, &p);
	assert_int_equal(uname(&u), 0);
	head = (size_t)snprintf(text, sizeof(text), "floe engine 1\n%s %s\n", u.release, u.version);
	strcpy(text + head, "works\n");
	write_note(text);
	assert_true(launch_probe_recall(root, &p));
	for (size_t i = 0; i < ARRAY_LEN(tails); i++) {
		strcpy(text + head, tails[i]);
		write_note(text);
		assert_false(launch_probe_recall(root, &p));
	}
	write_note("floe engine 1\n1.2.3 another kernel\nworks\n");
	assert_false(launch_probe_recall(root, &p));
	(void)snprintf(text, sizeof(text), "floe engine 2\n%s %s\nworks\n", u.release, u.version);
	write_note(text);
	assert_false(launch_probe_recall(root, &p));
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	write_note(text);
	assert_false(launch_probe_recall(root, &p));
	assert_int_equal(truncate(note_path(), 100000), 0);
	assert_false(launch_probe_recall(root, &p));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_words, make_root, remove_root),
		cmocka_unit_test_setup_teardown(test_the_wish_is_kept, make_root, remove_root),
		cmocka_unit_test_setup_teardown(test_auto_is_what_works, make_root, remove_root),
		cmocka_unit_test_setup_teardown(test_features_need_fuse, make_root, remove_root),
		cmocka_unit_test_setup_teardown(test_what_is_remembered, make_root, remove_root),
		cmocka_unit_test_setup_teardown(test_garbage_is_a_miss, make_root, remove_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
