/* SPDX-License-Identifier: Apache-2.0 */
/* Runs cases; see case.h.
 *
 *   PROGRAM --list
 *   PROGRAM --differences                     what is expected to be otherwise, and where
 *   PROGRAM --make bottom|top|merged DIR      prepares a layer
 *   PROGRAM [--engine NAME] [--upper DIR] [--notes DIR] [--after] [--only NAME]... TARGET
 *
 * One line for each case: PASS, FAIL, SKIP, or DIFFERS for what the program expects of this engine and what
 * really failed. --after runs what is to be looked at in a later mount. Exit status 1 when a case failed. */
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "tests/union/case.h"
#include "tests/union/case_run.h"

enum { CASE_SECONDS = 60, EXIT_SKIP = 77, REASON_MAX = 4096, EXPECT_SHOWN_MAX = 12 };

struct case_setting setting = { .engine = "plain" };

static int report_fd = 2;
static const struct case_difference *differences;
static struct { /* shared with the cases' processes */
	unsigned checks, unmet;
} * tally;

static void report(const char *fmt, va_list args)
{
	char text[REASON_MAX];
	int n = vsnprintf(text, sizeof(text), fmt, args);

	if (n > 0 && write(report_fd, text, strlen(text)) < 0)
		_exit(2);
}

void case_fail(const char *file, int line, const char *fmt, ...)
{
	const char *name = strrchr(file, '/');
	char text[REASON_MAX];
	va_list args;

	(void)snprintf(text, sizeof(text), "%s:%d: ", name ? name + 1 : file, line);
	if (write(report_fd, text, strlen(text)) < 0)
		_exit(2);
	va_start(args, fmt);
	report(fmt, args);
	va_end(args);
	_exit(1);
}

void case_skip(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	report(fmt, args);
	va_end(args);
	_exit(EXIT_SKIP);
}

void case_expect(bool is_met, const char *fmt, ...)
{
	va_list args;

	tally->checks++;
	if (is_met || ++tally->unmet > EXPECT_SHOWN_MAX)
		return;
	if (tally->unmet > 1 && write(report_fd, "; ", 2) < 0)
		_exit(2);
	va_start(args, fmt);
	report(fmt, args);
	va_end(args);
}

void case_end(void)
{
	if (tally->unmet > EXPECT_SHOWN_MAX)
		FAIL("; %u in all", tally->unmet);
	_exit(tally->unmet != 0);
}

static const char *difference(const char *name)
{
	for (const struct case_difference *d = differences; d->name; d++)
		if (strcmp(d->engine, setting.engine) == 0 && strcmp(d->name, name) == 0 &&
		    (d->is_privileged_too || !setting.is_privileged))
			return d->reason;
	return NULL;
}

static void run_in_child(const struct test_case *c, void (*run)(void), int fd)
{
	report_fd = fd;
	setting.name = c->name;
	(void)alarm(CASE_SECONDS);
	(void)umask(022);
	if (chdir(setting.target) < 0 || chdir(c->name) < 0)
		FAIL("%s/%s: %s", setting.target, c->name, strerror(errno));
	run();
	case_end();
}

/* Exit status of the case, with what it said. */
static int run_case(const struct test_case *c, void (*run)(void), char *reason)
{
	int p[2], status;
	size_t len = 0;
	ssize_t n;
	pid_t pid;

	tally->unmet = 0;
	if (pipe(p) < 0 || (pid = fork()) < 0) {
		perror("fork");
		exit(2);
	}
	if (pid == 0) {
		(void)setpgid(0, 0);
		(void)close(p[0]);
		run_in_child(c, run, p[1]);
	}
	(void)close(p[1]);
	(void)waitpid(pid, &status, 0);
	(void)kill(-pid, SIGKILL); /* whoever is left has the pipe */
	while (len < REASON_MAX - 1 && (n = read(p[0], reason + len, REASON_MAX - 1 - len)) > 0)
		len += (size_t)n;
	reason[len] = '\0';
	(void)close(p[0]);
	if (!WIFSIGNALED(status))
		return WEXITSTATUS(status);
	(void)snprintf(reason, REASON_MAX, WTERMSIG(status) == SIGALRM ? "hangs" : "died of signal %d",
		       WTERMSIG(status));
	return 1;
}

/* What has failed leaves nothing for a later mount to look at; a file among the notes says so. */
static bool has_failed(const char *name, bool is_now)
{
	char path[4096];
	int fd;

	if (!setting.notes)
		return false;
	(void)snprintf(path, sizeof(path), "%s/%s.failed", setting.notes, name);
	fd = open(path, is_now ? O_CREAT | O_WRONLY : O_RDONLY, 0644);
	if (fd >= 0)
		(void)close(fd);
	return fd >= 0;
}

