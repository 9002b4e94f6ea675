/* SPDX-License-Identifier: Apache-2.0 */
/* Content-defined boundaries; see cut.h. */
#include "package-format/cut.h"

#include <pthread.h>

#include "base/bytes.h"
#include "package-format/chunk.h"

enum {
	WINDOW = 64,               /* bytes that a 64-bit Gear hash remembers */
	BITS = 18,                 /* of zeros that make a boundary ... */
	BITS_EASY = 16,            /* ... and behind PKG_CUT_EASY */
	PACK_AVERAGE = 192 * 1024, /* behind PACK_MIN ... */
	PACK_MIN = 96 * 1024,
	PACK_EASY = 288 * 1024, /* ... and behind this a quarter: one changed file costs its whole pack */
};

static uint64_t gear[256];
static pthread_once_t gear_once = PTHREAD_ONCE_INIT;

static void gear_fill(void)
{
	uint64_t state = UINT64_C(0x666c6f652d637574); /* "floe-cut" */

	for (int i = 0; i < 256; i++) {
		uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);

		z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
		z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
		gear[i] = z ^ (z >> 31);
	}
}

size_t pkg_cut(const uint8_t *data, size_t len)
{
	size_t end = len < PKG_CHUNK_MAX ? len : PKG_CHUNK_MAX;
	size_t middle = end < PKG_CUT_EASY ? end : PKG_CUT_EASY;
	uint64_t hash = 0;
	size_t i = PKG_CUT_MIN - WINDOW;

	(void)pthread_once(&gear_once, gear_fill);
	if (len <= PKG_CUT_MIN)
		return len;
	for (; i < PKG_CUT_MIN; i++)
		hash = (hash << 1) + gear[data[i]];
	for (; i < middle; i++) {
		hash = (hash << 1) + gear[data[i]];
		if (hash >> (64 - BITS) == 0)
			return i + 1;
	}
	for (; i < end; i++) {
		hash = (hash << 1) + gear[data[i]];
		if (hash >> (64 - BITS_EASY) == 0)
			return i + 1;
	}
	return end;
}

bool pkg_cut_pack_ends(size_t packed, const struct pkg_digest *last, size_t last_weight)
{
	uint64_t average = packed < PACK_EASY ? PACK_AVERAGE : PACK_AVERAGE / 4;
	struct le64 head;

	if (packed < PACK_MIN)
		return false;
	for (size_t i = 0; i < sizeof(head.b); i++)
		head.b[i] = last->b[i];
	/* With probability last_weight / average, the digest being uniform. */
	return last_weight >= average || le64_get(head) < UINT64_MAX / average * last_weight;
}
