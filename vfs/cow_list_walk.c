/* SPDX-License-Identifier: Apache-2.0 */
/* See cow_list_walk.h. getdents64 tells what an entry is, but for: whiteouts, directories that something is
 * mounted on, and numbers noted at a copy-up. Only entries that may be one of these are asked. */
#include "vfs/cow_list_walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fd.h"

enum { LEN_MIN = 4096, LEN_MAX = 64 << 10 };
enum { EXT4 = 0xef53, XFS = 0x58465342, BTRFS = 0x9123683e };

struct reading {
	const struct cow_walk *w;
	uint64_t dev;      /* of the directory */
	bool asks_regular; /* empty files may be whiteouts */
};

static int fd_of(const struct cow_walk *w)
{
	return w->lower ? w->lower->handle.fd : w->dir->upper;
}

static struct cow_layer *layer_of(const struct cow_walk *w)
{
	return w->lower ? w->u->layers[w->lower->number] : NULL;
}

bool cow_walk_keeps_offsets(const struct cow_walk *w)
{
	struct statfs fs;

	if (fd_of(w) < 0 || fstatfs(fd_of(w), &fs) < 0)
		return false;
	return fs.f_type == EXT4 || fs.f_type == XFS || fs.f_type == BTRFS;
}

int cow_walk_ask_upper(struct cow_union *u, const struct cow_dir *dir, const char *name, uint64_t *ret_ino,
		       unsigned char *ret_type)
{
	bool is_whiteout;
	struct stat st;
	int sys = cow_upper_lookup(u->upper, dir->upper, name, &st, &is_whiteout);
	uint64_t noted;

	if (sys)
		return sys;
	noted = dir->is_impure && !is_whiteout ? cow_upper_noted_ino(u->upper, dir->upper, name) : 0;
	*ret_ino = noted ? noted : cow_tree_ino(u, COW_UPPER, st.st_dev, st.st_ino);
	*ret_type = is_whiteout ? DT_WHT : IFTODT(st.st_mode);
	return 0;
}

static int fill_upper(const struct reading *r, const struct dirent64 *de, struct cow_walked *ret)
{
	const struct cow_walk *w = r->w;
	uint64_t noted;

	if (w->has_index && strcmp(de->d_name, "links") == 0)
		return ENOENT;
	if (w->dir->node == COW_ROOT && strcmp(de->d_name, ".floe") == 0 && cow_links_is_alone(w->u->upper))
		return ENOENT; /* one of a layer below is listed from there */
	if (de->d_type == DT_CHR || de->d_type == DT_UNKNOWN || (de->d_type == DT_REG && r->asks_regular))
		return cow_walk_ask_upper(w->u, w->dir, de->d_name, &ret->ino, &ret->type);
	noted = w->dir->is_impure ? cow_upper_noted_ino(w->u->upper, w->dir->upper, de->d_name) : 0;
	ret->ino = noted ? noted : cow_tree_ino(w->u, COW_UPPER, r->dev, de->d_ino);
	return 0;
}

static int fill_lower(const struct reading *r, const struct dirent64 *de, struct cow_walked *ret)
{
	struct cow_layer *l = layer_of(r->w);
	uint64_t dev = r->dev, ino = de->d_ino;
	struct cow_found found;
	bool must_ask = de->d_type == DT_UNKNOWN;
	uint64_t noted = 0;
	int sys;

	if (cow_layer_hides(l, &r->w->lower->handle, de->d_name))
		return ENOENT;
	if (l->is_frozen_upper)
		must_ask |= de->d_type == DT_CHR || (de->d_type == DT_REG && r->asks_regular);
	else
		must_ask |= de->d_type == DT_DIR;
	if (must_ask) {
		sys = l->ops->lookup(l, &r->w->lower->handle, de->d_name, &found, NULL);
		if (sys == ENOENT)
			return ENOENT;
		if (!sys) { /* a dead mount does not answer, and is a name still */
			dev = found.st.st_dev;
			ino = found.st.st_ino;
			ret->type = found.is_whiteout ? DT_WHT : IFTODT(found.st.st_mode);
		}
	}
	if (r->w->lower->is_impure && ret->type != DT_WHT)
		noted = cow_upper_noted_ino(r->w->u->upper, r->w->lower->handle.fd, de->d_name);
	ret->ino = noted ? noted : cow_tree_ino(r->w->u, r->w->lower->number, dev, ino);
	return 0;
}

/* ENOENT: the entry does not show. */
static int fill(const struct reading *r, const struct dirent64 *de, struct cow_walked *ret)
{
	*ret = (struct cow_walked){ .name = de->d_name, .next_off = (uint64_t)de->d_off, .type = de->d_type };
	if (cow_walk_is_dot(de->d_name)) {
		ret->type = DT_DIR;
		return 0;
	}
	return r->w->lower ? fill_lower(r, de, ret) : fill_upper(r, de, ret);
}

static int read_on(const struct reading *r, int fd, char *buf, size_t len, cow_walk_fn *fn, void *arg)
{
	for (;;) {
		ssize_t n = getdents64(fd, buf, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) /* a directory that was removed is empty */
			return n == 0 || errno == ENOENT ? 0 : errno;
		for (ssize_t at = 0; at < n;) {
			const struct dirent64 *de = (const struct dirent64 *)(void *)(buf + at);
			struct cow_walked walked;
			int sys = fill(r, de, &walked);

			if (sys && sys != ENOENT)
				return sys;
			if (!sys && !fn(arg, &walked))
				return 0;
			at += de->d_reclen;
		}
	}
}

int cow_walk(const struct cow_walk *w, uint64_t off, size_t size, cow_walk_fn *fn, void *arg)
{
	const struct cow_layer *l = layer_of(w);
	auto_fd int fd = openat(fd_of(w), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	size_t len = size < LEN_MIN ? LEN_MIN : size > LEN_MAX ? LEN_MAX : size;
	struct reading r = { .w = w };
	auto_free char *buf = NULL;
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0) /* what may not be read of a layer is empty */
		return l && (errno == EACCES || errno == EPERM) ? 0 : errno;
	if (fstat(fd, &st) < 0 || (off && lseek(fd, (off_t)off, SEEK_SET) < 0))
		return errno;
	r.dev = st.st_dev;
	if (!l || l->is_frozen_upper)
		r.asks_regular = fgetxattr(fd, "user.overlay.opaque", NULL, 0) >= 0 || errno != ENODATA;
	buf = malloc(len);
	return buf ? read_on(&r, fd, buf, len, fn, arg) : ENOMEM;
}
