/* SPDX-License-Identifier: Apache-2.0 */
/* See metered.h. Sources: proc(5) for the routes, Documentation/driver-api/usb and
 * ABI/testing/sysfs-class-net for DEVTYPE. */
#include "launcher/metered.h"

#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"

enum { FILE_MAX = 1024 * 1024 };

/* The interface of the default route with the lowest metric; "" when there is none. */
static void find_way_out(const char *routes, bool is_ipv6, char ret[IFNAMSIZ])
{
	unsigned long best = ULONG_MAX;

	for (const char *line = routes; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		unsigned long to = 1, mask = 1, metric = 0;
		char name[IFNAMSIZ] = "", to6[33] = "";
		bool is_default;

		if (is_ipv6)
			is_default = sscanf(line, "%32s %lx %*s %*s %*s %lx %*s %*s %*s %15s", to6, &mask,
					    &metric, name) == 4 &&
				     strspn(to6, "0") == 32 && strcmp(name, "lo") != 0;
		else
			is_default = sscanf(line, "%15s %lx %*s %*s %*s %*s %lu %lx", name, &to, &metric,
					    &mask) == 4 &&
				     !to;
		if (!is_default || mask || metric >= best)
			continue;
		best = metric;
		memcpy(ret, name, IFNAMSIZ);
	}
}

static bool is_named(const char *interface, const char *names)
{
	for (size_t len; *(names += strspn(names, " \t")); names += len) {
		char pattern[64];

		len = strcspn(names, " \t");
		(void)snprintf(pattern, sizeof(pattern), "%.*s", (int)len, names);
		if (fnmatch(pattern, interface, 0) == 0)
			return true;
	}
	return false;
}

static bool is_mobile(int root, const char *interface)
{
	auto_buf struct buf text = BUF_INIT(FILE_MAX);
	char path[sizeof("sys/class/net//uevent") + IFNAMSIZ];
	struct err ignored;

	(void)snprintf(path, sizeof(path), "sys/class/net/%s/uevent", interface);
	return fd_read_file(root, path, &text, &ignored) == 0 && buf_text(&text, &ignored) &&
	       (strstr((char *)text.data, "DEVTYPE=wwan\n") ||
		strstr((char *)text.data, "DEVTYPE=bluetooth\n"));
}

bool launch_metered_is_at(int fd, const char *names)
{
	static const char *const files[] = { "proc/net/route", "proc/net/ipv6_route" };

	for (int i = 0; i < 2; i++) {
		auto_buf struct buf routes = BUF_INIT(FILE_MAX);
		char interface[IFNAMSIZ] = "";
		struct err ignored;

		if (fd_read_file(fd, files[i], &routes, &ignored) < 0 || !buf_text(&routes, &ignored))
			continue;
		find_way_out((char *)routes.data, i == 1, interface);
		if (*interface && (is_mobile(fd, interface) || (names && is_named(interface, names))))
			return true;
	}
	return false;
}

bool launch_metered_is(const char *names)
{
	auto_fd int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd >= 0 && launch_metered_is_at(fd, names);
}
