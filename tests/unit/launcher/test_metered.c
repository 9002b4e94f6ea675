/* SPDX-License-Identifier: Apache-2.0 */
/* Paid for by the byte or not, by files such as the kernel shows. */
#include "tests/unit/cmocka_all.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/path.h"
#include "launcher/metered.h"

#define HEAD                          "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
#define ROUTE(name, to, mask, metric) name "\t" to "\t010200C0\t0003\t0\t0\t" metric "\t" mask "\t0\t0\t0\n"
#define ZEROS                         "00000000000000000000000000000000"
#define ROUTE6(name, to, len)                                                                                \
	to " " len " " ZEROS " 00 " ZEROS " 00000400 00000001 00000000 00000003 " name "\n"

static char top[64];

static void file(const char *name, const char *text)
{
	char path[256], *end;
	struct err e;

	(void)snprintf(path, sizeof(path), "%s/%s", top, name);
	end = strrchr(path, '/');
	*end = 0;
	assert_int_equal(path_make_dirs(path, 0700, &e), 0);
	*end = '/';
	assert_int_equal(fd_write_file(AT_FDCWD, path, text, strlen(text), 0600, &e), 0);
}

static bool is_metered(const char *names)
{
	auto_fd int fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	return launch_metered_is_at(fd, names);
}

static int set_up(void **state)
{
	(void)state;
	(void)snprintf(top, sizeof(top), "%s/metered.XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	assert_non_null(mkdtemp(top));
	file("sys/class/net/eth0/uevent", "INTERFACE=eth0\nIFINDEX=2\n");
	file("sys/class/net/wlan0/uevent", "DEVTYPE=wlan\nINTERFACE=wlan0\n");
	file("sys/class/net/wwan0/uevent", "DEVTYPE=wwan\nINTERFACE=wwan0\n");
	file("sys/class/net/bnep0/uevent", "DEVTYPE=bluetooth\nINTERFACE=bnep0\n");
	return 0;
}

static int tear_down(void **state)
{
	struct err e;

	(void)state;
	return path_remove_tree(AT_FDCWD, top, &e);
}

static void test_not_known(void **state)
{
	(void)state;
	assert_false(is_metered(NULL));
	file("proc/net/route", HEAD);
	assert_false(is_metered("*"));
}

static void test_ways_out(void **state)
{
	(void)state;
	file("proc/net/route",
	     HEAD ROUTE("eth0", "00000000", "00000000", "100") ROUTE("wwan0", "000200C0", "00FFFFFF", "0"));
	assert_false(is_metered(NULL));
	file("proc/net/route",
	     HEAD ROUTE("eth0", "00000000", "00000000", "100") ROUTE("wwan0", "00000000", "00000000", "700"));
	assert_false(is_metered(NULL));
	file("proc/net/route",
	     HEAD ROUTE("wlan0", "00000000", "00000000", "600") ROUTE("bnep0", "00000000", "00000000", "50"));
	assert_true(is_metered(NULL));
	file("proc/net/route", HEAD);
	file("proc/net/ipv6_route",
	     ROUTE6("wwan0", "fe800000000000000000000000000000", "40") ROUTE6("lo", ZEROS, "00"));
	assert_false(is_metered(NULL));
	file("proc/net/ipv6_route", ROUTE6("    lo", ZEROS, "00") ROUTE6(" wwan0", ZEROS, "00"));
	assert_true(is_metered(NULL));
	file("proc/net/ipv6_route", "");
}

static void test_names(void **state)
{
	(void)state;
	file("proc/net/route", HEAD ROUTE("wlan0", "00000000", "00000000", "600"));
	assert_false(is_metered(NULL));
	assert_false(is_metered("wlan usb*"));
	assert_true(is_metered("usb*  wlan0"));
	assert_true(is_metered("wl*"));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_not_known), cmocka_unit_test(test_ways_out),
					    cmocka_unit_test(test_names) };

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
