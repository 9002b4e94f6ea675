/* SPDX-License-Identifier: Apache-2.0 */
/* Several processes do random things to one shared tree: no result is foretold, but only such errors may come
 * as can, nothing may hang, and what is left must be a tree.
 *
 *   stress make DIR                                                  a tree for a lower layer
 *   stress run DIR [--ops N] [--processes P] [--seed S] [--overlay]  N each
 *   stress walk DIR                   every name is found, once, with the number that the listing has
 *   stress remove DIR                 all of it goes; DIR stays, empty
 *
 * A process that does nothing for a minute ends it. --overlay: what kernel overlayfs may answer counts, too.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { NAMES = 12, DEPTH = 4, PATH_LEN = 128, PROCESSES_MAX = 32, STILL_MAX_S = 60 };

static uint64_t ops = 2000, processes = 4, seed = 1, random_state;
static bool is_overlay;
static _Atomic uint64_t *counts; /* shared: of each process's operations */

/* ---- errors --------------------------------------------------------------------------------- */

/* Those of any operation on names that others change meanwhile. */
static bool is_usual(int sys)
{
	return sys == ENOENT || sys == ENOTDIR || sys == EEXIST || sys == ELOOP;
}

static void check(long rc, const char *what, const char *path, const char *other, const int *may)
{
	int sys = errno;

	if (rc >= 0 || is_usual(sys) || (is_overlay && (sys == EXDEV || sys == ESTALE)))
		return;
	for (; *may; may++)
		if (*may == sys)
			return;
	fprintf(stderr, "stress: seed %llu: %s %s %s: %s\n", (unsigned long long)seed, what, path, other,
		strerror(sys));
	_exit(1);
}

#define CHECK_MAY(rc, what, path, other, ...) check(rc, what, path, other, (const int[]){ __VA_ARGS__, 0 })

/* ---- chance --------------------------------------------------------------------------------- */

static uint64_t chance(uint64_t below)
{
	uint64_t z = random_state += 0x9e3779b97f4a7c15U;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
	return (z ^ (z >> 31)) % below;
}

static void some_path(char ret[PATH_LEN])
{
	size_t depth = 1 + chance(DEPTH), len = 0;

	for (size_t i = 0; i < depth; i++)
		len += (size_t)snprintf(ret + len, PATH_LEN - len, "%s%c%u", i ? "/" : "",
					i + 1 < depth ? 'd' : "df"[chance(2)],
					(unsigned)chance(NAMES / (i ? 2 : 1)));
}

/* ---- operations ----------------------------------------------------------------------------- */

static void op_create(const char *path)
{
	int fd = open(path,
		      O_RDWR | O_CREAT | (chance(2) ? O_EXCL : 0) | (chance(3) ? 0 : O_TRUNC) | O_NONBLOCK,
		      0600 | (chance(2) ? 0066 : 0));
	char text[5000];

	CHECK_MAY(fd, "create", path, "", EISDIR, ENXIO);
	if (fd < 0)
		return;
	memset(text, 'x', sizeof(text));
	CHECK_MAY(pwrite(fd, text, 1 + chance(sizeof(text)), (off_t)chance(20000)), "write", path, "",
		  ESPIPE);
	CHECK_MAY(pread(fd, text, sizeof(text), (off_t)chance(20000)), "read", path, "", ESPIPE);
	CHECK_MAY(ftruncate(fd, (off_t)chance(30000)), "ftruncate", path, "", EINVAL);
	if (chance(20) == 0)
		CHECK_MAY(fsync(fd), "fsync", path, "", EINVAL);
	CHECK_MAY(close(fd), "close", path, "", 0);
}

static void op_append(const char *path)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_NONBLOCK);

	CHECK_MAY(fd, "open", path, "", EISDIR, ENXIO);
	if (fd < 0)
		return;
	CHECK_MAY(write(fd, "more", 4), "append", path, "", EPIPE);
	CHECK_MAY(close(fd), "close", path, "", 0);
}

static void op_read(const char *path)
{
	char text[5000];
	int fd = open(path, O_RDONLY | O_NONBLOCK);

	CHECK_MAY(fd, "open", path, "", 0);
	if (fd < 0)
		return;
	CHECK_MAY(read(fd, text, sizeof(text)), "read", path, "", EISDIR, EAGAIN);
	CHECK_MAY(close(fd), "close", path, "", 0);
}

static void op_list(const char *path)
{
	DIR *d = opendir(path);
	struct stat st;

	CHECK_MAY(d ? 0 : -1, "opendir", path, "", 0);
	if (!d)
		return;
	errno = 0;
	for (struct dirent *e; (e = readdir(d));)
		if (chance(4) == 0)
			CHECK_MAY(fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW), "stat", path,
				  e->d_name, 0);
	CHECK_MAY(errno ? -1 : 0, "readdir", path, "", 0);
	(void)closedir(d);
}

