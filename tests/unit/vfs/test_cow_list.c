/* SPDX-License-Identifier: Apache-2.0 */
/* Listing directories of a union: what shows, with which numbers, and how a listing goes on while things
 * change. No mount. */
#include "vfs/cow_list.h"

#include <dirent.h>
#include <sys/sysmacros.h>

#include "tests/unit/vfs/cow_fixture.h"

static const struct cow_attempt once = { .again = false };

static const struct cow_maker maker = { .umask = 022 };

static void make_whiteout(const struct fixture *f, const char *path)
{
	assert_int_equal(mknod(below(f, path), S_IFCHR, makedev(0, 0)), 0);
}

static int set_up(void **state)
{
	static const char *const layers[] = { "!frozen", "-host", NULL };
	struct fixture *f = fixture_make(layers);

	fixture_open(f);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	fixture_end(*state);
	return 0;
}

/* ---- a reader */

enum { NAMES_MAX = 4096, TEXT_MAX = 24 };

struct reader {
	struct fixture *f;
	uint64_t id, off;
	unsigned batch, left; /* names a call, and still to come in this one */
	size_t count;
	char names[NAMES_MAX][TEXT_MAX];
	uint64_t inos[NAMES_MAX];
	unsigned char types[NAMES_MAX];
};

static bool take(void *arg, const char *name, uint64_t ino, unsigned char type, uint64_t next_off)
{
	struct reader *r = arg;

	if (r->left == 0)
		return false;
	assert_true(r->count < NAMES_MAX && strlen(name) < TEXT_MAX);
	assert_true(next_off != 0 && next_off >> 63 == 0);
	r->left--;
	(void)strcpy(r->names[r->count], name);
	r->inos[r->count] = ino;
	r->types[r->count++] = type;
	r->off = next_off;
	return true;
}

static struct reader *reader_of(struct fixture *f, uint64_t id, unsigned batch)
{
	struct reader *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	r->f = f;
	r->id = id;
	r->batch = batch;
	return r;
}

/* One call, as the kernel makes it. False: that was the end. */
static bool read_some(struct reader *r)
{
	r->left = r->batch;
	assert_int_equal(cow_list(&r->f->u, r->id, r->off, 4096, take, r), 0);
	return r->left < r->batch;
}

static struct reader *read_all(struct fixture *f, uint64_t id, unsigned batch)
{
	struct reader *r = reader_of(f, id, batch);

	while (read_some(r))
		;
	return r;
}

/* Its place; count: not there. Nothing comes twice. */
static size_t place_in(const struct reader *r, const char *name)
{
	size_t found = r->count;

	for (size_t i = 0; i < r->count; i++)
		if (strcmp(r->names[i], name) == 0) {
			assert_int_equal(found, r->count);
			found = i;
		}
	return found;
}

static bool is_in(const struct reader *r, const char *name)
{
	return place_in(r, name) < r->count;
}

/* Exactly these names (and the dots), each with the number and type that a lookup tells. */
static void expect(struct fixture *f, uint64_t id, unsigned batch, const char *const *names, size_t count)
{
	struct reader *r = read_all(f, id, batch);

	for (size_t i = 0; i < count; i++) {
		size_t at = place_in(r, names[i]);
		struct cow_entry entry;

		if (at == r->count)
			fail_msg("%s is missing", names[i]);
		entry = find(f, id, names[i]);
		assert_int_equal(r->inos[at], entry.st.st_ino);
		assert_int_equal(r->types[at], IFTODT(entry.st.st_mode));
	}
	assert_true(is_in(r, ".") && is_in(r, ".."));
	assert_int_equal(r->count, count + 2);
	free(r);
}

static uint64_t number_of(struct fixture *f, uint64_t id)
{
	struct cow_entry entry;

	assert_int_equal(cow_tree_getattr(&f->u, id, &entry), 0);
	assert_true(entry.st.st_ino != 0);
	return entry.st.st_ino;
}

static void expect_dots(struct fixture *f, uint64_t id, uint64_t parent)
{
	struct reader *r = read_all(f, id, 100);

	assert_int_equal(r->inos[place_in(r, ".")], number_of(f, id));
	assert_int_equal(r->inos[place_in(r, "..")], number_of(f, parent));
	free(r);
}

/* ---- what shows */

