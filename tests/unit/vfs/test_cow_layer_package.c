/* SPDX-License-Identifier: Apache-2.0 */
/* Packages as layers: what is in them, where "@home" appears, what a lost network looks like. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/cmocka_all.h"

#include "base/fd.h"
#include "base/path.h"
#include "package-format/writer.h"
#include "streaming/package.h"
#include "tests/net/fault_server.h"
#include "vfs/cow_layer.h"
#include "vfs/package_touches.h"

enum { SIZE = 3000000, MANY = 200 };

static char top[] = "/tmp/floe-cow-package-XXXXXX";
static char *content, *small, *package_path;
static struct pkg_digest root_digest;
static struct buf bytes = BUF_INIT(1 << 28);
static struct stream_package *package;

static uint8_t content_at(uint64_t off)
{
	uint64_t x = (off / 3 + 1) * UINT64_C(0x9E3779B97F4A7C15);

	return (uint8_t)((x ^ x >> 29) >> 32);
}

/* ---- making the package ------------------------------------------------------------------------ */

static void add(struct pkg_writer *w, const struct pkg_writer_entry *entry)
{
	struct err e;

	if (pkg_writer_add(w, entry, &e) < 0)
		fail_msg("%s: %s", entry->path, e.msg);
}

static void add_file(struct pkg_writer *w, const char *path, uint64_t hard_link)
{
	add(w, &(struct pkg_writer_entry){ .path = path,
					   .mode = S_IFREG | 0644,
					   .content_path = small,
					   .size = 5,
					   .hard_link = hard_link });
}

static void fill(struct pkg_writer *w)
{
	const struct pkg_writer_xattr attrs[] = { { "user.a", "one", 3 }, { "user.bb", "", 0 } };
	char name[32];

	add(w,
	    &(struct pkg_writer_entry){ .path = "", .mode = S_IFDIR | 0755, .mtime_s = 1000, .mtime_ns = 7 });
	add(w, &(struct pkg_writer_entry){ .path = "opt/big",
					   .mode = S_IFREG | 04750,
					   .uid = 12,
					   .gid = 34,
					   .mtime_s = -5,
					   .mtime_ns = 999,
					   .content_path = content,
					   .size = SIZE,
					   .xattrs = attrs,
					   .xattr_count = ARRAY_LEN(attrs) });
	add(w, &(struct pkg_writer_entry){ .path = "opt/dir", .mode = S_IFDIR | 0700 });
	add(w, &(struct pkg_writer_entry){ .path = "opt/link", .mode = S_IFLNK | 0777, .symlink = "dir/x" });
	add(w, &(struct pkg_writer_entry){ .path = "opt/gone", .mode = S_IFCHR });
	add(w, &(struct pkg_writer_entry){ .path = "opt/null", .mode = S_IFCHR | 0666, .rdev = 0x103 });
	add_file(w, "opt/one", 1);
	add_file(w, "opt/two", 1);
	add_file(w, "home/shared", 0);
	add_file(w, "home/user/covered", 0);
	add_file(w, "@home/.profile", 0);
	for (int i = 0; i < MANY; i++) {
		(void)snprintf(name, sizeof(name), "many/n%d", i);
		add_file(w, name, 0);
	}
}

static void make_package(void)
{
	struct pkg_manifest m = { .name = (char[]){ "sample" }, .version = (char[]){ "1" } };
	struct pkg_writer_opt opt = { .zstd_level = 1 };
	struct pkg_public_key public_key;
	struct pkg_writer_report report;
	struct pkg_secret_key *key = NULL;
	struct pkg_writer *w = NULL;
	struct err e;

	if (pkg_key_generate(top, "default", &public_key, &e) < 0 ||
	    pkg_key_load(top, "default", &key, &e) < 0 || pkg_writer_open(&opt, &w, &e) < 0)
		fail_msg("%s", e.msg);
	fill(w);
	if (pkg_writer_finish(w, &m, key, package_path, &report, &e) < 0)
		fail_msg("%s", e.msg);
	root_digest = report.root;
	pkg_writer_close(w);
	pkg_key_close(key);
	assert_int_equal(fd_read_file(AT_FDCWD, package_path, &bytes, &e), 0);
}

