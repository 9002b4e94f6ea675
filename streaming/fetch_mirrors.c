/* SPDX-License-Identifier: Apache-2.0 */
/* Which of several origins is asked, and what happens when it fails; see fetch_mirrors.h. */
#include "streaming/fetch_mirrors.h"

#include <string.h>

#include "streaming/mirror_read.h"

enum {
	RACE_AFTER_MS = 700,
	AWAY_MS = 300000,
	CONNECT_TIMEOUT_MS = 4000,
	STALL_TIMEOUT_MS = 5000,
	ROUNDS = 2,
	ROUND_PAUSE_MS = 500,
	PROGRESS_MIN = 64 * 1024, /* who brought so much may be asked again in the same read */
};

static struct mirrors *of(struct stream_fetcher *f)
{
	return (struct mirrors *)(void *)f;
}

/* ---- reading ----------------------------------------------------------------------------- */

static bool rest(struct mirrors *m, unsigned ms)
{
	uint64_t end = sync_now_ms() + ms;
	bool is_cancelled;

	sync_lock(&m->lock);
	for (uint64_t now = sync_now_ms(); !m->is_cancelled && now < end; now = sync_now_ms())
		(void)sync_wait_ms(&m->changed, &m->lock, end - now);
	is_cancelled = m->is_cancelled;
	sync_unlock(&m->lock);
	return !is_cancelled;
}

/* One origin, or a race of several. *tried gets those that will not be asked again in this round. */
static int try_some(struct mirrors *m, struct mirror_read *r, uint32_t *tried, struct err *e)
{
	const struct mirror_health *all[STREAM_MIRRORS_MAX];
	unsigned order[STREAM_MIRRORS_MAX];
	uint64_t before = r->done;
	uint32_t failed;
	bool is_race;
	size_t n;
	int rc;

	sync_lock(&m->lock);
	mirrors_health_locked(m, all);
	n = mirror_order(all, m->count, *tried, mirrors_now_ms(m), order);
	is_race = n > 1 && !m->origins[order[0]].health.is_proven;
	sync_unlock(&m->lock);
	if (is_race) {
		rc = mirror_read_race(m, r, order, n, &failed, e);
	} else {
		rc = mirror_read_from(m, r, order[0], e);
		failed = UINT32_C(1) << order[0];
	}
	/* Never without an end: each time a piece has come. */
	*tried = r->done - before >= PROGRESS_MIN ? failed : *tried | failed;
	return rc;
}

static int read_round(struct mirrors *m, struct mirror_read *r, struct err *e)
{
	uint32_t all = (UINT32_C(1) << m->count) - 1, tried = 0;
	struct err worst = { 0 };

	while (r->done < r->len && tried != all) {
		uint32_t before = tried;

		if (try_some(m, r, &tried, e) == 0)
			return 0;
		if (r->has_sink_failed || e->code == ERR_INTERRUPTED || e->code == ERR_NOMEM)
			return -1;
		if (mirror_weight(e) > mirror_weight(&worst))
			worst = *e;
		if (tried == before) /* cannot be; but nobody shall turn in a circle for it */
			break;
	}
	*e = worst;
	return r->done < r->len ? -1 : 0;
}

static int mirrors_read(struct stream_fetcher *seam, uint64_t off, uint64_t len, stream_sink_fn *sink,
			void *arg, struct err *e)
{
	struct mirrors *m = of(seam);
	struct mirror_read r = { .off = off, .len = len, .sink = sink, .arg = arg };
	unsigned rounds;
	int rc;

	r.last = mirror_last_read(m);
	sync_lock(&m->lock);
	r.generation = m->generation;
	rounds = m->opt.fetch.attempts;
	sync_unlock(&m->lock);
	for (unsigned round = 1;; round++) {
		rc = read_round(m, &r, e);
		if (rc == 0 || r.has_sink_failed || e->code != ERR_NET || round >= rounds)
			break;
		if (!rest(m, ROUND_PAUSE_MS)) {
			rc = err_set(e, ERR_INTERRUPTED, "cancelled");
			break;
		}
	}
	mirror_note_last(m, r.last);
	return rc;
}

/* ---- the other operations ---------------------------------------------------------------- */

static void mirrors_cancel(struct stream_fetcher *seam)
{
	struct mirrors *m = of(seam);

	sync_lock(&m->lock);
	m->is_cancelled = true;
	sync_wake_all(&m->changed);
	sync_unlock(&m->lock);
	for (size_t i = 0; i < m->count; i++)
		if (m->origins[i].fetcher)
			m->origins[i].fetcher->ops->cancel(m->origins[i].fetcher);
}

static void mirrors_close(struct stream_fetcher *seam)
{
	struct mirrors *m = of(seam);

	mirrors_cancel(seam);
	sync_lock(&m->lock);
	while (m->racers)
		sync_wait(&m->changed, &m->lock);
	sync_unlock(&m->lock);
	for (size_t i = 0; i < m->count; i++) {
		if (m->origins[i].fetcher)
			m->origins[i].fetcher->ops->close(m->origins[i].fetcher);
		free(m->origins[i].shown);
	}
	sync_cond_fini(&m->changed);
	sync_mutex_fini(&m->lock);
	free(m);
}

static void mirrors_counters(struct stream_fetcher *seam, struct stream_counters *ret)
{
	struct mirrors *m = of(seam);

	*ret = (struct stream_counters){ 0 };
	for (size_t i = 0; i < m->count; i++) {
		struct stream_fetcher *f = m->origins[i].fetcher;
		struct stream_counters one = { 0 };

		if (f)
			f->ops->counters(f, &one);
		ret->requests += one.requests;
		ret->bytes += one.bytes;
		ret->wholes += one.wholes;
		ret->waiting += one.waiting;
	}
}

