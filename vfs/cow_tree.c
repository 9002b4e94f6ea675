/* SPDX-License-Identifier: Apache-2.0 */
/* Names and attributes of the union; see cow_tree.h. */
#include "vfs/cow_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "vfs/cow_copy_up.h"
#include "vfs/cow_file.h"
#include "vfs/cow_hold.h"
#include "vfs/cow_notice.h"
#include "vfs/cow_place.h"
#include "vfs/cow_watch.h"

enum { NOTICE_WAIT_MS = 1000 };

/* ---- numbers --------------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t h, uint64_t value)
{
	h = (h ^ value) * UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 29;
}

/* Numbers below 2^40 keep their low bits and get a mark above them, so that two objects share a number only
 * when two devices share one of four million marks. */
uint64_t cow_tree_ino(const struct cow_union *u, uint8_t layer, uint64_t dev, uint64_t ino)
{
	const int low_bits = 40, mark_bits = 22;
	const struct cow_layer *l = u->layers[layer];
	uint64_t mark, shown;

	if (!(l && l->is_streamed) && dev == u->main_dev)
		return ino ? ino : 1;
	mark = l && l->is_streamed ? mix(0, hash_text(HASH_SEED, l->key)) : mix(1, dev);
	mark = mark >> (64 - mark_bits) | 1;
	if (ino >> low_bits)
		shown = mix(mark, ino) >> 2;
	else
		shown = mark << low_bits | ino;
	return shown ? shown : 1;
}

uint64_t cow_tree_stamp(const struct stat *st)
{
	uint64_t h = mix(7, (uint64_t)st->st_size);

	h = mix(h, (uint64_t)st->st_mtim.tv_sec);
	h = mix(h, (uint64_t)st->st_mtim.tv_nsec);
	h = mix(h, (uint64_t)st->st_ctim.tv_sec);
	return mix(h, (uint64_t)st->st_ctim.tv_nsec) | 1;
}

void cow_tree_show(const struct cow_union *u, struct stat *st)
{
	if (!u->opt.map_owners)
		return;
	st->st_uid = u->opt.uid;
	st->st_gid = u->opt.gid;
}

/* ---- one object -------------------------------------------------------------------------------------- */

static bool is_volatile_layer(const struct cow_union *u, uint8_t layer)
{
	return layer != COW_UPPER && !u->layers[layer]->is_immutable;
}

/* Owner, links and so on as shown; st_ino is the caller's. */
static int show_spot(struct cow_union *u, const struct cow_spot *s, struct stat *st)
{
	int dir = cow_place_notes(u, &s->place, COW_FEATURE_OWNER);

	cow_tree_show(u, st);
	st->st_nlink = cow_spot_links(u, s);
	return dir < 0 ? 0 : cow_upper_override(u->upper, dir, s->place.name, st);
}

