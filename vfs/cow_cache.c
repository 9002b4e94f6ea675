/* SPDX-License-Identifier: Apache-2.0 */
/* See cow_cache.h. */
#include "vfs/cow_cache.h"

#include "base/mem.h"
#include "base/sync.h"

enum { BUCKETS = 4096 };

struct cow_cache {
	void (*end)(struct cow_slot *s);
	size_t max;
	struct sync_mutex lock;
	uint64_t version; /* guarded by lock, like all below */
	size_t weight;
	struct cow_slot *buckets[BUCKETS];
	struct cow_slot *newest, *oldest;
	struct cow_slot *dropped; /* unused, to be ended; a chain of next_in_bucket */
};

int cow_cache_open(size_t max, void (*end)(struct cow_slot *s), struct cow_cache **ret, struct err *e)
{
	struct cow_cache *c = mem_alloc(1, sizeof(*c), e);

	if (!c)
		return -1;
	sync_mutex_init(&c->lock);
	c->end = end;
	c->max = max;
	*ret = c;
	return 0;
}

static void end_chain(struct cow_cache *c, struct cow_slot *chain)
{
	for (struct cow_slot *next; chain; chain = next) {
		next = chain->next_in_bucket;
		c->end(chain);
	}
}

void cow_cache_close(struct cow_cache *c)
{
	if (!c)
		return;
	end_chain(c, c->dropped);
	for (struct cow_slot *s = c->newest, *older; s; s = older) {
		older = s->older;
		c->end(s);
	}
	sync_mutex_fini(&c->lock);
	free(c);
}

static void list_remove(struct cow_cache *c, struct cow_slot *s)
{
	*(s->newer ? &s->newer->older : &c->newest) = s->older;
	*(s->older ? &s->older->newer : &c->oldest) = s->newer;
}

static void list_push(struct cow_cache *c, struct cow_slot *s)
{
	s->newer = NULL;
	s->older = c->newest;
	*(c->newest ? &c->newest->newer : &c->oldest) = s;
	c->newest = s;
}

static struct cow_slot **bucket_of(struct cow_cache *c, uint64_t node)
{
	return &c->buckets[node % BUCKETS];
}

static struct cow_slot *find_locked(struct cow_cache *c, uint64_t node)
{
	struct cow_slot *s = *bucket_of(c, node);

	while (s && s->node != node)
		s = s->next_in_bucket;
	return s;
}

static void use_locked(struct cow_cache *c, struct cow_slot *s)
{
	s->users++;
	list_remove(c, s);
	list_push(c, s);
}

/* Out of the cache; who uses it keeps it. */
static void take_out_locked(struct cow_cache *c, struct cow_slot *s)
{
	struct cow_slot **link = bucket_of(c, s->node);

	while (*link != s)
		link = &(*link)->next_in_bucket;
	*link = s->next_in_bucket;
	list_remove(c, s);
	c->weight -= s->weight;
	s->is_dropped = true;
	s->next_in_bucket = NULL;
}

/* Takes out what is too much and unused: a chain, with what was dropped, for the caller to end without the
 * lock. */
static struct cow_slot *surplus_locked(struct cow_cache *c)
{
	struct cow_slot *chain = c->dropped, *s = c->oldest, *newer;

	c->dropped = NULL;
	for (; s && c->weight > c->max; s = newer) {
		newer = s->newer;
		if (s->users)
			continue;
		take_out_locked(c, s);
		s->next_in_bucket = chain;
		chain = s;
	}
	return chain;
}

struct cow_slot *cow_cache_ref(struct cow_cache *c, uint64_t node)
{
	struct cow_slot *s;

	sync_lock(&c->lock);
	s = find_locked(c, node);
	if (s)
		use_locked(c, s);
	sync_unlock(&c->lock);
	return s;
}

static void insert_locked(struct cow_cache *c, struct cow_slot *s)
{
	s->users = 1;
	s->is_dropped = false;
	s->next_in_bucket = *bucket_of(c, s->node);
	*bucket_of(c, s->node) = s;
	list_push(c, s);
	c->weight += s->weight;
}

uint64_t cow_cache_version(struct cow_cache *c)
{
	uint64_t version;

	sync_lock(&c->lock);
	version = c->version;
	sync_unlock(&c->lock);
	return version;
}

struct cow_slot *cow_cache_add(struct cow_cache *c, struct cow_slot *s, uint64_t version)
{
	struct cow_slot *have = NULL, *surplus = NULL;

	sync_lock(&c->lock);
	if (c->version == version) {
		have = find_locked(c, s->node);
		if (have) {
			use_locked(c, have);
		} else {
			insert_locked(c, s);
			surplus = surplus_locked(c);
			have = s;
		}
	}
	sync_unlock(&c->lock);
	end_chain(c, surplus);
	if (have != s)
		c->end(s);
	return have;
}

struct cow_slot *cow_cache_replace(struct cow_cache *c, struct cow_slot *s)
{
	struct cow_slot *have, *surplus;

	sync_lock(&c->lock);
	have = find_locked(c, s->node);
	if (have)
		take_out_locked(c, have);
	insert_locked(c, s);
	surplus = surplus_locked(c);
	if (have && have->users)
		have = NULL; /* its last user ends it */
	sync_unlock(&c->lock);
	if (have)
		c->end(have);
	end_chain(c, surplus);
	return s;
}

void cow_cache_unref(struct cow_cache *c, struct cow_slot *s)
{
	struct cow_slot *surplus = NULL;
	bool is_last;

	if (!s)
		return;
	sync_lock(&c->lock);
	s->users--;
	is_last = s->users == 0 && s->is_dropped;
	if (!is_last && (c->weight > c->max || c->dropped))
		surplus = surplus_locked(c);
	sync_unlock(&c->lock);
	if (is_last)
		c->end(s);
	end_chain(c, surplus);
}

/* Out of the cache; NULL when it is not there, or has users who end it. */
static struct cow_slot *take_unused_locked(struct cow_cache *c, uint64_t node)
{
	struct cow_slot *s = find_locked(c, node);

	if (s)
		take_out_locked(c, s);
	return s && s->users == 0 ? s : NULL;
}

void cow_cache_forget(struct cow_cache *c, uint64_t node)
{
	struct cow_slot *s;

	sync_lock(&c->lock);
	c->version++;
	s = take_unused_locked(c, node);
	sync_unlock(&c->lock);
	if (s)
		c->end(s);
}

void cow_cache_forget_all(struct cow_cache *c)
{
	struct cow_slot *unused = NULL, *older;

	sync_lock(&c->lock);
	c->version++;
	for (struct cow_slot *s = c->newest; s; s = older) {
		older = s->older;
		take_out_locked(c, s);
		if (s->users)
			continue;
		s->next_in_bucket = unused;
		unused = s;
	}
	sync_unlock(&c->lock);
	end_chain(c, unused);
}

void cow_cache_drop(struct cow_cache *c, uint64_t node)
{
	struct cow_slot *s;

	sync_lock(&c->lock);
	s = take_unused_locked(c, node);
	if (s) {
		s->next_in_bucket = c->dropped;
		c->dropped = s;
	}
	sync_unlock(&c->lock);
}

void cow_cache_sweep(struct cow_cache *c)
{
	struct cow_slot *surplus;

	sync_lock(&c->lock);
	surplus = surplus_locked(c);
	sync_unlock(&c->lock);
	end_chain(c, surplus);
}

size_t cow_cache_weight(struct cow_cache *c)
{
	size_t weight;

	sync_lock(&c->lock);
	weight = c->weight;
	sync_unlock(&c->lock);
	return weight;
}
