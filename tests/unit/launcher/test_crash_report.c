/* SPDX-License-Identifier: Apache-2.0 */
/* Crash reports: what stands in them, how many are kept, and processes that really die. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/crash.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/sync.h"
#include "launcher/crash_report.h"
#include "tests/unit/sanitized.h"

static char dir[64];

static int set_up(void **state)
{
	(void)state;
	(void)strcpy(dir, "/var/tmp/floe-crash-XXXXXX");
	assert_non_null(mkdtemp(dir));
	return 0;
}

static int tear_down(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(path_remove_tree(AT_FDCWD, dir, &e), 0);
	return 0;
}

/* Runs `act` in a child with `area`; the signal that ended it. */
static int die_of(void (*act)(void), int area)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		int own = dup(area);

		crash_adopt(own);
		crash_listen(NULL);
		act();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void note_and(int signal_no)
{
	for (unsigned i = 1; i <= CRASH_REQUESTS + 10; i++)
		crash_note(1, i);
	crash_note(15, 4711);
	(void)kill(getpid(), signal_no);
}

static void by_abort(void)
{
	note_and(0);
	abort();
}

static void by_kill(void)
{
	note_and(SIGKILL);
}

static int *volatile nowhere;

static void by_access(void)
{
	note_and(0);
	nowhere[16] = 1;
}

static int (*volatile go_on)(volatile char *above);

static int deeper(volatile char *above)
{
	volatile char room[16 * 1024];

	room[0] = above ? *above : 1;
	return go_on(room) + room[0];
}

static void *overflow(void *arg)
{
	crash_note(15, 4711);
	go_on = deeper;
	(void)deeper(NULL);
	return arg;
}

/* In another thread, whose stack is gone: only a stack of the handler's own helps. */
static void by_overflow(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, overflow, NULL) == 0)
		(void)pthread_join(thread, NULL);
}

static const char *print(int signal_no, int area, struct buf *text)
{
	struct launch_crash c = { .program = "floe-test",
				  .serves = " --nothing",
				  .pid = 4321,
				  .signal = signal_no,
				  .ended_ms = sync_now_ms(),
				  .area = area };
	struct err e;

	assert_int_equal(launch_crash_print(&c, 86400, text, &e), 0);
	assert_non_null(buf_text(text, &e));
	return (const char *)text->data;
}

static void test_what_the_dead_leave(void **state)
{
	static const struct {
		void (*act)(void);
		int signal;
		const char *said;
		bool has_stack, has_ring;
	} cases[] = {
		{ by_abort, SIGABRT, "SIGABRT", true, true },
		{ by_kill, SIGKILL, "perhaps for lack of memory", false, true },
		{ by_access, SIGSEGV, "at address 0x40", true, true },
		{ by_overflow, SIGSEGV, "SIGSEGV", true, false },
	};

	(void)state;
	if (IS_SANITIZED)
		skip(); /* it wants these signals for itself */
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		auto_buf struct buf text = BUF_INIT(1 << 20);
		auto_fd int area = crash_area_make();
		const char *report;

		assert_true(area >= 0);
		assert_int_equal(die_of(cases[i].act, area), cases[i].signal);
		report = print(cases[i].signal, area, &text);
		if (!strstr(report, cases[i].said) || !strstr(report, "served    --nothing\n") ||
		    !strstr(report, "died      1970-01-02 00:00:00 UTC\n") ||
		    !strstr(report, "ran for   0.") || !strstr(report, "  read             node 4711 ") ||
		    !strstr(report, "lookup           node 74 ") == cases[i].has_ring ||
		    strstr(report, "lookup           node 10 ") ||
		    !strstr(report, "#0 ") == cases[i].has_stack ||
		    !strstr(report, "r-xp") == cases[i].has_stack ||
		    !strstr(report, "test_crash_report+0x") == cases[i].has_stack)
			fail_msg("%s", report);
	}
}

static void test_nobody_else_is_handled(void **state)
{
	char path[] = "/var/tmp/floe-no-area-XXXXXX";
	auto_fd int file = mkstemp(path);
	auto_fd int other = memfd_create("other", MFD_CLOEXEC);

	(void)state;
	assert_int_equal(unlink(path), 0);
	assert_int_equal(ftruncate(other, sizeof(struct crash_area)), 0);
	crash_adopt(-1);
	crash_adopt(file);
	crash_adopt(other); /* the size, but not the mark */
	assert_true(fcntl(file, F_GETFD) >= 0);
	assert_true(fcntl(other, F_GETFD) >= 0);
	crash_note(1, 1);
	crash_listen(NULL);
}

