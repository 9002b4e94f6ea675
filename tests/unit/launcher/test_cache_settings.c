/* SPDX-License-Identifier: Apache-2.0 */
/* cache.conf and sizes: what is understood, what is refused, and that setting the quota keeps other lines. */
#include "tests/unit/cmocka_all.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "launcher/cache_settings.h"

static char home[] = "/tmp/floe-test-cache-settings-XXXXXX";

static int set_up(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(home));
	assert_int_equal(setenv("XDG_CONFIG_HOME", home, 1), 0);
	assert_int_equal(unsetenv("FLOE_CACHE_QUOTA"), 0);
	assert_int_equal(unsetenv("FLOE_SHARED_STORE"), 0);
	return 0;
}

static int tear_down(void **state)
{
	struct err e;

	(void)state;
	return path_remove_tree(AT_FDCWD, home, &e);
}

static uint64_t size_of(const char *text)
{
	uint64_t size;
	struct err e;

	if (launch_size_parse(text, &size, &e) < 0)
		fail_msg("%s", e.msg);
	return size;
}

static void test_sizes(void **state)
{
	static const char *const wrong[] = { "", "x", "-1", "1X", "1KBB", "1 G", "nan", "1e30", "G" };

	(void)state;
	assert_int_equal(size_of("0"), 0);
	assert_int_equal(size_of("1500"), 1500);
	assert_int_equal(size_of("20M"), 20 << 20);
	assert_int_equal(size_of("1.5g"), 3 << 29);
	assert_int_equal(size_of("2GiB"), UINT64_C(2) << 30);
	assert_int_equal(size_of("3kB"), 3072);
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		uint64_t size;
		struct err e;

		assert_int_equal(launch_size_parse(wrong[i], &size, &e), -1);
		assert_int_equal(e.code, ERR_USAGE);
	}
}

static int parse(const char *text, struct launch_cache_settings *ret, struct err *e)
{
	auto_free char *copy = mem_strdup(text, e);

	assert_non_null(copy);
	return launch_cache_settings_parse(copy, "conf", ret, e);
}

static void test_lines(void **state)
{
	auto_cache_settings struct launch_cache_settings s = { 0 };
	struct err e;

	(void)state;
	assert_int_equal(parse("# words\n\n  quota =  1G \r\nshared-store=/a b/c\n", &s, &e), 0);
	assert_int_equal(s.quota, 1 << 30);
	assert_string_equal(s.shared_store, "/a b/c");
	assert_int_equal(parse("shared-store =", &s, &e), 0);
	assert_null(s.shared_store);
	assert_int_equal(parse("complete-after = 7\ncomplete-rate = 2M\n", &s, &e), 0);
	assert_int_equal(s.complete_after_s, 7);
	assert_int_equal(s.complete_rate, 2 << 20);
	assert_int_equal(parse("metered = usb0 wwan*\n", &s, &e), 0);
	assert_string_equal(s.metered, "usb0 wwan*");
	assert_int_equal(parse("metered =", &s, &e), 0);
	assert_null(s.metered);
	assert_int_equal(parse("complete-after = -1", &s, &e), -1);
	assert_int_equal(parse("complete-after = 1h", &s, &e), -1);
	assert_int_equal(parse("complete-after = 99999999999", &s, &e), -1);
	assert_int_equal(parse("\nquota 3", &s, &e), -1);
	assert_non_null(strstr(e.msg, "conf:2"));
	assert_int_equal(parse("quota = much", &s, &e), -1);
	assert_int_equal(parse("shared-store = here", &s, &e), -1);
	assert_int_equal(parse("colour = red", &s, &e), -1);
	assert_int_equal(e.code, ERR_FORMAT);
}

static void test_quota_is_kept(void **state)
{
	static const char before[] = "# mine\nquota = 3\nshared-store = /x\n quota=4";
	auto_buf struct buf after = BUF_INIT(1000);
	struct launch_cache_settings s = { 0 };
	auto_free char *path = NULL;
	struct err e;

	(void)state;
	assert_int_equal(launch_cache_settings_read(&s, &e), 0); /* no file */
	assert_int_equal(s.quota, 0);
	assert_int_equal(launch_cache_settings_set_quota(5, &e), 0);
	path = path_join(home, "floe/cache.conf", &e);
	assert_int_equal(fd_write_file(AT_FDCWD, path, before, strlen(before), 0600, &e), 0);
	assert_int_equal(launch_cache_settings_set_quota(7000, &e), 0);
	assert_int_equal(fd_read_file(AT_FDCWD, path, &after, &e), 0);
	assert_string_equal(buf_text(&after, &e), "# mine\nshared-store = /x\nquota = 7000\n");
	assert_int_equal(launch_cache_settings_read(&s, &e), 0);
	assert_int_equal(s.quota, 7000);
	launch_cache_settings_fini(&s);
	/* The environment goes before the file. */
	assert_int_equal(setenv("FLOE_CACHE_QUOTA", "2K", 1), 0);
	assert_int_equal(setenv("FLOE_SHARED_STORE", "", 1), 0);
	assert_int_equal(launch_cache_settings_read(&s, &e), 0);
	assert_int_equal(s.quota, 2048);
	assert_null(s.shared_store);
	assert_int_equal(setenv("FLOE_SHARED_STORE", "relative", 1), 0);
	assert_int_equal(launch_cache_settings_read(&s, &e), -1);
	assert_non_null(strstr(e.msg, "FLOE_SHARED_STORE"));
	assert_int_equal(unsetenv("FLOE_CACHE_QUOTA") | unsetenv("FLOE_SHARED_STORE"), 0);
	assert_int_equal(launch_cache_settings_set_quota(0, &e), 0);
	assert_int_equal(launch_cache_settings_read(&s, &e), 0);
	assert_int_equal(s.quota, 0);
	assert_string_equal(s.shared_store, "/x");
	launch_cache_settings_fini(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_quota_is_kept),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
