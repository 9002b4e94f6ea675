/* SPDX-License-Identifier: Apache-2.0 */
/* See cow_list.h. An offset says how the listing goes on:
 *
 *   0                    not begun
 *   bit 62 set           merged: behind the name with place N (the low bits are N + 1); 0 and 1 are "." and
 *                        ".."
 *   bits 61, 62 clear    straight from a layer: that file system's own offset
 *   bit 61 set           the same, of one that uses more bits than are left: two low ones are missing, which
 *                        are so low in a hash of ext4's that they tell nothing apart
 *
 * A directory that was begun in a lower layer goes on there when it has been copied up meanwhile (a listing
 * that deletes what it finds does that): then the upper is asked for each name. What the upper has got since
 * need not show. */
#include "vfs/cow_list.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "vfs/cow_list_merge.h"
#include "vfs/cow_list_walk.h"

enum { LISTINGS_MAX = 64 };

#define OFF_MERGED (UINT64_C(1) << 62)
#define OFF_COARSE (UINT64_C(1) << 61)

struct listing { /* merged */
	uint64_t node;
	struct cow_merged merged;
	unsigned users; /* guarded by the lists' lock, like all below */
	bool is_dropped;
	struct listing *next; /* less recently used */
};

struct cow_lists {
	struct sync_mutex lock;
	struct listing *first; /* guarded by lock, like all below */
	unsigned count;
};

struct request {
	struct cow_union *u;
	const struct cow_dir *dir;
	struct cow_node node;
	bool has_index;
	size_t size;
	cow_entry_fn *fn;
	void *arg;
	int sys;
};

int cow_lists_open(struct cow_lists **ret, struct err *e)
{
	struct cow_lists *l = mem_alloc(1, sizeof(*l), e);

	if (!l)
		return -1;
	sync_mutex_init(&l->lock);
	*ret = l;
	return 0;
}

static void listing_free(struct listing *x)
{
	cow_merged_fini(&x->merged);
	free(x);
}

void cow_lists_close(struct cow_lists *l)
{
	struct listing *next;

	if (!l)
		return;
	for (struct listing *x = l->first; x; x = next) {
		next = x->next;
		listing_free(x);
	}
	sync_mutex_fini(&l->lock);
	free(l);
}

/* ---- merged listings that are kept */

static struct listing **find_locked(struct cow_lists *l, uint64_t node) SYNC_REQUIRES(l->lock)
{
	struct listing **at = &l->first;

	while (*at && (*at)->node != node)
		at = &(*at)->next;
	return at;
}

static void drop_locked(struct cow_lists *l, struct listing **at) SYNC_REQUIRES(l->lock)
{
	struct listing *x = *at;

	*at = x->next;
	l->count--;
	x->is_dropped = true;
	if (x->users == 0)
		listing_free(x);
}

static struct listing *listing_ref(struct cow_lists *l, uint64_t node)
{
	struct listing **at, *x;

	sync_lock(&l->lock);
	at = find_locked(l, node);
	x = *at;
	if (x) {
		*at = x->next;
		x->next = l->first;
		l->first = x;
		x->users++;
	}
	sync_unlock(&l->lock);
	return x;
}

static void listing_unref(struct cow_lists *l, struct listing *x)
{
	bool is_last;

	sync_lock(&l->lock);
	is_last = --x->users == 0 && x->is_dropped;
	sync_unlock(&l->lock);
	if (is_last)
		listing_free(x);
}

/* Takes the place of the node's last one. */
static void listing_add(struct cow_lists *l, struct listing *x)
{
	struct listing **at;

	sync_lock(&l->lock);
	at = find_locked(l, x->node);
	if (*at)
		drop_locked(l, at);
	while (l->count >= LISTINGS_MAX) {
		for (at = &l->first; (*at)->next;)
			at = &(*at)->next;
		drop_locked(l, at);
	}
	x->next = l->first;
	l->first = x;
	x->users++;
	l->count++;
	sync_unlock(&l->lock);
}

void cow_list_removed(struct cow_union *u, uint64_t id, const char *name)
{
	struct cow_lists *l = u->lists;
	struct cow_merged_name *n = NULL;
	struct listing *x;

	sync_lock(&l->lock);
	x = *find_locked(l, id);
	if (x)
		n = cow_merged_find(&x->merged, name);
	if (n)
		atomic_store(&n->ask, true);
	sync_unlock(&l->lock);
}

/* ---- "." and ".." */

static int shown_number(struct cow_union *u, uint64_t id, uint64_t *ret)
{
	struct cow_entry entry;
	struct cow_node n;
	int sys = cow_nodes_get(u->nodes, id, &n);

	if (sys)
		return sys;
	*ret = n.shown_ino;
	if (n.shown_ino)
		return 0;
	sys = cow_tree_getattr(u, id, &entry); /* the root: nobody has looked it up */
	if (!sys)
		*ret = entry.st.st_ino;
	return sys;
}

static int dot_number(const struct request *r, bool is_parent, uint64_t *ret)
{
	return shown_number(r->u, is_parent && r->node.parent ? r->node.parent : r->node.id, ret);
}

/* ---- straight from a layer */

static uint64_t off_of_layer(uint64_t off)
{
	return off < OFF_COARSE ? off : OFF_COARSE | off >> 2;
}

