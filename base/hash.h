/* SPDX-License-Identifier: Apache-2.0 */
/* FNV-1a, 64 bits: tells texts apart, quickly, for tables and names; whoever wants two to be alike can make
 * them so. Source: Fowler, Noll, Vo, draft-eastlake-fnv. Pure. */
#ifndef FLOE_BASE_HASH_H
#define FLOE_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define HASH_SEED UINT64_C(14695981039346656037)

static inline uint64_t hash_bytes(uint64_t seed, const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len--)
		seed = (seed ^ *p++) * UINT64_C(1099511628211);
	return seed;
}

static inline uint64_t hash_text(uint64_t seed, const char *text)
{
	for (; *text; text++)
		seed = (seed ^ (uint8_t)*text) * UINT64_C(1099511628211);
	return seed;
}

#endif