static void layers_are_merged(void **state)
{
	static const char *const names[] = {
		"up", "both", "host-only", "frozen-only", "dir", "clash", "link"
	};
	struct fixture *f = *state;

	make_file(f, "upper/up", "");
	make_file(f, "upper/both", "");
	make_file(f, "host/both", "");
	make_file(f, "frozen/both", "");
	make_file(f, "host/host-only", "");
	make_file(f, "frozen/frozen-only", "");
	make_file(f, "host/hidden-by-upper", "");
	make_file(f, "frozen/hidden-by-upper", "");
	make_whiteout(f, "upper/hidden-by-upper");
	make_file(f, "host/hidden-by-frozen", "");
	make_whiteout(f, "frozen/hidden-by-frozen");
	make_whiteout(f, "upper/whiteout-of-nothing");
	make_dir(f, "host/dir");
	make_dir(f, "upper/dir");
	make_dir(f, "host/clash");
	make_file(f, "upper/clash", "");
	assert_int_equal(symlink("nowhere", below(f, "host/link")), 0);
	for (unsigned batch = 1; batch < 12; batch++)
		expect(f, COW_ROOT, batch, names, ARRAY_LEN(names));
	expect_dots(f, COW_ROOT, COW_ROOT);
	expect_dots(f, find(f, COW_ROOT, "dir").id, COW_ROOT);
}

static void one_layer_shows_as_it_is(void **state)
{
	static const char *const names[] = { "a", "b", "sub" };
	static const char *const places[] = { "host", "frozen", "upper" };
	struct fixture *f = *state;
	char path[128];

	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		uint64_t id;

		(void)snprintf(path, sizeof(path), "%s/%zu", places[i], i);
		make_dir(f, path);
		(void)snprintf(path, sizeof(path), "%s/%zu/sub", places[i], i);
		make_dir(f, path);
		for (size_t k = 0; k < 2; k++) {
			(void)snprintf(path, sizeof(path), "%s/%zu/%s", places[i], i, names[k]);
			make_file(f, path, "");
		}
		if (i > 0) {
			(void)snprintf(path, sizeof(path), "%s/%zu/gone", places[i], i);
			make_whiteout(f, path);
		}
		(void)snprintf(path, sizeof(path), "%zu", i);
		id = find(f, COW_ROOT, path).id;
		for (unsigned batch = 1; batch < 7; batch++)
			expect(f, id, batch, names, ARRAY_LEN(names));
		expect_dots(f, id, COW_ROOT);
		expect_dots(f, find(f, id, "sub").id, id);
	}
}

static void whiteouts_may_be_files(void **state)
{
	static const char *const names[] = { "empty", "full" };
	static const char *const marks[] = { "x", "y" };
	struct fixture *f = *state;
	char path[128];

	for (size_t i = 0; i < ARRAY_LEN(marks); i++) {
		char name[8];

		(void)snprintf(name, sizeof(name), "%zu", i);
		(void)snprintf(path, sizeof(path), "upper/%zu", i);
		make_dir(f, path);
		put(f, path, "user.overlay.opaque", marks[i]);
		(void)snprintf(path, sizeof(path), "upper/%zu/empty", i);
		make_file(f, path, "");
		(void)snprintf(path, sizeof(path), "upper/%zu/full", i);
		make_file(f, path, "");
		(void)snprintf(path, sizeof(path), "upper/%zu/gone", i);
		make_file(f, path, "");
		put(f, path, "user.overlay.whiteout", "y");
		(void)snprintf(path, sizeof(path), "host/%zu", i);
		make_dir(f, path);
		(void)snprintf(path, sizeof(path), "host/%zu/gone", i);
		make_file(f, path, "");
		expect(f, find(f, COW_ROOT, name).id, 3, names, ARRAY_LEN(names));
	}
}

static void the_links_index_does_not_show(void **state)
{
	static const char *const names[] = { "other" }, *const elsewhere[] = { "links" };
	struct fixture *f = *state;
	struct reader *r;
	uint64_t id;

	make_dir(f, "upper/.floe");
	make_dir(f, "upper/.floe/links");
	make_dir(f, "upper/.floe/other");
	make_dir(f, "upper/x");
	make_dir(f, "upper/x/links");
	id = find(f, COW_ROOT, ".floe").id;
	expect(f, id, 10, names, 1);
	expect(f, find(f, COW_ROOT, "x").id, 10, elsewhere, 1);
	assert_int_equal(cow_list_is_empty(&f->u, id), ENOTEMPTY);
	assert_int_equal(rmdir(below(f, "upper/.floe/other")), 0);
	assert_int_equal(cow_list_is_empty(&f->u, id), 0);
	r = read_all(f, COW_ROOT, 10);
	assert_true(is_in(r, ".floe"));
	free(r);
}

