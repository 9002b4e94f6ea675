/* SPDX-License-Identifier: Apache-2.0 */
/* Programs that have a declared file open at the same time, and programs that do unusual things to it: what
 * one saves, another does not undo, and a lock is held by one. */
#include <sys/file.h>
#include <sys/prctl.h>

#include "tests/unit/registry-shim/test_shim_kit.h"

/* ---- programs --------------------------------------------------------------------------------- */

static int open_file(const char *f, int flags)
{
	int fd = open(f, flags);

	CHECK(fd >= 0);
	return fd;
}

static void write_text(int fd, const char *text)
{
	CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
}

static void pause_until(const char *there)
{
	while (access(there, F_OK) < 0)
		usleep(10000);
}

static void make_mark(const char *name)
{
	int fd = open(name, O_WRONLY | O_CREAT, 0600);

	CHECK(fd >= 0 && close(fd) == 0);
}

/* Opens a file to append, and writes it anew. */
static void append_anew(const char *f)
{
	char got[64] = "";
	FILE *o = fopen(f, "a+");

	CHECK(o != NULL && fseek(o, 0, SEEK_SET) == 0 && fread(got, 1, sizeof(got) - 1, o) > 0);
	CHECK(strstr(got, "n=9") != NULL && ftruncate(fileno(o), 0) == 0);
	CHECK(fputs("[s]\nn=10\n", o) >= 0 && fclose(o) == 0);
}

static void append_synced(const char *f)
{
	int fd = open_file(f, O_WRONLY | O_APPEND);

	for (char key = 'a'; key <= 'c'; key++) {
		char line[] = { key, '=', '1', '\n', 0 };

		write_text(fd, line);
		CHECK(fsync(fd) == 0);
	}
	CHECK(close(fd) == 0);
}

/* Locks it, saves by a new file that takes its name, and lets go of the old one. */
static void lock_and_replace(const char *f)
{
	int fd = open_file(f, O_RDWR), to;

	CHECK(flock(fd, LOCK_EX) == 0);
	to = open("new", O_WRONLY | O_CREAT | O_TRUNC, 0600);
	CHECK(to >= 0);
	write_text(to, "[s]\nk=2\n");
	CHECK(close(to) == 0 && rename("new", f) == 0 && close(fd) == 0);
}

static void lock_and_remove(const char *f)
{
	int fd = open_file(f, O_RDWR);

	CHECK(flock(fd, LOCK_EX) == 0 && unlink(f) == 0 && close(fd) == 0);
}

/* Gives the new file its name before everything is in it. */
static void replace_early(const char *f)
{
	FILE *o = fopen("new", "w");

	CHECK(o != NULL && fputs("[s]\nk=2\n", o) >= 0 && rename("new", f) == 0);
	CHECK(fputs("l=3\n", o) >= 0 && fclose(o) == 0);
}

