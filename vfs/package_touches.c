/* SPDX-License-Identifier: Apache-2.0 */
/* First touches: ranges of files in the order in which they were first read.
 *
 * The kernel asks for a page once and keeps it, so a range rarely comes twice; what does is left out.
 * A range that continues or precedes the newest one of its file is joined to it: sequential readers,
 * and readahead that arrives out of order, become one entry at the place of their first read. */
#include "vfs/package_touches.h"

#include <string.h>

#include "base/mem.h"
#include "base/sync.h"

enum { BUCKETS = 4096 };
static const uint32_t none = UINT32_MAX;
static const size_t touches_max = 1u << 20;

struct touch {
	struct pkg_touch range;
	uint32_t next; /* of the same bucket, older */
};

struct package_touches {
	struct sync_mutex lock;
	struct touch *list; /* guarded by lock, like all below */
	size_t count, cap;
	uint64_t noted;
	uint32_t buckets[BUCKETS]; /* newest entry of the inodes that hash here */
};

int package_touches_open(struct package_touches **ret, struct err *e)
{
	struct package_touches *t = mem_alloc(1, sizeof(*t), e);

	if (!t)
		return -1;
	sync_mutex_init(&t->lock);
	memset(t->buckets, 0xff, sizeof(t->buckets));
	*ret = t;
	return 0;
}

void package_touches_close(struct package_touches *t)
{
	if (!t)
		return;
	sync_mutex_fini(&t->lock);
	free(t->list);
	free(t);
}

/* Cuts what the entry has already off [*off, *end), or takes it into the entry. True = all of it is there. */
static bool absorb(struct pkg_touch *have, uint64_t *off, uint64_t *end)
{
	uint64_t have_end = have->off + have->len;

	if (*off >= have->off && *off <= have_end) { /* overlaps the head, or continues */
		if (*end <= have_end)
			return true;
		if (*end - have->off <= UINT32_MAX) {
			have->len = (uint32_t)(*end - have->off);
			return true;
		}
		*off = have_end;
		return false;
	}
	if (*end >= have->off && *end <= have_end) { /* overlaps the tail, or precedes */
		if (have_end - *off <= UINT32_MAX) {
			have->off = *off;
			have->len = (uint32_t)(have_end - *off);
			return true;
		}
		*end = have->off;
	}
	return false;
}

static int append_locked(struct package_touches *t, uint64_t ino, uint64_t off, uint64_t end)
	SYNC_REQUIRES(&t->lock);
static int append_locked(struct package_touches *t, uint64_t ino, uint64_t off, uint64_t end)
{
	struct err ignored;

	if (t->count == touches_max)
		return -1;
	if (t->count == t->cap) {
		size_t cap = t->cap ? 2 * t->cap : 1024;
		struct touch *list = mem_grow(t->list, cap, sizeof(*list), &ignored);

		if (!list)
			return -1;
		t->list = list;
		t->cap = cap;
	}
	t->list[t->count] = (struct touch){
		.range = { .ino = ino, .off = off, .len = (uint32_t)(end - off) },
		.next = t->buckets[ino % BUCKETS],
	};
	t->buckets[ino % BUCKETS] = (uint32_t)t->count++;
	return 0;
}

void package_touches_add(struct package_touches *t, uint64_t ino, uint64_t off, uint32_t len)
{
	uint64_t end;
	bool is_there = false;

	if (len == 0 || __builtin_add_overflow(off, len, &end))
		return;
	sync_lock(&t->lock);
	t->noted++;
	for (uint32_t i = t->buckets[ino % BUCKETS]; i != none && !is_there; i = t->list[i].next)
		if (t->list[i].range.ino == ino)
			is_there = absorb(&t->list[i].range, &off, &end);
	if (!is_there && off < end)
		(void)append_locked(t, ino, off, end);
	sync_unlock(&t->lock);
}

uint64_t package_touches_noted(struct package_touches *t)
{
	uint64_t noted;

	sync_lock(&t->lock);
	noted = t->noted;
	sync_unlock(&t->lock);
	return noted;
}

int package_touches_copy(struct package_touches *t, struct pkg_touch **ret, size_t *ret_count, struct err *e)
{
	struct pkg_touch *copy;
	size_t room = 0, n;

	for (;;) {
		copy = mem_alloc(room, sizeof(*copy), e);
		if (!copy)
			return -1;
		sync_lock(&t->lock);
		n = t->count;
		if (n <= room)
			break;
		sync_unlock(&t->lock);
		free(copy);
		room = n + 64;
	}
	for (size_t i = 0; i < n; i++)
		copy[i] = t->list[i].range;
	sync_unlock(&t->lock);
	*ret = copy;
	*ret_count = n;
	return 0;
}