static int set_up(void **state)
{
	auto_free uint8_t *data = malloc(SIZE);
	struct err e;

	(void)state;
	assert_non_null(mkdtemp(top));
	content = path_join(top, "content", &e);
	small = path_join(top, "small", &e);
	package_path = path_join(top, "sample.floe", &e);
	for (size_t i = 0; i < SIZE; i++)
		data[i] = content_at(i);
	assert_int_equal(fd_write_file(AT_FDCWD, content, data, SIZE, 0644, &e), 0);
	assert_int_equal(fd_write_file(AT_FDCWD, small, "small", 5, 0644, &e), 0);
	make_package();
	if (stream_package_open(package_path, &(struct stream_package_opt){ 0 }, &package, &e) < 0)
		fail_msg("%s", e.msg);
	return 0;
}

static int tear_down(void **state)
{
	struct err e;

	(void)state;
	stream_package_close(package);
	assert_int_equal(path_remove_tree(AT_FDCWD, top, &e), 0);
	buf_fini(&bytes);
	free(content);
	free(small);
	free(package_path);
	return 0;
}

/* ---- shorthands ------------------------------------------------------------------------------- */

static struct cow_layer *open_layer(struct stream_package *p, const char *home)
{
	struct cow_layer *l = NULL;
	struct err e;

	if (cow_layer_package_open(p, home, &l, &e) < 0)
		fail_msg("%s", e.msg);
	return l;
}

/* "" = the root. */
static int walk(struct cow_layer *l, const char *path, struct cow_handle *ret)
{
	char copy[256], *rest, *name;
	int sys = l->ops->open_root(l, ret);

	(void)snprintf(copy, sizeof(copy), "%s", path);
	for (name = strtok_r(copy, "/", &rest); name && !sys; name = strtok_r(NULL, "/", &rest)) {
		struct cow_handle above = *ret;

		sys = l->ops->open_dir(l, &above, name, ret);
	}
	return sys;
}

static int look(struct cow_layer *l, const char *dir, const char *name, struct cow_found *ret)
{
	struct cow_handle h = COW_HANDLE_NONE;

	assert_int_equal(walk(l, dir, &h), 0);
	return l->ops->lookup(l, &h, name, ret, NULL);
}

struct listed {
	char names[16384]; /* " name:type" of each */
	size_t count, stop_at;
	struct cow_layer *l;
	struct cow_handle dir;
};

/* What is listed is what is found. */
static bool note(void *arg, const char *name, uint64_t dev, uint64_t ino, unsigned char type)
{
	struct listed *l = arg;
	struct cow_found found;
	size_t len = strlen(l->names);

	assert_int_equal(l->l->ops->lookup(l->l, &l->dir, name, &found, NULL), 0);
	assert_int_equal(found.st.st_ino, ino);
	assert_int_equal(found.st.st_dev, dev);
	assert_int_equal(type, found.is_whiteout ? DT_WHT : IFTODT(found.st.st_mode));
	(void)snprintf(l->names + len, sizeof(l->names) - len, " %s:%u", name, type);
	return ++l->count != l->stop_at;
}

static void list(struct cow_layer *l, const char *dir, struct listed *ret)
{
	*ret = (struct listed){ .l = l, .stop_at = ret->stop_at };
	assert_int_equal(walk(l, dir, &ret->dir), 0);
	assert_int_equal(l->ops->list(l, &ret->dir, note, ret), 0);
}

/* So many names, these (ending with NULL) among them. */
static void expect_names(struct cow_layer *l, const char *dir, size_t count, const char *const *want)
{
	struct listed got = { 0 };

	list(l, dir, &got);
	assert_int_equal(got.count, count);
	for (; *want; want++)
		if (!strstr(got.names, *want))
			fail_msg("%s not in%s", *want, got.names);
}

/* ---- tests ------------------------------------------------------------------------------------ */

