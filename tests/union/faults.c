/* SPDX-License-Identifier: Apache-2.0 */
/* Fault sweep: of each operation the n-th changing call on the upper's file system fails, n = 1, 2, ... until
 * the operation needs no more calls. What it says must be so: success is the new state, an error the fault's
 * own and the old state (or, when the fault came late, the new one). Then, without the fault, it works.
 *
 *   faults make DIR                               the lower layer: DIR/OPERATION.N, each the same tree
 *   faults sweep DIR MODEL FAIL ERRNO once|lasting [OPERATION]
 *                                                 DIR: the union; MODEL: a plain, empty directory; FAIL:
 *                                                 where tools/fail_mount.c is mounted
 *   faults check DIR MODEL                        in a later mount, with the MODEL of the sweep
 *
 * What the new state is, is found out on a plain directory. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { CALLS_MAX = 50, NAMES_MAX = 64, BIG = 20000 };

static unsigned findings;

__attribute__((format(printf, 1, 2))) static _Noreturn void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("faults: ", stderr);
	(void)vfprintf(stderr, fmt, ap);
	fprintf(stderr, ": %s\n", strerror(errno));
	va_end(ap);
	exit(2);
}

static void need(long rc, const char *what)
{
	if (rc < 0)
		die("%s", what);
}

/* ---- the tree of each case ------------------------------------------------------------------ */

static void put_file(const char *path, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	char *text = malloc(len);

	if (fd < 0 || !text)
		die("%s", path);
	for (size_t i = 0; i < len; i++)
		text[i] = (char)('a' + (i * 31 >> 4) % 26);
	need(write(fd, text, len) == (ssize_t)len ? 0 : -1, path);
	free(text);
	(void)close(fd);
}

static void put_tree(void)
{
	put_file("file", 100);
	put_file("other", 200);
	put_file("big", BIG);
	put_file("hard1", 300);
	need(link("hard1", "hard2"), "hard2");
	need(symlink("file", "soft"), "soft");
	need(setxattr("file", "user.kept", "value", 5, 0), "user.kept");
	need(mkdir("dir", 0755), "dir");
	put_file("dir/in", 10);
	need(mkdir("dir/sub", 0755), "dir/sub");
	put_file("dir/sub/deep", 11);
	need(mkdir("full", 0755), "full");
	put_file("full/1", 1);
	put_file("full/2", 2);
	need(mkdir("empty", 0755), "empty");
}

/* ---- operations: each one system call, after what prepares it ------------------------------- */

static void no_preparation(void)
{
}

static void delete_file(void)
{
	need(unlink("file"), "unlink file");
}

static void delete_full(void)
{
	need(unlink("full/1"), "unlink full/1");
	need(unlink("full/2"), "unlink full/2");
}

static void delete_full_and_it(void)
{
	delete_full();
	need(rmdir("full"), "rmdir full");
}

static void make_new(void)
{
	put_file("new", 50);
}

static void touch_hard(void)
{
	need(chmod("hard1", 0600), "chmod hard1");
}

static int written(const char *path, int flags)
{
	int fd = open(path, O_WRONLY | flags | O_CLOEXEC), sys;
	ssize_t n;

	if (fd < 0)
		return -1;
	n = write(fd, "written", 7);
	sys = errno;
	(void)close(fd);
	errno = sys;
	return n == 7 ? 0 : -1;
}

static int do_append(void)
{
	return written("file", O_APPEND);
}

static int do_write_big(void)
{
	return written("big", 0);
}

static int do_write_hard(void)
{
	return written("hard1", 0);
}

static int do_truncate(void)
{
	return truncate("big", 5000);
}

static int do_empty(void)
{
	return truncate("big", 0);
}

static int do_chmod(void)
{
	return chmod("file", 0600);
}

static int do_chmod_dir(void)
{
	return chmod("dir/sub", 0700);
}

static int do_setxattr(void)
{
	return setxattr("dir/sub/deep", "user.new", "1", 1, 0);
}

static int do_rename(void)
{
	return rename("file", "renamed");
}

static int do_rename_over(void)
{
	return rename("file", "other");
}

static int do_rename_new_over(void)
{
	return rename("new", "other");
}

static int do_rename_hard(void)
{
	return rename("hard1", "renamed");
}

static int do_rename_dir(void)
{
	return rename("dir", "renamed");
}

static int do_rename_dir_over(void)
{
	return rename("dir", "empty");
}

static int do_rename_dir_over_whiteouts(void)
{
	return rename("dir", "full");
}

