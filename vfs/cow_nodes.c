/* SPDX-License-Identifier: Apache-2.0 */
/* See cow_nodes.h, and cow_nodes_table.h for how it is made up. The first name of a node is the one that was
 * seen or given last: of the names of a host file it is the likeliest to be there still. */
#include "vfs/cow_nodes.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "vfs/cow_nodes_table.h"

/* ---- the table */

static int make_root(struct cow_nodes *t, struct err *e)
{
	struct cow_node_record *n;

	/* Id 0 is nobody's: the kernel takes it for "no such file". */
	while (t->memory.nodes_used <= COW_ROOT)
		if (cow_memory_take_node(&t->memory) == 0 && t->memory.nodes_used == 0)
			return err_set(e, ERR_NOMEM, "no memory for the node table");
	n = cow_node_at(t, COW_ROOT);
	n->generation++;
	n->lookups = 1;
	cow_memory_set(&n->head, cow_node_head(S_IFDIR, 0, 0));
	t->node_count = 1;
	return 0;
}

static int open_locked(struct cow_nodes *t, int memfd, bool takeover, struct err *e) SYNC_REQUIRES(t->lock)
{
	bool is_new;

	if (cow_memory_open(memfd, takeover, &t->memory, &is_new, e) < 0 ||
	    cow_chains_open(&t->names, e) < 0 || cow_chains_open(&t->identities, e) < 0)
		return -1;
	if (!is_new && cow_nodes_keep_locked(t, e) < 0)
		return -1;
	/* Who died before the root was there had told nobody anything. */
	if (t->node_count == 0)
		return make_root(t, e);
	return 0;
}

int cow_nodes_open(int memfd, bool takeover, struct cow_nodes **ret, struct err *e)
{
	struct cow_nodes *t = mem_alloc(1, sizeof(*t), e);
	int r;

	if (!t)
		return -1;
	sync_mutex_init(&t->lock);
	sync_lock(&t->lock);
	r = open_locked(t, memfd, takeover, e);
	sync_unlock(&t->lock);
	if (r < 0) {
		cow_nodes_close(t);
		return -1;
	}
	*ret = t;
	return 0;
}

void cow_nodes_close(struct cow_nodes *t)
{
	if (!t)
		return;
	cow_memory_close(&t->memory);
	free(t->names.heads);
	free(t->identities.heads);
	free(t->pending);
	sync_mutex_fini(&t->lock);
	free(t);
}

/* By that of its names; ref 0: it has none. */
static void copy_named_locked(const struct cow_nodes *t, uint64_t id, cow_ref ref, struct cow_node *ret)
	SYNC_REQUIRES(t->lock);
static void copy_named_locked(const struct cow_nodes *t, uint64_t id, cow_ref ref, struct cow_node *ret)
{
	const struct cow_node_record *n = cow_node_at(t, id);
	const struct cow_name_record *name = ref ? cow_name_at(t, ref) : NULL;
	size_t len = name ? cow_name_len(name->head) : 0;

	ret->id = id;
	ret->generation = n->generation;
	ret->type = cow_node_type(n->head);
	ret->flags = cow_node_flags(n->head);
	ret->identity = (struct cow_identity){ cow_node_layer(n->head), n->dev, n->ino };
	ret->shown_ino = n->shown_ino;
	ret->stamp = n->stamp;
	ret->parent = name ? cow_name_parent(name->link) : 0;
	if (len)
		memcpy(ret->name, name->text, len);
	ret->name[len] = 0;
}

static void copy_locked(const struct cow_nodes *t, uint64_t id, struct cow_node *ret) SYNC_REQUIRES(t->lock);
static void copy_locked(const struct cow_nodes *t, uint64_t id, struct cow_node *ret)
{
	copy_named_locked(t, id, cow_node_at(t, id)->names, ret);
}

void cow_nodes_stats(struct cow_nodes *t, struct cow_nodes_stats *ret)
{
	sync_lock(&t->lock);
	*ret = (struct cow_nodes_stats){
		.nodes = t->node_count,
		.names = t->name_count,
		.bytes = sizeof(*t) + t->memory.backed + t->memory.segments_max +
			 t->memory.node_segments * sizeof(*t->memory.node_segment) +
			 (t->names.count + t->identities.count) * sizeof(*t->names.heads) +
			 t->pending_cap * sizeof(*t->pending),
	};
	sync_unlock(&t->lock);
}

