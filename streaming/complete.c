/* SPDX-License-Identifier: Apache-2.0 */
/* Completing a package in the background; see complete.h. */
#include "streaming/complete.h"

#include "streaming/flight.h"

enum { PIECE_CHUNKS_MAX = 1024, RETRY_MS = 60000 };

/* Waits; ends early only when the package closes. */
static void pause_for(struct stream_package *p, uint64_t ms)
{
	uint64_t now = sync_now_ms(), end = now + ms;

	sync_lock(&p->lock);
	for (; now < end && !p->is_closing; now = sync_now_ms())
		(void)sync_wait_ms(&p->changed, &p->lock, end - now);
	sync_unlock(&p->lock);
}

/* The next request from chunk *at on; NULL when nothing is lacking any more, or on failure. */
static struct flight *next_piece(struct stream_package *p, uint32_t *at)
{
	uint64_t cap = p->opt.complete_rate;
	struct flight *f = NULL;
	struct err ignored;

	while (!f && *at < p->chunk_count) {
		uint32_t left = p->chunk_count - *at;
		struct flight_plan plan = { .first = *at,
					    .count_max = left < PIECE_CHUNKS_MAX ? left : PIECE_CHUNKS_MAX,
					    .bytes_max = COMPLETE_PIECE_MAX };

		if (cap && cap < COMPLETE_PIECE_MAX)
			plan.bytes_max = cap > COMPLETE_PIECE_MIN ? cap : COMPLETE_PIECE_MIN;
		if (stream_package_has(p, *at)) {
			(*at)++;
			continue;
		}
		if (flight_plan(p, &plan, &f, &ignored) < 0)
			return NULL;
		*at = f ? f->first + f->count : *at + plan.passed;
	}
	return f;
}

static bool may_complete(const struct stream_package *p)
{
	return !p->opt.may_complete || p->opt.may_complete(p->opt.may_complete_arg);
}

void complete_run(struct stream_package *p)
{
	unsigned quiet_ms = p->opt.complete_after_s * 1000;
	uint32_t at = 0;

	while (schedule_await_quiet(p, quiet_ms)) {
		uint64_t start = sync_now_ms(), took, due = 0;
		struct flight *f;
		struct err e;

		if (!may_complete(p)) {
			pause_for(p, RETRY_MS);
			continue;
		}
		f = next_piece(p, &at);
		if (!f)
			return;
		if (p->opt.complete_rate)
			due = (f->end - f->off) * 1000 / p->opt.complete_rate;
		if (flight_run(p, f, true, &e) < 0 && e.code != ERR_INTEGRITY) {
			if (!package_may_return(&e))
				return;
			at = 0;
			due += RETRY_MS;
		}
		took = sync_now_ms() - start;
		if (took < due)
			pause_for(p, due - took);
	}
}
