/* SPDX-License-Identifier: Apache-2.0 */
/* A model of the union's node table: the same calls on plain arrays, made up from a seed, so that two
 * processes come to the same state without talking. Include in one file of a program only. */
#ifndef FLOE_TESTS_NODES_MODEL_H
#define FLOE_TESTS_NODES_MODEL_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "vfs/cow_nodes.h"

enum { MODEL_NODES = 48, MODEL_NAMES = 96, MODEL_PENDING = 3, MODEL_PARTS = 10 };

struct model_node {
	bool is_there;
	uint64_t id, generation; /* id 0: the table has not said yet */
	mode_t type;
	unsigned flags;
	struct cow_identity identity;
	uint64_t stamp, lookups, lost; /* lost: 0 = no path */
};
struct model_name {
	unsigned node; /* 0 = free */
	unsigned parent, part;
};
struct model_pending {
	bool is_there, exchange;
	unsigned old_parent, old_part, new_parent, new_part, moved, back;
};
struct model { /* node 1 is the root */
	struct model_node nodes[MODEL_NODES];
	struct model_name names[MODEL_NAMES];
	struct model_pending pending[MODEL_PENDING];
	uint64_t numbers; /* of identities that nobody had */
};

enum model_kind {
	MODEL_SEEN,
	MODEL_ORPHAN,
	MODEL_FORGET,
	MODEL_LINK,
	MODEL_UNLINK,
	MODEL_BEGIN,
	MODEL_END,
	MODEL_IDENTITY,
	MODEL_FACTS,
	MODEL_LOST,
	MODEL_KINDS
};
struct model_op {
	enum model_kind kind;
	unsigned node, parent, part, parent2, part2; /* of the model */
	mode_t type;
	struct cow_identity identity;
	uint64_t value;
	bool exchange, done;
};

static uint64_t model_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed >> 11;
}

/* Names short and long, in all sizes of records. */
static const char *model_text(unsigned part, char ret[NAME_MAX + 1])
{
	static const uint8_t lens[MODEL_PARTS] = { 1, 8, 9, 17, 25, 40, 60, 90, 150, 255 };

	memset(ret, 'a' + (int)part, lens[part]);
	ret[lens[part]] = 0;
	return ret;
}

static struct model model_new(void)
{
	struct model m = { .numbers = 1000 };

	m.nodes[COW_ROOT] = (struct model_node){
		.is_there = true, .id = 1, .generation = 1, .type = S_IFDIR, .lookups = 1
	};
	return m;
}

static unsigned model_name_at(const struct model *m, unsigned parent, unsigned part)
{
	for (unsigned i = 0; i < MODEL_NAMES; i++)
		if (m->names[i].node && m->names[i].parent == parent && m->names[i].part == part)
			return i;
	return MODEL_NAMES;
}

static bool model_has_name(const struct model *m, unsigned node)
{
	for (unsigned i = 0; i < MODEL_NAMES; i++)
		if (m->names[i].node == node)
			return true;
	return false;
}

static bool model_has_children(const struct model *m, unsigned node)
{
	for (unsigned i = 0; i < MODEL_NAMES; i++)
		if (m->names[i].node && m->names[i].parent == node)
			return true;
	for (unsigned i = 0; i < MODEL_PENDING; i++)
		if (m->pending[i].is_there &&
		    (m->pending[i].old_parent == node || m->pending[i].new_parent == node))
			return true;
	return false;
}

/* What nothing needs goes, until all that is there is needed. */
static void model_settle(struct model *m)
{
	for (bool again = true; again;) {
		again = false;
		for (unsigned n = COW_ROOT + 1; n < MODEL_NODES; n++) {
			if (!m->nodes[n].is_there || m->nodes[n].lookups || model_has_children(m, n))
				continue;
			m->nodes[n].is_there = false;
			for (unsigned i = 0; i < MODEL_NAMES; i++)
				if (m->names[i].node == n)
					m->names[i].node = 0;
			for (unsigned i = 0; i < MODEL_PENDING; i++) {
				m->pending[i].moved = m->pending[i].moved == n ? 0 : m->pending[i].moved;
				m->pending[i].back = m->pending[i].back == n ? 0 : m->pending[i].back;
			}
			again = true;
		}
	}
}

