/* SPDX-License-Identifier: Apache-2.0 */
/* See cow_list_merge.h. Layers are read from the top; the first to have a name, or its whiteout, decides. */
#include "vfs/cow_list_merge.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "vfs/cow_list_walk.h"

enum { NAMES_FIRST = 64, TEXT_FIRST = 2048 };

struct merge {
	struct cow_union *u;
	struct cow_merged m;
	size_t names_cap, text_len, text_cap;
	size_t *seats; /* a hash of the names: 1 + number; as many as a power of two */
	size_t seat_count;
	const struct cow_dir_layer *layer; /* being read */
	bool any, only;                    /* a name shows; that is all that is asked */
	int sys;
};

static uint64_t place_of(const char *name)
{
	uint64_t h = hash_text(HASH_SEED, name);

	h = (h ^ h >> 32) * UINT64_C(0x9e3779b97f4a7c15);
	h = (h ^ h >> 29) & COW_PLACE_MAX;
	return h < COW_PLACE_FIRST ? COW_PLACE_FIRST : h;
}

/* ---- collecting */

/* Where the name's number is, or is to be. */
static size_t *seat_of(const struct merge *g, const char *name, uint64_t place)
{
	size_t i = place & (g->seat_count - 1);

	for (; g->seats[i]; i = (i + 1) & (g->seat_count - 1)) {
		const struct cow_merged_name *n = &g->m.names[g->seats[i] - 1];

		if (n->place == place && strcmp(g->m.text + n->name, name) == 0)
			break;
	}
	return &g->seats[i];
}

static bool widen_seats(struct merge *g)
{
	size_t count = g->seat_count ? 2 * g->seat_count : 2 * NAMES_FIRST;
	struct err ignored;
	size_t *seats;

	if (2 * (g->m.count + 1) <= g->seat_count)
		return true;
	seats = mem_alloc(count, sizeof(*seats), &ignored);
	if (!seats)
		return false;
	free(g->seats);
	g->seats = seats;
	g->seat_count = count;
	for (size_t i = 0; i < g->m.count; i++)
		*seat_of(g, g->m.text + g->m.names[i].name, g->m.names[i].place) = i + 1;
	return true;
}

static bool make_room(struct merge *g, size_t len)
{
	struct err ignored;

	if (g->m.count == g->names_cap) {
		size_t cap = g->names_cap ? 2 * g->names_cap : NAMES_FIRST;
		struct cow_merged_name *names = mem_grow(g->m.names, cap, sizeof(*names), &ignored);

		if (!names)
			return false;
		g->m.names = names;
		g->names_cap = cap;
	}
	if (g->text_cap - g->text_len <= len) {
		size_t cap = g->text_cap ? 2 * g->text_cap : TEXT_FIRST;
		char *text = mem_grow(g->m.text, cap, 1, &ignored);

		if (!text)
			return false;
		g->m.text = text;
		g->text_cap = cap;
	}
	return widen_seats(g);
}

/* False: that is enough, or *g->sys says why not. */
static bool take(struct merge *g, const char *name, uint64_t ino, unsigned char type)
{
	uint64_t place = place_of(name);
	size_t len = strnlen(name, NAME_MAX + 1), *seat;

	if (len == 0 || len > NAME_MAX)
		return true;
	if (!make_room(g, len)) {
		g->sys = ENOMEM;
		return false;
	}
	seat = seat_of(g, name, place);
	if (*seat)
		return true;
	g->m.names[g->m.count] =
		(struct cow_merged_name){ .place = place, .ino = ino, .name = g->text_len, .type = type };
	memcpy(g->m.text + g->text_len, name, len + 1);
	g->text_len += len + 1;
	*seat = ++g->m.count;
	g->any |= type != DT_WHT;
	return !(g->only && g->any);
}

static bool take_upper(void *arg, const struct cow_walked *w)
{
	return cow_walk_is_dot(w->name) || take(arg, w->name, w->ino, w->type);
}

static bool take_lower(void *arg, const char *name, uint64_t dev, uint64_t ino, unsigned char type)
{
	struct merge *g = arg;
	uint64_t noted = g->layer->is_impure && type != DT_WHT
				 ? cow_upper_noted_ino(g->u->upper, g->layer->handle.fd, name)
				 : 0;

	return take(g, name, noted ? noted : cow_tree_ino(g->u, g->layer->number, dev, ino), type);
}

static int collect(struct merge *g, const struct cow_dir *dir, bool has_index)
{
	struct cow_walk upper = { .u = g->u, .dir = dir, .has_index = has_index };
	int sys = 0;

	if (dir->upper >= 0)
		sys = cow_walk(&upper, 0, SIZE_MAX, take_upper, g);
	for (unsigned i = 0; !sys && !g->sys && !(g->only && g->any) && i < dir->count; i++) {
		struct cow_layer *l = g->u->layers[dir->lower[i].number];

		g->layer = &dir->lower[i];
		sys = l->ops->list(l, &dir->lower[i].handle, take_lower, g);
	}
	return sys ? sys : g->sys;
}

/* ---- putting in order */

static int compare(const void *a, const void *b)
{
	uint64_t x = ((const struct cow_merged_name *)a)->place;
	uint64_t y = ((const struct cow_merged_name *)b)->place;

	return x < y ? -1 : x > y;
}

/* Names that share a hash come one behind the other. */
static void put_in_order(struct cow_merged *m)
{
	size_t kept = 0;

	for (size_t i = 0; i < m->count; i++)
		if (m->names[i].type != DT_WHT)
			m->names[kept++] = m->names[i];
	m->count = kept;
	if (kept)
		qsort(m->names, kept, sizeof(*m->names), compare);
	for (size_t i = 1; i < kept; i++)
		if (m->names[i].place <= m->names[i - 1].place)
			m->names[i].place = m->names[i - 1].place + 1;
}

int cow_merge(struct cow_union *u, const struct cow_dir *dir, bool has_index, struct cow_merged *ret)
{
	struct merge g = { .u = u };
	int sys = collect(&g, dir, has_index);

	free(g.seats);
	if (sys) {
		cow_merged_fini(&g.m);
		return sys;
	}
	put_in_order(&g.m);
	*ret = g.m;
	return 0;
}

int cow_merge_any(struct cow_union *u, const struct cow_dir *dir, bool has_index)
{
	struct merge g = { .u = u, .only = true };
	int sys = collect(&g, dir, has_index);

	free(g.seats);
	cow_merged_fini(&g.m);
	return sys ? sys : g.any ? ENOTEMPTY : 0;
}

void cow_merged_fini(struct cow_merged *m)
{
	free(m->names);
	free(m->text);
	*m = (struct cow_merged){ .count = 0 };
}

size_t cow_merged_from(const struct cow_merged *m, uint64_t place)
{
	size_t low = 0, high = m->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (m->names[middle].place < place)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct cow_merged_name *cow_merged_find(const struct cow_merged *m, const char *name)
{
	uint64_t place = place_of(name);
	size_t i = cow_merged_from(m, place);

	/* Those of one hash, and those that they pushed on, stand in a row. */
	for (uint64_t next = place; i < m->count && m->names[i].place == next; i++, next++)
		if (strcmp(m->text + m->names[i].name, name) == 0)
			return &m->names[i];
	return NULL;
}
