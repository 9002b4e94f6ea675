/* SPDX-License-Identifier: Apache-2.0 */
/* The upper's walker, against uppers made by hand and against uppers that kernel overlayfs has written. What
 * it reports is compared as text: one "KIND path" line per change, "o" behind the kind of opaque ones. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/path.h"
#include "vfs/upper.h"

static int lower = -1, upper = -1;
static char root[64];

static int make_root(void **state)
{
	(void)state;
	strcpy(root, "/tmp/floe-test-upper-XXXXXX");
	(void)umask(022);
	if (!mkdtemp(root) || chdir(root) < 0 || mkdir("lower", 0755) < 0 || mkdir("upper", 0755) < 0 ||
	    mkdir("work", 0755) < 0 || mkdir("merged", 0755) < 0)
		return -1;
	lower = open("lower", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	upper = open("upper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return lower < 0 || upper < 0 ? -1 : 0;
}

static int remove_root(void **state)
{
	auto_free char *command = NULL;
	struct err e;

	(void)state;
	fd_close(lower);
	fd_close(upper);
	command = mem_printf(&e, "chmod -R u+rwx %s; rm -rf %s", root, root);
	return chdir("/") < 0 || !command ? -1 : system(command);
}

/* ---- making ----------------------------------------------------------------------------- */

static void dir(int at, const char *path)
{
	assert_int_equal(mkdirat(at, path, 0755), 0);
}

static void file(int at, const char *path, const char *text)
{
	auto_fd int fd = openat(at, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	const struct timespec times[2] = { { 1000, 5 }, { 1000, 5 } };
	struct err e;

	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, text, strlen(text), &e), 0);
	assert_int_equal(futimens(fd, times), 0);
}

static void whiteout(const char *path)
{
	assert_int_equal(mknodat(upper, path, S_IFCHR, makedev(0, 0)), 0);
}

static void mark(const char *path, const char *name, const char *value)
{
	auto_fd int fd = openat(upper, path, O_RDONLY | O_CLOEXEC);

	if (fsetxattr(fd, name, value, strlen(value), 0) < 0) {
		print_message("no user attributes on %s: %s\n", root, strerror(errno));
		skip();
	}
}

/* ---- walking ---------------------------------------------------------------------------- */

struct counted {
	int lower;
	bool no_fd, by_kernel;
	size_t asked;
	struct buf text;
};