/* What lies in an area is another process's word. */
static void test_areas_are_not_trusted(void **state)
{
	auto_buf struct buf text = BUF_INIT(1 << 20);
	auto_free struct crash_area *a = NULL;
	auto_fd int area = crash_area_make();
	struct err e;

	(void)state;
	a = mem_alloc(1, sizeof(*a), &e);
	assert_non_null(a);
	memset(a, 0xff, sizeof(*a));
	memset(a->maps, '\033', sizeof(a->maps));
	assert_int_equal(pwrite(area, a, sizeof(*a), 0), (ssize_t)sizeof(*a));
	(void)print(SIGSEGV, area, &text);
	assert_null(memchr(text.data, '\033', text.len));
	assert_null(memchr(text.data, 0, text.len));
	buf_reset(&text);
	assert_non_null(strstr(print(SIGSEGV, -1, &text), "left nothing"));
}

static int write_at(const char *program, pid_t pid, time_t now)
{
	struct launch_crash c = { .program = program, .pid = pid, .signal = SIGSEGV, .area = -1 };
	struct err e;
	int rc = launch_crash_write(&c, dir, now, &e);

	if (rc < 0 && e.code != ERR_BUSY)
		fail_msg("%s", e.msg);
	return rc;
}

/* A report's age is its file's. */
static void age_all(time_t by)
{
	DIR *d = opendir(dir);
	struct dirent *de;

	assert_non_null(d);
	while ((de = readdir(d))) {
		struct stat st;
		struct timespec times[2] = { { .tv_nsec = UTIME_OMIT } };

		if (de->d_name[0] == '.')
			continue;
		assert_int_equal(fstatat(dirfd(d), de->d_name, &st, 0), 0);
		assert_int_equal(st.st_mode & 07777, 0600);
		times[1].tv_sec = st.st_mtime - by;
		assert_int_equal(utimensat(dirfd(d), de->d_name, times, 0), 0);
	}
	(void)closedir(d);
}

static unsigned count_all(struct launch_crash_summary *ret)
{
	struct err e;

	assert_int_equal(launch_crash_summarise(dir, 0, ret, &e), 0);
	return ret->count;
}

static void test_one_in_ten_minutes_twenty_in_all(void **state)
{
	struct launch_crash_summary found;
	time_t now = time(NULL);
	auto_free char *strange = NULL;
	struct err e;

	(void)state;
	assert_int_equal(write_at("floe-a", 1, now), 0);
	assert_int_equal(write_at("floe-a", 2, now), -1);
	assert_int_equal(write_at("floe-a-b", 2, now), 0);
	assert_int_equal(write_at("floe-a", 2, now + 500), -1);
	assert_int_equal(count_all(&found), 2);
	for (pid_t i = 10; i < 40; i++) {
		age_all(700); /* more than ten minutes even if this loop takes a while */
		assert_int_equal(write_at("floe-a", i, now), 0);
		assert_int_equal(write_at("floe-a", i, now), -1);
	}
	assert_int_equal(count_all(&found), LAUNCH_CRASHES_MAX);
	assert_non_null(strstr(found.name, "-39.txt"));
	assert_int_equal(launch_crash_summarise(dir, now - 3 * 601, &found, &e), 0);
	assert_in_range(found.count, 3, 4);
	/* Nobody else's files are touched. */
	strange = mem_printf(&e, "%s/notes", dir);
	assert_non_null(strange);
	assert_int_equal(close(open(strange, O_CREAT | O_WRONLY, 0600)), 0);
	age_all(100000);
	assert_int_equal(write_at("floe-b", 1, now), 0);
	assert_int_equal(access(strange, F_OK), 0);
	assert_int_equal(count_all(&found), LAUNCH_CRASHES_MAX);
	assert_int_equal(launch_crash_summarise("/nowhere", 0, &found, &e), 0);
	assert_int_equal(found.count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nobody_else_is_handled),
		cmocka_unit_test(test_what_the_dead_leave),
		cmocka_unit_test(test_areas_are_not_trusted),
		cmocka_unit_test(test_one_in_ten_minutes_twenty_in_all),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
