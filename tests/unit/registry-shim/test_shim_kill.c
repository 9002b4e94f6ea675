/* SPDX-License-Identifier: Apache-2.0 */
/* SIGKILL between any two system calls of a program that saves in place, with the shim in it: afterwards the
 * file and its keys are the old ones or the new ones. The program is stepped (ptrace) from the SIGSTOP before
 * its save, killed at the first stop, then at the second, and so on until it gets to its end. Also: several
 * who write at once, who share a descriptor, who lock. */
#include <sys/file.h>
#include <sys/ptrace.h>

#include "tests/unit/registry-shim/kill_steps.h"
#include "tests/unit/registry-shim/test_shim_kit.h"

enum { KEYS = 400 }; /* more than one block of stdio */

/* ---- programs that save the value ------------------------------------------------------------ */

static unsigned value;

static size_t text_of(unsigned v, char *ret)
{
	size_t len = (size_t)sprintf(ret, "; a comment\n[s]\n");

	for (int i = 0; i < KEYS; i++)
		len += (size_t)sprintf(ret + len, "key%d=%u\n", i, v);
	return len;
}

static char text[KEYS * 24 + 100];
static size_t text_len;

static void put_part(int fd, size_t from, size_t to)
{
	CHECK(write(fd, text + from, to - from) == (ssize_t)(to - from));
}

static void put_all(int fd)
{
	put_part(fd, 0, text_len / 3);
	put_part(fd, text_len / 3, text_len / 2);
	put_part(fd, text_len / 2, text_len);
}

