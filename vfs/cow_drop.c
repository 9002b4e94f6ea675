/* SPDX-License-Identifier: Apache-2.0 */
/* Removing names from the union; see cow_change.h.
 *
 * Opening sends no message, so that any file the kernel knows may be open: what loses its last known name
 * becomes an orphan (cow_upper.h) until the kernel has forgotten it. */
#include "vfs/cow_change.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "vfs/cow_copy_up.h"
#include "vfs/cow_file.h"
#include "vfs/cow_list.h"
#include "vfs/cow_make.h"
#include "vfs/cow_place.h"

int cow_note_lost(struct cow_union *u, uint64_t id, uint64_t parent, const char *name)
{
	char path[PATH_MAX];
	size_t len;
	int sys = cow_place_lower_path(u, parent, path, sizeof(path) - NAME_MAX - 2);

	if (sys)
		return sys == ENAMETOOLONG ? 0 : sys; /* what is open stays readable, until the server dies */
	len = strlen(path);
	(void)snprintf(path + len, sizeof(path) - len, "/%s", name);
	return cow_nodes_set_lost_path(u->nodes, id, path[0] == '/' ? path + 1 : path);
}

void cow_name_gone(struct cow_union *u, uint64_t id, uint64_t parent, const char *name, bool was_upper)
{
	const unsigned flag = was_upper ? COW_NODE_ORPHAN : COW_NODE_LOST;
	struct cow_node n;

	cow_list_removed(u, parent, name);
	if (!id)
		return;
	/* The flag first: a node with neither name nor flag means nothing. */
	(void)!cow_nodes_set_flags(u->nodes, id, flag, 0);
	cow_nodes_unlink(u->nodes, parent, name);
	if (cow_nodes_get(u->nodes, id, &n) == 0 && n.parent) {
		(void)!cow_nodes_set_flags(u->nodes, id, 0, flag);
		if (was_upper)
			cow_orphan_remove(u->upper, id); /* it has other names */
	}
}

