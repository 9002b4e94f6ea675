/* SPDX-License-Identifier: Apache-2.0 */
/* Who carries requests out, and in which order; see schedule.h. */
#include "streaming/schedule.h"

#include <string.h>

#include "streaming/beginning.h"
#include "streaming/complete.h"
#include "streaming/flight.h"
#include "streaming/package_state.h"

enum {
	SPAN_CHUNKS_MAX = 1024, /* of a request for one chunk and its neighbours */
	HINTING_MAX = 2,        /* workers that may be busy with hints */
	NEAR = 4,               /* a miss so close behind the last request continues it */
	LATE_MS = 2000,         /* and LATE_FACTOR times what its bytes should take */
	LATE_FACTOR = 4,
	RETRY_MIN_MS = 1000,
	RETRY_MAX_MS = 10000,
};

void schedule_init(struct stream_package *p)
{
	p->schedule.wanted_last = &p->schedule.wanted;
}

/* ---- workers ---------------------------------------------------------------------------- */

static void run_hint(struct stream_package *p, struct schedule_hint hint)
{
	uint32_t end = hint.first + hint.count;
	struct flight *f;
	struct err e;

	while (hint.first < end && !package_is_closing(p)) {
		struct flight_plan plan = { .first = hint.first,
					    .count_max = end - hint.first < SPAN_CHUNKS_MAX ? end - hint.first
											    : SPAN_CHUNKS_MAX,
					    .bytes_max = SCHEDULE_REQUEST_MAX };

		if (flight_plan(p, &plan, &f, &e) < 0)
			return;
		if (!f) { /* here already: look further on */
			hint.first += plan.passed;
			continue;
		}
		hint.first = f->first + f->count;
		if (flight_run(p, f, true, &e) < 0)
			return;
	}
}

static struct flight *take_wanted_locked(struct schedule *s)
{
	struct flight *f = s->wanted;

	s->wanted = f->next;
	if (!s->wanted)
		s->wanted_last = &s->wanted;
	return f;
}

static uint64_t late_after_locked(struct stream_package *p, const struct flight *f) SYNC_REQUIRES(p->lock)
{
	uint64_t rate = p->pace.bytes_per_s;

	return sync_now_ms() + LATE_MS + (rate ? LATE_FACTOR * (f->end - f->off) * 1000 / rate : 0);
}

static void *worker_main(void *arg)
{
	struct schedule_worker *w = arg;
	struct stream_package *p = w->p;
	struct schedule *s = &p->schedule;
	struct err e;

	sync_lock(&p->lock);
	while (!p->is_closing) {
		if (s->wanted) {
			struct flight *f = take_wanted_locked(s);

			w->late_ms = late_after_locked(p, f);
			sync_unlock(&p->lock);
			(void)flight_run(p, f, false, &e); /* the waiters know */
			sync_lock(&p->lock);
			w->late_ms = 0;
		} else if (s->hint_count && s->hinting_count < HINTING_MAX) {
			struct schedule_hint hint = s->hints[0];

			memmove(s->hints, s->hints + 1, --s->hint_count * sizeof(hint));
			s->hinting_count++;
			sync_wake_all(&p->changed);
			sync_unlock(&p->lock);
			run_hint(p, hint);
			sync_lock(&p->lock);
			s->hinting_count--;
		} else {
			s->idle_count++;
			sync_wait(&p->changed, &p->lock);
			s->idle_count--;
		}
	}
	sync_unlock(&p->lock);
	return NULL;
}

unsigned schedule_parallel(const struct pace *pace)
{
	uint64_t count = SCHEDULE_PARALLEL_MIN + pace_pipe(pace) / SCHEDULE_WINDOW_MIN;

	return count < SCHEDULE_PARALLEL_MAX ? (unsigned)count : SCHEDULE_PARALLEL_MAX;
}

