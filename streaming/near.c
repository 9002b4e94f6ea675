/* SPDX-License-Identifier: Apache-2.0 */
/* See near.h. */
#include "streaming/near.h"

#include "package-format/chunk.h"
#include "streaming/package_state.h"

static void *near_main(void *arg)
{
	struct stream_package *p = arg;
	struct near *n = &p->near;

	(void)pthread_setname_np(pthread_self(), "floe-near");
	sync_lock(&p->lock);
	while (!p->is_closing) {
		uint32_t idx;

		if (!n->count) {
			sync_wait(&n->wanted, &p->lock);
			continue;
		}
		idx = n->queue[n->first];
		n->first = (n->first + 1) % NEAR_QUEUE;
		n->count--;
		sync_unlock(&p->lock);
		package_load_near(p, idx);
		sync_lock(&p->lock);
	}
	sync_unlock(&p->lock);
	return NULL;
}

void near_init(struct stream_package *p)
{
	sync_cond_init(&p->near.wanted);
}

void near_want(struct stream_package *p, const uint32_t *chunks, size_t count)
{
	struct near *n = &p->near;

	sync_lock(&p->lock);
	for (size_t i = 0; i < count && n->count < NEAR_QUEUE && !p->is_closing; i++) {
		if (chunks[i] >= p->chunk_count || p->is_busy[chunks[i]] || memory_has(&p->memory, chunks[i]))
			continue;
		n->queue[(n->first + n->count++) % NEAR_QUEUE] = chunks[i];
		if (n->started < NEAR_THREADS && n->started < n->count &&
		    pthread_create(&n->threads[n->started], NULL, near_main, p) == 0)
			n->started++;
		sync_wake_one(&n->wanted);
	}
	sync_unlock(&p->lock);
}

void near_follow(struct stream_package *p, uint32_t idx)
{
	uint32_t chunks[NEAR_BLOCK], count = 0;
	size_t ahead;

	if (idx >= p->block_chunks)
		return;
	sync_lock(&p->lock);
	/* They must still be in memory when they are read. */
	ahead = p->memory.max / 2 / PKG_CHUNK_MAX;
	if (ahead > NEAR_BLOCK)
		ahead = NEAR_BLOCK;
	if (p->near.block_next <= idx)
		p->near.block_next = idx + 1;
	while (p->near.block_next < p->block_chunks && p->near.block_next - idx <= ahead)
		chunks[count++] = p->near.block_next++;
	sync_unlock(&p->lock);
	if (count)
		near_want(p, chunks, count);
}

void near_stop(struct stream_package *p)
{
	unsigned started;

	sync_lock(&p->lock);
	started = p->near.started;
	sync_wake_all(&p->near.wanted);
	sync_unlock(&p->lock);
	for (unsigned i = 0; i < started; i++)
		(void)pthread_join(p->near.threads[i], NULL);
	sync_cond_fini(&p->near.wanted);
}
