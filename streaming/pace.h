/* SPDX-License-Identifier: Apache-2.0 */
/* What the requests so far tell of the way to the origin: how long until the first byte, how many bytes a
 * second then. Their product, the bytes under way on a full pipe, says how much is worth a round trip of
 * its own. Never blocks; guarded by whoever owns it. */
#ifndef FLOE_STREAM_PACE_H
#define FLOE_STREAM_PACE_H

#include <stdint.h>

struct pace { /* zero: nothing known */
	uint64_t wait_ms, bytes_per_s;
};

/* A request waited `wait_ms` for its first byte, then received `bytes` in `ms`. */
void pace_note(struct pace *p, uint64_t wait_ms, uint64_t bytes, uint64_t ms);
/* Bytes that could have come during one wait; 0 while unknown. */
uint64_t pace_pipe(const struct pace *p);

#endif
