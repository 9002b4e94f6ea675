/* SPDX-License-Identifier: Apache-2.0 */
/* The questions an index answers; see index.h. Each takes the lock, runs one prepared statement, checks every
 * column, and gives the statement back. Rows that could make a caller loop or overrun (cookies that do not
 * rise, extents that overlap) are damage. */
#include <string.h>
#include <sys/stat.h>

#include "package-format/chunk.h"
#include "package-format/index_db.h"

enum { PROFILE_MAX = 1 << 20, XATTR_VALUE_MAX = 65536, XATTR_LIST_MAX = 65536, DEFAULT_MAX = 1 << 20 };

static void bind_u64(sqlite3_stmt *s, int at, uint64_t v)
{
	/* No stored value is above INT64_MAX, so a bound may be cut to it. */
	(void)sqlite3_bind_int64(s, at, v > INT64_MAX ? INT64_MAX : (sqlite3_int64)v);
}

static int read_inode(sqlite3_stmt *s, struct pkg_inode *ret, struct err *e)
{
	struct pkg_inode i;
	uint32_t type;

	if (pkg_column_u64(s, 0, INT64_MAX, "inode number", &i.ino, e) < 0 ||
	    pkg_column_u32(s, 1, 0177777, "mode", &i.mode, e) < 0 ||
	    pkg_column_u32(s, 2, UINT32_MAX, "owner", &i.uid, e) < 0 ||
	    pkg_column_u32(s, 3, UINT32_MAX, "owner", &i.gid, e) < 0 ||
	    pkg_column_u32(s, 4, UINT32_MAX, "link count", &i.nlink, e) < 0 ||
	    pkg_column_u64(s, 5, INT64_MAX, "size", &i.size, e) < 0 ||
	    pkg_column_u32(s, 7, 999999999, "time", &i.mtime_ns, e) < 0 ||
	    pkg_column_u64(s, 8, INT64_MAX, "device", &i.rdev, e) < 0)
		return -1;
	if (i.ino == 0)
		return pkg_index_damaged(e, "inode number");
	if (sqlite3_column_type(s, 6) != SQLITE_INTEGER)
		return pkg_index_damaged(e, "time");
	i.mtime_s = sqlite3_column_int64(s, 6);
	type = i.mode & S_IFMT;
	if (type != S_IFREG && type != S_IFDIR && type != S_IFLNK && type != S_IFCHR && type != S_IFBLK &&
	    type != S_IFIFO)
		return pkg_index_damaged(e, "file type");
	if (type == S_IFLNK && (i.size == 0 || i.size > PKG_SYMLINK_MAX))
		return pkg_index_damaged(e, "symbolic link");
	*ret = i;
	return 0;
}

