/* SPDX-License-Identifier: Apache-2.0 */
/* Processor time of a family of processes; see busy.h. */
#include "sequencer/busy.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"

enum { PROCESSES_MAX = 4096 };

struct process {
	pid_t pid, parent;
	uint64_t ticks;
	bool is_ours;
};

/* The name, in parentheses, may hold anything: what counts stands behind the last one. */
static bool read_process(int proc, const char *name, struct process *ret)
{
	char path[300], line[1024];
	auto_fd int fd = -1;
	unsigned long user, system;
	const char *rest;
	ssize_t n;
	int parent;

	(void)snprintf(path, sizeof(path), "%.255s/stat", name);
	fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, line, sizeof(line) - 1);
	if (n <= 0)
		return false;
	line[n] = 0;
	rest = strrchr(line, ')');
	if (!rest || sscanf(rest + 1, " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &parent, &user,
			    &system) != 3)
		return false;
	*ret = (struct process){ .pid = (pid_t)atoi(name),
				 .parent = parent,
				 .ticks = (uint64_t)user + system };
	return true;
}

static size_t read_all(struct process *list)
{
	DIR *d = opendir("/proc");
	struct dirent *de;
	size_t count = 0;

	while (d && count < PROCESSES_MAX && (de = readdir(d)))
		if (isdigit((unsigned char)de->d_name[0]) && read_process(dirfd(d), de->d_name, &list[count]))
			count++;
	if (d)
		(void)closedir(d);
	return count;
}

uint64_t seq_busy_ms(pid_t root)
{
	struct err ignored;
	auto_free struct process *list = mem_alloc(PROCESSES_MAX, sizeof(*list), &ignored);
	size_t count = list ? read_all(list) : 0;
	uint64_t ticks = 0;
	bool found = true;
	long hz = sysconf(_SC_CLK_TCK);

	/* Parents mostly stand before their children: few rounds do. */
	while (found) {
		found = false;
		for (size_t i = 0; i < count; i++) {
			bool ours = list[i].pid == root;

			for (size_t n = 0; !ours && n < count; n++)
				ours = list[n].is_ours && list[n].pid == list[i].parent;
			if (!ours || list[i].is_ours)
				continue;
			list[i].is_ours = found = true;
			ticks += list[i].ticks;
		}
	}
	return ticks * 1000 / (uint64_t)(hz > 0 ? hz : 100);
}
