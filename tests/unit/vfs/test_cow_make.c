/* SPDX-License-Identifier: Apache-2.0 */
/* Making objects when the request comes a second time, from a server that died at any point. No mount. */
#include "tests/unit/vfs/cow_fixture.h"

static const struct cow_maker maker = { .umask = 022 };
static const struct cow_attempt once = { .again = false }, again = { .again = true };

static int set_up(void **state)
{
	static const char *const layers[] = { "-host", NULL };
	struct fixture *f = fixture_make(layers);

	make_file(f, "host/taken", "other");
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

static int run(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_naming_a_second_time, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_naming_over_another, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return run();
}
