/* SPDX-License-Identifier: Apache-2.0 */
/* What is direct without being asked for: document folders and the working directory; see plan.h. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "launcher/plan.h"

enum { USER_DIRS_MAX = 64 * 1024 };

static const char *const usual_folders[] = {
	"Desktop", "Documents", "Downloads", "Music", "Pictures", "Public", "Templates", "Videos",
};

static int add_folder(struct launch_plan *p, const char *path, struct err *e)
{
	auto_free char *absolute = path_absolute(path, e);
	struct stat st;

	if (!absolute)
		return -1;
	/* Some desktops set unused folders to the home directory itself. */
	if (!strcmp(absolute, p->home) || !strcmp(absolute, "/") || stat(absolute, &st) < 0 ||
	    !S_ISDIR(st.st_mode))
		return 0;
	return launch_plan_rule(p, absolute, LAUNCH_DIRECT, LAUNCH_RULE_DEFAULT, e);
}

/* A line of user-dirs.dirs: XDG_x_DIR="$HOME/y" or XDG_x_DIR="/y". */
static int add_user_dir(struct launch_plan *p, char *line, struct err *e)
{
	char *value = strchr(line, '=');
	auto_free char *path = NULL;
	size_t len;

	while (isspace((unsigned char)*line))
		line++;
	if (strncmp(line, "XDG_", 4) != 0 || !value || value[1] != '"')
		return 0;
	value += 2;
	len = strcspn(value, "\"");
	value[len] = 0;
	if (!strncmp(value, "$HOME/", 6))
		path = path_join(p->home, value + 6, e);
	else if (*value == '/')
		path = mem_strdup(value, e);
	else
		return 0;
	return path ? add_folder(p, path, e) : -1;
}

static int add_user_dirs(struct launch_plan *p, struct err *e)
{
	const char *config = getenv("XDG_CONFIG_HOME");
	auto_free char *path = config && *config == '/' ? path_join(config, "user-dirs.dirs", e)
							: path_join(p->home, ".config/user-dirs.dirs", e);
	auto_buf struct buf text = BUF_INIT(USER_DIRS_MAX);
	char *line, *save = NULL;
	struct err ignored;

	if (!path)
		return -1;
	if (fd_read_file(AT_FDCWD, path, &text, &ignored) < 0)
		return 0;
	if (!buf_text(&text, e))
		return -1;
	for (line = strtok_r((char *)text.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (add_user_dir(p, line, e) < 0)
			return -1;
	return 0;
}

/* On a file system that is neither the root's nor home's: where people keep data. */
static bool is_on_data_mount(const char *path)
{
	static const char *const system_trees[] = { "/usr",  "/etc", "/var", "/opt", "/tmp", "/boot",
						    "/proc", "/sys", "/dev", "/run", "/root" };
	struct stat root, here;

	for (size_t i = 0; i < ARRAY_LEN(system_trees); i++)
		if (path_is_below(path, system_trees[i]))
			return false;
	if (path_is_below(path, "/mnt") || path_is_below(path, "/media") || path_is_below(path, "/srv"))
		return true;
	return stat("/", &root) == 0 && stat(path, &here) == 0 && root.st_dev != here.st_dev;
}

static bool is_direct_directory(const struct launch_plan *p, const char *cwd)
{
	if (strcmp(cwd, p->home) != 0 && path_is_below(cwd, p->home))
		return cwd[strlen(p->home) + 1] != '.';
	return strcmp(cwd, p->home) != 0 && is_on_data_mount(cwd);
}

int launch_plan_defaults(struct launch_plan *p, struct err *e)
{
	p->home = path_home(e);
	p->cwd = getcwd(NULL, 0);
	if (!p->home)
		return -1;
	if (!p->cwd)
		return err_sys(e, errno, "current directory");
	for (size_t i = 0; i < ARRAY_LEN(usual_folders); i++) {
		auto_free char *path = path_join(p->home, usual_folders[i], e);

		if (!path || add_folder(p, path, e) < 0)
			return -1;
	}
	if (add_user_dirs(p, e) < 0)
		return -1;
	if (is_direct_directory(p, p->cwd))
		return launch_plan_rule(p, p->cwd, LAUNCH_DIRECT, LAUNCH_RULE_DEFAULT, e);
	return 0;
}
