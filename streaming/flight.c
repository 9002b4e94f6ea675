/* SPDX-License-Identifier: Apache-2.0 */
/* Planning and carrying out one request; see flight.h. */
#include "streaming/flight.h"

#include <string.h>

#include "package-format/chunk.h"

enum {
	ROOM_WAIT_MS = 10000,
	CACHED_GAP_MAX = 32 * 1024, /* bytes that come a second time, to save a request */
	ARRIVAL_NOTE_MS = 100,
	LOOK_CHUNKS = 64,
};

int flight_chunk_info(struct stream_package *p, uint32_t idx, struct pkg_chunk_info *ret, struct err *e)
{
	struct pkg_chunk_info info;

	if (pkg_index_chunk(p->index, idx, &info, e) < 0)
		return e->code == ERR_NOTFOUND ? err_set(e, ERR_FORMAT, "%s: no chunk %u", p->shown, idx)
					       : -1;
	if (!info.stored_len || info.stored_len > PKG_CHUNK_STORED_MAX || !info.content_len ||
	    info.content_len > PKG_CHUNK_MAX || info.off < PKG_HEADER_LEN || info.off > p->header.file_len ||
	    info.stored_len > p->header.file_len - info.off)
		return err_set(e, ERR_FORMAT, "%s: chunk %u lies outside the package", p->shown, idx);
	*ret = info;
	return 0;
}

/* ---- planning --------------------------------------------------------------------------- */

/* Makes the marked chunks busy, leaving out those that somebody else here obtains meanwhile. */
static uint32_t make_busy(struct stream_package *p, struct flight *f, bool first_is_busy)
{
	uint32_t used = 0;

	sync_lock(&p->lock);
	for (uint32_t i = 0; i < f->count; i++) {
		uint32_t idx = f->first + i;

		if (f->mine[i] == FLIGHT_NOT_MINE)
			continue;
		if (!(i == 0 && first_is_busy) && (p->is_busy[idx] || memory_has(&p->memory, idx))) {
			f->mine[i] = FLIGHT_NOT_MINE;
			continue;
		}
		p->is_busy[idx] = 1;
		used = i + 1;
	}
	sync_unlock(&p->lock);
	return used;
}

/* Another process fetches it: left to that, also on behalf of who waits for it already. */
static void leave_elsewhere(struct stream_package *p, uint32_t idx)
{
	bool is_wanted = false;

	sync_lock(&p->lock);
	for (const struct waiter *w = p->waiters; w && !is_wanted; w = w->next)
		is_wanted = w->idx == idx;
	p->is_busy[idx] = is_wanted;
	sync_unlock(&p->lock);
	if (is_wanted)
		package_ask(p, idx, false);
}

/* How many chunks from `i` on are ours to get. */
static uint32_t count_run(const struct flight *f, uint32_t i)
{
	uint32_t n = 0;

	while (i + n < f->count && f->mine[i + n] == FLIGHT_WANTED)
		n++;
	return n;
}

/* What was just claimed of a run: without what another process has brought meanwhile. */
static void look_again(struct stream_package *p, struct flight *f, uint32_t i)
{
	const struct transit *t = stream_cache_transit(p->opt.cache);
	struct pkg_chunk_info info;
	struct err ignored;

	if (flight_chunk_info(p, f->first + i, &info, &ignored) < 0 ||
	    !stream_cache_has(p->opt.cache, &info.digest))
		return;
	transit_unclaim(t, transit_claim_of(&p->header.root, f->first + i), 1);
	f->mine[i] = FLIGHT_NOT_MINE;
	leave_elsewhere(p, f->first + i);
}