static uint64_t layer_off(uint64_t off)
{
	return off < OFF_COARSE ? off : (off & ~OFF_COARSE) << 2;
}

static bool give_walked(void *arg, const struct cow_walked *w)
{
	struct request *r = arg;
	unsigned char type = w->type;
	uint64_t ino = w->ino;

	if (cow_walk_is_dot(w->name))
		r->sys = dot_number(r, w->name[1], &ino);
	else if (r->dir->upper >= 0 && r->dir->count)
		r->sys = cow_walk_ask_upper(r->u, r->dir, w->name, &ino, &type);
	if (r->sys == ENOENT) /* the upper has nothing to say */
		r->sys = 0;
	if (r->sys || type == DT_WHT)
		return !r->sys;
	return r->fn(r->arg, w->name, ino, type, off_of_layer(w->next_off));
}

static int list_straight(struct request *r, uint64_t off)
{
	struct cow_walk w = { .u = r->u, .dir = r->dir, .has_index = r->has_index };
	int sys;

	if (r->dir->count)
		w.lower = &r->dir->lower[r->dir->count - 1];
	if (w.lower ? w.lower->handle.fd < 0 : r->dir->upper < 0)
		return 0;
	sys = cow_walk(&w, layer_off(off), r->size, give_walked, r);
	return sys ? sys : r->sys;
}

static bool is_straight(const struct request *r)
{
	struct cow_walk w = { .u = r->u, .dir = r->dir };

	if ((r->dir->upper >= 0) + r->dir->count != 1)
		return false;
	if (r->dir->count)
		w.lower = &r->dir->lower[0];
	return cow_walk_keeps_offsets(&w);
}

/* ---- merged */

static int listing_make(struct request *r, struct listing **ret)
{
	struct listing *x = calloc(1, sizeof(*x));
	int sys;

	if (!x)
		return ENOMEM;
	x->node = r->node.id;
	sys = cow_merge(r->u, r->dir, r->has_index, &x->merged);
	if (sys) {
		free(x);
		return sys;
	}
	listing_add(r->u->lists, x);
	*ret = x;
	return 0;
}

/* False: no room, or r->sys. */
static bool give_merged(struct request *r, const struct listing *x, size_t i)
{
	const struct cow_merged_name *n = &x->merged.names[i];
	const char *name = x->merged.text + n->name;
	unsigned char type = n->type;
	uint64_t ino = n->ino;
	struct cow_thing thing;

	if (atomic_load(&n->ask)) {
		r->sys = cow_tree_find(r->u, r->dir, name, &thing);
		if (r->sys == ENOENT) {
			r->sys = 0;
			return true;
		}
		if (r->sys)
			return false;
		ino = thing.st.st_ino;
		type = IFTODT(thing.st.st_mode);
	}
	return r->fn(r->arg, name, ino, type, OFF_MERGED | (n->place + 1));
}

static bool give_dots(struct request *r, uint64_t *place)
{
	for (; *place < COW_PLACE_FIRST; ++*place) {
		uint64_t ino = 0;

		r->sys = dot_number(r, *place == 1, &ino);
		if (r->sys || !r->fn(r->arg, *place ? ".." : ".", ino, DT_DIR, OFF_MERGED | (*place + 1)))
			return false;
	}
	return true;
}

static int list_merged(struct request *r, uint64_t off)
{
	uint64_t place = off & ~OFF_MERGED;
	struct listing *x = off ? listing_ref(r->u->lists, r->node.id) : NULL;
	int sys = x ? 0 : listing_make(r, &x);

	if (sys)
		return sys;
	if (give_dots(r, &place))
		for (size_t i = cow_merged_from(&x->merged, place); i < x->merged.count; i++)
			if (!give_merged(r, x, i))
				break;
	listing_unref(r->u->lists, x);
	return r->sys;
}

/* ---- all */

/* The links index is /.floe/links of the upper. */
static bool holds_index(const struct cow_node *n)
{
	return n->parent == COW_ROOT && strcmp(n->name, ".floe") == 0;
}

int cow_list(struct cow_union *u, uint64_t id, uint64_t off, size_t size, cow_entry_fn *fn, void *arg)
{
	struct request r = { .u = u, .size = size, .fn = fn, .arg = arg };
	struct cow_dir *dir;
	int sys = cow_nodes_get(u->nodes, id, &r.node);

	if (sys)
		return sys;
	if (!S_ISDIR(r.node.type))
		return ENOTDIR;
	sys = cow_dir_ref(u, id, &dir);
	if (sys)
		return sys;
	r.dir = dir;
	r.has_index = holds_index(&r.node);
	if (off ? !(off & OFF_MERGED) : is_straight(&r))
		sys = list_straight(&r, off);
	else
		sys = list_merged(&r, off);
	cow_dir_unref(u, dir);
	return sys;
}

int cow_list_is_empty(struct cow_union *u, uint64_t id)
{
	struct cow_dir *dir;
	struct cow_node n;
	int sys = cow_nodes_get(u->nodes, id, &n);

	if (!sys)
		sys = cow_dir_ref(u, id, &dir);
	if (sys)
		return sys;
	sys = cow_merge_any(u, dir, holds_index(&n));
	cow_dir_unref(u, dir);
	return sys;
}
