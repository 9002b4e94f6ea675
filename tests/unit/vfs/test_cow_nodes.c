/* SPDX-License-Identifier: Apache-2.0 */
/* The union's node table in ordinary life: identity, names, lifetime, renames, memory, takeover. What a kill
 * leaves is in test_cow_nodes_crash.c. */
#include "vfs/cow_nodes.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "tests/unit/cmocka_all.h"

struct table {
	int fd;
	struct cow_nodes *t;
};

static struct table open_table(void)
{
	struct table r = { .fd = memfd_create("table", MFD_CLOEXEC) };
	struct err e;

	assert_true(r.fd >= 0);
	assert_int_equal(cow_nodes_open(r.fd, false, &r.t, &e), 0);
	return r;
}

static void reopen(struct table *t)
{
	struct err e;

	cow_nodes_close(t->t);
	t->t = NULL;
	assert_int_equal(cow_nodes_open(t->fd, true, &t->t, &e), 0);
}

static void close_table(struct table *t)
{
	cow_nodes_close(t->t);
	fd_close(t->fd);
}

static struct cow_node see(struct cow_nodes *t, uint64_t parent, const char *name, mode_t type, uint64_t ino)
{
	struct cow_sighting s = { .parent = parent,
				  .name = name,
				  .type = type,
				  .identity = { .layer = 2, .dev = 7, .ino = ino },
				  .shown_ino = ino + 1000,
				  .stamp = 5 };
	struct cow_node n;

	assert_int_equal(cow_nodes_seen(t, &s, &n), 0);
	assert_int_equal(n.parent, parent);
	assert_string_equal(n.name, name);
	return n;
}

static uint64_t see_dir(struct cow_nodes *t, uint64_t parent, const char *name)
{
	return see(t, parent, name, S_IFDIR, 0).id;
}

static uint64_t see_file(struct cow_nodes *t, uint64_t parent, const char *name, uint64_t ino)
{
	return see(t, parent, name, S_IFREG, ino).id;
}

/* Who has that name; 0 = nobody. */
static uint64_t child(struct cow_nodes *t, uint64_t parent, const char *name)
{
	struct cow_node n;
	int r = cow_nodes_child(t, parent, name, &n);

	assert_true(r == 0 || r == ENOENT);
	return r == 0 ? n.id : 0;
}

static bool forget(struct cow_nodes *t, uint64_t id, uint64_t lookups)
{
	struct cow_node n;
	bool gone = cow_nodes_forget(t, id, lookups, &n);

	if (gone)
		assert_int_equal(n.id, id);
	return gone;
}

static bool is_there(struct cow_nodes *t, uint64_t id)
{
	struct cow_node n;
	int r = cow_nodes_get(t, id, &n);

	assert_true(r == 0 || r == ESTALE);
	return r == 0;
}

static void nodes_are_what_was_seen(void **state)
{
	struct table t = open_table();
	struct cow_node n, again;
	uint64_t dir;

	(void)state;
	assert_int_equal(cow_nodes_get(t.t, COW_ROOT, &n), 0);
	assert_int_equal(n.type, S_IFDIR);
	assert_int_equal(n.parent, 0);
	assert_string_equal(n.name, "");
	dir = see_dir(t.t, COW_ROOT, "dir");
	n = see(t.t, dir, "file", S_IFREG, 11);
	assert_int_equal(n.identity.layer, 2);
	assert_int_equal(n.identity.dev, 7);
	assert_int_equal(n.identity.ino, 11);
	assert_int_equal(n.shown_ino, 1011);
	assert_int_equal(n.stamp, 5);
	assert_int_equal(n.type, S_IFREG);
	again = see(t.t, dir, "file", S_IFREG, 11);
	assert_int_equal(again.id, n.id);
	assert_int_equal(again.generation, n.generation);
	assert_int_equal(child(t.t, dir, "file"), n.id);
	assert_int_equal(child(t.t, dir, "fil"), 0);
	assert_int_equal(child(t.t, COW_ROOT, "file"), 0);
	close_table(&t);
}

