/* SPDX-License-Identifier: Apache-2.0 */
/* The compression pipeline; see pack.h.
 *
 * A ring of slots, one per chunk under way. The caller fills slot `idx % slots`, the threads take filled
 * slots in order, the caller writes finished ones in order and so frees them. The caller touches a slot's
 * buffers only in EMPTY and DONE, a thread only in BUSY, so the lock guards states, not bytes. */
#include "package-format/pack.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sync.h"
#include "package-format/chunk.h"
#include "package-format/digest_map.h"

enum { THREADS_MAX = 64, SLOTS_PER_THREAD = 3, LEVEL_DEFAULT = 19, CHUNKS_MAX = 1 << 28 };

struct slot {
	enum { SLOT_EMPTY, SLOT_FILLED, SLOT_BUSY, SLOT_DONE } state; /* guarded by the pack's lock */
	uint8_t *content;
	size_t content_len;
	struct buf stored;
	int rc;
	struct err err;
};

struct pkg_pack {
	int fd, level;
	const volatile bool *cancel;
	struct slot *slots;
	uint32_t slot_count;
	pthread_t threads[THREADS_MAX];
	unsigned thread_count;

	/* The caller's own. */
	struct pkg_chunk_info *chunks;
	uint32_t count, cap, written, shared;
	uint64_t file_len;
	struct pkg_digest_map by_digest;

	struct sync_mutex lock;
	struct sync_cond changed;
	uint32_t next;   /* chunk that a thread takes next; guarded by lock */
	bool is_closing; /* guarded by lock */
};

static void *compress_chunks(void *arg)
{
	struct pkg_pack *p = arg;

	sync_lock(&p->lock);
	for (;;) {
		struct slot *s = &p->slots[p->next % p->slot_count];

		if (p->is_closing)
			break;
		if (s->state != SLOT_FILLED) {
			sync_wait(&p->changed, &p->lock);
			continue;
		}
		s->state = SLOT_BUSY;
		p->next++;
		sync_unlock(&p->lock);
		buf_reset(&s->stored);
		s->rc = pkg_chunk_compress(s->content, s->content_len, p->level, &s->stored, &s->err);
		sync_lock(&p->lock);
		s->state = SLOT_DONE;
		sync_wake_all(&p->changed);
	}
	sync_unlock(&p->lock);
	return NULL;
}

static int start(struct pkg_pack *p, unsigned threads, struct err *e)
{
	if (threads == 0) {
		long n = sysconf(_SC_NPROCESSORS_ONLN);

		threads = n > 0 ? (unsigned)n : 1;
	}
	if (threads > THREADS_MAX)
		threads = THREADS_MAX;
	p->slot_count = threads * SLOTS_PER_THREAD;
	p->slots = mem_alloc(p->slot_count, sizeof(*p->slots), e);
	if (!p->slots)
		return -1;
	for (uint32_t i = 0; i < p->slot_count; i++) {
		p->slots[i].stored.max = PKG_CHUNK_STORED_MAX;
		p->slots[i].content = mem_alloc(1, PKG_CHUNK_MAX, e);
		if (!p->slots[i].content)
			return -1;
	}
	while (p->thread_count < threads) {
		int sys = pthread_create(&p->threads[p->thread_count], NULL, compress_chunks, p);

		if (sys && p->thread_count == 0)
			return err_sys(e, sys, "cannot start a thread");
		if (sys)
			break; /* fewer do as well */
		p->thread_count++;
	}
	return 0;
}

int pkg_pack_open(int fd, int level, unsigned threads, const volatile bool *cancel, struct pkg_pack **ret,
		  struct err *e)
{
	struct pkg_pack *p = mem_alloc(1, sizeof(*p), e);

	if (!p)
		return -1;
	p->fd = fd;
	p->level = level ? level : LEVEL_DEFAULT;
	p->cancel = cancel;
	sync_mutex_init(&p->lock);
	sync_cond_init(&p->changed);
	if (start(p, threads, e) < 0) {
		pkg_pack_close(p);
		return -1;
	}
	*ret = p;
	return 0;
}

