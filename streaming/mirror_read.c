/* SPDX-License-Identifier: Apache-2.0 */
/* One read of one origin, and the race between several; see mirror_read.h.
 *
 * In a race each origin is read by a thread of its own; the next one starts when the last has been silent for
 * race_after_ms, or has failed. The first whose answer is right wins and goes on to fill the sink; the others
 * stop at their next bytes. One that hangs is not waited for: it only touches the race, which lives until its
 * last thread has ended. */
#include "streaming/mirror_read.h"

#include <string.h>

static _Thread_local struct {
	const struct mirrors *mirrors;
	unsigned idx;
} last_read;

struct race {
	/* guarded by the lock of struct mirrors */
	struct sync_cond changed;
	unsigned refs;
	int winner;     /* -1 = none yet */
	bool is_closed; /* the read has gone on without */
	unsigned running;
	bool has_ended; /* the winner has */
	int rc;         /* the winner's */
	struct err err; /* of the winner, or of the last one that failed */
	uint32_t failed, started;
};

/* One origin's part in a read. */
struct leg {
	struct mirrors *m;
	struct mirror_read *read; /* not to be touched by one that has lost */
	struct race *race;        /* NULL: it is alone */
	unsigned idx, generation;
	uint64_t off, len;
	bool is_same;     /* known to be, or just found to be */
	bool is_admitted; /* and it is the one that fills the sink */
	bool has_lost, is_too_slow;
	struct buf head;
	uint64_t bytes, counted; /* passed on, in all and before it was looked at afresh */
	uint64_t waited_ms, first_ms, left_ms;
};

unsigned mirror_last_read(const struct mirrors *m)
{
	return last_read.mirrors == m ? last_read.idx : 0;
}

void mirror_note_last(const struct mirrors *m, unsigned idx)
{
	last_read.mirrors = m;
	last_read.idx = idx;
}

uint64_t mirrors_now_ms(const struct mirrors *m)
{
	return m->opt.now_ms ? m->opt.now_ms(m->opt.clock_arg) : sync_now_ms();
}

void mirrors_health_locked(const struct mirrors *m, const struct mirror_health *ret[STREAM_MIRRORS_MAX])
{
	for (size_t i = 0; i < m->count; i++)
		ret[i] = &m->origins[i].health;
}

/* ---- is it the same object? -------------------------------------------------------------- */

/* Its first bytes are in l->head. */
static int admit(struct leg *l, struct err *e)
{
	struct mirrors *m = l->m;
	struct mirror_origin *o = &m->origins[l->idx];
	uint64_t size = o->fetcher->ops->size(o->fetcher);
	const struct buf *head = &l->head;
	bool is_same = true;

	if (head->len < STREAM_MIRROR_HEAD && head->len < size)
		return err_set(e, ERR_NET, "%s: its first bytes do not come", o->shown);
	if (m->opt.check && m->opt.check(m->opt.check_arg, head->data, head->len, e) < 0)
		return -1;
	sync_lock(&m->lock);
	if (m->has_head) {
		is_same = m->size == size && m->head_len == head->len &&
			  memcmp(m->head, head->data, head->len) == 0;
	} else if (l->generation == m->generation) {
		m->has_head = true;
		m->size = size;
		m->head_len = head->len;
		memcpy(m->head, head->data, head->len);
		m->definer = l->idx;
	}
	if (l->generation == m->generation)
		o->is_same = is_same;
	sync_unlock(&m->lock);
	l->is_same = is_same;
	return is_same ? 0 : err_set(e, ERR_CHANGED, "%s has another version", o->shown);
}

int mirror_weight(const struct err *why)
{
	switch (why->code) {
	case ERR_CHANGED:
		return 4;
	case ERR_NET:
		return 3;
	case ERR_NOTFOUND:
		return 2;
	case ERR_NONE:
		return 0;
	default:
		return 1;
	}
}

static int gather(void *arg, const uint8_t *data, size_t len, struct err *e)
{
	return buf_add(arg, data, len, e);
}