static unsigned model_node_at(const struct model *m, unsigned parent, unsigned part)
{
	unsigned i = model_name_at(m, parent, part);

	return i < MODEL_NAMES ? m->names[i].node : 0;
}

static void model_put(struct model *m, unsigned parent, unsigned part, unsigned node)
{
	unsigned i = model_name_at(m, parent, part);

	if (i < MODEL_NAMES && m->names[i].node == node)
		return;
	for (unsigned free = 0; i == MODEL_NAMES; free++)
		if (!m->names[free].node)
			i = free;
	m->names[i] = (struct model_name){ node, parent, part };
	m->nodes[node].flags &= ~(unsigned)COW_NODE_LOST;
}

static bool model_is_below(const struct model *m, unsigned node, unsigned above)
{
	while (node && node != above) {
		unsigned next = 0;

		for (unsigned i = 0; i < MODEL_NAMES; i++)
			if (m->names[i].node == node)
				next = m->names[i].parent;
		node = next;
	}
	return node != 0;
}

static bool model_same(const struct model_node *n, const struct model_op *op)
{
	return n->type == op->type && (S_ISDIR(op->type) || (n->identity.layer == op->identity.layer &&
							     n->identity.ino == op->identity.ino));
}

static unsigned model_new_node(struct model *m, const struct model_op *op)
{
	unsigned n = COW_ROOT + 1;

	while (m->nodes[n].is_there)
		n++;
	m->nodes[n] = (struct model_node){ .is_there = true, .type = op->type };
	if (!S_ISDIR(op->type))
		m->nodes[n].identity = op->identity;
	return n;
}

static unsigned model_seen(struct model *m, const struct model_op *op)
{
	unsigned n = model_node_at(m, op->parent, op->part);

	if (n && !model_same(&m->nodes[n], op))
		n = 0;
	for (unsigned i = COW_ROOT + 1; !n && !S_ISDIR(op->type) && i < MODEL_NODES; i++)
		if (m->nodes[i].is_there && model_same(&m->nodes[i], op) &&
		    (op->identity.layer != COW_UPPER || model_has_name(m, i) ||
		     m->nodes[i].flags & COW_NODE_ORPHAN))
			n = i;
	if (!n)
		n = model_new_node(m, op);
	m->nodes[n].lookups++;
	model_put(m, op->parent, op->part, n);
	return n;
}

static void model_end(struct model *m, const struct model_op *op)
{
	unsigned p = 0, moved, back, at_old, from, to;

	while (p < MODEL_PENDING &&
	       !(m->pending[p].is_there && m->pending[p].old_parent == op->parent &&
		 m->pending[p].old_part == op->part && m->pending[p].new_parent == op->parent2 &&
		 m->pending[p].new_part == op->part2 && m->pending[p].exchange == op->exchange))
		p++;
	at_old = model_node_at(m, op->parent, op->part);
	moved = m->pending[p].moved ? m->pending[p].moved : at_old;
	back = m->pending[p].back ? m->pending[p].back : model_node_at(m, op->parent2, op->part2);
	m->pending[p].is_there = false;
	from = model_name_at(m, op->parent, op->part);
	to = model_name_at(m, op->parent2, op->part2);
	if (!op->done || (from < MODEL_NAMES && from == to) ||
	    (moved && model_is_below(m, op->parent2, moved)) ||
	    (op->exchange && back && model_is_below(m, op->parent, back)))
		return;
	if (op->exchange || moved == at_old) {
		if (from < MODEL_NAMES)
			m->names[from].node = 0;
		if (op->exchange && back)
			model_put(m, op->parent, op->part, back);
	}
	to = model_name_at(m, op->parent2, op->part2);
	if (to < MODEL_NAMES)
		m->names[to].node = 0;
	if (moved)
		model_put(m, op->parent2, op->part2, moved);
}