static void numbers_stay_over_copy_up(void **state)
{
	static const char *const names[] = { "file", "other", "sub" };
	struct fixture *f = *state;
	struct cow_entry before, other, sub;
	struct reader *r;
	uint64_t id;

	make_dir(f, "host/d");
	make_dir(f, "host/d/sub");
	make_file(f, "host/d/file", "");
	make_file(f, "host/d/other", "");
	id = find(f, COW_ROOT, "d").id;
	before = find(f, id, "file");
	other = find(f, id, "other");
	sub = find(f, id, "sub");
	assert_int_equal(cow_copy_up(&f->u, before.id, COW_COPY_ALL), 0);
	assert_int_equal(cow_copy_up_dir(&f->u, sub.id), 0);
	expect(f, id, 2, names, ARRAY_LEN(names));
	r = read_all(f, id, 2);
	assert_int_equal(r->inos[place_in(r, "file")], before.st.st_ino);
	assert_int_equal(r->inos[place_in(r, "other")], other.st.st_ino);
	assert_int_equal(r->inos[place_in(r, "sub")], sub.st.st_ino);
	free(r);
	expect_dots(f, sub.id, id);
}

/* As copy-ups left them before the freeze. */
static void numbers_stay_over_a_freeze(void **state)
{
	static const char *const names[] = { "noted", "own" };
	static const char *const dirs[] = { "straight", "merged" };
	struct fixture *f = *state;
	char path[64];

	make_dir(f, "host/merged");
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		(void)snprintf(path, sizeof(path), "frozen/%s", dirs[i]);
		make_dir(f, path);
		put(f, path, "user.overlay.floe.impure", "y");
		for (size_t k = 0; k < ARRAY_LEN(names); k++) {
			(void)snprintf(path, sizeof(path), "frozen/%s/%s", dirs[i], names[k]);
			make_file(f, path, "");
		}
		(void)snprintf(path, sizeof(path), "frozen/%s/noted", dirs[i]);
		put(f, path, "user.overlay.floe.ino", "4711");
	}
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		uint64_t id = find(f, COW_ROOT, dirs[i]).id;

		expect(f, id, 100, names, ARRAY_LEN(names));
		assert_int_equal(find(f, id, "noted").st.st_ino, 4711);
	}
}

static void reopen_frozen(struct fixture *f)
{
	cow_layer_close(f->u.layers[1]);
	f->u.layers[1] = open_layer(f, "frozen", true);
}

static void a_frozen_index_does_not_show(void **state)
{
	static const char *const nothing[] = { "file" }, *const other[] = { "lib" };
	struct fixture *f = *state;
	struct cow_dir *root;
	struct cow_thing thing;
	uint64_t id;

	make_dir(f, "frozen/.floe");
	make_dir(f, "frozen/.floe/links");
	make_file(f, "frozen/file", "");
	reopen_frozen(f);
	expect(f, COW_ROOT, 100, nothing, ARRAY_LEN(nothing));
	assert_int_equal(cow_dir_ref(&f->u, COW_ROOT, &root), 0);
	assert_int_equal(cow_tree_find(&f->u, root, ".floe", &thing), ENOENT);
	cow_dir_unref(&f->u, root);
	cow_cache_forget(f->u.dirs, COW_ROOT);

	make_dir(f, "frozen/.floe/lib");
	reopen_frozen(f);
	id = find(f, COW_ROOT, ".floe").id;
	expect(f, id, 100, other, ARRAY_LEN(other));
	make_dir(f, "host/.floe"); /* now it is merged */
	cow_cache_forget(f->u.dirs, id);
	expect(f, id, 100, other, ARRAY_LEN(other));
}

/* Three names of one file: one is copied up and gone again before the freeze, the others are used after it.
 */
static void links_go_on_after_a_freeze(void **state)
{
	struct fixture *f = *state;
	struct cow_entry one, two;
	char key[96], to[256];
	struct stat st;

	make_file(f, "host/one", "");
	assert_int_equal(link(below(f, "host/one"), below(f, "host/two")), 0);
	assert_int_equal(link(below(f, "host/one"), below(f, "host/gone")), 0);
	assert_int_equal(stat(below(f, "host/one"), &st), 0);
	cow_links_key("host", st.st_dev, st.st_ino, key);
	make_whiteout(f, "frozen/gone");
	make_dir(f, "frozen/.floe");
	make_dir(f, "frozen/.floe/links");
	make_file(f, "frozen/copy", "");
	assert_int_equal(rename(below(f, "frozen/copy"), below(f, "frozen/.floe/links/x")), 0);
	put(f, "frozen/.floe/links/x", "user.floe.links", "2");
	put(f, "frozen/.floe/links/x", "user.overlay.floe.ino", "4711");
	put(f, "frozen", "user.floe.features", "links");
	(void)snprintf(to, sizeof(to), "frozen/.floe/links/%s", key);
	assert_int_equal(rename(below(f, "frozen/.floe/links/x"), below(f, to)), 0);
	reopen_frozen(f);
	one = find(f, COW_ROOT, "one");
	two = find(f, COW_ROOT, "two");
	assert_int_equal(one.id, two.id);
	assert_int_equal(one.st.st_nlink, 2);
	assert_int_equal(one.st.st_ino, 4711);
	assert_int_equal(cow_copy_up(&f->u, one.id, COW_COPY_ALL), 0);
	two = find(f, COW_ROOT, "two");
	assert_int_equal(one.id, two.id);
	assert_int_equal(two.st.st_nlink, 2);
	assert_int_equal(two.st.st_ino, 4711);
	assert_int_equal(cow_unlink(&f->u, COW_ROOT, "one", &once), 0);
	two = find(f, COW_ROOT, "two");
	assert_int_equal(two.id, one.id);
	assert_int_equal(two.st.st_nlink, 1);
}

