/* SPDX-License-Identifier: Apache-2.0 */
/* Chunks for readers; see package.h. The order is memory, cache, network; a chunk is obtained by one reader
 * or request at a time, and the others wait for that one. */
#include "streaming/package.h"

#include <errno.h>
#include <string.h>

#include "package-format/chunk.h"
#include "streaming/package_state.h"

enum {
	POLL_MS = 150, /* how often is_cancelled is asked */
	BACKOFF_MIN_MS = 1000,
	BACKOFF_MAX_MS = 5000,
	GONE_PATIENCE_MS = 30000, /* a 404 may be a deployment in progress, odd answers a proxy's */
	SILENCE_MS = 1000,        /* a network that brings nothing for so long counts as gone */
};

/* ---- what the other parts report -------------------------------------------------------- */

void package_settle(struct stream_package *p, uint32_t idx, struct memory_chunk *m, const struct err *why)
{
	if (!m && p->opt.cache)
		transit_unclaim(stream_cache_transit(p->opt.cache), transit_claim_of(&p->header.root, idx),
				1);
	sync_lock(&p->lock);
	p->is_busy[idx] = 0;
	if (m)
		memory_add(&p->memory, m);
	for (struct waiter **at = &p->waiters; *at;) {
		struct waiter *w = *at;

		if (w->idx != idx) {
			at = &w->next;
			continue;
		}
		*at = w->next;
		if (m)
			m->refs++;
		else
			w->err = *why;
		w->chunk = m;
		w->is_done = true;
	}
	sync_wake_all(&p->changed);
	sync_unlock(&p->lock);
}

void package_note_network(struct stream_package *p, bool works, const char *why)
{
	bool is_news;

	sync_lock(&p->lock);
	is_news = p->is_stalled == works && !p->is_closing;
	p->is_stalled = !works;
	if (works)
		p->good_answers++;
	if (works && is_news)
		sync_wake_all(&p->changed);
	sync_unlock(&p->lock);
	if (is_news && p->opt.on_stall)
		p->opt.on_stall(p->opt.on_stall_arg, !works, why);
}

/* ---- obtaining one chunk ---------------------------------------------------------------- */

struct memory_chunk *package_take_room(struct stream_package *p, uint32_t idx, size_t len, struct err *e)
{
	struct memory_chunk *m;

	sync_lock(&p->lock);
	m = memory_chunk_reuse(&p->memory, idx, len);
	sync_unlock(&p->lock);
	return m ? m : memory_chunk_new(idx, len, e);
}

struct memory_chunk *package_pass_room(struct stream_package *p, uint32_t idx, size_t len, struct err *e)
{
	struct memory_chunk *m;
	bool is_full;

	sync_lock(&p->lock);
	is_full = memory_is_full_for(&p->memory, len);
	m = memory_chunk_spare(&p->memory, idx, len);
	sync_unlock(&p->lock);
	if (!m)
		m = memory_chunk_new(idx, len, e);
	if (m)
		m->is_passing = is_full && p->opt.cache;
	return m;
}

struct stored_sink {
	struct memory_chunk *room;
	size_t len;
};

static int take_stored(void *arg, const uint8_t *data, size_t len, struct err *e)
{
	struct stored_sink *s = arg;

	if (len > s->room->seen.len - s->len)
		return err_set(e, ERR_IO, "more than was asked for");
	memcpy(s->room->bytes + s->len, data, len);
	s->len += len;
	return 0;
}

static int load_from_file(struct stream_package *p, uint32_t idx, const struct pkg_chunk_info *info,
			  struct memory_chunk *m, struct err *e)
{
	struct stored_sink s = { package_take_room(p, idx, info->stored_len, e), 0 };
	int rc;

	if (!s.room)
		return -1;
	rc = p->fetcher->ops->read(p->fetcher, info->off, info->stored_len, take_stored, &s, e);
	if (rc == 0)
		rc = pkg_chunk_inflate(s.room->bytes, s.len, info->content_len, &info->digest, m->bytes, e);
	stream_chunk_unref(p, &s.room->seen);
	return rc < 0 ? err_wrap(e, "%s: chunk %u", p->shown, idx) : 0;
}

