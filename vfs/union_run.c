/* SPDX-License-Identifier: Apache-2.0 */
/* The union's /run; see union_run.h. */
#include "vfs/union_run.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "vfs/mount_point.h"

enum { RUN_ENTRIES_MAX = 512, RUN_FILE_MAX = 256 * 1024 };

/* Lock files, pid files, small notes: a private copy, so that they can be locked and written. */
static int copy_run_file(const char *source, const char *target, const struct stat *st, struct err *e)
{
	auto_fd int from = open(source, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	auto_fd int to = open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, st->st_mode & 0666);
	auto_buf struct buf content = BUF_INIT(RUN_FILE_MAX);
	struct err ignored;

	if (to < 0)
		return err_sys(e, errno, "%s", target);
	if (from < 0 || fd_read_to_end(from, &content, &ignored) < 0)
		return 0; /* not for this user, or too large to be a note: an empty file */
	if (fd_write_all(to, content.data, content.len, e) < 0)
		return err_wrap(e, "%s", target);
	return 0;
}

/* Shows one entry of the host's /run. */
static int bind_run_entry(const char *dir, const struct dirent *de, struct err *e)
{
	auto_free char *source = path_join("/run", de->d_name, e);
	auto_free char *target = path_join(dir, de->d_name, e);
	char link[PATH_MAX];
	ssize_t n;
	struct stat st;

	if (!source || !target)
		return -1;
	if (lstat(source, &st) < 0)
		return 0;
	if (S_ISLNK(st.st_mode)) {
		n = readlink(source, link, sizeof(link) - 1);
		if (n >= 0) {
			link[n] = 0;
			if (symlink(link, target) < 0 && errno != EEXIST)
				return err_sys(e, errno, "%s", target);
		}
		return 0;
	}
	if (S_ISDIR(st.st_mode)) {
		if (vfs_point_make_like(target, st.st_mode & 07777, st.st_uid, st.st_gid, e) < 0)
			return -1;
		/* The lock directory is for everybody to write: it starts empty instead. */
		if (!strcmp(de->d_name, "lock") || !strcmp(de->d_name, "shm"))
			return 0;
	} else if (S_ISREG(st.st_mode)) {
		return copy_run_file(source, target, &st, e);
	} else {
		auto_fd int fd = open(target, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

		if (fd < 0)
			return err_sys(e, errno, "%s", target);
	}
	if (mount(source, target, NULL, MS_BIND | MS_REC, NULL) < 0)
		return 0; /* unreachable for this user: an empty place is the truth */
	if (strcmp(de->d_name, "user") != 0)
		vfs_point_make_read_only(target);
	return 0;
}

int vfs_union_run_mount(const char *target, struct err *e)
{
	struct dirent *de;
	int rc = 0, count = 0;
	DIR *d;

	if (mount("floe", target, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=25%") < 0)
		return err_sys(e, errno, "cannot mount /run");
	d = opendir("/run");
	while (rc == 0 && d && (de = readdir(d))) {
		if (path_is_dot(de->d_name))
			continue;
		if (++count > RUN_ENTRIES_MAX)
			break;
		rc = bind_run_entry(target, de, e);
	}
	if (d)
		(void)closedir(d);
	return rc;
}
