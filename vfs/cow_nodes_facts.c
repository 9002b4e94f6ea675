/* SPDX-License-Identifier: Apache-2.0 */
/* What the node table knows of a node besides its names: where the object is, and what was last shown. */
#include "vfs/cow_nodes_table.h"

#include <errno.h>
#include <string.h>

int cow_nodes_set_identity(struct cow_nodes *t, uint64_t id, const struct cow_identity *identity)
{
	struct cow_node_record *n;
	struct cow_step step = { 0 };
	int r = ESTALE;

	sync_lock(&t->lock);
	n = cow_node_find(t, id);
	if (n && cow_node_is_dir(n)) {
		r = EINVAL;
	} else if (n) {
		cow_step_add(&step, &n->head,
			     cow_node_head(cow_node_type(n->head), identity->layer, cow_node_flags(n->head)));
		cow_step_add(&step, &n->dev, identity->dev);
		cow_step_add(&step, &n->ino, identity->ino);
		cow_identity_remove(t, id);
		cow_memory_do(&t->memory, &step);
		cow_identity_insert(t, id);
		r = 0;
	}
	sync_unlock(&t->lock);
	return r;
}

void cow_nodes_made(struct cow_nodes *t, const struct cow_identity *identity)
{
	uint64_t id;

	sync_lock(&t->lock);
	while ((id = cow_identity_any(t, identity))) {
		struct cow_node_record *n = cow_node_at(t, id);
		struct cow_step step = { 0 };

		cow_step_add(&step, &n->head,
			     cow_node_head(cow_node_type(n->head), COW_UPPER,
					   cow_node_flags(n->head) & ~(unsigned)COW_NODE_ORPHAN));
		cow_step_add(&step, &n->dev, 0);
		cow_step_add(&step, &n->ino, 0);
		cow_identity_remove(t, id);
		cow_memory_do(&t->memory, &step);
		cow_identity_insert(t, id);
	}
	sync_unlock(&t->lock);
}

int cow_nodes_set_stamp(struct cow_nodes *t, uint64_t id, uint64_t stamp)
{
	struct cow_node_record *n;

	sync_lock(&t->lock);
	n = cow_node_find(t, id);
	if (n)
		cow_memory_set(&n->stamp, stamp);
	sync_unlock(&t->lock);
	return n ? 0 : ESTALE;
}

int cow_nodes_set_flags(struct cow_nodes *t, uint64_t id, unsigned set, unsigned clear)
{
	struct cow_node_record *n;

	sync_lock(&t->lock);
	n = cow_node_find(t, id);
	if (n)
		cow_memory_set(&n->head, (n->head & ~((uint64_t)clear << 32)) | (uint64_t)set << 32);
	sync_unlock(&t->lock);
	return n ? 0 : ESTALE;
}

static int set_lost_path_locked(struct cow_nodes *t, uint64_t id, const char *path, size_t len)
	SYNC_REQUIRES(t->lock)
{
	struct cow_node_record *n = cow_node_find(t, id);
	struct cow_step step = { 0 };
	struct cow_path_record *path_record;
	cow_ref old, ref;

	if (!n)
		return ESTALE;
	ref = cow_memory_take(&t->memory, COW_CLASS_PATH);
	if (!ref)
		return ENOMEM;
	path_record = cow_memory_at(&t->memory, ref);
	memcpy(path_record->text, path, len);
	cow_step_add(&step, &path_record->head, cow_path_head(len, id));
	old = n->lost;
	if (old)
		cow_step_add(&step, &((struct cow_path_record *)cow_memory_at(&t->memory, old))->head, 0);
	cow_memory_do(&t->memory, &step);
	n->lost = ref;
	if (old)
		cow_memory_give(&t->memory, old);
	return 0;
}

int cow_nodes_set_lost_path(struct cow_nodes *t, uint64_t id, const char *path)
{
	size_t len = strnlen(path, PATH_MAX);
	int r;

	if (len >= PATH_MAX)
		return ENAMETOOLONG;
	sync_lock(&t->lock);
	r = set_lost_path_locked(t, id, path, len);
	sync_unlock(&t->lock);
	return r;
}

