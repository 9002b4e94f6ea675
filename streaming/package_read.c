/* SPDX-License-Identifier: Apache-2.0 */
/* Byte ranges of an inode, put together from extents, with read-ahead for files that are read from front to
 * back. */
#include <string.h>

#include "streaming/package_state.h"

enum {
	EXTENTS = 64,
	WINDOW_MIN = 512 * 1024,
	WINDOW_MAX = 4 * 1024 * 1024,
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

/* Whether to read ahead now, and what. */
static bool choose_ahead(struct stream_package *p, uint64_t ino, uint64_t off, uint64_t end,
			 uint64_t *ret_off, uint64_t *ret_len)
{
	struct read_cursor *c;
	bool is_due = false;

	sync_lock(&p->lock);
	c = cursor_of_locked(p, ino);
	if (c->next_off && off + DISORDER >= c->next_off && off <= c->next_off + DISORDER) {
		if (c->next_off < end)
			c->next_off = end;
		if (c->ahead_off < end)
			c->ahead_off = end;
		is_due = c->ahead_off - c->next_off < c->window / 2 || !c->window;
	} else {
		*c = (struct read_cursor){ .ino = ino, .next_off = end };
	}
	if (is_due) {
		c->window = c->window ? c->window * 2 : WINDOW_MIN;
		if (c->window > WINDOW_MAX)
			c->window = WINDOW_MAX;
		*ret_off = c->ahead_off;
		*ret_len = c->next_off + c->window - c->ahead_off;
		c->ahead_off += *ret_len;
	}
	sync_unlock(&p->lock);
	return is_due;
}

static void read_ahead(struct stream_package *p, const struct pkg_inode *inode, uint64_t off, uint64_t end)
{
	struct pkg_extent extents[EXTENTS];
	uint64_t ahead_off, ahead_len;
	struct err ignored;
	size_t count;

	if (p->is_file || !p->fetcher || !choose_ahead(p, inode->ino, off, end, &ahead_off, &ahead_len) ||
	    ahead_off >= inode->size)
		return;
	if (pkg_index_extents(p->index, inode->ino, ahead_off, ahead_len, extents, EXTENTS, &count,
			      &ignored) < 0)
		return;
	for (size_t i = 0; i < count;) {
		uint32_t first = extents[i].chunk_idx, last = first;

		for (i++; i < count && extents[i].chunk_idx >= last && extents[i].chunk_idx - last <= 1; i++)
			last = extents[i].chunk_idx;
		stream_package_hint(p, first, last - first + 1);
	}
}

/* ---- reading ---------------------------------------------------------------------------- */

/* The part of one extent that lies in [off, off+len). */
static int copy_extent(struct stream_package *p, const struct pkg_extent *x, uint64_t off, size_t len,
		       uint8_t *ret, bool (*is_cancelled)(void *arg), void *arg, struct err *e)
{
	uint64_t start = x->file_off > off ? x->file_off : off;
	uint64_t stop = x->file_off + x->len < off + len ? x->file_off + x->len : off + len;
	struct stream_chunk *c;
	uint64_t at;

	if (start >= stop)
		return 0;
	if (stream_package_chunk(p, x->chunk_idx, is_cancelled, arg, &c, e) < 0)
		return -1;
	at = x->chunk_off + (start - x->file_off);
	if (at > c->len || stop - start > c->len - at) {
		stream_chunk_unref(p, c);
		return err_set(e, ERR_FORMAT, "%s: an extent reaches beyond chunk %u", p->shown,
			       x->chunk_idx);
	}
	memcpy(ret + (start - off), c->data + at, stop - start);
	stream_chunk_unref(p, c);
	return 0;
}

int stream_package_read(struct stream_package *p, const struct pkg_inode *inode, uint64_t off, size_t len,
			uint8_t *ret, size_t *ret_len, bool (*is_cancelled)(void *arg), void *arg,
			struct err *e)
{
	struct pkg_extent extents[EXTENTS];
	size_t count = 0, done = 0;

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
		}
		/* Fewer than asked for: the rest is a hole. No progress cannot be. */
		if (count < EXTENTS || end <= off + done)
			break;
		done = end - off;
	}
	*ret_len = len;
	read_ahead(p, inode, off, off + len);
	return 0;
}
