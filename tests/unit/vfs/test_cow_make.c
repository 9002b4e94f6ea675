/* SPDX-License-Identifier: Apache-2.0 */
/* Making objects when the request comes a second time, from a server that died at any point. No mount. */
#include "tests/unit/vfs/cow_fixture.h"
#include "vfs/cow_make.h"
#include "vfs/cow_takeover.h"

static const struct cow_maker maker = { .umask = 022 };
static const struct cow_attempt once = { .again = false }, again = { .again = true };

static int set_up(void **state)
{
	static const char *const layers[] = { "-host", NULL };
	struct fixture *f = fixture_make(layers);

	make_file(f, "host/taken", "other");
	assert_int_equal(symlink("nowhere", below(f, "host/link")), 0);
	assert_int_equal(linkat(AT_FDCWD, below(f, "host/link"), AT_FDCWD, below(f, "host/same"), 0), 0);
	fixture_open(f);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	fixture_end(*state);
	return 0;
}

/* With what an upper keeps of it until it has a name; borrowed until the next. */
static const char *orphan_of(const struct fixture *f, uint64_t id)
{
	char text[24], path[64];

	cow_orphan_text(id, text);
	(void)snprintf(path, sizeof(path), "work/orphans/%s", text);
	return below(f, path);
}

static void check_gone(struct fixture *f, const char *name)
{
	struct cow_entry entry;

	assert_int_equal(cow_tree_lookup(&f->u, COW_ROOT, name, &entry), ENOENT);
}

static void test_naming_a_second_time(void **state)
{
	struct fixture *f = *state;
	struct cow_entry made, named;
	struct cow_node n;

	assert_int_equal(cow_make_unnamed(&f->u, &maker, COW_ROOT, 0644, &made), 0);
	/* The predecessor came as far as the disk. */
	assert_int_equal(rename(orphan_of(f, made.id), below(f, "upper/name")), 0);
	assert_int_equal(cow_link(&f->u, made.id, COW_ROOT, "name", &again, &named), 0);
	assert_int_equal(named.id, made.id);
	assert_int_equal(cow_nodes_get(f->u.nodes, made.id, &n), 0);
	assert_false(n.flags & COW_NODE_ORPHAN);
	assert_string_equal(n.name, "name");
	/* It came as far as the table, too. */
	assert_int_equal(cow_link(&f->u, made.id, COW_ROOT, "name", &again, &named), 0);
	assert_int_equal(named.id, made.id);
	assert_int_equal(named.st.st_nlink, 1);
	/* As far as the flag, but not the name. */
	assert_int_equal(cow_make_unnamed(&f->u, &maker, COW_ROOT, 0644, &made), 0);
	assert_int_equal(rename(orphan_of(f, made.id), below(f, "upper/flag")), 0);
	assert_int_equal(cow_nodes_set_flags(f->u.nodes, made.id, 0, COW_NODE_ORPHAN), 0);
	assert_int_equal(cow_link(&f->u, made.id, COW_ROOT, "flag", &again, &named), 0);
	assert_int_equal(named.id, made.id);
}

static void test_naming_over_another(void **state)
{
	struct fixture *f = *state;
	struct cow_entry made, other, named;

	assert_int_equal(cow_make_unnamed(&f->u, &maker, COW_ROOT, 0644, &made), 0);
	assert_int_equal(cow_make_file(&f->u, &maker, COW_ROOT, "here", 0644, &other), 0);
	assert_int_equal(cow_link(&f->u, made.id, COW_ROOT, "here", &once, &named), EEXIST);
	assert_int_equal(cow_link(&f->u, made.id, COW_ROOT, "here", &again, &named), EEXIST);
	assert_int_equal(cow_link(&f->u, made.id, COW_ROOT, "taken", &once, &named), EEXIST);
	assert_int_equal(cow_link(&f->u, made.id, COW_ROOT, "taken", &again, &named), EEXIST);
	assert_int_equal(look_up(f, "here"), other.id);
}

/* The predecessor came as far as the disk. What it replaced is open. */
static void test_renaming_a_second_time(void **state)
{
	struct fixture *f = *state;
	const uint64_t moved = look_up(f, "link");
	const struct cow_rename noted = { COW_ROOT, COW_ROOT, "link", "target", false };
	struct cow_entry target, now;
	struct cow_upper_move m = { .old_name = "link", .new_name = "target", .whiteout = true };

	assert_int_equal(cow_make_file(&f->u, &maker, COW_ROOT, "target", 0644, &target), 0);
	assert_int_equal(cow_copy_up(&f->u, moved, COW_COPY_ALL), 0);
	assert_int_equal(cow_nodes_rename_begin(f->u.nodes, &noted), 0);
	m.old_dir = m.new_dir = cow_upper_root(f->u.upper);
	m.orphan_id = target.id;
	assert_int_equal(cow_upper_move(f->u.upper, &m), 0);
	cow_cache_forget(f->u.files, target.id);
	assert_int_equal(cow_rename(&f->u, COW_ROOT, "link", COW_ROOT, "target", 0, &again), 0);
	assert_int_equal(look_up(f, "target"), moved);
	assert_int_equal(cow_tree_getattr(&f->u, target.id, &now), 0);
	assert_int_equal(now.st.st_nlink, 0);
	assert_int_equal(now.st.st_ino, target.st.st_ino);
}