static void names_and_parents_are_checked(void **state)
{
	struct table t = open_table();
	uint64_t file = see_file(t.t, COW_ROOT, "f", 1);
	char name[NAME_MAX + 2];
	struct cow_sighting s = { .parent = COW_ROOT, .name = name, .type = S_IFREG };
	struct cow_node n;

	(void)state;
	for (size_t len = 1; len <= NAME_MAX; len++) {
		memset(name, 'x', len);
		name[len] = 0;
		s.identity.ino = len + 100;
		assert_int_equal(cow_nodes_seen(t.t, &s, &n), 0);
		assert_string_equal(n.name, name);
	}
	reopen(&t);
	for (size_t len = 1; len <= NAME_MAX; len++) {
		name[len - 1] = 'x';
		name[len] = 0;
		assert_int_equal(cow_nodes_child(t.t, COW_ROOT, name, &n), 0);
		assert_int_equal(n.identity.ino, len + 100);
	}
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	assert_int_equal(cow_nodes_seen(t.t, &s, &n), ENAMETOOLONG);
	s.name = "";
	assert_int_equal(cow_nodes_seen(t.t, &s, &n), EINVAL);
	s.name = "a";
	s.parent = file;
	assert_int_equal(cow_nodes_seen(t.t, &s, &n), ESTALE);
	s.parent = 1U << 30;
	assert_int_equal(cow_nodes_seen(t.t, &s, &n), ESTALE);
	assert_int_equal(cow_nodes_get(t.t, 0, &n), ESTALE);
	close_table(&t);
}

static void a_file_has_any_number_of_names(void **state)
{
	struct table t = open_table();
	uint64_t dir = see_dir(t.t, COW_ROOT, "dir"), id = see_file(t.t, COW_ROOT, "a", 11);
	struct cow_node n;

	(void)state;
	assert_int_equal(see_file(t.t, dir, "b", 11), id);
	assert_int_equal(cow_nodes_link(t.t, id, dir, "c"), 0);
	assert_int_equal(child(t.t, dir, "c"), id);
	assert_int_not_equal(see(t.t, dir, "d", S_IFLNK, 11).id, id); /* another type is another object */
	cow_nodes_unlink(t.t, dir, "c");
	assert_int_equal(child(t.t, dir, "c"), 0);
	cow_nodes_unlink(t.t, COW_ROOT, "a");
	assert_int_equal(cow_nodes_get(t.t, id, &n), 0);
	assert_int_equal(n.parent, dir);
	assert_string_equal(n.name, "b");
	cow_nodes_unlink(t.t, dir, "b");
	assert_int_equal(cow_nodes_get(t.t, id, &n), 0);
	assert_int_equal(n.parent, 0);
	assert_int_equal(cow_nodes_link(t.t, dir, COW_ROOT, "e"), EPERM);
	assert_int_equal(cow_nodes_link(t.t, 4711, COW_ROOT, "e"), ESTALE);
	cow_nodes_unlink(t.t, dir, "unknown");
	close_table(&t);
}

static void many_names_come_and_go(void **state)
{
	enum { NAMES = 20000 };
	struct table t = open_table();
	uint64_t dir = see_dir(t.t, COW_ROOT, "dir"), id = see_file(t.t, COW_ROOT, "first", 1);
	struct cow_nodes_stats s;
	char name[16];

	(void)state;
	for (int i = 0; i < NAMES; i++) {
		(void)snprintf(name, sizeof(name), "%d", i);
		assert_int_equal(cow_nodes_link(t.t, id, dir, name), 0);
	}
	cow_nodes_stats(t.t, &s);
	assert_int_equal(s.names, NAMES + 2);
	for (int i = 0; i < NAMES / 2; i++) { /* oldest first */
		(void)snprintf(name, sizeof(name), "%d", i);
		cow_nodes_unlink(t.t, dir, name);
	}
	reopen(&t);
	assert_false(forget(t.t, dir, 1)); /* it has names */
	assert_true(forget(t.t, id, 1));
	cow_nodes_stats(t.t, &s);
	assert_int_equal(s.nodes, 1);
	assert_int_equal(s.names, 0);
	close_table(&t);
}

