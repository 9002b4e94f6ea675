/* SPDX-License-Identifier: Apache-2.0 */
/* Chains of the node table: names by (parent, text), nodes by identity, the names of a node. Nothing in here
 * is believed by a successor. Without memory for more chains they grow long; that is no error. */
#include "vfs/cow_nodes_table.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"

enum { CHAINS_FIRST = 1024 };

int cow_chains_open(struct cow_chains *c, struct err *e)
{
	c->heads = mem_alloc(CHAINS_FIRST, sizeof(*c->heads), e);
	c->count = c->heads ? CHAINS_FIRST : 0;
	c->filled = 0;
	return c->heads ? 0 : -1;
}

/* The next larger set of heads, empty; NULL: it is not time for it, or no memory. */
static uint32_t *wider(const struct cow_chains *c)
{
	struct err ignored;

	return c->filled < c->count ? NULL : mem_alloc(2 * c->count, sizeof(*c->heads), &ignored);
}

static uint64_t mix(uint64_t h, uint64_t word)
{
	h = (h ^ word) * UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 29;
}

/* ---- names */

uint32_t cow_name_place_hash(uint32_t parent, const char *name, size_t len)
{
	uint64_t h = mix(len, parent), word;

	for (; len >= sizeof(word); name += sizeof(word), len -= sizeof(word)) {
		memcpy(&word, name, sizeof(word));
		h = mix(h, word);
	}
	word = 0;
	memcpy(&word, name, len);
	h = mix(h, word);
	return (uint32_t)(h ^ h >> 32);
}

int cow_name_place_of(const struct cow_nodes *t, uint64_t parent, const char *name,
		      struct cow_name_place *ret)
{
	const struct cow_node_record *dir = cow_node_find(t, parent);
	size_t len = strnlen(name, NAME_MAX + 1);

	if (len == 0)
		return EINVAL;
	if (len > NAME_MAX)
		return ENAMETOOLONG;
	if (!dir || !cow_node_is_dir(dir))
		return ESTALE;
	*ret = (struct cow_name_place){ .parent = (uint32_t)parent, .name = name, .len = len };
	ret->hash = cow_name_place_hash(ret->parent, name, len);
	return 0;
}

cow_ref cow_name_find(const struct cow_nodes *t, const struct cow_name_place *p)
{
	cow_ref ref = t->names.heads[p->hash & (t->names.count - 1)];

	for (; ref; ref = cow_name_at(t, ref)->next) {
		const struct cow_name_record *n = cow_name_at(t, ref);

		if (n->hash == p->hash && cow_name_parent(n->link) == p->parent &&
		    cow_name_len(n->head) == p->len && memcmp(n->text, p->name, p->len) == 0)
			return ref;
	}
	return 0;
}

cow_ref cow_name_make(struct cow_nodes *t, const struct cow_name_place *p, uint64_t node)
{
	cow_ref ref = cow_memory_take(&t->memory, cow_memory_name_class(p->len));
	struct cow_name_record *n;

	if (!ref)
		return 0;
	n = cow_name_at(t, ref);
	n->hash = p->hash;
	n->link = cow_name_link(p->parent, node);
	memcpy(n->text, p->name, p->len);
	return ref;
}

static void put_name(struct cow_chains *c, struct cow_name_record *n, cow_ref ref)
{
	uint32_t *head = &c->heads[n->hash & (c->count - 1)];

	n->next = *head;
	*head = ref;
}

static void widen_names(struct cow_nodes *t)
{
	struct cow_chains *c = &t->names, old = *c;
	uint32_t *heads = wider(c);

	if (!heads)
		return;
	c->heads = heads;
	c->count = 2 * old.count;
	for (size_t i = 0; i < old.count; i++)
		for (cow_ref ref = old.heads[i], next; ref; ref = next) {
			next = cow_name_at(t, ref)->next;
			put_name(c, cow_name_at(t, ref), ref);
		}
	free(old.heads);
}

void cow_name_insert(struct cow_nodes *t, cow_ref ref)
{
	struct cow_name_record *n = cow_name_at(t, ref);

	put_name(&t->names, n, ref);
	t->names.filled++;
	t->name_count++;
	cow_node_at(t, cow_name_parent(n->link))->children++;
	widen_names(t);
}

