/* SPDX-License-Identifier: Apache-2.0 */
/* pkg_writer_relayout: the same chunks in another order under a new index and signature; see writer.h.
 *
 * The old index is read through the reader's own checks and written anew row by row. Chunks get their
 * numbers by their new places: first those that the profile touches, in its order, then the others in the
 * order of the files that use them; so the result depends on the content and the profile alone. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "package-format/assemble.h"
#include "package-format/chunk.h"
#include "package-format/index_build.h"
#include "package-format/index_cursor.h"
#include "package-format/writer.h"

#define UNPLACED UINT32_MAX
enum { LEVEL = 19 };

struct relayout {
	int fd;
	struct pkg_header old;
	struct pkg_index *index;
	struct pkg_index_counts counts;
	uint32_t *place; /* old chunk number -> new one */
	uint32_t *order; /* new -> old */
	uint32_t placed, feature_chunks;
	struct pkg_run *runs;
	size_t run_count;
	uint64_t feature_len;
	const struct pkg_touch *profile; /* borrowed */
	size_t profile_count;
};

static void relayout_fini(struct relayout *r)
{
	fd_close(r->fd);
	pkg_index_close(r->index);
	free(r->place);
	free(r->order);
	free(r->runs);
}
static void build_close(struct pkg_index_build **b)
{
	pkg_index_build_close(*b);
}

static int open_old(struct relayout *r, const char *path, struct err *e)
{
	auto_buf struct buf stored = BUF_INIT(PKG_INDEX_STORED_MAX);
	uint8_t header[PKG_HEADER_LEN];
	struct pkg_digest digest;
	struct stat st;

	r->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (r->fd < 0 || fstat(r->fd, &st) < 0)
		return err_sys(e, errno, "%s", path);
	if (fd_pread_exact(r->fd, header, sizeof(header), 0, e) < 0 ||
	    pkg_header_decode(header, &r->old, e) < 0)
		return err_wrap(e, "%s", path);
	if ((uint64_t)st.st_size != r->old.file_len)
		return err_set(e, ERR_FORMAT, "%s: %lld bytes instead of %llu", path, (long long)st.st_size,
			       (unsigned long long)r->old.file_len);
	if (buf_reserve(&stored, r->old.index_stored_len, e) < 0 ||
	    fd_pread_exact(r->fd, stored.data, r->old.index_stored_len, PKG_HEADER_LEN, e) < 0)
		return err_wrap(e, "%s", path);
	pkg_digest_of(stored.data, r->old.index_stored_len, &digest);
	if (!pkg_digest_equal(&digest, &r->old.index_digest))
		return err_set(e, ERR_INTEGRITY, "%s: the index does not have its digest", path);
	if (pkg_index_open(stored.data, r->old.index_stored_len, r->old.index_content_len, -1, &r->index, e) <
	    0)
		return err_wrap(e, "%s", path);
	pkg_index_counts(r->index, &r->counts);
	return 0;
}

/* ---- the new order of chunks ---------------------------------------------------------------- */

static void place_chunk(struct relayout *r, uint32_t idx)
{
	if (r->place[idx] != UNPLACED)
		return;
	r->place[idx] = r->placed;
	r->order[r->placed++] = idx;
}

typedef int extent_fn(struct relayout *r, void *arg, uint64_t ino, const struct pkg_extent *x, struct err *e);

/* Calls `fn` for every extent that overlaps a range of a file. */
static int each_extent(struct relayout *r, uint64_t ino, uint64_t off, uint64_t len, extent_fn *fn, void *arg,
		       struct err *e)
{
	struct pkg_extents extents = { .index = r->index, .ino = ino, .off = off };
	const struct pkg_extent *x;
	int rc;

	extents.end = len > INT64_MAX - off ? INT64_MAX : off + len;
	while ((rc = pkg_extents_next(&extents, &x, e)) > 0)
		if (fn(r, arg, ino, x, e) < 0)
			return -1;
	return rc;
}

static int each_extent_of_all(struct relayout *r, extent_fn *fn, void *arg, struct err *e)
{
	for (uint64_t ino = 1; ino <= r->counts.inodes; ino++)
		if (each_extent(r, ino, 0, INT64_MAX, fn, arg, e) < 0)
			return -1;
	return 0;
}

