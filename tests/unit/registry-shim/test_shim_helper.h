/* SPDX-License-Identifier: Apache-2.0 */
/* The programs that test_shim.c runs with the shim in them: "test_shim helper WHAT FILE". Each saves
 * "[s]\nk=WHAT\n" in its own way, or prints what it sees; status 0 when all went as it should. */
#ifndef FLOE_TEST_SHIM_HELPER_H
#define FLOE_TEST_SHIM_HELPER_H

#include "tests/unit/registry-shim/test_shim_kit.h"

static void save_open(const char *f)
{
	int fd = open(f, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	CHECK(fd >= 0);
	helper_write(fd);
	CHECK(close(fd) == 0);
	_exit(0);
}

static void save_creat(const char *f)
{
	int fd = creat(f, 0644);

	CHECK(fd >= 0);
	helper_write(fd);
	CHECK(close(fd) == 0);
}

static void save_fopen(const char *f)
{
	FILE *o = fopen(f, "w");

	CHECK(o != NULL);
	CHECK(fputs(helper_text, o) >= 0);
	CHECK(fclose(o) == 0);
	raise(SIGKILL); /* nothing after fclose is needed */
}

static void save_unclosed(const char *f)
{
	FILE *o = fopen(f, "w");

	CHECK(o != NULL);
	CHECK(fputs(helper_text, o) >= 0);
	exit(0);
}

static void save_fdopen(const char *f)
{
	FILE *o = fdopen(open(f, O_RDWR | O_CREAT | O_TRUNC, 0600), "w");

	CHECK(o != NULL);
	CHECK(fputs(helper_text, o) >= 0);
}

static void save_freopen(const char *f)
{
	CHECK(freopen(f, "w", stdout) != NULL);
	CHECK(fputs(helper_text, stdout) >= 0);
}

static void save_quick(const char *f)
{
	int fd = open(f, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	CHECK(fd >= 0);
	helper_write(fd);
	_exit(0);
}

static void save_relative(const char *f)
{
	char *dir = strdup(f);
	int fd;

	CHECK(chdir(dirname(dir)) == 0);
	fd = open(strrchr(f, '/') + 1, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	CHECK(fd >= 0);
	helper_write(fd);
	close(fd);
	free(dir);
}

static void save_openat(const char *f)
{
	char *dir = strdup(f);
	int at = open(dirname(dir), O_RDONLY | O_DIRECTORY), fd;
	char path[4096];

	CHECK(at >= 0);
	sprintf(path, ".././%s/.//%s", basename(dir), strrchr(f, '/') + 1);
	fd = openat(at, path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	CHECK(fd >= 0);
	helper_write(fd);
	close(fd);
	close(at);
	free(dir);
}

static void save_symlink(const char *f)
{
	char *dir = strdup(f), link[4096], path[5000];
	int fd;

	sprintf(link, "%s-link", dirname(dir));
	CHECK(symlink(dir, link) == 0 || errno == EEXIST);
	sprintf(path, "%s/%s", link, strrchr(f, '/') + 1);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	CHECK(fd >= 0);
	helper_write(fd);
	close(fd);
	CHECK(unlink(link) == 0);
	free(dir);
}

static void save_rename(const char *f)
{
	char tmp[4096];
	struct stat st;
	int fd;

	sprintf(tmp, "%s.new", f);
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC, 0640);
	CHECK(fd >= 0);
	helper_write(fd);
	CHECK(fsync(fd) == 0);
	close(fd);
	CHECK(rename(tmp, f) == 0);
	CHECK(stat(tmp, &st) < 0 && errno == ENOENT);
	raise(SIGKILL);
}

static void save_link(const char *f)
{
	char tmp[4096], old[4096];
	int fd;

	sprintf(tmp, "%s.new", f);
	sprintf(old, "%s~", f);
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	CHECK(fd >= 0);
	helper_write(fd);
	close(fd);
	if (access(f, F_OK) == 0) {
		CHECK(link(tmp, f) < 0 && errno == EEXIST);
		CHECK(link(f, old) == 0); /* a backup */
		CHECK(access(old, R_OK) == 0 && unlink(old) == 0);
		CHECK(unlink(f) == 0);
	}
	CHECK(access(f, F_OK) < 0 && errno == ENOENT);
	CHECK(link(tmp, f) == 0);
	CHECK(unlink(tmp) == 0);
}

/* As QSaveFile does: a file without a name, which gets one when it is complete. */
static void save_unnamed(const char *f)
{
	char dir[4096], proc[64];
	int fd;

	sprintf(dir, "%.*s", (int)(strrchr(f, '/') - f), f);
	fd = open(dir, O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600);
	CHECK(fd >= 0);
	helper_write(fd);
	sprintf(proc, "/proc/self/fd/%d", fd);
	if (access(f, F_OK) == 0)
		CHECK(linkat(AT_FDCWD, proc, AT_FDCWD, f, AT_SYMLINK_FOLLOW) < 0 && errno == EEXIST);
	CHECK(unlink(f) == 0 || errno == ENOENT);
	CHECK(linkat(AT_FDCWD, proc, AT_FDCWD, f, 0) < 0);
	CHECK(linkat(AT_FDCWD, proc, AT_FDCWD, f, AT_SYMLINK_FOLLOW) == 0);
	CHECK(close(fd) == 0);
}

/* The same with the name that asks for a right which the shim does without. */
static void save_unnamed_by_descriptor(const char *f)
{
	int fd = memfd_create("unnamed", MFD_CLOEXEC);

	CHECK(fd >= 0);
	helper_write(fd);
	CHECK(unlink(f) == 0 || errno == ENOENT);
	CHECK(linkat(fd, "", AT_FDCWD, f, AT_EMPTY_PATH) == 0);
	CHECK(close(fd) == 0);
}

static void save_away_and_back(const char *f)
{
	char old[4096];
	int fd;

	sprintf(old, "%s.old", f);
	if (rename(f, old) < 0)
		CHECK(errno == ENOENT);
	CHECK(access(f, F_OK) < 0 && errno == ENOENT);
	CHECK(unlink(f) < 0 && errno == ENOENT);
	fd = open(f, O_WRONLY | O_CREAT | O_EXCL, 0644);
	CHECK(fd >= 0);
	helper_write(fd);
	CHECK(close(fd) == 0);
	unlink(old);
}

static void save_fork(const char *f)
{
	int fd = open(f, O_WRONLY | O_CREAT | O_TRUNC, 0644), status;
	pid_t child = fork();

	if (child == 0) {
		helper_write(fd);
		CHECK(close(fd) == 0);
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	close(fd);
}

/* The parent leaves at once, the child goes on: a daemon. */
static void save_daemon(const char *f)
{
	int fd = open(f, O_WRONLY | O_CREAT | O_TRUNC, 0644), done[2];

	CHECK(pipe(done) == 0);
	if (fork() == 0) {
		if (fork() == 0) {
			usleep(20000);
			helper_write(fd);
			close(fd);
			CHECK(write(done[1], "", 1) == 1);
			_exit(0);
		}
		_exit(0);
	}
	close(fd);
	close(done[1]);
	CHECK(read(done[0], helper_text, 1) == 1);
}

static void save_vfork(const char *f)
{
	int fd = open(f, O_WRONLY | O_CREAT | O_TRUNC, 0644), status;
	pid_t child = vfork();

	if (child == 0) {
		close(fd); /* of the child only: the parent's must still be remembered */
		execl("/bin/true", "true", (char *)NULL);
		_exit(127);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	helper_write(fd);
	close(fd);
	raise(SIGKILL);
}

static void save_dup(const char *f)
{
	int fd = open(f, O_WRONLY | O_CREAT | O_TRUNC, 0644), copy = fcntl(fd, F_DUPFD, 100);

	CHECK(copy >= 100 && close(fd) == 0);
	helper_write(copy);
	CHECK(dup2(2, copy) == copy); /* closes it on the way */
	raise(SIGKILL);
}

static void save_close_range(const char *f)
{
	int fd = open(f, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	helper_write(fd);
	CHECK(close_range(3, ~0u, 0) == 0);
	raise(SIGKILL);
}

static void save_exec(const char *f)
{
	int fd = open(f, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	helper_write(fd);
	execl("/bin/sh", "sh", "-c", "kill -9 $$", (char *)NULL);
	char *argv[] = { (char *)"sh", (char *)"-c", (char *)"kill -9 $$", NULL };
	execv("/bin/sh", argv);
}

static void save_truncate(const char *f)
{
	FILE *o = fopen(f, "w");

	fprintf(o, "%sjunk=1\n", helper_text);
	fclose(o);
	CHECK(truncate(f, (off_t)strlen(helper_text)) == 0);
	raise(SIGKILL);
}

/* Killed while the file is still open: not saved. */
static void save_killed(const char *f)
{
	int fd = open(f, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	helper_write(fd);
	raise(SIGKILL);
}

static void save_truncated_and_killed(const char *f)
{
	CHECK(open(f, O_WRONLY | O_TRUNC) >= 0);
	raise(SIGKILL);
}

/* What there is to see of an existing file, or of a missing one. */
static void look(const char *f)
{
	char real[4096], buf[16];
	struct stat st, lst;
	struct statx stx;
	int fd = open(f, O_RDONLY);

	CHECK(fd >= 0);
	CHECK(stat(f, &st) == 0 && S_ISREG(st.st_mode) && lstat(f, &lst) == 0 && st.st_ino == lst.st_ino);
	CHECK(fstat(fd, &lst) == 0 && st.st_ino == lst.st_ino);
	CHECK(fstatat(AT_FDCWD, f, &lst, 0) == 0 && st.st_ino == lst.st_ino);
	CHECK(statx(AT_FDCWD, f, 0, STATX_INO, &stx) == 0 && stx.stx_ino == st.st_ino);
	CHECK(access(f, R_OK | W_OK) == 0 && faccessat(AT_FDCWD, f, R_OK, 0) == 0);
	CHECK(euidaccess(f, R_OK) == 0);
	CHECK(realpath(f, real) == real && !strcmp(real, f));
	CHECK(readlink(f, buf, sizeof(buf)) < 0 && errno == EINVAL);
	CHECK(chmod(f, 0640) == 0 && stat(f, &st) == 0 && (st.st_mode & 0777) == 0640);
	CHECK(chown(f, (uid_t)-1, (gid_t)-1) == 0);
	CHECK(utimensat(AT_FDCWD, f, (struct timespec[]){ { 1, 0 }, { 2, 0 } }, 0) == 0);
	CHECK(stat(f, &st) == 0 && st.st_mtime == 2);
	CHECK(symlink("x", f) < 0 && errno == EEXIST);
	CHECK(open(f, O_WRONLY | O_CREAT | O_EXCL, 0600) < 0 && errno == EEXIST);
	CHECK(openat(AT_FDCWD, f, O_RDONLY | O_DIRECTORY) < 0 && errno == ENOTDIR);
	errno = 0;
	close(fd);
	CHECK(errno == 0);
}

static void look_missing(const char *f)
{
	char real[4096];
	struct stat st;

	CHECK(open(f, O_RDONLY) < 0 && errno == ENOENT);
	CHECK(fopen(f, "r") == NULL && errno == ENOENT);
	CHECK(stat(f, &st) < 0 && errno == ENOENT);
	CHECK(access(f, F_OK) < 0 && errno == ENOENT);
	CHECK(realpath(f, real) == NULL && errno == ENOENT);
	CHECK(unlink(f) < 0 && errno == ENOENT);
	CHECK(rename(f, "/tmp/nothing") < 0 && errno == ENOENT);
	CHECK(truncate(f, 0) < 0 && errno == ENOENT);
}

static void *thread_opens(void *f)
{
	for (int i = 0; i < 300; i++) {
		int fd = open(f, i % 10 ? O_RDONLY : O_RDWR);
		FILE *o = fopen(f, "r");

		CHECK(fd >= 0 && o);
		close(fd);
		fclose(o);
	}
	return NULL;
}

static void on_alarm(int signal_number)
{
	int fd = open("/nowhere/else", O_RDONLY);

	(void)signal_number;
	CHECK(fd < 0);
}

static void threads(const char *f)
{
	const struct timespec pause = { 0, 1000000 };
	pthread_t t[4];

	save_creat(f);
	signal(SIGUSR1, on_alarm);
	for (int i = 0; i < 4; i++)
		CHECK(pthread_create(&t[i], NULL, thread_opens, (void *)(uintptr_t)f) == 0);
	for (int i = 0; i < 20; i++) {
		kill(getpid(), SIGUSR1);
		nanosleep(&pause, NULL);
	}
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
}

static double open_cost(const char *path)
{
	enum { ROUNDS = 200000 };
	struct timespec a, b;

	clock_gettime(CLOCK_MONOTONIC, &a);
	for (int i = 0; i < ROUNDS; i++)
		(void)!open(path, O_RDONLY); /* does not exist: the call and nothing else */
	clock_gettime(CLOCK_MONOTONIC, &b);
	return ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / ROUNDS;
}

static double raw_cost(const char *path)
{
	enum { ROUNDS = 200000 };
	struct timespec a, b;

	clock_gettime(CLOCK_MONOTONIC, &a);
	for (int i = 0; i < ROUNDS; i++)
		(void)!syscall(SYS_openat, AT_FDCWD, path, O_RDONLY, 0);
	clock_gettime(CLOCK_MONOTONIC, &b);
	return ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / ROUNDS;
}

/* Paired in one process: through the shim and past it. */
static void cost(const char *f)
{
	static const char path[] = "/nowhere/at/all/some-library.so.6";
	double with = 1e9, without = 1e9, v;

	(void)f;
	for (int i = 0; i < 5; i++) {
		v = open_cost(path);
		with = v < with ? v : with;
		v = raw_cost(path);
		without = v < without ? v : without;
	}
	printf("open of an undeclared path: %.0f ns, past the shim %.0f ns\n", with, without);
}

static const struct {
	const char *name;
	void (*run)(const char *f);
} helpers[] = {
	{ "open", save_open },
	{ "creat", save_creat },
	{ "fopen", save_fopen },
	{ "unclosed", save_unclosed },
	{ "fdopen", save_fdopen },
	{ "freopen", save_freopen },
	{ "quick", save_quick },
	{ "relative", save_relative },
	{ "openat", save_openat },
	{ "symlink", save_symlink },
	{ "rename", save_rename },
	{ "link", save_link },
	{ "unnamed", save_unnamed },
	{ "unnamed-by-descriptor", save_unnamed_by_descriptor },
	{ "away", save_away_and_back },
	{ "fork", save_fork },
	{ "daemon", save_daemon },
	{ "vfork", save_vfork },
	{ "dup", save_dup },
	{ "close_range", save_close_range },
	{ "exec", save_exec },
	{ "truncate", save_truncate },
	{ "threads", threads },
	{ NULL, NULL }, /* up to here: each saves */
	{ "killed", save_killed },
	{ "truncated", save_truncated_and_killed },
	{ "look", look },
	{ "missing", look_missing },
	{ "cost", cost },
};

static int helper_main(const char *what, const char *f)
{
	sprintf(helper_text, "[s]\nk=%s\n", what);
	for (size_t i = 0; i < sizeof(helpers) / sizeof(helpers[0]); i++)
		if (helpers[i].name && !strcmp(helpers[i].name, what)) {
			helpers[i].run(f);
			return 0;
		}
	return 99;
}

#endif