static void a_name_goes_to_who_was_seen_last(void **state)
{
	struct table t = open_table();
	uint64_t a = see_file(t.t, COW_ROOT, "n", 11), b = see_file(t.t, COW_ROOT, "n", 12), dir;
	struct cow_node n;

	(void)state;
	assert_int_not_equal(a, b);
	assert_int_equal(cow_nodes_get(t.t, a, &n), 0);
	assert_int_equal(n.parent, 0);
	dir = see_dir(t.t, COW_ROOT, "n");
	assert_int_not_equal(dir, b);
	assert_int_equal(see_dir(t.t, COW_ROOT, "n"), dir);
	assert_int_equal(cow_nodes_link(t.t, b, COW_ROOT, "n"), 0);
	assert_int_equal(cow_nodes_link(t.t, b, COW_ROOT, "n"), 0);
	assert_int_equal(child(t.t, COW_ROOT, "n"), b);
	assert_true(is_there(t.t, dir));
	assert_int_not_equal(see_dir(t.t, COW_ROOT, "other"), dir); /* a directory is its name */
	close_table(&t);
}

static void inode_numbers_are_used_again(void **state)
{
	struct table t = open_table();
	struct cow_sighting s = { .parent = COW_ROOT,
				  .name = "a",
				  .type = S_IFREG,
				  .identity = { .layer = COW_UPPER, .dev = 1, .ino = 5 } };
	struct cow_node a, b, orphan, again;

	(void)state;
	assert_int_equal(cow_nodes_seen(t.t, &s, &a), 0);
	cow_nodes_unlink(t.t, COW_ROOT, "a"); /* for good; the kernel has not forgotten it yet */
	assert_int_equal(cow_nodes_seen(t.t, &s, &b), 0);
	assert_int_not_equal(a.id, b.id);
	s.identity.ino = 6;
	assert_int_equal(cow_nodes_add_orphan(t.t, &s, &orphan), 0);
	assert_int_equal(orphan.flags, COW_NODE_ORPHAN);
	assert_int_equal(orphan.parent, 0);
	s.name = "c"; /* an orphan's number is not free: it has got a name */
	assert_int_equal(cow_nodes_seen(t.t, &s, &again), 0);
	assert_int_equal(again.id, orphan.id);
	/* Until another object has been made with that number. */
	cow_nodes_made(t.t, &s.identity);
	assert_int_equal(cow_nodes_get(t.t, orphan.id, &orphan), 0);
	assert_int_equal(orphan.flags, 0);
	assert_int_equal(cow_nodes_seen(t.t, &s, &again), 0);
	assert_int_not_equal(again.id, orphan.id);
	/* A host's file, renamed there: the same object. */
	a = see(t.t, COW_ROOT, "old", S_IFREG, 9);
	cow_nodes_unlink(t.t, COW_ROOT, "old");
	assert_int_equal(see(t.t, COW_ROOT, "new", S_IFREG, 9).id, a.id);
	close_table(&t);
}

static void forgotten_nodes_go(void **state)
{
	struct table t = open_table();
	uint64_t dir = see_dir(t.t, COW_ROOT, "d"), sub = see_dir(t.t, dir, "s");
	uint64_t a = see_file(t.t, sub, "a", 1), b = see_file(t.t, dir, "b", 2);
	struct cow_nodes_stats s;

	(void)state;
	assert_int_equal(see_file(t.t, sub, "a", 1), a);
	assert_false(forget(t.t, dir, 1)); /* children need it */
	assert_false(forget(t.t, sub, 1));
	assert_false(forget(t.t, a, 1));
	assert_true(is_there(t.t, dir));
	assert_true(forget(t.t, a, 1));
	assert_false(is_there(t.t, a));
	assert_false(is_there(t.t, sub));
	assert_true(is_there(t.t, dir));
	assert_false(forget(t.t, a, 1));
	assert_true(forget(t.t, b, 100)); /* more than there were */
	assert_false(is_there(t.t, dir));
	assert_false(forget(t.t, COW_ROOT, 5));
	assert_true(is_there(t.t, COW_ROOT));
	cow_nodes_stats(t.t, &s);
	assert_int_equal(s.nodes, 1);
	assert_int_equal(s.names, 0);
	/* Names in several directories hold each of them. */
	dir = see_dir(t.t, COW_ROOT, "d");
	sub = see_dir(t.t, COW_ROOT, "s");
	a = see_file(t.t, dir, "a", 1);
	assert_int_equal(cow_nodes_link(t.t, a, sub, "b"), 0);
	assert_false(forget(t.t, dir, 1));
	assert_false(forget(t.t, sub, 1));
	cow_nodes_unlink(t.t, dir, "a");
	assert_false(is_there(t.t, dir));
	assert_true(is_there(t.t, sub));
	assert_true(forget(t.t, a, 1));
	assert_false(is_there(t.t, sub));
	close_table(&t);
}

