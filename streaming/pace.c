/* SPDX-License-Identifier: Apache-2.0 */
/* Measuring the way to the origin; see pace.h. */
#include "streaming/pace.h"

enum {
	SAMPLE_MIN = 64 * 1024, /* fewer bytes say nothing about the rate */
	RATE_MAX = 1 << 30,     /* bytes a second; beyond it only the clock's grain is measured */
	WAIT_MAX_MS = 2000,     /* longer is trouble, not distance */
};

void pace_note(struct pace *p, uint64_t wait_ms, uint64_t bytes, uint64_t ms)
{
	uint64_t rate;

	if (wait_ms > WAIT_MAX_MS)
		wait_ms = WAIT_MAX_MS;
	p->wait_ms = p->wait_ms ? (3 * p->wait_ms + wait_ms) / 4 : wait_ms;
	if (bytes < SAMPLE_MIN)
		return;
	rate = bytes * 1000 / (ms ? ms : 1);
	if (rate > RATE_MAX)
		rate = RATE_MAX;
	/* Requests beside each other share the way: the fastest of late tells what it can bear. */
	p->bytes_per_s -= p->bytes_per_s / 8;
	if (rate > p->bytes_per_s)
		p->bytes_per_s = rate;
}

uint64_t pace_pipe(const struct pace *p)
{
	return p->bytes_per_s * p->wait_ms / 1000;
}