static int lower_stat(void *arg, const char *path, struct stat *ret, int *ret_fd, struct err *e)
{
	struct counted *c = arg;
	const char *rel = path[1] ? path + 1 : ".";
	int fd;

	assert_int_equal(*path, '/');
	c->asked++;
	if (fstatat(c->lower, rel, ret, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, errno, "%s", path);
	if (!ret_fd)
		return 0;
	if (c->no_fd)
		return err_set(e, ERR_DENIED, "no");
	fd = openat(c->lower, rel, (S_ISLNK(ret->st_mode) ? O_PATH : O_RDONLY) | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, errno, "%s", path);
	*ret_fd = fd;
	return 0;
}

static int note(void *arg, const struct vfs_change *c, struct err *e)
{
	static const char letters[] = "AMmD";
	struct counted *k = arg;
	bool is_opaque = c->is_opaque && !k->by_kernel;

	assert_string_equal(c->path + 1, c->upper_path);
	return buf_printf(&k->text, e, "%c%s %s\n", letters[c->kind], is_opaque ? "o" : "", c->path);
}

static void expect_of(const char *lines, bool by_kernel)
{
	struct counted c = { .lower = lower, .by_kernel = by_kernel, .text = BUF_INIT(1 << 20) };
	struct err e;

	if (vfs_upper_walk(upper, lower_stat, &c, note, &c, &e) < 0)
		fail_msg("%s", e.msg);
	assert_string_equal(buf_text(&c.text, &e), lines);
	buf_fini(&c.text);
}

static void expect(const char *lines)
{
	expect_of(lines, false);
}

/* Which new directories it marks opaque is the kernel's own choice. */
static void expect_by_kernel(const char *lines)
{
	expect_of(lines, true);
}

/* ---- by hand ---------------------------------------------------------------------------- */

static void test_nothing_written_is_nothing(void **state)
{
	(void)state;
	expect("");
}

static void test_added_modified_deleted(void **state)
{
	(void)state;
	dir(lower, "etc");
	dir(upper, "etc");
	file(lower, "etc/old", "old");
	file(lower, "etc/same-size", "abc");
	file(lower, "etc/gone", "x");
	file(upper, "etc/old", "longer");
	file(upper, "etc/same-size", "abd");
	file(upper, "etc/new", "");
	whiteout("etc/gone");
	whiteout("etc/never-was");
	dir(upper, "etc/d");
	file(upper, "etc/d/f", "x");
	whiteout("etc/d/w");
	expect("A /etc/d\nA /etc/d/f\nD /etc/gone\nA /etc/new\nM /etc/old\nM /etc/same-size\n");
}

static void test_copy_ups_without_a_change(void **state)
{
	(void)state;
	dir(lower, "etc");
	dir(upper, "etc");
	file(lower, "etc/equal", "abc");
	file(upper, "etc/equal", "abc");
	file(lower, "etc/mode", "abc");
	file(upper, "etc/mode", "abc");
	assert_int_equal(fchmodat(upper, "etc/mode", 0600, 0), 0);
	file(lower, "etc/touched", "abc");
	file(upper, "etc/touched", "abc");
	assert_int_equal(utimensat(upper, "etc/touched", NULL, 0), 0);
	dir(lower, "etc/parent");
	dir(upper, "etc/parent");
	dir(lower, "etc/dmode");
	dir(upper, "etc/dmode");
	assert_int_equal(fchmodat(upper, "etc/dmode", 0700, 0), 0);
	expect("m /etc/dmode\nm /etc/mode\nm /etc/touched\n");
}

static void test_attributes_of_equal_files(void **state)
{
	(void)state;
	dir(lower, "etc");
	dir(upper, "etc");
	file(lower, "etc/own", "abc");
	file(upper, "etc/own", "abc");
	mark("etc/own", "user.colour", "red");
	file(lower, "etc/overlay", "abc");
	file(upper, "etc/overlay", "abc");
	mark("etc/overlay", "user.overlay.origin", "x");
	expect("m /etc/own\n");
}

static void test_without_a_descriptor_equal_sizes_are_modified(void **state)
{
	struct counted c = { .lower = lower, .no_fd = true, .text = BUF_INIT(1 << 20) };
	struct err e;

	(void)state;
	dir(lower, "etc");
	dir(upper, "etc");
	file(lower, "etc/equal", "abc");
	file(upper, "etc/equal", "abc");
	assert_int_equal(symlinkat("a", lower, "etc/link"), 0);
	assert_int_equal(symlinkat("a", upper, "etc/link"), 0);
	assert_int_equal(vfs_upper_walk(upper, lower_stat, &c, note, &c, &e), 0);
	assert_string_equal(buf_text(&c.text, &e), "M /etc/equal\nM /etc/link\n");
	buf_fini(&c.text);
}

static void test_types_that_change(void **state)
{
	(void)state;
	dir(lower, "x");
	dir(upper, "x");
	dir(lower, "x/dir-to-file");
	file(lower, "x/dir-to-file/inner", "");
	file(upper, "x/dir-to-file", "");
	file(lower, "x/file-to-dir", "");
	dir(upper, "x/file-to-dir");
	file(upper, "x/file-to-dir/inner", "");
	assert_int_equal(symlinkat("a", lower, "x/link"), 0);
	assert_int_equal(symlinkat("b", upper, "x/link"), 0);
	assert_int_equal(symlinkat("a", lower, "x/same-link"), 0);
	assert_int_equal(symlinkat("a", upper, "x/same-link"), 0);
	assert_int_equal(mkfifoat(upper, "x/fifo", 0600), 0);
	expect("M /x/dir-to-file\nA /x/fifo\nM /x/file-to-dir\nA /x/file-to-dir/inner\nM /x/link\n");
}

static void test_opaque_directories(void **state)
{
	(void)state;
	dir(lower, "x");
	dir(upper, "x");
	dir(lower, "x/d");
	file(lower, "x/d/hidden-1", "");
	file(lower, "x/d/kept", "abc");
	dir(lower, "x/d/sub");
	file(lower, "x/d/sub/inner", "");
	dir(lower, "x/d/tree");
	file(lower, "x/d/tree/inner", "");
	dir(upper, "x/d");
	mark("x/d", "user.overlay.opaque", "y");
	file(upper, "x/d/added", "");
	file(upper, "x/d/kept", "abd");
	dir(upper, "x/d/sub"); /* not marked: opaque through its parent */
	expect("A /x/d/added\nD /x/d/hidden-1\nM /x/d/kept\nD /x/d/sub/inner\nD /x/d/tree\n");
	assert_int_equal(fchmodat(upper, "x/d", 0700, 0), 0);
	dir(upper, "x/new");
	mark("x/new", "user.overlay.opaque", "y");
	expect("mo /x/d\nA /x/d/added\nD /x/d/hidden-1\nM /x/d/kept\nD /x/d/sub/inner\nD /x/d/tree\nAo "
	       "/x/new\n");
	mark("x/d", "user.overlay.opaque", "x");
	expect("m /x/d\nA /x/d/added\nM /x/d/kept\nAo /x/new\n");
}

static void test_whiteout_by_attribute(void **state)
{
	(void)state;
	dir(lower, "x");
	dir(upper, "x");
	file(lower, "x/gone", "abc");
	file(upper, "x/gone", "");
	mark("x/gone", "user.overlay.whiteout", "y");
	file(upper, "x/empty", "");
	expect("A /x/empty\nD /x/gone\n");
}

/* What a renamed directory took along lies elsewhere; its own path says nothing about it. */
static void test_renamed_directories(void **state)
{
	(void)state;
	dir(lower, "x");
	dir(upper, "x");
	dir(lower, "x/old");
	file(lower, "x/old/along", "abc");
	file(lower, "x/old/gone", "abc");
	whiteout("x/old");
	dir(upper, "x/new");
	mark("x/new", "user.overlay.opaque", "y");
	mark("x/new", "user.floe.redirect", "/x/old");
	file(upper, "x/new/along", "abd");
	file(upper, "x/new/added", "");
	whiteout("x/new/gone");
	/* Over something else, of which it has nothing. */
	dir(lower, "x/taken");
	file(lower, "x/taken/inner", "");
	file(lower, "x/taken/other", "");
	dir(upper, "x/taken");
	mark("x/taken", "user.overlay.opaque", "y");
	mark("x/taken", "user.floe.redirect", "/x/old");
	file(upper, "x/taken/inner", "");
	/* Not opaque: on its way to being renamed, and still where it was. */
	dir(lower, "x/still");
	file(lower, "x/still/inner", "");
	dir(upper, "x/still");
	mark("x/still", "user.floe.redirect", "/x/still");
	whiteout("x/still/inner");
	expect("Ao /x/new\nA /x/new/added\nA /x/new/along\nD /x/old\nD /x/still/inner\nMo /x/taken\nA "
	       "/x/taken/inner\n");
}

/* Top-level directories are renamed like any other where the union does not mount them one by one. */
static void test_renamed_at_the_top(void **state)
{
	(void)state;
	dir(lower, "opt");
	file(lower, "opt/f", "");
	dir(upper, "opt");
	mark("opt", "user.overlay.opaque", "y");
	mark("opt", "user.floe.redirect", "/srv");
	file(upper, "opt/f", "");
	dir(upper, ".floe");
	dir(upper, ".floe/links");
	file(upper, ".floe/links/key", "");
	expect("Mo /opt\nA /opt/f\n");
}

static void lazy(const char *path, const char *below, off_t limit, off_t size, uint64_t ino)
{
	auto_fd int fd = openat(upper, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	const struct timespec times[2] = { { 1000, 5 }, { 1000, 5 } };
	struct stat st;
	char value[128];

	assert_int_equal(fstatat(lower, below, &st, 0), 0);
	assert_int_equal(ftruncate(fd, size), 0);
	assert_int_equal(futimens(fd, times), 0);
	(void)snprintf(value, sizeof(value), "1 %lld host %llu %llu -", (long long)limit,
		       (unsigned long long)st.st_dev, (unsigned long long)(ino ? ino : st.st_ino));
	mark(path, "user.floe.lazy", value);
}

/* Their holes are not zeros. */
static void test_lazy_files(void **state)
{
	auto_free char *text = calloc(1, 100001);
	auto_fd int fd = -1;

	(void)state;
	memset(text, 'x', 100000);
	dir(lower, "x");
	dir(upper, "x");
	file(lower, "x/changed", text);
	file(lower, "x/chmod", text);
	file(lower, "x/cut", text);
	file(lower, "x/other", text);
	file(lower, "x/same", text);
	file(lower, "x/shorter", text);
	lazy("x/changed", "x/changed", 100000, 100000, 0);
	lazy("x/chmod", "x/chmod", 100000, 100000, 0);
	lazy("x/cut", "x/cut", 5000, 100000, 0);
	lazy("x/other", "x/other", 100000, 100000, 4711);
	lazy("x/same", "x/same", 100000, 100000, 0);
	lazy("x/shorter", "x/shorter", 5000, 5000, 0);
	assert_int_equal(fchmodat(upper, "x/chmod", 0600, 0), 0);
	fd = openat(upper, "x/changed", O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "", 1, 50000), 1);
	expect("M /x/changed\nm /x/chmod\nM /x/cut\nM /x/other\nM /x/shorter\n");
}

/* Only root can make what this is about. */
static void test_devices_and_chosen_owners(void **state)
{
	(void)state;
	if (geteuid() != 0) {
		print_message("only root makes devices and gives files away\n");
		skip();
	}
	dir(lower, "x");
	dir(upper, "x");
	file(lower, "x/null", "");
	if (mknodat(upper, "x/null", S_IFCHR | 0600, makedev(1, 3)) < 0)
		skip();
	assert_int_equal(symlinkat("a", lower, "x/link"), 0);
	assert_int_equal(symlinkat("a", upper, "x/link"), 0);
	assert_int_equal(fchownat(upper, "x/link", 12, 12, AT_SYMLINK_NOFOLLOW), 0);
	file(lower, "x/given", "");
	file(upper, "x/given", "");
	assert_int_equal(fchownat(upper, "x/given", 12, 0, 0), 0);
	file(lower, "x/taken", "");
	file(upper, "x/taken", "");
	assert_int_equal(fchownat(lower, "x/taken", 12, 12, 0), 0);
	expect("m /x/given\nm /x/link\nM /x/null\n");
}

static void test_top_level_says_little(void **state)
{
	(void)state;
	dir(upper, ".floe");
	dir(lower, "proc");
	dir(upper, "proc");
	dir(lower, "srv");
	dir(upper, "srv");
	assert_int_equal(fchmodat(upper, "srv", 0700, 0), 0);
	dir(lower, "opt");
	file(lower, "opt/f", "");
	dir(upper, "opt");
	mark("opt", "user.overlay.opaque", "y");
	assert_int_equal(symlinkat("usr/bin", lower, "bin"), 0);
	assert_int_equal(symlinkat("usr/bin", upper, "bin"), 0);
	assert_int_equal(symlinkat("usr/lib", lower, "lib"), 0);
	assert_int_equal(symlinkat("opt/lib", upper, "lib"), 0);
	dir(upper, "mine");
	expect("M /lib\nA /mine\nm /srv\n");
}

static void test_names_are_bytes(void **state)
{
	(void)state;
	dir(upper, "x");
	file(upper, "x/\xff\xfe", "");
	file(upper, "x/a\nb", "");
	file(upper, "x/Z", "");
	expect("A /x\nA /x/Z\nA /x/a\nb\nA /x/\xff\xfe\n");
}

static void test_the_lower_is_not_asked_below_what_is_new(void **state)
{
	struct counted c = { .lower = lower, .text = BUF_INIT(1 << 20) };
	struct err e;

	(void)state;
	dir(upper, "x");
	file(upper, "x/a", "");
	file(upper, "x/b", "");
	assert_int_equal(vfs_upper_walk(upper, lower_stat, &c, note, &c, &e), 0);
	assert_int_equal(c.asked, 1);
	buf_fini(&c.text);
}

static int stop(void *arg, const struct vfs_change *c, struct err *e)
{
	(void)arg;
	(void)c;
	return err_set(e, ERR_INTERRUPTED, "enough");
}

static void test_errors_end_the_walk(void **state)
{
	struct counted c = { .lower = lower, .text = BUF_INIT(1 << 20) };
	struct err e;

	(void)state;
	dir(upper, "x");
	assert_int_equal(vfs_upper_walk(upper, lower_stat, &c, stop, NULL, &e), -1);
	assert_int_equal(e.code, ERR_INTERRUPTED);
	c.lower = -1;
	assert_int_equal(vfs_upper_walk(upper, lower_stat, &c, note, &c, &e), -1);
	assert_int_equal(e.sys, EBADF);
}

static void test_closed_directory_is_an_error_and_stays_closed(void **state)
{
	struct counted c = { .lower = lower, .text = BUF_INIT(1 << 20) };
	struct stat st;
	struct err e;

	(void)state;
	if (geteuid() == 0) {
		print_message("root reads every directory\n");
		skip();
	}
	dir(upper, "x");
	dir(upper, "x/closed");
	assert_int_equal(fchmodat(upper, "x/closed", 0, 0), 0);
	assert_int_equal(vfs_upper_walk(upper, lower_stat, &c, note, &c, &e), -1);
	assert_int_equal(e.code, ERR_DENIED);
	assert_non_null(strstr(e.msg, "/x/closed"));
	assert_int_equal(fstatat(upper, "x/closed", &st, 0), 0);
	assert_int_equal(st.st_mode & 0777, 0);
	buf_fini(&c.text);
}

/* A chain of `levels` directories named "d", and a file beside the chain at each level. */
static void chain(int levels)
{
	int at = dup(upper);

	for (int i = 0; i < levels; i++) {
		int next;

		assert_int_equal(mkdirat(at, "d", 0755), 0);
		assert_int_equal(mknodat(at, "e", S_IFREG | 0644, 0), 0);
		next = openat(at, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		fd_close(at);
		at = next;
	}
	fd_close(at);
}

static int count(void *arg, const struct vfs_change *c, struct err *e)
{
	(void)c;
	(void)e;
	++*(size_t *)arg;
	return 0;
}

static void walk_chain(int levels, struct err *e, int expected, size_t changes)
{
	struct counted c = { .lower = lower };
	struct rlimit was, few;
	size_t seen = 0;
	int rc;

	chain(levels);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	few = was;
	few.rlim_cur = 80;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	rc = vfs_upper_walk(upper, lower_stat, &c, count, &seen, e);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	assert_int_equal(rc, expected);
	if (expected == 0)
		assert_int_equal(seen, changes);
}

static void test_deep_trees_need_few_descriptors(void **state)
{
	struct err e = { .msg = "" };

	(void)state;
	walk_chain(3000, &e, 0, 6000);
}

static void test_depth_has_a_limit(void **state)
{
	struct err e = { .msg = "" };

	(void)state;
	walk_chain(4100, &e, -1, 0);
	assert_int_equal(e.code, ERR_LIMIT);
}

/* ---- by the kernel ---------------------------------------------------------------------- */

static int write_map(const char *path, const char *text)
{
	struct err e;
	auto_fd int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd < 0 ? -1 : fd_write_all(fd, text, strlen(text), &e);
}

static int mount_overlay(void)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	char map[64];

	if (unshare(uid ? CLONE_NEWUSER | CLONE_NEWNS : CLONE_NEWNS) < 0)
		return -1;
	if (uid) {
		(void)snprintf(map, sizeof(map), "%u %u 1", (unsigned)uid, (unsigned)uid);
		if (write_map("/proc/self/uid_map", map) < 0 || write_map("/proc/self/setgroups", "deny") < 0)
			return -1;
		(void)snprintf(map, sizeof(map), "%u %u 1", (unsigned)gid, (unsigned)gid);
		if (write_map("/proc/self/gid_map", map) < 0)
			return -1;
	}
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -1;
	return mount("overlay", "merged", "overlay", 0,
		     "lowerdir=lower/x,upperdir=upper/x,workdir=work,userxattr");
}

/* Runs a shell script in the merged view of lower/x and upper/x. */
static void in_overlay(const char *script)
{
	pid_t pid;
	int status;

	dir(upper, "x");
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (mount_overlay() < 0)
			_exit(77);
		if (chdir("merged") < 0)
			_exit(78);
		execl("/bin/sh", "sh", "-ec", script, (char *)NULL);
		_exit(79);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
		print_message("no overlay with userxattr for this user here\n");
		skip();
	}
	assert_int_equal(status, 0);
}

