/* SPDX-License-Identifier: Apache-2.0 */
/* The host view's node table: identity, lifetime, paths. */
#include "vfs/host_nodes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct stat root_st = { .st_dev = 1, .st_ino = 2, .st_mode = S_IFDIR | 0755 };

static struct host_nodes *open_table(void)
{
	struct host_nodes *t = NULL;
	struct err e;

	assert_int_equal(host_nodes_open(&root_st, &t, &e), 0);
	return t;
}

static uint64_t see(struct host_nodes *t, uint64_t parent, const char *name, mode_t type, ino_t ino,
		    uint64_t *ret_generation)
{
	struct stat st = { .st_dev = 1, .st_ino = ino, .st_mode = type | 0644 };
	uint64_t id = 0, generation = 0;
	struct err e;

	assert_int_equal(host_nodes_seen(t, parent, name, &st, &id, &generation, &e), 0);
	if (ret_generation)
		*ret_generation = generation;
	return id;
}

static void expect_path(struct host_nodes *t, uint64_t id, const char *want)
{
	auto_buf struct buf path = BUF_INIT(1 << 20);
	struct err e;

	assert_int_equal(host_nodes_path(t, id, &path, &e), 0);
	assert_string_equal((const char *)path.data, want);
}

static void same_name_is_same_node(void **state)
{
	struct host_nodes *t = open_table();
	uint64_t dir, a, b;

	(void)state;
	dir = see(t, HOST_ROOT, "dir", S_IFDIR, 10, NULL);
	a = see(t, dir, "file", S_IFREG, 11, NULL);
	assert_int_equal(see(t, dir, "file", S_IFREG, 11, NULL), a);
	b = see(t, dir, "hard-link", S_IFREG, 11, NULL);
	assert_int_not_equal(a, b);
	expect_path(t, HOST_ROOT, "");
	expect_path(t, dir, "dir");
	expect_path(t, a, "dir/file");
	host_nodes_close(t);
}

static void replaced_file_is_another_node(void **state)
{
	struct host_nodes *t = open_table();
	struct host_node n;
	uint64_t a, b;
	struct err e;

	(void)state;
	a = see(t, HOST_ROOT, "file", S_IFREG, 11, NULL);
	b = see(t, HOST_ROOT, "file", S_IFREG, 12, NULL);
	assert_int_not_equal(a, b);
	assert_int_equal(host_nodes_get(t, a, &n, &e), 0); /* somebody may have it open */
	assert_int_equal(n.ino, 11);
	assert_int_equal(see(t, HOST_ROOT, "file", S_IFREG, 12, NULL), b);
	assert_int_not_equal(see(t, HOST_ROOT, "file", S_IFDIR, 12, NULL), b);
	host_nodes_forget(t, a, 1);
	assert_int_equal(host_nodes_get(t, a, &n, &e), -1);
	assert_int_equal(e.code, ERR_NOTFOUND);
	host_nodes_close(t);
}

static void forgotten_place_gets_a_new_generation(void **state)
{
	struct host_nodes *t = open_table();
	uint64_t a, b, first, second;

	(void)state;
	a = see(t, HOST_ROOT, "a", S_IFREG, 11, &first);
	host_nodes_forget(t, a, 1);
	b = see(t, HOST_ROOT, "b", S_IFREG, 12, &second);
	assert_int_equal(a, b);
	assert_int_not_equal(first, second);
	host_nodes_close(t);
}

static void directories_live_as_long_as_their_children(void **state)
{
	struct host_nodes *t = open_table();
	uint64_t dir, file;
	struct host_node n;
	struct err e;

	(void)state;
	dir = see(t, HOST_ROOT, "dir", S_IFDIR, 10, NULL);
	file = see(t, dir, "file", S_IFREG, 11, NULL);
	host_nodes_forget(t, dir, 1);
	expect_path(t, file, "dir/file");
	host_nodes_forget(t, file, 7); /* more than there were */
	assert_int_equal(host_nodes_get(t, dir, &n, &e), -1);
	host_nodes_close(t);
}

static void nonsense_is_refused(void **state)
{
	struct stat st = { .st_dev = 1, .st_ino = 5, .st_mode = S_IFREG };
	struct host_nodes *t = open_table();
	uint64_t id, generation;
	struct host_node n;
	struct err e;

	(void)state;
	host_nodes_forget(t, 0, 1);
	host_nodes_forget(t, HOST_ROOT, 1000);
	host_nodes_forget(t, UINT64_MAX, 1);
	assert_int_equal(host_nodes_get(t, HOST_ROOT, &n, &e), 0);
	assert_int_equal(host_nodes_get(t, 0, &n, &e), -1);
	assert_int_equal(host_nodes_get(t, 99, &n, &e), -1);
	assert_int_equal(host_nodes_get(t, UINT64_MAX, &n, &e), -1);
	assert_int_equal(host_nodes_seen(t, 99, "x", &st, &id, &generation, &e), -1);
	host_nodes_close(t);
}

static void many_names(void **state)
{
	enum { COUNT = 20000 };
	struct host_nodes *t = open_table();
	static uint64_t ids[COUNT];
	char name[32];

	(void)state;
	for (unsigned i = 0; i < COUNT; i++) {
		(void)snprintf(name, sizeof(name), "%u", i);
		ids[i] = see(t, HOST_ROOT, name, S_IFREG, 100 + i, NULL);
	}
	for (unsigned i = 0; i < COUNT; i++) {
		(void)snprintf(name, sizeof(name), "%u", i);
		assert_int_equal(see(t, HOST_ROOT, name, S_IFREG, 100 + i, NULL), ids[i]);
		host_nodes_forget(t, ids[i], 2);
	}
	/* All places are free again. */
	assert_true(see(t, HOST_ROOT, "last", S_IFREG, 1, NULL) <= COUNT + 1);
	host_nodes_close(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_name_is_same_node),
		cmocka_unit_test(replaced_file_is_another_node),
		cmocka_unit_test(forgotten_place_gets_a_new_generation),
		cmocka_unit_test(directories_live_as_long_as_their_children),
		cmocka_unit_test(nonsense_is_refused),
		cmocka_unit_test(many_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
