/* SPDX-License-Identifier: Apache-2.0 */
/* Files to chunks and extents; see content.h. */
#include "package-format/content.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "package-format/chunk.h"
#include "package-format/cut.h"
#include "package-format/digest_map.h"

#define CHUNK_PENDING (UINT32_MAX - 1) /* and BIN_: waits in that bin, whose chunk has no number yet */
enum {
	WINDOW_LEN = 4 * 1024 * 1024,
	EXTENTS_MAX = 1 << 28,
	QUICK_LEVEL = 1,         /* to see whether a piece compresses */
	DENSE_MIN = 1024,        /* a shorter piece may compress in company */
	DENSE_WEIGHT = 4,        /* times its length, for one that does not */
	DENSE_ALONE = 12 * 1024, /* such a one, and longer ones, are chunks of their own */
	DENSE_GAIN = 16,         /* less than a sixteenth is no gain */
};

enum { BIN_PLAIN, BIN_DENSE /* what does not compress */, BINS };

/* Pieces that wait for their chunk. */
struct bin {
	uint8_t *bytes; /* PKG_CHUNK_MAX */
	size_t len, weight;
	size_t pending; /* no extent before this one waits here */
};

struct reader {
	struct pkg_pack *pack;
	struct pkg_content_list *list;
	uint8_t *window; /* WINDOW_LEN bytes of the file being read */
	struct bin bins[BINS];
	struct buf trial;               /* a piece, quickly compressed */
	struct pkg_digest_map by_piece; /* digest of a small piece -> number of the first extent with it */
	uint64_t done, total;
	const struct pkg_writer_opt *opt;
};

static int add_extent(struct reader *r, uint64_t ino, const struct pkg_extent *x, struct err *e)
{
	struct pkg_content_list *l = r->list;

	if (l->count == EXTENTS_MAX)
		return err_set(e, ERR_LIMIT, "too many files for one package");
	if (l->count == l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 1024;
		void *more = mem_grow(l->extents, cap, sizeof(*l->extents), e);

		if (!more)
			return -1;
		l->extents = more;
		l->cap = cap;
	}
	l->extents[l->count++] = (struct pkg_content_extent){ ino, *x };
	return 0;
}

/* The pieces in a bin become a chunk. */
static int flush(struct reader *r, unsigned which, struct err *e)
{
	struct bin *bin = &r->bins[which];
	uint32_t idx;

	if (!bin->len)
		return 0;
	if (pkg_pack_add(r->pack, bin->bytes, bin->len, &idx, e) < 0)
		return -1;
	for (; bin->pending < r->list->count; bin->pending++) {
		struct pkg_extent *x = &r->list->extents[bin->pending].at;

		if (x->chunk_idx == CHUNK_PENDING + which)
			x->chunk_idx = idx;
	}
	bin->len = bin->weight = 0;
	return 0;
}

/* What does not compress gains nothing by company: it goes into chunks of its own kind, and smaller ones, so
 * that an update that changes it, as every Debian package's change log, brings less of what did not change.
 */
static int choose_bin(struct reader *r, const uint8_t *data, size_t len, unsigned *ret, struct err *e)
{
	r->trial.len = 0;
	*ret = BIN_PLAIN;
	if (len < DENSE_MIN)
		return 0;
	if (pkg_frame_compress(data, len, QUICK_LEVEL, &r->trial, e) < 0)
		return -1;
	if (r->trial.len >= len - len / DENSE_GAIN)
		*ret = BIN_DENSE;
	return 0;
}

static int add_small(struct reader *r, uint64_t ino, uint64_t file_off, const uint8_t *data, size_t len,
		     struct err *e)
{
	struct pkg_extent x = { .file_off = file_off, .len = (uint32_t)len };
	struct pkg_digest digest;
	const uint32_t *first;
	struct bin *bin;
	unsigned which;
	size_t weight;

	pkg_digest_of(data, len, &digest);
	first = pkg_digest_map_put(&r->by_piece, &digest, (uint32_t)r->list->count, e);
	if (!first)
		return -1;
	if (*first != r->list->count) {
		const struct pkg_extent *same = &r->list->extents[*first].at;

		x.chunk_idx = same->chunk_idx;
		x.chunk_off = same->chunk_off;
		r->list->shared++;
		return add_extent(r, ino, &x, e);
	}
	if (choose_bin(r, data, len, &which, e) < 0)
		return -1;
	if (which == BIN_DENSE && len >= DENSE_ALONE) {
		if (pkg_pack_add(r->pack, data, len, &x.chunk_idx, e) < 0)
			return -1;
		return add_extent(r, ino, &x, e);
	}
	bin = &r->bins[which];
	if (bin->len + len > PKG_CHUNK_MAX && flush(r, which, e) < 0)
		return -1;
	weight = which == BIN_DENSE ? DENSE_WEIGHT * len : len;
	x.chunk_idx = CHUNK_PENDING + which;
	x.chunk_off = (uint32_t)bin->len;
	memcpy(bin->bytes + bin->len, data, len);
	bin->len += len;
	bin->weight += weight;
	if (add_extent(r, ino, &x, e) < 0)
		return -1;
	return pkg_cut_pack_ends(bin->weight, &digest, weight) ? flush(r, which, e) : 0;
}