static int do_exchange(void)
{
	return renameat2(AT_FDCWD, "file", AT_FDCWD, "dir/sub/deep", RENAME_EXCHANGE);
}

static int do_exchange_dirs(void)
{
	return renameat2(AT_FDCWD, "dir", AT_FDCWD, "full", RENAME_EXCHANGE);
}

static int do_unlink(void)
{
	return unlink("file");
}

static int do_unlink_deep(void)
{
	return unlink("dir/sub/deep");
}

static int do_unlink_new(void)
{
	return unlink("new");
}

static int do_unlink_hard(void)
{
	return unlink("hard1");
}

static int do_unlink_soft(void)
{
	return unlink("soft");
}

static int do_rmdir(void)
{
	return rmdir("full");
}

static int do_rmdir_lower(void)
{
	return rmdir("empty");
}

static int do_link(void)
{
	return link("file", "dir/linked");
}

static int do_link_hard(void)
{
	return link("hard1", "linked");
}

static int do_create(void)
{
	int fd = open("file", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);

	if (fd >= 0)
		(void)close(fd);
	return fd < 0 ? -1 : 0;
}

static int do_create_deep(void)
{
	int fd = open("dir/sub/created", O_WRONLY | O_CREAT | O_CLOEXEC, 0640);

	if (fd >= 0)
		(void)close(fd);
	return fd < 0 ? -1 : 0;
}

static int do_mkdir(void)
{
	return mkdir("full", 0750);
}

static int do_symlink(void)
{
	return symlink("somewhere", "dir/link");
}

static int do_mkfifo(void)
{
	return mkfifo("file", 0600);
}

static const struct operation {
	const char *name;
	void (*prepare)(void);
	int (*run)(void);
	bool links_may_stay; /* shown for what remains: those of the lower file, or too many after a fault */
} operations[] = {
	{ "append", no_preparation, do_append, false },
	{ "write-big", no_preparation, do_write_big, false },
	{ "write-hard", no_preparation, do_write_hard, false },
	{ "write-hard-again", touch_hard, do_write_hard, false },
	{ "truncate", no_preparation, do_truncate, false },
	{ "empty", no_preparation, do_empty, false },
	{ "chmod", no_preparation, do_chmod, false },
	{ "chmod-dir", no_preparation, do_chmod_dir, false },
	{ "setxattr", no_preparation, do_setxattr, false },
	{ "rename", no_preparation, do_rename, false },
	{ "rename-over", no_preparation, do_rename_over, false },
	{ "rename-new-over", make_new, do_rename_new_over, false },
	{ "rename-hard", no_preparation, do_rename_hard, false },
	{ "rename-dir", no_preparation, do_rename_dir, false },
	{ "rename-dir-over", no_preparation, do_rename_dir_over, false },
	{ "rename-dir-over-whiteouts", delete_full, do_rename_dir_over_whiteouts, false },
	{ "exchange", no_preparation, do_exchange, false },
	{ "exchange-dirs", no_preparation, do_exchange_dirs, false },
	{ "unlink", no_preparation, do_unlink, false },
	{ "unlink-deep", no_preparation, do_unlink_deep, false },
	{ "unlink-new", make_new, do_unlink_new, false },
	{ "unlink-hard", no_preparation, do_unlink_hard, true },
	{ "unlink-hard-again", touch_hard, do_unlink_hard, true },
	{ "unlink-soft", no_preparation, do_unlink_soft, false },
	{ "rmdir", delete_full, do_rmdir, false },
	{ "rmdir-lower", no_preparation, do_rmdir_lower, false },
	{ "link", no_preparation, do_link, false },
	{ "link-hard", no_preparation, do_link_hard, true },
	{ "create", no_preparation, do_create_deep, false },
	{ "create-over-whiteout", delete_file, do_create, false },
	{ "mkdir-over-whiteout", delete_full_and_it, do_mkdir, false },
	{ "symlink", no_preparation, do_symlink, false },
	{ "mkfifo", delete_file, do_mkfifo, false },
};
enum { OPERATIONS = sizeof(operations) / sizeof(operations[0]) };

/* ---- what a tree looks like ----------------------------------------------------------------- */

static uint64_t hash_of(const char *path)
{
	uint64_t hash = 0xcbf29ce484222325U;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[8192];
	ssize_t n;

	if (fd < 0)
		return 1;
	while ((n = read(fd, text, sizeof(text))) > 0)
		for (ssize_t i = 0; i < n; i++)
			hash = (hash ^ (unsigned char)text[i]) * 0x100000001b3U;
	(void)close(fd);
	return n < 0 ? 2 : hash;
}

