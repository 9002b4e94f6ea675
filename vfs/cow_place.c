/* SPDX-License-Identifier: Apache-2.0 */
/* Finding objects in the layers; see cow_place.h.
 *
 * A lower file with several names that was copied up under one of them is found under the others through
 * the index of links: in the upper, or in a frozen upper above the layer that has the name. There the copy
 * is an object of that layer, which may have been copied up again, so that it goes on from layer to layer. */
#include "vfs/cow_place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vfs/cow_watch.h"

/* ---- the index of links ------------------------------------------------------------------------- */

static int find_in_upper_index(struct cow_union *u, const char *key, struct cow_spot *ret)
{
	struct stat st;
	int sys;

	if (!u->upper || !cow_upper_has(u->upper, COW_FEATURE_LINKS))
		return ENOENT;
	sys = cow_links_stat(u->upper, key, &st);
	if (sys)
		return sys;
	ret->st = st;
	ret->place = (struct cow_place){ .layer = COW_UPPER, .upper_dir = cow_links_dir(u->upper) };
	(void)strncpy(ret->place.name, key, NAME_MAX);
	ret->is_empty = false;
	ret->is_linked = ret->is_impure = true;
	return 0;
}

/* The nearest that has it: what the one above has, it has of that one. */
static int find_in_frozen_index(struct cow_union *u, const char *key, struct cow_spot *ret)
{
	for (uint8_t n = ret->place.layer; n-- > 1;) {
		struct cow_layer *l = u->layers[n];
		struct cow_found found;
		int sys = l->index.is_there ? l->ops->lookup(l, &l->index.links, key, &found, NULL) : ENOENT;

		if (sys == ENOENT)
			continue;
		if (sys)
			return sys;
		*ret = (struct cow_spot){
			.st = found.st,
			.is_empty = found.is_empty,
			.is_linked = true,
			.is_impure = true,
			.place = { .layer = n, .upper_dir = -1, .lower = &l->index.links },
		};
		(void)strncpy(ret->place.name, key, NAME_MAX);
		return 0;
	}
	return ENOENT;
}

/* In place of a lower file: what has become of it, if it was copied up by another name. */
static int follow_link(struct cow_union *u, struct cow_spot *s)
{
	char key[96];
	int sys = 0;

	while (!sys && s->place.layer != COW_UPPER && !S_ISDIR(s->st.st_mode) &&
	       (s->st.st_nlink > 1 || s->is_linked)) {
		cow_links_key(u->layers[s->place.layer]->key, s->st.st_dev, s->st.st_ino, key);
		sys = find_in_frozen_index(u, key, s);
		if (sys == ENOENT)
			sys = find_in_upper_index(u, key, s);
	}
	return sys == ENOENT ? 0 : sys;
}

/* ---- names --------------------------------------------------------------------------------------- */

static int below(struct cow_union *u, const struct cow_dir *dir, const char *name, struct cow_spot *ret,
		 struct cow_handle *held)
{
	for (unsigned i = 0; i < dir->count; i++) {
		const struct cow_dir_layer *from = &dir->lower[i];
		struct cow_layer *l = u->layers[from->number];
		struct cow_found found;
		int sys = l->ops->lookup(l, &from->handle, name, &found, held);

		if (sys == ENOENT)
			continue;
		if (sys || found.is_whiteout)
			return sys ? sys : ENOENT;
		ret->st = found.st;
		ret->is_empty = found.is_empty;
		ret->is_linked = false;
		ret->is_impure = from->is_impure;
		ret->place =
			(struct cow_place){ .layer = from->number, .upper_dir = -1, .lower = &from->handle };
		(void)strncpy(ret->place.name, name, NAME_MAX);
		return 0;
	}
	return ENOENT;
}

int cow_spot_below(struct cow_union *u, const struct cow_dir *dir, const char *name, struct cow_spot *ret)
{
	return below(u, dir, name, ret, NULL);
}

/* ENOENT with *ret_hidden: the upper says that there is no such name. */
static int in_upper(struct cow_union *u, const struct cow_dir *dir, const char *name, struct cow_spot *ret,
		    bool *ret_hidden)
{
	int sys;

	*ret_hidden = false;
	if (dir->upper < 0)
		return ENOENT;
	sys = cow_upper_lookup(u->upper, dir->upper, name, &ret->st, ret_hidden);
	if (sys || *ret_hidden)
		return sys ? sys : ENOENT;
	ret->is_empty = ret->is_linked = false;
	ret->is_impure = dir->is_impure;
	ret->place = (struct cow_place){ .layer = COW_UPPER, .upper_dir = dir->upper };
	(void)strncpy(ret->place.name, name, NAME_MAX);
	return 0;
}

/* The links index is in a directory of the upper that nobody has asked for. */
static bool is_only_index(struct cow_union *u, const struct cow_dir *dir, const char *name)
{
	struct cow_spot lower;

	return dir->node == COW_ROOT && strcmp(name, ".floe") == 0 && cow_links_is_alone(u->upper) &&
	       below(u, dir, name, &lower, NULL) == ENOENT;
}