static void objects_are_as_the_package_says(void **state)
{
	struct cow_layer *l = open_layer(package, NULL);
	struct cow_handle h = COW_HANDLE_NONE;
	char key[128], target[16];
	struct cow_found found, other;
	size_t n = 0;

	(void)state;
	(void)strcpy(key, "package:");
	pkg_digest_hex(&root_digest, key + strlen(key));
	assert_string_equal(l->key, key);
	assert_true(l->is_immutable && l->is_streamed && !l->is_frozen_upper);
	assert_int_equal(look(l, "opt", "big", &found), 0);
	assert_int_equal(found.st.st_mode, S_IFREG | 04750);
	assert_int_equal(found.st.st_uid, 12);
	assert_int_equal(found.st.st_gid, 34);
	assert_int_equal(found.st.st_size, SIZE);
	assert_int_equal(found.st.st_blocks, (SIZE + 511) / 512);
	assert_int_equal(found.st.st_nlink, 1);
	assert_int_equal(found.st.st_mtim.tv_sec, -5);
	assert_int_equal(found.st.st_mtim.tv_nsec, 999);
	assert_int_equal(look(l, "opt", "one", &found), 0);
	assert_int_equal(look(l, "opt", "two", &other), 0);
	assert_int_equal(found.st.st_nlink, 2);
	assert_int_equal(found.st.st_ino, other.st.st_ino);
	assert_int_equal(look(l, "opt", "gone", &found), 0);
	assert_true(found.is_whiteout);
	assert_int_equal(look(l, "opt", "null", &found), 0);
	assert_false(found.is_whiteout);
	assert_int_equal(found.st.st_rdev, 0x103);
	assert_int_equal(look(l, "opt", "none", &found), ENOENT);
	assert_int_equal(walk(l, "opt/none", &h), ENOENT);
	assert_int_equal(walk(l, "opt/one", &h), ENOTDIR);
	assert_int_equal(walk(l, "opt/gone", &h), ENOTDIR);
	assert_int_equal(walk(l, "opt", &h), 0);
	assert_int_equal(l->ops->readlink(l, &h, "link", target, sizeof(target), &n), 0);
	assert_int_equal(n, 5);
	assert_memory_equal(target, "dir/x", 5);
	assert_int_equal(l->ops->readlink(l, &h, "link", target, 5, &n), ERANGE);
	assert_int_equal(l->ops->readlink(l, &h, "big", target, sizeof(target), &n), EINVAL);
	assert_int_equal(l->ops->stat(l, &h, &found), 0);
	assert_int_equal(found.st.st_ino, h.ino);
	assert_true(S_ISDIR(found.st.st_mode));
	expect_names(l, "opt", 7,
		     (const char *const[]){ " big:8", " dir:4", " link:10", " gone:14", " null:2", " one:8",
					    " two:8", NULL });
	expect_names(l, "opt/dir", 0, (const char *const[]){ NULL });
	cow_layer_close(l);
}

static void names_have_their_limits(void **state)
{
	struct cow_layer *l = open_layer(package, NULL);
	char name[PKG_NAME_MAX + 2];
	struct listed got = { 0 }, some = { .stop_at = 70 };
	struct cow_found found;

	(void)state;
	memset(name, 'n', sizeof(name));
	name[PKG_NAME_MAX + 1] = 0;
	assert_int_equal(look(l, "", name, &found), ENAMETOOLONG);
	name[PKG_NAME_MAX] = 0;
	assert_int_equal(look(l, "", name, &found), ENOENT);
	list(l, "many", &got);
	assert_int_equal(got.count, MANY);
	list(l, "many", &some);
	assert_int_equal(some.count, 70);
	cow_layer_close(l);
}

