/* SPDX-License-Identifier: Apache-2.0 */
/* What is hidden of a frozen upper: its index of links; see cow_layer.h. Nobody changes it any more, so that
 * it is looked at once. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "vfs/cow_layer.h"

enum { DIR_FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };

/* Takes the descriptor. */
static bool holds_only_links(int fd)
{
	DIR *d = fdopendir(fd);
	const struct dirent *de;
	bool is_alone = true;

	if (!d) {
		fd_close(fd);
		return false;
	}
	while (is_alone && (de = readdir(d)))
		is_alone = path_is_dot(de->d_name) || !strcmp(de->d_name, "links");
	(void)closedir(d);
	return is_alone;
}

int cow_layer_index_open(int root_fd, struct cow_layer_index *ret, struct err *e)
{
	auto_fd int own = openat(root_fd, ".floe", DIR_FLAGS), links = -1;
	struct cow_layer_index x = { .is_there = true };
	struct stat root, st, links_st;

	if (own >= 0)
		links = openat(own, "links", DIR_FLAGS);
	if (links < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
		return 0;
	if (links < 0 || fstat(root_fd, &root) < 0 || fstat(own, &st) < 0 || fstat(links, &links_st) < 0)
		return err_sys(e, errno, "index of links");
	x.root_ino = root.st_ino;
	x.own_ino = st.st_ino;
	x.is_alone = holds_only_links(fd_steal(&own));
	x.links = (struct cow_handle){ .dev = links_st.st_dev, .ino = links_st.st_ino };
	x.links.fd = fd_steal(&links);
	*ret = x;
	return 0;
}

bool cow_layer_hides(const struct cow_layer *l, const struct cow_handle *dir, const char *name)
{
	const struct cow_layer_index *x = &l->index;

	if (!x->is_there || dir->dev != x->links.dev)
		return false;
	if (dir->ino == x->root_ino)
		return x->is_alone && !strcmp(name, ".floe");
	return dir->ino == x->own_ino && !strcmp(name, "links");
}
