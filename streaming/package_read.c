/* SPDX-License-Identifier: Apache-2.0 */
/* Byte ranges of an inode, put together from extents, with read-ahead for files that are read from front to
 * back. */
#include <string.h>

#include "streaming/package_state.h"

enum {
	EXTENTS = 64,
	WINDOW_MIN = 512 * 1024,
	WINDOW_MAX = 4 * 1024 * 1024,
	NEAR_WINDOW = 1024 * 1024,
	DISORDER = 256 * 1024, /* reads of the kernel's own readahead overtake each other by so much */
};

/* ---- read-ahead ------------------------------------------------------------------------- */

static struct read_cursor *cursor_of_locked(struct stream_package *p, uint64_t ino) SYNC_REQUIRES(p->lock)
{
	struct read_cursor *c;

	for (unsigned i = 0; i < STREAM_CURSORS; i++)
		if (p->cursors[i].ino == ino)
			return &p->cursors[i];
	c = &p->cursors[p->cursor_next++ % STREAM_CURSORS];
	*c = (struct read_cursor){ .ino = ino };
	return c;
}

/* What to read ahead now; len 0 = nothing. */
struct ahead {
	uint64_t off, len;
};

static struct ahead widen(struct read_cursor *c)
{
	struct ahead a;

	c->window = c->window ? c->window * 2 : WINDOW_MIN;
	if (c->window > WINDOW_MAX)
		c->window = WINDOW_MAX;
	a = (struct ahead){ c->ahead_off, c->next_off + c->window - c->ahead_off };
	c->ahead_off += a.len;
	return a;
}

/* Over the network, and from this machine. Not inside the primary feature block: what a launch reads next is
 * in there (near_follow), and what lies behind it in the same file mostly is not wanted. */
static void choose_ahead(struct stream_package *p, uint64_t ino, uint64_t off, uint64_t end,
			 uint32_t last_idx, struct ahead *ret_far, struct ahead *ret_near)
{
	struct read_cursor *c;

	*ret_far = *ret_near = (struct ahead){ 0 };
	if (last_idx < p->block_chunks)
		return;
	sync_lock(&p->lock);
	c = cursor_of_locked(p, ino);
	if (c->next_off && off + DISORDER >= c->next_off && off <= c->next_off + DISORDER) {
		if (c->next_off < end)
			c->next_off = end;
		if (c->ahead_off < end)
			c->ahead_off = end;
		if (c->near_off < end)
			c->near_off = end;
		if (!p->is_file && p->fetcher && last_idx >= p->feature_chunks &&
		    (c->ahead_off - c->next_off < c->window / 2 || !c->window))
			*ret_far = widen(c);
		if (c->near_off - c->next_off < NEAR_WINDOW / 2) {
			*ret_near = (struct ahead){ c->near_off, c->next_off + NEAR_WINDOW - c->near_off };
			c->near_off += ret_near->len;
		}
	} else {
		*c = (struct read_cursor){ .ino = ino, .next_off = end };
	}
	sync_unlock(&p->lock);
}

static void hint(struct stream_package *p, const struct pkg_extent *extents, size_t count)
{
	for (size_t i = 0; i < count;) {
		uint32_t first = extents[i].chunk_idx, last = first;

		for (i++; i < count && extents[i].chunk_idx >= last && extents[i].chunk_idx - last <= 1; i++)
			last = extents[i].chunk_idx;
		stream_package_hint(p, first, last - first + 1);
	}
}

static void load(struct stream_package *p, const struct pkg_extent *extents, size_t count)
{
	uint32_t chunks[EXTENTS];

	for (size_t i = 0; i < count; i++)
		chunks[i] = extents[i].chunk_idx;
	near_want(p, chunks, count);
}

/* After a read of [off, end), whose last bytes are in chunk `last_idx`. */
static void read_ahead(struct stream_package *p, const struct pkg_inode *inode, uint64_t off, uint64_t end,
		       uint32_t last_idx)
{
	struct pkg_extent extents[EXTENTS];
	struct ahead far, near;
	struct err ignored;
	size_t count;

	choose_ahead(p, inode->ino, off, end, last_idx, &far, &near);
	if (far.len && far.off < inode->size &&
	    pkg_index_extents(p->index, inode->ino, far.off, far.len, extents, EXTENTS, &count, &ignored) ==
		    0)
		hint(p, extents, count);
	if (near.len && near.off < inode->size &&
	    pkg_index_extents(p->index, inode->ino, near.off, near.len, extents, EXTENTS, &count, &ignored) ==
		    0)
		load(p, extents, count);
}

/* ---- reading ---------------------------------------------------------------------------- */