/* Of the chunks from `i` on, which were made busy, those stay ours that no other process fetches. */
static void claim(struct stream_package *p, struct flight *f, uint32_t i, bool is_alone)
{
	const struct transit *t = stream_cache_transit(p->opt.cache);

	for (uint32_t n; i < f->count; i += n ? n : 1) {
		uint64_t start = transit_claim_of(&p->header.root, f->first + i);
		bool has_all;

		n = count_run(f, i);
		has_all = n && transit_claim(t, start, n);
		for (uint32_t k = i; k < i + n; k++)
			if (!has_all && !transit_claim(t, start + (k - i), 1)) {
				f->mine[k] = FLIGHT_NOT_MINE;
				leave_elsewhere(p, f->first + k);
			} else if (!is_alone) {
				look_again(p, f, k);
			}
	}
	while (f->count && f->mine[f->count - 1] == FLIGHT_NOT_MINE)
		f->count--;
}

static void flight_free(struct flight *f)
{
	if (f)
		free(f->mine);
	free(f);
}

/* The bounds in the file of what was claimed: gaps at either end fall away. */
static int set_bounds(struct stream_package *p, struct flight *f, struct err *e)
{
	struct pkg_chunk_info info;
	uint32_t start = 0;

	while (f->mine[start] == FLIGHT_NOT_MINE)
		start++;
	if (flight_chunk_info(p, f->first + start, &info, e) < 0)
		return -1;
	f->off = info.off;
	if (flight_chunk_info(p, f->first + f->count - 1, &info, e) < 0)
		return -1;
	f->end = info.off + info.stored_len;
	return 0;
}

/* Some of the chunks from plan->first on, counted from there: begin .. end-1, and which of them are cached.
 */
struct look {
	uint32_t begin, end;
	struct pkg_chunk_info infos[LOOK_CHUNKS];
	bool is_cached[LOOK_CHUNKS];
};

/* At the next ones; few at first, since a request may end there. */
static int look_on(struct stream_package *p, const struct flight_plan *plan, struct look *l, struct err *e)
{
	uint32_t max = l->end ? LOOK_CHUNKS : LOOK_CHUNKS / 8, count = 0;
	struct pkg_digest digests[LOOK_CHUNKS];

	l->begin = l->end;
	while (count < max && l->end < plan->count_max &&
	       flight_chunk_info(p, plan->first + l->end, &l->infos[count], e) == 0) {
		digests[count] = l->infos[count].digest;
		l->is_cached[count++] = false;
		l->end++;
	}
	if (!count)
		return -1;
	if (p->opt.cache)
		stream_cache_has_each(p->opt.cache, digests, count, l->is_cached);
	return 0;
}

static int mark_lacking(struct stream_package *p, struct flight_plan *plan, struct flight *f, struct err *e)
{
	uint64_t start = 0, end = 0, last = 0;
	uint64_t gap_max = plan->gap_max ? plan->gap_max : CACHED_GAP_MAX;
	struct look l = { 0 };

	for (uint32_t i = 0; i < plan->count_max; i++) {
		const struct pkg_chunk_info *info;

		if (i == l.end && look_on(p, plan, &l, e) < 0)
			return -1;
		info = &l.infos[i - l.begin];
		/* `end` follows the file, `last` the chunks that we take. */
		if (i && (info->off < end || info->off - last > gap_max ||
			  info->off + info->stored_len - start > plan->bytes_max))
			break;
		end = info->off + info->stored_len;
		plan->passed = i + 1;
		if (!i)
			start = last = info->off;
		if (!(i == 0 && plan->first_is_busy) && l.is_cached[i - l.begin])
			continue;
		f->mine[i] = FLIGHT_WANTED;
		f->count = i + 1;
		last = end;
	}
	return 0;
}

int flight_plan(struct stream_package *p, struct flight_plan *plan, struct flight **ret, struct err *e)
{
	struct flight *f = mem_alloc(1, sizeof(*f), e);
	int rc = f ? 0 : -1;
	/* Asked before we look for what is here. */
	bool is_alone =
		!p->opt.cache || !transit_is_shared(stream_cache_transit(p->opt.cache), &p->header.root);

	if (f) {
		f->first = plan->first;
		f->mine = mem_alloc(plan->count_max, 1, e);
		rc = f->mine ? mark_lacking(p, plan, f, e) : -1;
	}
	if (rc < 0) {
		flight_free(f);
		return -1;
	}
	f->count = make_busy(p, f, plan->first_is_busy);
	if (p->opt.cache)
		claim(p, f, plan->first_is_busy, is_alone);
	if (!f->count) {
		flight_free(f);
		*ret = NULL;
		return 0;
	}
	if (set_bounds(p, f, e) < 0) {
		if (plan->first_is_busy)
			f->mine[0] = FLIGHT_NOT_MINE; /* stays the caller's to settle */
		flight_abandon(p, f, e);
		return -1;
	}
	*ret = f;
	return 0;
}