static uint64_t upper_ino(const struct fixture *f, const char *path)
{
	struct stat st;

	assert_int_equal(lstat(below(f, path), &st), 0);
	return st.st_ino;
}

/* Of two exchanges under way the predecessor had carried out one; its successor died as soon as it knew. */
static void test_exchanging_a_second_time(void **state)
{
	static const struct cow_attempt at[] = { { .unique = 10, .again = true },
						 { .unique = 12, .again = true } };
	const struct cow_rename pair[] = { { COW_ROOT, COW_ROOT, "a0", "b0", true },
					   { COW_ROOT, COW_ROOT, "a1", "b1", true } };
	struct fixture *f = *state;
	struct cow_entry made;
	uint64_t a[2], b[2];

	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(cow_make_file(&f->u, &maker, COW_ROOT, pair[i].old_name, 0644, &made), 0);
		assert_int_equal(cow_make_file(&f->u, &maker, COW_ROOT, pair[i].new_name, 0644, &made), 0);
		assert_int_equal(cow_nodes_rename_begin(f->u.nodes, &pair[i]), 0);
		cow_nodes_note(f->u.nodes, at[i].unique, cow_exchange_note(&pair[i], COW_EXCHANGE_BEGUN));
	}
	a[0] = upper_ino(f, "upper/a0");
	b[0] = upper_ino(f, "upper/b0");
	a[1] = upper_ino(f, "upper/a1");
	b[1] = upper_ino(f, "upper/b1");
	assert_int_equal(
		renameat2(AT_FDCWD, below(f, "upper/a0"), AT_FDCWD, below(f, "upper/b0"), RENAME_EXCHANGE),
		0);
	cow_take_over(&f->u);
	cow_take_over(&f->u);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(cow_rename(&f->u, COW_ROOT, pair[i].old_name, COW_ROOT, pair[i].new_name,
					    RENAME_EXCHANGE, &at[i]),
				 0);
	assert_int_equal(upper_ino(f, "upper/a0"), b[0]);
	assert_int_equal(upper_ino(f, "upper/b0"), a[0]);
	assert_int_equal(upper_ino(f, "upper/a1"), b[1]);
	assert_int_equal(upper_ino(f, "upper/b1"), a[1]);
}

/* Without RENAME_WHITEOUT it takes two steps; the predecessor died between them. */
static void test_renaming_by_two_names(void **state)
{
	struct fixture *f = *state;
	const uint64_t moved = look_up(f, "link");
	const struct cow_rename noted = { COW_ROOT, COW_ROOT, "link", "target", false };
	struct cow_entry target;

	assert_int_equal(cow_make_file(&f->u, &maker, COW_ROOT, "target", 0644, &target), 0);
	assert_int_equal(cow_copy_up(&f->u, moved, COW_COPY_ALL), 0);
	assert_int_equal(cow_nodes_rename_begin(f->u.nodes, &noted), 0);
	assert_int_equal(rename(below(f, "upper/target"), orphan_of(f, target.id)), 0);
	assert_int_equal(linkat(AT_FDCWD, below(f, "upper/link"), AT_FDCWD, below(f, "upper/target"), 0), 0);
	cow_take_over(&f->u);
	assert_int_equal(cow_rename(&f->u, COW_ROOT, "link", COW_ROOT, "target", 0, &again), 0);
	assert_int_equal(look_up(f, "target"), moved);
	check_gone(f, "link");
}

static void test_replacing_a_directory_by_exchange(void **state)
{
	struct fixture *f = *state;
	const struct cow_rename noted = { COW_ROOT, COW_ROOT, "old", "new", false };
	struct cow_entry old, new;

	make_dir(f, "host/old"); /* hence the whiteout */
	old.id = look_up(f, "old");
	assert_int_equal(cow_make_dir(&f->u, &maker, COW_ROOT, "new", 0755, &new), 0);
	assert_int_equal(cow_copy_up_dir(&f->u, old.id), 0);
	make_file(f, "upper/old/inside", "x");
	assert_int_equal(cow_nodes_rename_begin(f->u.nodes, &noted), 0);
	assert_int_equal(
		renameat2(AT_FDCWD, below(f, "upper/old"), AT_FDCWD, below(f, "upper/new"), RENAME_EXCHANGE),
		0);
	cow_take_over(&f->u);
	assert_int_equal(cow_rename(&f->u, COW_ROOT, "old", COW_ROOT, "new", 0, &again), 0);
	assert_int_equal(look_up(f, "new"), old.id);
	assert_int_equal(access(below(f, "upper/new/inside"), F_OK), 0);
	check_gone(f, "old");
}