void cow_name_replaced(struct cow_union *u, const struct cow_rename *r, uint64_t moved)
{
	struct cow_node target;
	struct stat st;
	char text[24];

	if (!u->upper || cow_nodes_child(u->nodes, r->new_parent, r->new_name, &target) != 0 ||
	    target.id == moved || S_ISDIR(target.type))
		return;
	cow_orphan_text(target.id, text);
	if (target.identity.layer != COW_UPPER)
		(void)!cow_nodes_set_flags(u->nodes, target.id, COW_NODE_LOST, 0);
	else if (fstatat(cow_orphans_dir(u->upper), text, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		 st.st_ino == target.identity.ino && st.st_dev == target.identity.dev)
		(void)!cow_nodes_set_flags(u->nodes, target.id, COW_NODE_ORPHAN, 0);
}

/* What is open of a node is dropped when it ends (cow_union.c), and closed without the table's lock: the last
 * one of a deleted file frees its blocks. */
void cow_forget(struct cow_union *u, uint64_t id, uint64_t lookups)
{
	struct cow_node gone;

	if (!cow_nodes_forget(u->nodes, id, lookups, &gone))
		return;
	cow_cache_sweep(u->files);
	cow_cache_sweep(u->holds);
	if (gone.flags & COW_NODE_ORPHAN && u->upper)
		cow_orphan_remove(u->upper, id);
}

/* ---- files ------------------------------------------------------------------------------------------ */

/* Noted first: who tries again sets what was meant, instead of counting twice. */
int cow_count_links(struct cow_union *u, const struct cow_attempt *a, const struct cow_place *p, int by)
{
	uint64_t noted = a->again ? cow_nodes_noted(u->nodes, a->unique) : 0;
	unsigned count;
	int sys;

	if (p->layer != COW_UPPER || !cow_upper_has(u->upper, COW_FEATURE_LINKS))
		return 0;
	sys = cow_links_count(u->upper, p->upper_dir, p->name, &count);
	if (sys)
		return sys == ENODATA ? 0 : sys;
	if (noted)
		count = (unsigned)(noted - 1);
	else if (by > 0 || count)
		count += (unsigned)by;
	cow_nodes_note(u->nodes, a->unique, (uint64_t)count + 1);
	return cow_links_set_count(u->upper, p->upper_dir, p->name, count);
}

/* Counted when it has happened, on the orphan that it has become. */
static void count_dropped(struct cow_union *u, const struct cow_attempt *a, uint64_t id)
{
	struct cow_place p = { .layer = COW_UPPER, .upper_dir = cow_orphans_dir(u->upper) };

	cow_orphan_text(id, p.name);
	(void)!cow_count_links(u, a, &p, -1);
}

/* What the kernel does not know becomes no orphan: counted while it has its name. */
static int drop_unknown(struct cow_union *u, const struct cow_attempt *a, const struct cow_dir *dir,
			const char *name, const struct cow_spot *s, bool shows_below)
{
	bool is_counted = cow_count_links(u, a, &s->place, -1) == 0;
	int sys = shows_below || s->is_linked ? cow_upper_whiteout(u->upper, dir->upper, name, 0)
					      : cow_upper_remove(u->upper, dir->upper, name, 0);

	if (sys && is_counted)
		(void)!cow_count_links(u, a, &s->place, 1);
	return sys;
}

static int drop_spot(struct cow_union *u, const struct cow_attempt *a, const struct cow_dir *dir,
		     const char *name, const struct cow_spot *s, uint64_t id)
{
	struct cow_spot below;
	int sys = cow_spot_below(u, dir, name, &below);

	if (sys && sys != ENOENT)
		return sys;
	if (s->place.layer == COW_UPPER && !id)
		return drop_unknown(u, a, dir, name, s, !sys);
	if (s->place.layer == COW_UPPER && !s->is_linked) {
		sys = sys ? cow_upper_remove(u->upper, dir->upper, name, id)
			  : cow_upper_whiteout(u->upper, dir->upper, name, id);
	} else if (s->place.layer == COW_UPPER) {
		/* It has no name in the upper yet by which it could become an orphan. */
		sys = cow_make_upper_name(u, dir, name);
		if (!sys)
			sys = cow_upper_whiteout(u->upper, dir->upper, name, id);
	}
	if (s->place.layer == COW_UPPER) {
		if (!sys)
			count_dropped(u, a, id);
		return sys;
	}
	sys = id ? cow_note_lost(u, id, dir->node, name) : 0;
	return sys ? sys : cow_upper_whiteout(u->upper, dir->upper, name, 0);
}

/* A frozen upper's file may have other names, which are counted in the upper, or may be found only by an
 * index; what is no regular file is not kept open: they become the upper's first. */
static int prepare(struct cow_union *u, uint64_t parent, const char *name, uint64_t *ret_id)
{
	struct cow_node n;
	int sys = cow_nodes_child(u->nodes, parent, name, &n);

	*ret_id = 0;
	if (sys)
		return sys == ENOENT ? 0 : sys;
	if (S_ISDIR(n.type))
		return 0;
	*ret_id = n.id;
	if (n.identity.layer != COW_UPPER &&
	    (u->layers[n.identity.layer]->is_frozen_upper || !S_ISREG(n.type)))
		return cow_copy_up(u, n.id, COW_COPY_ALL);
	return 0;
}

int cow_unlink(struct cow_union *u, uint64_t parent, const char *name, const struct cow_attempt *a)
{
	bool was_upper = true;
	struct cow_dir *dir;
	struct cow_spot s;
	uint64_t id;
	int sys = u->upper ? prepare(u, parent, name, &id) : EROFS;

	if (!sys)
		sys = cow_change_begin(u, parent, &dir);
	if (sys)
		return sys;
	if (id)
		cow_lock(u, id);
	sys = cow_spot_find(u, dir, name, &s);
	if (!sys && S_ISDIR(s.st.st_mode))
		sys = EISDIR;
	cow_step_begin(u);
	if (!sys) {
		was_upper = s.place.layer == COW_UPPER;
		sys = drop_spot(u, a, dir, name, &s, id);
	} else if (sys == ENOENT && a->again) {
		struct cow_node n;

		was_upper = id && cow_nodes_get(u->nodes, id, &n) == 0 && n.identity.layer == COW_UPPER;
		if (was_upper)
			count_dropped(u, a, id);
		sys = 0;
	}
	if (!sys)
		cow_name_gone(u, id, parent, name, was_upper);
	cow_step_end(u);
	if (id)
		cow_unlock(u, id);
	cow_dir_unref(u, dir);
	return sys;
}

/* ---- directories --------------------------------------------------------------------------------------- */

static int drop_directory(struct cow_union *u, const struct cow_dir *dir, const char *name,
			  const struct cow_spot *s)
{
	struct cow_spot below;
	int sys = cow_spot_below(u, dir, name, &below);

	if (sys && sys != ENOENT)
		return sys;
	if (s->place.layer == COW_UPPER)
		return cow_upper_remove_dir(u->upper, dir->upper, name, sys == 0);
	return cow_upper_whiteout(u->upper, dir->upper, name, 0);
}

bool cow_is_full_dir(struct cow_union *u, uint64_t parent, const char *name)
{
	struct cow_node n;

	return cow_nodes_child(u->nodes, parent, name, &n) == 0 && S_ISDIR(n.type) &&
	       cow_list_is_empty(u, n.id) == ENOTEMPTY;
}

int cow_rmdir(struct cow_union *u, uint64_t parent, const char *name, const struct cow_attempt *a)
{
	struct cow_entry entry = { .id = 0 };
	struct cow_dir *dir;
	struct cow_spot s;
	/* Once more: it may be gone. */
	int sys =
		!a->again && cow_is_full_dir(u, parent, name) ? ENOTEMPTY : cow_change_begin(u, parent, &dir);

	if (sys)
		return sys;
	sys = cow_spot_find(u, dir, name, &s);
	if (!sys && !S_ISDIR(s.st.st_mode))
		sys = ENOTDIR;
	if (!sys)
		sys = cow_tree_lookup(u, parent, name, &entry);
	if (!sys) {
		cow_lock(u, entry.id);
		sys = cow_list_is_empty(u, entry.id);
		if (!sys)
			sys = cow_spot_find(u, dir, name, &s);
		cow_step_begin(u);
		if (!sys)
			sys = drop_directory(u, dir, name, &s);
		if (!sys) {
			cow_list_removed(u, parent, name);
			cow_nodes_unlink(u->nodes, parent, name);
			cow_cache_forget(u->dirs, entry.id);
		}
		cow_step_end(u);
		cow_unlock(u, entry.id);
		cow_forget(u, entry.id, 1);
	} else if (sys == ENOENT && a->again) {
		cow_list_removed(u, parent, name);
		cow_nodes_unlink(u->nodes, parent, name);
		sys = 0;
	}
	cow_dir_unref(u, dir);
	return sys;
}