static void what_went_is_told(void **state)
{
	struct table t = open_table();
	uint64_t id = see_file(t.t, COW_ROOT, "f", 1);
	struct cow_node n;

	(void)state;
	assert_int_equal(cow_nodes_set_flags(t.t, id, COW_NODE_ORPHAN | COW_NODE_LAZY, 0), 0);
	assert_int_equal(cow_nodes_set_flags(t.t, id, 0, COW_NODE_LAZY), 0);
	cow_nodes_unlink(t.t, COW_ROOT, "f");
	assert_true(cow_nodes_forget(t.t, id, 1, &n));
	assert_int_equal(n.id, id);
	assert_int_equal(n.flags, COW_NODE_ORPHAN);
	assert_int_equal(n.identity.ino, 1);
	close_table(&t);
}

static void note_end(void *arg, uint64_t id, mode_t type)
{
	uint64_t *ends = arg;

	ends[id % 8] = type;
}

static void ends_are_told(void **state)
{
	struct table t = open_table();
	uint64_t dir = see_dir(t.t, COW_ROOT, "d"), a = see_file(t.t, dir, "a", 1);
	uint64_t b = see_file(t.t, dir, "b", 2), ends[8] = { 0 };

	(void)state;
	cow_nodes_on_end(t.t, note_end, ends);
	assert_false(forget(t.t, dir, 1));
	assert_true(forget(t.t, b, 1));
	assert_int_equal(ends[b % 8], S_IFREG);
	assert_int_equal(ends[dir % 8], 0);
	assert_true(forget(t.t, a, 1));
	assert_int_equal(ends[a % 8], S_IFREG);
	assert_int_equal(ends[dir % 8], S_IFDIR); /* it went with its last child */
	assert_int_equal(ends[COW_ROOT], 0);
	close_table(&t);
}

static void places_are_used_again_with_another_generation(void **state)
{
	enum { ROUNDS = 3000 };
	struct table t = open_table();
	static uint64_t generations[ROUNDS + 10];
	uint64_t highest = 0, reused = 0;

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		struct cow_node n = see(t.t, COW_ROOT, "f", S_IFREG, (uint64_t)i + 1);

		assert_true(n.id < ROUNDS + 10);
		assert_true(n.generation > generations[n.id]);
		reused += generations[n.id] > 0;
		generations[n.id] = n.generation;
		highest = n.id > highest ? n.id : highest;
		assert_true(forget(t.t, n.id, 1));
		if (i % 1000 == 999)
			reopen(&t);
	}
	assert_true(reused > ROUNDS / 2);
	assert_true(highest < ROUNDS / 2);
	close_table(&t);
}