/* The predecessor died between placing a copy and setting the directory's time back. */
static void test_time_of_a_directory(void **state)
{
	const struct timespec old = { 1385162, 123456789 };
	struct fixture *f = *state;
	struct timespec other;
	struct cow_entry dir, now;

	assert_int_equal(cow_make_dir(&f->u, &maker, COW_ROOT, "dir", 0755, &dir), 0);
	assert_int_equal(
		cow_setattr(&f->u, dir.id, &(struct cow_attrs){ .has_mtime = true, .mtime = old }, &now), 0);
	/* Two at once; one of them ends. */
	other = old;
	cow_nodes_time_begin(f->u.nodes, dir.id, &other);
	make_file(f, "upper/dir/copy", "x");
	other = (struct timespec){ 5, 6 };
	cow_nodes_time_begin(f->u.nodes, dir.id, &other);
	assert_int_equal(other.tv_sec, old.tv_sec);
	assert_int_equal(other.tv_nsec, old.tv_nsec);
	cow_nodes_time_end(f->u.nodes, dir.id);
	assert_int_equal(cow_tree_getattr(&f->u, dir.id, &now), 0);
	assert_true(now.st.st_mtim.tv_sec != old.tv_sec);
	cow_copy_up_take_over(&f->u);
	assert_int_equal(cow_tree_getattr(&f->u, dir.id, &now), 0);
	assert_int_equal(now.st.st_mtim.tv_sec, old.tv_sec);
	assert_int_equal(now.st.st_mtim.tv_nsec, old.tv_nsec);
	/* Once. */
	make_file(f, "upper/dir/other", "x");
	cow_copy_up_take_over(&f->u);
	assert_int_equal(cow_tree_getattr(&f->u, dir.id, &now), 0);
	assert_true(now.st.st_mtim.tv_sec != old.tv_sec);
}

/* A symbolic link has no attributes by which its names could be counted: what is copied up under one of them
 * is an object by itself, and the other name goes on by another node. */
static void test_link_of_two_names(void **state)
{
	const struct timespec time = { 1385162, 0 };
	struct fixture *f = *state;
	struct cow_entry now, named;
	uint64_t link = look_up(f, "link");

	assert_int_equal(look_up(f, "same"), link);
	assert_int_equal(
		cow_setattr(&f->u, link, &(struct cow_attrs){ .has_mtime = true, .mtime = time }, &now), 0);
	assert_int_equal(cow_unlink(&f->u, COW_ROOT, "same", &once), 0);
	assert_int_equal(cow_unlink(&f->u, COW_ROOT, "link", &once), 0);
	check_gone(f, "same");
	check_gone(f, "link");
	/* Deleted, and not lost: it can have a name again, as any file that somebody has open. */
	assert_int_equal(cow_tree_getattr(&f->u, link, &now), 0);
	assert_int_equal(now.st.st_mtim.tv_sec, time.tv_sec);
	assert_int_equal(cow_link(&f->u, link, COW_ROOT, "again", &once, &named), 0);
	assert_int_equal(named.id, link);
}

/* The other name goes first, and what the kernel still takes for one object is the one that is left. */
static void test_link_of_which_one_name_is_left(void **state)
{
	struct fixture *f = *state;
	struct cow_entry named;
	uint64_t link = look_up(f, "link");

	assert_int_equal(look_up(f, "same"), link);
	assert_int_equal(cow_unlink(&f->u, COW_ROOT, "link", &once), 0);
	assert_int_equal(cow_link(&f->u, link, COW_ROOT, "new", &once, &named), 0);
	check_gone(f, "link");
	assert_int_not_equal(look_up(f, "same"), 0);
}

/* Done by a predecessor that came as far as the disk: nobody waits for the directory to come back. */
static void test_removing_a_directory_a_second_time(void **state)
{
	struct fixture *f = *state;
	struct cow_entry dir, now;

	assert_int_equal(cow_make_dir(&f->u, &maker, COW_ROOT, "dir", 0755, &dir), 0);
	assert_int_equal(rmdir(below(f, "upper/dir")), 0);
	cow_cache_forget(f->u.dirs, dir.id);
	assert_int_equal(cow_rmdir(&f->u, COW_ROOT, "dir", &once), ENOENT);
	assert_int_equal(cow_rmdir(&f->u, COW_ROOT, "dir", &again), 0);
	assert_int_equal(cow_tree_getattr(&f->u, dir.id, &now), 0);
	assert_int_equal(now.st.st_nlink, 0);
	check_gone(f, "dir");
}

static int run(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_naming_a_second_time, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_naming_over_another, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_renaming_a_second_time, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_exchanging_a_second_time, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_renaming_by_two_names, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_replacing_a_directory_by_exchange, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_time_of_a_directory, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_link_of_two_names, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_link_of_which_one_name_is_left, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_removing_a_directory_a_second_time, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return run();
}
