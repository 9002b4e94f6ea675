/* SPDX-License-Identifier: Apache-2.0 */
/* For tools that mount: a mount namespace of their own, and for who is not root a user namespace. */
#ifndef FLOE_TESTS_TOOLS_OWN_NAMESPACES_H
#define FLOE_TESTS_TOOLS_OWN_NAMESPACES_H

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/fd.h"

static inline int own_namespaces_write(const char *path, const char *text)
{
	auto_fd int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text) ? -1 : 0;
}

/* Shown as uid and gid `as_uid`, `as_gid` in a new user namespace. -1 with errno, and what failed. */
static inline int own_namespaces_enter(uid_t as_uid, gid_t as_gid, const char **ret_what)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	char uids[64], gids[64];

	(void)snprintf(uids, sizeof(uids), "%u %u 1", as_uid, uid);
	(void)snprintf(gids, sizeof(gids), "%u %u 1", as_gid, gid);
	*ret_what = "unshare";
	if (unshare(CLONE_NEWNS | (uid ? CLONE_NEWUSER : 0)) < 0)
		return -1;
	*ret_what = "map owners";
	if (uid && (own_namespaces_write("/proc/self/setgroups", "deny") < 0 ||
		    own_namespaces_write("/proc/self/uid_map", uids) < 0 ||
		    own_namespaces_write("/proc/self/gid_map", gids) < 0))
		return -1;
	*ret_what = "make mounts private";
	return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
}

#endif