static void facts_are_kept(void **state)
{
	struct table t = open_table();
	struct cow_identity upper = { .layer = COW_UPPER, .dev = 3, .ino = 99 };
	uint64_t id = see_file(t.t, COW_ROOT, "f", 1), dir = see_dir(t.t, COW_ROOT, "d");
	static char path[PATH_MAX + 1], got[PATH_MAX];
	struct cow_sighting s = { .parent = dir, .name = "g", .type = S_IFREG, .identity = upper };
	struct cow_node n;

	(void)state;
	assert_int_equal(cow_nodes_set_identity(t.t, id, &upper), 0);
	assert_int_equal(cow_nodes_set_identity(t.t, dir, &upper), EINVAL);
	assert_int_equal(cow_nodes_set_stamp(t.t, id, 77), 0);
	assert_int_equal(cow_nodes_set_flags(t.t, id, COW_NODE_LINKED, 0), 0);
	assert_int_equal(cow_nodes_lost_path(t.t, id, got), ENOENT);
	assert_int_equal(cow_nodes_set_lost_path(t.t, id, "first"), 0);
	memset(path, 'p', PATH_MAX);
	assert_int_equal(cow_nodes_set_lost_path(t.t, id, path), ENAMETOOLONG);
	path[PATH_MAX - 1] = 0;
	assert_int_equal(cow_nodes_set_lost_path(t.t, id, path), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(cow_nodes_get(t.t, id, &n), 0);
		assert_int_equal(n.identity.layer, COW_UPPER);
		assert_int_equal(n.identity.dev, 3);
		assert_int_equal(n.identity.ino, 99);
		assert_int_equal(n.stamp, 77);
		assert_int_equal(n.flags, COW_NODE_LINKED);
		assert_int_equal(n.shown_ino, 1001); /* that stays */
		assert_int_equal(cow_nodes_lost_path(t.t, id, got), 0);
		assert_string_equal(got, path);
		reopen(&t);
	}
	assert_int_equal(cow_nodes_seen(t.t, &s, &n), 0); /* found by its new identity */
	assert_int_equal(n.id, id);
	assert_int_not_equal(see_file(t.t, dir, "h", 1), id); /* and not by its old one */
	assert_int_equal(cow_nodes_set_stamp(t.t, 4711, 1), ESTALE);
	assert_int_equal(cow_nodes_set_flags(t.t, 4711, 1, 0), ESTALE);
	assert_int_equal(cow_nodes_set_identity(t.t, 4711, &upper), ESTALE);
	assert_int_equal(cow_nodes_set_lost_path(t.t, 4711, "x"), ESTALE);
	assert_int_equal(cow_nodes_lost_path(t.t, 4711, got), ESTALE);
	close_table(&t);
}

static void a_lost_object_with_a_name_is_found(void **state)
{
	struct table t = open_table();
	struct cow_node n = see(t.t, COW_ROOT, "a", S_IFREG, 1);

	(void)state;
	cow_nodes_unlink(t.t, COW_ROOT, "a");
	assert_int_equal(cow_nodes_set_flags(t.t, n.id, COW_NODE_LOST | COW_NODE_LAZY, 0), 0);
	n = see(t.t, COW_ROOT, "b", S_IFREG, 1);
	assert_int_equal(n.flags, COW_NODE_LAZY);
	close_table(&t);
}

/* ---- renames */

static void rename_whole(struct cow_nodes *t, const struct cow_rename *r)
{
	assert_int_equal(cow_nodes_rename_begin(t, r), 0);
	cow_nodes_rename_end(t, r, true);
}

static void renames_move_names(void **state)
{
	struct table t = open_table();
	uint64_t d = see_dir(t.t, COW_ROOT, "d"), e = see_dir(t.t, COW_ROOT, "e");
	uint64_t f = see_file(t.t, d, "f", 1), g = see_file(t.t, e, "g", 2);
	struct cow_rename r = { d, e, "f", "a-longer-name-than-it-had-before", false };
	struct cow_node n;

	(void)state;
	assert_int_equal(cow_nodes_rename_begin(t.t, &r), 0);
	assert_int_equal(child(t.t, d, "f"), f); /* not yet */
	assert_int_equal(child(t.t, e, r.new_name), 0);
	cow_nodes_rename_end(t.t, &r, false);
	assert_int_equal(child(t.t, d, "f"), f);
	rename_whole(t.t, &r);
	assert_int_equal(child(t.t, d, "f"), 0);
	assert_int_equal(child(t.t, e, r.new_name), f);
	/* Over another's name. */
	r = (struct cow_rename){ e, e, r.new_name, "g", false };
	rename_whole(t.t, &r);
	assert_int_equal(child(t.t, e, "g"), f);
	assert_int_equal(cow_nodes_get(t.t, g, &n), 0);
	assert_int_equal(n.parent, 0);
	/* Nobody begun. */
	r = (struct cow_rename){ e, d, "g", "h", false };
	cow_nodes_rename_end(t.t, &r, true);
	assert_int_equal(child(t.t, d, "h"), f);
	/* A directory with what is in it, and not into itself. */
	r = (struct cow_rename){ COW_ROOT, e, "d", "d2", false };
	rename_whole(t.t, &r);
	assert_int_equal(child(t.t, e, "d2"), d);
	assert_int_equal(child(t.t, d, "h"), f);
	r = (struct cow_rename){ COW_ROOT, d, "e", "in-itself", false };
	rename_whole(t.t, &r);
	assert_int_equal(child(t.t, COW_ROOT, "e"), e);
	assert_int_equal(child(t.t, d, "in-itself"), 0);
	close_table(&t);
}