static uint64_t mirrors_size(struct stream_fetcher *seam)
{
	struct mirrors *m = of(seam);
	uint64_t size;

	sync_lock(&m->lock);
	size = m->has_head ? m->size : 0;
	sync_unlock(&m->lock);
	return size;
}

static void mirrors_identity(struct stream_fetcher *seam, char ret[STREAM_IDENTITY_MAX])
{
	struct mirrors *m = of(seam);
	struct stream_fetcher *f;

	sync_lock(&m->lock);
	f = m->has_head ? m->origins[m->definer].fetcher : NULL;
	sync_unlock(&m->lock);
	ret[0] = '\0';
	if (f)
		f->ops->identity(f, ret);
}

/* One of several may not be waited for as long as the only one. */
static struct stream_fetch_opt limits_of_one(const struct stream_fetch_opt *opt)
{
	return (struct stream_fetch_opt){
		.connect_timeout_ms = opt->connect_timeout_ms ? opt->connect_timeout_ms : CONNECT_TIMEOUT_MS,
		.stall_timeout_ms = opt->stall_timeout_ms ? opt->stall_timeout_ms : STALL_TIMEOUT_MS,
		.ranges_only = true, /* there are others */
		.attempts = 1,
	};
}

static void mirrors_retune(struct stream_fetcher *seam, const struct stream_fetch_opt *opt)
{
	struct mirrors *m = of(seam);
	const struct stream_fetch_opt limits = limits_of_one(opt);

	sync_lock(&m->lock);
	m->opt.fetch = *opt;
	if (!m->opt.fetch.attempts)
		m->opt.fetch.attempts = ROUNDS;
	sync_unlock(&m->lock);
	for (size_t i = 0; i < m->count; i++)
		if (m->origins[i].fetcher)
			m->origins[i].fetcher->ops->retune(m->origins[i].fetcher, &limits);
}

static bool mirrors_distrust(struct stream_fetcher *seam)
{
	struct mirrors *m = of(seam);
	uint64_t now = mirrors_now_ms(m);
	struct mirror_origin *o = &m->origins[mirror_last_read(m)];
	bool is_one_left = false;

	sync_lock(&m->lock);
	mirror_banned(&o->health, now, m->opt.away_ms);
	o->health.is_liar = true;
	for (size_t i = 0; i < m->count; i++) {
		struct mirror_health *h = &m->origins[i].health;

		h->is_liar = h->is_liar && mirror_is_away(h, now);
		is_one_left |= !h->is_liar && m->origins[i].fetcher;
	}
	sync_unlock(&m->lock);
	if (o->fetcher)
		(void)o->fetcher->ops->distrust(o->fetcher);
	return is_one_left;
}

static void mirrors_unpin(struct stream_fetcher *seam, bool length_only)
{
	struct mirrors *m = of(seam);

	sync_lock(&m->lock);
	m->generation++;
	m->has_head = false;
	m->length_only = length_only;
	for (size_t i = 0; i < m->count; i++)
		m->origins[i].is_same = false;
	sync_unlock(&m->lock);
	for (size_t i = 0; i < m->count; i++)
		if (m->origins[i].fetcher)
			m->origins[i].fetcher->ops->unpin(m->origins[i].fetcher, length_only);
}

static const struct stream_fetcher_ops mirrors_ops = {
	.read = mirrors_read,
	.cancel = mirrors_cancel,
	.close = mirrors_close,
	.counters = mirrors_counters,
	.size = mirrors_size,
	.identity = mirrors_identity,
	.retune = mirrors_retune,
	.distrust = mirrors_distrust,
	.unpin = mirrors_unpin,
};

/* ---- opening ----------------------------------------------------------------------------- */

static int add(struct mirrors *m, const char *source, struct err *e)
{
	const struct stream_fetch_opt limits = limits_of_one(&m->opt.fetch);
	struct mirror_origin *o = &m->origins[m->count];

	o->shown = stream_source_for_people(source, e);
	if (!o->shown)
		return -1;
	m->count++;
	if (stream_fetcher_open(source, &limits, &o->fetcher, &o->why) < 0)
		o->fetcher = NULL;
	return 0;
}

static int check_any(const struct mirrors *m, struct err *e)
{
	for (size_t i = 0; i < m->count; i++)
		if (m->origins[i].fetcher)
			return 0;
	*e = m->origins[0].why;
	return -1;
}

int stream_fetch_mirrors_open(const char *const *sources, size_t count, const struct stream_mirrors_opt *opt,
			      struct stream_fetcher **ret, struct err *e)
{
	struct mirrors *m;
	int rc = 0;

	if (!count || count > STREAM_MIRRORS_MAX)
		return err_set(e, ERR_LIMIT, "%zu sources for one package: at most %d", count,
			       STREAM_MIRRORS_MAX);
	m = mem_alloc(1, sizeof(*m), e);
	if (!m)
		return -1;
	sync_mutex_init(&m->lock);
	sync_cond_init(&m->changed);
	m->seam.ops = &mirrors_ops;
	if (opt)
		m->opt = *opt;
	m->opt.fetch.attempts = m->opt.fetch.attempts ? m->opt.fetch.attempts : ROUNDS;
	m->opt.race_after_ms = m->opt.race_after_ms ? m->opt.race_after_ms : RACE_AFTER_MS;
	m->opt.away_ms = m->opt.away_ms ? m->opt.away_ms : AWAY_MS;
	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = add(m, sources[i], e);
	if (rc < 0 || check_any(m, e) < 0) {
		mirrors_close(&m->seam);
		return -1;
	}
	*ret = &m->seam;
	return 0;
}