/* Starts a worker when none is idle and another one is of use. */
static void add_worker_locked(struct stream_package *p) SYNC_REQUIRES(p->lock)
{
	struct schedule *s = &p->schedule;
	struct schedule_worker *w = &s->workers[s->worker_count];
	unsigned allowed = schedule_parallel(&p->pace);
	uint64_t now = sync_now_ms();

	for (unsigned i = 0; i < s->worker_count; i++)
		allowed += s->workers[i].late_ms && s->workers[i].late_ms < now;
	if (s->idle_count || s->worker_count == SCHEDULE_WORKERS || s->worker_count >= allowed)
		return;
	*w = (struct schedule_worker){ .p = p };
	if (pthread_create(&w->thread, NULL, worker_main, w) == 0)
		s->worker_count++;
}

void schedule_nudge_locked(struct stream_package *p)
{
	if (p->schedule.wanted && !p->is_closing)
		add_worker_locked(p);
}

/* Wakes an idle worker or starts one. False when there is nobody to do the work. */
static bool call_worker_locked(struct stream_package *p) SYNC_REQUIRES(p->lock)
{
	add_worker_locked(p);
	sync_wake_all(&p->changed);
	return p->schedule.worker_count > 0;
}

/* ---- wants and hints -------------------------------------------------------------------- */

/* How much to take along: twice as much as last time when reading goes on behind the last request. */
static uint64_t choose_window(struct stream_package *p, uint32_t idx)
{
	uint64_t max = SCHEDULE_REQUEST_MAX, window;

	sync_lock(&p->lock);
	/* Without a cache, what is taken along must still be in memory when it is wanted. */
	if (!p->opt.cache && p->memory.max / 8 < max)
		max = p->memory.max / 8;
	if (p->window && idx >= p->window_end_idx && idx - p->window_end_idx <= NEAR)
		p->window *= 2;
	else
		p->window = SCHEDULE_WINDOW_MIN;
	if (p->window > max)
		p->window = max;
	window = p->window;
	sync_unlock(&p->lock);
	return window;
}

int schedule_want(struct stream_package *p, uint32_t idx, struct err *e)
{
	uint32_t left = p->chunk_count - idx;
	struct flight_plan plan = { .first = idx,
				    .count_max = left < SPAN_CHUNKS_MAX ? left : SPAN_CHUNKS_MAX,
				    .bytes_max = choose_window(p, idx),
				    .first_is_busy = true };
	struct flight *f;
	bool is_taken;

	if (flight_plan(p, &plan, &f, e) < 0)
		return -1;
	sync_lock(&p->lock);
	p->window_end_idx = f->first + f->count;
	is_taken = !p->is_closing;
	if (is_taken) {
		*p->schedule.wanted_last = f;
		p->schedule.wanted_last = &f->next;
		/* Without threads nobody would ever come; this can only be at the very first. */
		is_taken = call_worker_locked(p);
		if (!is_taken) {
			p->schedule.wanted = NULL;
			p->schedule.wanted_last = &p->schedule.wanted;
		}
	}
	sync_unlock(&p->lock);
	if (is_taken)
		return 0;
	(void)err_set(e, ERR_NOMEM, "cannot start a thread");
	f->mine[0] = FLIGHT_NOT_MINE;
	flight_abandon(p, f, e);
	return -1;
}

void schedule_hint(struct stream_package *p, uint32_t first, uint32_t count)
{
	struct schedule *s = &p->schedule;

	sync_lock(&p->lock);
	/* The newest hints are the most useful ones. */
	if (s->hint_count == SCHEDULE_HINTS)
		memmove(s->hints, s->hints + 1, --s->hint_count * sizeof(s->hints[0]));
	s->hints[s->hint_count++] = (struct schedule_hint){ first, count };
	(void)call_worker_locked(p);
	sync_unlock(&p->lock);
}

bool schedule_prefetch(struct stream_package *p, uint32_t first, uint32_t count)
{
	bool goes_on;

	sync_lock(&p->lock);
	while (!p->is_closing && p->schedule.hint_count >= HINTING_MAX)
		sync_wait(&p->changed, &p->lock);
	goes_on = !p->is_closing;
	sync_unlock(&p->lock);
	if (goes_on)
		schedule_hint(p, first, count);
	return goes_on;
}

