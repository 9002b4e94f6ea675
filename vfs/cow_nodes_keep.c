/* SPDX-License-Identifier: Apache-2.0 */
/* Taking over a node table: every record is looked at, every chain, count and free list made anew.
 *
 * Of a table that was left at any instruction all records are well formed; the only ones without sense are
 * those of a node that was just ending. More than that is damage: a record that no floe writes is ERR_FORMAT,
 * one that only contradicts others is dropped, the later of two that contradict each other. */
#include "vfs/cow_nodes_table.h"

#include <limits.h>
#include <string.h>

#include "vfs/cow_layer.h"

static int damaged(struct err *e, const char *what)
{
	return err_set(e, ERR_FORMAT, "the node table that was left behind is damaged: %s", what);
}

/* ---- nodes */

static bool node_is_well_formed(uint64_t head)
{
	switch (cow_node_type(head)) {
	case S_IFREG:
	case S_IFDIR:
	case S_IFLNK:
	case S_IFBLK:
	case S_IFCHR:
	case S_IFIFO:
	case S_IFSOCK:
		return cow_head_kind(head) == COW_IS_NODE && (head >> 12 & 0xf) == 0 &&
		       cow_node_layer(head) <= COW_LAYERS_MAX && (head >> 24 & 0xff) == 0;
	default:
		return false;
	}
}

static int keep_nodes_locked(struct cow_nodes *t, struct err *e) SYNC_REQUIRES(t->lock)
{
	for (uint64_t id = 0; id < t->memory.nodes_used; id++) {
		struct cow_node_record *n = cow_node_at(t, id);

		n->next = n->children = n->names = n->lost = 0;
		if (!n->head) {
			if (id > COW_ROOT)
				cow_memory_give_node(&t->memory, id);
			continue;
		}
		if (id < COW_ROOT || !node_is_well_formed(n->head))
			return damaged(e, "a node");
		t->node_count++;
		if (!cow_node_is_dir(n))
			cow_identity_insert(t, id);
	}
	if (t->node_count && !(cow_node_find(t, COW_ROOT) && cow_node_is_dir(cow_node_at(t, COW_ROOT))))
		return damaged(e, "no root");
	return 0;
}

static bool is_dir_locked(const struct cow_nodes *t, uint64_t id) SYNC_REQUIRES(t->lock)
{
	const struct cow_node_record *n = cow_node_find(t, id);

	return n && cow_node_is_dir(n);
}

/* ---- names */

static bool text_is_name(const char *text, size_t len)
{
	if (memchr(text, 0, len) || memchr(text, '/', len))
		return false;
	return !(text[0] == '.' && (len == 1 || (len == 2 && text[1] == '.')));
}

static bool name_is_well_formed(const struct cow_name_record *n, size_t room)
{
	size_t len = cow_name_len(n->head);
	unsigned kind = cow_head_kind(n->head);

	return (kind == COW_IS_NAME || kind == COW_IS_OLD || kind == COW_IS_NEW) && len >= 1 && len <= room &&
	       (n->head >> 17 & 0x7fff) == 0 && (kind == COW_IS_OLD || n->head >> 32 == 0) &&
	       text_is_name(n->text, len);
}

static void drop_record(struct cow_nodes *t, cow_ref ref)
{
	cow_memory_set(&((struct cow_record *)cow_memory_at(&t->memory, ref))->head, 0);
	cow_memory_give(&t->memory, ref);
}

static bool can_be_name_locked(const struct cow_nodes *t, const struct cow_name_record *n)
	SYNC_REQUIRES(t->lock)
{
	uint64_t parent = cow_name_parent(n->link), id = cow_name_node(n->link);
	const struct cow_node_record *node = cow_node_find(t, id);
	struct cow_name_place p = { (uint32_t)parent, n->text, cow_name_len(n->head), n->hash };

	return node && id != COW_ROOT && is_dir_locked(t, parent) &&
	       !(cow_node_is_dir(node) && node->names) && !cow_name_find(t, &p);
}

static int keep_name_locked(struct cow_nodes *t, cow_ref ref, size_t room, struct err *e)
	SYNC_REQUIRES(t->lock)
{
	struct cow_name_record *n = cow_name_at(t, ref);

	n->next = 0;
	if (!n->head) {
		cow_memory_give(&t->memory, ref);
		return 0;
	}
	if (!name_is_well_formed(n, room))
		return damaged(e, "a name");
	n->hash = cow_name_place_hash(cow_name_parent(n->link), n->text, cow_name_len(n->head));
	if (cow_head_kind(n->head) != COW_IS_NAME)
		return 0; /* later, when all names are there */
	if (!can_be_name_locked(t, n)) {
		drop_record(t, ref);
		return 0;
	}
	cow_name_insert(t, ref);
	cow_alias_insert(t, ref);
	return 0;
}

static int keep_path_locked(struct cow_nodes *t, cow_ref ref, struct err *e) SYNC_REQUIRES(t->lock)
{
	const struct cow_path_record *p = cow_memory_at(&t->memory, ref);
	struct cow_node_record *n = cow_node_find(t, cow_path_node(p->head));

	if (p->head && (cow_head_kind(p->head) != COW_IS_PATH || cow_path_len(p->head) >= PATH_MAX ||
			(p->head >> 8 & 0xff) != 0))
		return damaged(e, "a path");
	if (!p->head || !n || n->lost)
		drop_record(t, ref);
	else
		n->lost = ref;
	return 0;
}