/* A directory of several layers has as many links as nobody wants to count: 1, which means that. */
static bool is_merged(struct cow_union *u, const struct cow_dir *parent, const struct cow_spot *s)
{
	struct cow_upper_dir_info info = { .redirect = NULL };
	struct cow_spot lower;
	bool merged;
	int fd;

	if (s->place.layer != COW_UPPER)
		return false; /* of one layer, or close enough: nothing has been changed in it */
	fd = openat(s->place.upper_dir, s->place.name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return false;
	merged = cow_upper_dir_info(u->upper, fd, &info) == 0 && (info.redirect || !info.is_opaque);
	if (merged && !info.redirect)
		merged = parent->count && cow_spot_below(u, parent, s->place.name, &lower) == 0 &&
			 S_ISDIR(lower.st.st_mode);
	free(info.redirect);
	(void)close(fd);
	return merged;
}

static int find_held(struct cow_union *u, const struct cow_dir *dir, const char *name, struct cow_thing *ret,
		     struct cow_handle *held)
{
	struct cow_spot s;
	uint64_t noted;
	int sys = cow_spot_find_held(u, dir, name, &s, held);

	if (sys)
		return sys;
	*ret = (struct cow_thing){
		.st = s.st,
		.is_dir = S_ISDIR(s.st.st_mode),
		.is_volatile = is_volatile_layer(u, s.place.layer),
		.is_linked = s.is_linked,
	};
	if (!ret->is_dir)
		ret->identity = (struct cow_identity){ s.place.layer, s.st.st_dev, s.st.st_ino };
	ret->own_dev = s.st.st_dev;
	ret->own_ino = s.st.st_ino;
	if (ret->is_volatile && !ret->is_dir) /* a directory has its stamp from cow_tree_getattr */
		ret->stamp = cow_tree_stamp(&s.st);
	sys = show_spot(u, &s, &ret->st);
	if (sys)
		return sys;
	if (ret->is_dir && dir->count && is_merged(u, dir, &s)) {
		ret->st.st_nlink = 1;
		ret->is_volatile = cow_dir_is_volatile(u, dir);
	}
	noted = cow_spot_noted_ino(u, &s);
	ret->st.st_ino = noted ? noted : cow_tree_ino(u, s.place.layer, s.st.st_dev, s.st.st_ino);
	return 0;
}

int cow_tree_find(struct cow_union *u, const struct cow_dir *dir, const char *name, struct cow_thing *ret)
{
	return find_held(u, dir, name, ret, NULL);
}

/* ---- the table ---------------------------------------------------------------------------------------- */

/* A copy-up that was interrupted after the object had got its place, before the table knew: the kernel's node
 * is the object all the same. */
static void adopt(struct cow_union *u, uint64_t parent, const char *name, const struct cow_thing *t)
{
	struct cow_node have;

	if (t->is_dir || t->identity.layer != COW_UPPER ||
	    cow_nodes_child(u->nodes, parent, name, &have) != 0)
		return;
	if (have.identity.layer == COW_UPPER || have.type != (t->st.st_mode & S_IFMT) || have.parent == 0)
		return;
	(void)!cow_place_follow(u, &have, parent, name, &t->identity);
}

/* When the host has changed it, pages and listings go before a new size is told. */
static void check_stamp(struct cow_union *u, const struct cow_node *n, uint64_t stamp)
{
	if (stamp == n->stamp)
		return;
	if (n->stamp) {
		cow_notice_changed(u->notices, n->id, NOTICE_WAIT_MS);
		cow_cache_forget(u->files, n->id);
		cow_cache_forget(u->dirs, n->id);
	}
	(void)!cow_nodes_set_stamp(u->nodes, n->id, stamp);
}

static int seen(struct cow_union *u, uint64_t parent, const char *name, const struct cow_thing *t,
		struct cow_entry *ret)
{
	struct cow_sighting s = {
		.parent = parent,
		.name = name,
		.type = t->st.st_mode & S_IFMT,
		.identity = t->identity,
		.shown_ino = t->st.st_ino,
		.stamp = t->stamp,
	};
	struct cow_node n;
	int sys;

	adopt(u, parent, name, t);
	sys = cow_nodes_seen(u->nodes, &s, &n);
	if (sys)
		return sys;
	*ret = (struct cow_entry){
		.id = n.id, .generation = n.generation, .st = t->st, .is_volatile = t->is_volatile
	};
	ret->st.st_ino = n.shown_ino;
	if (t->stamp)
		check_stamp(u, &n, t->stamp);
	if (t->is_dir && t->is_volatile)
		cow_dir_check(u, n.id, t->own_dev, t->own_ino);
	return 0;
}

void cow_tree_made(struct cow_union *u, const struct stat *st)
{
	const struct cow_identity identity = { COW_UPPER, st->st_dev, st->st_ino };

	if (!S_ISDIR(st->st_mode))
		cow_nodes_made(u->nodes, &identity);
}

int cow_tree_seen_upper(struct cow_union *u, const struct cow_dir *dir, const char *name,
			const struct stat *st, struct cow_entry *ret)
{
	struct cow_thing t = { .st = *st, .is_dir = S_ISDIR(st->st_mode) };

	if (!t.is_dir)
		t.identity = (struct cow_identity){ COW_UPPER, st->st_dev, st->st_ino };
	cow_tree_show(u, &t.st);
	t.st.st_ino = cow_tree_ino(u, COW_UPPER, st->st_dev, st->st_ino);
	return seen(u, dir->node, name, &t, ret);
}

/* A lower object that is being copied up must not be seen where it no longer is: its node's lock is what
 * copy-up holds from there to here. 0: no node to wait for. */
static uint64_t lock_known(struct cow_union *u, uint64_t parent, const char *name, const struct cow_thing *t)
{
	struct cow_node n;

	if (!u->upper || t->is_dir || t->identity.layer == COW_UPPER ||
	    cow_nodes_child(u->nodes, parent, name, &n) != 0)
		return 0;
	cow_lock(u, n.id);
	return n.id;
}

/* The host's files have one name there: what is done by another one is not told. */
static bool is_attr_watched(struct cow_union *u, uint64_t id, const struct cow_thing *t, bool is_name_watched)
{
	return t->is_dir ? cow_watch_has(u, id, t->own_dev, t->own_ino)
			 : is_name_watched && t->st.st_nlink == 1;
}

static int lookup(struct cow_union *u, uint64_t parent, const char *name, struct cow_entry *ret,
		  struct cow_handle *held)
{
	bool is_volatile, is_watched;
	uint64_t locked = 0;
	struct cow_thing t;
	struct cow_node n;
	struct cow_dir *dir;
	int sys = cow_dir_ref(u, parent, &dir);

	if (sys)
		return sys;
	is_volatile = cow_dir_is_volatile(u, dir);
	is_watched = is_volatile && cow_watch(u, dir);
	sys = find_held(u, dir, name, &t, held);
	if (!sys)
		locked = lock_known(u, parent, name, &t);
	/* Again, and not in a directory as it was before the copy-up. */
	if (locked &&
	    (cow_nodes_get(u->nodes, locked, &n) != 0 || !cow_identity_is(&n.identity, &t.identity))) {
		cow_dir_unref(u, dir);
		dir = NULL;
		if (held)
			cow_handle_close(held);
		sys = cow_dir_ref(u, parent, &dir);
		if (!sys)
			sys = find_held(u, dir, name, &t, held);
	}
	if (sys == ENOENT) {
		*ret = (struct cow_entry){ .is_volatile = is_volatile };
	} else if (!sys) {
		sys = seen(u, parent, name, &t, ret);
		ret->is_name_watched = is_watched;
		ret->is_attr_watched =
			!sys && ret->is_volatile && is_attr_watched(u, ret->id, &t, is_watched);
		if (!sys && held && held->fd >= 0)
			cow_hold(u, ret->id, &t.identity, held);
	}
	if (locked)
		cow_unlock(u, locked);
	cow_dir_unref(u, dir);
	return sys;
}

int cow_tree_lookup(struct cow_union *u, uint64_t parent, const char *name, struct cow_entry *ret)
{
	return lookup(u, parent, name, ret, NULL);
}

int cow_tree_lookup_held(struct cow_union *u, uint64_t parent, const char *name, struct cow_entry *ret)
{
	struct cow_handle held = COW_HANDLE_NONE;
	int sys = lookup(u, parent, name, ret, &held);

	cow_handle_close(&held);
	return sys;
}

/* ---- attributes ---------------------------------------------------------------------------------------- */

static void deleted_directory(const struct cow_union *u, const struct cow_node *n, struct stat *st)
{
	*st = (struct stat){ .st_mode = S_IFDIR | 0700,
			     .st_uid = u->opt.uid,
			     .st_gid = u->opt.gid,
			     .st_blksize = 4096,
			     .st_ino = n->shown_ino };
}

static int stat_layer_object(struct cow_union *u, uint8_t layer, const struct cow_handle *h, struct stat *st)
{
	struct cow_found found;
	int sys = u->layers[layer]->ops->stat(u->layers[layer], h, &found);

	if (!sys)
		*st = found.st;
	return sys;
}

/* Of the layers of a directory that change by themselves. 0 = there are none. */
static int stamp_of_directory(struct cow_union *u, const struct cow_dir *d, uint64_t *ret)
{
	struct stat st;
	int sys = 0;

	*ret = 0;
	for (unsigned i = 0; !sys && i < d->count; i++) {
		if (!is_volatile_layer(u, d->lower[i].number))
			continue;
		sys = stat_layer_object(u, d->lower[i].number, &d->lower[i].handle, &st);
		if (!sys)
			*ret = mix(*ret, cow_tree_stamp(&st)) | 1;
	}
	return sys;
}

static int stat_directory(struct cow_union *u, const struct cow_node *n, struct cow_entry *ret,
			  uint64_t *ret_stamp)
{
	struct cow_spot self = { .place = { .layer = COW_UPPER, .upper_dir = -1, .name = "." } };
	struct cow_dir *d;
	int sys = cow_dir_ref(u, n->id, &d);

	if (sys)
		return sys;
	ret->is_volatile = cow_dir_is_volatile(u, d);
	ret->is_attr_watched = ret->is_volatile && cow_watch(u, d);
	self.place.upper_dir = d->upper;
	if (d->upper >= 0) {
		if (fstatat(d->upper, "", &ret->st, AT_EMPTY_PATH) < 0)
			sys = errno;
	} else if (d->count) {
		self.place.layer = d->lower[0].number;
		self.place.lower = &d->lower[0].handle;
		sys = stat_layer_object(u, self.place.layer, &d->lower[0].handle, &ret->st);
	} else {
		deleted_directory(u, n, &ret->st);
		cow_dir_unref(u, d);
		return 0;
	}
	self.st = ret->st;
	if (!sys)
		sys = show_spot(u, &self, &ret->st);
	if (!sys)
		sys = stamp_of_directory(u, d, ret_stamp);
	if (d->count && (d->upper >= 0 || d->count > 1))
		ret->st.st_nlink = 1;
	cow_dir_unref(u, d);
	return sys;
}

/* A file that has lost its name, or whose name another one has on the host. */
static int stat_nameless(struct cow_union *u, const struct cow_node *n, struct cow_entry *ret)
{
	struct cow_place self = { .name = "" };
	struct cow_file *f;
	int sys, notes;

	if (!S_ISREG(n->type))
		return ESTALE;
	sys = cow_file_ref(u, n->id, &f);
	if (sys)
		return sys;
	if (f->layer == COW_UPPER)
		sys = fstat(f->fd, &ret->st) < 0 ? errno : 0;
	else
		sys = stat_layer_object(u, f->layer, &f->handle, &ret->st);
	cow_tree_show(u, &ret->st);
	self.layer = f->layer;
	self.upper_dir = f->fd;
	self.lower = &f->handle;
	notes = cow_place_notes(u, &self, COW_FEATURE_OWNER);
	if (!sys && notes >= 0)
		sys = cow_upper_override(u->upper, notes, "", &ret->st);
	if (n->flags & COW_NODE_LOST)
		ret->st.st_nlink = 0;
	cow_file_unref(u, f);
	return sys;
}

static int stat_named(struct cow_union *u, const struct cow_node *n, struct cow_entry *ret)
{
	struct cow_dir *d;
	struct cow_spot s;
	bool is_watched;
	int sys = cow_dir_ref(u, n->parent, &d);

	if (sys)
		return sys;
	is_watched = cow_watch(u, d);
	sys = cow_spot_find(u, d, n->name, &s);
	if (!sys && s.place.layer == COW_UPPER && n->identity.layer != COW_UPPER &&
	    (s.st.st_mode & S_IFMT) == n->type) {
		(void)cow_place_adopt(u, n);
	} else if (!sys && (s.place.layer != n->identity.layer || s.st.st_dev != n->identity.dev ||
			    s.st.st_ino != n->identity.ino)) {
		sys = ENOENT;
	}
	if (!sys) {
		ret->st = s.st;
		ret->is_volatile = is_volatile_layer(u, s.place.layer);
		sys = show_spot(u, &s, &ret->st);
		ret->is_attr_watched = ret->is_volatile && is_watched && ret->st.st_nlink == 1;
	}
	cow_dir_unref(u, d);
	return sys == ENOENT ? stat_nameless(u, n, ret) : sys;
}

static int stat_orphan(struct cow_union *u, const struct cow_node *n, struct cow_entry *ret)
{
	struct cow_place p;
	int sys = cow_place_of(u, n, &p);

	if (sys)
		return sys;
	if (fstatat(p.upper_dir, p.name, &ret->st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? ESTALE : errno;
	cow_tree_show(u, &ret->st);
	ret->st.st_nlink -= ret->st.st_nlink > 0;
	if (cow_upper_has(u->upper, COW_FEATURE_OWNER))
		return cow_upper_override(u->upper, p.upper_dir, p.name, &ret->st);
	return 0;
}

static int stat_node(struct cow_union *u, const struct cow_node *n, struct cow_entry *ret,
		     uint64_t *ret_stamp)
{
	*ret = (struct cow_entry){ .id = n->id, .generation = n->generation };
	if (S_ISDIR(n->type))
		return stat_directory(u, n, ret, ret_stamp);
	if (n->flags & COW_NODE_ORPHAN)
		return stat_orphan(u, n, ret);
	return n->parent ? stat_named(u, n, ret) : stat_nameless(u, n, ret);
}

int cow_tree_getattr(struct cow_union *u, uint64_t id, struct cow_entry *ret)
{
	struct cow_patience patience = { 0 };
	uint64_t stamp = 0;
	struct cow_node n;
	int sys;

	do { /* directories and regular files have been waited for */
		sys = cow_nodes_get(u->nodes, id, &n);
		if (sys)
			return sys;
		sys = stat_node(u, &n, ret, &stamp);
	} while (sys == ESTALE && !S_ISDIR(n.type) && !S_ISREG(n.type) && cow_step_wait(u, &patience));
	if (sys)
		return sys;
	if (ret->is_volatile && S_ISREG(n.type))
		stamp = cow_tree_stamp(&ret->st);
	if (stamp)
		check_stamp(u, &n, stamp);
	if (n.shown_ino) /* else the root: nobody has looked it up */
		ret->st.st_ino = n.shown_ino;
	return 0;
}

int cow_tree_readlink(struct cow_union *u, uint64_t id, char *buf, size_t cap, size_t *ret_len)
{
	struct cow_place p;
	struct cow_node n;
	ssize_t len;
	int sys = cow_nodes_get(u->nodes, id, &n);

	if (!sys)
		sys = cow_place_of(u, &n, &p);
	if (sys)
		return sys;
	if (p.layer == COW_UPPER) {
		len = readlinkat(p.upper_dir, p.name, buf, cap);
		sys = len < 0 ? errno : 0;
		*ret_len = len < 0 ? 0 : (size_t)len;
	} else {
		struct cow_layer *l = u->layers[p.layer];

		sys = l->ops->readlink(l, p.lower, p.name, buf, cap, ret_len);
	}
	cow_place_end(u, &p);
	return sys;
}
