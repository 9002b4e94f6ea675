/* SPDX-License-Identifier: Apache-2.0 */
/* See mirror_health.h. */
#include "streaming/mirror_health.h"

enum {
	FIRST_PART = 30,         /* of away_ms: the first absence */
	SLOW_FACTOR = 8,         /* so much slower than another is too slow */
	RATE_VALID_MS = 600000,  /* older figures say nothing about now */
	RATE_BYTES_MIN = 262144, /* less says more about the round trip than about the line */
	SLOW_AFTER_MS = 1000,
};

void mirror_failed(struct mirror_health *h, uint64_t now_ms, uint64_t away_ms)
{
	uint64_t away = away_ms / FIRST_PART << (h->failures < 5 ? h->failures : 5);

	h->failures++;
	h->is_proven = false;
	h->away_until_ms = now_ms + (away < away_ms ? away : away_ms);
}

void mirror_banned(struct mirror_health *h, uint64_t now_ms, uint64_t away_ms)
{
	mirror_failed(h, now_ms, away_ms);
	h->away_until_ms = now_ms + away_ms;
}

void mirror_answered(struct mirror_health *h)
{
	h->is_proven = true;
	h->is_liar = false;
	h->failures = 0;
	h->away_until_ms = 0;
}

void mirror_brought(struct mirror_health *h, uint64_t now_ms, uint64_t bytes, uint64_t took_ms)
{
	uint64_t rate = bytes * 1000 / (took_ms ? took_ms : 1);

	if (bytes < RATE_BYTES_MIN)
		return;
	h->rate = h->rate ? (h->rate * 3 + rate) / 4 : rate;
	h->rate_ms = now_ms;
}

bool mirror_is_away(const struct mirror_health *h, uint64_t now_ms)
{
	return h->away_until_ms > now_ms;
}

/* Should `a` be asked before `b`, which is less preferred? */
static bool goes_first(const struct mirror_health *a, const struct mirror_health *b, uint64_t now_ms)
{
	if (!mirror_is_away(a, now_ms))
		return true;
	return mirror_is_away(b, now_ms) && a->away_until_ms <= b->away_until_ms;
}

size_t mirror_order(const struct mirror_health *const all[], size_t count, uint32_t tried, uint64_t now_ms,
		    unsigned ret[])
{
	size_t n = 0;

	for (unsigned i = 0; i < count; i++) {
		size_t at = n;

		if (tried & UINT32_C(1) << i)
			continue;
		for (; at > 0 && !goes_first(all[ret[at - 1]], all[i], now_ms); at--)
			ret[at] = ret[at - 1];
		ret[at] = i;
		n++;
	}
	return n;
}

bool mirror_is_slow(const struct mirror_health *const all[], size_t count, unsigned idx, uint64_t now_ms,
		    uint64_t bytes, uint64_t took_ms)
{
	uint64_t best = 0;

	if (took_ms < SLOW_AFTER_MS)
		return false;
	for (unsigned i = 0; i < count; i++)
		if (i != idx && !mirror_is_away(all[i], now_ms) && now_ms - all[i]->rate_ms < RATE_VALID_MS &&
		    all[i]->rate > best)
			best = all[i]->rate;
	return bytes * 1000 / took_ms * SLOW_FACTOR < best;
}