static void content_is_read_and_known_again(void **state)
{
	struct cow_layer *l = open_layer(package, NULL);
	struct cow_handle dir = COW_HANDLE_NONE, h = COW_HANDLE_NONE, lost = COW_HANDLE_NONE;
	auto_free uint8_t *got = malloc(SIZE);
	struct cow_found found;
	size_t n = 0;

	(void)state;
	assert_int_equal(look(l, "opt", "big", &found), 0);
	assert_int_equal(walk(l, "opt", &dir), 0);
	assert_int_equal(l->ops->open_file(l, &dir, "big", 0, found.st.st_ino, &h), 0);
	assert_int_equal(l->ops->read(l, &h, 12345, SIZE, got, &n, NULL, NULL), 0);
	assert_int_equal(n, SIZE - 12345);
	for (size_t i = 0; i < n; i++)
		if (got[i] != content_at(12345 + i))
			fail_msg("differs at %zu", i);
	assert_int_equal(l->ops->read(l, &h, SIZE + 1, 10, got, &n, NULL, NULL), 0);
	assert_int_equal(n, 0);
	assert_int_equal(l->ops->read(l, &dir, 0, 10, got, &n, NULL, NULL), EISDIR);
	assert_int_equal(l->ops->open_lost(l, "what/ever", 0, found.st.st_ino, &lost), 0);
	assert_int_equal(lost.ino, h.ino);
	assert_int_equal(l->ops->open_lost(l, "opt/big", 0, 1 << 20, &lost), ESTALE);
	assert_int_equal(l->ops->open_lost(l, "opt", 0, dir.ino, &lost), ESTALE);
	assert_int_equal(l->ops->open_lost(l, "opt/big", 0, UINT64_C(1) << 63, &lost), ESTALE);
	assert_int_equal(l->ops->open_file(l, &dir, "big", 0, found.st.st_ino + 1, &lost), ESTALE);
	assert_int_equal(l->ops->open_file(l, &dir, "big", 1, found.st.st_ino, &lost), ESTALE);
	assert_int_equal(l->ops->open_file(l, &dir, "none", 0, found.st.st_ino, &lost), ESTALE);
	assert_int_equal(l->ops->open_file(l, &dir, "dir", 0, found.st.st_ino, &lost), ESTALE);
	cow_handle_close(&h);
	cow_layer_close(l);
}

static void reads_are_recorded(void **state)
{
	struct cow_layer *l = open_layer(package, NULL);
	struct cow_handle dir = COW_HANDLE_NONE, h = COW_HANDLE_NONE;
	auto_free struct pkg_touch *touches = NULL;
	struct package_touches *record;
	struct cow_found found;
	uint8_t got[100];
	size_t n = 0, count;
	struct err e;

	(void)state;
	assert_int_equal(package_touches_open(&record, &e), 0);
	cow_layer_package_record(l, record);
	assert_int_equal(look(l, "opt", "big", &found), 0);
	assert_int_equal(walk(l, "opt", &dir), 0);
	assert_int_equal(l->ops->open_file(l, &dir, "big", 0, found.st.st_ino, &h), 0);
	assert_int_equal(package_touches_noted(record), 0);
	assert_int_equal(l->ops->read(l, &h, 50, sizeof(got), got, &n, NULL, NULL), 0);
	assert_int_equal(l->ops->read(l, &h, SIZE - 1, sizeof(got), got, &n, NULL, NULL), 0);
	assert_int_equal(n, 1);
	assert_int_equal(package_touches_noted(record), 2);
	assert_int_equal(package_touches_copy(record, &touches, &count, &e), 0);
	assert_int_equal(count, 2);
	assert_int_equal(touches[0].ino, found.st.st_ino);
	assert_int_equal(touches[0].off, 50);
	assert_int_equal(touches[0].len, sizeof(got));
	assert_int_equal(touches[1].off, SIZE - 1);
	assert_int_equal(touches[1].len, 1);
	cow_handle_close(&h);
	cow_layer_close(l);
	package_touches_close(record);
}

static void attributes_are_told(void **state)
{
	struct cow_layer *l = open_layer(package, NULL);
	struct cow_handle dir = COW_HANDLE_NONE;
	char value[64];
	size_t len = 99;

	(void)state;
	assert_int_equal(walk(l, "opt", &dir), 0);
	assert_int_equal(l->ops->getxattr(l, &dir, "big", "user.a", NULL, 0, &len), 0);
	assert_int_equal(len, 3);
	assert_int_equal(l->ops->getxattr(l, &dir, "big", "user.a", value, 2, &len), ERANGE);
	assert_int_equal(l->ops->getxattr(l, &dir, "big", "user.a", value, 3, &len), 0);
	assert_memory_equal(value, "one", 3);
	assert_int_equal(l->ops->getxattr(l, &dir, "big", "user.bb", value, 3, &len), 0);
	assert_int_equal(len, 0);
	assert_int_equal(l->ops->getxattr(l, &dir, "big", "user.none", value, 3, &len), ENODATA);
	assert_int_equal(l->ops->getxattr(l, &dir, "none", "user.a", value, 3, &len), ENOENT);
	assert_int_equal(l->ops->getxattr(l, &dir, "", "user.a", value, 3, &len), ENODATA);
	assert_int_equal(l->ops->listxattr(l, &dir, "big", NULL, 0, &len), 0);
	assert_int_equal(len, 15);
	assert_int_equal(l->ops->listxattr(l, &dir, "big", value, 14, &len), ERANGE);
	assert_int_equal(l->ops->listxattr(l, &dir, "big", value, 15, &len), 0);
	assert_memory_equal(value, "user.a\0user.bb", 15);
	assert_int_equal(l->ops->listxattr(l, &dir, "one", value, 15, &len), 0);
	assert_int_equal(len, 0);
	assert_int_equal(l->ops->listxattr(l, &dir, "", value, 15, &len), 0);
	assert_int_equal(len, 0);
	cow_layer_close(l);
}

