/* SPDX-License-Identifier: Apache-2.0 */
/* A package as a layer, read in this process through the streaming library; see cow_layer.h.
 *
 * A handle is an inode number of the index, nothing is open. The package's "@home" appears at the user's home
 * directory. The directories above that are the package's own where it has them, with one name more; the
 * others are made up, with numbers that no index has. What the package holds at the home directory's own
 * path does not show: "@home" is there instead. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/mem.h"
#include "streaming/package.h"
#include "vfs/cow_layer.h"
#include "vfs/package_touches.h"

enum {
	LIST_BATCH = 64,
	GRAFTS_MAX = 32,       /* components of a home directory's path */
	XATTR_MAX = 64 * 1024, /* the kernel's own limit */
};
#define MADE_UP (UINT64_C(1) << 63) /* | its place in `grafts` */
static const char home_name[] = "@home";

/* A directory that leads to the home directory, and the name in it that does. */
struct graft {
	uint64_t ino, child;
	const char *name; /* borrowed from `home` */
};

struct package_layer {
	struct cow_layer base;          /* first */
	struct stream_package *package; /* borrowed */
	struct pkg_index *index;        /* borrowed, the package's */
	struct pkg_inode root;
	struct package_touches *touches; /* NULL = not recording; borrowed */
	bool has_xattrs;
	char *home; /* owned; its '/' are NUL */
	struct graft grafts[GRAFTS_MAX];
	size_t graft_count;
};

static struct package_layer *package_of(struct cow_layer *l)
{
	return (struct package_layer *)l;
}

/* Data that cannot be had is EIO, whatever it was that failed on the way to it. */
static int errno_of(const struct err *why)
{
	switch (why->code) {
	case ERR_NOTFOUND:
		return ENOENT;
	case ERR_INTERRUPTED:
		return EINTR;
	case ERR_NOMEM:
		return ENOMEM;
	default:
		return EIO;
	}
}

/* ---- inodes -------------------------------------------------------------------------------- */

static const struct graft *graft_at(const struct package_layer *p, uint64_t dir)
{
	for (size_t i = 0; i < p->graft_count; i++)
		if (p->grafts[i].ino == dir)
			return &p->grafts[i];
	return NULL;
}

static bool is_hidden(uint64_t dir, const char *name)
{
	return dir == PKG_ROOT_INO && !strcmp(name, home_name);
}

static int inode_stat(struct package_layer *p, uint64_t ino, struct pkg_inode *ret)
{
	struct err why;

	if (ino & MADE_UP) {
		*ret = (struct pkg_inode){
			.ino = ino,
			.mode = S_IFDIR | 0755,
			.nlink = 2,
			.mtime_s = p->root.mtime_s,
			.mtime_ns = p->root.mtime_ns,
		};
		return 0;
	}
	return pkg_index_stat(p->index, ino, ret, &why) < 0 ? errno_of(&why) : 0;
}

static int inode_at(struct package_layer *p, uint64_t dir, const char *name, struct pkg_inode *ret)
{
	const struct graft *g = graft_at(p, dir);
	size_t len = strlen(name);
	struct err why;

	if (len > PKG_NAME_MAX)
		return ENAMETOOLONG;
	if (g && !strcmp(g->name, name))
		return inode_stat(p, g->child, ret);
	if ((dir & MADE_UP) || is_hidden(dir, name))
		return ENOENT;
	return pkg_index_lookup(p->index, dir, name, len, ret, &why) < 0 ? errno_of(&why) : 0;
}

static void found_of(const struct pkg_inode *inode, struct cow_found *ret)
{
	*ret = (struct cow_found){
		.st = {
			.st_ino = inode->ino,
			.st_mode = inode->mode,
			.st_nlink = inode->nlink ? inode->nlink : 1,
			.st_uid = inode->uid,
			.st_gid = inode->gid,
			.st_rdev = inode->rdev,
			.st_size = (off_t)inode->size,
			.st_blksize = 4096,
			.st_blocks = (blkcnt_t)(inode->size / 512 + (inode->size % 512 != 0)),
			.st_mtim = { .tv_sec = inode->mtime_s, .tv_nsec = inode->mtime_ns },
		},
		.is_whiteout = S_ISCHR(inode->mode) && inode->rdev == 0,
	};
	ret->st.st_atim = ret->st.st_ctim = ret->st.st_mtim;
}

