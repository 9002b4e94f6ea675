/* SPDX-License-Identifier: Apache-2.0 */
/* See power.h. */
#include "launcher/power.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/path.h"

/* One line, without its end; "" when there is none. */
static void read_line(int dir, const char *supply, const char *name, char ret[32])
{
	char path[300];
	auto_fd int fd = -1;
	ssize_t len;

	(void)snprintf(path, sizeof(path), "%s/%s", supply, name);
	fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	len = fd < 0 ? 0 : read(fd, ret, 31);
	ret[len < 0 ? 0 : len] = 0;
	ret[strcspn(ret, "\n")] = 0;
}

/* Batteries of mice and headsets have scope "Device". */
static void look_at(int dir, const char *supply, bool *is_supplied, bool *is_discharging)
{
	char type[32], state[32], scope[32];

	read_line(dir, supply, "type", type);
	read_line(dir, supply, "scope", scope);
	if (!strcmp(scope, "Device"))
		return;
	if (!strcmp(type, "Battery")) {
		read_line(dir, supply, "status", state);
		*is_discharging |= !strcmp(state, "Discharging");
	} else if (!strcmp(type, "Mains") || !strcmp(type, "USB")) {
		read_line(dir, supply, "online", state);
		*is_supplied |= !strcmp(state, "1");
	}
}

bool launch_power_is_battery_at(int fd)
{
	bool is_supplied = false, is_discharging = false;
	int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_closedir DIR *d = own < 0 ? NULL : fdopendir(own);
	const struct dirent *de;

	if (!d) {
		fd_close(own);
		return false;
	}
	while ((de = readdir(d)))
		if (!path_is_dot(de->d_name))
			look_at(fd, de->d_name, &is_supplied, &is_discharging);
	return is_discharging && !is_supplied;
}

bool launch_power_is_battery(void)
{
	auto_fd int fd = open("/sys/class/power_supply", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd >= 0 && launch_power_is_battery_at(fd);
}