int package_load(struct stream_package *p, uint32_t idx, struct memory_chunk **ret, struct err *e)
{
	struct pkg_chunk_info info;
	struct memory_chunk *m;
	int rc;

	if (pkg_index_chunk(p->index, idx, &info, e) < 0)
		return e->code == ERR_NOTFOUND ? err_set(e, ERR_FORMAT, "%s: no chunk %u", p->shown, idx)
					       : -1;
	if (!p->is_file && !p->opt.cache)
		return err_set(e, ERR_NOTFOUND, "no cache");
	m = package_take_room(p, idx, info.content_len, e);
	if (!m)
		return -1;
	rc = p->is_file ? load_from_file(p, idx, &info, m, e)
			: stream_cache_get(p->opt.cache, &info.digest, m->bytes, info.content_len, e);
	if (rc < 0) {
		stream_chunk_unref(p, &m->seen);
		sync_lock(&p->lock);
		p->stats.chunks_wrong += e->code == ERR_NOTFOUND && e->sys == EBADMSG;
		sync_unlock(&p->lock);
		return -1;
	}
	sync_lock(&p->lock);
	if (p->is_file)
		p->stats.chunks_fetched++;
	else
		p->stats.chunks_from_cache++;
	sync_unlock(&p->lock);
	*ret = m;
	return 0;
}

/* True when the chunk is settled: it was here, or cannot be had. */
static bool settle_near(struct stream_package *p, uint32_t idx)
{
	struct memory_chunk *m = NULL;
	struct err why;

	if (package_load(p, idx, &m, &why) == 0) {
		package_settle(p, idx, m, NULL);
		stream_chunk_unref(p, &m->seen);
		return true;
	}
	if (why.code == ERR_NOTFOUND)
		return false;
	package_settle(p, idx, NULL, &why);
	return true;
}

void package_ask(struct stream_package *p, uint32_t idx, bool anyway)
{
	const struct transit *t = p->opt.cache ? stream_cache_transit(p->opt.cache) : NULL;
	uint64_t claim = transit_claim_of(&p->header.root, idx);
	struct err why;

	if (!p->fetcher) {
		(void)err_set(&why, ERR_NET,
			      "%s: chunk %u is not in the cache, and the network is not to be used", p->shown,
			      idx);
		package_settle(p, idx, NULL, &why);
		return;
	}
	if (t && transit_claim(t, claim, 1)) {
		/* Whoever had it may just have been done. */
		if (settle_near(p, idx)) {
			transit_unclaim(t, claim, 1);
			return;
		}
	} else if (t && !anyway && elsewhere_await(p, idx)) {
		return;
	}
	if (schedule_want(p, idx, &why) < 0)
		package_settle(p, idx, NULL, &why);
}

/* The caller has made the chunk busy; what comes of it reaches the waiters. */
static void obtain(struct stream_package *p, uint32_t idx)
{
	if (!settle_near(p, idx))
		package_ask(p, idx, false);
}

/* ---- waiting ---------------------------------------------------------------------------- */

struct patience {
	bool (*is_cancelled)(void *arg);
	void *arg;
	uint64_t failed_ms; /* when the network was first found missing; 0 = not */
	unsigned failures;
	uint64_t bytes, silent_ms; /* received so far, and since when no more came; 0 = comes */
};

static void leave_waiters_locked(struct stream_package *p, struct waiter *w) SYNC_REQUIRES(p->lock)
{
	struct waiter **at = &p->waiters;

	while (*at && *at != w)
		at = &(*at)->next;
	if (*at)
		*at = w->next;
}

/* A server that keeps silent is found out long before its request fails. True when it has been silent for as
 * long as the user wants to wait. */
static bool is_out_of_patience(struct stream_package *p, struct patience *patience)
{
	uint64_t now = sync_now_ms(), since;
	struct stream_counters net = { 0 };

	if (p->fetcher)
		p->fetcher->ops->counters(p->fetcher, &net);
	if (!net.waiting || net.bytes != patience->bytes || !patience->silent_ms) {
		patience->bytes = net.bytes;
		patience->silent_ms = net.waiting ? now : 0;
		return false;
	}
	if (now - patience->silent_ms >= SILENCE_MS) {
		char why[sizeof(((struct err *)0)->msg)];

		(void)snprintf(why, sizeof(why), "%s does not answer", p->shown);
		package_note_network(p, false, why);
	}
	since = patience->failed_ms ? patience->failed_ms : patience->silent_ms;
	return p->opt.fail_after_s && now - since >= p->opt.fail_after_s * UINT64_C(1000);
}