static void op_rename(const char *path)
{
	char other[PATH_LEN];

	some_path(other);
	CHECK_MAY(rename(path, other), "rename", path, other, EISDIR, ENOTEMPTY, EINVAL);
}

static void op_rename_flags(const char *path)
{
	char other[PATH_LEN];
	unsigned flags = chance(2) ? RENAME_NOREPLACE : RENAME_EXCHANGE;

	some_path(other);
	CHECK_MAY(renameat2(AT_FDCWD, path, AT_FDCWD, other, flags),
		  flags == RENAME_EXCHANGE ? "exchange" : "rename without replacing", path, other, EINVAL,
		  ENOTEMPTY);
}

static void op_link(const char *path)
{
	char other[PATH_LEN];

	some_path(other);
	CHECK_MAY(link(path, other), "link", path, other, EPERM);
}

static void op_symlink(const char *path)
{
	char other[PATH_LEN];

	some_path(other);
	CHECK_MAY(symlink(other, path), "symlink", path, other, 0);
	CHECK_MAY(readlink(path, other, sizeof(other)), "readlink", path, "", EINVAL);
}

static void op_mkdir(const char *path)
{
	CHECK_MAY(mkdir(path, 0755), "mkdir", path, "", 0);
}

static void op_mknod(const char *path)
{
	CHECK_MAY(mkfifo(path, 0644), "mkfifo", path, "", 0);
}

static void op_rmdir(const char *path)
{
	CHECK_MAY(rmdir(path), "rmdir", path, "", ENOTEMPTY, 0);
}

static void op_unlink(const char *path)
{
	CHECK_MAY(unlink(path), "unlink", path, "", EISDIR);
}

/* Deletes what is open, and goes on with it. */
static void op_orphan(const char *path)
{
	int fd = open(path, O_RDWR | O_NONBLOCK);
	struct stat st;

	CHECK_MAY(fd, "open", path, "", EISDIR, ENXIO);
	if (fd < 0)
		return;
	CHECK_MAY(unlink(path), "unlink", path, "", EISDIR);
	CHECK_MAY(pwrite(fd, "gone", 4, 3000), "write", path, "(deleted)", ESPIPE, EPIPE);
	CHECK_MAY(fstat(fd, &st), "fstat", path, "(deleted)", 0);
	CHECK_MAY(ftruncate(fd, 5), "ftruncate", path, "(deleted)", EINVAL);
	CHECK_MAY(close(fd), "close", path, "(deleted)", 0);
}

static void op_truncate(const char *path)
{
	CHECK_MAY(truncate(path, (off_t)chance(50000)), "truncate", path, "", EISDIR, EINVAL);
}

static void op_attrs(const char *path)
{
	struct timespec times[2] = { { 1, 2 }, { 3, 4 } };
	char value[64];

	CHECK_MAY(chmod(path, chance(2) ? 0755 : 0700), "chmod", path, "", 0);
	CHECK_MAY(utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW), "utimens", path, "", 0);
	CHECK_MAY(lsetxattr(path, "user.stress", "value", 5, 0), "setxattr", path, "", EPERM);
	CHECK_MAY(lgetxattr(path, "user.stress", value, sizeof(value)), "getxattr", path, "", ENODATA, EPERM);
	CHECK_MAY(lremovexattr(path, "user.stress"), "removexattr", path, "", ENODATA, EPERM);
}

static void op_any(void)
{
	static const struct {
		unsigned weight;
		void (*run)(const char *path);
	} kinds[] = {
		{ 16, op_create },  { 6, op_append }, { 6, op_read },         { 8, op_list },
		{ 14, op_rename },  { 5, op_link },   { 4, op_symlink },      { 10, op_mkdir },
		{ 2, op_mknod },    { 8, op_rmdir },  { 7, op_unlink },       { 4, op_orphan },
		{ 4, op_truncate }, { 4, op_attrs },  { 2, op_rename_flags },
	};
	unsigned at = (unsigned)chance(100);
	char path[PATH_LEN];
	size_t i = 0;

	while (at >= kinds[i].weight)
		at -= kinds[i++].weight;
	some_path(path);
	kinds[i].run(path);
}

/* ---- processes ------------------------------------------------------------------------------ */

static void work(uint64_t number)
{
	random_state = seed * 1000003 + number;
	for (uint64_t i = 0; i < ops; i++) {
		op_any();
		counts[number]++;
	}
	_exit(0);
}

static uint64_t count_all(void)
{
	uint64_t sum = 0;

	for (uint64_t i = 0; i < processes; i++)
		sum += counts[i];
	return sum;
}

