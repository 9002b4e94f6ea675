/* SPDX-License-Identifier: Apache-2.0 */
/* See cow_told.h. An entry: the upper half of the name's hash, and when (milliseconds, modulo 2^32). */
#include "vfs/cow_told.h"

#include "base/hash.h"
#include "base/sync.h"

enum { LATELY_MS = 10 * 1000 };

static uint64_t hash_of(uint64_t parent, const char *name)
{
	uint64_t h = hash_text(hash_bytes(HASH_SEED, &parent, sizeof(parent)), name);

	return h ^ h >> 29;
}

void cow_told_note(struct cow_told *t, uint64_t parent, const char *name)
{
	uint64_t h = hash_of(parent, name);

	atomic_store_explicit(&t->at[h % COW_TOLD_COUNT],
			      (h & UINT64_C(0xffffffff00000000)) | (uint32_t)sync_now_ms(),
			      memory_order_relaxed);
}

void cow_told_clear(struct cow_told *t)
{
	for (size_t i = 0; i < COW_TOLD_COUNT; i++)
		atomic_store_explicit(&t->at[i], 0, memory_order_relaxed);
}

bool cow_told_lately(struct cow_told *t, uint64_t parent, const char *name)
{
	uint64_t h = hash_of(parent, name);
	uint64_t entry = atomic_load_explicit(&t->at[h % COW_TOLD_COUNT], memory_order_relaxed);

	return entry >> 32 == h >> 32 && (uint32_t)sync_now_ms() - (uint32_t)entry < LATELY_MS;
}
