/* SPDX-License-Identifier: Apache-2.0 */
/* The tree that a writer makes; see plan.h.
 *
 * Path order compares bytes with '/' below all others, so that a directory stands right before everything
 * in it. Inode numbers follow that order, which keeps what lies together on disk together in the index. */
#include "package-format/plan.h"

#include <string.h>
#include <sys/stat.h>

#define PLAN_MEMORY_MAX ((size_t)4 << 30)
enum { XATTR_VALUE_MAX = 65536, XATTR_COUNT_MAX = 256, TABLE_FIRST = 1024 };

void pkg_plan_init(struct pkg_plan *p)
{
	*p = (struct pkg_plan){ .arena = ARENA_INIT(PLAN_MEMORY_MAX) };
}

void pkg_plan_fini(struct pkg_plan *p)
{
	arena_fini(&p->arena);
	free(p->entries);
	free(p->by_path);
	memset(p, 0, sizeof(*p));
}

/* ---- finding by path ------------------------------------------------------------------------ */

/* FNV-1a, 64 bits. */
static uint64_t hash_of(const char *path, size_t len)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)path[i]) * UINT64_C(0x100000001b3);
	return h ^ (h >> 29);
}

/* Where a path is in the table, or where it would be. */
static size_t *slot_of(const struct pkg_plan *p, const char *path, size_t len)
{
	size_t at = hash_of(path, len) & (p->by_path_cap - 1);

	for (; p->by_path[at]; at = (at + 1) & (p->by_path_cap - 1)) {
		const char *have = p->entries[p->by_path[at] - 1].path;

		if (!strncmp(have, path, len) && !have[len])
			break;
	}
	return &p->by_path[at];
}

static int fill_table(struct pkg_plan *p, size_t cap, struct err *e)
{
	size_t *table = mem_alloc(cap, sizeof(*table), e);

	if (!table)
		return -1;
	free(p->by_path);
	p->by_path = table;
	p->by_path_cap = cap;
	for (size_t i = 0; i < p->count; i++)
		*slot_of(p, p->entries[i].path, strlen(p->entries[i].path)) = i + 1;
	return 0;
}

static const struct pkg_plan_entry *find(const struct pkg_plan *p, const char *path, size_t len)
{
	size_t at = p->by_path_cap ? *slot_of(p, path, len) : 0;

	return at ? &p->entries[at - 1] : NULL;
}

const struct pkg_plan_entry *pkg_plan_find(const struct pkg_plan *p, const char *path)
{
	return find(p, path, strlen(path));
}

/* ---- adding --------------------------------------------------------------------------------- */

static int check_path(const char *path, struct err *e)
{
	if (strlen(path) > PKG_PATH_MAX)
		return err_set(e, ERR_LIMIT, "%.60s...: path too long", path);
	for (const char *p = path; *p;) {
		size_t len = strcspn(p, "/");

		if (len == 0 || (p[len] && !p[len + 1]) || (len == 1 && *p == '.') ||
		    (len == 2 && p[0] == '.' && p[1] == '.'))
			return err_set(e, ERR_USAGE, "%.200s: not a path inside a package", path);
		if (len > PKG_NAME_MAX)
			return err_set(e, ERR_LIMIT, "%.60s...: name too long", p);
		p += len + (p[len] != 0);
	}
	return 0;
}

static int check_entry(const struct pkg_writer_entry *w, struct err *e)
{
	if (check_path(w->path, e) < 0)
		return -1;
	switch (w->mode & S_IFMT) {
	case S_IFREG:
		if ((w->size && !w->content_path) || w->size > INT64_MAX / 2)
			return err_set(e, ERR_USAGE, "%.200s: a file without content", w->path);
		break;
	case S_IFLNK:
		if (!w->symlink || !*w->symlink || strlen(w->symlink) > PKG_SYMLINK_MAX)
			return err_set(e, ERR_USAGE, "%.200s: a symbolic link without a target", w->path);
		break;
	case S_IFDIR:
		if (w->hard_link)
			return err_set(e, ERR_USAGE, "%.200s: a hard link to a directory", w->path);
		break;
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
		break;
	default:
		return err_set(e, ERR_USAGE, "%.200s: packages do not hold files of this type", w->path);
	}
	if (!*w->path && !S_ISDIR(w->mode))
		return err_set(e, ERR_USAGE, "a package's root must be a directory");
	if (w->mtime_ns > 999999999 || w->rdev > INT64_MAX || w->xattr_count > XATTR_COUNT_MAX)
		return err_set(e, ERR_USAGE, "%.200s: attributes out of range", w->path);
	for (size_t i = 0; i < w->xattr_count; i++)
		if (!*w->xattrs[i].name || strlen(w->xattrs[i].name) > PKG_NAME_MAX ||
		    w->xattrs[i].len > XATTR_VALUE_MAX)
			return err_set(e, ERR_LIMIT, "%.200s: attribute %.80s is too long", w->path,
				       w->xattrs[i].name);
	return 0;
}