static int add_piece(struct reader *r, uint64_t ino, uint64_t file_off, const uint8_t *data, size_t len,
		     struct err *e)
{
	struct pkg_extent x = { .file_off = file_off, .len = (uint32_t)len };

	r->done += len;
	if (r->opt->progress)
		r->opt->progress(r->opt->progress_arg, r->done, r->total);
	if (r->opt->cancel && *r->opt->cancel)
		return err_set(e, ERR_INTERRUPTED, "interrupted");
	if (len < PKG_CUT_MIN)
		return add_small(r, ino, file_off, data, len, e);
	if (pkg_pack_add(r->pack, data, len, &x.chunk_idx, e) < 0)
		return -1;
	return add_extent(r, ino, &x, e);
}

/* Cuts [off, end) of a file, which holds no holes. */
static int read_data(struct reader *r, int fd, uint64_t ino, uint64_t off, uint64_t end, struct err *e)
{
	size_t have = 0, at = 0; /* window[at..have) is not cut yet and begins at `off` */

	while (off < end) {
		size_t len;

		if (have - at < PKG_CHUNK_MAX && end - off > have - at) {
			uint64_t rest = end - off - (have - at);
			size_t more;

			memmove(r->window, r->window + at, have - at);
			have -= at;
			at = 0;
			more = rest < WINDOW_LEN - have ? (size_t)rest : WINDOW_LEN - have;
			if (fd_pread_exact(fd, r->window + have, more, off + have, e) < 0) {
				if (e->code == ERR_IO && !e->sys)
					e->code = ERR_CHANGED;
				return -1;
			}
			have += more;
		}
		len = pkg_cut(r->window + at, have - at);
		if (add_piece(r, ino, off, r->window + at, len, e) < 0)
			return -1;
		at += len;
		off += len;
	}
	return 0;
}

static int read_segments(struct reader *r, int fd, uint64_t ino, uint64_t size, struct err *e)
{
	uint64_t off = 0;

	while (off < size) {
		off_t data = lseek(fd, (off_t)off, SEEK_DATA), hole;

		if (data < 0 && errno == ENXIO) /* nothing but a hole from here on */
			data = (off_t)size;
		else if (data < 0) /* a file system that does not know about holes */
			data = (off_t)off;
		if ((uint64_t)data > size)
			data = (off_t)size;
		r->done += (uint64_t)data - off;
		off = (uint64_t)data;
		if (off == size)
			break;
		hole = lseek(fd, data, SEEK_HOLE);
		if (hole <= data || (uint64_t)hole > size)
			hole = (off_t)size;
		if (read_data(r, fd, ino, off, (uint64_t)hole, e) < 0)
			return -1;
		off = (uint64_t)hole;
	}
	return 0;
}

static bool is_same_state(const struct stat *a, const struct stat *b)
{
	return a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static int read_file(struct reader *r, const struct pkg_plan_entry *n, struct err *e)
{
	/* O_NONBLOCK: should it have become a FIFO, this must not hang. */
	auto_fd int fd = open(n->content_path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat before, after;

	if (fd < 0)
		return err_sys(e, errno, "%s", n->content_path);
	if (fstat(fd, &before) < 0)
		return err_sys(e, errno, "%s", n->content_path);
	if (!S_ISREG(before.st_mode) || (uint64_t)before.st_size != n->size)
		return err_set(e, ERR_CHANGED, "%.300s: changed while it was packed", n->content_path);
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	if (read_segments(r, fd, n->ino, n->size, e) < 0)
		return err_wrap(e, "%.200s", n->content_path);
	if (fstat(fd, &after) < 0 || !is_same_state(&before, &after))
		return err_set(e, ERR_CHANGED, "%.300s: changed while it was packed", n->content_path);
	return 0;
}

static int read_all(struct reader *r, const struct pkg_plan *plan, struct err *e)
{
	for (size_t i = 0; i < plan->count; i++)
		if (S_ISREG(plan->entries[i].mode) && plan->entries[i].leader == i)
			r->total += plan->entries[i].size;
	for (size_t i = 0; i < plan->count; i++) {
		const struct pkg_plan_entry *n = &plan->entries[i];

		if (!S_ISREG(n->mode) || n->leader != i || !n->size)
			continue;
		if (read_file(r, n, e) < 0)
			return -1;
	}
	for (unsigned which = 0; which < BINS; which++)
		if (flush(r, which, e) < 0)
			return -1;
	return pkg_pack_drain(r->pack, e);
}

int pkg_content_read(const struct pkg_plan *plan, struct pkg_pack *pack, const struct pkg_writer_opt *opt,
		     struct pkg_content_list *ret, struct err *e)
{
	auto_free uint8_t *window = mem_alloc(1, WINDOW_LEN, e);
	auto_free uint8_t *plain = mem_alloc(1, PKG_CHUNK_MAX, e);
	auto_free uint8_t *dense = mem_alloc(1, PKG_CHUNK_MAX, e);
	struct reader r = { .pack = pack,
			    .list = ret,
			    .window = window,
			    .bins = { { .bytes = plain }, { .bytes = dense } },
			    .opt = opt,
			    .trial = BUF_INIT(PKG_CHUNK_STORED_MAX) };
	int rc;

	if (!window || !plain || !dense)
		return -1;
	rc = read_all(&r, plan, e);
	buf_fini(&r.trial);
	pkg_digest_map_fini(&r.by_piece);
	return rc;
}