static int place_extent(struct relayout *r, void *arg, uint64_t ino, const struct pkg_extent *x,
			struct err *e)
{
	(void)arg, (void)ino, (void)e;
	place_chunk(r, x->chunk_idx);
	return 0;
}

static int order_chunks(struct relayout *r, struct err *e)
{
	r->place = mem_alloc(r->counts.chunks, sizeof(*r->place), e);
	r->order = r->place ? mem_alloc(r->counts.chunks, sizeof(*r->order), e) : NULL;
	if (!r->order)
		return -1;
	for (uint32_t i = 0; i < r->counts.chunks; i++)
		r->place[i] = UNPLACED;
	for (size_t i = 0; i < r->profile_count; i++) {
		const struct pkg_touch *t = &r->profile[i];

		if (t->off > INT64_MAX || t->ino > INT64_MAX)
			return err_set(e, ERR_USAGE, "launch profile: out of range");
		if (each_extent(r, t->ino, t->off, t->len, place_extent, NULL, e) < 0)
			return -1;
	}
	r->feature_chunks = r->placed;
	if (each_extent_of_all(r, place_extent, NULL, e) < 0)
		return -1;
	for (uint32_t i = 0; i < r->counts.chunks; i++) /* chunks that no file uses */
		place_chunk(r, i);
	return 0;
}

/* ---- the new index -------------------------------------------------------------------------- */

static int copy_inodes(struct relayout *r, struct pkg_index_build *b, struct pkg_writer_report *report,
		       struct err *e)
{
	for (uint64_t ino = 1; ino <= r->counts.inodes; ino++) {
		char target[PKG_SYMLINK_MAX + 1];
		struct pkg_inode i;
		uint64_t parent = 0;

		if (pkg_index_stat(r->index, ino, &i, e) < 0 ||
		    (S_ISDIR(i.mode) && pkg_index_parent(r->index, ino, &parent, e) < 0) ||
		    (S_ISLNK(i.mode) && pkg_index_readlink(r->index, ino, target, e) < 0) ||
		    pkg_index_build_inode(b, &i, parent, S_ISLNK(i.mode) ? target : NULL, e) < 0)
			return -1;
		report->files += S_ISREG(i.mode);
		report->directories += S_ISDIR(i.mode);
		report->symlinks += S_ISLNK(i.mode);
		report->content_bytes += S_ISREG(i.mode) ? i.size : 0;
	}
	return 0;
}

static int copy_entries(struct relayout *r, struct pkg_index_build *b, struct err *e)
{
	auto_pkg_entries entries = { .index = r->index };
	const struct pkg_dirent *d;

	for (uint64_t ino = 1; ino <= r->counts.inodes; ino++) {
		int rc;

		pkg_entries_restart(&entries, ino);
		while ((rc = pkg_entries_next(&entries, &d, e)) > 0)
			if (pkg_index_build_entry(b, ino, d->name, d->name_len, d->ino, d->cookie, e) < 0)
				return -1;
		if (rc < 0)
			return -1;
	}
	return 0;
}

static int copy_xattrs(struct relayout *r, struct pkg_index_build *b, struct err *e)
{
	auto_buf struct buf names = BUF_INIT(1 << 20), value = BUF_INIT(1 << 20);

	for (uint64_t ino = 1; r->counts.has_xattrs && ino <= r->counts.inodes; ino++) {
		buf_reset(&names);
		if (pkg_index_xattr_list(r->index, ino, &names, e) < 0)
			return -1;
		for (size_t at = 0; at < names.len;) {
			const char *name = (const char *)names.data + at;

			buf_reset(&value);
			if (pkg_index_xattr_get(r->index, ino, name, &value, e) < 0 ||
			    pkg_index_build_xattr(b, ino, name, value.data, value.len, e) < 0)
				return -1;
			at += strlen(name) + 1;
		}
	}
	return 0;
}

