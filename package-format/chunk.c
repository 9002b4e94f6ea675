/* SPDX-License-Identifier: Apache-2.0 */
/* Frames by zstd; see chunk.h. Contexts are kept, for making one costs more than a small chunk: to compress,
 * one for each thread; to decompress, a few for all, since a server has many threads that seldom do so at
 * once. A frame must be exactly one, of exactly the announced lengths, without a dictionary. */
#include "package-format/chunk.h"

#include <pthread.h>
#include <string.h>
#include <zstd.h>

#include "base/sync.h"

enum { INFLATE_KEPT = 4 };

static pthread_once_t contexts_once = PTHREAD_ONCE_INIT;
static pthread_key_t compress_key; /* this thread's; freed when it ends */
static int compress_key_error;

static struct sync_mutex idle_lock;
static ZSTD_DCtx *idle[INFLATE_KEPT]; /* guarded by idle_lock, like idle_count */
static unsigned idle_count;

static void compress_free(void *c)
{
	(void)ZSTD_freeCCtx(c);
}

static void contexts_init(void)
{
	compress_key_error = pthread_key_create(&compress_key, compress_free);
	sync_mutex_init(&idle_lock);
}

/* Borrowed. */
static ZSTD_CCtx *compress_context(struct err *e)
{
	ZSTD_CCtx *c;

	(void)pthread_once(&contexts_once, contexts_init);
	if (compress_key_error) {
		(void)err_sys(e, compress_key_error, "thread-specific data");
		return NULL;
	}
	c = pthread_getspecific(compress_key);
	if (c)
		return c;
	c = ZSTD_createCCtx();
	if (!c || pthread_setspecific(compress_key, c)) {
		(void)ZSTD_freeCCtx(c);
		(void)err_set(e, ERR_NOMEM, "out of memory");
		return NULL;
	}
	return c;
}

/* The caller's until it gives it back. */
static ZSTD_DCtx *inflate_take(struct err *e)
{
	ZSTD_DCtx *c = NULL;

	(void)pthread_once(&contexts_once, contexts_init);
	sync_lock(&idle_lock);
	if (idle_count)
		c = idle[--idle_count];
	sync_unlock(&idle_lock);
	if (!c && !(c = ZSTD_createDCtx()))
		(void)err_set(e, ERR_NOMEM, "out of memory");
	return c;
}

static void inflate_give(ZSTD_DCtx *c)
{
	sync_lock(&idle_lock);
	if (idle_count < INFLATE_KEPT) {
		idle[idle_count++] = c;
		c = NULL;
	}
	sync_unlock(&idle_lock);
	(void)ZSTD_freeDCtx(c);
}

static int compress_frame(const void *content, size_t len, int level, bool with_checksum, struct buf *ret,
			  struct err *e)
{
	ZSTD_CCtx *c = compress_context(e);
	size_t bound = ZSTD_compressBound(len), n;

	if (!c)
		return -1;
	if (ZSTD_isError(bound))
		return err_set(e, ERR_LIMIT, "%zu bytes are too much for one frame", len);
	if (buf_reserve(ret, bound, e) < 0)
		return -1;
	(void)ZSTD_CCtx_reset(c, ZSTD_reset_session_and_parameters);
	n = ZSTD_CCtx_setParameter(c, ZSTD_c_compressionLevel, level);
	if (!ZSTD_isError(n))
		n = ZSTD_CCtx_setParameter(c, ZSTD_c_dictIDFlag, 0);
	if (!ZSTD_isError(n))
		n = ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, with_checksum);
	if (!ZSTD_isError(n))
		n = ZSTD_compress2(c, ret->data + ret->len, bound, content, len);
	if (ZSTD_isError(n))
		return err_set(e, ERR_IO, "compression: %s", ZSTD_getErrorName(n));
	ret->len += n;
	return 0;
}

int pkg_frame_compress(const void *content, size_t len, int level, struct buf *ret, struct err *e)
{
	return compress_frame(content, len, level, false, ret, e);
}

int pkg_index_compress(const void *content, size_t len, int level, struct buf *ret, struct err *e)
{
	const uint8_t *bytes = content;

	for (size_t at = 0, some; at < len; at += some) {
		some = len - at < PKG_INDEX_FRAME ? len - at : PKG_INDEX_FRAME;
		if (compress_frame(bytes + at, some, level, len > PKG_INDEX_FRAME, ret, e) < 0)
			return -1;
	}
	return 0;
}

int pkg_frame_measure(const void *stored, size_t stored_len, size_t *ret_len, uint64_t *ret_content_len,
		      struct err *e)
{
	unsigned long long content_len = ZSTD_getFrameContentSize(stored, stored_len);
	size_t len = ZSTD_findFrameCompressedSize(stored, stored_len);

	if (ZSTD_isError(len) || content_len == ZSTD_CONTENTSIZE_UNKNOWN ||
	    content_len == ZSTD_CONTENTSIZE_ERROR)
		return err_set(e, ERR_FORMAT, "not a compressed frame of an announced length");
	*ret_len = len;
	*ret_content_len = content_len;
	return 0;
}

int pkg_frame_inflate(const void *stored, size_t stored_len, uint64_t content_len, uint8_t *ret,
		      struct err *e)
{
	ZSTD_DCtx *c;
	size_t n;

	if (ZSTD_getFrameContentSize(stored, stored_len) != content_len ||
	    ZSTD_findFrameCompressedSize(stored, stored_len) != stored_len ||
	    ZSTD_getDictID_fromFrame(stored, stored_len) != 0)
		return err_set(e, ERR_FORMAT, "not one compressed frame of the announced length");
	c = inflate_take(e);
	if (!c)
		return -1;
	n = ZSTD_decompressDCtx(c, ret, content_len, stored, stored_len);
	inflate_give(c);
	if (ZSTD_isError(n))
		return err_set(e, ERR_FORMAT, "damaged compressed frame: %s", ZSTD_getErrorName(n));
	if (n != content_len)
		return err_set(e, ERR_FORMAT, "compressed frame ends early");
	return 0;
}

int pkg_chunk_compress(const void *content, size_t len, int level, struct buf *ret, struct err *e)
{
	if (len == 0 || len > PKG_CHUNK_MAX)
		return err_set(e, ERR_LIMIT, "a chunk of %zu bytes", len);
	return pkg_frame_compress(content, len, level, ret, e);
}

int pkg_chunk_inflate(const void *stored, size_t stored_len, size_t content_len,
		      const struct pkg_digest *digest, uint8_t *ret, struct err *e)
{
	struct pkg_digest got;

	if (content_len == 0 || content_len > PKG_CHUNK_MAX || stored_len > PKG_CHUNK_STORED_MAX)
		return err_set(e, ERR_LIMIT, "a chunk of %zu bytes", content_len);
	if (pkg_frame_inflate(stored, stored_len, content_len, ret, e) < 0)
		return -1;
	pkg_digest_of(ret, content_len, &got);
	if (!pkg_digest_equal(&got, digest))
		return err_set(e, ERR_INTEGRITY, "a chunk does not have its digest");
	return 0;
}