/* False: the node has ended, or has no so many names. */
static bool copy_nth_name_locked(const struct cow_nodes *t, uint64_t id, unsigned nth, struct cow_node *ret)
	SYNC_REQUIRES(t->lock);
static bool copy_nth_name_locked(const struct cow_nodes *t, uint64_t id, unsigned nth, struct cow_node *ret)
{
	const struct cow_node_record *n = cow_node_find(t, id);
	cow_ref ref = n ? n->names : 0;

	for (unsigned i = 0; ref && i < nth; i++)
		ref = cow_name_at(t, ref)->alias_next;
	if (!n || (nth && !ref))
		return false;
	copy_named_locked(t, id, ref, ret);
	return true;
}

bool cow_nodes_other_name(struct cow_nodes *t, uint64_t id, uint64_t parent, const char *name,
			  struct cow_node *ret)
{
	bool found = false;

	sync_lock(&t->lock);
	for (unsigned nth = 0; !found && copy_nth_name_locked(t, id, nth, ret); nth++)
		found = ret->parent && (ret->parent != parent || strcmp(ret->name, name) != 0);
	sync_unlock(&t->lock);
	return found;
}

void cow_nodes_each(struct cow_nodes *t, void (*fn)(void *arg, const struct cow_node *n), void *arg)
{
	struct cow_node n;
	bool found;

	for (uint64_t id = COW_ROOT, used = id + 1; id < used; id++) {
		unsigned nth = 0;

		do {
			sync_lock(&t->lock);
			used = t->memory.nodes_used;
			found = copy_nth_name_locked(t, id, nth++, &n);
			sync_unlock(&t->lock);
			if (found)
				fn(arg, &n);
		} while (found);
	}
}

/* ---- beginnings and ends */

/* A node that is not valid yet; 0: no memory. */
static uint64_t make_node_locked(struct cow_nodes *t, const struct cow_sighting *s) SYNC_REQUIRES(t->lock)
{
	bool is_dir = S_ISDIR(s->type);
	uint64_t id = cow_memory_take_node(&t->memory);
	struct cow_node_record *n;

	if (!id)
		return 0;
	n = cow_node_at(t, id);
	/* Each for itself: the generation must not go through 0. */
	n->generation++;
	n->lookups = 0;
	n->dev = is_dir ? 0 : s->identity.dev;
	n->ino = is_dir ? 0 : s->identity.ino;
	n->shown_ino = s->shown_ino;
	n->stamp = s->stamp;
	n->next = n->children = n->names = n->lost = 0;
	return id;
}

static uint64_t head_for(const struct cow_sighting *s, unsigned flags)
{
	return cow_node_head(s->type, S_ISDIR(s->type) ? 0 : s->identity.layer, flags);
}

static void insert_node_locked(struct cow_nodes *t, uint64_t id) SYNC_REQUIRES(t->lock)
{
	t->node_count++;
	if (!cow_node_is_dir(cow_node_at(t, id)))
		cow_identity_insert(t, id);
}

/* A node without names. */
static void end_node_locked(struct cow_nodes *t, uint64_t id) SYNC_REQUIRES(t->lock)
{
	struct cow_node_record *n = cow_node_at(t, id);

	for (size_t i = 0; i < t->pending_count; i++)
		cow_pending_unname(t, t->pending[i], id);
	if (n->lost) {
		cow_memory_set(&((struct cow_path_record *)cow_memory_at(&t->memory, n->lost))->head, 0);
		cow_memory_give(&t->memory, n->lost);
	}
	if (!cow_node_is_dir(n))
		cow_identity_remove(t, id);
	if (t->on_end)
		t->on_end(t->on_end_arg, id, cow_node_type(n->head));
	t->node_count--;
	cow_memory_set(&n->head, 0);
	cow_memory_give_node(&t->memory, id);
}

void cow_name_drop_locked(struct cow_nodes *t, cow_ref ref)
{
	struct cow_name_record *n = cow_name_at(t, ref);

	cow_memory_set(&n->head, 0);
	cow_alias_remove(t, ref);
	cow_name_remove(t, ref);
	cow_memory_give(&t->memory, ref);
}

/* A directory has one name, so that this is a line and no tree. */
static void let_go_up_locked(struct cow_nodes *t, uint64_t dir) SYNC_REQUIRES(t->lock)
{
	struct cow_node_record *n = cow_node_find(t, dir);

	while (n && !cow_node_is_needed(dir, n)) {
		uint64_t above = cow_node_parent(t, n);

		if (n->names)
			cow_name_drop_locked(t, n->names);
		end_node_locked(t, dir);
		dir = above;
		n = cow_node_find(t, dir);
	}
}

