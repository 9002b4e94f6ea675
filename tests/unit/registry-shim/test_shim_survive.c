/* SPDX-License-Identifier: Apache-2.0 */
/* What programs do to the shim inside them: close all descriptors, leave their root or their user, throw
 * their environment away, end in a hurry, fork and take signals in the middle of a save. */
#include <grp.h>
#include <spawn.h>
#include <sys/sysmacros.h>
#include <sys/time.h>

#include "tests/unit/registry-shim/test_shim_kit.h"

static int open_to_save(const char *f)
{
	int fd = open(f, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	CHECK(fd >= 0);
	return fd;
}

static void save(const char *f)
{
	int fd = open_to_save(f);

	helper_write(fd);
	CHECK(close(fd) == 0);
}

/* ---- descriptors and ends ------------------------------------------------------------------- */

static void save_closefrom(const char *f)
{
	helper_write(open_to_save(f));
	closefrom(0);
	raise(SIGKILL);
}

static void save_after_closefrom(const char *f)
{
	closefrom(0);
	save(f);
	raise(SIGKILL);
}

static void save_quick_exit(const char *f)
{
	helper_write(open_to_save(f));
	quick_exit(0);
}

static void save_fsync(const char *f)
{
	int fd = open_to_save(f);

	helper_write(fd);
	CHECK(fsync(fd) == 0);
	raise(SIGKILL);
}

static void save_mapped(const char *f)
{
	int fd = open(f, O_RDWR | O_CREAT | O_TRUNC, 0644);
	size_t len = strlen(helper_text);
	char *at;

	CHECK(fd >= 0 && ftruncate(fd, (off_t)len) == 0);
	at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(at != MAP_FAILED);
	memcpy(at, helper_text, len);
	CHECK(close(fd) == 0);
	raise(SIGKILL);
}

/* ---- environments --------------------------------------------------------------------------- */

/* Nothing of the shim's but where the test's broker is, which a real one knows by itself. */
static char *bare_env[2];

static char *const *command(const char *f)
{
	static char script[400];
	static char *argv[] = { (char *)"sh", (char *)"-c", script, NULL };

	sprintf(script, "printf '%%s' '%s' > '%s'; kill -9 $$", helper_text, f);
	return argv;
}

static void save_execve(const char *f)
{
	execve("/bin/sh", command(f), bare_env);
}

static void save_execvpe(const char *f)
{
	execvpe("sh", command(f), bare_env);
}

static void save_execle(const char *f)
{
	char *const *c = command(f);

	execle("/bin/sh", c[0], c[1], c[2], (char *)NULL, bare_env);
}

static void save_fexecve(const char *f)
{
	fexecve(open("/bin/sh", O_RDONLY), command(f), bare_env);
}

static void save_execl_unset(const char *f)
{
	char *const *c = command(f);

	CHECK(unsetenv("LD_PRELOAD") == 0);
	execl("/bin/sh", c[0], c[1], c[2], (char *)NULL);
}

static void save_execlp_unset(const char *f)
{
	char *const *c = command(f);

	CHECK(setenv("LD_PRELOAD", "", 1) == 0);
	execlp("sh", c[0], c[1], c[2], (char *)NULL);
}

static void save_vfork_execve(const char *f)
{
	char *const *c = command(f);
	int status;
	pid_t child = vfork();

	if (child == 0) {
		execve("/bin/sh", c, bare_env);
		_exit(127);
	}
	CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
}

static void save_spawn(const char *f)
{
	int status;
	pid_t child;

	CHECK(posix_spawn(&child, "/bin/sh", NULL, NULL, command(f), bare_env) == 0);
	CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
}

static void save_spawn_redirected(const char *f)
{
	char *argv[] = { (char *)"printf", (char *)"%s", helper_text, NULL };
	posix_spawn_file_actions_t actions;
	int status;
	pid_t child;

	CHECK(posix_spawn_file_actions_init(&actions) == 0);
	CHECK(posix_spawn_file_actions_addopen(&actions, 1, f, O_WRONLY | O_CREAT | O_TRUNC, 0644) == 0);
	CHECK(posix_spawnp(&child, "printf", &actions, NULL, argv, bare_env) == 0);
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	CHECK(posix_spawn_file_actions_destroy(&actions) == 0);
}

/* ---- at the same time ----------------------------------------------------------------------- */

static const char *signal_file;

static void save_in_handler(int signal_number)
{
	int saved = errno, fd = open(signal_file, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	(void)signal_number;
	if (fd >= 0) {
		(void)!write(fd, helper_text, strlen(helper_text));
		close(fd);
	}
	errno = saved;
}

static void save_by_signal(const char *f)
{
	struct itimerval every = { { 0, 700 }, { 0, 700 } }, never = { { 0, 0 }, { 0, 0 } };
	struct sigaction act = { .sa_handler = save_in_handler, .sa_flags = SA_RESTART };
	struct stat st;

	signal_file = f;
	CHECK(sigaction(SIGALRM, &act, NULL) == 0 && setitimer(ITIMER_REAL, &every, NULL) == 0);
	for (int i = 0; i < 200; i++) {
		save(f);
		CHECK(stat(f, &st) == 0);
	}
	CHECK(setitimer(ITIMER_REAL, &never, NULL) == 0);
}

static void *save_often(void *f)
{
	for (int i = 0; i < 50; i++)
		save(f);
	return NULL;
}

static void save_forking(const char *f)
{
	pthread_t t[3];
	int status;

	for (int i = 0; i < 3; i++)
		CHECK(pthread_create(&t[i], NULL, save_often, (void *)(uintptr_t)f) == 0);
	for (int i = 0; i < 50; i++) {
		pid_t child = fork();

		if (child == 0) {
			save(f);
			_exit(0);
		}
		CHECK(waitpid(child, &status, 0) == child && status == 0);
	}
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	save(f);
}

/* ---- what a setting cannot be --------------------------------------------------------------- */

static void make_others(const char *f)
{
	for (int i = 0; i < 2; i++) {
		int why = i ? EEXIST : EPERM;

		CHECK(mkdir(f, 0700) < 0 && errno == why);
		CHECK(mkdirat(AT_FDCWD, f, 0700) < 0 && errno == why);
		CHECK(mkfifo(f, 0600) < 0 && errno == why);
		CHECK(mknod(f, S_IFSOCK | 0600, 0) < 0 && errno == why);
		CHECK(mknodat(AT_FDCWD, f, S_IFCHR | 0600, makedev(1, 3)) < 0 && errno == why);
		CHECK(symlink("/etc/passwd", f) < 0 && errno == why);
		CHECK(rmdir(f) < 0);
		save(f);
	}
}

/* ---- other roots and users ------------------------------------------------------------------ */

/* The declared path is another file in there. One open from before is still the setting. */
static void save_and_chroot(const char *f)
{
	char jail[5000];
	int before, fd;

	before = open_to_save(f);
	CHECK(chdir(getenv("HOME")) == 0 && (mkdir("jail", 0700) == 0 || errno == EEXIST));
	CHECK(chroot("jail") == 0 && chdir("/") == 0);
	strcpy(jail, f);
	for (char *at = jail + 1; (at = strchr(at, '/')); at++) {
		*at = 0;
		CHECK(mkdir(jail, 0700) == 0 || errno == EEXIST);
		*at = '/';
	}
	fd = open_to_save(f);
	CHECK(write(fd, "jailed\n", 7) == 7 && close(fd) == 0);
	helper_write(before);
	CHECK(close(before) == 0);
	_exit(0); /* a sanitizer's report needs /proc */
}

static void save_and_setuid(const char *f)
{
	int fd = open_to_save(f);
	struct stat st;

	CHECK(setgroups(0, NULL) == 0 && setgid(65534) == 0 && setuid(65534) == 0);
	helper_write(fd);
	CHECK(close(fd) == 0);
	CHECK(open(f, O_RDONLY) < 0 && errno == EACCES);
	CHECK(stat(f, &st) < 0 && errno == EACCES);
}

static const struct {
	const char *name;
	void (*run)(const char *f);
} survivors[] = {
	{ "closefrom", save_closefrom },
	{ "after closefrom", save_after_closefrom },
	{ "quick_exit", save_quick_exit },
	{ "fsync", save_fsync },
	{ "mapped", save_mapped },
	{ "execve", save_execve },
	{ "execvpe", save_execvpe },
	{ "execle", save_execle },
	{ "fexecve", save_fexecve },
	{ "execl unset", save_execl_unset },
	{ "execlp unset", save_execlp_unset },
	{ "vfork execve", save_vfork_execve },
	{ "spawn", save_spawn },
	{ "spawn redirected", save_spawn_redirected },
	{ "signal", save_by_signal },
	{ "forking", save_forking },
	{ NULL, NULL }, /* up to here: each saves */
	{ "others", make_others },
	{ "chroot", save_and_chroot },
	{ "setuid", save_and_setuid },
};

static int survivor_main(const char *what, const char *f)
{
	static char run[4200];

	snprintf(run, sizeof(run), "FLOE_SHIM_TEST_RUN=%s", getenv("FLOE_SHIM_TEST_RUN"));
	bare_env[0] = run;
	sprintf(helper_text, "[s]\nk=%s\n", what);
	for (size_t i = 0; i < ARRAY_LEN(survivors); i++)
		if (survivors[i].name && !strcmp(survivors[i].name, what)) {
			survivors[i].run(f);
			return 0;
		}
	return 99;
}

/* ---- tests ---------------------------------------------------------------------------------- */

static void test_saves(void **state)
{
	(void)state;
	for (size_t i = 0; survivors[i].name; i++) {
		int status = helper(survivors[i].name, file);

		if (status != 0 && status != 128 + SIGKILL)
			fail_msg("%s: status %d", survivors[i].name, status);
		assert_ini("s/k", survivors[i].name); /* saved by now, without a harvest */
		assert_true(access(file, F_OK) < 0);
	}
	assert_int_equal(harvest(), 0);
}

static void test_others(void **state)
{
	(void)state;
	assert_int_equal(helper("others", file), 0);
	assert_true(access(file, F_OK) < 0);
}

static void test_chroot(void **state)
{
	char show[300];

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(helper("chroot", file), 0);
	(void)harvest();
	assert_ini("s/k", "chroot");
	sprintf(show, "cat jail%s", file);
	assert_string_equal(sh(show), "jailed\n");
}

static void test_setuid(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(helper("setuid", file), 0);
	(void)harvest();
	assert_ini("s/k", "setuid");
}

/* RUN/paths is in the application's own hands. */
static void test_paths_tampered_with(void **state)
{
	static const char bits[] = "/\t\n\0/..//home:settings.ini";
	char path[200], text[6000];
	unsigned seed = 7;
	struct err e;

	(void)state;
	sprintf(path, "%s/paths", run_dir);
	for (int i = 0; i < 40; i++) {
		size_t len = (size_t)rand_r(&seed) % sizeof(text);

		for (size_t j = 0; j < len; j++)
			text[j] = rand_r(&seed) % 8 ? bits[(size_t)rand_r(&seed) % sizeof(bits)]
						    : (char)rand_r(&seed);
		if (i % 4 == 0)
			memset(text + len / 2, 'a', len - len / 2); /* a last line without an end */
		assert_int_equal(fd_write_file(AT_FDCWD, path, text, len, 0600, &e), 0);
		assert_int_equal(helper("forking", file), 0);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_saves, setup, teardown),
		cmocka_unit_test_setup_teardown(test_others, setup, teardown),
		cmocka_unit_test_setup_teardown(test_paths_tampered_with, setup, teardown),
		cmocka_unit_test_setup_teardown(test_chroot, setup, teardown),
		cmocka_unit_test_setup_teardown(test_setuid, setup, teardown),
	};

	if (argc == 4 && !strcmp(argv[1], "helper"))
		return survivor_main(argv[2], argv[3]);
	return find_programs() ? cmocka_run_group_tests(tests, NULL, NULL) : 77;
}
