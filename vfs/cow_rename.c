/* SPDX-License-Identifier: Apache-2.0 */
/* Renaming in the union; see cow_change.h.
 *
 * Both objects come to the upper first; then one renameat2 there is the whole change, with a whiteout left
 * behind where a layer below would show through. A directory with layers below takes its path there with it
 * (redirect). The node table knows of the two places before the step, so that a successor of a server that
 * died finds the object at the one or the other. */
#include "vfs/cow_change.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/hash.h"
#include "vfs/cow_copy_up.h"
#include "vfs/cow_file.h"
#include "vfs/cow_list.h"
#include "vfs/cow_make.h"
#include "vfs/cow_place.h"

/* What fits into an extended attribute of any file system, with others beside it. */
enum { REDIRECT_MAX = 2048 };

struct end { /* one of the two places */
	struct cow_dir *dir;
	const char *name;
	struct cow_spot spot;
	struct cow_node node; /* node.id 0: unknown to the kernel, or nothing there */
	bool is_there;
};

struct renaming {
	const struct cow_rename *asked;
	const struct cow_attempt *attempt;
	struct end from, to;
};

static bool is_dir(const struct end *x)
{
	return x->is_there && S_ISDIR(x->spot.st.st_mode);
}

/* ---- what is there ------------------------------------------------------------------------------------- */

static int look(struct cow_union *u, uint64_t parent, struct end *x)
{
	int sys = cow_spot_find(u, x->dir, x->name, &x->spot);

	x->is_there = sys == 0;
	if (sys && sys != ENOENT)
		return sys;
	sys = cow_nodes_child(u->nodes, parent, x->name, &x->node);
	if (sys)
		x->node.id = 0;
	return sys == ENOENT ? 0 : sys;
}

/* ---- preparations: everything that is moved is in the upper
 * ------------------------------------------------ */

