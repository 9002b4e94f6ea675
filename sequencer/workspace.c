/* SPDX-License-Identifier: Apache-2.0 */
/* Working directories; see workspace.h. */
#include "sequencer/workspace.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"

/* The lock of a living run cannot be taken; that of a dead one can. */
static void clean_stale(const char *parent)
{
	DIR *d = opendir(parent);
	struct dirent *de;

	while (d && (de = readdir(d))) {
		char lock[NAME_MAX + 8];
		auto_fd int fd = -1;
		struct err ignored;

		if (de->d_name[0] == '.')
			continue;
		(void)snprintf(lock, sizeof(lock), "%s/lock", de->d_name);
		fd = openat(dirfd(d), lock, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 &&
		    path_remove_tree(dirfd(d), de->d_name, &ignored) < 0)
			continue; /* the next run tries again */
	}
	if (d)
		(void)closedir(d);
}

/* Under a hidden name until it is locked, so that nobody takes it for a dead run's. */
static int make_fresh(char **ret, int *ret_lock, struct err *e)
{
	auto_free char *cache = path_cache_dir(true, e);
	auto_free char *parent = cache ? path_join(cache, "sequence", e) : NULL;
	auto_free char *hidden = parent ? mem_printf(e, "%s/.new-XXXXXX", parent) : NULL;
	auto_free char *lock = NULL, *dir = NULL;
	auto_fd int fd = -1;

	if (!hidden || path_make_dirs(parent, 0700, e) < 0)
		return -1;
	clean_stale(parent);
	if (!mkdtemp(hidden))
		return err_sys(e, errno, "cannot make a working directory in %s", parent);
	lock = path_join(hidden, "lock", e);
	dir = mem_printf(e, "%s/%d-%s", parent, (int)getpid(), hidden + strlen(hidden) - 6);
	if (!lock || !dir)
		return -1;
	fd = open(lock, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0 || rename(hidden, dir) < 0)
		return err_sys(e, errno, "working directory %s", hidden);
	*ret = mem_steal(dir);
	*ret_lock = fd_steal(&fd);
	return 0;
}

static int take_given(const char *given, char **ret, struct err *e)
{
	auto_free char *dir = path_absolute(given, e);
	struct dirent *de;
	bool empty = true;
	DIR *d;

	if (!dir || path_make_dirs(dir, 0700, e) < 0)
		return -1;
	d = opendir(dir);
	if (!d)
		return err_sys(e, errno, "%s", dir);
	while ((de = readdir(d)))
		empty &= path_is_dot(de->d_name);
	(void)closedir(d);
	if (!empty)
		return err_set(e, ERR_EXISTS, "--keep %s: the directory is not empty", dir);
	*ret = mem_steal(dir);
	return 0;
}

int seq_workspace_open(const char *dir, struct seq_workspace *ret, struct err *e)
{
	struct seq_workspace w = { .lock_fd = -1, .keep = dir != NULL };

	if (dir ? take_given(dir, &w.dir, e) < 0 : make_fresh(&w.dir, &w.lock_fd, e) < 0)
		return -1;
	*ret = w;
	return 0;
}

char *seq_workspace_subdir(const struct seq_workspace *w, const char *name, struct err *e)
{
	auto_free char *dir = path_join(w->dir, name, e);

	if (!dir)
		return NULL;
	if (mkdir(dir, 0700) < 0 && errno != EEXIST) {
		(void)err_sys(e, errno, "cannot make %s", dir);
		return NULL;
	}
	return mem_steal(dir);
}

int seq_workspace_close(struct seq_workspace *w, struct err *e)
{
	int rc = 0;

	if (w->dir && !w->keep)
		rc = path_remove_tree(AT_FDCWD, w->dir, e);
	free(w->dir);
	fd_close(w->lock_fd);
	*w = (struct seq_workspace){ .lock_fd = -1 };
	return rc;
}