void flight_abandon(struct stream_package *p, struct flight *f, const struct err *why)
{
	for (uint32_t i = 0; i < f->count; i++)
		if (f->mine[i] != FLIGHT_NOT_MINE)
			package_settle(p, f->first + i, NULL, why);
	flight_free(f);
}

/* ---- cutting what arrives --------------------------------------------------------------- */

void flight_intake_init(struct flight_intake *c, struct stream_package *p, struct flight *f, uint64_t pos,
			bool is_prefetch)
{
	*c = (struct flight_intake){ .p = p, .f = f, .is_prefetch = is_prefetch, .pos = pos };
}

static void let_go(void *chunk)
{
	memory_chunk_return(chunk);
}

/* For the next launch, too. */
static void keep(struct stream_package *p, uint32_t idx, const struct pkg_chunk_info *info,
		 struct memory_chunk *m, bool is_prefetch)
{
	const struct stream_cache_content content = { m->bytes, info->content_len, let_go, m };

	if (is_prefetch)
		(void)stream_cache_wait_room(p->opt.cache, ROOM_WAIT_MS);
	memory_chunk_lend(m);
	stream_cache_put(p->opt.cache, &info->digest, &content, transit_claim_of(&p->header.root, idx));
}

/* Room for what arrives. */
static struct memory_chunk *take_room(const struct flight_intake *c, uint32_t idx, size_t len, struct err *e)
{
	return c->hand ? package_pass_room(c->p, idx, len, e) : package_take_room(c->p, idx, len, e);
}

/* Checks a whole chunk, keeps it, hands it out. */
static int deliver(const struct flight_intake *c, uint32_t idx, const struct pkg_chunk_info *info,
		   const uint8_t *stored, struct err *e)
{
	struct memory_chunk *m = take_room(c, idx, info->content_len, e);
	struct stream_package *p = c->p;

	if (!m)
		return -1;
	if (pkg_chunk_inflate(stored, info->stored_len, info->content_len, &info->digest, m->bytes, e) < 0) {
		stream_chunk_unref(p, &m->seen);
		return -1;
	}
	if (p->opt.cache)
		keep(p, idx, info, m, c->is_prefetch);
	sync_lock(&p->lock);
	p->stats.chunks_fetched++;
	sync_unlock(&p->lock);
	package_note_network(p, true, NULL);
	package_settle(p, idx, m, NULL);
	stream_chunk_unref(p, &m->seen);
	return 0;
}

/* At once, so that what still comes of this transfer comes from elsewhere. By who takes the bytes: the
 * fetcher knows by the thread whose they were. */
static void blame(struct flight_intake *c)
{
	uint32_t wrong;

	sync_lock(&c->p->lock);
	wrong = c->wrong;
	sync_unlock(&c->p->lock);
	if (wrong == c->blamed)
		return;
	c->blamed = wrong;
	c->has_others = c->p->fetcher->ops->distrust(c->p->fetcher);
}

static void use_stored(struct flight_intake *c, uint32_t at, const struct pkg_chunk_info *info,
		       const uint8_t *stored)
{
	uint32_t idx = c->f->first + at;
	struct err why;

	if (deliver(c, idx, info, stored, &why) == 0) {
		c->f->mine[at] = FLIGHT_NOT_MINE;
	} else if (why.code == ERR_INTEGRITY || why.code == ERR_FORMAT) {
		c->f->mine[at] = FLIGHT_WRONG;
		sync_lock(&c->p->lock);
		c->wrong++;
		sync_unlock(&c->p->lock);
		if (!c->hand)
			blame(c);
	} else {
		package_settle(c->p, idx, NULL, &why);
		c->f->mine[at] = FLIGHT_NOT_MINE;
	}
}