int cow_spot_find_held(struct cow_union *u, const struct cow_dir *dir, const char *name, struct cow_spot *ret,
		       struct cow_handle *held)
{
	bool is_hidden;
	int sys;

	if (strlen(name) > NAME_MAX)
		return ENAMETOOLONG;
	sys = in_upper(u, dir, name, ret, &is_hidden);
	if (!sys && is_only_index(u, dir, name))
		return ENOENT;
	if (sys != ENOENT || is_hidden || dir->count == 0)
		return sys;
	sys = below(u, dir, name, ret, held);
	return sys ? sys : follow_link(u, ret);
}

int cow_spot_find(struct cow_union *u, const struct cow_dir *dir, const char *name, struct cow_spot *ret)
{
	return cow_spot_find_held(u, dir, name, ret, NULL);
}

/* ---- notes ------------------------------------------------------------------------------------------ */

int cow_place_notes(const struct cow_union *u, const struct cow_place *p, enum cow_feature f)
{
	if (p->layer == COW_UPPER)
		return cow_upper_has(u->upper, f) ? p->upper_dir : -1;
	return u->layers[p->layer]->is_frozen_upper && (u->layers[p->layer]->features & f) ? p->lower->fd
											   : -1;
}

/* Of a file that has lost the name it was copied up by, only the index has a name. */
unsigned cow_spot_links(const struct cow_union *u, const struct cow_spot *s)
{
	int dir = cow_place_notes(u, &s->place, COW_FEATURE_LINKS);
	unsigned links;

	if (dir >= 0 && !S_ISDIR(s->st.st_mode) && (s->st.st_nlink > 1 || s->is_linked) &&
	    cow_links_count(u->upper, dir, s->place.name, &links) == 0)
		return links;
	return (unsigned)s->st.st_nlink;
}

uint64_t cow_spot_noted_ino(const struct cow_union *u, const struct cow_spot *s)
{
	if (!s->is_impure)
		return 0;
	return cow_upper_noted_ino(u->upper,
				   s->place.layer == COW_UPPER ? s->place.upper_dir : s->place.lower->fd,
				   s->place.name);
}

/* ---- objects -------------------------------------------------------------------------------------- */

static bool is_node_at(const struct cow_node *n, const struct cow_spot *s)
{
	return n->identity.layer == s->place.layer && n->identity.dev == s->st.st_dev &&
	       n->identity.ino == s->st.st_ino;
}

static int place_of_directory(struct cow_union *u, const struct cow_node *n, struct cow_place *ret)
{
	struct cow_dir *d;
	int sys = cow_dir_ref(u, n->id, &d);

	if (sys)
		return sys;
	*ret = (struct cow_place){ .upper_dir = d->upper, .name = ".", .dir = d };
	if (d->upper < 0 && d->count) {
		ret->layer = d->lower[0].number;
		ret->lower = &d->lower[0].handle;
	} else if (d->upper < 0) { /* deleted */
		cow_place_end(u, ret);
		return ENOENT;
	}
	return 0;
}

/* By what the table says. ESTALE: that is not so. */
static int place_by_table(struct cow_union *u, const struct cow_node *n, struct cow_place *ret)
{
	struct cow_dir *d;
	struct cow_spot s;
	int sys;

	if (n->flags & COW_NODE_ORPHAN) {
		*ret = (struct cow_place){ .layer = COW_UPPER, .upper_dir = cow_orphans_dir(u->upper) };
		cow_orphan_text(n->id, ret->name);
		return 0;
	}
	if (n->parent == 0)
		return ENOENT;
	sys = cow_dir_ref(u, n->parent, &d);
	if (sys)
		return sys;
	sys = cow_spot_find(u, d, n->name, &s);
	if (!sys && !is_node_at(n, &s))
		sys = ESTALE;
	if (sys) {
		cow_dir_unref(u, d);
		return sys == ENOENT ? ESTALE : sys;
	}
	*ret = s.place;
	ret->dir = d;
	return 0;
}