bool cow_let_go_locked(struct cow_nodes *t, uint64_t id)
{
	struct cow_node_record *n = cow_node_find(t, id);

	if (!n || cow_node_is_needed(id, n))
		return false;
	if (cow_node_is_dir(n)) {
		let_go_up_locked(t, id);
		return true;
	}
	while (n->names) {
		uint64_t dir = cow_node_parent(t, n);

		cow_name_drop_locked(t, n->names);
		let_go_up_locked(t, dir);
	}
	end_node_locked(t, id);
	return true;
}

bool cow_nodes_forget(struct cow_nodes *t, uint64_t id, uint64_t lookups, struct cow_node *ret)
{
	struct cow_node_record *n;
	bool gone = false;

	sync_lock(&t->lock);
	n = cow_node_find(t, id);
	if (n && id != COW_ROOT) {
		cow_memory_set(&n->lookups, n->lookups - (lookups < n->lookups ? lookups : n->lookups));
		gone = !cow_node_is_needed(id, n);
		if (gone) {
			copy_locked(t, id, ret);
			(void)cow_let_go_locked(t, id);
		}
	}
	sync_unlock(&t->lock);
	return gone;
}

void cow_nodes_on_end(struct cow_nodes *t, void (*fn)(void *arg, uint64_t id, mode_t type), void *arg)
{
	sync_lock(&t->lock);
	t->on_end = fn;
	t->on_end_arg = arg;
	sync_unlock(&t->lock);
}

/* ---- looking */

int cow_nodes_get(struct cow_nodes *t, uint64_t id, struct cow_node *ret)
{
	int r = ESTALE;

	sync_lock(&t->lock);
	if (cow_node_find(t, id)) {
		copy_locked(t, id, ret);
		r = 0;
	}
	sync_unlock(&t->lock);
	return r;
}

static void to_front(struct cow_nodes *t, cow_ref ref)
{
	if (!cow_name_at(t, ref)->alias_prev)
		return;
	cow_alias_remove(t, ref);
	cow_alias_insert(t, ref);
}

static int child_locked(struct cow_nodes *t, uint64_t parent, const char *name, struct cow_node *ret)
	SYNC_REQUIRES(t->lock)
{
	struct cow_name_place p;
	cow_ref ref;
	int r = cow_name_place_of(t, parent, name, &p);

	if (r != 0)
		return r;
	ref = cow_name_find(t, &p);
	if (!ref)
		return ENOENT;
	to_front(t, ref);
	copy_locked(t, cow_name_node(cow_name_at(t, ref)->link), ret);
	return 0;
}

int cow_nodes_child(struct cow_nodes *t, uint64_t parent, const char *name, struct cow_node *ret)
{
	int r;

	sync_lock(&t->lock);
	r = child_locked(t, parent, name, ret);
	sync_unlock(&t->lock);
	return r;
}

bool cow_is_below_locked(const struct cow_nodes *t, uint64_t id, uint64_t above)
{
	while (id != above && id != 0) {
		const struct cow_node_record *n = cow_node_find(t, id);

		id = n ? cow_node_parent(t, n) : 0;
	}
	return id != 0;
}

/* ---- names */

void cow_step_named(struct cow_step *s, struct cow_node_record *n)
{
	if (cow_node_flags(n->head) & COW_NODE_LOST)
		cow_step_add(s, &n->head, n->head & ~((uint64_t)COW_NODE_LOST << 32));
}

/* In one step with what is in *s already the node gets a name; `ref`: the name's record, 0 = nobody has it.
 */
static int give_name_locked(struct cow_nodes *t, const struct cow_name_place *p, cow_ref ref, uint64_t id,
			    struct cow_step *s) SYNC_REQUIRES(t->lock)
{
	bool is_new = !ref;
	struct cow_name_record *n;

	if (is_new)
		ref = cow_name_make(t, p, id);
	if (!ref)
		return ENOMEM;
	n = cow_name_at(t, ref);
	if (is_new)
		cow_step_add(s, &n->head, cow_name_head(COW_IS_NAME, p->len));
	else
		cow_step_add(s, &n->link, cow_name_link(p->parent, id));
	cow_step_named(s, cow_node_at(t, id));
	if (!is_new)
		cow_alias_remove(t, ref);
	cow_memory_do(&t->memory, s);
	if (is_new)
		cow_name_insert(t, ref);
	cow_alias_insert(t, ref);
	return 0;
}

