/* SPDX-License-Identifier: Apache-2.0 */
/* See cow_xattr_at.h. */
#include "vfs/cow_xattr_at.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

#include "base/mem.h"

enum { PATH_LEN = 32 + NAME_MAX + 1, USUAL_LEN = 1024 };

/* A file name longer than any is left to the kernel to refuse. */
static void path_of(int dir, const char *name, char ret[PATH_LEN])
{
	(void)snprintf(ret, PATH_LEN, "/proc/self/fd/%d%s%s", dir, *name ? "/" : "", name);
}

int cow_xattr_at_get(int dir, const char *name, const char *attr, void *value, size_t cap, size_t *ret_len)
{
	char path[PATH_LEN];
	ssize_t n;

	path_of(dir, name, path);
	n = *name ? lgetxattr(path, attr, value, cap) : getxattr(path, attr, value, cap);
	if (n < 0)
		return errno;
	*ret_len = (size_t)n;
	return 0;
}

int cow_xattr_at_set(int dir, const char *name, const char *attr, const void *value, size_t len, int flags)
{
	char path[PATH_LEN];

	path_of(dir, name, path);
	return (*name ? lsetxattr(path, attr, value, len, flags) : setxattr(path, attr, value, len, flags)) <
			       0
		       ? errno
		       : 0;
}

int cow_xattr_at_remove(int dir, const char *name, const char *attr)
{
	char path[PATH_LEN];

	path_of(dir, name, path);
	return (*name ? lremovexattr(path, attr) : removexattr(path, attr)) < 0 ? errno : 0;
}

int cow_xattr_show(const char *all, size_t all_len, cow_xattr_show_fn *show, void *arg, char *names,
		   size_t cap, size_t *ret_len)
{
	char room[XATTR_NAME_MAX + 1];
	size_t len = 0;

	for (const char *p = all; p < all + all_len; p += strlen(p) + 1) {
		const char *shown = show(arg, p, room);
		size_t need = shown ? strlen(shown) + 1 : 0;

		if (cap && need > cap - len)
			return ERANGE;
		if (cap && need)
			memcpy(names + len, shown, need);
		len += need;
	}
	*ret_len = len;
	return 0;
}

int cow_xattr_at_list(int dir, const char *name, cow_xattr_show_fn *show, void *arg, char *names, size_t cap,
		      size_t *ret_len)
{
	ssize_t (*list)(const char *, char *, size_t) = *name ? llistxattr : listxattr;
	char path[PATH_LEN], usual[USUAL_LEN];
	auto_free char *big = NULL;
	ssize_t n;

	path_of(dir, name, path);
	n = list(path, usual, sizeof(usual));
	if (n < 0 && errno == ERANGE) {
		big = malloc(XATTR_LIST_MAX);
		if (!big)
			return ENOMEM;
		n = list(path, big, XATTR_LIST_MAX);
	}
	if (n < 0)
		return errno;
	return cow_xattr_show(big ? big : usual, (size_t)n, show, arg, names, cap, ret_len);
}