static int by_xattr_name(const void *a, const void *b)
{
	const struct pkg_writer_xattr *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static int copy_xattrs(struct pkg_plan *p, const struct pkg_writer_entry *w, struct pkg_plan_entry *n,
		       struct err *e)
{
	if (!w->xattr_count)
		return 0;
	n->xattrs = arena_alloc(&p->arena, w->xattr_count, sizeof(*n->xattrs), e);
	if (!n->xattrs)
		return -1;
	for (size_t i = 0; i < w->xattr_count; i++) {
		const struct pkg_writer_xattr *from = &w->xattrs[i];
		char *name = arena_strndup(&p->arena, from->name, strlen(from->name), e);
		void *value = name ? arena_alloc(&p->arena, 1, from->len ? from->len : 1, e) : NULL;

		if (!value)
			return -1;
		if (from->len)
			memcpy(value, from->value, from->len);
		n->xattrs[i] = (struct pkg_writer_xattr){ name, value, from->len };
	}
	n->xattr_count = w->xattr_count;
	qsort(n->xattrs, n->xattr_count, sizeof(*n->xattrs), by_xattr_name);
	return 0;
}

static int grow(struct pkg_plan *p, struct err *e)
{
	if (p->count == p->cap) {
		size_t cap = p->cap ? 2 * p->cap : TABLE_FIRST / 2;
		void *more = mem_grow(p->entries, cap, sizeof(*p->entries), e);

		if (!more)
			return -1;
		p->entries = more;
		p->cap = cap;
	}
	/* At most half full. */
	if (2 * (p->count + 1) > p->by_path_cap)
		return fill_table(p, p->by_path_cap ? 2 * p->by_path_cap : TABLE_FIRST, e);
	return 0;
}

int pkg_plan_add(struct pkg_plan *p, const struct pkg_writer_entry *w, uint64_t link_major, struct err *e)
{
	struct pkg_plan_entry n = {
		.mode = w->mode, .uid = w->uid, .gid = w->gid, .mtime_s = w->mtime_s, .mtime_ns = w->mtime_ns
	};
	size_t len;

	if (check_entry(w, e) < 0)
		return -1;
	len = strlen(w->path);
	if (pkg_plan_find(p, w->path))
		return err_set(e, ERR_EXISTS, "%.200s: in the package already", *w->path ? w->path : "/");
	if (grow(p, e) < 0)
		return -1;
	n.path = arena_strndup(&p->arena, w->path, len, e);
	if (!n.path || copy_xattrs(p, w, &n, e) < 0)
		return -1;
	if (S_ISLNK(w->mode)) {
		n.size = strlen(w->symlink);
		n.symlink = arena_strndup(&p->arena, w->symlink, n.size, e);
		if (!n.symlink)
			return -1;
	} else if (S_ISREG(w->mode) && w->size) {
		n.size = w->size;
		n.content_path = arena_strndup(&p->arena, w->content_path, strlen(w->content_path), e);
		if (!n.content_path)
			return -1;
	} else if (S_ISCHR(w->mode) || S_ISBLK(w->mode)) {
		n.rdev = w->rdev;
	}
	if (w->hard_link) {
		n.link_major = link_major;
		n.link_minor = w->hard_link;
	}
	p->entries[p->count] = n;
	*slot_of(p, n.path, len) = ++p->count;
	return 0;
}

/* ---- settling ------------------------------------------------------------------------------- */

static int path_order(const char *a, const char *b)
{
	for (; *a && *a == *b; a++, b++)
		;
	/* The end of a path stands before '/', that before every other byte. */
	return (!*a ? 0 : *a == '/' ? 1 : 1 + (uint8_t)*a) - (!*b ? 0 : *b == '/' ? 1 : 1 + (uint8_t)*b);
}

static int by_path(const void *a, const void *b)
{
	const struct pkg_plan_entry *x = a, *y = b;

	return path_order(x->path, y->path);
}

static size_t parent_len(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? (size_t)(slash - path) : 0;
}

static int add_directory(struct pkg_plan *p, const char *path, size_t len, struct err *e)
{
	char text[PKG_PATH_MAX + 1];
	const struct pkg_writer_entry dir = { .path = text, .mode = S_IFDIR | 0755 };

	memcpy(text, path, len);
	text[len] = 0;
	return pkg_plan_add(p, &dir, 0, e);
}

/* Appends every directory that an entry lies in and nobody named. */
static int add_parents(struct pkg_plan *p, struct err *e)
{
	if (!pkg_plan_find(p, "") && add_directory(p, "", 0, e) < 0)
		return -1;
	for (size_t i = 0; i < p->count; i++) { /* what is appended is looked at as well */
		const char *path = p->entries[i].path;
		size_t len = parent_len(path);
		const struct pkg_plan_entry *parent = find(p, path, len);

		if (!*path)
			continue;
		if (!parent && add_directory(p, path, len, e) < 0)
			return -1;
		if (parent && !S_ISDIR(parent->mode))
			return err_set(e, ERR_USAGE, "%.200s: lies in something that is not a directory",
				       path);
	}
	return 0;
}

struct link_ref {
	uint64_t major, minor;
	size_t entry;
};

static int by_link(const void *a, const void *b)
{
	const struct link_ref *x = a, *y = b;

	if (x->major != y->major)
		return x->major < y->major ? -1 : 1;
	if (x->minor != y->minor)
		return x->minor < y->minor ? -1 : 1;
	return x->entry < y->entry ? -1 : x->entry > y->entry;
}

static int find_leaders(struct pkg_plan *p, struct err *e)
{
	auto_free struct link_ref *refs = mem_alloc(p->count, sizeof(*refs), e);
	size_t count = 0;

	if (!refs)
		return -1;
	for (size_t i = 0; i < p->count; i++) {
		const struct pkg_plan_entry *n = &p->entries[i];

		p->entries[i].leader = i;
		if (n->link_major || n->link_minor)
			refs[count++] = (struct link_ref){ n->link_major, n->link_minor, i };
	}
	qsort(refs, count, sizeof(*refs), by_link);
	for (size_t i = 1; i < count; i++) {
		struct pkg_plan_entry *n = &p->entries[refs[i].entry],
				      *before = &p->entries[refs[i - 1].entry];

		if (refs[i].major != refs[i - 1].major || refs[i].minor != refs[i - 1].minor)
			continue;
		n->leader = before->leader;
		if ((n->mode ^ before->mode) & S_IFMT || n->size != before->size)
			return err_set(e, ERR_USAGE, "%.200s: not the same file as its hard link %.200s",
				       n->path, before->path);
	}
	return 0;
}

int pkg_plan_settle(struct pkg_plan *p, int64_t mtime_max_s, struct err *e)
{
	auto_free uint64_t *cookies = NULL;

	if (add_parents(p, e) < 0)
		return -1;
	qsort(p->entries, p->count, sizeof(*p->entries), by_path);
	if (fill_table(p, p->by_path_cap, e) < 0 || find_leaders(p, e) < 0)
		return -1;
	cookies = mem_alloc(p->count, sizeof(*cookies), e);
	if (!cookies)
		return -1;
	for (size_t i = 0; i < p->count; i++) {
		struct pkg_plan_entry *n = &p->entries[i];

		n->parent = (size_t)(find(p, n->path, parent_len(n->path)) - p->entries);
		n->cookie = i ? ++cookies[n->parent] : 0;
		n->ino = n->leader == i ? ++p->inodes : p->entries[n->leader].ino;
		n->nlink = S_ISDIR(n->mode) ? 2 : 0;
		if (S_ISDIR(n->mode) && i)
			p->entries[n->parent].nlink++;
		else if (i)
			p->entries[n->leader].nlink++;
		if (mtime_max_s && n->mtime_s >= mtime_max_s) {
			n->mtime_s = mtime_max_s;
			n->mtime_ns = 0;
		}
	}
	return 0;
}

/* ---- as rows -------------------------------------------------------------------------------- */

static int put_inode(const struct pkg_plan *p, const struct pkg_plan_entry *n, struct pkg_index_build *b,
		     struct pkg_writer_report *report, struct err *e)
{
	const struct pkg_inode i = { .ino = n->ino,
				     .mode = n->mode & 0177777,
				     .uid = n->uid,
				     .gid = n->gid,
				     .nlink = n->nlink,
				     .size = n->size,
				     .mtime_s = n->mtime_s,
				     .mtime_ns = n->mtime_ns,
				     .rdev = n->rdev };

	report->directories += S_ISDIR(n->mode);
	report->symlinks += S_ISLNK(n->mode);
	if (S_ISREG(n->mode)) {
		report->files++;
		report->content_bytes += n->size;
	}
	return pkg_index_build_inode(b, &i, S_ISDIR(n->mode) ? p->entries[n->parent].ino : 0, n->symlink, e);
}

int pkg_plan_index(const struct pkg_plan *p, struct pkg_index_build *b, struct pkg_writer_report *report,
		   struct err *e)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->entries[i].leader == i && put_inode(p, &p->entries[i], b, report, e) < 0)
			return -1;
	for (size_t i = 1; i < p->count; i++) {
		const struct pkg_plan_entry *n = &p->entries[i];
		const char *name = n->path + parent_len(n->path);

		name += *name == '/';
		if (pkg_index_build_entry(b, p->entries[n->parent].ino, name, strlen(name), n->ino, n->cookie,
					  e) < 0)
			return -1;
	}
	for (size_t i = 0; i < p->count; i++) {
		const struct pkg_plan_entry *n = &p->entries[i];

		if (n->leader != i)
			continue;
		for (size_t k = 0; k < n->xattr_count; k++)
			if (pkg_index_build_xattr(b, n->ino, n->xattrs[k].name, n->xattrs[k].value,
						  n->xattrs[k].len, e) < 0)
				return -1;
	}
	return 0;
}
