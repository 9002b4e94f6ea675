/* SPDX-License-Identifier: Apache-2.0 */
/* Sorted names; see upper_names.h. */
#include "vfs/upper_names.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/path.h"

/* All names of one directory: some millions of files, far from all memory. */
enum { NAMES_MAX = 256 * 1024 * 1024, NAME_LEN_MAX = 255 };

static bool is_entry_name(const char *name, size_t len)
{
	if (len == 0 || len > NAME_LEN_MAX || memchr(name, '/', len))
		return false;
	return !path_is_dot(name);
}

static int add_directory(int fd, struct buf *text, struct err *e)
{
	/* A description of its own, so that the caller's offset does not matter. */
	auto_fd int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_closedir DIR *d = own < 0 ? NULL : fdopendir(own);
	struct dirent *de;

	if (!d)
		return err_sys(e, errno, "read directory");
	own = -1; /* the stream's now */
	for (;;) {
		errno = 0;
		de = readdir(d);
		if (!de)
			break;
		if (is_entry_name(de->d_name, strlen(de->d_name)) &&
		    buf_add(text, de->d_name, strlen(de->d_name) + 1, e) < 0)
			return -1;
	}
	return errno ? err_sys(e, errno, "read directory") : 0;
}

static int add_listing(int fd, struct buf *text, struct err *e)
{
	auto_buf struct buf all = BUF_INIT(NAMES_MAX);
	const char *p, *end;

	if (fd_read_to_end(fd, &all, e) < 0)
		return -1;
	p = (const char *)all.data;
	end = p + all.len;
	while (p < end) {
		const char *stop = memchr(p, 0, (size_t)(end - p));

		if (!stop)
			return err_set(e, ERR_FORMAT, "a listing that ends inside a name");
		if (is_entry_name(p, (size_t)(stop - p)) && buf_add(text, p, (size_t)(stop - p) + 1, e) < 0)
			return -1;
		p = stop + 1;
	}
	return 0;
}

static int compare(const void *a, const void *b)
{
	const struct vfs_upper_name *x = a, *y = b;
	int order = strcmp(x->text, y->text);

	return order ? order : (int)x->is_hidden - (int)y->is_hidden;
}

static size_t count_names(const struct buf *text)
{
	size_t n = 0;

	for (size_t i = 0; i < text->len; i++)
		n += text->data[i] == 0;
	return n;
}

/* Sorts, and drops what the lower has but the upper has, too. */
static void order_names(struct vfs_upper_names *n)
{
	size_t kept = 0;

	qsort(n->names, n->count, sizeof(*n->names), compare);
	for (size_t i = 0; i < n->count; i++)
		if (kept == 0 || strcmp(n->names[kept - 1].text, n->names[i].text) != 0)
			n->names[kept++] = n->names[i];
	n->count = kept;
}

static int read_names(int fd, int lower_fd, struct vfs_upper_names *n, struct err *e)
{
	size_t own_len;
	struct stat st;
	const char *p;

	if (add_directory(fd, &n->text, e) < 0)
		return -1;
	own_len = n->text.len;
	if (lower_fd >= 0) {
		if (fstat(lower_fd, &st) < 0)
			return err_sys(e, errno, "lower directory");
		if ((S_ISDIR(st.st_mode) ? add_directory : add_listing)(lower_fd, &n->text, e) < 0)
			return err_wrap(e, "lower directory");
	}
	n->count = count_names(&n->text);
	n->names = mem_alloc(n->count, sizeof(*n->names), e);
	if (!n->names)
		return -1;
	p = (const char *)n->text.data;
	for (size_t i = 0; i < n->count; i++, p += strlen(p) + 1)
		n->names[i] =
			(struct vfs_upper_name){ p, (size_t)(p - (const char *)n->text.data) >= own_len };
	order_names(n);
	return 0;
}

int vfs_upper_names_read(int fd, int lower_fd, struct vfs_upper_names *ret, struct err *e)
{
	struct vfs_upper_names n = { .text = BUF_INIT(NAMES_MAX) };

	if (read_names(fd, lower_fd, &n, e) < 0) {
		vfs_upper_names_fini(&n);
		return -1;
	}
	*ret = n;
	return 0;
}

void vfs_upper_names_fini(struct vfs_upper_names *n)
{
	buf_fini(&n->text);
	free(n->names);
	n->names = NULL;
	n->count = 0;
}