/* Waits until the waiter is served. */
static int await(struct stream_package *p, struct waiter *w, struct patience *patience, struct err *e)
{
	bool is_done = false, gives_up = false, is_lost = false;

	patience->silent_ms = 0;
	while (!is_done && !gives_up) {
		is_lost = is_out_of_patience(p, patience);
		gives_up = is_lost || (patience->is_cancelled && patience->is_cancelled(patience->arg));
		sync_lock(&p->lock);
		gives_up |= p->is_closing;
		if (!w->is_done && !gives_up && !sync_wait_ms(&p->changed, &p->lock, POLL_MS))
			schedule_nudge_locked(p);
		is_done = w->is_done;
		if (!is_done && gives_up)
			leave_waiters_locked(p, w);
		sync_unlock(&p->lock);
	}
	if (!is_done)
		return is_lost ? err_set(e, ERR_NET, "%s does not answer", p->shown)
			       : err_set(e, ERR_INTERRUPTED, "interrupted");
	if (w->chunk)
		return 0;
	*e = w->err;
	return -1;
}

bool package_is_closing(struct stream_package *p)
{
	bool yes;

	sync_lock(&p->lock);
	yes = p->is_closing;
	sync_unlock(&p->lock);
	return yes;
}

bool package_may_return(const struct err *e)
{
	return e->code == ERR_NET || e->code == ERR_NOTFOUND || e->code == ERR_UNSUPPORTED;
}

/* After a failure: 0 when it is time to try again. *e is the failure. */
static int back_off(struct stream_package *p, struct patience *patience, struct err *e)
{
	uint64_t now = sync_now_ms(), wake, answers;
	unsigned shift = patience->failures < 3 ? patience->failures : 3;
	unsigned pause = BACKOFF_MIN_MS << shift;
	bool goes_on = true, works = false;

	if (!package_may_return(e))
		return -1;
	if (!p->fetcher) /* offline by choice: nothing to wait for */
		return -1;
	if (!patience->failed_ms)
		patience->failed_ms = patience->silent_ms ? patience->silent_ms : now;
	patience->failures++;
	if (p->opt.fail_after_s && now - patience->failed_ms >= p->opt.fail_after_s * UINT64_C(1000))
		return -1;
	if (e->code != ERR_NET && now - patience->failed_ms >= GONE_PATIENCE_MS)
		return -1;
	package_note_network(p, false, e->msg);
	wake = now + (pause < BACKOFF_MAX_MS ? pause : BACKOFF_MAX_MS);
	if (p->opt.fail_after_s && wake > patience->failed_ms + p->opt.fail_after_s * UINT64_C(1000))
		wake = patience->failed_ms + p->opt.fail_after_s * UINT64_C(1000);
	sync_lock(&p->lock);
	answers = p->good_answers;
	sync_unlock(&p->lock);
	for (; goes_on && !works && now < wake; now = sync_now_ms()) {
		goes_on = !patience->is_cancelled || !patience->is_cancelled(patience->arg);
		sync_lock(&p->lock);
		goes_on = goes_on && !p->is_closing;
		if (goes_on && p->good_answers == answers)
			(void)sync_wait_ms(&p->changed, &p->lock,
					   wake - now < POLL_MS ? wake - now : POLL_MS);
		works = p->good_answers != answers;
		sync_unlock(&p->lock);
	}
	return goes_on ? 0 : err_set(e, ERR_INTERRUPTED, "interrupted");
}

/* One try: found at once (*ret), or a waiter served. */
static int try_chunk(struct stream_package *p, uint32_t idx, struct patience *patience,
		     struct memory_chunk **ret, struct err *e)
{
	struct waiter w = { .idx = idx };
	struct memory_chunk *m;
	bool is_mine = false;

	sync_lock(&p->lock);
	m = memory_find(&p->memory, idx);
	if (!m) {
		w.next = p->waiters;
		p->waiters = &w;
		is_mine = !p->is_busy[idx];
		p->is_busy[idx] = 1;
	}
	sync_unlock(&p->lock);
	if (m) {
		*ret = m;
		return 0;
	}
	if (is_mine)
		obtain(p, idx);
	if (await(p, &w, patience, e) < 0)
		return -1;
	*ret = w.chunk;
	return 0;
}

