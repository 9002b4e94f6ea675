/* SPDX-License-Identifier: Apache-2.0 */
/* See host_fds.h. */
#include "vfs/host_fds.h"

#include <stdbool.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/sync.h"

enum { BUCKETS = 1024 };

struct entry {
	struct host_fd open; /* first: what callers hold */
	uint64_t node, generation;
	unsigned users;
	struct entry *next_in_bucket;
	struct entry *newer, *older;
};

struct host_fds {
	struct sync_mutex lock;
	size_t count, max; /* guarded by lock, like all below */
	struct entry *buckets[BUCKETS];
	struct entry *newest, *oldest;
};

int host_fds_open(size_t max, struct host_fds **ret, struct err *e)
{
	struct host_fds *c = mem_alloc(1, sizeof(*c), e);

	if (!c)
		return -1;
	sync_mutex_init(&c->lock);
	c->max = max;
	*ret = c;
	return 0;
}

void host_fds_close(struct host_fds *c)
{
	if (!c)
		return;
	for (struct entry *f = c->newest, *older; f; f = older) {
		older = f->older;
		fd_close(f->open.fd);
		free(f);
	}
	sync_mutex_fini(&c->lock);
	free(c);
}

static void list_remove(struct host_fds *c, struct entry *f)
{
	*(f->newer ? &f->newer->older : &c->newest) = f->older;
	*(f->older ? &f->older->newer : &c->oldest) = f->newer;
}

static void list_push(struct host_fds *c, struct entry *f)
{
	f->newer = NULL;
	f->older = c->newest;
	*(c->newest ? &c->newest->newer : &c->oldest) = f;
	c->newest = f;
}

static struct entry *find_locked(struct host_fds *c, uint64_t node, uint64_t generation)
{
	struct entry *f = c->buckets[node % BUCKETS];

	while (f && (f->node != node || f->generation != generation))
		f = f->next_in_bucket;
	if (f) {
		f->users++;
		list_remove(c, f);
		list_push(c, f);
	}
	return f;
}

static void drop_locked(struct host_fds *c, struct entry *f)
{
	struct entry **link = &c->buckets[f->node % BUCKETS];

	while (*link != f)
		link = &(*link)->next_in_bucket;
	*link = f->next_in_bucket;
	list_remove(c, f);
	c->count--;
}

/* Takes out one that is too many; the caller closes it without the lock. */
static struct entry *surplus_locked(struct host_fds *c)
{
	struct entry *f = c->count > c->max ? c->oldest : NULL;

	while (f && f->users)
		f = f->newer;
	if (f)
		drop_locked(c, f);
	return f;
}

static void close_entry(struct entry *f)
{
	if (!f)
		return;
	fd_close(f->open.fd);
	free(f);
}

struct host_fd *host_fds_ref(struct host_fds *c, uint64_t node, uint64_t generation)
{
	struct entry *f;

	sync_lock(&c->lock);
	f = find_locked(c, node, generation);
	sync_unlock(&c->lock);
	return f ? &f->open : NULL;
}

int host_fds_add(struct host_fds *c, uint64_t node, uint64_t generation, int fd, struct host_fd **ret,
		 struct err *e)
{
	struct entry *f = mem_alloc(1, sizeof(*f), e), *have, *surplus;

	if (!f) {
		fd_close(fd);
		return -1;
	}
	f->open.fd = fd;
	f->node = node;
	f->generation = generation;
	f->users = 1;
	sync_lock(&c->lock);
	have = find_locked(c, node, generation);
	if (have) {
		surplus = f;
		f = have;
	} else {
		f->next_in_bucket = c->buckets[node % BUCKETS];
		c->buckets[node % BUCKETS] = f;
		list_push(c, f);
		c->count++;
		surplus = surplus_locked(c);
	}
	sync_unlock(&c->lock);
	close_entry(surplus);
	*ret = &f->open;
	return 0;
}

void host_fds_unref(struct host_fds *c, struct host_fd *open)
{
	struct entry *f = (struct entry *)open, *surplus;

	if (!f)
		return;
	sync_lock(&c->lock);
	f->users--;
	surplus = surplus_locked(c);
	sync_unlock(&c->lock);
	close_entry(surplus);
}
