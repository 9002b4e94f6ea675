/* SPDX-License-Identifier: Apache-2.0 */
/* The page of a directory: a repository's catalogue, or a list of the packages there; see cmd_serve_index.h.
 */
#include "launcher/cmd_serve_index.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/bytes.h"
#include "base/fd.h"
#include "launcher/cmd_serve_html.h"

enum { ENTRIES_MAX = 10000 };

struct entry {
	char *name; /* owned */
	uint64_t size;
	bool is_dir;
};

static bool is_package(const char *name)
{
	size_t len = strlen(name);

	return len > 5 && strcmp(name + len - 5, ".floe") == 0;
}

static int compare(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return x->is_dir != y->is_dir ? y->is_dir - x->is_dir : strcmp(x->name, y->name);
}

/* Like the server itself: what a symbolic link leads to counts only where it stays inside. */
static bool look_at(int fd, const char *name, struct stat *ret)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC,
				.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS };
	auto_fd int entry = (int)syscall(SYS_openat2, fd, name, &how, sizeof(how));

	return entry >= 0 && fstat(entry, ret) == 0;
}

static int read_entries(int dir_fd, struct buf *ret, struct err *e)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *d;
	int rc = 0;

	if (!dir) {
		int sys = errno;

		fd_close(fd);
		return err_sys(e, sys, "directory");
	}
	while (rc == 0 && (d = readdir(dir))) {
		struct entry entry = { 0 };
		struct stat st;

		if (d->d_name[0] == '.' || !look_at(fd, d->d_name, &st))
			continue;
		entry.is_dir = S_ISDIR(st.st_mode);
		entry.size = (uint64_t)st.st_size;
		if (!entry.is_dir && !(S_ISREG(st.st_mode) && is_package(d->d_name)))
			continue;
		entry.name = mem_strdup(d->d_name, e);
		rc = entry.name ? buf_add(ret, &entry, sizeof(entry), e) : -1;
		if (rc < 0)
			free(entry.name);
		if (ret->len / sizeof(entry) >= ENTRIES_MAX)
			break;
	}
	(void)closedir(dir);
	return rc;
}

static int add_entry(struct buf *b, const struct entry *entry, const char *path, const char *host,
		     struct err *e)
{
	char size[32];

	if (buf_add_str(b, "<article>", e) < 0 ||
	    serve_html_letter(b, entry->is_dir ? "/" : entry->name, e) < 0 ||
	    buf_add_str(b, "<div><h2><a href=\"", e) < 0 || serve_html_url(b, path, e) < 0 ||
	    serve_html_url(b, entry->name, e) < 0 || buf_add_str(b, entry->is_dir ? "/\">" : "\">", e) < 0 ||
	    serve_html_text(b, entry->name, e) < 0)
		return -1;
	if (entry->is_dir)
		return buf_add_str(b, "/</a></h2></div></article>\n", e);
	bytes_human(entry->size, size);
	if (buf_printf(b, e, "</a></h2><p class=\"facts\">%s</p><p><code>floe run http://", size) < 0 ||
	    serve_html_text(b, host, e) < 0 || serve_html_url(b, path, e) < 0 ||
	    serve_html_url(b, entry->name, e) < 0)
		return -1;
	return buf_add_str(b, "</code></p></div></article>\n", e);
}

static int add_page(struct buf *b, const struct entry *entries, size_t count, const char *path,
		    const char *host, struct err *e)
{
	if (serve_html_begin(b, "floe packages", e) < 0 ||
	    buf_add_str(b, "<header><h1>Packages in ", e) < 0 || serve_html_text(b, path, e) < 0 ||
	    buf_add_str(b, "</h1></header>\n<main>\n", e) < 0)
		return -1;
	for (size_t i = 0; i < count; i++)
		if (add_entry(b, &entries[i], path, host, e) < 0)
			return -1;
	if (!count && buf_add_str(b, "<p>There are no packages here.</p>\n", e) < 0)
		return -1;
	return serve_html_end(b, e);
}

static int list_page(int dir_fd, const char *path, const char *host, struct buf *ret, struct err *e)
{
	auto_buf struct buf list = BUF_INIT(sizeof(struct entry) * (ENTRIES_MAX + 1));
	struct entry *entries;
	size_t count;
	int rc;

	rc = read_entries(dir_fd, &list, e);
	entries = (struct entry *)(void *)list.data;
	count = list.len / sizeof(*entries);
	if (rc == 0 && count)
		qsort(entries, count, sizeof(*entries), compare);
	if (rc == 0)
		rc = add_page(ret, entries, count, path, host, e);
	for (size_t i = 0; i < count; i++)
		free(entries[i].name);
	return rc;
}

int serve_index_page(int dir_fd, const char *path, const char *host, struct buf *ret, struct err *e)
{
	auto_buf struct buf bytes = BUF_INIT(PKG_REPOSITORY_MAX);
	struct pkg_repository *r;
	struct stat st;
	struct err why;
	int rc;

	if (!look_at(dir_fd, PKG_REPOSITORY_FILE, &st) || !S_ISREG(st.st_mode) ||
	    fd_read_file(dir_fd, PKG_REPOSITORY_FILE, &bytes, &why) < 0 ||
	    pkg_repository_open(bytes.data, bytes.len, &r, &why) < 0)
		return list_page(dir_fd, path, host, ret, e);
	rc = serve_catalogue_page(r, path, host, ret, e);
	pkg_repository_free(r);
	return rc;
}
