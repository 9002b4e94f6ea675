/* SPDX-License-Identifier: Apache-2.0 */
/* Renames of the node table, in two steps around the file system's.
 *
 * _begin writes down both places as records of their own, the old one pointing to the new one, with the nodes
 * that are there. They are no names yet: nobody finds them but a successor. _end makes, in one step, names of
 * what is to have one and invalidates the rest. Between the two others may look, so that _end goes by what
 * the places have then: a name that has come to the old place meanwhile is left alone. */
#include "vfs/cow_nodes_table.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"

enum { EXCHANGE = 1 << 16 }; /* in a head */

struct side { /* of a rename */
	struct cow_name_place place;
	cow_ref name;    /* who has the place; 0 = nobody that the table knows */
	cow_ref pending; /* what _begin wrote down; 0 = nothing */
	uint64_t gets;   /* the node that is to have it; 0 = nobody */
	bool is_let;     /* as it is */
};

static cow_ref new_of(const struct cow_nodes *t, cow_ref old_place)
{
	return (cow_ref)(cow_name_at(t, old_place)->head >> 32);
}

int cow_pending_reserve_locked(struct cow_nodes *t)
{
	size_t cap = t->pending_cap ? 2 * t->pending_cap : 8;
	struct err ignored;
	cow_ref *wider;

	if (t->pending_count < t->pending_cap)
		return 0;
	wider = mem_grow(t->pending, cap, sizeof(*wider), &ignored);
	if (!wider)
		return ENOMEM;
	t->pending = wider;
	t->pending_cap = cap;
	return 0;
}

void cow_pending_add_locked(struct cow_nodes *t, cow_ref old_place)
{
	cow_node_at(t, cow_name_parent(cow_name_at(t, old_place)->link))->children++;
	cow_node_at(t, cow_name_parent(cow_name_at(t, new_of(t, old_place))->link))->children++;
	t->pending[t->pending_count++] = old_place;
}

void cow_pending_unname(struct cow_nodes *t, cow_ref old_place, uint64_t id)
{
	struct cow_name_record *places[] = { cow_name_at(t, old_place),
					     cow_name_at(t, new_of(t, old_place)) };

	for (size_t i = 0; i < ARRAY_LEN(places); i++)
		if (cow_name_node(places[i]->link) == id)
			cow_memory_set(&places[i]->link, cow_name_link(cow_name_parent(places[i]->link), 0));
}

static bool is_at(const struct cow_nodes *t, cow_ref ref, const struct cow_name_place *p)
{
	const struct cow_name_record *n = cow_name_at(t, ref);

	return cow_name_parent(n->link) == p->parent && cow_name_len(n->head) == p->len &&
	       memcmp(n->text, p->name, p->len) == 0;
}

/* Its place among the pending; pending_count: not there. */
static size_t find_locked(const struct cow_nodes *t, const struct cow_name_place *old_place,
			  const struct cow_name_place *new_place, bool exchange) SYNC_REQUIRES(t->lock)
{
	size_t i = 0;

	while (i < t->pending_count &&
	       !(is_at(t, t->pending[i], old_place) && is_at(t, new_of(t, t->pending[i]), new_place) &&
		 !(cow_name_at(t, t->pending[i])->head & EXCHANGE) == !exchange))
		i++;
	return i;
}

static int places_of(const struct cow_nodes *t, const struct cow_rename *r, struct cow_name_place *ret_old,
		     struct cow_name_place *ret_new)
{
	int rc = cow_name_place_of(t, r->old_parent, r->old_name, ret_old);

	return rc ? rc : cow_name_place_of(t, r->new_parent, r->new_name, ret_new);
}

static uint64_t node_of(const struct cow_nodes *t, cow_ref ref)
{
	return ref ? cow_name_node(cow_name_at(t, ref)->link) : 0;
}