static void renames_exchange(void **state)
{
	struct table t = open_table();
	uint64_t d = see_dir(t.t, COW_ROOT, "d"), a = see_file(t.t, d, "a", 1);
	uint64_t b = see_dir(t.t, COW_ROOT, "b"), c = see_file(t.t, b, "c", 3);
	struct cow_rename r = { d, COW_ROOT, "a", "b", true };

	(void)state;
	rename_whole(t.t, &r);
	assert_int_equal(child(t.t, d, "a"), b);
	assert_int_equal(child(t.t, COW_ROOT, "b"), a);
	assert_int_equal(child(t.t, b, "c"), c);
	/* The table knows one of them only. */
	r = (struct cow_rename){ b, COW_ROOT, "c", "unknown", true };
	rename_whole(t.t, &r);
	assert_int_equal(child(t.t, b, "c"), 0);
	assert_int_equal(child(t.t, COW_ROOT, "unknown"), c);
	r = (struct cow_rename){ b, COW_ROOT, "unknown-too", "unknown", true };
	rename_whole(t.t, &r);
	assert_int_equal(child(t.t, b, "unknown-too"), c);
	assert_int_equal(child(t.t, COW_ROOT, "unknown"), 0);
	/* Into itself, seen from either side. */
	r = (struct cow_rename){ COW_ROOT, d, "d", "a", true };
	rename_whole(t.t, &r);
	assert_int_equal(child(t.t, COW_ROOT, "d"), d);
	r = (struct cow_rename){ d, COW_ROOT, "a", "d", true };
	rename_whole(t.t, &r);
	assert_int_equal(child(t.t, COW_ROOT, "d"), d);
	close_table(&t);
}

static void renames_meet_lookups(void **state)
{
	struct table t = open_table();
	uint64_t a = see_file(t.t, COW_ROOT, "a", 1), b = see_file(t.t, COW_ROOT, "b", 2), c;
	struct cow_rename r = { COW_ROOT, COW_ROOT, "a", "b", false };
	struct cow_nodes_stats s;

	(void)state;
	/* Seen at its new place before the end, and somebody else at the old one. */
	assert_int_equal(cow_nodes_rename_begin(t.t, &r), 0);
	assert_int_equal(cow_nodes_rename_begin(t.t, &r), 0); /* asked for twice */
	assert_int_equal(see_file(t.t, COW_ROOT, "b", 1), a);
	c = see_file(t.t, COW_ROOT, "a", 3);
	cow_nodes_rename_end(t.t, &r, true);
	assert_int_equal(child(t.t, COW_ROOT, "a"), c);
	assert_int_equal(child(t.t, COW_ROOT, "b"), a);
	assert_true(forget(t.t, b, 1));
	/* Names of one file: the old one goes. */
	assert_int_equal(cow_nodes_link(t.t, a, COW_ROOT, "a2"), 0);
	r.old_name = "a2";
	rename_whole(t.t, &r);
	assert_int_equal(child(t.t, COW_ROOT, "a2"), 0);
	assert_int_equal(child(t.t, COW_ROOT, "b"), a);
	/* Onto itself nothing happens. */
	r.old_name = "b";
	rename_whole(t.t, &r);
	assert_int_equal(child(t.t, COW_ROOT, "b"), a);
	/* The node goes while its rename is pending. */
	r = (struct cow_rename){ COW_ROOT, COW_ROOT, "b", "z", false };
	assert_int_equal(cow_nodes_rename_begin(t.t, &r), 0);
	assert_true(forget(t.t, a, 100));
	cow_nodes_rename_end(t.t, &r, true);
	assert_int_equal(child(t.t, COW_ROOT, "z"), 0);
	cow_nodes_stats(t.t, &s);
	assert_int_equal(s.nodes, 2);
	assert_int_equal(s.names, 1);
	close_table(&t);
}