/* Where the read does not begin at the object's beginning. */
static int admit_by_request(struct leg *l, struct err *e)
{
	struct stream_fetcher *f = l->m->origins[l->idx].fetcher;

	if (f->ops->read(f, 0, STREAM_MIRROR_HEAD, gather, &l->head, e) < 0 || admit(l, e) < 0)
		return -1;
	buf_reset(&l->head);
	return 0;
}

/* ---- one origin -------------------------------------------------------------------------- */

/* Its answer is right. False: another one was faster. */
static bool claim(struct leg *l)
{
	struct mirrors *m = l->m;
	bool is_mine = true;

	sync_lock(&m->lock);
	if (l->race) {
		is_mine = !l->race->is_closed && (l->race->winner < 0 || l->race->winner == (int)l->idx);
		if (is_mine)
			l->race->winner = (int)l->idx;
	}
	if (is_mine)
		mirror_answered(&m->origins[l->idx].health);
	sync_unlock(&m->lock);
	l->has_lost = !is_mine;
	l->is_admitted = is_mine;
	return is_mine;
}

static bool has_other_locked(const struct mirrors *m, unsigned idx) SYNC_REQUIRES(m->lock)
{
	for (unsigned i = 0; i < m->count; i++)
		if (i != idx && m->origins[i].fetcher && !m->origins[i].health.is_liar)
			return true;
	return false;
}

/* What came last may have been found wrong, or slow. */
static int check_manners(struct leg *l, struct err *e)
{
	const struct mirror_health *all[STREAM_MIRRORS_MAX];
	struct mirrors *m = l->m;
	const char *shown = m->origins[l->idx].shown;
	bool is_liar;

	sync_lock(&m->lock);
	mirrors_health_locked(m, all);
	is_liar = all[l->idx]->is_liar && has_other_locked(m, l->idx);
	l->is_too_slow = mirror_is_slow(all, m->count, l->idx, mirrors_now_ms(m), l->bytes, l->waited_ms);
	sync_unlock(&m->lock);
	if (is_liar)
		return err_set(e, ERR_INTEGRITY, "%s gives wrong bytes", shown);
	return l->is_too_slow ? err_set(e, ERR_NET, "%s is far slower than another one", shown) : 0;
}

static int pass_on(struct leg *l, const uint8_t *data, size_t len, struct err *e)
{
	struct mirror_read *r = l->read;
	uint64_t now = sync_now_ms();

	if (l->bytes)
		l->waited_ms += now - l->left_ms;
	else
		l->first_ms = now;
	l->bytes += len;
	r->last = l->idx;
	mirror_note_last(l->m, l->idx);
	if (r->sink(r->arg, data, len, e) < 0) {
		r->has_sink_failed = true;
		return -1;
	}
	r->done += len;
	l->left_ms = sync_now_ms();
	return check_manners(l, e);
}

static int lost(struct err *e)
{
	return err_set(e, ERR_INTERRUPTED, "another one was faster");
}

static int take(void *arg, const uint8_t *data, size_t len, struct err *e)
{
	struct leg *l = arg;
	size_t missing;

	if (l->is_same) {
		if (!l->is_admitted && !claim(l))
			return lost(e);
		return pass_on(l, data, len, e);
	}
	missing = STREAM_MIRROR_HEAD - l->head.len;
	if (missing > len)
		missing = len;
	if (buf_add(&l->head, data, missing, e) < 0)
		return -1;
	if (l->head.len < STREAM_MIRROR_HEAD)
		return 0;
	if (admit(l, e) < 0)
		return -1;
	if (!claim(l))
		return lost(e);
	if (pass_on(l, l->head.data, l->head.len, e) < 0)
		return -1;
	return len > missing ? pass_on(l, data + missing, len - missing, e) : 0;
}

