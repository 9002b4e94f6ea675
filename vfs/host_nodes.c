/* SPDX-License-Identifier: Apache-2.0 */
/* See host_nodes.h. Nodes lie in blocks that never move; an id is a place in them, and gets a new
 * generation when it is used again. Names are found through a hash that doubles as it fills. */
#include "vfs/host_nodes.h"

#include <string.h>

#include "base/sync.h"

enum { BLOCK = 1024, BLOCKS_MAX = 1 << 14 /* 16 million nodes */, BUCKETS_FIRST = 1024 };

struct node {
	char *name; /* owned; NULL = the place is free */
	uint64_t parent;
	uint64_t dev, ino;
	uint64_t generation;
	uint64_t lookups;
	uint64_t next; /* of the same bucket, or of the free list */
	uint32_t children;
	mode_t type;
	bool is_hashed; /* false: another file has taken the name */
};

struct host_nodes {
	struct sync_mutex lock;
	struct node **blocks; /* guarded by lock, like all below */
	size_t block_count;
	uint64_t used; /* places handed out so far, place 0 included */
	uint64_t free; /* list of free places; 0 = none */
	uint64_t *buckets;
	size_t bucket_count, hashed;
};

static struct node *at(const struct host_nodes *t, uint64_t id)
{
	return &t->blocks[id / BLOCK][id % BLOCK];
}

static struct node *find_id(const struct host_nodes *t, uint64_t id)
{
	return id > 0 && id < t->used && at(t, id)->name ? at(t, id) : NULL;
}

/* FNV-1a over the name, started from the parent. */
static size_t bucket_of(const struct host_nodes *t, uint64_t parent, const char *name)
{
	uint64_t h = UINT64_C(14695981039346656037) ^ (parent * UINT64_C(0x9e3779b97f4a7c15));

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * UINT64_C(1099511628211);
	return (size_t)((h ^ h >> 32) & (t->bucket_count - 1));
}

static void hash_insert(struct host_nodes *t, uint64_t id)
{
	size_t b = bucket_of(t, at(t, id)->parent, at(t, id)->name);

	at(t, id)->next = t->buckets[b];
	at(t, id)->is_hashed = true;
	t->buckets[b] = id;
	t->hashed++;
}

static void hash_remove(struct host_nodes *t, uint64_t id)
{
	uint64_t *link = &t->buckets[bucket_of(t, at(t, id)->parent, at(t, id)->name)];

	while (*link != id)
		link = &at(t, *link)->next;
	*link = at(t, id)->next;
	at(t, id)->is_hashed = false;
	t->hashed--;
}

/* Without memory the chains stay long; that is no error. */
static void hash_widen(struct host_nodes *t)
{
	struct err ignored;
	uint64_t *old = t->buckets, *wider;
	size_t old_count = t->bucket_count;

	if (t->hashed < t->bucket_count)
		return;
	wider = mem_alloc(2 * old_count, sizeof(*wider), &ignored);
	if (!wider)
		return;
	t->buckets = wider;
	t->bucket_count = 2 * old_count;
	t->hashed = 0;
	for (size_t b = 0; b < old_count; b++)
		for (uint64_t id = old[b], next; id; id = next) {
			next = at(t, id)->next;
			hash_insert(t, id);
		}
	free(old);
}

static int take_place(struct host_nodes *t, uint64_t *ret, struct err *e)
{
	struct node **blocks, *block;

	if (t->free) {
		*ret = t->free;
		t->free = at(t, t->free)->next;
		return 0;
	}
	if (t->used == t->block_count * BLOCK) {
		if (t->block_count == BLOCKS_MAX)
			return err_set(e, ERR_NOMEM, "too many files are known at once");
		blocks = mem_grow(t->blocks, t->block_count + 1, sizeof(struct node *), e);
		if (!blocks)
			return -1;
		t->blocks = blocks;
		block = mem_alloc(BLOCK, sizeof(*block), e);
		if (!block)
			return -1;
		t->blocks[t->block_count++] = block;
	}
	*ret = t->used++;
	return 0;
}

/* Frees the node when nothing needs it any more, and then, perhaps, the directories above it. */
static void let_go(struct host_nodes *t, uint64_t id)
{
	while (id != HOST_ROOT && at(t, id)->lookups == 0 && at(t, id)->children == 0) {
		struct node *n = at(t, id);
		uint64_t parent = n->parent;

		if (n->is_hashed)
			hash_remove(t, id);
		free(n->name);
		n->name = NULL;
		n->next = t->free;
		t->free = id;
		at(t, parent)->children--;
		id = parent;
	}
}

