/* SPDX-License-Identifier: Apache-2.0 */
/* Digest -> number; see digest_map.h. */
#include "package-format/digest_map.h"

#include <string.h>

#include "base/mem.h"

enum { CAP_FIRST = 1024 }; /* a power of two; at most half full */

void pkg_digest_map_fini(struct pkg_digest_map *m)
{
	free(m->slots);
	memset(m, 0, sizeof(*m));
}

static struct pkg_digest_slot *find(struct pkg_digest_slot *slots, size_t cap, const struct pkg_digest *d)
{
	size_t at;

	memcpy(&at, d->b, sizeof(at));
	for (at &= cap - 1; slots[at].value != UINT32_MAX; at = (at + 1) & (cap - 1))
		if (!memcmp(&slots[at].digest, d, sizeof(*d)))
			break;
	return &slots[at];
}

static int grow(struct pkg_digest_map *m, struct err *e)
{
	size_t cap = m->cap ? 2 * m->cap : CAP_FIRST;
	struct pkg_digest_slot *slots = mem_alloc(cap, sizeof(*slots), e);

	if (!slots)
		return -1;
	for (size_t i = 0; i < cap; i++)
		slots[i].value = UINT32_MAX;
	for (size_t i = 0; i < m->cap; i++)
		if (m->slots[i].value != UINT32_MAX)
			*find(slots, cap, &m->slots[i].digest) = m->slots[i];
	free(m->slots);
	m->slots = slots;
	m->cap = cap;
	return 0;
}

uint32_t *pkg_digest_map_put(struct pkg_digest_map *m, const struct pkg_digest *d, uint32_t value,
			     struct err *e)
{
	struct pkg_digest_slot *s;

	if (2 * m->count >= m->cap && grow(m, e) < 0)
		return NULL;
	s = find(m->slots, m->cap, d);
	if (s->value == UINT32_MAX) {
		s->digest = *d;
		s->value = value;
		m->count++;
	}
	return &s->value;
}
