/* SPDX-License-Identifier: Apache-2.0 */
/* Finding the host's sockets; see plan_sockets.h. The type comes with the directory entry, so that nothing is
 * stat()ed where the file system says it. */
#include "launcher/plan_sockets.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"

enum { ENTRIES_MAX = 4096, FOUND_MAX = 256 };

struct search {
	launch_socket_fn *fn;
	void *arg;
	int entries, found;
};

static bool is_special(unsigned char type)
{
	return type == DT_SOCK || type == DT_FIFO;
}

static unsigned char type_of(int dir, const struct dirent *de)
{
	struct stat st;

	if (de->d_type != DT_UNKNOWN)
		return de->d_type;
	if (fstatat(dir, de->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return DT_UNKNOWN;
	return IFTODT(st.st_mode);
}

static int report(struct search *s, const char *dir, const char *name, struct err *e)
{
	auto_free char *path = path_join(dir, name, e);

	if (!path)
		return -1;
	if (s->found++ >= FOUND_MAX)
		return 0;
	return s->fn(s->arg, path, e);
}

static int search_dir(struct search *s, const char *path, int depth, struct err *e)
{
	DIR *d = opendir(path);
	struct dirent *de;
	int rc = 0;

	if (!d)
		return 0;
	while (rc == 0 && s->entries++ < ENTRIES_MAX && (de = readdir(d))) {
		unsigned char type = type_of(dirfd(d), de);

		if (path_is_dot(de->d_name) || !strncmp(de->d_name, "floe-", 5))
			continue;
		if (is_special(type)) {
			rc = report(s, path, de->d_name, e);
		} else if (type == DT_DIR && depth > 0) {
			if (!strcmp(de->d_name, ".X11-unix") || !strcmp(de->d_name, ".ICE-unix")) {
				rc = report(s, path, de->d_name, e); /* displays may yet appear in there */
			} else {
				auto_free char *below = path_join(path, de->d_name, e);

				rc = below ? search_dir(s, below, depth - 1, e) : -1;
			}
		}
	}
	(void)closedir(d);
	return rc;
}

int launch_plan_sockets(const char *home, launch_socket_fn *fn, void *arg, struct err *e)
{
	struct search s = { .fn = fn, .arg = arg };
	const char *agent = getenv("SSH_AUTH_SOCK");
	struct stat st;

	if (search_dir(&s, "/tmp", 1, e) < 0)
		return -1;
	s.entries = 0;
	if (strcmp(home, "/") != 0 && search_dir(&s, home, 0, e) < 0)
		return -1;
	if (agent && *agent == '/' && !path_is_below(agent, "/run") && !path_is_below(agent, "/tmp") &&
	    lstat(agent, &st) == 0 && S_ISSOCK(st.st_mode))
		return fn(arg, agent, e);
	return 0;
}
