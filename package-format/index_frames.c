/* SPDX-License-Identifier: Apache-2.0 */
/* See index_frames.h. Every frame but the last holds PKG_INDEX_FRAME bytes, so a place in the content names
 * its frame. The scratch file has no name: like memory, only this process can write it. What a disk does to
 * it is found by the checksums that the frames of a long index have. */
#include "package-format/index_frames.h"

#include <string.h>

#include "base/fd.h"
#include "package-format/chunk.h"

enum { KEPT = 8 };

struct kept {
	uint64_t used; /* 0 = empty; larger is later */
	size_t frame;
	uint8_t *content; /* PKG_INDEX_FRAME bytes */
};

struct pkg_index_frames {
	int fd;          /* the stored bytes are here ... */
	uint8_t *stored; /* ... or here */
	uint64_t len;
	uint32_t *starts; /* where the frames begin in the stored bytes, and where the last ends */
	size_t count;
	struct kept kept[KEPT];
	uint64_t uses;
};

/* ---- opening -------------------------------------------------------------------------------- */

static size_t content_of(const struct pkg_index_frames *f, size_t frame)
{
	return frame + 1 < f->count ? PKG_INDEX_FRAME
				    : (size_t)(f->len - (uint64_t)(f->count - 1) * PKG_INDEX_FRAME);
}

static int find_frames(struct pkg_index_frames *f, const uint8_t *stored, size_t stored_len, struct err *e)
{
	size_t at = 0;

	for (size_t i = 0; i < f->count; i++) {
		uint64_t content;
		size_t len;

		if (pkg_frame_measure(stored + at, stored_len - at, &len, &content, e) < 0)
			return err_wrap(e, "package index");
		if (content != content_of(f, i))
			return err_set(e, ERR_FORMAT,
				       "package index: not in frames of 64 KiB: was it made by an older "
				       "floe? Build it again");
		f->starts[i] = (uint32_t)at;
		at += len;
	}
	f->starts[f->count] = (uint32_t)at;
	return at == stored_len ? 0 : err_set(e, ERR_FORMAT, "package index: more than its frames");
}

static int keep_stored(struct pkg_index_frames *f, const void *stored, size_t stored_len, struct err *e)
{
	struct err ignored;

	if (f->fd >= 0 && fd_pwrite_all(f->fd, stored, stored_len, 0, &ignored) == 0)
		return 0;
	fd_close(f->fd); /* a full disk is no reason not to open */
	f->fd = -1;
	f->stored = mem_alloc(1, stored_len, e);
	if (!f->stored)
		return -1;
	memcpy(f->stored, stored, stored_len);
	return 0;
}

int pkg_index_frames_open(const void *stored, size_t stored_len, uint64_t content_len, int scratch_fd,
			  struct pkg_index_frames **ret, struct err *e)
{
	struct pkg_index_frames *f = mem_alloc(1, sizeof(*f), e);

	if (!f) {
		fd_close(scratch_fd);
		return -1;
	}
	f->fd = scratch_fd;
	f->len = content_len;
	f->count = (size_t)((content_len + PKG_INDEX_FRAME - 1) / PKG_INDEX_FRAME);
	f->starts = mem_alloc(f->count + 1, sizeof(*f->starts), e);
	if (!f->starts || find_frames(f, stored, stored_len, e) < 0 ||
	    keep_stored(f, stored, stored_len, e) < 0) {
		pkg_index_frames_close(f);
		return -1;
	}
	*ret = f;
	return 0;
}

void pkg_index_frames_close(struct pkg_index_frames *f)
{
	if (!f)
		return;
	for (size_t i = 0; i < KEPT; i++)
		free(f->kept[i].content);
	fd_close(f->fd);
	free(f->stored);
	free(f->starts);
	free(f);
}

/* ---- reading -------------------------------------------------------------------------------- */

uint64_t pkg_index_frames_len(const struct pkg_index_frames *f)
{
	return f->len;
}

static int inflate(struct pkg_index_frames *f, size_t frame, uint8_t *ret, struct err *e)
{
	auto_buf struct buf read = BUF_INIT(PKG_CHUNK_STORED_MAX);
	size_t stored_len = f->starts[frame + 1] - f->starts[frame];
	const uint8_t *stored = f->stored ? f->stored + f->starts[frame] : NULL;

	if (!stored) {
		if (buf_reserve(&read, stored_len, e) < 0 ||
		    fd_pread_exact(f->fd, read.data, stored_len, f->starts[frame], e) < 0)
			return err_wrap(e, "package index");
		stored = read.data;
	}
	if (pkg_frame_inflate(stored, stored_len, content_of(f, frame), ret, e) < 0)
		return err_wrap(e, "package index");
	return 0;
}

/* The content of a frame, borrowed until the next is asked for. */
static const uint8_t *frame_content(struct pkg_index_frames *f, size_t frame, struct err *e)
{
	struct kept *oldest = &f->kept[0];

	for (struct kept *k = f->kept; k < f->kept + KEPT; k++) {
		if (k->used && k->frame == frame) {
			k->used = ++f->uses;
			return k->content;
		}
		if (k->used < oldest->used)
			oldest = k;
	}
	if (!oldest->content && !(oldest->content = mem_alloc(1, PKG_INDEX_FRAME, e)))
		return NULL;
	oldest->used = 0;
	if (inflate(f, frame, oldest->content, e) < 0)
		return NULL;
	oldest->frame = frame;
	oldest->used = ++f->uses;
	return oldest->content;
}

int pkg_index_frames_read(struct pkg_index_frames *f, uint64_t off, size_t len, uint8_t *ret, struct err *e)
{
	while (len) {
		size_t within = (size_t)(off % PKG_INDEX_FRAME), some = PKG_INDEX_FRAME - within;
		const uint8_t *content = frame_content(f, (size_t)(off / PKG_INDEX_FRAME), e);

		if (!content)
			return -1;
		if (some > len)
			some = len;
		memcpy(ret, content + within, some);
		ret += some;
		off += some;
		len -= some;
	}
	return 0;
}
