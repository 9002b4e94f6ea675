/* SPDX-License-Identifier: Apache-2.0 */
/* Files of the host's whose name another one gets between their lookup and their first reading. No mount. */
#include "tests/unit/vfs/cow_fixture.h"

static int set_up(void **state)
{
	static const char *const layers[] = { "-host", NULL };
	struct fixture *f = fixture_make(layers);

	make_file(f, "host/file", "old");
	fixture_open(f);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	fixture_end(*state);
	return 0;
}

static uint64_t look_up_to_open(struct fixture *f, const char *name)
{
	struct cow_entry entry;

	assert_int_equal(cow_tree_lookup_held(&f->u, COW_ROOT, name, &entry), 0);
	return entry.id;
}

static void replace(struct fixture *f)
{
	make_file(f, "host/other", "new one");
	assert_int_equal(rename(below(f, "host/other"), below(f, "host/file")), 0);
}

static void expect_text(struct fixture *f, uint64_t id, const char *text)
{
	char buf[64];
	size_t got;

	assert_int_equal(cow_read(&f->u, id, buf, sizeof(buf), 0, &got, NULL, NULL), 0);
	assert_int_equal(got, strlen(text));
	assert_memory_equal(buf, text, got);
}

static void both_are_read(void **state)
{
	struct fixture *f = *state;
	uint64_t old = look_up_to_open(f, "file"), new;

	replace(f);
	new = look_up_to_open(f, "file");
	assert_int_not_equal(new, old);
	expect_text(f, old, "old");
	expect_text(f, new, "new one");
	/* What is read is open, and need not be held any more. */
	assert_int_equal(cow_cache_weight(f->u.files), 2);
	assert_int_equal(cow_cache_weight(f->u.holds), 0);
}

static void what_is_only_listed_is_not_held(void **state)
{
	struct fixture *f = *state;
	uint64_t old = look_up(f, "file");
	char buf[8];
	size_t got;

	assert_int_equal(cow_cache_weight(f->u.holds), 0);
	replace(f);
	assert_int_equal(cow_read(&f->u, old, buf, sizeof(buf), 0, &got, NULL, NULL), ESTALE);
}

/* It has no place to be copied to. */
static void writing_the_old_one_changes_neither(void **state)
{
	struct fixture *f = *state;
	uint64_t old = look_up_to_open(f, "file");
	size_t put;

	replace(f);
	assert_int_equal(cow_write(&f->u, old, "X", 1, 0, false, &put), ESTALE);
	expect_text(f, look_up_to_open(f, "file"), "new one");
	expect_text(f, old, "old");
}

static void changed_in_place_it_is_read_as_it_is(void **state)
{
	struct fixture *f = *state;
	uint64_t id = look_up_to_open(f, "file");

	auto_fd int fd = open(below(f, "host/file"), O_WRONLY | O_TRUNC | O_CLOEXEC);

	assert_int_equal(write(fd, "more", 4), 4);
	expect_text(f, id, "more");
}

static void one_that_was_copied_up_is_not_read_below(void **state)
{
	struct fixture *f = *state;
	uint64_t id = look_up_to_open(f, "file");
	size_t put;

	assert_int_equal(cow_write(&f->u, id, "O", 1, 0, false, &put), 0);
	assert_int_equal(look_up_to_open(f, "file"), id);
	expect_text(f, id, "Old");
	cow_cache_forget_all(f->u.files);
	expect_text(f, id, "Old");
}

/* A number that the host gives to another file as soon as nobody has this one open. */
static void it_stays_open_while_the_kernel_knows_it(void **state)
{
	struct fixture *f = *state;
	uint64_t id = look_up_to_open(f, "file");

	assert_int_equal(look_up_to_open(f, "file"), id);
	assert_int_equal(cow_cache_weight(f->u.holds), 1);
	expect_text(f, id, "old");
	assert_int_equal(unlink(below(f, "host/file")), 0);
	cow_forget(&f->u, id, 1);
	expect_text(f, id, "old");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(both_are_read, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_only_listed_is_not_held, set_up, tear_down),
		cmocka_unit_test_setup_teardown(writing_the_old_one_changes_neither, set_up, tear_down),
		cmocka_unit_test_setup_teardown(changed_in_place_it_is_read_as_it_is, set_up, tear_down),
		cmocka_unit_test_setup_teardown(one_that_was_copied_up_is_not_read_below, set_up, tear_down),
		cmocka_unit_test_setup_teardown(it_stays_open_while_the_kernel_knows_it, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("cow_hold", tests, NULL, NULL);
}