int cow_nodes_lost_path(struct cow_nodes *t, uint64_t id, char ret[PATH_MAX])
{
	const struct cow_node_record *n;
	int r = ESTALE;

	sync_lock(&t->lock);
	n = cow_node_find(t, id);
	if (n && !n->lost) {
		r = ENOENT;
	} else if (n) {
		const struct cow_path_record *path = cow_memory_at(&t->memory, n->lost);
		size_t len = cow_path_len(path->head);

		memcpy(ret, path->text, len);
		ret[len] = 0;
		r = 0;
	}
	sync_unlock(&t->lock);
	return r;
}

/* ---- requests ----------------------------------------------------------------------------------- */

/* The kernel counts requests by twos. The number last: with it the note counts. */
void cow_nodes_note(struct cow_nodes *t, uint64_t unique, uint64_t note)
{
	struct cow_request_note *n = cow_memory_note(&t->memory, unique >> 1);

	cow_memory_set(&n->unique, 0);
	cow_memory_set(&n->note, note);
	cow_memory_set(&n->unique, unique);
}

uint64_t cow_nodes_noted(struct cow_nodes *t, uint64_t unique)
{
	const struct cow_request_note *n = cow_memory_note(&t->memory, unique >> 1);

	return unique && __atomic_load_n(&n->unique, __ATOMIC_ACQUIRE) == unique
		       ? __atomic_load_n(&n->note, __ATOMIC_ACQUIRE)
		       : 0;
}

void cow_nodes_change_notes(struct cow_nodes *t, uint64_t from, uint64_t to)
{
	for (uint64_t i = 0; i < COW_NOTES; i++) {
		struct cow_request_note *n = cow_memory_note(&t->memory, i);

		if (__atomic_load_n(&n->note, __ATOMIC_ACQUIRE) == from)
			cow_memory_set(&n->note, to);
	}
}

/* ---- times of directories ------------------------------------------------------------------------- */

/* 0: a free one; NULL: there is none. */
static struct cow_time_record *time_of_locked(struct cow_nodes *t, uint64_t dir) SYNC_REQUIRES(t->lock)
{
	struct cow_time_record *all = cow_memory_times(&t->memory);

	for (size_t i = 0; i < COW_TIMES; i++)
		if (all[i].dir == dir)
			return &all[i];
	return NULL;
}

void cow_nodes_time_begin(struct cow_nodes *t, uint64_t dir, struct timespec *mtime)
{
	struct cow_time_record *r;

	sync_lock(&t->lock);
	r = time_of_locked(t, dir);
	if (r) {
		mtime->tv_sec = (time_t)r->sec;
		mtime->tv_nsec = (long)r->nsec;
		r->users++;
	} else if ((r = time_of_locked(t, 0))) {
		cow_memory_set(&r->sec, (uint64_t)mtime->tv_sec);
		cow_memory_set(&r->nsec, (uint64_t)mtime->tv_nsec);
		cow_memory_set(&r->users, 1);
		cow_memory_set(&r->dir, dir); /* with it the rest counts */
	}
	sync_unlock(&t->lock);
}

void cow_nodes_time_end(struct cow_nodes *t, uint64_t dir)
{
	struct cow_time_record *r;

	sync_lock(&t->lock);
	r = time_of_locked(t, dir);
	if (r && --r->users == 0)
		cow_memory_set(&r->dir, 0);
	sync_unlock(&t->lock);
}

void cow_nodes_time_pending(struct cow_nodes *t,
			    void (*fn)(void *arg, uint64_t dir, const struct timespec *mtime), void *arg)
{
	struct cow_time_record *all = cow_memory_times(&t->memory);

	for (size_t i = 0; i < COW_TIMES; i++) {
		const struct timespec mtime = { (time_t)all[i].sec, (long)all[i].nsec };

		if (!all[i].dir)
			continue;
		fn(arg, all[i].dir, &mtime);
		cow_memory_set(&all[i].dir, 0);
	}
}