/* ---- renames that were begun */

static bool place_is_there_locked(const struct cow_nodes *t, cow_ref ref) SYNC_REQUIRES(t->lock)
{
	return is_dir_locked(t, cow_name_parent(cow_name_at(t, ref)->link));
}

static void unname_dead_locked(struct cow_nodes *t, cow_ref ref) SYNC_REQUIRES(t->lock)
{
	struct cow_name_record *n = cow_name_at(t, ref);

	if (!cow_node_find(t, cow_name_node(n->link)) || cow_name_node(n->link) == COW_ROOT)
		cow_memory_set(&n->link, cow_name_link(cow_name_parent(n->link), 0));
}

static bool is_new_place_locked(const struct cow_nodes *t, cow_ref ref) SYNC_REQUIRES(t->lock)
{
	for (unsigned class_no = COW_CLASS_NAME; class_no < COW_CLASSES; class_no++)
		if (cow_memory_has(&t->memory, ref, class_no))
			return cow_head_kind(cow_name_at(t, ref)->head) == COW_IS_NEW;
	return false;
}

static int keep_old_place_locked(struct cow_nodes *t, cow_ref from, struct err *e) SYNC_REQUIRES(t->lock)
{
	cow_ref to = (cow_ref)(cow_name_at(t, from)->head >> 32);

	/* `next` of a new place says that it has its old one. */
	if (!is_new_place_locked(t, to) || cow_name_at(t, to)->next || !place_is_there_locked(t, from) ||
	    !place_is_there_locked(t, to)) {
		drop_record(t, from);
		return 0;
	}
	if (cow_pending_reserve_locked(t) != 0)
		return err_set(e, ERR_NOMEM, "out of memory");
	cow_name_at(t, to)->next = from;
	unname_dead_locked(t, from);
	unname_dead_locked(t, to);
	cow_pending_add_locked(t, from);
	return 0;
}

/* ---- all */

enum pass { PASS_RECORDS, PASS_OLD_PLACES, PASS_NEW_PLACES };

static int keep_record_locked(struct cow_nodes *t, cow_ref ref, unsigned class_no, enum pass pass,
			      struct err *e) SYNC_REQUIRES(t->lock)
{
	size_t room = t->memory.classes[class_no].size - sizeof(struct cow_name_record);
	unsigned kind = cow_head_kind(cow_name_at(t, ref)->head);

	if (pass == PASS_RECORDS)
		return class_no == COW_CLASS_PATH ? keep_path_locked(t, ref, e)
						  : keep_name_locked(t, ref, room, e);
	if (pass == PASS_OLD_PLACES && kind == COW_IS_OLD)
		return keep_old_place_locked(t, ref, e);
	if (pass == PASS_NEW_PLACES && kind == COW_IS_NEW && !cow_name_at(t, ref)->next)
		drop_record(t, ref);
	return 0;
}

static int keep_records_locked(struct cow_nodes *t, enum pass pass, struct err *e) SYNC_REQUIRES(t->lock)
{
	for (uint32_t segment = 1; segment < t->memory.segments; segment++) {
		unsigned class_no = t->memory.segment_class[segment];
		uint32_t used = cow_memory_used(&t->memory, segment);
		cow_ref ref = cow_memory_first(segment);

		if (class_no == COW_CLASS_NODE)
			continue;
		for (uint32_t i = 0; i < used; i++) {
			if (keep_record_locked(t, ref, class_no, pass, e) < 0)
				return -1;
			ref += (cow_ref)(t->memory.classes[class_no].size / COW_REF_UNIT);
		}
	}
	return 0;
}

/* Directories that lie in themselves lose a name. `next` of a directory, which is in no chain, says on which
 * walk it was met. */
static void break_circles_locked(struct cow_nodes *t) SYNC_REQUIRES(t->lock)
{
	for (uint32_t start = COW_ROOT + 1; start < t->memory.nodes_used; start++) {
		uint64_t id = start;

		if (!is_dir_locked(t, id))
			continue;
		while (id > COW_ROOT && cow_node_at(t, id)->next == 0) {
			cow_node_at(t, id)->next = start;
			id = cow_node_parent(t, cow_node_at(t, id));
		}
		if (id > COW_ROOT && cow_node_at(t, id)->next == start)
			cow_name_drop_locked(t, cow_node_at(t, id)->names);
	}
}

int cow_nodes_keep_locked(struct cow_nodes *t, struct err *e)
{
	if (keep_nodes_locked(t, e) < 0 || keep_records_locked(t, PASS_RECORDS, e) < 0 ||
	    keep_records_locked(t, PASS_OLD_PLACES, e) < 0 || keep_records_locked(t, PASS_NEW_PLACES, e) < 0)
		return -1;
	break_circles_locked(t);
	for (uint64_t id = COW_ROOT + 1; id < t->memory.nodes_used; id++)
		(void)cow_let_go_locked(t, id);
	return 0;
}