static void emptiness_is_seen_through_layers(void **state)
{
	struct fixture *f = *state;
	uint64_t id;

	make_dir(f, "host/d");
	make_dir(f, "upper/d");
	id = find(f, COW_ROOT, "d").id;
	assert_int_equal(cow_list_is_empty(&f->u, id), 0);
	make_file(f, "host/d/a", "");
	assert_int_equal(cow_list_is_empty(&f->u, id), ENOTEMPTY);
	make_whiteout(f, "upper/d/a");
	assert_int_equal(cow_list_is_empty(&f->u, id), 0);
	make_file(f, "upper/d/b", "");
	assert_int_equal(cow_list_is_empty(&f->u, id), ENOTEMPTY);
}

static void only_directories_are_listed(void **state)
{
	struct fixture *f = *state;
	struct reader *r = reader_of(f, 0, 1);

	make_file(f, "host/file", "");
	assert_int_equal(cow_list(&f->u, find(f, COW_ROOT, "file").id, 0, 4096, take, r), ENOTDIR);
	assert_int_equal(cow_list(&f->u, 4711, 0, 4096, take, r), ESTALE);
	assert_int_equal(cow_list_is_empty(&f->u, 4711), ESTALE);
	free(r);
}

/* ---- going on */

/* `count` files n0, n1, ... in DIR. */
static void fill(struct fixture *f, const char *dir, unsigned first, unsigned count)
{
	char path[128];

	for (unsigned i = first; i < first + count; i++) {
		(void)snprintf(path, sizeof(path), "%.80s/n%u", dir, i);
		make_file(f, path, "");
	}
}

/* Reads a bit, deletes what it has read, reads on: nothing may be left. */
static void delete_while_reading(struct fixture *f, uint64_t id, unsigned batch)
{
	struct reader *r = reader_of(f, id, batch);
	size_t done = 0;

	while (read_some(r))
		for (; done < r->count; done++)
			if (r->names[done][0] != '.')
				assert_int_equal(cow_unlink(&f->u, id, r->names[done], &once), 0);
	free(r);
	assert_int_equal(cow_list_is_empty(&f->u, id), 0);
	expect(f, id, 5, NULL, 0);
}

static void deleting_while_reading_leaves_nothing(void **state)
{
	struct fixture *f = *state;

	make_dir(f, "host/low"); /* is copied up by the first deletion */
	fill(f, "host/low", 0, 700);
	make_dir(f, "upper/up");
	fill(f, "upper/up", 0, 700);
	make_dir(f, "upper/merged");
	make_dir(f, "host/merged");
	fill(f, "upper/merged", 0, 300);
	fill(f, "host/merged", 200, 300);
	delete_while_reading(f, find(f, COW_ROOT, "low").id, 60);
	delete_while_reading(f, find(f, COW_ROOT, "up").id, 60);
	delete_while_reading(f, find(f, COW_ROOT, "merged").id, 60);
	assert_int_equal(cow_rmdir(&f->u, COW_ROOT, "merged", &once), 0);
}

