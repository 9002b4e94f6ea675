/* SPDX-License-Identifier: Apache-2.0 */
/* Error values: text, codes, wrapping, cutting. */
#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "tests/unit/cmocka_all.h"

static void sets_code_and_text(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(err_set(&e, ERR_FORMAT, "bad %s at %d", "magic", 7), -1);
	assert_int_equal(e.code, ERR_FORMAT);
	assert_int_equal(e.sys, 0);
	assert_string_equal(e.msg, "bad magic at 7");
}

static void takes_code_from_errno(void **state)
{
	static const struct {
		int sys;
		enum err_code code;
	} row[] = {
		{ ENOENT, ERR_NOTFOUND }, { EEXIST, ERR_EXISTS },      { EACCES, ERR_DENIED },
		{ EPERM, ERR_DENIED },    { ENOMEM, ERR_NOMEM },       { EBUSY, ERR_BUSY },
		{ EIO, ERR_IO },          { ENOSYS, ERR_UNSUPPORTED }, { EINTR, ERR_INTERRUPTED },
		{ ENOSPC, ERR_IO },
	};
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		assert_int_equal(err_sys(&e, row[i].sys, "open %s", "x"), -1);
		assert_int_equal(e.code, row[i].code);
		assert_int_equal(e.sys, row[i].sys);
		assert_int_equal(err_to_errno(&e), row[i].sys);
	}
	(void)err_sys(&e, ENOENT, "open %s", "x");
	assert_string_equal(e.msg, "open x: No such file or directory");
}

static void wraps_in_front(void **state)
{
	struct err e;

	(void)state;
	(void)err_sys(&e, ENOSPC, "write");
	assert_int_equal(err_wrap(&e, "cache %d", 1), -1);
	assert_string_equal(e.msg, "cache 1: write: No space left on device");
	assert_int_equal(e.code, ERR_IO);
	assert_int_equal(e.sys, ENOSPC);
}

static void cuts_what_does_not_fit(void **state)
{
	char longer[2 * sizeof(((struct err *)0)->msg)];
	struct err e;

	(void)state;
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = 0;
	(void)err_set(&e, ERR_IO, "%s", longer);
	assert_int_equal(strlen(e.msg), sizeof(e.msg) - 1);
	(void)err_sys(&e, EIO, "%s", longer);
	assert_int_equal(strlen(e.msg), sizeof(e.msg) - 1);
	(void)err_set(&e, ERR_IO, "%s", longer);
	(void)err_wrap(&e, "front");
	assert_int_equal(strncmp(e.msg, "front: xxx", 10), 0);
	assert_true(strlen(e.msg) < sizeof(e.msg));
	(void)err_wrap(&e, "%s", longer);
	assert_true(strlen(e.msg) < sizeof(e.msg));
}

static void never_says_errno_zero(void **state)
{
	struct err e;

	(void)state;
	for (int code = ERR_NONE; code <= ERR_INTERRUPTED; code++) {
		(void)err_set(&e, (enum err_code)code, "x");
		assert_true(err_to_errno(&e) > 0);
	}
}

static void knows_the_exit_status(void **state)
{
	struct err e;

	(void)state;
	(void)err_set(&e, ERR_TRUST, "x");
	assert_int_equal(err_exit_status(&e), 126);
	(void)err_set(&e, ERR_NET, "x");
	assert_int_equal(err_exit_status(&e), 125);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sets_code_and_text),    cmocka_unit_test(takes_code_from_errno),
		cmocka_unit_test(wraps_in_front),        cmocka_unit_test(cuts_what_does_not_fit),
		cmocka_unit_test(never_says_errno_zero), cmocka_unit_test(knows_the_exit_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