struct pending {
	struct cow_nodes *t;
	unsigned calls;
	bool done;
};

static void on_pending(void *arg, const struct cow_rename *r)
{
	struct pending *p = arg;

	p->calls++;
	if (strcmp(r->old_name, "stays") != 0)
		cow_nodes_rename_end(p->t, r, p->done);
}

static void renames_that_were_begun_are_told(void **state)
{
	struct table t = open_table();
	uint64_t d = see_dir(t.t, COW_ROOT, "d"), a = see_file(t.t, d, "a", 1);
	uint64_t b = see_file(t.t, COW_ROOT, "b", 2);
	struct cow_rename r = { d, COW_ROOT, "a", "c", false }, x = { d, COW_ROOT, "a", "b", true },
			  s = { d, d, "stays", "here", false };
	struct pending p = { .done = true };

	(void)state;
	assert_int_equal(cow_nodes_rename_begin(t.t, &s), 0);
	assert_int_equal(cow_nodes_rename_begin(t.t, &r), 0);
	reopen(&t);
	p.t = t.t;
	cow_nodes_rename_pending(t.t, on_pending, &p);
	assert_int_equal(p.calls, 2);
	assert_int_equal(child(t.t, COW_ROOT, "c"), a);
	assert_int_equal(child(t.t, d, "a"), 0);
	rename_whole(t.t, &(struct cow_rename){ COW_ROOT, d, "c", "a", false });
	assert_int_equal(cow_nodes_rename_begin(t.t, &x), 0);
	reopen(&t);
	p = (struct pending){ t.t, 0, true };
	cow_nodes_rename_pending(t.t, on_pending, &p);
	assert_int_equal(p.calls, 2);
	assert_int_equal(child(t.t, d, "a"), b);
	assert_int_equal(child(t.t, COW_ROOT, "b"), a);
	assert_int_equal(cow_nodes_rename_begin(t.t, &r), 0);
	reopen(&t);
	p = (struct pending){ t.t, 0, false };
	cow_nodes_rename_pending(t.t, on_pending, &p);
	assert_int_equal(child(t.t, d, "a"), b);
	assert_int_equal(child(t.t, COW_ROOT, "c"), 0);
	close_table(&t);
}

static void requests_are_noted(void **state)
{
	struct table t = open_table();

	(void)state;
	assert_int_equal(cow_nodes_noted(t.t, 2), 0);
	cow_nodes_note(t.t, 2, 7);
	cow_nodes_note(t.t, 4, 9);
	reopen(&t);
	assert_int_equal(cow_nodes_noted(t.t, 2), 7);
	assert_int_equal(cow_nodes_noted(t.t, 4), 9);
	assert_int_equal(cow_nodes_noted(t.t, 6), 0);
	for (uint64_t unique = 6; unique < 2000; unique += 2)
		cow_nodes_note(t.t, unique, 1);
	assert_int_equal(cow_nodes_noted(t.t, 2), 0); /* long ago: another has its place */
	assert_int_equal(cow_nodes_noted(t.t, 1998), 1);
	close_table(&t);
}

/* ---- all of it */