/* ---- the primary feature block ---------------------------------------------------------- */

/* Chunks stand in the order of their offsets: halving finds it. */
uint32_t schedule_count_until(struct stream_package *p, uint64_t end)
{
	uint32_t low = 0, high = p->chunk_count;
	struct pkg_chunk_info info;
	struct err ignored;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (flight_chunk_info(p, middle, &info, &ignored) < 0)
			return 0;
		if (info.off + info.stored_len <= end)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool serves_no_ranges(const struct stream_package *p)
{
	struct stream_counters net;

	p->fetcher->ops->counters(p->fetcher, &net);
	return net.wholes > 0;
}

static uint32_t count_feature_chunks(struct stream_package *p)
{
	uint64_t end = p->header.feature_block_end, sum = 0;
	struct pkg_chunk_info info;
	uint32_t count, most;
	struct err ignored;

	/* What arrives in any case is not thrown away, and what cannot be asked for by itself comes as one.
	 */
	if (serves_no_ranges(p))
		end = p->header.file_len;
	else if (p->beginning && beginning_end(p->beginning) > end &&
		 beginning_end(p->beginning) - end <= BEGINNING_SPARE)
		end = beginning_end(p->beginning);
	else if (p->beginning && beginning_come(p->beginning) > end)
		end = beginning_come(p->beginning);
	most = schedule_count_until(p, end);
	if (p->opt.cache)
		return most;
	/* Without a cache only so much as memory holds until it is wanted. */
	for (count = 0; count < most; count++) {
		if (flight_chunk_info(p, count, &info, &ignored) < 0)
			break;
		sum += info.content_len;
		if (sum > p->memory.max / 4 * 3)
			break;
	}
	return count;
}

/* The next stretch that is lacking of the chunks *at .. end-1; NULL at the end or on failure. */
static struct flight *next_stretch(struct stream_package *p, uint32_t *at, uint32_t end)
{
	uint64_t gap_max = serves_no_ranges(p) ? UINT64_MAX : 0;
	struct flight *f = NULL;
	struct err ignored;

	while (!f && *at < end && !package_is_closing(p)) {
		struct flight_plan plan = { .first = *at, .bytes_max = UINT64_MAX, .gap_max = gap_max };
		struct pkg_chunk_info info;
		bool is_here;

		/* Cached stretches are skipped one chunk at a time, so that planning stays linear. */
		sync_lock(&p->lock);
		is_here = p->is_busy[*at] || memory_has(&p->memory, *at);
		sync_unlock(&p->lock);
		if (flight_chunk_info(p, *at, &info, &ignored) < 0)
			break;
		if (is_here || (p->opt.cache && stream_cache_has(p->opt.cache, &info.digest))) {
			(*at)++;
			continue;
		}
		plan.count_max = end - *at;
		if (flight_plan(p, &plan, &f, &ignored) < 0)
			return NULL;
		*at = f ? f->first + f->count : *at + plan.passed;
	}
	return f;
}

/* Waits before the next try; ends early when the network works again. */
static void rest(struct stream_package *p, unsigned failures)
{
	unsigned ms = RETRY_MIN_MS << (failures < 5 ? failures : 5);
	uint64_t now = sync_now_ms(), end = now + (ms < RETRY_MAX_MS ? ms : RETRY_MAX_MS), answers;

	sync_lock(&p->lock);
	answers = p->good_answers;
	for (; now < end && !p->is_closing && p->good_answers == answers; now = sync_now_ms())
		(void)sync_wait_ms(&p->changed, &p->lock, end - now);
	sync_unlock(&p->lock);
}

void schedule_stream(struct stream_package *p, struct flight *f, uint32_t at, unsigned failures)
{
	uint32_t end = p->feature_chunks;
	struct err e;

	if (failures)
		rest(p, failures - 1);
	if (!f)
		f = next_stretch(p, &at, end);
	while (f) {
		if (flight_run(p, f, true, &e) == 0) {
			failures = 0;
		} else if (package_may_return(&e)) {
			rest(p, failures++);
			at = 0;
		} else if (e.code != ERR_INTEGRITY) {
			break;
		}
		f = next_stretch(p, &at, end);
	}
}

struct streamer {
	struct stream_package *p;
	struct flight *first; /* planned before the first reader came */
	uint32_t at;
};

bool schedule_await_quiet(struct stream_package *p, unsigned quiet_ms)
{
	uint64_t now = sync_now_ms(), end;
	bool goes_on;

	sync_lock(&p->lock);
	end = p->last_use_ms + quiet_ms;
	while (!p->is_closing && (p->users || !p->last_use_ms || now < end)) {
		(void)sync_wait_ms(&p->changed, &p->lock, now < end ? end - now : quiet_ms);
		now = sync_now_ms();
		end = p->last_use_ms + quiet_ms;
	}
	goes_on = !p->is_closing;
	sync_unlock(&p->lock);
	return goes_on;
}

static void set_streaming(struct stream_package *p, bool is_streaming)
{
	sync_lock(&p->lock);
	p->schedule.is_streaming = is_streaming;
	sync_wake_all(&p->learning.told);
	sync_unlock(&p->lock);
}

static void *streamer_main(void *arg)
{
	struct streamer start = *(struct streamer *)arg;
	struct stream_package *p = start.p;

	free(arg);
	schedule_stream(p, start.first, start.at, 0);
	beginning_await_end(p->beginning);
	set_streaming(p, false);
	if (p->opt.complete_after_s && p->opt.cache)
		complete_run(p);
	return NULL;
}

/* Gives the first transfer the part of the block that it carries. The stretch behind that, or NULL; *at is
 * what comes next. */
static struct flight *use_beginning(struct stream_package *p, uint32_t *at)
{
	uint64_t index_end = PKG_HEADER_LEN + p->header.index_stored_len;
	uint32_t carried = schedule_count_until(p, beginning_end(p->beginning));
	struct flight *f;

	if (carried > p->feature_chunks)
		carried = p->feature_chunks;
	f = next_stretch(p, at, carried);
	/* Another package has brought the first part of the block: no reason to receive it once more. */
	if (f && f->off - index_end > BEGINNING_SPARE) {
		beginning_go_on(p->beginning, NULL);
		return f;
	}
	beginning_go_on(p->beginning, f);
	return next_stretch(p, at, p->feature_chunks);
}

void schedule_start(struct stream_package *p)
{
	struct err ignored;
	struct streamer *start;

	p->feature_chunks = p->opt.no_prefetch ? 0 : count_feature_chunks(p);
	start = mem_alloc(1, sizeof(*start), &ignored);
	if (!start)
		return;
	start->p = p;
	/* Whoever reads from now on must find the block on its way, not ask a second time. Cold, little of it
	 * is cached; otherwise looking for what is would delay the start. */
	if (p->beginning)
		start->first = use_beginning(p, &start->at);
	if (!p->learning.dir && !p->opt.complete_after_s &&
	    (!p->feature_chunks || (p->beginning && !start->first))) {
		free(start);
		return;
	}
	set_streaming(p, true);
	if (pthread_create(&p->schedule.streamer, NULL, streamer_main, start) == 0) {
		p->schedule.has_streamer = true;
		return;
	}
	set_streaming(p, false);
	(void)err_set(&ignored, ERR_NOMEM, "cannot start a thread");
	if (start->first)
		flight_abandon(p, start->first, &ignored);
	free(start);
}

void schedule_stop(struct stream_package *p)
{
	struct schedule *s = &p->schedule;
	struct err why;

	if (s->has_streamer)
		(void)pthread_join(s->streamer, NULL);
	for (unsigned i = 0; i < s->worker_count; i++)
		(void)pthread_join(s->workers[i].thread, NULL);
	(void)err_set(&why, ERR_INTERRUPTED, "closing");
	while (s->wanted)
		flight_abandon(p, take_wanted_locked(s), &why);
}