static int run(void)
{
	uint64_t last = 0, left = processes;
	unsigned still_s = 0;
	int worst = 0;

	counts = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (counts == MAP_FAILED)
		return 2;
	for (uint64_t i = 0; i < processes; i++) {
		pid_t pid = fork();

		if (pid < 0)
			return 2;
		if (pid == 0)
			work(i);
	}
	while (left > 0 && still_s < STILL_MAX_S * 10) {
		int status;

		while (left > 0 && waitpid(-1, &status, WNOHANG) > 0) {
			left--;
			if (status)
				worst = 1;
		}
		still_s = count_all() == last ? still_s + 1 : 0;
		last = count_all();
		(void)usleep(100000);
	}
	if (left > 0) {
		fprintf(stderr, "stress: seed %llu: %llu processes hang after %llu operations\n",
			(unsigned long long)seed, (unsigned long long)left, (unsigned long long)last);
		return 1;
	}
	printf("stress: %llu operations, seed %llu\n", (unsigned long long)last, (unsigned long long)seed);
	return worst;
}

/* ---- trees ---------------------------------------------------------------------------------- */

static uint64_t walked, wrong;

static void look(int dir, const struct dirent *e, struct stat *ret)
{
	walked++;
	if (fstatat(dir, e->d_name, ret, AT_SYMLINK_NOFOLLOW) < 0) {
		fprintf(stderr, "stress: listed %s: %s\n", e->d_name, strerror(errno));
		wrong++;
		ret->st_mode = 0;
		return;
	}
	if (ret->st_ino != e->d_ino) {
		fprintf(stderr, "stress: %s is listed as %llu and is %llu\n", e->d_name,
			(unsigned long long)e->d_ino, (unsigned long long)ret->st_ino);
		wrong++;
	}
	if (e->d_type != DT_UNKNOWN && (mode_t)DTTOIF(e->d_type) != (ret->st_mode & S_IFMT)) {
		fprintf(stderr, "stress: %s is listed as a %#x and is a %#x\n", e->d_name, DTTOIF(e->d_type),
			ret->st_mode);
		wrong++;
	}
}

static void walk(int dir, bool removes)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct stat st;

	if (!d) {
		perror("stress: open directory");
		wrong++;
		return;
	}
	for (struct dirent *e; (e = readdir(d));) {
		int sub;

		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		look(fd, e, &st);
		if (S_ISDIR(st.st_mode)) {
			sub = openat(fd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
			walk(sub, removes);
			(void)close(sub);
		}
		if (removes && unlinkat(fd, e->d_name, S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0) < 0) {
			fprintf(stderr, "stress: remove %s: %s\n", e->d_name, strerror(errno));
			wrong++;
		}
	}
	(void)closedir(d);
}

static int walk_all(bool removes)
{
	walk(AT_FDCWD, removes);
	printf("stress: %llu names%s\n", (unsigned long long)walked, removes ? " removed" : "");
	if (!removes || wrong)
		return wrong != 0;
	walked = 0;
	walk(AT_FDCWD, false);
	if (walked)
		fprintf(stderr, "stress: %llu names are left\n", (unsigned long long)walked);
	return walked != 0;
}

/* A tree of the same names. */
static int make(void)
{
	char path[PATH_LEN], other[PATH_LEN];

	random_state = 7;
	for (unsigned i = 0; i < NAMES; i++) {
		(void)snprintf(path, sizeof(path), "d%u", i);
		if (mkdir(path, 0755) < 0)
			return 1;
	}
	for (unsigned i = 0; i < 600; i++) {
		some_path(path);
		switch (chance(6)) {
		case 0:
			(void)mkdir(path, 0755);
			break;
		case 1:
			some_path(other);
			(void)!symlink(other, path);
			break;
		case 2:
			some_path(other);
			(void)!link(other, path);
			break;
		default:
			op_create(path);
			break;
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[1] : "";

	for (int i = 3; i < argc; i++) {
		uint64_t *at = !strcmp(argv[i], "--ops")         ? &ops
			       : !strcmp(argv[i], "--processes") ? &processes
			       : !strcmp(argv[i], "--seed")      ? &seed
								 : NULL;

		if (!strcmp(argv[i], "--overlay"))
			is_overlay = true;
		else if (at && i + 1 < argc)
			*at = strtoull(argv[++i], NULL, 10);
	}
	if (argc > 2 && chdir(argv[2]) < 0) {
		perror(argv[2]);
		return 2;
	}
	(void)signal(SIGPIPE, SIG_IGN);
	if (!strcmp(what, "make"))
		return make();
	if (!strcmp(what, "run") && processes > 0 && processes <= PROCESSES_MAX)
		return run();
	if (!strcmp(what, "walk") || !strcmp(what, "remove"))
		return walk_all(!strcmp(what, "remove"));
	fprintf(stderr,
		"usage: stress make|run|walk|remove DIR [--ops N] [--processes P] [--seed S] [--overlay]\n");
	return 2;
}