/* Those of the beginning that nobody touches come once each, whatever comes and goes beside them. */
static void what_stays_is_listed_once(struct fixture *f, const char *name, bool evict, bool restart)
{
	uint64_t id = find(f, COW_ROOT, name).id;
	struct reader *r = reader_of(f, id, 13), *other;
	struct cow_entry entry;
	struct err e;
	char text[32];

	for (unsigned round = 0; read_some(r); round++) {
		(void)snprintf(text, sizeof(text), "new%u", round);
		assert_int_equal(cow_make_dir(&f->u, &maker, id, text, 0755, &entry), 0);
		(void)snprintf(text, sizeof(text), "n%u", 100 + round);
		assert_int_equal(cow_unlink(&f->u, id, text, &once), 0);
		for (unsigned i = 0; evict && i < 70; i++) {
			(void)snprintf(text, sizeof(text), "e%u", i);
			other = read_all(f, find(f, COW_ROOT, text).id, 100);
			free(other);
		}
		if (restart) {
			cow_lists_close(f->u.lists);
			assert_int_equal(cow_lists_open(&f->u.lists, &e), 0);
		}
	}
	for (unsigned i = 0; i < 100; i++) {
		(void)snprintf(text, sizeof(text), "n%u", i);
		assert_true(is_in(r, text)); /* and not twice */
	}
	free(r);
}

static void listings_go_on_where_they_were(void **state)
{
	static const char *const names[] = { "kept", "evicted", "restarted", "low" };
	struct fixture *f = *state;
	char path[128];

	for (unsigned i = 0; i < 70; i++) {
		(void)snprintf(path, sizeof(path), "upper/e%u", i);
		make_dir(f, path);
		(void)snprintf(path, sizeof(path), "host/e%u", i);
		make_dir(f, path);
	}
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		(void)snprintf(path, sizeof(path), "host/%s", names[i]);
		make_dir(f, path);
		fill(f, path, 50, 200);
		(void)snprintf(path, sizeof(path), "%s/%s", i == 3 ? "host" : "upper", names[i]);
		if (i < 3)
			make_dir(f, path);
		fill(f, path, 0, 50);
		what_stays_is_listed_once(f, names[i], i == 1, i == 2);
	}
}

/* The k-th of n0, n1, ... that has not been read yet. */
static void name_ahead(const struct reader *r, unsigned k, char ret[16])
{
	for (unsigned i = 0, met = 0; met <= k; i++) {
		(void)snprintf(ret, 16, "n%u", i);
		met += !is_in(r, ret);
	}
}

static void change_names_ahead(struct fixture *f, const char *name)
{
	uint64_t id = find(f, COW_ROOT, name).id;
	struct reader *r = reader_of(f, id, 2);
	char gone[16], again[16], moved[16], over[16];
	struct cow_entry made, replaced;

	assert_true(read_some(r));
	name_ahead(r, 0, gone);
	name_ahead(r, 1, again);
	name_ahead(r, 2, moved);
	name_ahead(r, 3, over);
	assert_int_equal(cow_unlink(&f->u, id, gone, &once), 0);
	assert_int_equal(cow_unlink(&f->u, id, again, &once), 0);
	assert_int_equal(cow_make_dir(&f->u, &maker, id, again, 0755, &made), 0);
	replaced = find(f, id, moved);
	assert_int_equal(cow_rename(&f->u, id, moved, id, over, 0, &once), 0);
	while (read_some(r))
		;
	assert_false(is_in(r, gone));
	assert_false(is_in(r, moved));
	assert_true(is_in(r, again) && is_in(r, over)); /* there was an `over` all along */
	assert_int_equal(r->types[place_in(r, again)], DT_DIR);
	assert_int_equal(r->inos[place_in(r, again)], made.st.st_ino);
	assert_int_equal(r->inos[place_in(r, over)], replaced.st.st_ino);
	assert_int_equal(r->count, 2 + 18);
	free(r);
}

static void names_that_change_are_told_as_they_are(void **state)
{
	struct fixture *f = *state;

	make_dir(f, "host/merged");
	make_dir(f, "upper/merged");
	fill(f, "host/merged", 0, 20);
	make_dir(f, "host/low"); /* goes on in the layer where it began */
	fill(f, "host/low", 0, 20);
	change_names_ahead(f, "merged");
	change_names_ahead(f, "low");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(layers_are_merged, set_up, tear_down),
		cmocka_unit_test_setup_teardown(one_layer_shows_as_it_is, set_up, tear_down),
		cmocka_unit_test_setup_teardown(whiteouts_may_be_files, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_links_index_does_not_show, set_up, tear_down),
		cmocka_unit_test_setup_teardown(numbers_stay_over_copy_up, set_up, tear_down),
		cmocka_unit_test_setup_teardown(numbers_stay_over_a_freeze, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_frozen_index_does_not_show, set_up, tear_down),
		cmocka_unit_test_setup_teardown(links_go_on_after_a_freeze, set_up, tear_down),
		cmocka_unit_test_setup_teardown(emptiness_is_seen_through_layers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(only_directories_are_listed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(deleting_while_reading_leaves_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(listings_go_on_where_they_were, set_up, tear_down),
		cmocka_unit_test_setup_teardown(names_that_change_are_told_as_they_are, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