void pkg_pack_close(struct pkg_pack *p)
{
	if (!p)
		return;
	sync_lock(&p->lock);
	p->is_closing = true;
	sync_wake_all(&p->changed);
	sync_unlock(&p->lock);
	for (unsigned i = 0; i < p->thread_count; i++)
		(void)pthread_join(p->threads[i], NULL);
	for (uint32_t i = 0; p->slots && i < p->slot_count; i++) {
		free(p->slots[i].content);
		buf_fini(&p->slots[i].stored);
	}
	free(p->slots);
	free(p->chunks);
	pkg_digest_map_fini(&p->by_digest);
	sync_cond_fini(&p->changed);
	sync_mutex_fini(&p->lock);
	free(p);
}

/* Waits for the oldest chunk under way and appends it to the file. */
static int write_oldest(struct pkg_pack *p, struct err *e)
{
	struct slot *s = &p->slots[p->written % p->slot_count];
	struct pkg_chunk_info *c = &p->chunks[p->written];

	sync_lock(&p->lock);
	while (s->state != SLOT_DONE)
		sync_wait(&p->changed, &p->lock);
	sync_unlock(&p->lock);
	if (s->rc < 0) {
		*e = s->err;
		return -1;
	}
	if (fd_pwrite_all(p->fd, s->stored.data, s->stored.len, p->file_len, e) < 0)
		return err_wrap(e, "temporary chunks");
	c->off = p->file_len;
	c->stored_len = (uint32_t)s->stored.len;
	p->file_len += s->stored.len;
	p->written++;
	sync_lock(&p->lock);
	s->state = SLOT_EMPTY;
	sync_unlock(&p->lock);
	return 0;
}

static int grow_chunks(struct pkg_pack *p, struct err *e)
{
	uint32_t cap = p->cap ? 2 * p->cap : 1024;
	void *more;

	if (p->count == CHUNKS_MAX)
		return err_set(e, ERR_LIMIT, "too much content for one package");
	if (p->count < p->cap)
		return 0;
	more = mem_grow(p->chunks, cap, sizeof(*p->chunks), e);
	if (!more)
		return -1;
	p->chunks = more;
	p->cap = cap;
	return 0;
}

int pkg_pack_add(struct pkg_pack *p, const uint8_t *data, size_t len, uint32_t *ret_idx, struct err *e)
{
	struct pkg_chunk_info c = { .content_len = (uint32_t)len };
	struct slot *s;
	uint32_t *known;

	if (p->cancel && *p->cancel)
		return err_set(e, ERR_INTERRUPTED, "interrupted");
	if (len == 0 || len > PKG_CHUNK_MAX)
		return err_set(e, ERR_LIMIT, "a chunk of %zu bytes", len);
	pkg_digest_of(data, len, &c.digest);
	if (grow_chunks(p, e) < 0)
		return -1;
	known = pkg_digest_map_put(&p->by_digest, &c.digest, p->count, e);
	if (!known)
		return -1;
	if (*known != p->count) {
		p->shared++;
		*ret_idx = *known;
		return 0;
	}
	if (p->count - p->written == p->slot_count && write_oldest(p, e) < 0)
		return -1;
	s = &p->slots[p->count % p->slot_count];
	memcpy(s->content, data, len);
	s->content_len = len;
	p->chunks[p->count] = c;
	sync_lock(&p->lock);
	s->state = SLOT_FILLED;
	sync_wake_all(&p->changed);
	sync_unlock(&p->lock);
	*ret_idx = p->count++;
	return 0;
}

int pkg_pack_drain(struct pkg_pack *p, struct err *e)
{
	while (p->written < p->count) {
		if (p->cancel && *p->cancel)
			return err_set(e, ERR_INTERRUPTED, "interrupted");
		if (write_oldest(p, e) < 0)
			return -1;
	}
	return 0;
}

const struct pkg_chunk_info *pkg_pack_chunks(const struct pkg_pack *p, uint32_t *ret_count,
					     uint32_t *ret_shared)
{
	*ret_count = p->count;
	*ret_shared = p->shared;
	return p->chunks;
}