void cow_name_remove(struct cow_nodes *t, cow_ref ref)
{
	struct cow_name_record *n = cow_name_at(t, ref);
	cow_ref *at = &t->names.heads[n->hash & (t->names.count - 1)];

	while (*at != ref)
		at = &cow_name_at(t, *at)->next;
	*at = n->next;
	t->names.filled--;
	t->name_count--;
	cow_node_at(t, cow_name_parent(n->link))->children--;
}

/* ---- the names of a node */

void cow_alias_insert(struct cow_nodes *t, cow_ref ref)
{
	struct cow_name_record *n = cow_name_at(t, ref);
	struct cow_node_record *node = cow_node_at(t, cow_name_node(n->link));

	n->alias_prev = 0;
	n->alias_next = node->names;
	if (node->names)
		cow_name_at(t, node->names)->alias_prev = ref;
	node->names = ref;
}

void cow_alias_remove(struct cow_nodes *t, cow_ref ref)
{
	struct cow_name_record *n = cow_name_at(t, ref);

	if (n->alias_prev)
		cow_name_at(t, n->alias_prev)->alias_next = n->alias_next;
	else
		cow_node_at(t, cow_name_node(n->link))->names = n->alias_next;
	if (n->alias_next)
		cow_name_at(t, n->alias_next)->alias_prev = n->alias_prev;
}

/* ---- identities */

static uint32_t identity_hash(uint8_t layer, uint64_t dev, uint64_t ino)
{
	uint64_t h = mix(mix(mix(0, layer), dev), ino);

	return (uint32_t)(h ^ h >> 32);
}

static void put_identity(struct cow_nodes *t, uint64_t id)
{
	struct cow_node_record *n = cow_node_at(t, id);
	uint32_t hash = identity_hash(cow_node_layer(n->head), n->dev, n->ino);
	uint32_t *head = &t->identities.heads[hash & (t->identities.count - 1)];

	n->next = *head;
	*head = (uint32_t)id;
}

static void widen_identities(struct cow_nodes *t)
{
	struct cow_chains *c = &t->identities, old = *c;
	uint32_t *heads = wider(c);

	if (!heads)
		return;
	c->heads = heads;
	c->count = 2 * old.count;
	for (size_t i = 0; i < old.count; i++)
		for (uint32_t id = old.heads[i], next; id; id = next) {
			next = cow_node_at(t, id)->next;
			put_identity(t, id);
		}
	free(old.heads);
}

void cow_identity_insert(struct cow_nodes *t, uint64_t id)
{
	put_identity(t, id);
	t->identities.filled++;
	widen_identities(t);
}

void cow_identity_remove(struct cow_nodes *t, uint64_t id)
{
	const struct cow_node_record *n = cow_node_at(t, id);
	uint32_t hash = identity_hash(cow_node_layer(n->head), n->dev, n->ino);
	uint32_t *at = &t->identities.heads[hash & (t->identities.count - 1)];

	while (*at != id)
		at = &cow_node_at(t, *at)->next;
	*at = n->next;
	t->identities.filled--;
}

/* An object of the upper that was deleted for good has left its inode number to others. */
static bool is_gone(const struct cow_node_record *n)
{
	return cow_node_layer(n->head) == COW_UPPER && !n->names &&
	       !(cow_node_flags(n->head) & COW_NODE_ORPHAN);
}

static bool has_identity(const struct cow_node_record *n, const struct cow_identity *identity)
{
	return n->ino == identity->ino && n->dev == identity->dev &&
	       cow_node_layer(n->head) == identity->layer;
}

static uint64_t first_of(const struct cow_nodes *t, const struct cow_identity *identity)
{
	uint32_t hash = identity_hash(identity->layer, identity->dev, identity->ino);

	return t->identities.heads[hash & (t->identities.count - 1)];
}

uint64_t cow_identity_find(const struct cow_nodes *t, mode_t type, const struct cow_identity *identity)
{
	const struct cow_node_record *n;

	for (uint64_t id = first_of(t, identity); id; id = n->next) {
		n = cow_node_at(t, id);
		if (has_identity(n, identity) && cow_node_type(n->head) == type && !is_gone(n))
			return id;
	}
	return 0;
}

uint64_t cow_identity_any(const struct cow_nodes *t, const struct cow_identity *identity)
{
	uint64_t id = first_of(t, identity);

	while (id && !has_identity(cow_node_at(t, id), identity))
		id = cow_node_at(t, id)->next;
	return id;
}