void flight_use(struct flight_intake *c, struct flight_piece *piece)
{
	use_stored(c, piece->at, &piece->info, piece->stored->bytes);
	stream_chunk_unref(c->p, &piece->stored->seen);
	free(piece);
}

/* More of the chunk that is gathered; ends with its last byte at the latest. */
static int gather_part(struct flight_intake *c, const uint8_t *data, size_t len, struct err *e)
{
	if (!c->partial) {
		c->partial = take_room(c, c->f->first + c->at, c->info.stored_len, e);
		c->partial_len = 0;
	}
	if (!c->partial)
		return -1;
	memcpy(c->partial->bytes + c->partial_len, data, len);
	c->partial_len += len;
	return 0;
}

static int hand_out(struct flight_intake *c, struct err *e)
{
	struct flight_piece *piece = mem_alloc(1, sizeof(*piece), e);

	if (!piece)
		return -1;
	*piece = (struct flight_piece){ .at = c->at, .info = c->info, .stored = mem_steal(c->partial) };
	c->hand(c->hand_arg, piece);
	return 0;
}

/* The gathered one is whole: `data`, or what was gathered of it. */
static int chunk_is_whole(struct flight_intake *c, const uint8_t *data, struct err *e)
{
	if (c->hand) {
		if ((data && gather_part(c, data, c->info.stored_len, e) < 0) || hand_out(c, e) < 0)
			return -1;
	} else {
		use_stored(c, c->at, &c->info, data ? data : c->partial->bytes);
		if (c->partial)
			stream_chunk_unref(c->p, &c->partial->seen);
		c->partial = NULL;
	}
	c->has_info = false;
	c->at++;
	return 0;
}

static int next_wanted(struct flight_intake *c, struct err *e)
{
	while (c->at < c->f->count && c->f->mine[c->at] != FLIGHT_WANTED)
		c->at++;
	if (c->at == c->f->count)
		return 0;
	c->has_info = true;
	return flight_chunk_info(c->p, c->f->first + c->at, &c->info, e);
}

/* For other processes that wait for it. */
static void note_arrival(struct flight_intake *c)
{
	uint64_t now = sync_now_ms();

	if (!c->p->opt.cache || now - c->noted_ms < ARRIVAL_NOTE_MS)
		return;
	c->noted_ms = now;
	transit_note_arrival(stream_cache_transit(c->p->opt.cache), &c->p->header.root);
}

int flight_take(void *intake, const uint8_t *data, size_t len, struct err *e)
{
	struct flight_intake *c = intake;

	note_arrival(c);
	blame(c);
	while (len) {
		size_t use = len;

		if (!c->has_info && next_wanted(c, e) < 0)
			return -1;
		if (!c->has_info)
			break;
		if (c->pos < c->info.off) {
			if (use > c->info.off - c->pos)
				use = c->info.off - c->pos;
		} else if (!c->partial && len >= c->info.stored_len) {
			use = c->info.stored_len;
			if (chunk_is_whole(c, data, e) < 0)
				return -1;
		} else {
			size_t got = c->partial ? c->partial_len : 0;

			if (use > c->info.stored_len - got)
				use = c->info.stored_len - got;
			if (gather_part(c, data, use, e) < 0)
				return -1;
			if (c->partial_len == c->info.stored_len && chunk_is_whole(c, NULL, e) < 0)
				return -1;
		}
		data += use;
		len -= use;
		c->pos += use;
	}
	c->pos += len;
	return 0;
}

/* ---- asking ---------------------------------------------------------------------------- */

struct timed_sink {
	stream_sink_fn *sink;
	void *arg;
	uint64_t first_ms, bytes;
};

static int take_timed(void *arg, const uint8_t *data, size_t len, struct err *e)
{
	struct timed_sink *t = arg;

	if (!t->bytes)
		t->first_ms = sync_now_ms();
	t->bytes += len;
	return t->sink(t->arg, data, len, e);
}