static void save_open(const char *f)
{
	int fd = open(f, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	CHECK(fd >= 0);
	put_all(fd);
	CHECK(close(fd) == 0);
}

static void save_stream(const char *f)
{
	FILE *o = fopen(f, "w");

	CHECK(o != NULL);
	CHECK(fwrite(text, 1, text_len, o) == text_len);
	CHECK(fclose(o) == 0);
}

static void save_synced(const char *f)
{
	int fd = open(f, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	CHECK(fd >= 0);
	put_all(fd);
	CHECK(fsync(fd) == 0 && close(fd) == 0);
}

static void save_edited(const char *f)
{
	char old[sizeof(text)];
	int fd = open(f, O_RDWR);

	CHECK(fd >= 0 && read(fd, old, sizeof(old)) > 0);
	CHECK(ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0);
	put_all(fd);
	CHECK(close(fd) == 0);
}

static void save_stream_edited(const char *f)
{
	char line[64];
	FILE *o = fopen(f, "r+");

	CHECK(o != NULL);
	while (fgets(line, sizeof(line), o))
		;
	rewind(o);
	CHECK(fwrite(text, 1, text_len, o) == text_len);
	CHECK(fflush(o) == 0 && ftruncate(fileno(o), (off_t)text_len) == 0 && fclose(o) == 0);
}

static void save_at_exit(const char *f)
{
	FILE *o = fopen(f, "w");

	CHECK(o != NULL);
	CHECK(fwrite(text, 1, text_len, o) == text_len);
	exit(0);
}

/* The one that opened it goes on after a child has written. */
static void save_by_child(const char *f)
{
	int fd = open(f, O_WRONLY | O_CREAT | O_TRUNC, 0644), status;
	pid_t child;

	CHECK(fd >= 0);
	put_part(fd, 0, text_len / 2);
	child = fork();
	if (child == 0) {
		put_part(fd, text_len / 2, text_len * 2 / 3);
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	put_part(fd, text_len * 2 / 3, text_len);
	CHECK(close(fd) == 0);
}

static void save_and_become(const char *f)
{
	int fd = open(f, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	CHECK(fd >= 0);
	put_part(fd, 0, text_len / 2);
	CHECK(dup2(fd, 1) == 1 && close(fd) == 0);
	setenv("REST", text + text_len / 2, 1);
	execl("/bin/sh", "sh", "-c",
	      "printf '%s' \"${REST%?????}\"; printf '%s' \"${REST#\"${REST%?????}\"}\"", (char *)NULL);
}

/* A line in two pieces. */
static void save_appended(const char *f)
{
	char line[64];
	int fd = open(f, O_WRONLY | O_APPEND), len = sprintf(line, "more=%u\n", value);

	CHECK(fd >= 0);
	CHECK(write(fd, line, 3) == 3 && write(fd, line + 3, (size_t)len - 3) == len - 3);
	CHECK(close(fd) == 0);
}

/* ---- programs that do other things ----------------------------------------------------------- */

/* Adds 1 to s/n, alone among those that lock. */
static void count_locked(const char *f)
{
	char old[sizeof(text)], *at;
	int fd = open(f, O_RDWR), n;
	ssize_t len;

	CHECK(fd >= 0 && flock(fd, LOCK_EX) == 0);
	len = read(fd, old, sizeof(old) - 1);
	CHECK(len > 0);
	old[len] = 0;
	at = strstr(old, "n=");
	CHECK(at != NULL);
	n = atoi(at + 2);
	CHECK(ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0);
	CHECK(dprintf(fd, "[s]\nn=%d\n", n + 1) > 0);
	CHECK(close(fd) == 0);
}

/* What a program does between open and close finds what it has written, and nobody else does. */
static void look_at_own(const char *f)
{
	struct stat before, by_path, by_fd;
	char got[64], moved[4096];
	FILE *o, *again;

	CHECK(stat(f, &before) == 0);
	o = fopen(f, "w");
	CHECK(o != NULL && fputs("[s]\nmine=1\n", o) >= 0 && fflush(o) == 0);
	CHECK(stat(f, &by_path) == 0 && fstat(fileno(o), &by_fd) == 0 && by_path.st_ino == by_fd.st_ino);
	CHECK(chmod(f, 0600) == 0 && fstat(fileno(o), &by_fd) == 0 && (by_fd.st_mode & 0777) == 0600);
	again = fopen(f, "r");
	CHECK(again != NULL && fgets(got, sizeof(got), again) && fclose(again) == 0 && !strcmp(got, "[s]\n"));
	CHECK(system("grep -q old=1 .config/app/settings.ini") == 0);
	CHECK(by_fd.st_ino == before.st_ino && fclose(o) == 0 && stat(f, &by_path) == 0);
	CHECK((by_path.st_mode & 0777) == 0600 && system("grep -q mine=1 .config/app/settings.ini") == 0);
	CHECK(fopen(f, "wx") == NULL && errno == EEXIST);
	/* Moved away while it is open: what was written goes with it. */
	sprintf(moved, "%s.moved", f);
	o = fopen(f, "w");
	CHECK(o != NULL && fputs("[s]\nmoved=1\n", o) >= 0 && fflush(o) == 0 && rename(f, moved) == 0);
	CHECK(fclose(o) == 0 && access(f, F_OK) < 0);
	again = fopen(moved, "r");
	CHECK(again != NULL && fgets(got, sizeof(got), again) && fclose(again) == 0 && !strcmp(got, "[s]\n"));
	CHECK(rename(moved, f) == 0);
}

/* ---- stepping ------------------------------------------------------------------------------- */

static const struct victim {
	const char *name;
	void (*run)(const char *f);
} victims[] = {
	{ "open", save_open },
	{ "stream", save_stream },
	{ "synced", save_synced },
	{ "edited", save_edited },
	{ "stream edited", save_stream_edited },
	{ "at exit", save_at_exit },
	{ "by child", save_by_child },
	{ "and become", save_and_become },
	{ NULL, NULL }, /* up to here: each writes the whole text */
	{ "appended", save_appended },
	{ "count", count_locked },
	{ "own", look_at_own },
};

static int victim_main(const char *what, const char *f)
{
	const char *number = getenv("FLOE_TEST_VALUE");

	if (number) {
		value = (unsigned)atoi(number);
		text_len = text_of(value, text);
		raise(SIGSTOP);
	}
	for (size_t i = 0; i < ARRAY_LEN(victims); i++)
		if (victims[i].name && !strcmp(victims[i].name, what)) {
			victims[i].run(f);
			return 0;
		}
	return 99;
}

static pid_t start_victim(const char *what, unsigned v)
{
	pid_t child = fork();
	char number[16];

	if (child == 0) {
		enter_shim();
		sprintf(number, "%u", v);
		setenv("FLOE_TEST_VALUE", number, 1);
		setenv("ASAN_OPTIONS", "verify_asan_link_order=0:detect_leaks=0", 1); /* not under ptrace */
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
			_exit(97);
		execl(self, self, "helper", what, file, (char *)NULL);
		_exit(98);
	}
	return child;
}

/* Lets the child make `steps` stops at system calls and kills it there; false when it came to its end. */
static bool kill_after(pid_t child, unsigned steps)
{
	int status, signal_number = 0;

	do { /* the exec, and what the program says itself */
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSTOPPED(status));
		signal_number = WSTOPSIG(status);
		if (signal_number != SIGSTOP)
			assert_int_equal(ptrace(PTRACE_CONT, child, NULL, NULL), 0);
	} while (signal_number != SIGSTOP);
	return kill_at_step(child, steps);
}

/* The file and its keys have one value, which is returned. */
static unsigned look(void)
{
	auto_buf struct buf got = BUF_INIT(65536);
	static char want[sizeof(text)];
	struct reg_hive *h = NULL;
	enum reg_layer layer;
	struct err e;
	unsigned now = 0;

	assert_int_equal(reg_hive_open(db, &h, &e), 0);
	for (int i = 0; i < KEYS; i++) {
		char key[32], *v = NULL;

		sprintf(key, "s/key%d", i);
		if (reg_hive_get(h, "config/app/ini", key, &v, &layer, &e) < 0)
			fail_msg("%s", e.msg);
		if (i == 0)
			now = (unsigned)atoi(v);
		assert_int_equal(atoi(v), now);
		free(v);
	}
	reg_hive_close(h);
	text_of(now, want);
	read_view(&got);
	assert_string_equal(buf_text(&got, &e), want);
	return now;
}

static void begin(void)
{
	unsigned now = 0;

	/* By the program itself, to its end. */
	assert_false(kill_after(start_victim("open", 1), ~0u));
	now = look();
	assert_int_equal(now, 1);
}

/* `stride` above 1 where a program makes many calls that have nothing to do with its save. */
static void sweep(const char *what, unsigned stride)
{
	unsigned now = 1, steps = 0, killed_new = 0;

	begin();
	for (bool was_killed = true; was_killed; steps += stride) {
		unsigned after;

		was_killed = kill_after(start_victim(what, now + 1), steps);
		harvest_all();
		after = look();
		if (after != now + 1 && (after != now || !was_killed))
			fail_msg("%s, killed after %u steps: %u became %u", what, steps, now, after);
		killed_new += was_killed && after == now + 1;
		now = after;
	}
	print_message("%s: %u steps, %u of them with the save done\n", what, steps - stride, killed_new);
	assert_true(steps > 5 && (killed_new > 0 || stride > 1));
}

/* ---- tests ---------------------------------------------------------------------------------- */

static void test_every_way(void **state)
{
	(void)state;
	for (const struct victim *v = victims; v->name; v++)
		sweep(v->name, v->run == save_and_become ? 9 : 1);
}

/* A line is there or it is not. */
static void test_appended(void **state)
{
	unsigned steps = 0, lines = 0;

	(void)state;
	begin();
	for (bool was_killed = true; was_killed; steps++) {
		auto_buf struct buf got = BUF_INIT(65536);
		char want[sizeof(text) + 64];
		size_t len = text_of(1, want);
		struct err e;

		was_killed = kill_after(start_victim("appended", 7), steps);
		harvest_all();
		read_view(&got);
		if (got.len > len + lines * strlen("more=7\n"))
			lines++;
		for (unsigned i = 0; i < lines; i++)
			len += (size_t)sprintf(want + len, "more=7\n");
		assert_string_equal(buf_text(&got, &e), want);
		if (lines) { /* again from the start */
			assert_ini("s/more", "7");
			assert_false(kill_after(start_victim("open", 1), ~0u));
			lines = 0;
		} else {
			assert_true(was_killed);
			assert_ini("s/more", NULL);
		}
	}
}

static void test_own(void **state)
{
	(void)state;
	sh("printf '[s]\\nold=1\\n' > .config/app/settings.ini");
	assert_int_equal(helper("own", file), 0);
	assert_ini("s/moved", "1");
	assert_ini("s/mine", NULL);
	harvest_all();
}

static void count_at_once(void)
{
	pid_t children[8];
	int status;

	for (size_t i = 0; i < ARRAY_LEN(children); i++) {
		children[i] = fork();
		if (children[i] == 0) {
			enter_shim();
			execl(self, self, "helper", "count", file, (char *)NULL);
			_exit(98);
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(children); i++) {
		assert_int_equal(waitpid(children[i], &status, 0), children[i]);
		assert_int_equal(status, 0);
	}
}

/* Some open it just while another has emptied it to write it anew: so often enough for that. */
static void test_locked(void **state)
{
	(void)state;
	sh("printf '[s]\\nn=0\\n' > .config/app/settings.ini");
	for (int i = 0; i < 40; i++)
		count_at_once();
	assert_ini("s/n", "320");
}

/* Shells hand descriptors on. */
static void test_handed_on(void **state)
{
	(void)state;
	sh("printf '[s]\\nk=0\\n' > .config/app/settings.ini");
	sh("{ /bin/echo '[s]'; cat .config/app/settings.ini >seen; /bin/echo k=1; } "
	   ">.config/app/settings.ini; "
	   "grep -q k=0 seen");
	assert_ini("s/k", "1");
	/* One of those who write it is killed, and nothing counts; nor does what a killed shell has done. */
	sh("{ /bin/echo '[s]'; sh -c 'echo k=2; kill -9 $$'; :; } >.config/app/settings.ini");
	assert_ini("s/k", "1");
	sh("sh -c \"exec >.config/app/settings.ini; /bin/echo '[s]'; kill -9 \\$\\$\"; :");
	assert_ini("s/k", "1");
	assert_string_equal(sh("cat .config/app/settings.ini"), "[s]\nk=1\n");
	/* The shell goes first, or somebody has the descriptor who does not know. */
	sh("(sh -c 'sleep 0.2; echo \"[s]\"; echo k=3') >.config/app/settings.ini & wait $!");
	assert_ini("s/k", "3");
	sh("exec 9>.config/app/settings.ini; sleep 3 >/dev/null 2>&1 & echo '[s]' >&9; echo k=4 >&9; exec "
	   "9>&-");
	assert_ini("s/k", "4");
	sh("exec 3<>.config/app/settings.ini; read -r line <&3; printf 'k=5\\n' >&3; exec 3>&-");
	assert_ini("s/k", "5");
	sh("printf '[s]\\nk=6\\n' | tee .config/app/settings.ini >/dev/null; "
	   "env printf '[t]\\nk=7\\n' >>.config/app/settings.ini");
	assert_ini("s/k", "6");
	assert_ini("t/k", "7");
	harvest_all(); /* also the one that did not know has ended */
	assert_ini("t/k", "7");
}

/* A hundred at once, each of which reads the file and writes it in place with a key more. */
static void test_many_in_place(void **state)
{
	char key[32];

	(void)state;
	sh("echo '[s]' > .config/app/settings.ini; for i in $(seq 100); do (text=$(cat "
	   ".config/app/settings.ini); "
	   ": >ready.$i; while [ ! -e go ]; do sleep 0.1; done; printf '%s\nk%d=%d\n' \"$text\" $i $i "
	   ">.config/app/settings.ini) & done; while [ $(ls | grep -c ready) -lt 100 ]; do sleep 0.1; done; "
	   ": >go; "
	   "wait");
	for (int i = 1; i <= 100; i++) {
		char want[16];

		sprintf(key, "s/k%d", i);
		sprintf(want, "%d", i);
		assert_ini(key, want);
	}
	harvest_all();
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_every_way, setup, teardown),
		cmocka_unit_test_setup_teardown(test_appended, setup, teardown),
		cmocka_unit_test_setup_teardown(test_own, setup, teardown),
		cmocka_unit_test_setup_teardown(test_locked, setup, teardown),
		cmocka_unit_test_setup_teardown(test_handed_on, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_in_place, setup, teardown),
	};

	if (argc == 4 && !strcmp(argv[1], "helper"))
		return victim_main(argv[2], argv[3]);
	return find_programs() ? cmocka_run_group_tests(tests, NULL, NULL) : 77;
}
