/* SPDX-License-Identifier: Apache-2.0 */
/* Whether an index makes sense as a whole; see check.h. */
#include "package-format/check.h"

#include <string.h>
#include <sys/stat.h>

#include "package-format/index_cursor.h"

struct check {
	struct pkg_index *x;
	struct pkg_index_counts counts;
	uint32_t *links;       /* by inode number - 1: entries seen, for directories subdirectories */
	uint32_t *content_len; /* by chunk */
	uint64_t entries, extents, content_bytes;
};

static int wrong(struct err *e, const char *what, uint64_t number)
{
	return err_set(e, ERR_FORMAT, "package index: %s %llu", what, (unsigned long long)number);
}

static int check_chunks(struct check *c, const struct pkg_header *h, struct err *e)
{
	uint64_t at = PKG_HEADER_LEN + h->index_stored_len;
	bool is_boundary = at == h->feature_block_end;

	for (uint32_t i = 0; i < c->counts.chunks; i++) {
		struct pkg_chunk_info chunk;

		if (pkg_index_chunk(c->x, i, &chunk, e) < 0)
			return -1;
		if (chunk.off != at)
			return wrong(e, "a gap before chunk", i);
		at += chunk.stored_len;
		is_boundary = is_boundary || at == h->feature_block_end;
		c->content_len[i] = chunk.content_len;
	}
	if (at != h->file_len)
		return wrong(e, "the chunks do not end with the file but at", at);
	return is_boundary
		       ? 0
		       : wrong(e, "the primary feature block ends inside a chunk, at", h->feature_block_end);
}

static int check_extents(struct check *c, const struct pkg_inode *i, struct err *e)
{
	struct pkg_extents extents = { .index = c->x, .ino = i->ino, .end = INT64_MAX };
	const struct pkg_extent *at;
	int rc;

	while ((rc = pkg_extents_next(&extents, &at, e)) > 0) {
		if (at->chunk_off + at->len > c->content_len[at->chunk_idx])
			return wrong(e, "an extent leaves its chunk, inode", i->ino);
		c->extents++;
	}
	if (rc < 0)
		return -1;
	if (extents.off > (S_ISREG(i->mode) ? i->size : 0))
		return wrong(e, "content behind the end of inode", i->ino);
	return 0;
}

static int check_entry(struct check *c, uint64_t parent, const struct pkg_dirent *d, struct err *e)
{
	struct pkg_inode i;
	uint64_t up;

	c->entries++;
	if (d->ino > c->counts.inodes)
		return wrong(e, "an entry for missing inode", d->ino);
	/* By name as well: both ways to an entry must agree. */
	if (pkg_index_lookup(c->x, parent, d->name, d->name_len, &i, e) < 0 || i.ino != d->ino)
		return wrong(e, "entries that contradict each other in directory", parent);
	if (!S_ISDIR(i.mode)) {
		c->links[d->ino - 1]++;
		return 0;
	}
	if (pkg_index_parent(c->x, d->ino, &up, e) < 0)
		return -1;
	if (up != parent || d->ino == PKG_ROOT_INO)
		return wrong(e, "a second entry for directory", d->ino);
	c->links[parent - 1]++;
	return 0;
}

static int check_directory(struct check *c, uint64_t ino, struct err *e)
{
	auto_pkg_entries entries = { .index = c->x, .dir = ino };
	const struct pkg_dirent *d;
	int rc;

	while ((rc = pkg_entries_next(&entries, &d, e)) > 0)
		if (check_entry(c, ino, d, e) < 0)
			return -1;
	return rc;
}

static int check_xattrs(struct check *c, uint64_t ino, struct err *e)
{
	auto_buf struct buf names = BUF_INIT(1 << 20), value = BUF_INIT(1 << 20);

	if (pkg_index_xattr_list(c->x, ino, &names, e) < 0)
		return -1;
	for (size_t at = 0; at < names.len;) {
		const char *name = (const char *)names.data + at;

		buf_reset(&value);
		if (pkg_index_xattr_get(c->x, ino, name, &value, e) < 0)
			return -1;
		at += strlen(name) + 1;
	}
	return 0;
}

static int check_inode(struct check *c, uint64_t ino, struct err *e)
{
	char target[PKG_SYMLINK_MAX + 1];
	struct pkg_inode i;

	if (pkg_index_stat(c->x, ino, &i, e) < 0)
		return wrong(e, "missing or damaged inode", ino);
	if (S_ISLNK(i.mode)) {
		if (pkg_index_readlink(c->x, ino, target, e) < 0)
			return -1;
		if (strlen(target) != i.size)
			return wrong(e, "wrong length of symbolic link", ino);
	}
	if (S_ISREG(i.mode) && __builtin_add_overflow(c->content_bytes, i.size, &c->content_bytes))
		return wrong(e, "impossible size of inode", ino);
	if (S_ISDIR(i.mode) && check_directory(c, ino, e) < 0)
		return -1;
	if (check_extents(c, &i, e) < 0)
		return -1;
	return c->counts.has_xattrs ? check_xattrs(c, ino, e) : 0;
}

static int check_links(struct check *c, struct err *e)
{
	for (uint64_t ino = 1; ino <= c->counts.inodes; ino++) {
		struct pkg_inode i;

		if (pkg_index_stat(c->x, ino, &i, e) < 0)
			return -1;
		if (i.nlink != c->links[ino - 1] + (S_ISDIR(i.mode) ? 2u : 0u))
			return wrong(e, "wrong link count of inode", ino);
	}
	return 0;
}

static int ignore_default(void *arg, const char *file, const char *key, const char *value, struct err *e)
{
	(void)arg, (void)file, (void)key, (void)value, (void)e;
	return 0;
}

static int check_all(struct check *c, const struct pkg_header *h, struct err *e)
{
	auto_free struct pkg_touch *profile = NULL;
	size_t count;

	if (check_chunks(c, h, e) < 0)
		return -1;
	for (uint64_t ino = 1; ino <= c->counts.inodes; ino++)
		if (check_inode(c, ino, e) < 0)
			return -1;
	if (check_links(c, e) < 0)
		return -1;
	/* Rows that no inode or directory led to make the counts differ. */
	if (c->entries != c->counts.entries)
		return wrong(e, "lost entries, or more than announced:", c->entries);
	if (c->extents != c->counts.extents)
		return wrong(e, "lost extents, or more than announced:", c->extents);
	if (c->content_bytes != c->counts.content_bytes)
		return wrong(e, "wrong sum of sizes:", c->content_bytes);
	if (pkg_index_profile(c->x, &profile, &count, e) < 0)
		return -1;
	return pkg_index_defaults(c->x, ignore_default, NULL, e);
}

int pkg_index_check(struct pkg_index *x, const struct pkg_header *h, struct err *e)
{
	auto_free uint32_t *links = NULL;
	auto_free uint32_t *content_len = NULL;
	struct check c = { .x = x };

	pkg_index_counts(x, &c.counts);
	links = mem_alloc(c.counts.inodes, sizeof(*links), e);
	content_len = links ? mem_alloc(c.counts.chunks, sizeof(*content_len), e) : NULL;
	if (!content_len)
		return -1;
	c.links = links;
	c.content_len = content_len;
	if (check_all(&c, h, e) == 0)
		return 0;
	if (e->code == ERR_NOTFOUND) /* what one table promised, another does not have */
		e->code = ERR_FORMAT;
	return -1;
}