/* The part of one extent that lies in [off, off+len), which is not empty. */
static int borrow_extent(struct stream_package *p, const struct pkg_extent *x, uint64_t off, size_t len,
			 struct stream_piece *ret, bool (*is_cancelled)(void *arg), void *arg, struct err *e)
{
	uint64_t start = x->file_off > off ? x->file_off : off;
	uint64_t stop = x->file_off + x->len < off + len ? x->file_off + x->len : off + len;
	uint64_t at = x->chunk_off + (start - x->file_off);
	struct stream_chunk *c;

	if (stream_package_chunk(p, x->chunk_idx, is_cancelled, arg, &c, e) < 0)
		return -1;
	if (at > c->len || stop - start > c->len - at) {
		stream_chunk_unref(p, c);
		return err_set(e, ERR_FORMAT, "%s: an extent reaches beyond chunk %u", p->shown,
			       x->chunk_idx);
	}
	*ret = (struct stream_piece){ c, c->data + at, stop - start };
	return 0;
}

static int copy_extent(struct stream_package *p, const struct pkg_extent *x, uint64_t off, size_t len,
		       uint8_t *ret, bool (*is_cancelled)(void *arg), void *arg, struct err *e)
{
	struct stream_piece piece;

	if (x->file_off >= off + len || x->file_off + x->len <= off)
		return 0;
	if (borrow_extent(p, x, off, len, &piece, is_cancelled, arg, e) < 0)
		return -1;
	memcpy(ret + (x->file_off > off ? x->file_off - off : 0), piece.data, piece.len);
	stream_chunk_unref(p, piece.chunk);
	return 0;
}

/* Whether the extents, in order, leave no hole in [off, off+len). */
static bool is_whole(const struct pkg_extent *extents, size_t count, uint64_t off, size_t len)
{
	uint64_t end = off;

	for (size_t i = 0; i < count && extents[i].file_off <= end; i++)
		end = extents[i].file_off + extents[i].len;
	return end >= off + len;
}

int stream_package_borrow(struct stream_package *p, const struct pkg_inode *inode, uint64_t off, size_t len,
			  struct stream_piece ret[STREAM_PIECES], size_t *ret_count,
			  bool (*is_cancelled)(void *arg), void *arg, struct err *e)
{
	struct pkg_extent extents[STREAM_PIECES + 1];
	struct stream_piece pieces[STREAM_PIECES];
	size_t count;

	*ret_count = 0;
	if (off >= inode->size)
		return 0;
	if (len > inode->size - off)
		len = inode->size - off;
	if (pkg_index_extents(p->index, inode->ino, off, len, extents, STREAM_PIECES + 1, &count, e) < 0)
		return -1;
	if (count > STREAM_PIECES || !is_whole(extents, count, off, len))
		return 0;
	for (size_t i = 0; i < count; i++)
		if (borrow_extent(p, &extents[i], off, len, &pieces[i], is_cancelled, arg, e) < 0) {
			stream_pieces_unref(p, pieces, i);
			return -1;
		}
	memcpy(ret, pieces, count * sizeof(*pieces));
	*ret_count = count;
	read_ahead(p, inode, off, off + len, count ? extents[count - 1].chunk_idx : 0);
	return 0;
}

void stream_pieces_unref(struct stream_package *p, const struct stream_piece *pieces, size_t count)
{
	for (size_t i = 0; i < count; i++)
		stream_chunk_unref(p, pieces[i].chunk);
}

int stream_package_read(struct stream_package *p, const struct pkg_inode *inode, uint64_t off, size_t len,
			uint8_t *ret, size_t *ret_len, bool (*is_cancelled)(void *arg), void *arg,
			struct err *e)
{
	struct pkg_extent extents[EXTENTS];
	size_t count = 0, done = 0;
	uint32_t last_idx = 0;

	if (off >= inode->size) {
		*ret_len = 0;
		return 0;
	}
	if (len > inode->size - off)
		len = inode->size - off;
	memset(ret, 0, len);
	while (done < len) {
		uint64_t end = off + done;

		if (pkg_index_extents(p->index, inode->ino, off + done, len - done, extents, EXTENTS, &count,
				      e) < 0)
			return -1;
		for (size_t i = 0; i < count; i++) {
			if (copy_extent(p, &extents[i], off, len, ret, is_cancelled, arg, e) < 0)
				return -1;
			if (extents[i].file_off + extents[i].len > end)
				end = extents[i].file_off + extents[i].len;
			last_idx = extents[i].chunk_idx;
		}
		/* Fewer than asked for: the rest is a hole. No progress cannot be. */
		if (count < EXTENTS || end <= off + done)
			break;
		done = end - off;
	}
	*ret_len = len;
	read_ahead(p, inode, off, off + len, last_idx);
	return 0;
}