/* A directory that has layers below keeps them where it goes. */
static int take_layers_along(struct cow_union *u, uint64_t id)
{
	struct cow_upper_dir_info info = { .redirect = NULL };
	char path[REDIRECT_MAX];
	struct cow_dir *d;
	auto_fd int fd = -1;
	int sys = cow_dir_ref(u, id, &d);

	if (sys)
		return sys;
	fd = openat(d->upper, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	sys = fd < 0 ? errno : cow_upper_dir_info(u->upper, d->upper, &info);
	if (!sys && d->count && !info.redirect) {
		sys = cow_place_lower_path(u, id, path, sizeof(path));
		if (sys == ENAMETOOLONG)
			sys = EXDEV; /* mv(1) and the like then copy */
		if (!sys)
			sys = cow_upper_use(u->upper, COW_FEATURE_REDIRECT);
		if (!sys)
			sys = cow_upper_set_redirect(u->upper, fd, path);
	} else if (!sys && !info.is_opaque) {
		sys = cow_upper_set_opaque(u->upper, fd); /* there may be something by its new name */
	}
	free(info.redirect);
	cow_dir_unref(u, d);
	return sys;
}

static int bring_up(struct cow_union *u, uint64_t parent, const char *name, struct cow_entry *ret)
{
	int sys = cow_tree_lookup(u, parent, name, ret);

	if (sys)
		return sys;
	return S_ISDIR(ret->st.st_mode) ? cow_copy_up_dir(u, ret->id) : cow_copy_up(u, ret->id, COW_COPY_ALL);
}

static int prepare(struct cow_union *u, uint64_t parent, const char *name)
{
	struct cow_entry entry = { .id = 0 };
	int sys = bring_up(u, parent, name, &entry);

	if (entry.id)
		cow_forget(u, entry.id, 1);
	return sys;
}

/* What is replaced: as cow_drop.c does with what is removed. */
static int prepare_target(struct cow_union *u, uint64_t parent, struct end *x)
{
	int sys = look(u, parent, x);

	if (sys || !x->is_there || is_dir(x) || !x->node.id || x->spot.place.layer == COW_UPPER ||
	    !(u->layers[x->spot.place.layer]->is_frozen_upper))
		return sys;
	return prepare(u, parent, x->name);
}

/* With the objects locked: they are in the upper, under these names. */
static int settle(struct cow_union *u, uint64_t parent, struct end *x)
{
	int sys = look(u, parent, x);

	if (!sys && x->is_there && x->spot.place.layer != COW_UPPER)
		sys = EAGAIN;
	if (!sys && x->is_there && x->spot.is_linked) {
		sys = cow_make_upper_name(u, x->dir, x->name);
		if (!sys)
			sys = look(u, parent, x);
	}
	return sys;
}

/* ---- the step --------------------------------------------------------------------------------------------
 */

static int shows_below(struct cow_union *u, const struct end *x, bool *ret)
{
	struct cow_spot below;
	int sys = cow_spot_below(u, x->dir, x->name, &below);

	*ret = sys == 0;
	return sys == ENOENT ? 0 : sys;
}

/* The target's object loses this name: what the table must know before and after. */
static int before_target_goes(struct cow_union *u, const struct renaming *r)
{
	const struct end *to = &r->to;

	if (r->asked->exchange || !to->is_there || is_dir(to) || !to->node.id ||
	    to->spot.place.layer == COW_UPPER)
		return 0;
	return cow_note_lost(u, to->node.id, to->dir->node, to->name);
}

static void after_target_went(struct cow_union *u, const struct renaming *r)
{
	const struct end *to = &r->to;

	if (r->asked->exchange || !to->is_there || !to->node.id)
		return;
	if (is_dir(to)) {
		cow_nodes_unlink(u->nodes, to->dir->node, to->name);
		cow_cache_forget(u->dirs, to->node.id);
		return;
	}
	cow_name_gone(u, to->node.id, to->dir->node, to->name, to->spot.place.layer == COW_UPPER);
}

uint64_t cow_exchange_note(const struct cow_rename *r, enum cow_exchange how_far)
{
	const uint64_t parents[] = { r->old_parent, r->new_parent };
	uint64_t hash = hash_bytes(HASH_SEED, parents, sizeof(parents));

	hash = hash_text(hash_text(hash, r->old_name) ^ '/', r->new_name); /* no name has a '/' */
	return hash << 2 | how_far;
}

static void note_exchange(struct cow_union *u, const struct renaming *r, enum cow_exchange how_far)
{
	cow_nodes_note(u->nodes, r->attempt->unique, cow_exchange_note(r->asked, how_far));
}

static bool is_exchanged(struct cow_union *u, const struct cow_rename *r, const struct cow_attempt *a)
{
	return r->exchange && a->again &&
	       cow_nodes_noted(u->nodes, a->unique) == cow_exchange_note(r, COW_EXCHANGE_DONE);
}

static int move(struct cow_union *u, const struct renaming *r)
{
	struct cow_upper_move m = {
		.old_dir = r->from.dir->upper,
		.new_dir = r->to.dir->upper,
		.old_name = r->from.name,
		.new_name = r->to.name,
		.exchange = r->asked->exchange,
	};
	bool is_counted = false;
	int sys = r->asked->exchange ? 0 : shows_below(u, &r->from, &m.whiteout);

	if (!sys && r->to.is_there && !is_dir(&r->to) && r->to.spot.place.layer == COW_UPPER)
		m.orphan_id = r->to.node.id;
	if (!sys)
		sys = before_target_goes(u, r);
	if (!sys)
		sys = cow_nodes_rename_begin(u->nodes, r->asked);
	if (sys)
		return sys;
	if (r->asked->exchange)
		note_exchange(u, r, COW_EXCHANGE_BEGUN);
	if (!r->asked->exchange && r->to.is_there && !is_dir(&r->to))
		is_counted = cow_count_links(u, r->attempt, &r->to.spot.place, -1) == 0;
	cow_step_begin(u);
	sys = cow_upper_move(u->upper, &m);
	if (!sys)
		after_target_went(u, r);
	else if (is_counted)
		(void)!cow_count_links(u, r->attempt, &r->to.spot.place, 1);
	if (sys && is_dir(&r->to)) /* it may have become opaque, and lost its whiteouts */
		cow_cache_forget(u->dirs, r->to.node.id);
	if (r->asked->exchange)
		note_exchange(u, r, sys ? COW_EXCHANGE_FAILED : COW_EXCHANGE_DONE);
	cow_nodes_rename_end(u->nodes, r->asked, sys == 0);
	cow_step_end(u);
	return sys;
}

static void forget_listings(struct cow_union *u, const struct renaming *r)
{
	cow_list_removed(u, r->from.dir->node, r->from.name);
	cow_list_removed(u, r->to.dir->node, r->to.name);
	/* What is below stays the same; how it is reached does not. */
	if (is_dir(&r->from) && r->from.node.id)
		cow_cache_forget(u->dirs, r->from.node.id);
	if (is_dir(&r->to) && r->to.node.id)
		cow_cache_forget(u->dirs, r->to.node.id);
}

static int rename_locked(struct cow_union *u, struct renaming *r, unsigned flags)
{
	int sys = settle(u, r->from.dir->node, &r->from);

	if (!sys)
		sys = r->asked->exchange ? settle(u, r->to.dir->node, &r->to)
					 : look(u, r->to.dir->node, &r->to);
	if (!sys && (!r->from.is_there || (r->asked->exchange && !r->to.is_there)))
		sys = ENOENT;
	if (!sys && (flags & RENAME_NOREPLACE) && r->to.is_there)
		sys = EEXIST;
	if (!sys && !r->asked->exchange && is_dir(&r->to) && r->to.node.id)
		sys = cow_list_is_empty(u, r->to.node.id);
	if (!sys && is_dir(&r->from) && r->from.node.id)
		sys = take_layers_along(u, r->from.node.id);
	if (!sys && r->asked->exchange && is_dir(&r->to) && r->to.node.id)
		sys = take_layers_along(u, r->to.node.id);
	if (!sys)
		sys = move(u, r);
	if (!sys)
		forget_listings(u, r);
	return sys;
}

/* Of the two objects; in the order of their stripes. */
static void lock_both(struct cow_union *u, uint64_t a, uint64_t b, bool lock)
{
	uint64_t first = a % COW_STRIPES, second = b % COW_STRIPES;

	if (first > second) {
		first = b % COW_STRIPES;
		second = a % COW_STRIPES;
	}
	if (lock) {
		cow_lock(u, first);
		if (second != first)
			cow_lock(u, second);
	} else {
		if (second != first)
			cow_unlock(u, second);
		cow_unlock(u, first);
	}
}

/* Carried out by a server that did not live to say so: the table may have to follow still. */
static int finish_again(struct cow_union *u, const struct renaming *r)
{
	struct cow_node n;

	if (cow_nodes_child(u->nodes, r->asked->old_parent, r->asked->old_name, &n) == 0) {
		cow_name_replaced(u, r->asked, n.id);
		cow_nodes_rename_end(u->nodes, r->asked, true);
	}
	forget_listings(u, r);
	return 0;
}

/* What cannot be is said before anything is copied up for it. */
static int refuse(struct cow_union *u, struct renaming *r, unsigned flags)
{
	int sys = look(u, r->to.dir->node, &r->to);

	if (sys || r->attempt->again || !r->to.is_there)
		return sys;
	return flags & RENAME_NOREPLACE ? EEXIST : 0;
}

static int run(struct cow_union *u, struct renaming *r, unsigned flags)
{
	const uint64_t from = r->from.dir->node, to = r->to.dir->node;
	int sys = refuse(u, r, flags);
	uint64_t a, b;

	if (!sys)
		sys = prepare(u, from, r->from.name);

	if (sys == ENOENT && r->attempt->again && cow_spot_find(u, r->to.dir, r->to.name, &r->to.spot) == 0)
		return finish_again(u, r);
	if (!sys)
		sys = r->asked->exchange ? prepare(u, to, r->to.name) : prepare_target(u, to, &r->to);
	if (!sys)
		sys = look(u, from, &r->from);
	if (!sys)
		sys = look(u, to, &r->to);
	if (sys)
		return sys;
	a = r->from.node.id;
	b = r->to.node.id;
	lock_both(u, a, b, true);
	sys = rename_locked(u, r, flags);
	lock_both(u, a, b, false);
	return sys;
}

int cow_rename(struct cow_union *u, uint64_t old_parent, const char *old_name, uint64_t new_parent,
	       const char *new_name, unsigned flags, const struct cow_attempt *a)
{
	enum { TRIES = 20 };
	const struct cow_rename asked = { old_parent, new_parent, old_name, new_name,
					  flags & RENAME_EXCHANGE };
	int sys = EAGAIN;

	if (flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE))
		return EINVAL;
	if (is_exchanged(u, &asked, a))
		return 0;
	/* Once more: what was moved is there, perhaps, and full. */
	if (!flags && !a->again && cow_is_full_dir(u, new_parent, new_name))
		return ENOTEMPTY;
	for (int i = 0; i < TRIES && sys == EAGAIN; i++) {
		struct renaming r = {
			.from.name = old_name, .to.name = new_name, .asked = &asked, .attempt = a
		};

		sys = cow_change_begin(u, old_parent, &r.from.dir);
		if (sys)
			return sys;
		sys = cow_change_begin(u, new_parent, &r.to.dir);
		if (!sys)
			sys = run(u, &r, flags);
		cow_dir_unref(u, r.to.dir);
		cow_dir_unref(u, r.from.dir);
	}
	return sys == EAGAIN ? EIO : sys;
}
