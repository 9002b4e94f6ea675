/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel is told when the host changes something. The test is the kernel: it reads what is written
 * to it. */
#include "tests/unit/vfs/cow_fixture.h"

#include <linux/fuse.h>
#include <poll.h>
#include <sys/socket.h>

#include "vfs/cow_watch.h"

enum { EXPIRE_ONLY = 1, AGES_MS = 20000, MOMENT_MS = 150 };

static int kernel; /* its end */

static int set_up(void **state)
{
	static const char *const layers[] = { "!frozen", "-host", NULL };
	struct fixture *f = fixture_make(layers);
	int ends[2];
	struct err e;

	make_dir(f, "host/d");
	make_dir(f, "host/d/e");
	make_file(f, "host/d/file", "text");
	fixture_open(f);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	kernel = ends[0];
	fd_close(f->kernel);
	f->kernel = ends[1];
	assert_int_equal(cow_watches_open(f->kernel, &f->u, false, &f->u.watches, &e), 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	fd_close(kernel); /* nobody waits for room in the socket */
	cow_watches_close(f->u.watches);
	fixture_end(f);
	return 0;
}

struct told {
	struct fuse_out_header head;
	union {
		struct {
			uint64_t parent;
			uint32_t name_len, flags;
			char name[256];
		} entry;
		struct fuse_notify_inval_inode_out inode;
	} what;
};

static bool hear(struct told *ret, int wait_ms)
{
	struct pollfd p = { .fd = kernel, .events = POLLIN };
	ssize_t len;

	if (poll(&p, 1, wait_ms) <= 0)
		return false;
	len = read(kernel, ret, sizeof(*ret));
	assert_int_equal(len, ret->head.len);
	assert_int_equal(ret->head.unique, 0);
	return true;
}

static void hush(void)
{
	struct told t;

	while (hear(&t, MOMENT_MS))
		;
}

/* Until it is told that the name expires. */
static void expect_name(uint64_t parent, const char *name)
{
	struct told t;

	for (;;) {
		if (!hear(&t, AGES_MS))
			fail_msg("%s does not expire", name);
		if (t.head.error == FUSE_NOTIFY_INVAL_ENTRY && t.what.entry.parent == parent &&
		    !strcmp(t.what.entry.name, name))
			break;
	}
	assert_int_equal(t.what.entry.name_len, strlen(name));
	assert_int_equal(t.what.entry.flags, EXPIRE_ONLY);
}

static void expect_node(uint64_t id, bool pages)
{
	struct told t;

	do {
		if (!hear(&t, AGES_MS))
			fail_msg("node %d does not expire", (int)id);
	} while (t.head.error != FUSE_NOTIFY_INVAL_INODE || t.what.inode.ino != id ||
		 (t.what.inode.off == 0) != pages);
	assert_int_equal(t.what.inode.len, 0);
}

/* In any order. */
static void expect_both(uint64_t parent, const char *a, const char *b)
{
	bool has_a = false, has_b = false;
	struct told t;

	while (!has_a || !has_b) {
		if (!hear(&t, AGES_MS))
			fail_msg("%s, %s: %s does not expire", a, b, has_a ? b : a);
		if (t.head.error != FUSE_NOTIFY_INVAL_ENTRY || t.what.entry.parent != parent)
			continue;
		has_a |= !strcmp(t.what.entry.name, a);
		has_b |= !strcmp(t.what.entry.name, b);
	}
}

static bool watch(struct fixture *f, uint64_t node)
{
	struct cow_dir *d;
	bool r;

	assert_int_equal(cow_dir_ref(&f->u, node, &d), 0);
	r = cow_watch(&f->u, d);
	cow_dir_unref(&f->u, d);
	return r;
}

/* The directory d, or the test does not apply. */
static uint64_t watched(struct fixture *f)
{
	uint64_t d = look_up(f, "d");

	if (!watch(f, d))
		skip();
	return d;
}

static void test_entries(void **state)
{
	struct fixture *f = *state;
	uint64_t d = watched(f);
	struct cow_entry file = find(f, d, "file"), none;

	assert_true(file.is_name_watched && file.is_attr_watched);
	assert_int_equal(cow_tree_lookup(&f->u, d, "none", &none), ENOENT);
	assert_true(none.is_volatile && !none.is_name_watched);
	make_file(f, "host/d/none", "");
	expect_node(d, true);
	expect_name(d, "none");
	hush();
	assert_int_equal(chmod(below(f, "host/d/file"), 0600), 0);
	expect_name(d, "file");
	expect_node(file.id, false);
	hush();
	assert_int_equal(unlink(below(f, "host/d/file")), 0);
	expect_node(d, true);
	expect_name(d, "file");
}

/* By another name it can change unseen. */
static void test_links(void **state)
{
	struct fixture *f = *state;
	uint64_t d = watched(f);
	struct cow_entry file;

	assert_int_equal(link(below(f, "host/d/file"), below(f, "host/link")), 0);
	file = find(f, d, "file");
	assert_true(file.is_name_watched);
	assert_false(file.is_attr_watched);
	assert_int_equal(cow_tree_getattr(&f->u, file.id, &file), 0);
	assert_false(file.is_attr_watched);
}

static void test_a_directory_moves(void **state)
{
	struct fixture *f = *state;
	uint64_t d = watched(f), e = find(f, d, "e").id;

	assert_true(watch(f, COW_ROOT));
	hush();
	assert_int_equal(rename(below(f, "host/d"), below(f, "host/d2")), 0);
	expect_name(COW_ROOT, "d");
	expect_name(d, "e"); /* for it is another one now */
	hush();
	/* The node is another directory from now on, and that one is watched. */
	make_dir(f, "host/d");
	hush();
	assert_int_equal(look_up(f, "d"), d);
	assert_true(watch(f, d));
	make_dir(f, "host/d/e");
	expect_name(d, "e");
	assert_int_equal(find(f, d, "e").id, e);
	hush();
	make_file(f, "host/d2/new", "");
	hush();
	assert_false(hear(&(struct told){ .head = { 0 } }, MOMENT_MS));
}

static void test_the_end(void **state)
{
	struct fixture *f = *state;
	uint64_t d = watched(f);
	struct stat st;
	struct told t;

	assert_int_equal(stat(below(f, "host/d"), &st), 0);
	assert_true(cow_watch_has(&f->u, d, st.st_dev, st.st_ino));
	assert_false(cow_watch_has(&f->u, d, st.st_dev, st.st_ino + 1));
	cow_watch_end(f->u.watches, d);
	cow_watch_end(f->u.watches, d);
	assert_false(cow_watch_has(&f->u, d, st.st_dev, st.st_ino));
	hush();
	make_file(f, "host/d/silent", "");
	assert_false(hear(&t, MOMENT_MS));
}

/* Nobody watched while one server was dead and the next not there. */
static void test_takeover(void **state)
{
	struct fixture *f = *state;
	uint64_t d = watched(f);
	struct cow_entry file = find(f, d, "file");
	struct err e;

	assert_int_equal(rename(below(f, "host/d/file"), below(f, "host/d/moved")), 0);
	assert_int_equal(find(f, d, "moved").id, file.id); /* by two names now, as far as is known */
	hush();
	cow_watches_close(f->u.watches);
	assert_int_equal(cow_watches_open(f->kernel, &f->u, true, &f->u.watches, &e), 0);
	expect_name(COW_ROOT, "d");
	expect_both(d, "file", "moved");
	assert_true(watch(f, d));
}

/* More than the kernel keeps. */
static void test_a_flood(void **state)
{
	struct fixture *f = *state;
	uint64_t d = watched(f);
	char name[64];

	for (int i = 0; i < 30000; i++) {
		(void)snprintf(name, sizeof(name), "host/d/f%d", i % 2);
		if (i < 2)
			make_file(f, name, "");
		else
			assert_int_equal(chmod(below(f, name), i & 4 ? 0600 : 0644), 0);
		if (i % 64 == 0) {
			struct told t;

			while (hear(&t, 0))
				;
		}
	}
	hush();
	make_file(f, "host/d/after", "");
	expect_name(d, "after");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_entries), TEST(test_links),    TEST(test_a_directory_moves),
		TEST(test_the_end), TEST(test_takeover), TEST(test_a_flood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