int flight_fetch(struct stream_package *p, uint64_t off, uint64_t len, stream_sink_fn *sink, void *arg,
		 struct err *e)
{
	struct timed_sink t = { .sink = sink, .arg = arg };
	uint64_t start = sync_now_ms();
	int rc = p->fetcher->ops->read(p->fetcher, off, len, take_timed, &t, e);

	sync_lock(&p->lock);
	if (t.bytes)
		pace_note(&p->pace, t.first_ms - start, t.bytes, sync_now_ms() - t.first_ms);
	sync_unlock(&p->lock);
	return rc;
}

/* ---- carrying out ----------------------------------------------------------------------- */

static int gather(void *arg, const uint8_t *data, size_t len, struct err *e)
{
	return buf_add(arg, data, len, e);
}

static bool is_damage(const struct err *e)
{
	return e->code == ERR_INTEGRITY || e->code == ERR_FORMAT;
}

/* Reads a chunk once more, past any cache on the way that may have spoiled it, and from every other origin
 * when `has_others`. */
static int fetch_again(struct stream_package *p, uint32_t idx, bool has_others, struct err *e)
{
	const struct flight_intake alone = { .p = p };
	auto_buf struct buf stored = BUF_INIT(PKG_CHUNK_STORED_MAX);
	struct pkg_chunk_info info;

	if (flight_chunk_info(p, idx, &info, e) < 0)
		return -1;
	for (;;) {
		buf_reset(&stored);
		if (flight_fetch(p, info.off, info.stored_len, gather, &stored, e) < 0)
			return -1;
		if (stored.len == info.stored_len && deliver(&alone, idx, &info, stored.data, e) == 0)
			return 0;
		if (stored.len == info.stored_len && !is_damage(e))
			return -1;
		if (!has_others)
			break;
		has_others = p->fetcher->ops->distrust(p->fetcher);
	}
	return err_set(e, ERR_INTEGRITY, "%s: chunk %u arrives damaged, also when asked for again", p->shown,
		       idx);
}

static int read_rest(struct stream_package *p, struct flight_intake *c, struct err *e)
{
	uint64_t end = c->f->end;
	int rc;

	if (c->pos < c->f->off)
		c->pos = c->f->off;
	if (c->pos >= end)
		return 0;
	if (package_confirm_origin(p, e) < 0)
		return -1;
	do {
		sync_lock(&p->lock);
		p->stats.prefetch_requests += c->is_prefetch;
		sync_unlock(&p->lock);
		rc = flight_fetch(p, c->pos, end - c->pos, flight_take, c, e);
		if (rc == 0 && c->pos < end)
			rc = err_set(e, ERR_CHANGED, "%s: ended early", p->shown);
	} while (rc < 0 && e->code == ERR_CHANGED && package_reconfirm_origin(p, e) == 0);
	return rc;
}

int flight_intake_fini(struct flight_intake *c, struct err *e)
{
	struct stream_package *p = c->p;
	struct flight *f = c->f;
	int rc;

	note_arrival(c);
	blame(c);
	rc = read_rest(p, c, e);
	if (c->partial)
		stream_chunk_unref(p, &c->partial->seen);
	c->partial = NULL;
	for (uint32_t i = 0; c->wrong && i < f->count; i++) {
		struct err why;

		if (f->mine[i] != FLIGHT_WRONG)
			continue;
		f->mine[i] = FLIGHT_NOT_MINE;
		if (fetch_again(p, f->first + i, c->has_others, &why) < 0) {
			package_settle(p, f->first + i, NULL, &why);
			if (rc == 0)
				*e = why;
			rc = -1;
		}
	}
	if (rc < 0)
		flight_abandon(p, f, e);
	else
		flight_free(f);
	return rc;
}

int flight_run(struct stream_package *p, struct flight *f, bool is_prefetch, struct err *e)
{
	struct flight_intake c;

	flight_intake_init(&c, p, f, f->off, is_prefetch);
	return flight_intake_fini(&c, e);
}