static int package_lookup(struct cow_layer *l, const struct cow_handle *dir, const char *name,
			  struct cow_found *ret, struct cow_handle *held)
{
	struct pkg_inode inode;
	int sys = inode_at(package_of(l), dir->ino, name, &inode);

	(void)held; /* nobody replaces anything here */
	if (!sys)
		found_of(&inode, ret);
	return sys;
}

static int package_stat(struct cow_layer *l, const struct cow_handle *h, struct cow_found *ret)
{
	struct pkg_inode inode;
	int sys = inode_stat(package_of(l), h->ino, &inode);

	if (!sys)
		found_of(&inode, ret);
	return sys;
}

/* ---- opening ------------------------------------------------------------------------------- */

static int package_open_root(struct cow_layer *l, struct cow_handle *ret)
{
	(void)l;
	*ret = (struct cow_handle){ .fd = -1, .ino = PKG_ROOT_INO };
	return 0;
}

static int package_open_dir(struct cow_layer *l, const struct cow_handle *dir, const char *name,
			    struct cow_handle *ret)
{
	struct pkg_inode inode;
	int sys = inode_at(package_of(l), dir->ino, name, &inode);

	if (sys)
		return sys;
	if (!S_ISDIR(inode.mode))
		return ENOTDIR;
	*ret = (struct cow_handle){ .fd = -1, .ino = inode.ino };
	return 0;
}

static int open_inode(const struct pkg_inode *inode, uint64_t dev, uint64_t ino, struct cow_handle *ret)
{
	if (dev != 0 || inode->ino != ino || !S_ISREG(inode->mode))
		return ESTALE;
	*ret = (struct cow_handle){ .fd = -1, .ino = ino };
	return 0;
}

static int package_open_file(struct cow_layer *l, const struct cow_handle *dir, const char *name,
			     uint64_t dev, uint64_t ino, struct cow_handle *ret)
{
	struct pkg_inode inode;
	int sys = inode_at(package_of(l), dir->ino, name, &inode);

	if (sys)
		return sys == ENOENT ? ESTALE : sys;
	return open_inode(&inode, dev, ino, ret);
}

static int package_open_lost(struct cow_layer *l, const char *path, uint64_t dev, uint64_t ino,
			     struct cow_handle *ret)
{
	struct pkg_inode inode;
	int sys = inode_stat(package_of(l), ino, &inode);

	(void)path;
	if (sys)
		return sys == ENOENT ? ESTALE : sys;
	return open_inode(&inode, dev, ino, ret);
}

/* ---- reading ------------------------------------------------------------------------------- */

static int package_read(struct cow_layer *l, const struct cow_handle *h, uint64_t off, size_t size, void *buf,
			size_t *ret_got, bool (*is_over)(void *arg), void *arg)
{
	struct package_layer *p = package_of(l);
	struct pkg_inode inode;
	struct err why;
	int sys = inode_stat(p, h->ino, &inode);

	if (sys)
		return sys;
	if (!S_ISREG(inode.mode))
		return EISDIR;
	if (!is_over) {
		is_over = l->is_over;
		arg = l->is_over_arg;
	}
	if (stream_package_read(p->package, &inode, off, size, buf, ret_got, is_over, arg, &why) < 0)
		return why.code == ERR_NOTFOUND ? EIO : errno_of(&why);
	if (p->touches)
		package_touches_add(p->touches, h->ino, off, (uint32_t)*ret_got);
	return 0;
}

