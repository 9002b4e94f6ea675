/* SPDX-License-Identifier: Apache-2.0 */
/* Directory trees as layers: what is found, what is refused, and that no step leaves the tree. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/unit/cmocka_all.h"

#include "base/fd.h"
#include "base/path.h"
#include "vfs/cow_layer.h"

enum { NOBODY = 65534 };

struct fixture {
	char dir[64];
	int fd; /* its top, the test's own */
	struct cow_layer *host, *frozen;
	struct cow_handle top, frozen_top;
};

static void write_at(int dir, const char *name, const char *text)
{
	auto_fd int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	struct err e;

	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, text, strlen(text), &e), 0);
}

static void put_attr(const struct fixture *f, const char *name, const char *attr, const char *value)
{
	char path[512];

	(void)snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	if (lsetxattr(path, attr, value, strlen(value), 0) < 0) {
		if (errno == ENOTSUP)
			skip();
		fail_msg("%s on %s: %s", attr, name, strerror(errno));
	}
}

static struct cow_layer *open_layer(const struct fixture *f, bool frozen)
{
	int fd = open(f->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct cow_layer *l = NULL;
	struct err e;

	assert_true(fd >= 0);
	if (cow_layer_dir_open(fd, frozen, frozen ? "frozen:7" : "host", &l, &e) < 0)
		fail_msg("%s", e.msg);
	return l;
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	(void)strcpy(f->dir, "cow-layer-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	assert_int_equal(chmod(f->dir, 0755), 0);
	f->fd = open(f->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(f->fd >= 0);
	f->host = open_layer(f, false);
	f->frozen = open_layer(f, true);
	assert_int_equal(f->host->ops->open_root(f->host, &f->top), 0);
	assert_int_equal(f->frozen->ops->open_root(f->frozen, &f->frozen_top), 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	struct err e;

	cow_handle_close(&f->top);
	cow_handle_close(&f->top); /* does no harm */
	cow_handle_close(&f->frozen_top);
	cow_layer_close(f->host);
	cow_layer_close(f->frozen);
	cow_layer_close(NULL);
	fd_close(f->fd);
	assert_int_equal(path_remove_tree(AT_FDCWD, f->dir, &e), 0);
	free(f);
	return 0;
}

/* ---- shorthands: on the host's layer, from the top -------------------------------------------- */

static int look(struct fixture *f, const char *name, struct cow_found *ret)
{
	return f->host->ops->lookup(f->host, &f->top, name, ret, NULL);
}

static int enter(struct fixture *f, const char *name, struct cow_handle *ret)
{
	return f->host->ops->open_dir(f->host, &f->top, name, ret);
}

static int open_file(struct fixture *f, const char *name, const struct stat *st, struct cow_handle *ret)
{
	return f->host->ops->open_file(f->host, &f->top, name, st->st_dev, st->st_ino, ret);
}

static void expect_content(struct fixture *f, const struct cow_handle *h, const char *want)
{
	char got[64] = "";
	size_t n = 0;

	assert_int_equal(f->host->ops->read(f->host, h, 0, sizeof(got) - 1, got, &n, NULL, NULL), 0);
	assert_int_equal(n, strlen(want));
	assert_string_equal(got, want);
}

struct listed {
	size_t count, stop_at; /* 0 = never */
	uint64_t dev, ino;     /* of `wanted` */
	unsigned char type;
	const char *wanted;
	bool is_found;
};

static bool note(void *arg, const char *name, uint64_t dev, uint64_t ino, unsigned char type)
{
	struct listed *l = arg;

	assert_string_not_equal(name, ".");
	assert_string_not_equal(name, "..");
	l->count++;
	if (l->wanted && !strcmp(name, l->wanted)) {
		assert_false(l->is_found);
		l->is_found = true;
		l->dev = dev;
		l->ino = ino;
		l->type = type;
	}
	return l->count != l->stop_at;
}

/* ---- what is found ------------------------------------------------------------------------------ */

static void objects_are_found_as_they_are(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *name;
		mode_t mode;
		unsigned char type;
	} want[] = {
		{ "file", S_IFREG | 04755, DT_REG },  { "dir", S_IFDIR | 01777, DT_DIR },
		{ "link", S_IFLNK | 0777, DT_LNK },   { "fifo", S_IFIFO | 0600, DT_FIFO },
		{ "sock", S_IFSOCK | 0600, DT_SOCK },
	};

	write_at(f->fd, "file", "text");
	assert_int_equal(fchmodat(f->fd, "file", 04755, 0), 0);
	assert_int_equal(mkdirat(f->fd, "dir", 0700), 0);
	assert_int_equal(fchmodat(f->fd, "dir", 01777, 0), 0);
	assert_int_equal(symlinkat("/nowhere", f->fd, "link"), 0);
	assert_int_equal(mknodat(f->fd, "fifo", S_IFIFO | 0600, 0), 0);
	assert_int_equal(mknodat(f->fd, "sock", S_IFSOCK | 0600, 0), 0);
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		struct listed l = { .wanted = want[i].name };
		struct cow_found found;
		struct stat st;

		assert_int_equal(look(f, want[i].name, &found), 0);
		assert_int_equal(fstatat(f->fd, want[i].name, &st, AT_SYMLINK_NOFOLLOW), 0);
		assert_int_equal(found.st.st_mode, want[i].mode);
		assert_int_equal(found.st.st_ino, st.st_ino);
		assert_int_equal(found.st.st_dev, st.st_dev);
		assert_int_equal(found.st.st_size, st.st_size);
		assert_int_equal(found.st.st_blocks, st.st_blocks);
		assert_int_equal(found.st.st_nlink, st.st_nlink);
		assert_int_equal(found.st.st_uid, st.st_uid);
		assert_memory_equal(&found.st.st_mtim, &st.st_mtim, sizeof(st.st_mtim));
		assert_memory_equal(&found.st.st_ctim, &st.st_ctim, sizeof(st.st_ctim));
		assert_false(found.is_empty);
		assert_false(found.is_whiteout);
		assert_int_equal(f->host->ops->list(f->host, &f->top, note, &l), 0);
		assert_int_equal(l.count, ARRAY_LEN(want));
		assert_true(l.is_found);
		assert_int_equal(l.type, want[i].type);
		assert_int_equal(l.ino, st.st_ino);
		assert_int_equal(l.dev, st.st_dev);
	}
}

static void names_that_are_none_are_refused(void **state)
{
	struct fixture *f = *state;
	char longest[NAME_MAX + 1], longer[NAME_MAX + 2];
	struct cow_handle h = COW_HANDLE_NONE;
	struct cow_found found;

	memset(longest, 'n', NAME_MAX);
	longest[NAME_MAX] = 0;
	memset(longer, 'n', NAME_MAX + 1);
	longer[NAME_MAX + 1] = 0;
	write_at(f->fd, longest, "long");
	assert_int_equal(look(f, longest, &found), 0);
	assert_int_equal(open_file(f, longest, &found.st, &h), 0);
	expect_content(f, &h, "long");
	cow_handle_close(&h);
	assert_int_equal(look(f, longer, &found), ENAMETOOLONG);
	assert_int_equal(look(f, "absent", &found), ENOENT);
	assert_int_equal(look(f, "..", &found), EINVAL);
	assert_int_equal(look(f, ".", &found), EINVAL);
	assert_int_equal(look(f, "", &found), EINVAL);
	assert_int_equal(look(f, "a/b", &found), EINVAL);
	assert_int_equal(enter(f, "..", &h), EINVAL);
	assert_int_equal(enter(f, "/etc", &h), EINVAL);
	assert_int_equal(enter(f, "absent", &h), ENOENT);
	assert_int_equal(enter(f, longest, &h), ENOTDIR);
	assert_int_equal(h.fd, -1);
}

static void content_is_read_from_anywhere(void **state)
{
	struct fixture *f = *state;
	enum { SIZE = 300000 };
	auto_free char *data = malloc(SIZE + 1), *got = malloc(SIZE);
	struct cow_handle h = COW_HANDLE_NONE;
	struct cow_found found;
	size_t n;

	for (size_t i = 0; i < SIZE; i++)
		data[i] = (char)('a' + i % 23);
	data[SIZE] = 0;
	write_at(f->fd, "file", data);
	assert_int_equal(look(f, "file", &found), 0);
	assert_int_equal(open_file(f, "file", &found.st, &h), 0);
	assert_int_equal(f->host->ops->read(f->host, &h, 1000, SIZE, got, &n, NULL, NULL), 0);
	assert_int_equal(n, SIZE - 1000);
	assert_memory_equal(got, data + 1000, n);
	assert_int_equal(f->host->ops->read(f->host, &h, SIZE, 10, got, &n, NULL, NULL), 0);
	assert_int_equal(n, 0);
	assert_int_equal(f->host->ops->read(f->host, &h, UINT64_MAX - 5, 10, got, &n, NULL, NULL), EINVAL);
	assert_int_equal(f->host->ops->stat(f->host, &h, &found), 0);
	assert_int_equal(found.st.st_size, SIZE);
	/* It goes on being that file. */
	assert_int_equal(unlinkat(f->fd, "file", 0), 0);
	assert_int_equal(f->host->ops->read(f->host, &h, 0, 5, got, &n, NULL, NULL), 0);
	assert_memory_equal(got, data, 5);
	cow_handle_close(&h);
	assert_int_equal(open_file(f, "file", &found.st, &h), ESTALE);
}

/* A server that dies in the middle of a copy has not changed what it copies from. */
static void reading_changes_no_time(void **state)
{
	static const struct timespec old[2] = { { .tv_sec = 1000 }, { .tv_sec = 2000 } };
	struct fixture *f = *state;
	struct cow_handle h = COW_HANDLE_NONE;
	struct cow_found found;
	struct stat st;

	write_at(f->fd, "file", "content");
	assert_int_equal(utimensat(f->fd, "file", old, 0), 0);
	assert_int_equal(look(f, "file", &found), 0);
	assert_int_equal(open_file(f, "file", &found.st, &h), 0);
	expect_content(f, &h, "content");
	cow_handle_close(&h);
	assert_int_equal(fstatat(f->fd, "file", &st, 0), 0);
	assert_int_equal(st.st_atim.tv_sec, 1000);
	assert_int_equal(st.st_mtim.tv_sec, 2000);
}

static void what_is_held_is_read_when_its_name_is_anothers(void **state)
{
	struct fixture *f = *state;
	struct cow_handle held = COW_HANDLE_NONE, none = COW_HANDLE_NONE, h = COW_HANDLE_NONE;
	struct cow_found found;

	write_at(f->fd, "file", "old");
	write_at(f->fd, "other", "new");
	assert_int_equal(symlinkat("file", f->fd, "link"), 0);
	assert_int_equal(mkdirat(f->fd, "dir", 0700), 0);
	assert_int_equal(f->host->ops->lookup(f->host, &f->top, "file", &found, &held), 0);
	assert_int_equal(found.st.st_size, 3);
	assert_true(held.fd >= 0);
	assert_int_equal(renameat(f->fd, "other", f->fd, "file"), 0);
	assert_int_equal(f->host->ops->open_held(&held, &h), 0);
	expect_content(f, &h, "old");
	cow_handle_close(&h);
	cow_handle_close(&held);
	/* Only files are read, and frozen uppers never change. */
	assert_int_equal(f->host->ops->lookup(f->host, &f->top, "link", &found, &none), 0);
	assert_true(S_ISLNK(found.st.st_mode));
	assert_int_equal(f->host->ops->lookup(f->host, &f->top, "dir", &found, &none), 0);
	assert_int_equal(f->host->ops->lookup(f->host, &f->top, "nothing", &found, &none), ENOENT);
	assert_int_equal(f->frozen->ops->lookup(f->frozen, &f->frozen_top, "file", &found, &none), 0);
	assert_int_equal(none.fd, -1);
}

static void symbolic_links_are_read(void **state)
{
	struct fixture *f = *state;
	char buf[16];
	size_t n = 0;

	assert_int_equal(symlinkat("/some/target", f->fd, "link"), 0);
	write_at(f->fd, "file", "");
	assert_int_equal(f->host->ops->readlink(f->host, &f->top, "link", buf, sizeof(buf), &n), 0);
	assert_int_equal(n, 12);
	assert_memory_equal(buf, "/some/target", 12);
	assert_int_equal(f->host->ops->readlink(f->host, &f->top, "link", buf, 5, &n), ERANGE);
	assert_int_equal(f->host->ops->readlink(f->host, &f->top, "file", buf, sizeof(buf), &n), EINVAL);
	assert_int_equal(f->host->ops->readlink(f->host, &f->top, "none", buf, sizeof(buf), &n), ENOENT);
}

static void listings_are_whole_and_end_early(void **state)
{
	struct fixture *f = *state;
	struct listed all = { .wanted = "n2500" }, some = { .stop_at = 7 };
	struct cow_handle h = COW_HANDLE_NONE;
	auto_fd int dir = -1;
	char name[16];

	assert_int_equal(mkdirat(f->fd, "dir", 0755), 0);
	dir = openat(f->fd, "dir", O_PATH | O_CLOEXEC);
	for (int i = 0; i < 5000; i++) {
		(void)snprintf(name, sizeof(name), "n%d", i);
		assert_int_equal(mknodat(dir, name, S_IFREG | 0600, 0), 0);
	}
	assert_int_equal(enter(f, "dir", &h), 0);
	for (int round = 0; round < 2; round++) { /* there is no position that one would leave behind */
		all = (struct listed){ .wanted = "n2500" };
		assert_int_equal(f->host->ops->list(f->host, &h, note, &all), 0);
		assert_int_equal(all.count, 5000);
		assert_true(all.is_found);
	}
	assert_int_equal(f->host->ops->list(f->host, &h, note, &some), 0);
	assert_int_equal(some.count, 7);
	/* A directory that the host has removed is an empty one. */
	assert_int_equal(mkdirat(f->fd, "gone", 0755), 0);
	cow_handle_close(&h);
	assert_int_equal(enter(f, "gone", &h), 0);
	assert_int_equal(unlinkat(f->fd, "gone", AT_REMOVEDIR), 0);
	some = (struct listed){ 0 };
	assert_int_equal(f->host->ops->list(f->host, &h, note, &some), 0);
	assert_int_equal(some.count, 0);
	cow_handle_close(&h);
}

static void depth_does_not_matter(void **state)
{
	enum { DEPTH = 2000 };
	struct fixture *f = *state;
	struct cow_handle h = COW_HANDLE_NONE, below = COW_HANDLE_NONE;
	auto_fd int at = openat(f->fd, ".", O_PATH | O_CLOEXEC);
	struct cow_found found;
	size_t len;

	for (int i = 0; i < DEPTH; i++) {
		int fd;

		assert_int_equal(mkdirat(at, "level", 0755), 0);
		fd = openat(at, "level", O_PATH | O_CLOEXEC);
		fd_close(at);
		at = fd;
	}
	write_at(at, "bottom", "deep");
	assert_int_equal(f->host->ops->open_root(f->host, &h), 0);
	for (int i = 0; i < DEPTH; i++) {
		assert_int_equal(f->host->ops->open_dir(f->host, &h, "level", &below), 0);
		cow_handle_close(&h);
		h = below;
	}
	assert_int_equal(f->host->ops->lookup(f->host, &h, "bottom", &found, NULL), 0);
	assert_int_equal(f->host->ops->listxattr(f->host, &h, "bottom", NULL, 0, &len), 0);
	assert_int_equal(
		f->host->ops->open_file(f->host, &h, "bottom", found.st.st_dev, found.st.st_ino, &below), 0);
	expect_content(f, &below, "deep");
	cow_handle_close(&below);
	cow_handle_close(&h);
}

/* ---- what is refused ---------------------------------------------------------------------------- */

static void a_link_put_in_place_is_not_followed(void **state)
{
	struct fixture *f = *state;
	struct cow_handle dir = COW_HANDLE_NONE, h = COW_HANDLE_NONE;
	struct cow_found found, inner;

	assert_int_equal(mkdirat(f->fd, "dir", 0755), 0);
	write_at(f->fd, "dir/file", "inside");
	write_at(f->fd, "file", "first");
	assert_int_equal(look(f, "dir", &found), 0);
	assert_int_equal(enter(f, "dir", &dir), 0);
	assert_int_equal(f->host->ops->lookup(f->host, &dir, "file", &inner, NULL), 0);
	assert_int_equal(f->host->ops->open_lost(f->host, "dir/file", inner.st.st_dev, inner.st.st_ino, &h),
			 0);
	cow_handle_close(&h);
	assert_int_equal(renameat(f->fd, "dir", f->fd, "moved"), 0);
	assert_int_equal(symlinkat("moved", f->fd, "dir"), 0);
	assert_int_equal(enter(f, "dir", &h), ENOTDIR);
	assert_int_equal(f->host->ops->open_lost(f->host, "dir/file", inner.st.st_dev, inner.st.st_ino, &h),
			 ESTALE);
	assert_int_equal(
		f->host->ops->open_lost(f->host, "moved/../moved/file", inner.st.st_dev, inner.st.st_ino, &h),
		EINVAL);
	/* What was open is what it was. */
	assert_int_equal(f->host->ops->open_file(f->host, &dir, "file", inner.st.st_dev, inner.st.st_ino, &h),
			 0);
	expect_content(f, &h, "inside");
	cow_handle_close(&h);
	cow_handle_close(&dir);
	assert_int_equal(look(f, "file", &found), 0);
	assert_int_equal(renameat(f->fd, "file", f->fd, "kept"), 0);
	assert_int_equal(symlinkat("kept", f->fd, "file"), 0);
	assert_int_equal(open_file(f, "file", &found.st, &h), ESTALE);
	assert_int_equal(h.fd, -1);
}

static void another_file_is_stale(void **state)
{
	struct fixture *f = *state;
	struct cow_handle h = COW_HANDLE_NONE;
	struct cow_found found;

	write_at(f->fd, "file", "old");
	write_at(f->fd, "other", "new");
	assert_int_equal(look(f, "file", &found), 0);
	assert_int_equal(renameat(f->fd, "other", f->fd, "file"), 0);
	assert_int_equal(open_file(f, "file", &found.st, &h), ESTALE);
	assert_int_equal(f->host->ops->open_lost(f->host, "file", found.st.st_dev, found.st.st_ino, &h),
			 ESTALE);
	/* Not a file: nobody waits for a writer. */
	assert_int_equal(mknodat(f->fd, "fifo", S_IFIFO | 0600, 0), 0);
	assert_int_equal(look(f, "fifo", &found), 0);
	assert_int_equal(open_file(f, "fifo", &found.st, &h), ESTALE);
	assert_int_equal(look(f, "file", &found), 0);
	assert_int_equal(f->host->ops->open_lost(f->host, "/file", found.st.st_dev, found.st.st_ino, &h), 0);
	expect_content(f, &h, "new");
	cow_handle_close(&h);
}

/* The rest of the test as somebody who owns none of the files; their owner, when there is nobody else. */
static struct cow_layer *become_other(const struct fixture *f)
{
	if (geteuid() == 0 && (setegid(NOBODY) < 0 || seteuid(NOBODY) < 0))
		skip();
	return open_layer(f, false);
}

static int become_oneself(void **state)
{
	assert_int_equal(seteuid(getuid()), 0);
	assert_int_equal(setegid(getgid()), 0);
	return tear_down(state);
}

static void what_may_not_be_read_is_empty(void **state)
{
	struct fixture *f = *state;
	struct cow_handle h = COW_HANDLE_NONE;
	struct listed l = { 0 };
	struct cow_found found;
	struct cow_layer *host;
	size_t len = 99;

	write_at(f->fd, "secret", "secret");
	put_attr(f, "secret", "user.secret", "x");
	assert_int_equal(fchmodat(f->fd, "secret", 0, 0), 0);
	write_at(f->fd, "public", "public");
	for (int i = 0; i < 2; i++) {
		static const char *const dirs[] = { "closed", "listable" };
		char path[32];

		assert_int_equal(mkdirat(f->fd, dirs[i], 0755), 0);
		(void)snprintf(path, sizeof(path), "%s/file", dirs[i]);
		write_at(f->fd, path, "x");
		assert_int_equal(fchmodat(f->fd, dirs[i], i ? 0444 : 0, 0), 0);
	}
	host = become_other(f);
	assert_int_equal(host->ops->lookup(host, &f->top, "secret", &found, NULL), 0);
	assert_true(found.is_empty);
	assert_int_equal(found.st.st_size, 0);
	assert_int_equal(found.st.st_blocks, 0);
	assert_int_equal(host->ops->open_file(host, &f->top, "secret", found.st.st_dev, found.st.st_ino, &h),
			 EACCES);
	assert_int_equal(host->ops->getxattr(host, &f->top, "secret", "user.secret", NULL, 0, &len), ENODATA);
	assert_int_equal(host->ops->lookup(host, &f->top, "public", &found, NULL), 0);
	assert_false(found.is_empty);
	assert_int_equal(host->ops->open_file(host, &f->top, "public", found.st.st_dev, found.st.st_ino, &h),
			 0);
	expect_content(f, &h, "public");
	cow_handle_close(&h);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(host->ops->open_dir(host, &f->top, i ? "listable" : "closed", &h), 0);
		assert_int_equal(host->ops->lookup(host, &h, "file", &found, NULL), ENOENT);
		assert_int_equal(host->ops->open_dir(host, &h, "file", &(struct cow_handle)COW_HANDLE_NONE),
				 ENOENT);
		assert_int_equal(host->ops->list(host, &h, note, &l), 0);
		assert_int_equal(l.count, 0);
		cow_handle_close(&h);
	}
	cow_layer_close(host);
}

/* ---- extended attributes ------------------------------------------------------------------------- */

static bool has_name(const char *names, size_t len, const char *name)
{
	for (const char *p = names; p < names + len; p += strlen(p) + 1)
		if (!strcmp(p, name))
			return true;
	return false;
}

static void attributes_are_those_of_the_file(void **state)
{
	struct fixture *f = *state;
	char names[256], value[16];
	size_t len = 0, all;

	write_at(f->fd, "file", "");
	assert_int_equal(mkdirat(f->fd, "dir", 0755), 0);
	assert_int_equal(symlinkat("file", f->fd, "link"), 0);
	put_attr(f, "file", "user.a", "one");
	put_attr(f, "file", "user.overlay.opaque", "y");
	put_attr(f, "dir", "user.of.dir", "two");
	if (geteuid() == 0) {
		put_attr(f, "file", "trusted.t", "t");
		put_attr(f, "link", "trusted.l", "l");
	}
	assert_int_equal(
		f->host->ops->getxattr(f->host, &f->top, "file", "user.a", value, sizeof(value), &len), 0);
	assert_int_equal(len, 3);
	assert_memory_equal(value, "one", 3);
	assert_int_equal(f->host->ops->getxattr(f->host, &f->top, "file", "user.a", value, 2, &len), ERANGE);
	assert_int_equal(f->host->ops->getxattr(f->host, &f->top, "file", "user.a", NULL, 0, &len), 0);
	assert_int_equal(len, 3);
	assert_int_equal(f->host->ops->getxattr(f->host, &f->top, "file", "user.b", NULL, 0, &len), ENODATA);
	assert_int_equal(f->host->ops->getxattr(f->host, &f->top, "none", "user.a", NULL, 0, &len), ENOENT);
	/* Of the link, not of the file. */
	assert_int_equal(f->host->ops->getxattr(f->host, &f->top, "link", "user.a", NULL, 0, &len), ENODATA);
	assert_int_equal(f->host->ops->getxattr(f->host, &f->top, "file", "trusted.t", NULL, 0, &len),
			 ENODATA);
	assert_int_equal(f->host->ops->listxattr(f->host, &f->top, "file", NULL, 0, &all), 0);
	assert_int_equal(all, sizeof("user.a") + sizeof("user.overlay.opaque"));
	assert_int_equal(f->host->ops->listxattr(f->host, &f->top, "file", names, all - 1, &len), ERANGE);
	assert_int_equal(f->host->ops->listxattr(f->host, &f->top, "file", names, all, &len), 0);
	assert_int_equal(len, all);
	assert_true(has_name(names, len, "user.a"));
	assert_true(has_name(names, len, "user.overlay.opaque"));
	assert_int_equal(f->host->ops->listxattr(f->host, &f->top, "link", names, sizeof(names), &len), 0);
	assert_int_equal(len, 0);
	if (geteuid() == 0) {
		assert_int_equal(f->frozen->ops->getxattr(f->frozen, &f->top, "file", "trusted.t", value,
							  sizeof(value), &len),
				 0);
		assert_int_equal(
			f->frozen->ops->listxattr(f->frozen, &f->top, "link", names, sizeof(names), &len), 0);
		assert_true(has_name(names, len, "trusted.l"));
	}
}

static void a_directory_has_attributes_itself(void **state)
{
	struct fixture *f = *state;
	struct cow_handle h = COW_HANDLE_NONE;
	char names[64];
	size_t len;

	assert_int_equal(mkdirat(f->fd, "dir", 0755), 0);
	put_attr(f, "dir", "user.d", "two");
	assert_int_equal(enter(f, "dir", &h), 0);
	assert_int_equal(f->host->ops->getxattr(f->host, &h, "", "user.d", NULL, 0, &len), 0);
	assert_int_equal(len, 3);
	assert_int_equal(f->host->ops->listxattr(f->host, &h, "", names, sizeof(names), &len), 0);
	assert_true(has_name(names, len, "user.d"));
	cow_handle_close(&h);
}

/* More of them than fit into what is tried first. */
static void many_attributes_are_listed(void **state)
{
	struct fixture *f = *state;
	char names[4096], attr[128];
	size_t len = 0;
	int count;

	write_at(f->fd, "file", "");
	for (count = 0; count < 25; count++) {
		char path[128];

		(void)snprintf(attr, sizeof(attr), "user.%0100d", count);
		(void)snprintf(path, sizeof(path), "%s/file", f->dir);
		if (setxattr(path, attr, "", 0, 0) < 0)
			break;
	}
	if (count * 106 <= 1024) /* this file system has no room for it */
		skip();
	assert_int_equal(f->host->ops->listxattr(f->host, &f->top, "file", names, sizeof(names), &len), 0);
	assert_int_equal(len, (size_t)count * 106);
	assert_true(has_name(names, len,
			     "user.0000000000000000000000000000000000000000000000000000000000000"
			     "000000000000000000000000000000000000007"));
}

/* ---- frozen uppers -------------------------------------------------------------------------------- */

static void whiteouts_are_told_in_frozen_uppers(void **state)
{
	struct fixture *f = *state;
	static const char *const names[] = { "device", "attribute", "empty" };

	if (mknodat(f->fd, "device", S_IFCHR | 0600, makedev(0, 0)) < 0)
		skip();
	write_at(f->fd, "attribute", "");
	write_at(f->fd, "empty", "");
	put_attr(f, "attribute", "user.overlay.whiteout", "y");
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct listed l = { .wanted = names[i] }, host = l;
		bool is_whiteout = i < 2;
		struct cow_found found;

		assert_int_equal(f->frozen->ops->lookup(f->frozen, &f->frozen_top, names[i], &found, NULL),
				 0);
		assert_int_equal(found.is_whiteout, is_whiteout);
		assert_int_equal(f->frozen->ops->list(f->frozen, &f->frozen_top, note, &l), 0);
		assert_true(l.is_found);
		assert_int_equal(l.type, is_whiteout ? DT_WHT : DT_REG);
		assert_int_equal(l.ino, found.st.st_ino);
		assert_int_equal(look(f, names[i], &found), 0);
		assert_false(found.is_whiteout);
		assert_int_equal(f->host->ops->list(f->host, &f->top, note, &host), 0);
		assert_int_equal(host.type, i ? DT_REG : DT_CHR);
	}
	assert_string_equal(f->frozen->key, "frozen:7");
	assert_true(f->frozen->is_immutable && f->frozen->is_frozen_upper && !f->frozen->is_streamed);
	assert_string_equal(f->host->key, "host");
	assert_false(f->host->is_immutable || f->host->is_frozen_upper || f->host->is_streamed);
}