static void make_kernel_lower(void)
{
	dir(lower, "x");
	dir(lower, "x/a");
	file(lower, "x/a/one", "one");
	file(lower, "x/a/two", "two");
	dir(lower, "x/a/sub");
	file(lower, "x/a/sub/deep", "deep");
	dir(lower, "x/b");
	file(lower, "x/b/three", "three");
	assert_int_equal(symlinkat("one", lower, "x/a/link"), 0);
}

static void test_kernel_writes_and_deletions(void **state)
{
	(void)state;
	make_kernel_lower();
	in_overlay("echo more >>a/one; rm a/two; echo new >a/new; mkdir a/dir; ln -sfn two a/link;"
		   "chmod 600 a/sub/deep; rm -r b; touch -d @1000.000000005 a/new");
	expect_by_kernel(
		"A /x/a/dir\nM /x/a/link\nA /x/a/new\nM /x/a/one\nm /x/a/sub/deep\nD /x/a/two\nD /x/b\n");
}

static void test_kernel_replaces_a_directory(void **state)
{
	(void)state;
	make_kernel_lower();
	in_overlay("rm -r a; mkdir a; echo one >a/one; mkdir a/sub; echo x >a/sub/other");
	expect_by_kernel("D /x/a/link\nM /x/a/one\nD /x/a/sub/deep\nA /x/a/sub/other\nD /x/a/two\n");
}