static int package_readlink(struct cow_layer *l, const struct cow_handle *dir, const char *name, char *buf,
			    size_t cap, size_t *ret_len)
{
	struct package_layer *p = package_of(l);
	char target[PKG_SYMLINK_MAX + 1];
	struct pkg_inode inode;
	struct err why;
	int sys = inode_at(p, dir->ino, name, &inode);
	size_t len;

	if (sys)
		return sys;
	if (!S_ISLNK(inode.mode))
		return EINVAL;
	if (pkg_index_readlink(p->index, inode.ino, target, &why) < 0)
		return errno_of(&why);
	len = strlen(target);
	if (len >= cap) /* as of a directory on disk: more room than it takes */
		return ERANGE;
	memcpy(buf, target, len);
	*ret_len = len;
	return 0;
}

/* ---- listing ------------------------------------------------------------------------------- */

/* The index keeps no device numbers with the names. */
static int type_of(struct package_layer *p, const struct pkg_dirent *d, unsigned char *ret)
{
	struct pkg_inode inode = { 0 };
	int sys = S_ISCHR(d->mode) ? inode_stat(p, d->ino, &inode) : 0;

	if (!sys)
		*ret = S_ISCHR(d->mode) && inode.rdev == 0 ? DT_WHT : IFTODT(d->mode);
	return sys;
}

static int package_list(struct cow_layer *l, const struct cow_handle *dir, cow_list_fn *fn, void *arg)
{
	struct package_layer *p = package_of(l);
	const struct graft *g = graft_at(p, dir->ino);
	auto_free struct pkg_dirent *batch = NULL;
	uint64_t cookie = 0;
	unsigned char type;
	struct err why;
	size_t n;
	int sys;

	if (g && !fn(arg, g->name, 0, g->child, DT_DIR))
		return 0;
	if (dir->ino & MADE_UP)
		return 0;
	batch = mem_alloc(LIST_BATCH, sizeof(*batch), &why);
	if (!batch)
		return ENOMEM;
	do {
		if (pkg_index_list(p->index, dir->ino, cookie, batch, LIST_BATCH, &n, &why) < 0)
			return errno_of(&why);
		for (size_t i = 0; i < n; i++) {
			cookie = batch[i].cookie;
			if (is_hidden(dir->ino, batch[i].name) || (g && !strcmp(batch[i].name, g->name)))
				continue;
			sys = type_of(p, &batch[i], &type);
			if (sys)
				return sys;
			if (!fn(arg, batch[i].name, 0, batch[i].ino, type))
				return 0;
		}
	} while (n == LIST_BATCH);
	return 0;
}

/* ---- extended attributes ------------------------------------------------------------------- */

/* Its number, 0 when it has no attributes. */
static int attr_owner(struct package_layer *p, const struct cow_handle *dir, const char *name, uint64_t *ret)
{
	struct pkg_inode inode = { .ino = dir->ino };
	int sys = *name ? inode_at(p, dir->ino, name, &inode) : 0;

	if (!sys)
		*ret = !p->has_xattrs || (inode.ino & MADE_UP) ? 0 : inode.ino;
	return sys;
}

static int answer(const struct buf *b, void *value, size_t cap, size_t *ret_len)
{
	if (cap && b->len > cap)
		return ERANGE;
	if (cap && b->len)
		memcpy(value, b->data, b->len);
	*ret_len = b->len;
	return 0;
}

static int package_getxattr(struct cow_layer *l, const struct cow_handle *dir, const char *name,
			    const char *attr, void *value, size_t cap, size_t *ret_len)
{
	struct package_layer *p = package_of(l);
	auto_buf struct buf b = BUF_INIT(XATTR_MAX);
	uint64_t ino;
	struct err why;
	int sys = attr_owner(p, dir, name, &ino);

	if (sys)
		return sys;
	if (!ino)
		return ENODATA;
	if (pkg_index_xattr_get(p->index, ino, attr, &b, &why) < 0)
		return why.code == ERR_NOTFOUND ? ENODATA : errno_of(&why);
	return answer(&b, value, cap, ret_len);
}

