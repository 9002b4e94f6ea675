/* SPDX-License-Identifier: Apache-2.0 */
/* Trying overlayfs, and remembering; see engine_probe.h. */
#include "launcher/engine_probe.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "vfs/union.h"

enum { NOTE_MAX = 4096 };

#define HEAD  "floe engine 1\n"
#define WORKS "works\n"
#define FAILS "fails: "

/* A pretended root, of a user namespace, may do what its user may. */
static bool is_real_root(void)
{
	auto_fd int fd = open("/proc/self/uid_map", O_RDONLY | O_CLOEXEC);
	unsigned long inside, outside, count;
	char text[128];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (geteuid() != 0 || n <= 0)
		return geteuid() == 0;
	text[n] = 0;
	return sscanf(text, "%lu %lu %lu", &inside, &outside, &count) != 3 || count > 1;
}

/* Where it is remembered. Device numbers are used again for other file systems: their type is part of it. */
static char *note_path(const char *dir, bool make, struct err *e)
{
	auto_free char *cache = path_cache_dir(make, e);
	auto_free char *notes = cache ? path_join(cache, "engine", e) : NULL;
	struct statfs fs;
	struct stat st;

	if (!notes || (make && path_make_dirs(notes, 0700, e) < 0))
		return NULL;
	if (stat(dir, &st) < 0 || statfs(dir, &fs) < 0) {
		(void)err_set(e, ERR_IO, "%s", dir);
		return NULL;
	}
	return mem_printf(e, "%s/overlay-%s-%u-%u-%lx", notes, is_real_root() ? "root" : "user",
			  major(st.st_dev), minor(st.st_dev), (unsigned long)fs.f_type);
}

static void kernel_line(char ret[256])
{
	struct utsname u;

	*ret = 0;
	if (uname(&u) == 0)
		(void)snprintf(ret, 256, "%s %s\n", u.release, u.version);
}

static bool starts_with(const char **text, const char *head)
{
	size_t len = strlen(head);

	if (strncmp(*text, head, len) != 0)
		return false;
	*text += len;
	return true;
}

bool launch_probe_recall(const char *dir, struct launch_probe *ret)
{
	struct err e;
	auto_free char *path = note_path(dir, false, &e);
	auto_buf struct buf b = BUF_INIT(NOTE_MAX);
	char kernel[256];
	const char *text;
	size_t len;

	if (!path || fd_read_file(AT_FDCWD, path, &b, &e) < 0 || (b.len && memchr(b.data, 0, b.len)))
		return false;
	text = buf_text(&b, &e);
	kernel_line(kernel);
	if (!text || !*kernel || !starts_with(&text, HEAD) || !starts_with(&text, kernel))
		return false;
	*ret = (struct launch_probe){ .works = !strcmp(text, WORKS) };
	if (ret->works)
		return true;
	if (!starts_with(&text, FAILS))
		return false;
	len = strcspn(text, "\n");
	if (!len || strcmp(text + len, "\n") != 0 || len >= sizeof(ret->why))
		return false;
	memcpy(ret->why, text, len);
	return true;
}

void launch_probe_remember(const char *dir, const struct launch_probe *p)
{
	struct err e;
	auto_free char *path = note_path(dir, true, &e);
	char text[1024], kernel[256];

	kernel_line(kernel);
	(void)snprintf(text, sizeof(text), HEAD "%s%s%s%s", kernel, p->works ? WORKS : FAILS,
		       p->works ? "" : p->why, p->works ? "" : "\n");
	/* What could not be noted is tried again the next time. */
	if (path)
		(void)!fd_write_file(AT_FDCWD, path, text, strlen(text), 0600, &e);
}

void launch_probe_try(const char *dir, struct launch_probe *ret)
{
	struct err why;

	*ret = (struct launch_probe){ .works = vfs_union_probe(dir, &why) == 0 };
	if (!ret->works)
		(void)snprintf(ret->why, sizeof(ret->why), "%.255s", why.msg);
	launch_probe_remember(dir, ret);
}

void launch_probe_forget(const char *dir)
{
	struct err ignored;
	auto_free char *path = note_path(dir, false, &ignored);

	if (path)
		(void)unlink(path);
}