static int verdict(const char *name, int status, const char *reason)
{
	const char *why = difference(name);

	if (status == EXIT_SKIP)
		printf("SKIP %s: %s\n", name, reason);
	else if (status == 0 && !why)
		printf("PASS %s\n", name);
	else if (status == 0)
		printf("FAIL %s: passes, although on %s \"%s\"\n", name, setting.engine, why);
	else if (why)
		printf("DIFFERS %s: %s (%s)\n", name, why, reason);
	else
		printf("FAIL %s: %s\n", name, reason);
	(void)fflush(stdout);
	return (status == 0 && why) || (status != 0 && status != EXIT_SKIP && !why);
}

static int is_wanted(const char *name, char **only, int count)
{
	for (int i = 0; i < count; i++)
		if (strcmp(only[i], name) == 0)
			return 1;
	return count == 0;
}

static int make_layers(const struct test_case *const *lists, const char *which, const char *dir)
{
	enum kit_layer layer = strcmp(which, "top") == 0      ? KIT_TOP
			       : strcmp(which, "bottom") == 0 ? KIT_BOTTOM
							      : KIT_MERGED;
	struct timespec t[2] = { kit_time, kit_time };
	char path[4096];

	for (; *lists; lists++)
		for (const struct test_case *c = *lists; c->name; c++) {
			(void)snprintf(path, sizeof(path), "%s/%s", dir, c->name);
			OK(mkdir(path, 0755));
			kit_make(path, layer);
		}
	OK(utimensat(AT_FDCWD, dir, t, 0));
	return 0;
}

static int list_cases(const struct test_case *const *lists)
{
	for (; *lists; lists++)
		for (const struct test_case *c = *lists; c->name; c++)
			puts(c->name);
	return 0;
}

static int run_cases(const struct test_case *const *lists, bool is_after, char **only, int count)
{
	int failed = 0, ran = 0, status;
	char reason[REASON_MAX];

	setting.is_privileged = geteuid() == 0 && can_be_others();
	tally = mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (tally == MAP_FAILED) {
		perror("mmap");
		return 2;
	}
	for (; *lists; lists++)
		for (const struct test_case *c = *lists; c->name; c++) {
			void (*run)(void) = is_after ? c->after : c->run;
			char name[256];

			if (!run || !is_wanted(c->name, only, count))
				continue;
			if (is_after && has_failed(c->name, false))
				continue;
			ran++;
			(void)snprintf(name, sizeof(name), "%s%s", c->name, is_after ? "@after" : "");
			status = run_case(c, run, reason);
			if (status != 0 && !is_after)
				(void)has_failed(c->name, true);
			failed += verdict(name, status, reason);
		}
	printf("%d cases, %u checks in tables, %d failed (%s)\n", ran, tally->checks, failed, setting.engine);
	return failed || !ran;
}

static int list_differences(void)
{
	for (const struct case_difference *d = differences; d->name; d++)
		printf("%s\t%s\t%s%s\n", d->engine, d->name, d->reason,
		       d->is_privileged_too ? "" : " (without root)");
	return 0;
}

int case_main(int argc, char **argv, const struct test_case *const *lists,
	      const struct case_difference *expected)
{
	char *only[64];
	int count = 0;
	bool is_after = false;

	differences = expected;
	if (argc == 2 && strcmp(argv[1], "--differences") == 0)
		return list_differences();
	if (argc == 2 && strcmp(argv[1], "--list") == 0)
		return list_cases(lists);
	if (argc == 4 && strcmp(argv[1], "--make") == 0)
		return make_layers(lists, argv[2], argv[3]);
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--after") == 0)
			is_after = true;
		else if (strcmp(argv[i], "--engine") == 0 && i + 1 < argc)
			setting.engine = argv[++i];
		else if (strcmp(argv[i], "--upper") == 0 && i + 1 < argc)
			setting.upper = argv[++i];
		else if (strcmp(argv[i], "--notes") == 0 && i + 1 < argc)
			setting.notes = argv[++i];
		else if (strcmp(argv[i], "--only") == 0 && i + 1 < argc && count < 64)
			only[count++] = argv[++i];
		else if (argv[i][0] != '-' && !setting.target)
			setting.target = argv[i];
		else
			setting.target = NULL, i = argc;
	}
	setting.target = setting.target ? realpath(setting.target, NULL) : NULL;
	if (!setting.target) {
		fprintf(stderr,
			"usage: %s --list | --differences | --make bottom|top|merged DIR |\n"
			"       [--engine NAME] [--upper DIR] [--notes DIR] [--after] [--only NAME]... "
			"TARGET\n",
			argv[0]);
		return 2;
	}
	return run_cases(lists, is_after, only, count);
}
