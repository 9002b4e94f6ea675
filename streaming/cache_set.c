/* SPDX-License-Identifier: Apache-2.0 */
/* A set of digests; see cache_set.h. Open addressing, at most half full. */
#include "streaming/cache_set.h"

#include <string.h>

#include "base/mem.h"

enum { CAP_MIN = 256 };

static uint64_t key_of(const struct pkg_digest *digest)
{
	uint64_t key;

	memcpy(&key, digest->b, sizeof(key));
	return key ? key : 1;
}

/* Where the key is, or the free slot where it belongs; `cap` is a power of two. */
static size_t place(const uint64_t *slots, size_t cap, uint64_t key)
{
	size_t at = (size_t)key & (cap - 1);

	while (slots[at] && slots[at] != key)
		at = (at + 1) & (cap - 1);
	return at;
}

static int widen(struct cache_set *s, struct err *e)
{
	size_t cap = s->cap ? s->cap * 2 : CAP_MIN;
	uint64_t *slots = mem_alloc(cap, sizeof(*slots), e);

	if (!slots)
		return -1;
	for (size_t i = 0; i < s->cap; i++)
		if (s->slots[i])
			slots[place(slots, cap, s->slots[i])] = s->slots[i];
	free(s->slots);
	s->slots = slots;
	s->cap = cap;
	return 0;
}

void cache_set_fini(struct cache_set *s)
{
	free(s->slots);
	*s = (struct cache_set){ 0 };
}

int cache_set_add(struct cache_set *s, const struct pkg_digest *digest, struct err *e)
{
	uint64_t key = key_of(digest);
	size_t at;

	if (s->count * 2 >= s->cap && widen(s, e) < 0)
		return -1;
	at = place(s->slots, s->cap, key);
	s->count += !s->slots[at];
	s->slots[at] = key;
	return 0;
}

bool cache_set_has(const struct cache_set *s, const struct pkg_digest *digest)
{
	return s->cap && s->slots[place(s->slots, s->cap, key_of(digest))] != 0;
}
