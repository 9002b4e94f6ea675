/* SPDX-License-Identifier: Apache-2.0 */
/* What a server that died left half done; see cow_takeover.h. */
#include "vfs/cow_takeover.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fd.h"
#include "vfs/cow_copy_up.h"
#include "vfs/cow_make.h"

/* ---- renames ----------------------------------------------- */

struct recovery {
	struct cow_union *u;
	bool is_last; /* pass: what cannot be found out did not happen */
	unsigned ended, left;
};

/* ESTALE: the place is not there (now). */
static int find(struct cow_union *u, uint64_t parent, const char *name, struct cow_thing *ret)
{
	struct cow_dir *dir;
	int sys = cow_dir_ref(u, parent, &dir);

	if (sys)
		return sys;
	sys = cow_tree_find(u, dir, name, ret);
	cow_dir_unref(u, dir);
	return sys;
}

/* Is the object of `node` at that place? */
static int look_at(struct cow_union *u, uint64_t parent, const char *name, const struct cow_node *node,
		   bool *ret)
{
	struct cow_thing thing;
	int sys = find(u, parent, name, &thing);

	if (sys && sys != ENOENT)
		return sys;
	/* By its number in the upper: what is shown is not known of every object that was copied up. */
	*ret = !sys && (thing.st.st_mode & S_IFMT) == node->type &&
	       (cow_identity_is(&thing.identity, &node->identity) || thing.st.st_ino == node->shown_ino);
	return 0;
}

/* Where RENAME_WHITEOUT is missing, what is moved onto something stands at both places for a moment, or what
 * it replaces stands at its old one (cow_move.c): the old name goes now. */
static void end_old_name(struct cow_union *u, const struct cow_rename *r, const struct cow_node *moved)
{
	struct cow_node target;
	struct cow_thing old, new;
	struct cow_dir *dir;

	if (find(u, r->old_parent, r->old_name, &old) || find(u, r->new_parent, r->new_name, &new) ||
	    old.identity.layer != COW_UPPER || cow_dir_ref(u, r->old_parent, &dir))
		return;
	if (!S_ISDIR(moved->type)) {
		if (cow_identity_is(&old.identity, &new.identity))
			(void)!cow_upper_whiteout(u->upper, dir->upper, r->old_name, 0);
	} else if (cow_nodes_child(u->nodes, r->new_parent, r->new_name, &target) == 0 &&
		   cow_identity_is(&old.identity, &target.identity)) {
		(void)!cow_upper_remove_dir(u->upper, dir->upper, r->old_name, true);
	}
	cow_dir_unref(u, dir);
}

static void end_rename(void *arg, const struct cow_rename *rename)
{
	struct recovery *r = arg;
	struct cow_node node = { .id = 0 };
	bool is_done = false;

	if ((cow_nodes_child(r->u->nodes, rename->old_parent, rename->old_name, &node) ||
	     look_at(r->u, rename->new_parent, rename->new_name, &node, &is_done)) &&
	    !r->is_last) {
		r->left++;
		return;
	}
	if (is_done && rename->exchange) {
		cow_nodes_change_notes(r->u->nodes, cow_exchange_note(rename, COW_EXCHANGE_BEGUN),
				       cow_exchange_note(rename, COW_EXCHANGE_DONE));
	} else if (is_done && r->u->upper) {
		end_old_name(r->u, rename, &node);
		cow_name_replaced(r->u, rename, node.id);
	}
	cow_nodes_rename_end(r->u->nodes, rename, is_done);
	cow_cache_forget(r->u->dirs, rename->old_parent);
	cow_cache_forget(r->u->dirs, rename->new_parent);
	if (S_ISDIR(node.type))
		cow_cache_forget(r->u->dirs, node.id);
	r->ended++;
}

/* One may lie in a directory that another one moved: as long as something is found out, there is another
 * pass. */
static void end_renames(struct cow_union *u)
{
	struct recovery r = { .u = u };

	do {
		r.ended = r.left = 0;
		cow_nodes_rename_pending(u->nodes, end_rename, &r);
	} while (r.ended && r.left);
	if (r.left) {
		r.is_last = true;
		cow_nodes_rename_pending(u->nodes, end_rename, &r);
	}
}

/* ---- orphans ------------------------------------------------------------------ */

/* A file that still has its name is no orphan: the step that would have taken the name did not happen. */
static bool is_in_place(struct cow_union *u, const struct cow_node *n, const struct stat *orphan)
{
	struct cow_thing thing;
	struct cow_dir *dir;
	int sys = cow_dir_ref(u, n->parent, &dir);

	if (sys)
		return false;
	sys = cow_tree_find(u, dir, n->name, &thing);
	cow_dir_unref(u, dir);
	return !sys && thing.identity.layer == COW_UPPER && thing.identity.dev == orphan->st_dev &&
	       thing.identity.ino == orphan->st_ino;
}

static void tidy_orphan(struct cow_union *u, const char *text)
{
	struct cow_node n;
	struct stat st;
	char *end;
	uint64_t id = strtoull(text, &end, 10);

	if (*end || fstatat(cow_orphans_dir(u->upper), text, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	if (cow_nodes_get(u->nodes, id, &n) != 0) {
		cow_orphan_remove(u->upper, id);
	} else if (n.parent == 0) {
		(void)!cow_nodes_set_flags(u->nodes, id, COW_NODE_ORPHAN, 0);
	} else if (is_in_place(u, &n, &st)) {
		cow_orphan_remove(u->upper, id);
		(void)!cow_nodes_set_flags(u->nodes, id, 0, COW_NODE_ORPHAN);
	}
}

static void tidy_orphans(struct cow_union *u)
{
	int fd = openat(cow_orphans_dir(u->upper), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *de;

	if (!d) {
		fd_close(fd);
		return;
	}
	while ((de = readdir(d)))
		if (de->d_name[0] != '.')
			tidy_orphan(u, de->d_name);
	(void)closedir(d);
}

void cow_take_over(struct cow_union *u)
{
	end_renames(u);
	if (!u->upper)
		return;
	tidy_orphans(u);
	cow_copy_up_take_over(u);
}
