/* SPDX-License-Identifier: Apache-2.0 */
/* The host view's tree and its descriptors: what is shown, what is open, what is refused. No mount. */
#include "vfs/host_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/path.h"

enum { SHOWN_UID = 4711, SHOWN_GID = 4712 };

struct fixture {
	char dir[64];
	int fd;
	struct host_tree tree;
};

static void write_at(int dir, const char *name, const char *text)
{
	auto_fd int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	struct err e;

	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, text, strlen(text), &e), 0);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct err e;

	(void)strcpy(f->dir, "host-tree-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->fd = open(f->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(f->fd >= 0);
	assert_int_equal(host_tree_init(&f->tree, f->fd, SHOWN_UID, SHOWN_GID, &e), 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	struct err e;

	host_tree_fini(&f->tree);
	fd_close(f->fd);
	assert_int_equal(path_remove_tree(AT_FDCWD, f->dir, &e), 0);
	free(f);
	return 0;
}

static uint64_t look_up(struct fixture *f, uint64_t parent, const char *name, struct stat *ret_shown)
{
	struct host_fd *dir = NULL;
	uint64_t id, generation;
	struct stat host;
	struct err e;

	assert_int_equal(host_tree_open(&f->tree, parent, &dir), 0);
	assert_int_equal(host_tree_stat_at(&f->tree, dir->fd, f->tree.root_dev, name, &host, ret_shown), 0);
	assert_int_equal(host_nodes_seen(f->tree.nodes, parent, name, &host, &id, &generation, &e), 0);
	host_fds_unref(f->tree.fds, dir);
	return id;
}

static void expect_content(struct fixture *f, uint64_t id, const char *want)
{
	struct host_fd *file = NULL;
	char got[64] = "";

	assert_int_equal(host_tree_open(&f->tree, id, &file), 0);
	assert_int_equal(pread(file->fd, got, sizeof(got), 0), strlen(want));
	assert_string_equal(got, want);
	host_fds_unref(f->tree.fds, file);
}

static void owners_and_modes_are_usable(void **state)
{
	struct fixture *f = *state;
	struct stat st;

	write_at(f->fd, "file", "x");
	assert_int_equal(fchmodat(f->fd, "file", 0444, 0), 0);
	assert_int_equal(mkdirat(f->fd, "dir", 0500), 0);
	assert_int_equal(symlinkat("target", f->fd, "link"), 0);
	(void)look_up(f, HOST_ROOT, "file", &st);
	assert_int_equal(st.st_mode, S_IFREG | 0644);
	assert_int_equal(st.st_uid, SHOWN_UID);
	assert_int_equal(st.st_gid, SHOWN_GID);
	(void)look_up(f, HOST_ROOT, "dir", &st);
	assert_int_equal(st.st_mode, S_IFDIR | 0700);
	(void)look_up(f, HOST_ROOT, "link", &st);
	assert_int_equal(st.st_mode, S_IFLNK | 0777);
	assert_int_equal(st.st_size, strlen("target"));
}

static void replaced_file_is_stale_unless_held(void **state)
{
	struct fixture *f = *state;
	struct host_fd *dir = NULL, *file = NULL;
	struct host_node n;
	struct stat st, host;
	uint64_t id, held;
	struct err e;

	write_at(f->fd, "a", "old");
	write_at(f->fd, "b", "old");
	id = look_up(f, HOST_ROOT, "a", &st);
	held = look_up(f, HOST_ROOT, "b", &st);
	assert_int_equal(host_nodes_get(f->tree.nodes, held, &n, &e), 0);
	assert_int_equal(host_tree_open(&f->tree, HOST_ROOT, &dir), 0);
	assert_int_equal(fstatat(dir->fd, "b", &host, 0), 0);
	host_tree_hold(&f->tree, held, n.generation, dir->fd, "b", &host);
	host_fds_unref(f->tree.fds, dir);
	write_at(f->fd, "new-a", "new");
	write_at(f->fd, "new-b", "new");
	assert_int_equal(renameat(f->fd, "new-a", f->fd, "a"), 0);
	assert_int_equal(renameat(f->fd, "new-b", f->fd, "b"), 0);
	assert_int_equal(host_tree_open(&f->tree, id, &file), ESTALE);
	assert_int_equal(host_tree_stat(&f->tree, id, &st), ESTALE);
	expect_content(f, held, "old");
	assert_int_equal(host_tree_stat(&f->tree, held, &st), 0);
	expect_content(f, look_up(f, HOST_ROOT, "a", &st), "new");
}

static void symbolic_links_are_never_followed(void **state)
{
	struct fixture *f = *state;
	struct host_fd *file = NULL;
	uint64_t dir, id;
	struct stat st;

	assert_int_equal(mkdirat(f->fd, "dir", 0700), 0);
	{
		auto_fd int d = openat(f->fd, "dir", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		write_at(d, "file", "content");
	}
	dir = look_up(f, HOST_ROOT, "dir", &st);
	id = look_up(f, dir, "file", &st);
	host_fds_close(f->tree.fds); /* forget the directory's descriptor */
	{
		struct err e;

		assert_int_equal(host_fds_open(64, &f->tree.fds, &e), 0);
	}
	assert_int_equal(renameat(f->fd, "dir", f->fd, "moved"), 0);
	/* Even though it leads to the very same directory. */
	assert_int_equal(symlinkat("moved", f->fd, "dir"), 0);
	assert_int_equal(host_tree_open(&f->tree, id, &file), ESTALE);
	assert_int_equal(host_tree_open(&f->tree, dir, &file), ESTALE);
}

static void unknown_nodes_are_errors(void **state)
{
	struct fixture *f = *state;
	struct host_fd *file = NULL;
	struct stat st;

	assert_int_not_equal(host_tree_open(&f->tree, 12345, &file), 0);
	assert_int_not_equal(host_tree_stat(&f->tree, 12345, &st), 0);
	assert_int_equal(host_tree_stat(&f->tree, HOST_ROOT, &st), 0);
	assert_true(S_ISDIR(st.st_mode));
}

static void inode_numbers_differ_between_devices(void **state)
{
	struct fixture *f = *state;
	uint64_t here = host_tree_ino(&f->tree, f->tree.root_dev, 77);
	uint64_t there = host_tree_ino(&f->tree, f->tree.root_dev + 1, 77);

	assert_int_equal(here, 77);
	assert_int_not_equal(here, there);
	assert_true(there < UINT64_C(1) << 56);
}

static void descriptors_are_bounded(void **state)
{
	struct host_fds *c = NULL;
	struct host_fd *held = NULL, *f = NULL;
	struct err e;
	int first = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(host_fds_open(2, &c, &e), 0);
	assert_int_equal(host_fds_add(c, 1, 1, first, &held, &e), 0);
	for (uint64_t i = 2; i < 10; i++) {
		assert_int_equal(host_fds_add(c, i, 1, open("/dev/null", O_RDONLY | O_CLOEXEC), &f, &e), 0);
		host_fds_unref(c, f);
	}
	assert_null(host_fds_ref(c, 2, 1));
	f = host_fds_ref(c, 9, 1);
	assert_non_null(f);
	host_fds_unref(c, f);
	assert_true(fcntl(first, F_GETFD) >= 0); /* in use: not closed, however old */
	assert_null(host_fds_ref(c, 1, 2));      /* another generation is another file */
	/* The second of two descriptors for one node is closed. */
	assert_int_equal(host_fds_add(c, 1, 1, open("/dev/null", O_RDONLY | O_CLOEXEC), &f, &e), 0);
	assert_ptr_equal(f, held);
	host_fds_unref(c, f);
	host_fds_unref(c, held);
	host_fds_close(c);
	assert_int_equal(fcntl(first, F_GETFD), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(owners_and_modes_are_usable, set_up, tear_down),
		cmocka_unit_test_setup_teardown(replaced_file_is_stale_unless_held, set_up, tear_down),
		cmocka_unit_test_setup_teardown(symbolic_links_are_never_followed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(unknown_nodes_are_errors, set_up, tear_down),
		cmocka_unit_test_setup_teardown(inode_numbers_differ_between_devices, set_up, tear_down),
		cmocka_unit_test(descriptors_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
