/* SPDX-License-Identifier: Apache-2.0 */
/* Working directories: gone when closed, cleaned up behind the dead, never touched while somebody lives. */
#include "tests/unit/sequencer/fixture.h"

#include <dirent.h>
#include <sys/wait.h>

#include "sequencer/workspace.h"

static int make_cache(void **state)
{
	if (make_scratch(state) < 0)
		return -1;
	return setenv("XDG_CACHE_HOME", scratch, 1);
}

static struct seq_workspace opened(const char *dir)
{
	struct seq_workspace w;
	struct err e;

	if (seq_workspace_open(dir, &w, &e) < 0)
		fail_msg("%s", e.msg);
	return w;
}

static size_t count_sessions(void)
{
	DIR *d = opendir(in_scratch("floe/sequence"));
	struct dirent *de;
	size_t n = 0;

	assert_non_null(d);
	while ((de = readdir(d)))
		n += strcmp(de->d_name, ".") && strcmp(de->d_name, "..");
	closedir(d);
	return n;
}

static void closing_removes_everything(void **state)
{
	struct seq_workspace w = opened(NULL);
	struct err e;
	auto_free char *sub = seq_workspace_subdir(&w, "upper", &e);
	auto_free char *closed = mem_printf(&e, "%s/closed", sub);

	(void)state;
	assert_non_null(sub);
	/* As overlayfs leaves its work directory. */
	assert_int_equal(mkdir(closed, 0), 0);
	assert_int_equal(seq_workspace_close(&w, &e), 0);
	assert_int_equal(count_sessions(), 0);
}

static void the_dead_are_cleaned_up_and_the_living_left_alone(void **state)
{
	struct seq_workspace mine = opened(NULL), other;
	struct err e;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		struct seq_workspace w;

		_exit(seq_workspace_open(NULL, &w, &e) < 0); /* dies without closing */
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(count_sessions(), 2);
	other = opened(NULL);
	assert_int_equal(count_sessions(), 2);
	assert_int_equal(access(mine.dir, F_OK), 0);
	assert_int_equal(seq_workspace_close(&other, &e), 0);
	assert_int_equal(seq_workspace_close(&mine, &e), 0);
	assert_int_equal(count_sessions(), 0);
}

static void given_directories_stay(void **state)
{
	struct seq_workspace w = opened(in_scratch("mine"));
	struct err e;

	(void)state;
	put_file("mine/upper/x", "x", 0644);
	assert_int_equal(seq_workspace_close(&w, &e), 0);
	assert_int_equal(access(in_scratch("mine/upper/x"), F_OK), 0);
	assert_int_equal(seq_workspace_open(in_scratch("mine"), &w, &e), -1);
	assert_int_equal(e.code, ERR_EXISTS);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_cache, remove_scratch)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(closing_removes_everything),
		TEST(the_dead_are_cleaned_up_and_the_living_left_alone),
		TEST(given_directories_stay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