static bool hides_links;

static void describe(FILE *out, const char *path)
{
	char text[256] = "";
	struct stat st;

	if (lstat(path, &st) < 0) {
		fprintf(out, "%s: %s\n", path, strerror(errno));
		return;
	}
	fprintf(out, "%s %o", path, st.st_mode);
	if (S_ISREG(st.st_mode))
		fprintf(out, " links %lu, %lld bytes %016llx", hides_links ? 0 : (unsigned long)st.st_nlink,
			(long long)st.st_size, (unsigned long long)hash_of(path));
	if (S_ISLNK(st.st_mode) && readlink(path, text, sizeof(text) - 1) >= 0)
		fprintf(out, " -> %s", text);
	if (S_ISREG(st.st_mode) && getxattr(path, "user.kept", text, sizeof(text)) >= 0)
		fprintf(out, " kept");
	if (S_ISREG(st.st_mode) && getxattr(path, "user.new", text, sizeof(text)) >= 0)
		fprintf(out, " new");
	fputc('\n', out);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void describe_tree(FILE *out, const char *dir)
{
	char *names[NAMES_MAX], path[512];
	size_t count = 0;
	DIR *d = opendir(dir);

	if (!d) {
		fprintf(out, "%s: %s\n", dir, strerror(errno));
		return;
	}
	for (struct dirent *e; (e = readdir(d)) && count < NAMES_MAX;)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			names[count++] = strdup(e->d_name);
	(void)closedir(d);
	qsort(names, count, sizeof(*names), by_name);
	for (size_t i = 0; i < count; i++) {
		struct stat st;

		(void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		describe(out, path);
		if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode))
			describe_tree(out, path);
		free(names[i]);
	}
}

/* Of the working directory; malloc'ed. */
static char *looks(void)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		die("memory");
	describe_tree(out, ".");
	(void)fclose(out);
	return text;
}

/* ---- the sweep ------------------------------------------------------------------------------ */

struct sweep {
	const char *union_dir, *model, *fail_dir;
	int sys;
	bool is_lasting;
	unsigned long news; /* errors though it was done */
	char kind;          /* of the call that failed */
	unsigned long faults;
};

static void set_fault(const struct sweep *s, unsigned long from)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "* %lu %lu %d", from, s->is_lasting ? 1000000UL : 1UL, s->sys);
	need(setxattr(s->fail_dir, "user.fail.set", text, strlen(text), 0), "set a fault");
}

static unsigned long failures(struct sweep *s)
{
	unsigned long hits, failed;
	char text[64] = "";

	need(getxattr(s->fail_dir, "user.fail.hits", text, sizeof(text) - 1), "ask for faults");
	if (sscanf(text, "%lu %lu %c", &hits, &failed, &s->kind) != 3)
		die("%s", text);
	return failed;
}

static void find_wrong(const struct operation *o, unsigned long n, char kind, const char *what,
		       const char *want, const char *got)
{
	fprintf(stderr, "faults: %s, call %lu (%c): %s\n", o->name, n, kind, what);
	if (want)
		fprintf(stderr, "--- instead of\n%s--- there is\n%s---\n", want, got);
	findings++;
}

static void enter(const char *top, const char *name, unsigned long n)
{
	char path[512];

	(void)snprintf(path, sizeof(path), "%s/%s.%lu", top, name, n);
	need(chdir(path), path);
}

/* What it is before and after, on the plain directory. */
static void learn(const struct sweep *s, const struct operation *o, char **ret_old, char **ret_new)
{
	char path[512];

	hides_links = o->links_may_stay;
	(void)snprintf(path, sizeof(path), "%s/%s.0", s->model, o->name);
	if (mkdir(path, 0755) == 0) {
		need(chdir(path), path);
		put_tree();
		o->prepare();
		*ret_old = looks();
		need(o->run(), o->name);
	} else {
		need(chdir(path), path);
		*ret_old = NULL;
	}
	*ret_new = looks();
}