static int package_listxattr(struct cow_layer *l, const struct cow_handle *dir, const char *name, char *names,
			     size_t cap, size_t *ret_len)
{
	struct package_layer *p = package_of(l);
	auto_buf struct buf b = BUF_INIT(XATTR_MAX);
	uint64_t ino;
	struct err why;
	int sys = attr_owner(p, dir, name, &ino);

	if (sys)
		return sys;
	if (ino && pkg_index_xattr_list(p->index, ino, &b, &why) < 0)
		return errno_of(&why);
	return answer(&b, names, cap, ret_len);
}

/* ---- life ---------------------------------------------------------------------------------- */

static void package_close(struct cow_layer *l)
{
	struct package_layer *p = package_of(l);

	free(p->home);
	free(l->key);
	free(p);
}

static const struct cow_layer_ops package_ops = {
	.close = package_close,
	.open_root = package_open_root,
	.lookup = package_lookup,
	.open_dir = package_open_dir,
	.list = package_list,
	.open_file = package_open_file,
	.open_lost = package_open_lost,
	.stat = package_stat,
	.read = package_read,
	.readlink = package_readlink,
	.getxattr = package_getxattr,
	.listxattr = package_listxattr,
};

/* 1 and the number of the package's directory of that name, 0 = it has none, -1. */
static int find_dir(struct package_layer *p, uint64_t dir, const char *name, uint64_t *ret, struct err *e)
{
	struct pkg_inode inode;

	if (dir & MADE_UP)
		return 0;
	if (pkg_index_lookup(p->index, dir, name, strlen(name), &inode, e) < 0)
		return e->code == ERR_NOTFOUND ? 0 : -1;
	if (!S_ISDIR(inode.mode))
		return 0;
	*ret = inode.ino;
	return 1;
}

/* "/" has nowhere to graft: a package that is used with such a home shows its "@home" nowhere. */
static int graft_home(struct package_layer *p, const char *home, struct err *e)
{
	uint64_t at = PKG_ROOT_INO, target;
	char *rest, *name;
	int r = find_dir(p, PKG_ROOT_INO, home_name, &target, e);

	if (r <= 0)
		return r;
	p->home = mem_strdup(home, e);
	if (!p->home)
		return -1;
	for (name = strtok_r(p->home, "/", &rest); name; name = strtok_r(NULL, "/", &rest)) {
		if (p->graft_count == GRAFTS_MAX || strlen(name) > PKG_NAME_MAX)
			return err_set(e, ERR_LIMIT, "home directory %s: too long a path", home);
		p->grafts[p->graft_count] = (struct graft){ .ino = at, .name = name };
		r = find_dir(p, at, name, &at, e);
		if (r < 0)
			return -1;
		if (r == 0)
			at = MADE_UP | p->graft_count;
		p->grafts[p->graft_count++].child = at;
	}
	if (p->graft_count)
		p->grafts[p->graft_count - 1].child = target;
	return 0;
}

static int fill(struct package_layer *p, const char *home, struct err *e)
{
	char hex[PKG_DIGEST_HEX];
	struct pkg_index_counts counts;

	pkg_digest_hex(&stream_package_header(p->package)->root, hex);
	p->base.key = mem_printf(e, "package:%s", hex);
	if (!p->base.key)
		return -1;
	pkg_index_counts(p->index, &counts);
	p->has_xattrs = counts.has_xattrs;
	if (pkg_index_stat(p->index, PKG_ROOT_INO, &p->root, e) < 0)
		return -1;
	return home ? graft_home(p, home, e) : 0;
}

void cow_layer_package_record(struct cow_layer *l, struct package_touches *t)
{
	package_of(l)->touches = t;
}

int cow_layer_package_open(struct stream_package *package, const char *home, struct cow_layer **ret,
			   struct err *e)
{
	struct package_layer *p = mem_alloc(1, sizeof(*p), e);

	if (!p)
		return -1;
	p->base = (struct cow_layer){ .ops = &package_ops, .is_immutable = true, .is_streamed = true };
	p->package = package;
	p->index = stream_package_index(package);
	if (fill(p, home, e) < 0) {
		package_close(&p->base);
		return -1;
	}
	*ret = &p->base;
	return 0;
}