/* Its name has gone already, and the table does not say so yet. */
static bool is_orphan_by_now(struct cow_union *u, const struct cow_node *n, struct cow_place *ret)
{
	struct stat st;

	*ret = (struct cow_place){ .layer = COW_UPPER, .upper_dir = cow_orphans_dir(u->upper) };
	cow_orphan_text(n->id, ret->name);
	return fstatat(ret->upper_dir, ret->name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       st.st_ino == n->identity.ino && st.st_dev == n->identity.dev;
}

bool cow_step_wait(struct cow_union *u, struct cow_patience *p)
{
	enum { MOMENT = 40, BUSY = 4000, WAIT_US = 500 };

	if (atomic_load(&u->steps) && p->busy < BUSY) {
		p->busy++;
		if (p->moment == MOMENT) /* once more when they have been made */
			p->moment--;
	} else if (p->moment == MOMENT) {
		return false;
	} else {
		p->moment++;
	}
	if (p->moment + p->busy > 1)
		(void)usleep(WAIT_US);
	return true;
}

/* When a server was killed between the two steps, its successor makes the second one of a rename; for a
 * removal the orphan speaks. */
int cow_place_of(struct cow_union *u, const struct cow_node *n, struct cow_place *ret)
{
	struct cow_patience patience = { 0 };
	struct cow_node now;
	int sys;

	if (S_ISDIR(n->type))
		return place_of_directory(u, n, ret);
	sys = place_by_table(u, n, ret);
	while (sys == ESTALE && n->identity.layer == COW_UPPER) {
		if (is_orphan_by_now(u, n, ret))
			return 0;
		if (!cow_step_wait(u, &patience))
			break;
		sys = cow_nodes_get(u->nodes, n->id, &now);
		if (!sys)
			sys = place_by_table(u, &now, ret);
	}
	return sys;
}

/* Every name of the node but this one goes from the table, and the kernel looks again. */
static void drop_other_names(struct cow_union *u, uint64_t id, uint64_t parent, const char *name)
{
	struct cow_node other;

	while (cow_nodes_other_name(u->nodes, id, parent, name, &other)) {
		cow_nodes_unlink(u->nodes, other.parent, other.name);
		cow_watches_expire(u->watches, other.parent, other.name);
	}
}

static bool is_in_index(struct cow_union *u, const struct cow_node *n)
{
	struct stat st;
	char key[96];

	if (n->identity.layer == COW_UPPER || !cow_upper_has(u->upper, COW_FEATURE_LINKS))
		return false;
	cow_links_key(u->layers[n->identity.layer]->key, n->identity.dev, n->identity.ino, key);
	return cow_links_stat(u->upper, key, &st) == 0;
}

int cow_place_follow(struct cow_union *u, const struct cow_node *n, uint64_t parent, const char *name,
		     const struct cow_identity *to)
{
	bool is_alone = !S_ISREG(n->type) && !is_in_index(u, n);
	int sys;

	/* Before, for a successor; and after, for what was looked up between. */
	if (is_alone)
		drop_other_names(u, n->id, parent, name);
	sys = cow_nodes_set_identity(u->nodes, n->id, to);
	if (!sys && is_alone)
		drop_other_names(u, n->id, parent, name);
	cow_cache_forget(u->files, n->id);
	return sys;
}

bool cow_place_adopt(struct cow_union *u, const struct cow_node *n)
{
	struct cow_identity to = { .layer = COW_UPPER };
	struct cow_dir *d;
	struct cow_spot s;
	bool is_there;

	if (n->parent == 0 || n->identity.layer == COW_UPPER || cow_dir_ref(u, n->parent, &d) != 0)
		return false;
	is_there = cow_spot_find(u, d, n->name, &s) == 0 && s.place.layer == COW_UPPER &&
		   (s.st.st_mode & S_IFMT) == n->type;
	cow_dir_unref(u, d);
	if (!is_there)
		return false;
	to.dev = s.st.st_dev;
	to.ino = s.st.st_ino;
	return cow_place_follow(u, n, n->parent, n->name, &to) == 0;
}

void cow_place_end(struct cow_union *u, struct cow_place *p)
{
	cow_dir_unref(u, p->dir);
	p->dir = NULL;
}

/* Written from the end backwards: names are found from the bottom up. */
static int prepend(char *buf, size_t *at, const char *text)
{
	size_t len = strlen(text);

	if (len + 1 > *at)
		return ENAMETOOLONG;
	*at -= len;
	memcpy(buf + *at, text, len);
	if (buf[*at] != '/')
		buf[--*at] = '/';
	return 0;
}

static int redirect_of(struct cow_union *u, uint64_t node, char **ret)
{
	struct cow_upper_dir_info info = { .redirect = NULL };
	struct cow_dir *d;
	int sys = cow_dir_ref(u, node, &d);

	*ret = NULL;
	if (sys)
		return sys;
	if (d->upper >= 0)
		sys = cow_upper_dir_info(u->upper, d->upper, &info);
	cow_dir_unref(u, d);
	if (!sys)
		*ret = info.redirect;
	return sys;
}

int cow_place_lower_path(struct cow_union *u, uint64_t node, char *ret, size_t cap)
{
	size_t at = cap - 1;
	struct cow_node n;
	int sys = 0;

	ret[at] = 0;
	while (!sys && node != COW_ROOT) {
		char *redirect = NULL;

		sys = cow_nodes_get(u->nodes, node, &n);
		if (!sys && n.parent == 0)
			sys = ENOENT;
		if (!sys && u->upper && cow_upper_has(u->upper, COW_FEATURE_REDIRECT))
			sys = redirect_of(u, node, &redirect);
		if (!sys)
			sys = prepend(ret, &at, redirect ? redirect : n.name);
		node = redirect ? COW_ROOT : n.parent;
		free(redirect);
	}
	if (!sys)
		memmove(ret, ret + at, cap - at);
	return sys;
}