/* ---- "@home" ---------------------------------------------------------------------------------- */

static void without_a_home_there_is_none(void **state)
{
	static const char *const homes[] = { NULL, "/" };
	struct cow_found found;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(homes); i++) {
		struct cow_layer *l = open_layer(package, homes[i]);

		assert_int_equal(look(l, "", "@home", &found), ENOENT);
		expect_names(l, "", 3, (const char *const[]){ " opt:4", " home:4", " many:4", NULL });
		expect_names(l, "home/user", 1, (const char *const[]){ " covered:8", NULL });
		cow_layer_close(l);
	}
}

static void home_lies_in_the_packages_own_directories(void **state)
{
	struct cow_layer *l = open_layer(package, "/home/user");
	struct cow_found found;

	(void)state;
	assert_int_equal(look(l, "", "@home", &found), ENOENT);
	expect_names(l, "", 3, (const char *const[]){ " opt:4", " home:4", " many:4", NULL });
	expect_names(l, "home", 2, (const char *const[]){ " shared:8", " user:4", NULL });
	expect_names(l, "home/user", 1, (const char *const[]){ " .profile:8", NULL });
	assert_int_equal(look(l, "home/user", "covered", &found), ENOENT);
	assert_int_equal(look(l, "home/user", ".profile", &found), 0);
	assert_int_equal(found.st.st_size, 5);
	cow_layer_close(l);
}

static void home_lies_in_directories_made_up(void **state)
{
	struct cow_layer *l = open_layer(package, "/var//data/homes/user/");
	struct cow_handle h = COW_HANDLE_NONE, file = COW_HANDLE_NONE;
	struct cow_found found;
	char got[8];
	size_t len = 99;

	(void)state;
	expect_names(l, "", 4, (const char *const[]){ " opt:4", " home:4", " many:4", " var:4", NULL });
	expect_names(l, "var", 1, (const char *const[]){ " data:4", NULL });
	expect_names(l, "var/data", 1, (const char *const[]){ " homes:4", NULL });
	expect_names(l, "var/data/homes", 1, (const char *const[]){ " user:4", NULL });
	expect_names(l, "var/data/homes/user", 1, (const char *const[]){ " .profile:8", NULL });
	expect_names(l, "home/user", 1, (const char *const[]){ " covered:8", NULL });
	assert_int_equal(walk(l, "var/data", &h), 0);
	assert_int_equal(l->ops->stat(l, &h, &found), 0);
	assert_int_equal(found.st.st_mode, S_IFDIR | 0755);
	assert_int_equal(found.st.st_ino, h.ino);
	assert_int_equal(found.st.st_mtim.tv_sec, 1000);
	assert_int_equal(l->ops->lookup(l, &h, "none", &found, NULL), ENOENT);
	assert_int_equal(l->ops->getxattr(l, &h, "", "user.a", NULL, 0, &len), ENODATA);
	assert_int_equal(l->ops->listxattr(l, &h, "homes", NULL, 0, &len), 0);
	assert_int_equal(len, 0);
	assert_int_equal(walk(l, "var/data/homes/user", &h), 0);
	assert_int_equal(l->ops->lookup(l, &h, ".profile", &found, NULL), 0);
	assert_int_equal(l->ops->open_file(l, &h, ".profile", 0, found.st.st_ino, &file), 0);
	assert_int_equal(l->ops->read(l, &file, 0, sizeof(got), got, &len, NULL, NULL), 0);
	assert_int_equal(len, 5);
	assert_memory_equal(got, "small", 5);
	cow_layer_close(l);
}

