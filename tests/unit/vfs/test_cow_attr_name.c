/* SPDX-License-Identifier: Apache-2.0 */
/* What extended attributes are called inside the union and in its layers, and which do not show. */
#include <stdio.h>
#include <string.h>

#include "tests/unit/cmocka_all.h"

#include "base/mem.h"
#include "vfs/cow_attr_name.h"

static void names_are_escaped_in_the_uppers_format(void **state)
{
	static const struct {
		const char *shown, *stored;
	} want[] = {
		{ "user.a", "user.a" },
		{ "user.overlay", "user.overlay" },
		{ "user.overlays.x", "user.overlays.x" },
		{ "user.overlay.opaque", "user.overlay.overlay.opaque" },
		{ "user.overlay.overlay.x", "user.overlay.overlay.overlay.x" },
		{ "user.overlay.floe.ino", "user.overlay.overlay.floe.ino" },
		{ "system.posix_acl_access", "system.posix_acl_access" },
		{ "trusted.overlay.opaque", "trusted.overlay.opaque" },
	};
	char room[COW_ATTR_NAME_SIZE];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		assert_false(cow_attr_is_private(want[i].shown));
		assert_string_equal(cow_attr_stored(true, want[i].shown, room), want[i].stored);
		assert_string_equal(cow_attr_shown(true, want[i].stored, room), want[i].shown);
		assert_string_equal(cow_attr_stored(false, want[i].shown, room), want[i].shown);
		assert_string_equal(cow_attr_shown(false, want[i].shown, room), want[i].shown);
	}
}

static void notes_show_nowhere(void **state)
{
	static const char *const notes[] = { "user.floe.lazy", "user.floe.",
					     "user.containers.override_stat" };
	static const char *const overlays[] = { "user.overlay.opaque", "user.overlay.floe.ino",
						"user.overlay.overlay" };
	char room[COW_ATTR_NAME_SIZE], longest[COW_ATTR_NAME_SIZE];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(notes); i++) {
		assert_true(cow_attr_is_private(notes[i]));
		assert_null(cow_attr_shown(true, notes[i], room));
		assert_null(cow_attr_shown(false, notes[i], room));
	}
	for (size_t i = 0; i < ARRAY_LEN(overlays); i++)
		assert_null(cow_attr_shown(true, overlays[i], room));
	assert_false(cow_attr_is_private("user.floe"));
	assert_false(cow_attr_is_private("user.containers.override_status"));
	/* Eight bytes more must fit. */
	(void)snprintf(longest, sizeof(longest), "user.overlay.%0242d", 0);
	assert_int_equal(strlen(longest), XATTR_NAME_MAX);
	assert_null(cow_attr_stored(true, longest, room));
	longest[XATTR_NAME_MAX - 8] = 0;
	assert_non_null(cow_attr_stored(true, longest, room));
	assert_int_equal(strlen(room), XATTR_NAME_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_escaped_in_the_uppers_format),
		cmocka_unit_test(notes_show_nowhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