static bool enter(struct stream_package *p, uint32_t idx)
{
	bool is_open;

	sync_lock(&p->lock);
	is_open = !p->is_closing;
	p->users += is_open;
	learn_touch_locked(p, idx);
	sync_unlock(&p->lock);
	return is_open;
}

static void leave(struct stream_package *p)
{
	sync_lock(&p->lock);
	p->last_use_ms = sync_now_ms();
	if (--p->users == 0 && p->is_closing)
		sync_wake_all(&p->changed);
	sync_unlock(&p->lock);
}

void package_load_near(struct stream_package *p, uint32_t idx)
{
	bool is_mine;

	if (!stream_package_has(p, idx))
		return;
	sync_lock(&p->lock);
	is_mine = !p->is_closing && !p->is_busy[idx] && !memory_has(&p->memory, idx);
	if (is_mine) {
		p->is_busy[idx] = 1;
		p->users++;
	}
	sync_unlock(&p->lock);
	if (!is_mine)
		return;
	obtain(p, idx);
	leave(p);
}

int stream_package_chunk(struct stream_package *p, uint32_t chunk_idx, bool (*is_cancelled)(void *arg),
			 void *arg, struct stream_chunk **ret, struct err *e)
{
	struct patience patience = { .is_cancelled = is_cancelled, .arg = arg };
	struct memory_chunk *m = NULL;
	int rc;

	if (chunk_idx >= p->chunk_count)
		return err_set(e, ERR_FORMAT, "%s: no chunk %u", p->shown, chunk_idx);
	if (!enter(p, chunk_idx))
		return err_set(e, ERR_INTERRUPTED, "closing");
	near_follow(p, chunk_idx);
	do {
		rc = try_chunk(p, chunk_idx, &patience, &m, e);
	} while (rc < 0 && back_off(p, &patience, e) == 0);
	leave(p);
	if (rc == 0)
		*ret = &m->seen;
	return rc;
}

void stream_chunk_unref(struct stream_package *p, struct stream_chunk *c)
{
	if (!c)
		return;
	sync_lock(&p->lock);
	memory_unref(&p->memory, (struct memory_chunk *)(void *)c);
	sync_unlock(&p->lock);
}

void stream_package_keep(struct stream_package *p, size_t bytes)
{
	sync_lock(&p->lock);
	memory_limit(&p->memory, bytes ? bytes : p->opt.memory_max);
	sync_unlock(&p->lock);
}

void stream_package_hint(struct stream_package *p, uint32_t first_idx, uint32_t count)
{
	if (p->is_file || !p->fetcher || first_idx >= p->chunk_count)
		return;
	schedule_hint(p, first_idx, count < p->chunk_count - first_idx ? count : p->chunk_count - first_idx);
}

bool stream_package_is_loaded(struct stream_package *p, uint32_t chunk_idx)
{
	bool is_loaded;

	sync_lock(&p->lock);
	is_loaded = memory_has(&p->memory, chunk_idx);
	sync_unlock(&p->lock);
	return is_loaded;
}

bool stream_package_has(struct stream_package *p, uint32_t chunk_idx)
{
	struct pkg_chunk_info info;
	struct err ignored;
	bool found;

	if (chunk_idx >= p->chunk_count)
		return false;
	if (p->is_file)
		return true;
	sync_lock(&p->lock);
	found = memory_has(&p->memory, chunk_idx);
	sync_unlock(&p->lock);
	return found || (p->opt.cache && pkg_index_chunk(p->index, chunk_idx, &info, &ignored) == 0 &&
			 stream_cache_has(p->opt.cache, &info.digest));
}

/* ---- facts ------------------------------------------------------------------------------ */

const struct pkg_header *stream_package_header(const struct stream_package *p)
{
	return &p->header;
}

struct pkg_index *stream_package_index(const struct stream_package *p)
{
	return p->index;
}

bool stream_package_is_offline(const struct stream_package *p)
{
	return p->is_offline;
}

void stream_package_stats(struct stream_package *p, struct stream_package_stats *ret)
{
	struct stream_counters net = { 0 };

	if (p->fetcher)
		p->fetcher->ops->counters(p->fetcher, &net);
	sync_lock(&p->lock);
	*ret = p->stats;
	sync_unlock(&p->lock);
	ret->net = net;
}