/* A file of the package where a directory must be: the home directory counts for more. */
static void home_displaces_a_file(void **state)
{
	struct cow_layer *l = open_layer(package, "/opt/one/user");

	(void)state;
	expect_names(l, "opt", 7, (const char *const[]){ " one:4", " two:8", NULL });
	expect_names(l, "opt/one", 1, (const char *const[]){ " user:4", NULL });
	expect_names(l, "opt/one/user", 1, (const char *const[]){ " .profile:8", NULL });
	cow_layer_close(l);
}

static void a_home_too_deep_is_refused(void **state)
{
	struct cow_layer *l = NULL;
	char home[256] = "";
	struct err e;

	(void)state;
	for (int i = 0; i < 33; i++)
		(void)strcat(home, "/d");
	assert_int_equal(cow_layer_package_open(package, home, &l, &e), -1);
	assert_int_equal(e.code, ERR_LIMIT);
	assert_null(l);
}

/* ---- when the content cannot be had ------------------------------------------------------------ */

static bool say_over(void *arg)
{
	atomic_fetch_add((atomic_int *)arg, 1);
	return true;
}

static void waiting_ends_when_nobody_waits(void **state)
{
	struct fault_server *server = fault_server_start();
	struct stream_package_opt opt = { .no_prefetch = true, .fetch = { .attempts = 2 } };
	struct stream_package *p = NULL;
	struct cow_handle h = COW_HANDLE_NONE;
	struct cow_found found;
	struct cow_layer *l;
	atomic_int asked = 0;
	uint8_t got[100];
	size_t n;
	struct err e;

	(void)state;
	fault_server_object(server, bytes.data, bytes.len, "\"one\"");
	if (stream_package_open(fault_server_url(server), &opt, &p, &e) < 0)
		fail_msg("%s", e.msg);
	l = open_layer(p, NULL);
	assert_int_equal(look(l, "opt", "big", &found), 0);
	assert_int_equal(l->ops->open_lost(l, "", 0, found.st.st_ino, &h), 0);
	fault_server_fault(server, FAULT_SILENT, 0, 0);
	assert_int_equal(l->ops->read(l, &h, SIZE - 100, 100, got, &n, say_over, &asked), EINTR);
	assert_true(asked > 0);
	cow_layer_close(l);
	stream_package_close(p);
	fault_server_stop(server);
}

static void damaged_content_is_an_error(void **state)
{
	struct stream_package *p = NULL;
	struct cow_handle h = COW_HANDLE_NONE;
	auto_free char *path = NULL;
	auto_free uint8_t *got = malloc(SIZE);
	struct cow_found found;
	struct cow_layer *l;
	size_t n;
	struct err e;

	(void)state;
	path = path_join(top, "damaged.floe", &e);
	for (size_t i = 1; i < 1000; i++)
		bytes.data[bytes.len - i] ^= 0x55;
	assert_int_equal(fd_write_file(AT_FDCWD, path, bytes.data, bytes.len, 0644, &e), 0);
	if (stream_package_open(path, &(struct stream_package_opt){ .no_prefetch = true, .fail_after_s = 1 },
				&p, &e) < 0)
		fail_msg("%s", e.msg);
	l = open_layer(p, NULL);
	assert_int_equal(look(l, "opt", "big", &found), 0);
	assert_int_equal(l->ops->open_lost(l, "", 0, found.st.st_ino, &h), 0);
	assert_int_equal(l->ops->read(l, &h, 0, SIZE, got, &n, NULL, NULL), EIO);
	cow_layer_close(l);
	stream_package_close(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(objects_are_as_the_package_says),
		cmocka_unit_test(names_have_their_limits),
		cmocka_unit_test(content_is_read_and_known_again),
		cmocka_unit_test(reads_are_recorded),
		cmocka_unit_test(attributes_are_told),
		cmocka_unit_test(without_a_home_there_is_none),
		cmocka_unit_test(home_lies_in_the_packages_own_directories),
		cmocka_unit_test(home_lies_in_directories_made_up),
		cmocka_unit_test(home_displaces_a_file),
		cmocka_unit_test(a_home_too_deep_is_refused),
		cmocka_unit_test(waiting_ends_when_nobody_waits),
		cmocka_unit_test(damaged_content_is_an_error), /* last: it changes the bytes */
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