static bool is_name(const char *name, size_t len)
{
	if (len == 0 || len > PKG_NAME_MAX || memchr(name, '/', len) || memchr(name, 0, len))
		return false;
	return !(name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')));
}

static sqlite3_stmt *begin_locked(struct pkg_index *x, enum statement q, uint64_t first)
	SYNC_REQUIRES(x->lock)
{
	bind_u64(x->stmt[q], 1, first);
	return x->stmt[q];
}

/* Borrowed values (names, blobs) must not outlive the call that bound them. */
static void end_locked(sqlite3_stmt *s)
{
	(void)sqlite3_reset(s);
	(void)sqlite3_clear_bindings(s);
}

/* ---- single things -------------------------------------------------------------------------- */

static int one_inode_locked(struct pkg_index *x, sqlite3_stmt *s, struct pkg_inode *ret, struct err *e)
	SYNC_REQUIRES(x->lock)
{
	int r = pkg_index_step(x, s, e);

	if (r > 0)
		r = read_inode(s, ret, e);
	else if (r == 0)
		r = err_set(e, ERR_NOTFOUND, "no such file in the package");
	end_locked(s);
	return r;
}

int pkg_index_stat(struct pkg_index *x, uint64_t ino, struct pkg_inode *ret, struct err *e)
{
	int r;

	sync_lock(&x->lock);
	r = one_inode_locked(x, begin_locked(x, Q_STAT, ino), ret, e);
	sync_unlock(&x->lock);
	return r;
}

int pkg_index_lookup(struct pkg_index *x, uint64_t parent, const char *name, size_t name_len,
		     struct pkg_inode *ret, struct err *e)
{
	sqlite3_stmt *s;
	int r;

	if (!is_name(name, name_len))
		return err_set(e, ERR_NOTFOUND, "no such file in the package");
	sync_lock(&x->lock);
	s = begin_locked(x, Q_LOOKUP, parent);
	(void)sqlite3_bind_blob(s, 2, name, (int)name_len, SQLITE_STATIC);
	r = one_inode_locked(x, s, ret, e);
	sync_unlock(&x->lock);
	return r;
}

int pkg_index_resolve(struct pkg_index *x, const char *path, struct pkg_inode *ret, struct err *e)
{
	struct pkg_inode here;

	if (pkg_index_stat(x, PKG_ROOT_INO, &here, e) < 0)
		return -1;
	for (const char *p = path; *p;) {
		size_t len;

		while (*p == '/')
			p++;
		len = strcspn(p, "/");
		if (len && !(len == 1 && *p == '.') && pkg_index_lookup(x, here.ino, p, len, &here, e) < 0)
			return err_wrap(e, "%.200s", path);
		p += len;
	}
	*ret = here;
	return 0;
}

int pkg_index_parent(struct pkg_index *x, uint64_t ino, uint64_t *ret, struct err *e)
{
	sqlite3_stmt *s;
	uint64_t parent = 0;
	int r;

	sync_lock(&x->lock);
	s = begin_locked(x, Q_PARENT, ino);
	r = pkg_index_step(x, s, e);
	if (r == 0 || (r > 0 && sqlite3_column_type(s, 0) == SQLITE_NULL))
		r = err_set(e, ERR_NOTFOUND, "no such directory in the package");
	else if (r > 0)
		r = pkg_column_u64(s, 0, INT64_MAX, "parent", &parent, e);
	/* Parents are numbered before what they hold: walks upwards end. */
	if (r == 0 && (parent == 0 || (ino == PKG_ROOT_INO ? parent != ino : parent >= ino)))
		r = pkg_index_damaged(e, "parent");
	end_locked(s);
	sync_unlock(&x->lock);
	if (r < 0)
		return -1;
	*ret = parent;
	return 0;
}

int pkg_index_readlink(struct pkg_index *x, uint64_t ino, char *ret, struct err *e)
{
	sqlite3_stmt *s;
	const void *target;
	size_t len;
	int r;

	sync_lock(&x->lock);
	s = begin_locked(x, Q_READLINK, ino);
	r = pkg_index_step(x, s, e);
	if (r == 0 || (r > 0 && sqlite3_column_type(s, 0) == SQLITE_NULL))
		r = err_set(e, ERR_NOTFOUND, "no such symbolic link in the package");
	else if (r > 0)
		r = pkg_column_blob(s, 0, 1, PKG_SYMLINK_MAX, "symbolic link", &target, &len, e);
	if (r == 0 && memchr(target, 0, len))
		r = pkg_index_damaged(e, "symbolic link");
	if (r == 0) {
		memcpy(ret, target, len);
		ret[len] = 0;
	}
	end_locked(s);
	sync_unlock(&x->lock);
	return r;
}

static int read_chunk(const struct pkg_index *x, sqlite3_stmt *s, struct pkg_chunk_info *ret, struct err *e)
{
	struct pkg_chunk_info c;
	const void *digest;
	size_t len;

	if (pkg_column_u64(s, 0, x->counts.stored_bytes, "chunk offset", &c.off, e) < 0 ||
	    pkg_column_u32(s, 1, PKG_CHUNK_STORED_MAX, "chunk length", &c.stored_len, e) < 0 ||
	    pkg_column_u32(s, 2, PKG_CHUNK_MAX, "chunk length", &c.content_len, e) < 0 ||
	    pkg_column_blob(s, 3, PKG_DIGEST_LEN, PKG_DIGEST_LEN, "chunk digest", &digest, &len, e) < 0)
		return -1;
	if (c.stored_len == 0 || c.content_len == 0 || c.stored_len > x->counts.stored_bytes - c.off)
		return pkg_index_damaged(e, "chunk length");
	memcpy(c.digest.b, digest, PKG_DIGEST_LEN);
	c.off += x->chunks_off;
	*ret = c;
	return 0;
}

int pkg_index_chunk(struct pkg_index *x, uint32_t chunk_idx, struct pkg_chunk_info *ret, struct err *e)
{
	sqlite3_stmt *s;
	int r;

	if (chunk_idx >= x->counts.chunks)
		return err_set(e, ERR_NOTFOUND, "no chunk %u in the package", chunk_idx);
	sync_lock(&x->lock);
	s = begin_locked(x, Q_CHUNK, chunk_idx);
	r = pkg_index_step(x, s, e);
	if (r > 0)
		r = read_chunk(x, s, ret, e);
	else if (r == 0)
		r = pkg_index_damaged(e, "chunk table (a chunk is missing)");
	end_locked(s);
	sync_unlock(&x->lock);
	return r;
}

int pkg_index_xattr_get(struct pkg_index *x, uint64_t ino, const char *name, struct buf *ret, struct err *e)
{
	sqlite3_stmt *s;
	const void *value;
	size_t len;
	int r;

	sync_lock(&x->lock);
	s = begin_locked(x, Q_XATTR_GET, ino);
	(void)sqlite3_bind_blob(s, 2, name, (int)strnlen(name, PKG_NAME_MAX + 1), SQLITE_STATIC);
	r = pkg_index_step(x, s, e);
	if (r == 0)
		r = err_set(e, ERR_NOTFOUND, "no such attribute");
	else if (r > 0)
		r = pkg_column_blob(s, 0, 0, XATTR_VALUE_MAX, "attribute", &value, &len, e);
	if (r == 0)
		r = buf_add(ret, value, len, e);
	end_locked(s);
	sync_unlock(&x->lock);
	return r;
}

/* ---- lists ---------------------------------------------------------------------------------- */

static int read_dirent(sqlite3_stmt *s, uint64_t after, struct pkg_dirent *ret, struct err *e)
{
	const void *name;

	if (pkg_column_u64(s, 0, INT64_MAX, "inode number", &ret->ino, e) < 0 ||
	    pkg_column_u32(s, 1, 0177777, "mode", &ret->mode, e) < 0 ||
	    pkg_column_u64(s, 2, INT64_MAX, "cookie", &ret->cookie, e) < 0 ||
	    pkg_column_blob(s, 3, 1, PKG_NAME_MAX, "name", &name, &ret->name_len, e) < 0)
		return -1;
	if (ret->ino == 0 || ret->cookie <= after)
		return pkg_index_damaged(e, "directory");
	if (!is_name(name, ret->name_len))
		return pkg_index_damaged(e, "name");
	memcpy(ret->name, name, ret->name_len);
	ret->name[ret->name_len] = 0;
	return 0;
}

int pkg_index_list(struct pkg_index *x, uint64_t parent, uint64_t cookie, struct pkg_dirent *ret, size_t cap,
		   size_t *ret_count, struct err *e)
{
	sqlite3_stmt *s;
	size_t count = 0;
	int r;

	sync_lock(&x->lock);
	s = begin_locked(x, Q_LIST, parent);
	bind_u64(s, 2, cookie);
	bind_u64(s, 3, cap);
	while ((r = pkg_index_step(x, s, e)) > 0 && count < cap) {
		if (read_dirent(s, count ? ret[count - 1].cookie : cookie, &ret[count], e) < 0) {
			r = -1;
			break;
		}
		count++;
	}
	end_locked(s);
	sync_unlock(&x->lock);
	if (r < 0)
		return -1;
	*ret_count = count;
	return 0;
}

static int read_extent(const struct pkg_index *x, sqlite3_stmt *s, uint64_t after, struct pkg_extent *ret,
		       struct err *e)
{
	if (pkg_column_u64(s, 0, INT64_MAX - PKG_CHUNK_MAX, "extent", &ret->file_off, e) < 0 ||
	    pkg_column_u32(s, 1, PKG_CHUNK_MAX, "extent", &ret->len, e) < 0 ||
	    pkg_column_u32(s, 2, UINT32_MAX, "extent", &ret->chunk_idx, e) < 0 ||
	    pkg_column_u32(s, 3, PKG_CHUNK_MAX, "extent", &ret->chunk_off, e) < 0)
		return -1;
	if (ret->len == 0 || ret->chunk_off > PKG_CHUNK_MAX - ret->len ||
	    ret->chunk_idx >= x->counts.chunks || ret->file_off < after)
		return pkg_index_damaged(e, "extent");
	return 0;
}

int pkg_index_extents(struct pkg_index *x, uint64_t ino, uint64_t off, uint64_t len, struct pkg_extent *ret,
		      size_t cap, size_t *ret_count, struct err *e)
{
	const uint64_t end = len > INT64_MAX - (off > INT64_MAX ? INT64_MAX : off) ? INT64_MAX : off + len;
	struct pkg_extent extent;
	uint64_t after = 0;
	sqlite3_stmt *s;
	size_t count = 0;
	int r = 0;

	sync_lock(&x->lock);
	s = begin_locked(x, Q_EXTENTS, ino);
	bind_u64(s, 2, off);
	bind_u64(s, 3, end);
	while (count < cap && (r = pkg_index_step(x, s, e)) > 0) {
		if (read_extent(x, s, after, &extent, e) < 0) {
			r = -1;
			break;
		}
		after = extent.file_off + extent.len;
		if (after > off && extent.file_off < end)
			ret[count++] = extent;
	}
	end_locked(s);
	sync_unlock(&x->lock);
	if (r < 0)
		return -1;
	*ret_count = count;
	return 0;
}

int pkg_index_xattr_list(struct pkg_index *x, uint64_t ino, struct buf *ret, struct err *e)
{
	sqlite3_stmt *s;
	size_t added = 0;
	int r;

	if (!x->counts.has_xattrs)
		return 0;
	sync_lock(&x->lock);
	s = begin_locked(x, Q_XATTR_LIST, ino);
	while ((r = pkg_index_step(x, s, e)) > 0) {
		const void *name;
		size_t len;

		r = pkg_column_blob(s, 0, 1, PKG_NAME_MAX, "attribute name", &name, &len, e);
		added += len + 1;
		if (r == 0 && (memchr(name, 0, len) || added > XATTR_LIST_MAX))
			r = pkg_index_damaged(e, "attribute name");
		if (r == 0)
			r = buf_add(ret, name, len, e);
		if (r == 0)
			r = buf_add(ret, "", 1, e);
		if (r < 0)
			break;
	}
	end_locked(s);
	sync_unlock(&x->lock);
	return r;
}

/* ---- whole tables --------------------------------------------------------------------------- */

static int profile_row(sqlite3_stmt *s, struct pkg_touch **list, size_t *count, size_t *cap, struct err *e)
{
	struct pkg_touch t;

	if (pkg_column_u64(s, 0, INT64_MAX, "profile", &t.ino, e) < 0 ||
	    pkg_column_u64(s, 1, INT64_MAX, "profile", &t.off, e) < 0 ||
	    pkg_column_u32(s, 2, UINT32_MAX, "profile", &t.len, e) < 0)
		return -1;
	if (*count == PROFILE_MAX)
		return pkg_index_damaged(e, "profile (too long)");
	if (*count == *cap) {
		size_t more = *cap ? 2 * *cap : 256;
		void *p = mem_grow(*list, more, sizeof(**list), e);

		if (!p)
			return -1;
		*list = p;
		*cap = more;
	}
	(*list)[(*count)++] = t;
	return 0;
}

int pkg_index_profile(struct pkg_index *x, struct pkg_touch **ret, size_t *ret_count, struct err *e)
{
	auto_free struct pkg_touch *list = NULL;
	size_t count = 0, cap = 0;
	sqlite3_stmt *s;
	int r;

	sync_lock(&x->lock);
	s = x->stmt[Q_PROFILE];
	while ((r = pkg_index_step(x, s, e)) > 0)
		if (profile_row(s, &list, &count, &cap, e) < 0) {
			r = -1;
			break;
		}
	end_locked(s);
	sync_unlock(&x->lock);
	if (r < 0)
		return -1;
	*ret = mem_steal(list);
	*ret_count = count;
	return 0;
}

static int column_text(sqlite3_stmt *s, int col, const char **ret, struct err *e)
{
	const char *text = (const char *)sqlite3_column_text(s, col);

	if (sqlite3_column_type(s, col) != SQLITE_TEXT || !text ||
	    strlen(text) != (size_t)sqlite3_column_bytes(s, col))
		return pkg_index_damaged(e, "registry default");
	*ret = text;
	return 0;
}

int pkg_index_defaults(struct pkg_index *x, pkg_default_fn *fn, void *arg, struct err *e)
{
	sqlite3_stmt *s;
	size_t rows = 0;
	int r;

	sync_lock(&x->lock);
	s = x->stmt[Q_DEFAULTS];
	while ((r = pkg_index_step(x, s, e)) > 0) {
		const char *file, *key, *value;

		if (column_text(s, 0, &file, e) < 0 || column_text(s, 1, &key, e) < 0 ||
		    column_text(s, 2, &value, e) < 0)
			r = -1;
		else if (++rows > DEFAULT_MAX)
			r = pkg_index_damaged(e, "registry defaults (too many)");
		else
			r = fn(arg, file, key, value, e);
		if (r < 0)
			break;
	}
	end_locked(s);
	sync_unlock(&x->lock);
	return r;
}

void pkg_index_counts(const struct pkg_index *x, struct pkg_index_counts *ret)
{
	*ret = x->counts;
}

const struct pkg_manifest *pkg_index_manifest(const struct pkg_index *x)
{
	return x->manifest;
}