/* The node that it was about, where that is the table's to say. */
static unsigned model_apply(struct model *m, const struct model_op *op)
{
	struct model_node *n = &m->nodes[op->node];
	unsigned touched = 0, i = 0;

	switch (op->kind) {
	case MODEL_SEEN:
		touched = model_seen(m, op);
		break;
	case MODEL_ORPHAN:
		touched = model_new_node(m, op);
		m->nodes[touched].flags = COW_NODE_ORPHAN;
		m->nodes[touched].lookups = 1;
		break;
	case MODEL_FORGET:
		n->lookups -= op->value < n->lookups ? op->value : n->lookups;
		break;
	case MODEL_LINK:
		model_put(m, op->parent, op->part, op->node);
		break;
	case MODEL_UNLINK:
		i = model_name_at(m, op->parent, op->part);
		if (i < MODEL_NAMES)
			m->names[i].node = 0;
		break;
	case MODEL_BEGIN:
		while (m->pending[i].is_there)
			i++;
		m->pending[i] = (struct model_pending){
			.is_there = true,
			.exchange = op->exchange,
			.old_parent = op->parent,
			.old_part = op->part,
			.new_parent = op->parent2,
			.new_part = op->part2,
			.moved = model_node_at(m, op->parent, op->part),
			.back = model_node_at(m, op->parent2, op->part2),
		};
		break;
	case MODEL_END:
		model_end(m, op);
		break;
	case MODEL_IDENTITY:
		n->identity = op->identity;
		break;
	case MODEL_FACTS:
		n->flags = (n->flags & ~(unsigned)(op->value >> 8 & COW_NODE_LINKED)) |
			   (op->value & (COW_NODE_LINKED | COW_NODE_LOST));
		break;
	case MODEL_LOST:
		n->lost = op->value;
		break;
	case MODEL_KINDS:
		break;
	}
	model_settle(m);
	return touched;
}

/* ---- making operations up */

static unsigned model_pick(const struct model *m, uint64_t *seed, bool dirs, bool files)
{
	for (unsigned tries = 0; tries < 200; tries++) {
		unsigned n = (unsigned)(model_random(seed) % MODEL_NODES);

		if (n >= COW_ROOT && m->nodes[n].is_there && (S_ISDIR(m->nodes[n].type) ? dirs : files))
			return n;
	}
	return dirs ? COW_ROOT : 0;
}

static void model_pick_rename(const struct model *m, uint64_t *seed, struct model_op *op)
{
	unsigned i = (unsigned)(model_random(seed) % MODEL_NAMES);

	if (m->names[i].node) { /* mostly something that there is */
		op->parent = m->names[i].parent;
		op->part = m->names[i].part;
	}
	op->parent2 = model_pick(m, seed, true, false);
	op->part2 = (unsigned)(model_random(seed) % MODEL_PARTS);
	op->exchange = model_random(seed) % 3 == 0;
}

static unsigned model_count(const struct model *m, unsigned *ret_names)
{
	unsigned nodes = 0;

	*ret_names = 0;
	for (unsigned i = 0; i < MODEL_NODES; i++)
		nodes += m->nodes[i].is_there;
	for (unsigned i = 0; i < MODEL_NAMES; i++)
		*ret_names += m->names[i].node != 0;
	return nodes;
}

static bool model_meet(unsigned parent, unsigned part, const struct model_pending *p)
{
	return (parent == p->old_parent && part == p->old_part) ||
	       (parent == p->new_parent && part == p->new_part);
}