/* True: the operation had that many calls. */
static bool try_call(struct sweep *s, const struct operation *o, unsigned long n, const char *old,
		     const char *new)
{
	unsigned long failed;
	char *now;
	int rc, sys;

	enter(s->union_dir, o->name, n);
	o->prepare();
	set_fault(s, n);
	rc = o->run();
	sys = errno;
	failed = failures(s);
	set_fault(s, 0);
	now = looks();
	s->faults += failed > 0;
	if (rc == 0 && strcmp(now, new) != 0)
		find_wrong(o, n, s->kind, "success, but not the new state", new, now);
	if (rc < 0 && failed == 0)
		find_wrong(o, n, s->kind, strerror(sys), "success\n", "an error without a fault\n");
	if (rc < 0 && sys != s->sys)
		find_wrong(o, n, s->kind, strerror(sys), NULL, NULL);
	if (rc < 0 && strcmp(now, new) == 0)
		s->news++;
	else if (rc < 0 && strcmp(now, old) != 0)
		find_wrong(o, n, s->kind, "an error, and neither the old state nor the new", old, now);
	if (rc < 0 && strcmp(now, new) != 0) {
		free(now);
		if (o->run() < 0)
			find_wrong(o, n, s->kind, "does not work without the fault either", "success\n",
				   strerror(errno));
		now = looks();
		if (strcmp(now, new) != 0)
			find_wrong(o, n, s->kind, "not the new state when tried again", new, now);
	}
	free(now);
	return failed > 0;
}

static int sweep(struct sweep *s, const char *only)
{
	for (size_t i = 0; i < OPERATIONS; i++) {
		const struct operation *o = &operations[i];
		char *old, *new, path[512];
		unsigned long n = 1;
		int fd;

		if (only && strcmp(only, o->name) != 0)
			continue;
		learn(s, o, &old, &new);
		while (n < CALLS_MAX && try_call(s, o, n, old, new))
			n++;
		if (n == 1 || n == CALLS_MAX)
			find_wrong(o, n, s->kind, n == 1 ? "no call that could fail" : "too many calls", NULL,
				   NULL);
		printf("%s: %lu calls\n", o->name, n - 1);
		(void)snprintf(path, sizeof(path), "%s/%s.%lu.done", s->model, o->name, n);
		fd = open(path, O_WRONLY | O_CREAT, 0644);
		need(fd, path);
		(void)close(fd);
		free(old);
		free(new);
	}
	printf("%lu faults, %lu of them after it was done, %u findings\n", s->faults, s->news, findings);
	return findings > 0;
}

/* Every case up to the last one tried is in the new state. */
static int check_later(const struct sweep *s)
{
	for (size_t i = 0; i < OPERATIONS; i++) {
		char *old, *new, *now, path[512];
		unsigned long last = 0;

		for (unsigned long n = 1; n <= CALLS_MAX; n++) {
			(void)snprintf(path, sizeof(path), "%s/%s.%lu.done", s->model, operations[i].name, n);
			if (access(path, F_OK) == 0)
				last = n;
		}
		if (last == 0)
			continue;
		learn(s, &operations[i], &old, &new);
		for (unsigned long n = 1; n <= last; n++) {
			enter(s->union_dir, operations[i].name, n);
			now = looks();
			if (strcmp(now, new) != 0)
				find_wrong(&operations[i], n, '-', "in a later mount", new, now);
			free(now);
		}
		free(new);
	}
	return findings > 0;
}

static int make(const char *dir)
{
	char path[512];

	for (size_t i = 0; i < OPERATIONS; i++)
		for (unsigned n = 1; n <= CALLS_MAX; n++) {
			(void)snprintf(path, sizeof(path), "%s/%s.%u", dir, operations[i].name, n);
			need(mkdir(path, 0755), path);
			need(chdir(path), path);
			put_tree();
		}
	return 0;
}

static char *whole(const char *path)
{
	char *ret = realpath(path, NULL);

	if (!ret)
		die("%s", path);
	return ret;
}

int main(int argc, char **argv)
{
	struct sweep s = { .sys = EIO };

	(void)umask(022);
	if (argc == 3 && !strcmp(argv[1], "make"))
		return make(whole(argv[2]));
	if (argc >= 4) {
		s.union_dir = whole(argv[2]);
		s.model = whole(argv[3]);
	}
	if (argc == 4 && !strcmp(argv[1], "check"))
		return check_later(&s);
	if (argc >= 7 && !strcmp(argv[1], "sweep")) {
		s.fail_dir = whole(argv[4]);
		s.sys = atoi(argv[5]);
		s.is_lasting = !strcmp(argv[6], "lasting");
		return sweep(&s, argv[7]);
	}
	fprintf(stderr,
		"usage: faults make DIR | sweep DIR MODEL FAIL ERRNO once|lasting | check DIR MODEL\n");
	return 2;
}