static int run_once(struct leg *l, struct err *e)
{
	struct mirror_origin *o = &l->m->origins[l->idx];

	if (!o->fetcher) {
		*e = o->why;
		return -1;
	}
	sync_lock(&l->m->lock);
	l->is_same = o->is_same;
	sync_unlock(&l->m->lock);
	if (!l->is_same && (l->off || l->len < STREAM_MIRROR_HEAD) && admit_by_request(l, e) < 0)
		return -1;
	if (o->fetcher->ops->read(o->fetcher, l->off, l->len, take, l, e) < 0)
		return -1;
	if (l->is_admitted)
		return 0;
	/* Nothing came because nothing is there, or the whole object is shorter than a head. */
	if (!l->is_same && admit(l, e) < 0)
		return -1;
	if (!claim(l))
		return lost(e);
	return l->head.len ? pass_on(l, l->head.data, l->head.len, e) : 0;
}

/* Its file was replaced, perhaps by the same one: it is looked at afresh, and what is left is asked for. */
static int run_afresh(struct leg *l, struct err *e)
{
	struct mirrors *m = l->m;
	struct mirror_origin *o = &m->origins[l->idx];
	bool length_only;

	sync_lock(&m->lock);
	o->is_same = false;
	length_only = m->length_only;
	sync_unlock(&m->lock);
	o->fetcher->ops->unpin(o->fetcher, length_only);
	l->off += l->bytes - l->counted;
	l->len -= l->bytes - l->counted;
	l->counted = l->bytes;
	buf_reset(&l->head);
	return run_once(l, e);
}

static int run(struct leg *l, struct err *e)
{
	int rc = run_once(l, e);

	if (rc < 0 && e->code == ERR_CHANGED && l->is_same && !(l->is_admitted && l->read->has_sink_failed))
		rc = run_afresh(l, e);
	/* That a mirror has something else says nothing about the package; the first origin is where it is
	 * from.
	 */
	if (rc < 0 && e->code == ERR_CHANGED && l->idx)
		e->code = ERR_NOTFOUND;
	return rc;
}

static bool is_its_fault(const struct leg *l, const struct err *why)
{
	return !l->has_lost && why->code != ERR_INTERRUPTED && why->code != ERR_NOMEM &&
	       !(l->is_admitted && l->read->has_sink_failed);
}

static void judge(struct leg *l, int rc, const struct err *why)
{
	struct mirrors *m = l->m;
	struct mirror_health *h = &m->origins[l->idx].health;
	uint64_t now = mirrors_now_ms(m);

	sync_lock(&m->lock);
	if (l->bytes)
		mirror_brought(h, now, l->bytes, sync_now_ms() - l->first_ms);
	if (rc < 0 && is_its_fault(l, why)) {
		if (l->is_too_slow || why->code != ERR_NET)
			mirror_banned(h, now, m->opt.away_ms);
		else
			mirror_failed(h, now, m->opt.away_ms);
		/* Replaced, perhaps: looked at again before it is used again. */
		m->origins[l->idx].is_same = false;
	}
	sync_unlock(&m->lock);
}

static void leg_init(struct leg *l, struct mirrors *m, struct mirror_read *r, unsigned idx, struct race *race)
{
	*l = (struct leg){ .m = m,
			   .read = r,
			   .race = race,
			   .idx = idx,
			   .generation = r->generation,
			   .off = r->off + r->done,
			   .len = r->len - r->done,
			   .head = BUF_INIT(STREAM_MIRROR_HEAD) };
}

int mirror_read_from(struct mirrors *m, struct mirror_read *r, unsigned idx, struct err *e)
{
	struct leg l;
	int rc;

	leg_init(&l, m, r, idx, NULL);
	rc = run(&l, e);
	judge(&l, rc, e);
	buf_fini(&l.head);
	return rc;
}

/* ---- several ----------------------------------------------------------------------------- */

static void unref_locked(struct race *race)
{
	if (--race->refs)
		return;
	sync_cond_fini(&race->changed);
	free(race);
}

