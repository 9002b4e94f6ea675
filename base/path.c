/* SPDX-License-Identifier: Apache-2.0 */
/* Paths; see path.h. */
#include "base/path.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char *path_join(const char *a, const char *b, struct err *e)
{
	size_t la = strlen(a);

	if (!*b)
		return mem_strdup(a, e);
	if (!la)
		return mem_strdup(b, e);
	while (la > 1 && a[la - 1] == '/')
		la--;
	while (*b == '/')
		b++;
	return mem_printf(e, la == 1 && *a == '/' ? "%.*s%s" : "%.*s/%s", (int)la, a, b);
}

/* Squeezes an absolute path in place. */
static void normalise(char *path)
{
	char *out = path;
	const char *in = path;

	while (*in) {
		const char *end;
		size_t len;

		while (*in == '/')
			in++;
		end = strchrnul(in, '/');
		len = (size_t)(end - in);
		if (len == 2 && in[0] == '.' && in[1] == '.') {
			while (out > path && *--out != '/')
				;
		} else if (len && !(len == 1 && in[0] == '.')) {
			*out++ = '/';
			memmove(out, in, len);
			out += len;
		}
		in = end;
	}
	if (out == path)
		*out++ = '/';
	*out = 0;
}

char *path_absolute(const char *path, struct err *e)
{
	char *abs;

	if (*path == '/') {
		abs = mem_strdup(path, e);
	} else {
		auto_free char *cwd = getcwd(NULL, 0);

		if (!cwd) {
			(void)err_sys(e, errno, "current directory");
			return NULL;
		}
		abs = path_join(cwd, path, e);
	}
	if (abs)
		normalise(abs);
	return abs;
}

bool path_is_below(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	if (len == 1 && *dir == '/')
		return *path == '/';
	return strncmp(path, dir, len) == 0 && (path[len] == 0 || path[len] == '/');
}

const char *path_base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

bool path_is_plain_name(const char *name)
{
	size_t len = strlen(name);

	if (len < 1 || len > 64 || *name == '.' || *name == '-')
		return false;
	for (; *name; name++)
		if (!isalnum((unsigned char)*name) && !strchr("._+@-", *name))
			return false;
	return true;
}

int path_make_dirs(const char *path, mode_t mode, struct err *e)
{
	auto_free char *copy = mem_strdup(path, e);

	if (!copy)
		return -1;
	for (char *p = copy + (*copy == '/');; p++) {
		char was = *p;

		if (was && was != '/')
			continue;
		*p = 0;
		if (*copy && mkdir(copy, mode) < 0 && errno != EEXIST) {
			struct stat st;
			int sys = errno;

			/* A read-only or foreign parent answers EROFS or EACCES for what exists, too. */
			if (stat(copy, &st) < 0 || !S_ISDIR(st.st_mode))
				return err_sys(e, sys, "cannot make directory %s", copy);
		}
		if (!was)
			return 0;
		*p = was;
	}
}

char *path_home(struct err *e)
{
	const char *home = getenv("HOME");
	struct passwd *pw;

	if (home && *home == '/')
		return path_absolute(home, e);
	pw = getpwuid(getuid());
	if (pw && pw->pw_dir && *pw->pw_dir == '/')
		return path_absolute(pw->pw_dir, e);
	(void)err_set(e, ERR_USAGE, "no home directory: set HOME");
	return NULL;
}

static char *xdg_dir(const char *variable, const char *below_home, bool make, struct err *e)
{
	const char *base = getenv(variable);
	auto_free char *parent = NULL;
	char *dir;

	if (base && *base == '/') {
		parent = path_absolute(base, e);
	} else {
		auto_free char *home = path_home(e);

		parent = home ? path_join(home, below_home, e) : NULL;
	}
	dir = parent ? path_join(parent, "floe", e) : NULL;
	if (dir && make && path_make_dirs(dir, 0700, e) < 0) {
		free(dir);
		return NULL;
	}
	return dir;
}

char *path_data_dir(bool make, struct err *e)
{
	return xdg_dir("XDG_DATA_HOME", ".local/share", make, e);
}

char *path_config_dir(bool make, struct err *e)
{
	return xdg_dir("XDG_CONFIG_HOME", ".config", make, e);
}

char *path_cache_dir(bool make, struct err *e)
{
	return xdg_dir("XDG_CACHE_HOME", ".cache", make, e);
}

char *path_state_dir(bool make, struct err *e)
{
	return xdg_dir("XDG_STATE_HOME", ".local/state", make, e);
}

char *path_runtime_dir(bool make, struct err *e)
{
	const char *base = getenv("XDG_RUNTIME_DIR");
	auto_free char *dir = NULL;
	struct stat st;

	if (base && *base == '/') {
		dir = path_join(base, "floe", e);
	} else {
		auto_free char *run = mem_printf(e, "/run/user/%u", (unsigned)getuid());

		if (!run)
			return NULL;
		if (lstat(run, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == getuid())
			dir = path_join(run, "floe", e);
		else
			dir = mem_printf(e, "/tmp/floe-%u", (unsigned)getuid());
	}
	if (!dir)
		return NULL;
	if (make && mkdir(dir, 0700) < 0 && errno != EEXIST) {
		(void)err_sys(e, errno, "cannot make runtime directory %s", dir);
		return NULL;
	}
	if (lstat(dir, &st) < 0) {
		if (make || errno != ENOENT) {
			(void)err_sys(e, errno, "runtime directory %s", dir);
			return NULL;
		}
	} else if (!S_ISDIR(st.st_mode) || st.st_uid != getuid() || (st.st_mode & 077)) {
		(void)err_set(e, ERR_DENIED, "runtime directory %s is not a private directory of yours", dir);
		return NULL;
	}
	return mem_steal(dir);
}

char *path_of_install(const char *relative, struct err *e)
{
	char exe[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	char *p;

	if (n < 0) {
		(void)err_sys(e, errno, "/proc/self/exe");
		return NULL;
	}
	exe[n] = 0;
	/* PREFIX/bin/floe or PREFIX/libexec/floe/NAME */
	p = strrchr(exe, '/');
	if (p)
		*p = 0;
	p = strrchr(exe, '/');
	if (p && !strcmp(p, "/floe")) {
		*p = 0;
		p = strrchr(exe, '/');
	}
	if (!p) {
		(void)err_set(e, ERR_NOTFOUND, "cannot tell where floe is installed");
		return NULL;
	}
	*p = 0;
	return path_join(*exe ? exe : "/", relative, e);
}
