/* SPDX-License-Identifier: Apache-2.0 */
/* Chunks in memory; see memory.h. */
#include "streaming/memory.h"

enum { CLASS_MIN = 64 * 1024, PAGE = 4096, LINE = 64 };

/* A power of two for the larger ones, so that they fit each other's places. */
static size_t room_for(size_t len)
{
	size_t room = CLASS_MIN;

	if (len < CLASS_MIN)
		return len;
	while (room < len)
		room *= 2;
	return room;
}

static void fill_in(struct memory_chunk *m, uint32_t idx, size_t len)
{
	m->seen = (struct stream_chunk){ m->bytes, len };
	m->idx = idx;
	m->refs = 1;
	m->is_passing = false;
}

static void chunk_free(struct memory_chunk *m)
{
	if (atomic_exchange(&m->lent, MEMORY_LEFT) != MEMORY_LENT)
		free(m);
}

void memory_chunk_lend(struct memory_chunk *m)
{
	atomic_store(&m->lent, MEMORY_LENT);
}

void memory_chunk_return(struct memory_chunk *m)
{
	if (atomic_exchange(&m->lent, MEMORY_HOME) == MEMORY_LEFT)
		free(m);
}

struct memory_chunk *memory_chunk_new(uint32_t idx, size_t len, struct err *e)
{
	size_t cap = room_for(len);
	size_t align = cap < CLASS_MIN ? LINE : PAGE;
	struct memory_chunk *m = mem_alloc(1, sizeof(*m) + align + cap, e);

	if (!m)
		return NULL;
	m->bytes = (uint8_t *)(((uintptr_t)(m + 1) + align - 1) / align * align);
	m->cap = cap;
	fill_in(m, idx, len);
	return m;
}

/* The newest stay: their pages are in the processor's caches. */
static void trim_spare(struct memory_store *s)
{
	struct memory_chunk **at = &s->spare, *m;
	size_t kept = 0;

	while (*at && s->len + kept + (*at)->cap <= s->max + MEMORY_SPARE_MAX) {
		kept += (*at)->cap;
		at = &(*at)->same_hash;
	}
	while (*at) {
		m = *at;
		*at = m->same_hash;
		chunk_free(m);
	}
}

static void discard(struct memory_store *s, struct memory_chunk *m)
{
	if (m->cap < CLASS_MIN || atomic_load(&m->lent) == MEMORY_LENT) {
		chunk_free(m);
		return;
	}
	m->same_hash = s->spare;
	s->spare = m;
	trim_spare(s);
}

static struct memory_chunk *look(const struct memory_store *s, uint32_t idx)
{
	struct memory_chunk *m = s->buckets[idx % MEMORY_BUCKETS];

	while (m && m->idx != idx)
		m = m->same_hash;
	return m;
}

static void list_out(struct memory_store *s, struct memory_chunk *m)
{
	*(m->newer ? &m->newer->older : &s->newest) = m->older;
	*(m->older ? &m->older->newer : &s->oldest) = m->newer;
}

static void list_in(struct memory_store *s, struct memory_chunk *m)
{
	m->newer = NULL;
	m->older = s->newest;
	*(s->newest ? &s->newest->newer : &s->oldest) = m;
	s->newest = m;
}

static void forget(struct memory_store *s, struct memory_chunk *m)
{
	struct memory_chunk **at = &s->buckets[m->idx % MEMORY_BUCKETS];

	while (*at != m)
		at = &(*at)->same_hash;
	*at = m->same_hash;
	list_out(s, m);
	s->len -= m->cap;
	m->is_listed = false;
	if (!m->refs)
		discard(s, m);
}

/* Lets go of the oldest that has just this room, unless it is among the newest quarter. */
static void give_up_one(struct memory_store *s, size_t cap)
{
	size_t passed = 0;

	for (struct memory_chunk *m = s->oldest; m && passed < s->max - s->max / 4; m = m->newer) {
		if (m->cap == cap && !m->refs) {
			forget(s, m);
			return;
		}
		passed += m->cap;
	}
}

static struct memory_chunk *take_spare(struct memory_store *s, size_t cap)
{
	struct memory_chunk **at = &s->spare, *m;

	while (*at && (*at)->cap != cap)
		at = &(*at)->same_hash;
	m = *at;
	if (m)
		*at = m->same_hash;
	return m;
}

struct memory_chunk *memory_chunk_spare(struct memory_store *s, uint32_t idx, size_t len)
{
	struct memory_chunk *m = take_spare(s, room_for(len));

	if (m)
		fill_in(m, idx, len);
	return m;
}

bool memory_is_full_for(const struct memory_store *s, size_t len)
{
	return s->len + room_for(len) > s->max;
}

struct memory_chunk *memory_chunk_reuse(struct memory_store *s, uint32_t idx, size_t len)
{
	size_t cap = room_for(len);
	struct memory_chunk *m = memory_chunk_spare(s, idx, len);

	if (!m && cap >= CLASS_MIN && memory_is_full_for(s, len)) {
		give_up_one(s, cap);
		m = memory_chunk_spare(s, idx, len);
	}
	return m;
}

struct memory_chunk *memory_find(struct memory_store *s, uint32_t idx)
{
	struct memory_chunk *m = look(s, idx);

	if (!m)
		return NULL;
	m->refs++;
	list_out(s, m);
	list_in(s, m);
	return m;
}

bool memory_has(const struct memory_store *s, uint32_t idx)
{
	return look(s, idx) != NULL;
}

/* The oldest go. */
static void shrink(struct memory_store *s)
{
	struct memory_chunk *next;

	for (struct memory_chunk *old = s->oldest; old && s->len > s->max; old = next) {
		next = old->newer;
		if (!old->refs)
			forget(s, old);
	}
}

void memory_add(struct memory_store *s, struct memory_chunk *m)
{
	if (m->is_listed || m->is_passing || look(s, m->idx))
		return;
	m->same_hash = s->buckets[m->idx % MEMORY_BUCKETS];
	s->buckets[m->idx % MEMORY_BUCKETS] = m;
	m->is_listed = true;
	list_in(s, m);
	s->len += m->cap;
	shrink(s);
}

void memory_limit(struct memory_store *s, size_t max)
{
	s->max = max;
	shrink(s);
	trim_spare(s);
}

void memory_unref(struct memory_store *s, struct memory_chunk *m)
{
	if (!m || --m->refs)
		return;
	if (!m->is_listed)
		discard(s, m);
	else if (s->len > s->max)
		forget(s, m);
}

void memory_fini(struct memory_store *s)
{
	while (s->oldest)
		forget(s, s->oldest);
	while (s->spare) {
		struct memory_chunk *m = s->spare;

		s->spare = m->same_hash;
		chunk_free(m);
	}
}
