/* SPDX-License-Identifier: Apache-2.0 */
/* The host's root directory; see union_host.h. Files at the top (swap files, markers) are not shown to
 * applications: nothing mounts over a file without leaving an empty one in the upper. */
#include "vfs/union_host.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"

enum { MOUNTINFO_MAX = 16 * 1024 * 1024, TOP_ENTRIES_MAX = 1024 };

void vfs_host_root_fini(struct vfs_host_root *r)
{
	for (size_t i = 0; i < r->count; i++) {
		free(r->entries[i].name);
		free(r->entries[i].target);
	}
	free(r->entries);
	*r = (struct vfs_host_root){ 0 };
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct vfs_host_entry *)a)->name, ((const struct vfs_host_entry *)b)->name);
}

static int one_by_name(const void *name, const void *entry)
{
	return strcmp(name, ((const struct vfs_host_entry *)entry)->name);
}

const struct vfs_host_entry *vfs_host_root_find(const struct vfs_host_root *r, const char *name)
{
	return r->count ? bsearch(name, r->entries, r->count, sizeof(*r->entries), one_by_name) : NULL;
}

static enum vfs_host_kind kind_of(const char *name)
{
	if (!strcmp(name, "dev") || !strcmp(name, "sys"))
		return VFS_HOST_BIND;
	if (!strcmp(name, "proc"))
		return VFS_HOST_PROC;
	if (!strcmp(name, "run"))
		return VFS_HOST_RUN;
	return VFS_HOST_UNION;
}

/* 1 when the entry is to be shown, 0 when not. */
static int read_entry(int root, const char *name, struct vfs_host_entry *ret, struct err *e)
{
	char link[PATH_MAX];
	struct stat st;
	ssize_t n;

	if (!strcmp(name, "lost+found") || !strcmp(name, ".floe"))
		return 0;
	if (fstatat(root, name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0)
		return 0; /* gone meanwhile, or a mount whose server is dead */
	if (!S_ISDIR(st.st_mode) && !S_ISLNK(st.st_mode))
		return 0;
	*ret = (struct vfs_host_entry){ .mode = st.st_mode & 07777, .uid = st.st_uid, .gid = st.st_gid };
	ret->kind = kind_of(name);
	if (S_ISLNK(st.st_mode)) {
		n = readlinkat(root, name, link, sizeof(link) - 1);
		if (n < 0)
			return 0;
		link[n] = 0;
		ret->kind = VFS_HOST_SYMLINK;
		ret->target = mem_strdup(link, e);
		if (!ret->target)
			return -1;
	}
	ret->name = mem_strdup(name, e);
	return ret->name ? 1 : -1;
}

static int read_entries(struct vfs_host_root *r, struct err *e)
{
	DIR *d = opendir("/");
	struct dirent *de;
	int rc = 0;

	if (!d)
		return err_sys(e, errno, "/");
	while (rc >= 0 && (de = readdir(d))) {
		struct vfs_host_entry *more;

		if (path_is_dot(de->d_name))
			continue;
		if (r->count == TOP_ENTRIES_MAX) {
			rc = err_set(e, ERR_LIMIT, "more than %d entries in /", TOP_ENTRIES_MAX);
			break;
		}
		more = mem_grow(r->entries, r->count + 1, sizeof(*more), e);
		if (!more) {
			rc = -1;
			break;
		}
		r->entries = more;
		rc = read_entry(dirfd(d), de->d_name, &more[r->count], e);
		if (rc > 0)
			r->count++;
	}
	(void)closedir(d);
	if (rc >= 0 && r->count)
		qsort(r->entries, r->count, sizeof(*r->entries), by_name);
	return rc < 0 ? -1 : 0;
}

/* The mount table escapes blanks, tabs, newlines and backslashes as three octal digits. */
static void unescape(char *s)
{
	char *out = s;

	for (; *s; s++) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' && s[3] >= '0' &&
		    s[3] <= '7') {
			*out++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 3;
		} else {
			*out++ = *s;
		}
	}
	*out = 0;
}

static void note_mount(struct vfs_host_root *r, const char *own, char *point)
{
	char *slash;

	unescape(point);
	if (*point != '/' || (own && path_is_below(point, own)))
		return;
	slash = strchr(point + 1, '/');
	if (!slash)
		return; /* the top-level directory itself is a mount: nothing lies inside it by that */
	*slash = 0;
	for (size_t i = 0; i < r->count; i++)
		if (!strcmp(r->entries[i].name, point + 1))
			r->entries[i].has_submounts = true;
}

static int read_mounts(struct vfs_host_root *r, const char *own, struct err *e)
{
	auto_buf struct buf text = BUF_INIT(MOUNTINFO_MAX);
	char *line, *save = NULL;

	if (fd_read_file(AT_FDCWD, "/proc/self/mountinfo", &text, e) < 0 || !buf_text(&text, e))
		return -1;
	for (line = strtok_r((char *)text.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *word, *inner = NULL;
		int column = 0;

		for (word = strtok_r(line, " ", &inner); word && ++column < 5;
		     word = strtok_r(NULL, " ", &inner))
			;
		if (word)
			note_mount(r, own, word);
	}
	return 0;
}

int vfs_host_root_read(const char *own, struct vfs_host_root *ret, struct err *e)
{
	struct vfs_host_root r = { 0 };

	if (read_entries(&r, e) < 0 || read_mounts(&r, own, e) < 0) {
		vfs_host_root_fini(&r);
		return -1;
	}
	*ret = r;
	return 0;
}