static bool is_that_locked(const struct cow_nodes *t, uint64_t id, const struct cow_sighting *s)
	SYNC_REQUIRES(t->lock)
{
	const struct cow_node_record *n = cow_node_at(t, id);

	if (cow_node_type(n->head) != (s->type & S_IFMT))
		return false;
	return S_ISDIR(s->type) || (n->ino == s->identity.ino && n->dev == s->identity.dev &&
				    cow_node_layer(n->head) == s->identity.layer);
}

static int seen_locked(struct cow_nodes *t, const struct cow_sighting *s, uint64_t *ret_id)
	SYNC_REQUIRES(t->lock)
{
	struct cow_step step = { 0 };
	struct cow_name_place p;
	uint64_t id = 0;
	bool is_new;
	cow_ref ref;
	int r = cow_name_place_of(t, s->parent, s->name, &p);

	if (r != 0)
		return r;
	ref = cow_name_find(t, &p);
	if (ref && is_that_locked(t, cow_name_node(cow_name_at(t, ref)->link), s)) {
		id = cow_name_node(cow_name_at(t, ref)->link);
		to_front(t, ref);
		cow_memory_set(&cow_node_at(t, id)->lookups, cow_node_at(t, id)->lookups + 1);
		*ret_id = id;
		return 0;
	}
	if (!S_ISDIR(s->type))
		id = cow_identity_find(t, s->type & S_IFMT, &s->identity);
	is_new = id == 0;
	if (is_new)
		id = make_node_locked(t, s);
	if (!id)
		return ENOMEM;
	cow_step_add(&step, &cow_node_at(t, id)->lookups, cow_node_at(t, id)->lookups + 1);
	if (is_new)
		cow_step_add(&step, &cow_node_at(t, id)->head, head_for(s, s->flags));
	r = give_name_locked(t, &p, ref, id, &step);
	if (r == 0 && is_new)
		insert_node_locked(t, id);
	else if (is_new)
		cow_memory_give_node(&t->memory, id);
	if (r == 0)
		*ret_id = id;
	return r;
}

int cow_nodes_seen(struct cow_nodes *t, const struct cow_sighting *s, struct cow_node *ret)
{
	uint64_t id;
	int r;

	sync_lock(&t->lock);
	r = seen_locked(t, s, &id);
	if (r == 0)
		copy_locked(t, id, ret);
	sync_unlock(&t->lock);
	return r;
}

int cow_nodes_add_orphan(struct cow_nodes *t, const struct cow_sighting *s, struct cow_node *ret)
{
	uint64_t id;

	if (S_ISDIR(s->type))
		return EINVAL;
	sync_lock(&t->lock);
	id = make_node_locked(t, s);
	if (id) {
		cow_node_at(t, id)->lookups = 1;
		cow_memory_set(&cow_node_at(t, id)->head, head_for(s, s->flags | COW_NODE_ORPHAN));
		insert_node_locked(t, id);
		copy_locked(t, id, ret);
	}
	sync_unlock(&t->lock);
	return id ? 0 : ENOMEM;
}

static int link_locked(struct cow_nodes *t, uint64_t id, uint64_t parent, const char *name)
	SYNC_REQUIRES(t->lock)
{
	struct cow_node_record *n = cow_node_find(t, id);
	struct cow_step step = { 0 };
	struct cow_name_place p;
	cow_ref ref;
	int r = cow_name_place_of(t, parent, name, &p);

	if (r != 0)
		return r;
	if (!n)
		return ESTALE;
	if (cow_node_is_dir(n))
		return EPERM;
	ref = cow_name_find(t, &p);
	if (ref && cow_name_node(cow_name_at(t, ref)->link) == id) {
		to_front(t, ref);
		return 0;
	}
	return give_name_locked(t, &p, ref, id, &step);
}

int cow_nodes_link(struct cow_nodes *t, uint64_t id, uint64_t parent, const char *name)
{
	int r;

	sync_lock(&t->lock);
	r = link_locked(t, id, parent, name);
	sync_unlock(&t->lock);
	return r;
}

void cow_nodes_unlink(struct cow_nodes *t, uint64_t parent, const char *name)
{
	struct cow_name_place p;
	cow_ref ref = 0;

	sync_lock(&t->lock);
	if (cow_name_place_of(t, parent, name, &p) == 0)
		ref = cow_name_find(t, &p);
	if (ref) {
		cow_name_drop_locked(t, ref);
		(void)cow_let_go_locked(t, parent);
	}
	sync_unlock(&t->lock);
}