static void *racer_main(void *arg)
{
	struct leg *l = arg;
	struct mirrors *m = l->m;
	struct race *race = l->race;
	struct err why = { 0 };
	int rc = run(l, &why);

	judge(l, rc, &why);
	sync_lock(&m->lock);
	race->running--;
	if (race->winner == (int)l->idx) {
		race->has_ended = true;
		race->rc = rc;
	} else if (!l->has_lost) {
		race->failed |= UINT32_C(1) << l->idx;
	}
	if (race->winner == (int)l->idx ||
	    (race->winner < 0 && mirror_weight(&why) > mirror_weight(&race->err)))
		race->err = why;
	sync_wake_all(&race->changed);
	unref_locked(race);
	m->racers--;
	sync_wake_all(&m->changed);
	sync_unlock(&m->lock);
	buf_fini(&l->head);
	free(l);
	return NULL;
}

static int start_racer(struct mirrors *m, struct mirror_read *r, struct race *race, unsigned idx,
		       struct err *e)
{
	struct leg *l = mem_alloc(1, sizeof(*l), e);
	int failure;

	if (!l)
		return -1;
	leg_init(l, m, r, idx, race);
	sync_lock(&m->lock);
	race->started |= UINT32_C(1) << idx;
	race->running++;
	race->refs++;
	m->racers++;
	sync_unlock(&m->lock);
	failure = sync_run_detached(racer_main, l);
	if (!failure)
		return 0;
	sync_lock(&m->lock);
	race->running--;
	race->refs--;
	m->racers--;
	sync_unlock(&m->lock);
	buf_fini(&l->head);
	free(l);
	return err_set(e, ERR_NOMEM, "cannot start a thread");
}

/* Those who had more time than the winner and did not use it. */
static void blame_slow_starters_locked(struct mirrors *m, const struct race *race, const unsigned *order,
				       size_t n) SYNC_REQUIRES(m->lock)
{
	for (size_t i = 0; i < n && order[i] != (unsigned)race->winner; i++)
		if ((race->started & ~race->failed) & UINT32_C(1) << order[i])
			mirror_failed(&m->origins[order[i]].health, mirrors_now_ms(m), m->opt.away_ms);
}

/* Starts one after the other until one has won and ended, or all have failed. */
static int await_winner(struct mirrors *m, struct mirror_read *r, struct race *race, const unsigned *order,
			size_t n, struct err *e)
{
	bool was_blamed = false, is_due = true;
	size_t next = 0;
	int rc;

	for (;;) {
		if (is_due && next < n && start_racer(m, r, race, order[next++], e) < 0)
			return -1;
		sync_lock(&m->lock);
		is_due = false;
		if (race->winner < 0 && race->running && next < n)
			is_due = !sync_wait_ms(&race->changed, &m->lock, m->opt.race_after_ms);
		else if (!race->has_ended && race->running)
			sync_wait(&race->changed, &m->lock);
		if (race->winner >= 0 && !was_blamed) {
			blame_slow_starters_locked(m, race, order, n);
			was_blamed = true;
		}
		is_due = race->winner < 0 && (is_due || !race->running);
		rc = race->has_ended ? race->rc : race->winner < 0 && !race->running && next == n ? -1 : 1;
		if (rc < 0)
			*e = race->err;
		sync_unlock(&m->lock);
		if (rc <= 0)
			return rc;
	}
}

int mirror_read_race(struct mirrors *m, struct mirror_read *r, const unsigned *order, size_t n,
		     uint32_t *ret_failed, struct err *e)
{
	struct race *race = mem_alloc(1, sizeof(*race), e);
	int rc;

	*ret_failed = 0;
	if (!race)
		return -1;
	sync_cond_init(&race->changed);
	race->refs = 1;
	race->winner = -1;
	rc = await_winner(m, r, race, order, n, e);
	sync_lock(&m->lock);
	/* Only when a thread could not be started are others left that could still win. */
	while (race->winner >= 0 && !race->has_ended)
		sync_wait(&race->changed, &m->lock);
	race->is_closed = true;
	*ret_failed = race->failed;
	if (rc < 0 && race->winner >= 0)
		*ret_failed |= UINT32_C(1) << race->winner;
	unref_locked(race);
	sync_unlock(&m->lock);
	return rc;
}