int host_nodes_open(const struct stat *root, struct host_nodes **ret, struct err *e)
{
	struct host_nodes *t = mem_alloc(1, sizeof(*t), e);
	uint64_t id;

	if (!t)
		return -1;
	sync_mutex_init(&t->lock);
	t->bucket_count = BUCKETS_FIRST;
	t->buckets = mem_alloc(t->bucket_count, sizeof(*t->buckets), e);
	/* Place 0 is nobody's: the kernel takes node id 0 for "no such file". */
	if (!t->buckets || take_place(t, &id, e) < 0 || take_place(t, &id, e) < 0) {
		host_nodes_close(t);
		return -1;
	}
	*at(t, id) = (struct node){ .name = mem_strdup("", e),
				    .parent = HOST_ROOT,
				    .dev = root->st_dev,
				    .ino = root->st_ino,
				    .lookups = 1,
				    .type = root->st_mode & S_IFMT };
	if (!at(t, id)->name) {
		host_nodes_close(t);
		return -1;
	}
	*ret = t;
	return 0;
}

void host_nodes_close(struct host_nodes *t)
{
	if (!t)
		return;
	for (uint64_t id = 0; id < t->used; id++)
		free(at(t, id)->name);
	for (size_t i = 0; i < t->block_count; i++)
		free(t->blocks[i]);
	free(t->blocks);
	free(t->buckets);
	sync_mutex_fini(&t->lock);
	free(t);
}

static uint64_t find_name_locked(const struct host_nodes *t, uint64_t parent, const char *name)
{
	uint64_t id = t->buckets[bucket_of(t, parent, name)];

	while (id && (at(t, id)->parent != parent || strcmp(at(t, id)->name, name) != 0))
		id = at(t, id)->next;
	return id;
}

static int seen_locked(struct host_nodes *t, uint64_t parent, const char *name, const struct stat *st,
		       uint64_t *ret, struct err *e)
{
	struct node *n;
	uint64_t id;

	if (!find_id(t, parent))
		return err_set(e, ERR_NOTFOUND, "no such node");
	id = find_name_locked(t, parent, name);
	if (id) {
		n = at(t, id);
		if (n->dev == st->st_dev && n->ino == st->st_ino && n->type == (st->st_mode & S_IFMT)) {
			*ret = id;
			return 0;
		}
		hash_remove(t, id); /* replaced on the host; who has the old one open keeps it */
	}
	if (take_place(t, &id, e) < 0)
		return -1;
	n = at(t, id);
	*n = (struct node){ .name = mem_strdup(name, e),
			    .parent = parent,
			    .dev = st->st_dev,
			    .ino = st->st_ino,
			    .generation = n->generation + 1,
			    .type = st->st_mode & S_IFMT };
	if (!n->name) {
		n->next = t->free;
		t->free = id;
		return -1;
	}
	at(t, parent)->children++;
	hash_insert(t, id);
	hash_widen(t);
	*ret = id;
	return 0;
}

int host_nodes_seen(struct host_nodes *t, uint64_t parent, const char *name, const struct stat *st,
		    uint64_t *ret_id, uint64_t *ret_generation, struct err *e)
{
	int r;

	sync_lock(&t->lock);
	r = seen_locked(t, parent, name, st, ret_id, e);
	if (r == 0) {
		at(t, *ret_id)->lookups++;
		*ret_generation = at(t, *ret_id)->generation;
	}
	sync_unlock(&t->lock);
	return r;
}

void host_nodes_forget(struct host_nodes *t, uint64_t id, uint64_t lookups)
{
	struct node *n;

	sync_lock(&t->lock);
	n = find_id(t, id);
	if (n && id != HOST_ROOT) {
		n->lookups -= lookups < n->lookups ? lookups : n->lookups;
		let_go(t, id);
	}
	sync_unlock(&t->lock);
}

int host_nodes_get(struct host_nodes *t, uint64_t id, struct host_node *ret, struct err *e)
{
	const struct node *n;
	int r = 0;

	sync_lock(&t->lock);
	n = find_id(t, id);
	if (n) {
		*ret = (struct host_node){ .id = id,
					   .generation = n->generation,
					   .parent = n->parent,
					   .dev = n->dev,
					   .ino = n->ino,
					   .type = n->type };
		(void)strncpy(ret->name, n->name, sizeof(ret->name) - 1);
	} else {
		r = err_set(e, ERR_NOTFOUND, "no such node");
	}
	sync_unlock(&t->lock);
	return r;
}

static int path_locked(const struct host_nodes *t, uint64_t id, struct buf *ret, struct err *e)
{
	size_t len = 0, end;

	if (!find_id(t, id))
		return err_set(e, ERR_NOTFOUND, "no such node");
	for (uint64_t i = id; i != HOST_ROOT; i = at(t, i)->parent)
		len += strlen(at(t, i)->name) + 1;
	if (buf_reserve(ret, len + 1, e) < 0)
		return -1;
	end = ret->len + len;
	ret->data[len ? end - 1 : end] = 0;
	ret->len = len ? end : end + 1;
	for (uint64_t i = id; i != HOST_ROOT; i = at(t, i)->parent) {
		size_t n = strlen(at(t, i)->name);

		end -= n + 1;
		memcpy(ret->data + end, at(t, i)->name, n);
		if (i != id)
			ret->data[end + n] = '/';
	}
	return 0;
}

int host_nodes_path(struct host_nodes *t, uint64_t id, struct buf *ret, struct err *e)
{
	int r;

	sync_lock(&t->lock);
	r = path_locked(t, id, ret, e);
	sync_unlock(&t->lock);
	return r;
}
