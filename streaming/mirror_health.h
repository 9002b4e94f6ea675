/* SPDX-License-Identifier: Apache-2.0 */
/* What is known about how an origin behaves, and which one to ask. Pure; the caller locks. */
#ifndef FLOE_STREAM_MIRROR_HEALTH_H
#define FLOE_STREAM_MIRROR_HEALTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mirror_health {
	bool is_proven;         /* has answered right since it last failed */
	bool is_liar;           /* gave wrong bytes the last time it was asked */
	uint64_t away_until_ms; /* not to be asked before, if there is another */
	unsigned failures;      /* since the last success */
	uint64_t rate;          /* bytes/s of its last transfers; 0 = not known */
	uint64_t rate_ms;       /* when that was */
};

/* Did not answer, or not well: away for a thirtieth of `away_ms`, twice as long each time. */
void mirror_failed(struct mirror_health *h, uint64_t now_ms, uint64_t away_ms);
/* Too slow, lying, or serving something else: away for all of it. */
void mirror_banned(struct mirror_health *h, uint64_t now_ms, uint64_t away_ms);
void mirror_answered(struct mirror_health *h);
void mirror_brought(struct mirror_health *h, uint64_t now_ms, uint64_t bytes, uint64_t took_ms);

bool mirror_is_away(const struct mirror_health *h, uint64_t now_ms);
/* The order in which to ask those whose bit is not set in `tried`: first those that are there, by preference,
 * then the others, soonest back first. Returns how many. */
size_t mirror_order(const struct mirror_health *const all[], size_t count, uint32_t tried, uint64_t now_ms,
		    unsigned ret[]);
/* True when `bytes` in `took_ms` is far below what another one, that could be asked now, has brought. */
bool mirror_is_slow(const struct mirror_health *const all[], size_t count, unsigned idx, uint64_t now_ms,
		    uint64_t bytes, uint64_t took_ms);

#endif
