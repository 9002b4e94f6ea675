/* SPDX-License-Identifier: Apache-2.0 */
/* The steps that many cases take; see case.h. */
#include <dirent.h>
#include <grp.h>
#include <limits.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "tests/union/case.h"
#include "tests/union/case_run.h"

struct stat stat_of(const char *path)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		FAIL("lstat %.80s: %s", path, strerror(errno));
	return st;
}

struct stat stat_fd(int fd)
{
	struct stat st;

	OK(fstat(fd, &st));
	return st;
}

static void write_with(const char *path, int flags, const void *data, size_t len)
{
	int fd = open(path, O_WRONLY | flags, 0644);

	if (fd < 0)
		FAIL("open %.80s: %s", path, strerror(errno));
	if (write(fd, data, len) != (ssize_t)len)
		FAIL("write %.80s: %s", path, strerror(errno));
	OK(close(fd));
}

void write_file(const char *path, const void *data, size_t len)
{
	write_with(path, O_CREAT | O_TRUNC, data, len);
}

void write_text(const char *path, const char *text)
{
	write_file(path, text, strlen(text));
}

void append_text(const char *path, const char *text)
{
	write_with(path, O_APPEND, text, strlen(text));
}

void expect_fd_text(int fd, off_t off, const char *text)
{
	char buf[1024];
	ssize_t n = OK(pread(fd, buf, sizeof(buf) - 1, off));

	buf[n] = '\0';
	if (strcmp(buf, text) != 0)
		FAIL("content is \"%.60s\", not \"%.60s\"", buf, text);
}

void expect_text(const char *path, const char *text)
{
	int fd = open(path, O_RDONLY);

	if (fd < 0)
		FAIL("open %.80s: %s", path, strerror(errno));
	EQUAL(stat_fd(fd).st_size, strlen(text));
	expect_fd_text(fd, 0, text);
	OK(close(fd));
}

void expect_data(int fd, off_t from, off_t to)
{
	uint8_t buf[65536];

	while (from < to) {
		size_t want = to - from < (off_t)sizeof(buf) ? (size_t)(to - from) : sizeof(buf);

		EQUAL(OK(pread(fd, buf, want, from)), want);
		for (size_t i = 0; i < want; i++)
			if (buf[i] != kit_byte((size_t)from + i))
				FAIL("byte %lld is %d, not %d", (long long)from + (long long)i, buf[i],
				     kit_byte((size_t)from + i));
		from += (off_t)want;
	}
}

bool is_listed(const char *dir, const char *name)
{
	DIR *d = opendir(dir);
	const struct dirent *entry;
	bool found = false;

	if (!d)
		FAIL("opendir %.80s: %s", dir, strerror(errno));
	while ((entry = readdir(d)))
		found |= strcmp(entry->d_name, name) == 0;
	(void)closedir(d);
	return found;
}

unsigned count_entries(const char *dir)
{
	DIR *d = opendir(dir);
	const struct dirent *entry;
	unsigned count = 0;

	if (!d)
		FAIL("opendir %.80s: %s", dir, strerror(errno));
	while ((entry = readdir(d)))
		count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
	(void)closedir(d);
	return count;
}

void expect_gone(const char *path)
{
	const char *name = strrchr(path, '/');
	char dir[PATH_MAX];
	struct stat st;

	FAILS(lstat(path, &st), ENOENT);
	(void)snprintf(dir, sizeof(dir), "%.*s", name ? (int)(name - path) : 1, name ? path : ".");
	if (is_listed(dir, name ? name + 1 : path))
		FAIL("%.80s is listed still", path);
}

bool same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

bool is_later(struct timespec a, struct timespec b)
{
	return a.tv_sec > b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec > b.tv_nsec);
}

void pause_clock(void)
{
	(void)nanosleep(&(struct timespec){ 0, 20000000 }, NULL);
}

static void wait_for(pid_t pid)
{
	int status;

	OK(waitpid(pid, &status, 0));
	if (WIFSIGNALED(status))
		FAIL("a process died of signal %d", WTERMSIG(status));
	if (WEXITSTATUS(status))
		_exit(WEXITSTATUS(status)); /* it has said why */
}

void in_child(void (*run)(void))
{
	pid_t pid = OK(fork());

	if (pid == 0) {
		run();
		case_end();
	}
	wait_for(pid);
}

void in_child_as(uid_t uid, gid_t gid, void (*run)(void))
{
	pid_t pid = OK(fork());

	if (pid == 0) {
		OK(setgroups(0, NULL));
		OK(setresgid(gid, gid, gid));
		OK(setresuid(uid, uid, uid));
		run();
		case_end();
	}
	wait_for(pid);
}

bool can_be_others(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(setgroups(0, NULL) < 0 || setresuid(65534, 65534, 65534) < 0);
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static void note_path(const char *name, char ret[PATH_MAX])
{
	if (!setting.notes)
		case_skip("--notes says no directory to remember things in");
	(void)snprintf(ret, PATH_MAX, "%s/%s.%s", setting.notes, setting.name, name);
}

void note_number(const char *name, uint64_t value)
{
	char path[PATH_MAX], text[32];

	if (!setting.notes)
		return;
	note_path(name, path);
	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	write_text(path, text);
}

uint64_t noted_number(const char *name)
{
	char path[PATH_MAX], text[32] = "";
	int fd;

	note_path(name, path);
	fd = OK(open(path, O_RDONLY));
	CHECK(read(fd, text, sizeof(text) - 1) > 0);
	OK(close(fd));
	return strtoull(text, NULL, 10);
}

static bool upper_stat(const char *path, struct stat *ret)
{
	char full[PATH_MAX];

	if (!setting.upper)
		return false;
	(void)snprintf(full, sizeof(full), "%s/%s/%s", setting.upper, setting.name, path);
	return lstat(full, ret) == 0;
}

bool upper_has(const char *path)
{
	struct stat st;

	return upper_stat(path, &st);
}

bool upper_is_whiteout(const char *path)
{
	char full[PATH_MAX];
	struct stat st;

	if (!upper_stat(path, &st))
		return false;
	if (S_ISCHR(st.st_mode) && st.st_rdev == makedev(0, 0))
		return true;
	(void)snprintf(full, sizeof(full), "%s/%s/%s", setting.upper, setting.name, path);
	return S_ISREG(st.st_mode) && lgetxattr(full, "user.overlay.whiteout", NULL, 0) >= 0;
}

int get_xattr(const char *path, const char *name, char *value, size_t cap)
{
	ssize_t n = lgetxattr(path, name, value, cap);

	return n < 0 ? -errno : (int)n;
}

pid_t run_program(const char *path, int *ret_input)
{
	int p[2];
	pid_t pid;

	OK(pipe2(p, O_CLOEXEC));
	pid = OK(vfork());
	if (pid == 0) {
		(void)dup2(p[0], 0);
		(void)execl(path, path, (char *)NULL);
		_exit(127);
	}
	OK(close(p[0]));
	*ret_input = p[1];
	return pid;
}