static int begin_locked(struct cow_nodes *t, const struct cow_rename *r) SYNC_REQUIRES(t->lock)
{
	struct cow_name_place old_place, new_place;
	uint64_t exchange = r->exchange ? EXCHANGE : 0;
	struct cow_step step = { 0 };
	cow_ref from, to;
	int rc = places_of(t, r, &old_place, &new_place);

	if (rc == 0 && find_locked(t, &old_place, &new_place, r->exchange) < t->pending_count)
		return 0;
	if (rc == 0)
		rc = cow_pending_reserve_locked(t);
	if (rc != 0)
		return rc;
	from = cow_name_make(t, &old_place, node_of(t, cow_name_find(t, &old_place)));
	to = cow_name_make(t, &new_place, node_of(t, cow_name_find(t, &new_place)));
	if (!from || !to) {
		if (from)
			cow_memory_give(&t->memory, from);
		if (to)
			cow_memory_give(&t->memory, to);
		return ENOMEM;
	}
	cow_step_add(&step, &cow_name_at(t, to)->head, cow_name_head(COW_IS_NEW, new_place.len) | exchange);
	cow_step_add(&step, &cow_name_at(t, from)->head,
		     cow_name_head(COW_IS_OLD, old_place.len) | exchange | (uint64_t)to << 32);
	cow_memory_do(&t->memory, &step);
	cow_pending_add_locked(t, from);
	return 0;
}

int cow_nodes_rename_begin(struct cow_nodes *t, const struct cow_rename *r)
{
	int rc;

	sync_lock(&t->lock);
	rc = begin_locked(t, r);
	sync_unlock(&t->lock);
	return rc;
}

/* ---- the end */

/* Says who gets which place. False: the table has it that way already, or it cannot be. */
static bool share_out_locked(const struct cow_nodes *t, struct side *from, struct side *to, bool exchange)
	SYNC_REQUIRES(t->lock)
{
	uint64_t moved = from->pending ? node_of(t, from->pending) : 0, back;

	if (!moved)
		moved = node_of(t, from->name);
	back = node_of(t, to->pending);
	if (!back)
		back = node_of(t, to->name);
	to->gets = moved;
	from->gets = exchange ? back : 0;
	from->is_let = !exchange && node_of(t, from->name) != moved;
	/* A directory does not come to lie in itself. */
	if (moved && cow_is_below_locked(t, to->place.parent, moved))
		return false;
	return !(exchange && back && cow_is_below_locked(t, from->place.parent, back));
}

/* What has to be stored so that the side's node gets its place, and the chains that this breaks. */
static void plan_locked(struct cow_nodes *t, const struct side *s, struct cow_step *step)
	SYNC_REQUIRES(t->lock)
{
	uint64_t link = cow_name_link(s->place.parent, s->gets);
	struct cow_name_record *name = s->name ? cow_name_at(t, s->name) : NULL;
	struct cow_name_record *pending = s->pending ? cow_name_at(t, s->pending) : NULL;

	if (s->gets && !s->is_let)
		cow_step_named(step, cow_node_at(t, s->gets));
	if (pending && s->gets && !name && !s->is_let) {
		cow_step_add(step, &pending->link, link);
		cow_step_add(step, &pending->head, cow_name_head(COW_IS_NAME, s->place.len));
		return;
	}
	if (pending)
		cow_step_add(step, &pending->head, 0);
	if (!name || s->is_let)
		return;
	cow_alias_remove(t, s->name);
	if (s->gets)
		cow_step_add(step, &name->link, link);
	else
		cow_step_add(step, &name->head, 0);
}

