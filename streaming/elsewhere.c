/* SPDX-License-Identifier: Apache-2.0 */
/* See elsewhere.h. */
#include "streaming/elsewhere.h"

#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/fd.h"
#include "streaming/package_state.h"

enum {
	LOOK_MS = 100,      /* for claims of a process that was killed, which nobody tells of */
	DURABLE_MS = 20000, /* what was received so long ago should be */
};

static unsigned copy_list(struct stream_package *p, uint32_t ret[ELSEWHERE_MAX])
{
	unsigned count;

	sync_lock(&p->lock);
	count = p->elsewhere.count;
	memcpy(ret, p->elsewhere.chunks, count * sizeof(*ret));
	sync_unlock(&p->lock);
	return count;
}

static void forget(struct stream_package *p, uint32_t idx)
{
	struct elsewhere *w = &p->elsewhere;

	sync_lock(&p->lock);
	for (unsigned i = 0; i < w->count; i++)
		if (w->chunks[i] == idx) {
			w->chunks[i] = w->chunks[--w->count];
			break;
		}
	sync_unlock(&p->lock);
}

/* Gives the chunk to who waits for it, or asks for it ourselves; or leaves it for later. */
static void look_after(struct stream_package *p, uint32_t idx, bool is_silent)
{
	const struct transit *t = stream_cache_transit(p->opt.cache);
	uint64_t claim = transit_claim_of(&p->header.root, idx);
	bool is_over = is_silent || !transit_is_claimed_elsewhere(t, claim);
	struct memory_chunk *m;
	struct err e;

	/* Asked before we look: what the other process then still gives up is found the next time. */
	if (package_load(p, idx, &m, &e) == 0) {
		forget(p, idx);
		package_settle(p, idx, m, NULL);
		stream_chunk_unref(p, &m->seen);
	} else if (is_over) {
		forget(p, idx);
		package_ask(p, idx, is_silent);
	}
}

static void *elsewhere_main(void *arg)
{
	struct stream_package *p = arg;
	struct elsewhere *w = &p->elsewhere;
	const struct transit *t = stream_cache_transit(p->opt.cache);
	uint32_t chunks[ELSEWHERE_MAX];

	(void)pthread_setname_np(pthread_self(), "floe-elsewhere");
	while (!package_is_closing(p)) {
		struct pollfd ready[] = { { .fd = w->bell, .events = POLLIN },
					  { .fd = w->watch, .events = POLLIN } };
		unsigned count = copy_list(p, chunks);
		bool is_silent = transit_silent_ms(t, &p->header.root) >= ELSEWHERE_SILENCE_MS;
		uint64_t rings;

		for (unsigned i = 0; i < count; i++)
			look_after(p, chunks[i], is_silent);
		count = copy_list(p, chunks);
		(void)poll(ready, 2, count ? LOOK_MS : -1);
		(void)!read(w->bell, &rings, sizeof(rings));
		transit_watch_clear(w->watch);
	}
	return NULL;
}

static void ring(const struct elsewhere *w)
{
	static const uint64_t one = 1;

	(void)!write(w->bell, &one, sizeof(one));
}

void elsewhere_init(struct stream_package *p)
{
	p->elsewhere.bell = p->elsewhere.watch = -1;
}

static bool start_locked(struct stream_package *p) SYNC_REQUIRES(p->lock)
{
	struct elsewhere *w = &p->elsewhere;

	if (w->has_thread)
		return true;
	if (w->bell < 0)
		w->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->bell < 0)
		return false;
	if (w->watch < 0)
		w->watch = transit_watch(stream_cache_transit(p->opt.cache));
	w->has_thread = pthread_create(&w->thread, NULL, elsewhere_main, p) == 0;
	return w->has_thread;
}

bool elsewhere_await(struct stream_package *p, uint32_t idx)
{
	struct elsewhere *w = &p->elsewhere;
	bool is_taken;

	sync_lock(&p->lock);
	is_taken = !p->is_closing && w->count < ELSEWHERE_MAX && start_locked(p);
	if (is_taken)
		w->chunks[w->count++] = idx;
	sync_unlock(&p->lock);
	if (is_taken)
		ring(w);
	return is_taken;
}

void elsewhere_stop(struct stream_package *p)
{
	struct elsewhere *w = &p->elsewhere;
	bool has_thread;

	sync_lock(&p->lock);
	has_thread = w->has_thread;
	sync_unlock(&p->lock);
	if (has_thread) {
		ring(w);
		(void)pthread_join(w->thread, NULL);
	}
	fd_close(w->bell);
	fd_close(w->watch);
	w->bell = w->watch = -1;
}

void stream_package_await_others(struct stream_package *p, bool (*is_cancelled)(void *arg), void *arg)
{
	const struct transit *t = p->opt.cache ? stream_cache_transit(p->opt.cache) : NULL;
	auto_fd int watch = t ? transit_watch(t) : -1;
	struct pollfd ready = { .fd = watch, .events = POLLIN };

	while (t && transit_is_shared(t, &p->header.root) &&
	       transit_silent_ms(t, &p->header.root) < DURABLE_MS && !(is_cancelled && is_cancelled(arg))) {
		(void)poll(&ready, 1, LOOK_MS);
		transit_watch_clear(watch);
	}
}