/* One rename at a time concerns a place. */
static void model_pick_pending(const struct model *m, uint64_t *seed, struct model_op *op)
{
	unsigned i = (unsigned)(model_random(seed) % MODEL_PENDING), count = 0;

	if (op->kind == MODEL_BEGIN)
		model_pick_rename(m, seed, op);
	for (unsigned k = 0; k < MODEL_PENDING; k++) {
		const struct model_pending *p = &m->pending[k];

		count += p->is_there;
		if (op->kind == MODEL_BEGIN && p->is_there &&
		    (count == MODEL_PENDING || model_meet(op->parent, op->part, p) ||
		     model_meet(op->parent2, op->part2, p))) {
			op->kind = MODEL_END;
			i = k;
		}
	}
	if (op->kind == MODEL_BEGIN)
		return;
	if (!m->pending[i].is_there) {
		op->kind = MODEL_UNLINK;
		return;
	}
	op->parent = m->pending[i].old_parent;
	op->part = m->pending[i].old_part;
	op->parent2 = m->pending[i].new_parent;
	op->part2 = m->pending[i].new_part;
	op->exchange = m->pending[i].exchange;
	op->done = model_random(seed) % 4 != 0;
}

static bool model_may_lose(const struct model *m, unsigned node)
{
	unsigned count = 0;

	for (unsigned i = 0; i < MODEL_NODES; i++)
		count += m->nodes[i].is_there && m->nodes[i].lost;
	return m->nodes[node].lost || count < 4; /* the paths are large */
}

/* Was an object of the upper with that number deleted, and is it not forgotten? */
static bool model_is_gone(const struct model *m, const struct cow_identity *identity)
{
	for (unsigned i = COW_ROOT + 1; identity->layer == COW_UPPER && i < MODEL_NODES; i++)
		if (m->nodes[i].is_there && m->nodes[i].identity.layer == COW_UPPER &&
		    m->nodes[i].identity.ino == identity->ino && !model_has_name(m, i))
			return true;
	return false;
}

static struct model_op model_make_up(const struct model *m, uint64_t *seed)
{
	static const mode_t types[] = { S_IFDIR, S_IFDIR, S_IFREG, S_IFREG, S_IFREG, S_IFLNK };
	struct model_op op = { .kind = (enum model_kind)(model_random(seed) % (MODEL_KINDS + 6)) };
	unsigned names, nodes = model_count(m, &names);

	if (op.kind >= MODEL_KINDS)
		op.kind = op.kind % 3 ? MODEL_SEEN : MODEL_FORGET;
	op.parent = model_pick(m, seed, true, false);
	op.part = (unsigned)(model_random(seed) % MODEL_PARTS);
	op.type = types[model_random(seed) % 6];
	op.identity =
		(struct cow_identity){ (uint8_t)(model_random(seed) % 3), 7, 1 + model_random(seed) % 20 };
	op.value = model_random(seed) % 5 + 1;
	if (op.kind == MODEL_BEGIN || op.kind == MODEL_END)
		model_pick_pending(m, seed, &op);
	if ((op.kind == MODEL_SEEN || op.kind == MODEL_ORPHAN || op.kind == MODEL_LINK) &&
	    (nodes > MODEL_NODES - 4 || names > MODEL_NAMES - 4))
		op.kind = MODEL_FORGET;
	if (op.kind == MODEL_FORGET || op.kind == MODEL_LINK || op.kind >= MODEL_IDENTITY)
		op.node = model_pick(m, seed, op.kind == MODEL_FORGET || op.kind == MODEL_FACTS,
				     op.kind != MODEL_KINDS);
	if ((op.kind == MODEL_LINK || op.kind >= MODEL_IDENTITY) && !op.node)
		op.kind = MODEL_UNLINK;
	if (op.kind == MODEL_FORGET && op.node == COW_ROOT)
		op.kind = MODEL_UNLINK;
	if (op.kind == MODEL_LOST && !model_may_lose(m, op.node))
		op.kind = MODEL_FORGET;
	/* An object of its own: two nodes of one identity are not told apart. */
	if (op.kind == MODEL_IDENTITY || op.kind == MODEL_ORPHAN || model_is_gone(m, &op.identity))
		op.identity = (struct cow_identity){ COW_UPPER, 7, m->numbers + model_random(seed) % 100000 };
	if (op.kind == MODEL_ORPHAN)
		op.type = S_IFREG;
	if (op.kind == MODEL_FACTS)
		op.value = model_random(seed);
	return op;
}

#endif