/* ---- mounts; last, because they leave the test in a mount namespace of its own --------------------- */

static bool write_proc(const char *path, const char *text)
{
	auto_fd int fd = open(path, O_WRONLY | O_CLOEXEC);
	struct err e;

	return fd >= 0 && fd_write_all(fd, text, strlen(text), &e) == 0;
}

static bool make_own_mounts(void)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	char users[64], groups[64];

	(void)snprintf(users, sizeof(users), "%u %u 1", uid, uid);
	(void)snprintf(groups, sizeof(groups), "%u %u 1", gid, gid);
	if (uid != 0 &&
	    (unshare(CLONE_NEWUSER) < 0 || !write_proc("/proc/self/setgroups", "deny") ||
	     !write_proc("/proc/self/uid_map", users) || !write_proc("/proc/self/gid_map", groups)))
		return false;
	return unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

static bool has_own_mounts(void)
{
	static int answer = -1;

	if (answer < 0)
		answer = make_own_mounts();
	return answer;
}

static void what_is_mounted_belongs_to_the_host(void **state)
{
	struct fixture *f = *state;
	struct cow_handle h = COW_HANDLE_NONE, file = COW_HANDLE_NONE;
	struct listed l = { .wanted = "sub" }, frozen = l;
	struct cow_found found, inner;
	char path[128];

	assert_int_equal(mkdirat(f->fd, "sub", 0755), 0);
	(void)snprintf(path, sizeof(path), "%s/sub", f->dir);
	if (!has_own_mounts() || mount("tmpfs", path, "tmpfs", 0, NULL) < 0)
		skip();
	(void)snprintf(path, sizeof(path), "%s/sub/file", f->dir);
	write_at(AT_FDCWD, path, "mounted");
	/* f->fd and the layers are of the namespace before: a mount shows where it was made. */
	fd_close(f->fd);
	f->fd = open(f->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	cow_handle_close(&f->top);
	cow_handle_close(&f->frozen_top);
	cow_layer_close(f->host);
	cow_layer_close(f->frozen);
	f->host = open_layer(f, false);
	f->frozen = open_layer(f, true);
	assert_int_equal(f->host->ops->open_root(f->host, &f->top), 0);
	assert_int_equal(f->frozen->ops->open_root(f->frozen, &f->frozen_top), 0);

	assert_int_equal(look(f, "sub", &found), 0);
	assert_int_not_equal(found.st.st_dev, f->top.dev);
	assert_int_equal(enter(f, "sub", &h), 0);
	assert_int_equal(h.dev, found.st.st_dev);
	assert_int_equal(h.ino, found.st.st_ino);
	assert_int_equal(f->host->ops->lookup(f->host, &h, "file", &inner, NULL), 0);
	assert_int_equal(
		f->host->ops->open_lost(f->host, "sub/file", inner.st.st_dev, inner.st.st_ino, &file), 0);
	expect_content(f, &file, "mounted");
	assert_int_equal(f->host->ops->list(f->host, &f->top, note, &l), 0);
	assert_int_equal(l.ino, found.st.st_ino);
	assert_int_equal(l.dev, found.st.st_dev);
	cow_handle_close(&file);
	cow_handle_close(&h);

	assert_int_equal(f->frozen->ops->lookup(f->frozen, &f->frozen_top, "sub", &found, NULL), ENOENT);
	assert_int_equal(f->frozen->ops->open_dir(f->frozen, &f->frozen_top, "sub", &h), ENOENT);
	assert_int_equal(f->frozen->ops->list(f->frozen, &f->frozen_top, note, &frozen), 0);
	(void)snprintf(path, sizeof(path), "%s/sub", f->dir);
	assert_int_equal(umount2(path, MNT_DETACH), 0);
}

/* Nobody serves this one: whoever asked it anything would wait for ever. */
static void ones_own_mounts_are_not_asked(void **state)
{
	struct fixture *f = *state;
	auto_fd int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	struct cow_handle h = COW_HANDLE_NONE;
	char path[128], opt[128];
	struct listed l = { .wanted = "own" };
	struct cow_found found;

	assert_int_equal(mkdirat(f->fd, "own", 0755), 0);
	(void)snprintf(path, sizeof(path), "%s/own", f->dir);
	(void)snprintf(opt, sizeof(opt), "fd=%d,rootmode=40000,user_id=%u,group_id=%u", fuse, geteuid(),
		       getegid());
	if (fuse < 0 || !has_own_mounts() || mount("floe", path, "fuse.floe", 0, opt) < 0)
		skip();
	cow_handle_close(&f->top);
	cow_layer_close(f->host);
	f->host = open_layer(f, false);
	assert_int_equal(f->host->ops->open_root(f->host, &f->top), 0);
	(void)alarm(20);
	assert_int_equal(look(f, "own", &found), ENOENT);
	assert_int_equal(enter(f, "own", &h), ENOENT);
	assert_int_equal(open_file(f, "own", &(struct stat){ 0 }, &h), ESTALE);
	assert_int_equal(f->host->ops->open_lost(f->host, "own/file", 1, 1, &h), ESTALE);
	assert_int_equal(f->host->ops->list(f->host, &f->top, note, &l), 0);
	assert_false(l.is_found);
	(void)alarm(0);
	assert_int_equal(umount2(path, MNT_DETACH), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(objects_are_found_as_they_are, set_up, tear_down),
		cmocka_unit_test_setup_teardown(names_that_are_none_are_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(content_is_read_from_anywhere, set_up, tear_down),
		cmocka_unit_test_setup_teardown(reading_changes_no_time, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_held_is_read_when_its_name_is_anothers, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(symbolic_links_are_read, set_up, tear_down),
		cmocka_unit_test_setup_teardown(listings_are_whole_and_end_early, set_up, tear_down),
		cmocka_unit_test_setup_teardown(depth_does_not_matter, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_link_put_in_place_is_not_followed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(another_file_is_stale, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_may_not_be_read_is_empty, set_up, become_oneself),
		cmocka_unit_test_setup_teardown(attributes_are_those_of_the_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_directory_has_attributes_itself, set_up, tear_down),
		cmocka_unit_test_setup_teardown(many_attributes_are_listed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(whiteouts_are_told_in_frozen_uppers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_mounted_belongs_to_the_host, set_up, tear_down),
		cmocka_unit_test_setup_teardown(ones_own_mounts_are_not_asked, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