static void lock_to_append(const char *f)
{
	int fd = open_file(f, O_WRONLY | O_APPEND), again;

	CHECK(flock(fd, LOCK_EX | LOCK_NB) == 0);
	again = open_file(f, O_WRONLY | O_APPEND);
	CHECK(flock(again, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK);
	again = open_file(f, O_RDONLY);
	CHECK(flock(again, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK);
	write_text(fd, "l=1\n");
}

/* Opens it once more to write it anew; its lock holds until that is done. */
static void lock_and_open_again(const char *f)
{
	struct flock all = { .l_type = F_WRLCK };
	int fd = open_file(f, O_RDWR), again, status;
	pid_t child;

	CHECK(fcntl(fd, F_SETLK, &all) == 0);
	again = open_file(f, O_WRONLY | O_TRUNC);
	child = fork();
	if (child == 0) {
		fd = open_file(f, O_RDWR);
		_exit(fcntl(fd, F_SETLK, &all) < 0 ? 0 : 1);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	write_text(again, "[s]\nlocked=1\n");
}

/* Writes a text that was there before, but not by undoing anything. */
static void toggle(const char *f)
{
	int fd;

	make_mark("ready");
	pause_until("go");
	fd = open_file(f, O_RDWR);
	CHECK(flock(fd, LOCK_EX) == 0 && ftruncate(fd, 0) == 0);
	write_text(fd, "[s]\na=true\nb=true\n");
}

static void empty_and_wait(const char *f)
{
	int fd = open_file(f, O_RDWR);

	CHECK(flock(fd, LOCK_EX) == 0 && ftruncate(fd, 0) == 0);
	make_mark("ready");
	pause_until("go");
	write_text(fd, "[s]\nk=2\n");
}

/* What others save while it has the file, or had it. */
static void meanwhile(const char *script)
{
	char command[200];

	sprintf(command, "sed -i %s .config/app/settings.ini", script);
	CHECK(system(command) == 0);
}

static void link_early(const char *f)
{
	char path[64];
	int fd = open(".", O_TMPFILE | O_WRONLY, 0600);

	CHECK(fd >= 0);
	write_text(fd, "[s]\na=2\nb=1\n");
	sprintf(path, "/proc/self/fd/%d", fd);
	CHECK(linkat(AT_FDCWD, path, AT_FDCWD, f, AT_SYMLINK_FOLLOW) == 0);
	meanwhile("s/b=1/b=2/");
	CHECK(close(fd) == 0);
}

static void keep_it_open(const char *f)
{
	int fd = open_file(f, O_RDWR), again;

	CHECK(flock(fd, LOCK_EX) == 0 && flock(fd, LOCK_UN) == 0);
	meanwhile("s/b=1/b=2/");
	again = open_file(f, O_WRONLY | O_TRUNC);
	write_text(again, "[s]\na=2\nb=1\n");
	CHECK(close(again) == 0);
}

static void save_twice(const char *f)
{
	int fd = open_file(f, O_RDWR);

	meanwhile("s/b=1/b=2/");
	CHECK(ftruncate(fd, 0) == 0);
	write_text(fd, "[s]\na=2\nb=1\n");
	CHECK(fsync(fd) == 0);
	write_text(fd, "c=1\n");
	CHECK(close(fd) == 0);
}

static void lock_again(const char *f)
{
	int fd = open_file(f, O_RDWR), twin;

	CHECK(flock(fd, LOCK_EX) == 0 && flock(fd, LOCK_UN) == 0);
	twin = dup(fd);
	meanwhile("s/b=1/b=2/");
	CHECK(flock(fd, LOCK_EX) == 0 && ftruncate(fd, 0) == 0);
	write_text(fd, "[s]\na=2\nb=2\n");
	CHECK(close(fd) == 0 && close(twin) == 0);
}

/* The second one is locked: so is what the third opens. */
static void open_three(const char *f)
{
	int first = open_file(f, O_RDWR), second = open_file(f, O_RDWR), third;
	struct stat a, b;

	CHECK(flock(second, LOCK_EX) == 0);
	third = open_file(f, O_WRONLY | O_TRUNC);
	CHECK(fstat(second, &a) == 0 && fstat(third, &b) == 0 && a.st_ino == b.st_ino);
	write_text(third, "[s]\na=2\nb=2\n");
	CHECK(close(third) == 0 && close(second) == 0 && close(first) == 0);
}

static void set_mode(const char *f)
{
	int fd = open_file(f, O_RDWR);

	CHECK(fchmod(fd, 0640) == 0 && close(fd) == 0);
}

/* Leaves the rest to the end of the program. */
static void exit_early(const char *f)
{
	FILE *o = fopen("new", "w");

	CHECK(o != NULL && fputs("[s]\na=2\nb=2\n", o) >= 0 && rename("new", f) == 0);
}

static const struct {
	const char *name;
	void (*run)(const char *f);
} programs[] = {
	{ "link early", link_early },
	{ "keep it open", keep_it_open },
	{ "save twice", save_twice },
	{ "lock again", lock_again },
	{ "open three", open_three },
	{ "set mode", set_mode },
	{ "exit early", exit_early },
	{ "append anew", append_anew },
	{ "append synced", append_synced },
	{ "lock and replace", lock_and_replace },
	{ "lock and remove", lock_and_remove },
	{ "replace early", replace_early },
	{ "lock to append", lock_to_append },
	{ "lock and open again", lock_and_open_again },
	{ "toggle", toggle },
	{ "empty and wait", empty_and_wait },
};

static int program_main(const char *what, const char *f)
{
	for (size_t i = 0; i < ARRAY_LEN(programs); i++)
		if (!strcmp(programs[i].name, what)) {
			programs[i].run(f);
			return 0;
		}
	return 99;
}

/* ---- helpers ---------------------------------------------------------------------------------- */

static void put(const char *text)
{
	char command[200];

	sprintf(command, "printf '%s' >.config/app/settings.ini", text);
	sh(command);
}

static void assert_text(const char *want)
{
	auto_buf struct buf got = BUF_INIT(65536);
	struct err e;

	read_view(&got);
	assert_string_equal(buf_text(&got, &e), want);
}

static pid_t start(const char *what)
{
	pid_t child = fork();

	if (child == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* one that waits, when the test has failed */
		enter_shim();
		execl(self, self, "helper", what, file, (char *)NULL);
		_exit(98);
	}
	return child;
}

static void assert_ends_well(pid_t child)
{
	int status;

	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void await_ready(void)
{
	sh("while [ ! -e ready ]; do sleep 0.01; done");
}

/* ---- tests ------------------------------------------------------------------------------------ */

static void test_nothing_written(void **state)
{
	(void)state;
	put("[s]\\nk=1\\n");
	sh("exec 9<>.config/app/settings.ini; /bin/echo l=1 >>.config/app/settings.ini; exec 9>&-");
	assert_text("[s]\nk=1\nl=1\n");
	sh("exec 9>>.config/app/settings.ini; sed -i s/k=1/k=2/ .config/app/settings.ini; exec 9>&-");
	assert_text("[s]\nk=2\nl=1\n");
	sh("exec 9<>.config/app/settings.ini; flock 9; sed -i s/k=2/k=3/ .config/app/settings.ini; exec "
	   "9>&-");
	assert_text("[s]\nk=3\nl=1\n");
	assert_ini("s/k", "3");
	/* Except time and mode. */
	sh("touch -d @1000000000 .config/app/settings.ini; test $(stat -c %Y .config/app/settings.ini) = "
	   "1000000000");
	sh("touch .config/app/settings.ini; test $(stat -c %Y .config/app/settings.ini) -gt 1500000000");
	assert_int_equal(helper("set mode", file), 0);
	sh("test $(stat -c %a .config/app/settings.ini) = 640");
	/* What another has removed does not come back. */
	sh("exec 9<>.config/app/settings.ini; /bin/rm .config/app/settings.ini; exec 9>&-; "
	   "test ! -e .config/app/settings.ini");
	/* A new file is one. */
	sh("exec 9<>.config/app/settings.ini; exec 9>&-");
	harvest_all();
	sh("test -e .config/app/settings.ini && test ! -s .config/app/settings.ini");
}

static void test_one_after_the_other(void **state)
{
	(void)state;
	sh("printf '[s]\\nk=1\\n' >a; printf '[s]\\nk=2\\n' >b; printf '[s]\\nk=1\\nl=2\\n' >c");
	for (int i = 0; i < 10; i++) {
		sh("for i in a b c; do cp $i .config/app/settings.ini; done");
		assert_text("[s]\nk=1\nl=2\n");
	}
}

static void test_appended(void **state)
{
	(void)state;
	put("[s]\\nn=9\\n");
	assert_int_equal(helper("append anew", file), 0);
	assert_text("[s]\nn=10\n");
	assert_ini("s/n", "10");
	assert_int_equal(helper("append synced", file), 0);
	assert_text("[s]\nn=10\na=1\nb=1\nc=1\n");
	/* One part after the other has closed it. */
	sh("{ echo d=1; (sleep 0.2; echo e=2) & } >>.config/app/settings.ini; wait");
	harvest_all();
	assert_text("[s]\nn=10\na=1\nb=1\nc=1\nd=1\ne=2\n");
}

static void test_replaced(void **state)
{
	(void)state;
	put("[s]\\nk=1\\n");
	assert_int_equal(helper("lock and replace", file), 0);
	assert_text("[s]\nk=2\n");
	/* By another program. */
	sh("exec 9<.config/app/settings.ini; flock 9; sed -i s/k=2/k=1/ .config/app/settings.ini; exec 9>&-");
	assert_text("[s]\nk=1\n");
	assert_int_equal(helper("replace early", file), 0);
	assert_text("[s]\nk=2\nl=3\n");
	assert_ini("s/l", "3");
	assert_int_equal(helper("lock and remove", file), 0);
	assert_ini("s/k", NULL);
	sh("test ! -e .config/app/settings.ini");
}

static void test_saved_meanwhile(void **state)
{
	static const char *const whats[] = { "link early", "keep it open", "save twice",
					     "lock again", "open three",   "exit early" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(whats); i++) {
		put("[s]\\na=1\\nb=1\\n");
		if (!strcmp(whats[i], "link early"))
			sh("rm .config/app/settings.ini");
		assert_int_equal(helper(whats[i], file), 0);
		assert_text(strcmp(whats[i], "save twice") ? "[s]\na=2\nb=2\n" : "[s]\na=2\nb=2\nc=1\n");
		assert_ini("s/a", "2");
		assert_ini("s/b", "2");
		put("[s]\\n");
	}
}

static void test_toggled(void **state)
{
	pid_t child;

	(void)state;
	put("[s]\\na=true\\nb=false\\n");
	child = start("toggle");
	await_ready();
	put("[s]\\na=false\\nb=false\\n");
	sh(": >go");
	assert_ends_well(child);
	assert_text("[s]\na=true\nb=true\n");
}

static void test_locks(void **state)
{
	(void)state;
	put("[s]\\nn=0\\n");
	sh("for p in 1 2 3 4; do (for i in 1 2 3; do flock .config/app/settings.ini sh -c 'n=$(sed -n "
	   "s/n=//p "
	   ".config/app/settings.ini); printf \"[s]\\nn=%d\\n\" $((n+1)) >.config/app/settings.ini'; done) & "
	   "done; wait");
	assert_ini("s/n", "12");
	assert_int_equal(helper("lock to append", file), 0);
	assert_ini("s/l", "1");
	assert_int_equal(helper("lock and open again", file), 0);
	assert_ini("s/locked", "1");
	assert_ini("s/l", NULL);
}

/* A harvest takes nothing out of a writer's hands. */
static void test_harvest_in_between(void **state)
{
	pid_t child;

	(void)state;
	put("[s]\\nk=1\\n");
	child = start("empty and wait");
	await_ready();
	(void)harvest();
	assert_ini("s/k", "1");
	sh("! flock -n .config/app/settings.ini true");
	sh(": >go");
	assert_ends_well(child);
	assert_text("[s]\nk=2\n");
	assert_ini("s/k", "2");
}

/* A descriptor that a child keeps: what was saved of it does not come back with the next broker. */
static void test_kept_over_a_crash(void **state)
{
	int status;

	(void)state;
	sh("exec 9>.config/app/settings.ini; (while [ ! -e go ]; do sleep 0.01; done) >/dev/null 2>&1 & "
	   "printf '[s]\\nn=1\\n' >&9; exec 9>&-; printf '[s]\\nn=2\\n' >.config/app/settings.ini");
	assert_ini("s/n", "2");
	kill(broker, SIGKILL);
	assert_int_equal(waitpid(broker, &status, 0), broker);
	close(control);
	start_broker();
	configure();
	sh(": >go");
	harvest_all();
	assert_text("[s]\nn=2\n");
	assert_ini("s/n", "2");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_nothing_written, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_after_the_other, setup, teardown),
		cmocka_unit_test_setup_teardown(test_appended, setup, teardown),
		cmocka_unit_test_setup_teardown(test_replaced, setup, teardown),
		cmocka_unit_test_setup_teardown(test_saved_meanwhile, setup, teardown),
		cmocka_unit_test_setup_teardown(test_toggled, setup, teardown),
		cmocka_unit_test_setup_teardown(test_locks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_harvest_in_between, setup, teardown),
		cmocka_unit_test_setup_teardown(test_kept_over_a_crash, setup, teardown),
	};

	if (argc == 4 && !strcmp(argv[1], "helper"))
		return program_main(argv[2], argv[3]);
	return find_programs() ? cmocka_run_group_tests(tests, NULL, NULL) : 77;
}
