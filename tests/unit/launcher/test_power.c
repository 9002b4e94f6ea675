/* SPDX-License-Identifier: Apache-2.0 */
/* On battery or not, by directories such as the kernel shows. */
#include "tests/unit/cmocka_all.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/path.h"
#include "launcher/power.h"

static char top[64];

static void supply(const char *name, const char *file, const char *value)
{
	char path[256];
	struct err e;

	(void)snprintf(path, sizeof(path), "%s/%s", top, name);
	(void)mkdir(path, 0700);
	(void)snprintf(path, sizeof(path), "%s/%s/%s", top, name, file);
	assert_int_equal(fd_write_file(AT_FDCWD, path, value, strlen(value), 0600, &e), 0);
}

static bool is_battery(void)
{
	auto_fd int fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	return launch_power_is_battery_at(fd);
}

static void a_laptop(void **state)
{
	struct err e;

	(void)state;
	(void)strcpy(top, "power-XXXXXX");
	assert_non_null(mkdtemp(top));
	assert_false(is_battery()); /* no supplies: a machine without a battery */
	supply("AC", "type", "Mains\n");
	supply("AC", "online", "1\n");
	supply("BAT0", "type", "Battery\n");
	supply("BAT0", "status", "Charging\n");
	assert_false(is_battery());
	supply("BAT0", "status", "Discharging\n");
	assert_false(is_battery()); /* weak supply */
	supply("AC", "online", "0\n");
	assert_true(is_battery());
	supply("ucsi", "type", "USB\n");
	supply("ucsi", "online", "1\n");
	assert_false(is_battery());
	supply("ucsi", "online", "0\n");
	supply("BAT0", "status", "Full\n");
	assert_false(is_battery());
	supply("mouse", "type", "Battery\n");
	supply("mouse", "scope", "Device\n");
	supply("mouse", "status", "Discharging\n");
	assert_false(is_battery());
	assert_int_equal(path_remove_tree(AT_FDCWD, top, &e), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(a_laptop) };

	return cmocka_run_group_tests_name("power", tests, NULL, NULL);
}
