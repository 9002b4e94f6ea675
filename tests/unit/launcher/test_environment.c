/* SPDX-License-Identifier: Apache-2.0 */
/* Environments: what is on the disk after each call, who may have which lock, and what an interruption
 * leaves behind. */
#include "tests/unit/launcher/environment_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"

static struct launch_environment *opened(const char *name, enum launch_environment_use use)
{
	struct launch_environment *env = NULL;
	struct err e;

	if (launch_environment_open(name, use, &env, &e) < 0)
		fail_msg("%s", e.msg);
	return env;
}

static void put(const char *dir, const char *name, const char *text)
{
	auto_free char *path = NULL;
	struct err e;

	path = path_join(dir, name, &e);
	assert_non_null(path);
	assert_int_equal(fd_write_file(AT_FDCWD, path, text, strlen(text), 0600, &e), 0);
}

static bool exists(const char *dir, const char *name)
{
	struct err e;
	auto_free char *path = path_join(dir, name, &e);

	assert_non_null(path);
	return access(path, F_OK) == 0;
}

static void test_make_lays_out_the_directory(void **state)
{
	auto_environment struct launch_environment *env = made("mc");
	struct stat st;

	(void)state;
	assert_string_equal(env->name, "mc");
	assert_int_equal(*env->dir, '/');
	assert_string_equal(env->package, "");
	assert_true(env->created_s > 1000000000);
	assert_int_equal(stat(env->upper, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	assert_int_equal(stat(env->dir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(stat(env->work, &st), 0);
	assert_false(exists(env->dir, "registry.db"));
}

static void test_open_of_nothing_is_not_found(void **state)
{
	struct launch_environment *env = NULL;
	struct err e;

	(void)state;
	assert_int_equal(launch_environment_open("none", LAUNCH_ENV_SHARED, &env, &e), -1);
	assert_int_equal(e.code, ERR_NOTFOUND);
	launch_environment_close(made("some"));
	assert_int_equal(launch_environment_open("none", LAUNCH_ENV_SHARED, &env, &e), -1);
	assert_int_equal(e.code, ERR_NOTFOUND);
	assert_null(env);
}

static void test_bad_names_are_refused(void **state)
{
	static const char *const names[] = { "", ".", "..", ".hidden", "-x", "a/b", "a b" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct launch_environment *env = NULL;
		struct err e;

		assert_int_equal(launch_environment_make(names[i], &env, &e), -1);
		assert_int_equal(e.code, ERR_USAGE);
		assert_null(env);
	}
}

static void test_note_is_kept_and_rewritten_only_when_it_differs(void **state)
{
	auto_environment struct launch_environment *env = made("mc");
	auto_free char *path = NULL;
	struct stat before, after;
	struct err e;

	(void)state;
	path = path_join(env->dir, "environment", &e);
	assert_int_equal(launch_environment_note(env, "mc", "4.8", "ab12", "http://h/a=b.floe", &e), 0);
	assert_int_equal(stat(path, &before), 0);
	assert_int_equal(launch_environment_note(env, "mc", "4.8", "ab12", "http://h/a=b.floe", &e), 0);
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	assert_int_equal(launch_environment_note(env, "mc", "4.9", "ab12", "http://h/a=b.floe", &e), 0);
	assert_int_equal(stat(path, &after), 0);
	assert_int_not_equal(before.st_ino, after.st_ino);

	auto_environment struct launch_environment *again = opened("mc", LAUNCH_ENV_SHARED);
	assert_string_equal(again->package, "mc");
	assert_string_equal(again->version, "4.9");
	assert_string_equal(again->source, "http://h/a=b.floe");
	assert_true(again->created_s == env->created_s);
}

static void test_note_refuses_a_line_break(void **state)
{
	auto_environment struct launch_environment *env = made("mc");
	struct err e;

	(void)state;
	assert_int_equal(launch_environment_note(env, "mc\nformat=9", "1", "", "", &e), -1);
	assert_int_equal(e.code, ERR_FORMAT);
	auto_environment struct launch_environment *again = opened("mc", LAUNCH_ENV_SHARED);
	assert_string_equal(again->package, "");
}

static void test_damaged_records_are_refused(void **state)
{
	auto_environment struct launch_environment *env = made("mc");
	struct launch_environment *again = NULL;
	struct err e;

	(void)state;
	put(env->dir, "environment", "package=x\n");
	assert_int_equal(launch_environment_open("mc", LAUNCH_ENV_SHARED, &again, &e), -1);
	assert_int_equal(e.code, ERR_FORMAT);
	put(env->dir, "environment", "format=2\n");
	assert_int_equal(launch_environment_open("mc", LAUNCH_ENV_SHARED, &again, &e), -1);
	assert_int_equal(e.code, ERR_UNSUPPORTED);
	put(env->dir, "environment", "junk\nfuture=1\nformat=1\npackage=last line without an end");
	assert_int_equal(launch_environment_open("mc", LAUNCH_ENV_SHARED, &again, &e), 0);
	assert_string_equal(again->package, "last line without an end");
	launch_environment_close(again);
}

static void test_locks_exclude(void **state)
{
	struct launch_environment *env = made("mc"), *other = NULL;
	struct err e;

	(void)state;
	auto_environment struct launch_environment *shared = opened("mc", LAUNCH_ENV_SHARED);
	assert_int_equal(launch_environment_open("mc", LAUNCH_ENV_EXCLUSIVE, &other, &e), -1);
	assert_int_equal(e.code, ERR_BUSY);
	assert_non_null(strstr(e.msg, "floe stop mc"));
	launch_environment_close(env);
	launch_environment_close(mem_steal(shared));
	shared = NULL;
	env = opened("mc", LAUNCH_ENV_EXCLUSIVE);
	assert_int_equal(launch_environment_open("mc", LAUNCH_ENV_SHARED, &other, &e), -1);
	assert_int_equal(e.code, ERR_BUSY);
	launch_environment_close(env);
}

static void test_reset_empties_what_was_asked(void **state)
{
	struct launch_environment *env = made("mc");
	struct err e;

	(void)state;
	launch_environment_close(env);
	env = opened("mc", LAUNCH_ENV_EXCLUSIVE);
	put(env->upper, "file", "text");
	put(env->work, "left", "text");
	put(env->dir, "registry.db", "text");
	put(env->dir, "registry.db-wal", "text");

	assert_int_equal(launch_environment_reset(env, false, true, &e), 0);
	assert_false(exists(env->dir, "registry.db"));
	assert_false(exists(env->dir, "registry.db-wal"));
	assert_true(exists(env->upper, "file"));

	put(env->dir, "registry.db", "text");
	assert_int_equal(launch_environment_reset(env, true, false, &e), 0);
	assert_true(exists(env->dir, "registry.db"));
	assert_false(exists(env->upper, "file"));
	assert_false(exists(env->work, "left"));
	assert_true(exists(env->work, ""));
	assert_false(exists(env->dir, ".old-upper"));
	launch_environment_close(env);
}

static void test_reset_goes_through_closed_directories(void **state)
{
	struct launch_environment *env = made("mc");
	auto_free char *closed = NULL;
	struct err e;

	(void)state;
	closed = path_join(env->work, "work", &e);
	assert_int_equal(mkdir(closed, 0700), 0);
	put(closed, "file", "text");
	assert_int_equal(chmod(closed, 0), 0);
	launch_environment_close(env);
	env = opened("mc", LAUNCH_ENV_EXCLUSIVE);
	assert_int_equal(launch_environment_reset(env, true, true, &e), 0);
	assert_false(exists(env->work, "work"));
	launch_environment_close(env);
}

static void test_remove_leaves_nothing(void **state)
{
	struct launch_environment *env = made("mc");
	auto_free char **names = NULL;
	struct err e;

	(void)state;
	put(env->upper, "file", "text");
	launch_environment_close(env);
	env = opened("mc", LAUNCH_ENV_EXCLUSIVE);
	assert_int_equal(launch_environment_remove(env, &e), 0);
	assert_int_equal(launch_environment_names(&names, &e), 0);
	assert_null(names[0]);
	assert_int_equal(launch_environment_open("mc", LAUNCH_ENV_SHARED, &env, &e), -1);
	assert_int_equal(e.code, ERR_NOTFOUND);
}

static void test_names_are_sorted_and_leftovers_go(void **state)
{
	struct err e;
	auto_free char **names = NULL, *envs = path_join(root, "floe/envs", &e), *left = NULL;

	(void)state;
	assert_int_equal(launch_environment_names(&names, &e), 0);
	assert_null(names[0]);
	launch_environment_close(made("vim"));
	launch_environment_close(made("mc"));
	left = path_join(envs, ".gone-x-1-0/upper", &e);
	assert_int_equal(path_make_dirs(left, 0700, &e), 0);
	put(envs, "stray", "not a directory");
	free(mem_steal(names));
	assert_int_equal(launch_environment_names(&names, &e), 0);
	assert_string_equal(names[0], "mc");
	assert_string_equal(names[1], "vim");
	assert_null(names[2]);
	assert_false(exists(envs, ".gone-x-1-0"));
}

/* Whatever order makers, removers and listers come in, who makes gets one that works. */
static void test_makers_and_removers_race(void **state)
{
	enum { WORKERS = 4, ROUNDS = 60 };
	pid_t pids[WORKERS];

	(void)state;
	for (int w = 0; w < WORKERS; w++) {
		pids[w] = fork();
		if (pids[w])
			continue;
		for (int i = 0; i < ROUNDS; i++) {
			struct launch_environment *env = NULL;
			auto_free char **names = NULL;
			struct err e;

			if (launch_environment_make("mc", &env, &e) < 0) {
				if (e.code != ERR_BUSY)
					_exit(1);
				continue;
			}
			if (access(env->upper, W_OK) < 0)
				_exit(2);
			launch_environment_close(env);
			if (launch_environment_names(&names, &e) < 0)
				_exit(3);
			if (w % 2 && launch_environment_open("mc", LAUNCH_ENV_EXCLUSIVE, &env, &e) == 0 &&
			    launch_environment_remove(env, &e) < 0)
				_exit(4);
		}
		_exit(0);
	}
	for (int w = 0; w < WORKERS; w++) {
		int status;

		assert_int_equal(waitpid(pids[w], &status, 0), pids[w]);
		assert_int_equal(status, 0);
	}
}

int main(void)
{
#define ON_ROOT(f) cmocka_unit_test_setup_teardown(f, make_root, remove_root)
	const struct CMUnitTest tests[] = {
		ON_ROOT(test_make_lays_out_the_directory),
		ON_ROOT(test_open_of_nothing_is_not_found),
		ON_ROOT(test_bad_names_are_refused),
		ON_ROOT(test_note_is_kept_and_rewritten_only_when_it_differs),
		ON_ROOT(test_note_refuses_a_line_break),
		ON_ROOT(test_damaged_records_are_refused),
		ON_ROOT(test_locks_exclude),
		ON_ROOT(test_reset_empties_what_was_asked),
		ON_ROOT(test_reset_goes_through_closed_directories),
		ON_ROOT(test_remove_leaves_nothing),
		ON_ROOT(test_names_are_sorted_and_leftovers_go),
		ON_ROOT(test_makers_and_removers_race),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