static void count_node(void *arg, const struct cow_node *n)
{
	uint64_t *count = arg;

	assert_true(n->id > count[1]);
	count[1] = n->id;
	count[0]++;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void many_nodes_take_little(void **state)
{
	enum { NODES = 300000, PER_DIR = 100 };
	struct table t = open_table();
	static uint64_t ids[NODES];
	uint64_t text = 0, dir = 0, count[2] = { 0 }, start = now_ns(), seen, got, kept, gone;
	struct cow_nodes_stats s;
	struct cow_node n;
	char name[64];

	(void)state;
	for (uint64_t i = 0; i < NODES; i++) {
		int len = snprintf(name, sizeof(name), "file-%.*s%lu", (int)(i % 17), "abcdefghijklmnopq",
				   (unsigned long)i);

		text += (uint64_t)len;
		ids[i] = i % PER_DIR ? see_file(t.t, dir, name, i) : see_dir(t.t, COW_ROOT, name);
		dir = i % PER_DIR ? dir : ids[i];
	}
	seen = now_ns() - start;
	cow_nodes_stats(t.t, &s);
	assert_int_equal(s.nodes, NODES + 1);
	assert_int_equal(s.names, NODES);
	assert_true(s.bytes - text < (uint64_t)200 * NODES);
	start = now_ns();
	for (uint64_t i = 0; i < NODES; i++)
		assert_int_equal(cow_nodes_get(t.t, ids[i], &n), 0);
	got = now_ns() - start;
	start = now_ns();
	reopen(&t);
	kept = now_ns() - start;
	cow_nodes_each(t.t, count_node, count);
	assert_int_equal(count[0], NODES + 1);
	start = now_ns();
	for (uint64_t i = 0; i < NODES; i++)
		assert_true(forget(t.t, ids[i], 1) == (i % PER_DIR != 0));
	gone = now_ns() - start;
	print_message(
		"%lu bytes a node besides its name; seen %lu, get %lu, forget %lu ns; takeover %lu ms\n",
		(unsigned long)((s.bytes - text) / NODES), (unsigned long)(seen / NODES),
		(unsigned long)(got / NODES), (unsigned long)(gone / NODES), (unsigned long)(kept / 1000000));
	cow_nodes_stats(t.t, &s);
	assert_int_equal(s.nodes, 1);
	assert_int_equal(s.names, 0);
	close_table(&t);
}

static void others_tables_are_refused(void **state)
{
	struct table t = open_table();
	uint64_t zero = 0;
	struct err e;

	(void)state;
	(void)see_dir(t.t, COW_ROOT, "d");
	cow_nodes_close(t.t);
	t.t = NULL;
	assert_int_equal(pwrite(t.fd, &zero, 4, 8), 4); /* version */
	assert_int_equal(cow_nodes_open(t.fd, true, &t.t, &e), -1);
	assert_int_equal(e.code, ERR_FORMAT);
	assert_int_equal(ftruncate(t.fd, 1000), 0);
	assert_int_equal(cow_nodes_open(t.fd, true, &t.t, &e), -1);
	assert_int_equal(e.code, ERR_FORMAT);
	/* Empty: nobody had come to make it. And without takeover whatever there is goes. */
	assert_int_equal(ftruncate(t.fd, 0), 0);
	assert_int_equal(cow_nodes_open(t.fd, true, &t.t, &e), 0);
	(void)see_dir(t.t, COW_ROOT, "d");
	cow_nodes_close(t.t);
	assert_int_equal(cow_nodes_open(t.fd, false, &t.t, &e), 0);
	assert_int_equal(child(t.t, COW_ROOT, "d"), 0);
	close_table(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nodes_are_what_was_seen),
		cmocka_unit_test(names_and_parents_are_checked),
		cmocka_unit_test(a_file_has_any_number_of_names),
		cmocka_unit_test(many_names_come_and_go),
		cmocka_unit_test(a_name_goes_to_who_was_seen_last),
		cmocka_unit_test(inode_numbers_are_used_again),
		cmocka_unit_test(forgotten_nodes_go),
		cmocka_unit_test(what_went_is_told),
		cmocka_unit_test(ends_are_told),
		cmocka_unit_test(places_are_used_again_with_another_generation),
		cmocka_unit_test(facts_are_kept),
		cmocka_unit_test(a_lost_object_with_a_name_is_found),
		cmocka_unit_test(renames_move_names),
		cmocka_unit_test(renames_exchange),
		cmocka_unit_test(renames_meet_lookups),
		cmocka_unit_test(renames_that_were_begun_are_told),
		cmocka_unit_test(requests_are_noted),
		cmocka_unit_test(many_nodes_take_little),
		cmocka_unit_test(others_tables_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