static void test_kernel_copy_ups_without_a_change(void **state)
{
	(void)state;
	make_kernel_lower();
	in_overlay("exec 3<>a/sub/deep; exec 3>&-; chmod 644 b/three; chmod 700 b; chmod 755 b");
	expect_by_kernel("");
}

static void test_kernel_renames(void **state)
{
	(void)state;
	make_kernel_lower();
	in_overlay("mv a/one a/uno; mkdir c; touch c/f; mv c d; mv b/three a/two; ln a/two a/twin");
	expect_by_kernel("D /x/a/one\nA /x/a/twin\nM /x/a/two\nA /x/a/uno\nD /x/b/three\nA /x/d\nA /x/d/f\n");
}

int main(void)
{
#define ON_ROOT(f) cmocka_unit_test_setup_teardown(f, make_root, remove_root)
	const struct CMUnitTest tests[] = {
		ON_ROOT(test_nothing_written_is_nothing),
		ON_ROOT(test_added_modified_deleted),
		ON_ROOT(test_copy_ups_without_a_change),
		ON_ROOT(test_attributes_of_equal_files),
		ON_ROOT(test_without_a_descriptor_equal_sizes_are_modified),
		ON_ROOT(test_types_that_change),
		ON_ROOT(test_opaque_directories),
		ON_ROOT(test_whiteout_by_attribute),
		ON_ROOT(test_renamed_directories),
		ON_ROOT(test_renamed_at_the_top),
		ON_ROOT(test_lazy_files),
		ON_ROOT(test_devices_and_chosen_owners),
		ON_ROOT(test_top_level_says_little),
		ON_ROOT(test_names_are_bytes),
		ON_ROOT(test_the_lower_is_not_asked_below_what_is_new),
		ON_ROOT(test_errors_end_the_walk),
		ON_ROOT(test_closed_directory_is_an_error_and_stays_closed),
		ON_ROOT(test_deep_trees_need_few_descriptors),
		ON_ROOT(test_depth_has_a_limit),
		ON_ROOT(test_kernel_writes_and_deletions),
		ON_ROOT(test_kernel_replaces_a_directory),
		ON_ROOT(test_kernel_copy_ups_without_a_change),
		ON_ROOT(test_kernel_renames),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