/* The step is done: chains and counts. */
static void settle_locked(struct cow_nodes *t, const struct side *s) SYNC_REQUIRES(t->lock)
{
	bool is_promoted = s->pending && cow_head_kind(cow_name_at(t, s->pending)->head) == COW_IS_NAME;

	if (s->pending)
		cow_node_at(t, s->place.parent)->children--;
	if (is_promoted) {
		cow_name_insert(t, s->pending);
		cow_alias_insert(t, s->pending);
		return;
	}
	if (s->pending)
		cow_memory_give(&t->memory, s->pending);
	if (!s->name || s->is_let)
		return;
	if (s->gets) {
		cow_alias_insert(t, s->name);
	} else {
		cow_name_remove(t, s->name);
		cow_memory_give(&t->memory, s->name);
	}
}

static void end_locked(struct cow_nodes *t, const struct cow_rename *r, bool done) SYNC_REQUIRES(t->lock)
{
	struct side from = { .is_let = true }, to = { .is_let = true };
	struct cow_step step = { 0 };
	size_t i;

	if (places_of(t, r, &from.place, &to.place) != 0)
		return;
	i = find_locked(t, &from.place, &to.place, r->exchange);
	if (done && i == t->pending_count && begin_locked(t, r) == 0)
		i = t->pending_count - 1; /* nobody had begun; without memory names get lost */
	if (i < t->pending_count) {
		from.pending = t->pending[i];
		to.pending = new_of(t, from.pending);
		t->pending[i] = t->pending[--t->pending_count];
	}
	from.name = cow_name_find(t, &from.place);
	to.name = cow_name_find(t, &to.place);
	if (done && !(from.name && from.name == to.name)) {
		to.is_let = false;
		if (!share_out_locked(t, &from, &to, r->exchange))
			from.is_let = to.is_let = true;
	}
	plan_locked(t, &from, &step);
	plan_locked(t, &to, &step);
	if (step.count)
		cow_memory_do(&t->memory, &step);
	settle_locked(t, &from);
	settle_locked(t, &to);
	(void)cow_let_go_locked(t, r->old_parent);
	(void)cow_let_go_locked(t, r->new_parent);
}

void cow_nodes_rename_end(struct cow_nodes *t, const struct cow_rename *r, bool done)
{
	sync_lock(&t->lock);
	end_locked(t, r, done);
	sync_unlock(&t->lock);
}

/* ---- after a takeover */

struct text {
	char name[NAME_MAX + 1];
};

static void copy_text(const struct cow_nodes *t, cow_ref ref, struct text *ret)
{
	const struct cow_name_record *n = cow_name_at(t, ref);
	size_t len = cow_name_len(n->head);

	memcpy(ret->name, n->text, len);
	ret->name[len] = 0;
}

/* The i-th of the pending; false: there is none. *ret_ref tells it from others. */
static bool pending_at(struct cow_nodes *t, size_t i, struct text texts[2], struct cow_rename *ret,
		       cow_ref *ret_ref)
{
	bool found;

	sync_lock(&t->lock);
	found = i < t->pending_count;
	if (found) {
		cow_ref from = t->pending[i], to = new_of(t, from);

		*ret_ref = from;
		copy_text(t, from, &texts[0]);
		copy_text(t, to, &texts[1]);
		*ret = (struct cow_rename){ .old_parent = cow_name_parent(cow_name_at(t, from)->link),
					    .new_parent = cow_name_parent(cow_name_at(t, to)->link),
					    .old_name = texts[0].name,
					    .new_name = texts[1].name,
					    .exchange = cow_name_at(t, from)->head & EXCHANGE };
	}
	sync_unlock(&t->lock);
	return found;
}

void cow_nodes_rename_pending(struct cow_nodes *t, void (*fn)(void *arg, const struct cow_rename *r),
			      void *arg)
{
	struct text texts[2], ignored[2];
	struct cow_rename r, after;
	cow_ref ref, next_ref;

	for (size_t i = 0; pending_at(t, i, texts, &r, &ref);) {
		fn(arg, &r);
		/* Who was ended has left its place in the row to another, or to nobody. */
		if (pending_at(t, i, ignored, &after, &next_ref) && next_ref == ref)
			i++;
	}
}