static int copy_extent(struct relayout *r, void *arg, uint64_t ino, const struct pkg_extent *x, struct err *e)
{
	struct pkg_extent moved = *x;

	moved.chunk_idx = r->place[x->chunk_idx];
	return pkg_index_build_extent(arg, ino, &moved, e);
}

/* Chunk rows in the new order, and the runs of the old file that bring them into it. */
static int copy_chunks(struct relayout *r, struct pkg_index_build *b, struct err *e)
{
	uint64_t off = 0;

	r->runs = mem_alloc(r->counts.chunks, sizeof(*r->runs), e);
	if (!r->runs)
		return -1;
	for (uint32_t i = 0; i < r->counts.chunks; i++) {
		struct pkg_chunk_info c;
		struct pkg_run *last = r->run_count ? &r->runs[r->run_count - 1] : NULL;

		if (pkg_index_chunk(r->index, r->order[i], &c, e) < 0)
			return -1;
		if (c.off > r->old.file_len || c.stored_len > r->old.file_len - c.off)
			return err_set(e, ERR_FORMAT, "package index: a chunk lies outside the file");
		if (last && last->off + last->len == c.off)
			last->len += c.stored_len;
		else
			r->runs[r->run_count++] = (struct pkg_run){ c.off, c.stored_len };
		c.off = off;
		off += c.stored_len;
		if (i + 1 == r->feature_chunks)
			r->feature_len = off;
		if (pkg_index_build_chunk(b, &c, e) < 0)
			return -1;
	}
	return 0;
}

static int copy_default(void *arg, const char *file, const char *key, const char *value, struct err *e)
{
	return pkg_index_build_default(arg, file, key, value, e);
}

static int build_index(struct relayout *r, const struct pkg_manifest *m, struct buf *ret,
		       uint64_t *ret_content_len, struct pkg_writer_report *report, struct err *e)
{
	__attribute__((cleanup(build_close))) struct pkg_index_build *b = NULL;

	if (pkg_index_build_open(&b, e) < 0 ||
	    pkg_index_build_manifest(b, m ? m : pkg_index_manifest(r->index), e) < 0 ||
	    copy_inodes(r, b, report, e) < 0 || copy_entries(r, b, e) < 0 || copy_xattrs(r, b, e) < 0 ||
	    each_extent_of_all(r, copy_extent, b, e) < 0 || copy_chunks(r, b, e) < 0 ||
	    pkg_index_defaults(r->index, copy_default, b, e) < 0)
		return -1;
	for (size_t i = 0; i < r->profile_count; i++)
		if (pkg_index_build_touch(b, &r->profile[i], e) < 0)
			return -1;
	return pkg_index_build_finish(b, LEVEL, ret, ret_content_len, e);
}

int pkg_writer_relayout(const char *in_path, const struct pkg_touch *profile, size_t profile_count,
			const struct pkg_manifest *m, const struct pkg_secret_key *key, const char *out_path,
			struct pkg_writer_report *ret, struct err *e)
{
	__attribute__((cleanup(relayout_fini))) struct relayout r = { .fd = -1,
								      .profile = profile,
								      .profile_count = profile_count };
	auto_buf struct buf index = BUF_INIT(PKG_INDEX_CONTENT_MAX + (PKG_INDEX_CONTENT_MAX >> 7));
	struct pkg_writer_report report = { 0 };
	struct pkg_assembly a = { 0 };
	struct pkg_header header;

	if (open_old(&r, in_path, e) < 0)
		return -1;
	if (order_chunks(&r, e) < 0 || build_index(&r, m, &index, &a.index_content_len, &report, e) < 0)
		return err_wrap(e, "%s", in_path);
	a.index = index.data;
	a.index_len = index.len;
	a.chunks_fd = r.fd;
	a.runs = r.runs;
	a.run_count = r.run_count;
	a.feature_block_len = r.feature_len;
	if (pkg_assemble(&a, key, out_path, &header, e) < 0)
		return -1;
	report.chunks = r.counts.chunks;
	report.file_len = header.file_len;
	report.feature_block_len = r.feature_len;
	report.index_stored_len = header.index_stored_len;
	report.root = header.root;
	*ret = report;
	return 0;
}
