/* SPDX-License-Identifier: Apache-2.0 */
/* Changing attributes; see cow_change.h.
 *
 * Owners: where numbers mean what they say, the file system below has them. Elsewhere every object is the
 * user's own, and another owner is noted beside it (cow_upper.h), together with the mode that counts then. */
#include "vfs/cow_change.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vfs/cow_copy_up.h"
#include "vfs/cow_file.h"
#include "vfs/cow_place.h"

static mode_t without_suid(mode_t mode)
{
	mode &= ~(mode_t)S_ISUID;
	return mode & S_IXGRP ? mode & ~(mode_t)S_ISGID : mode;
}

static int set_size(struct cow_union *u, uint64_t id, uint64_t size)
{
	struct cow_file *f;
	int sys = cow_file_ref(u, id, &f);

	if (sys)
		return sys;
	sys = f->is_writable ? cow_content_truncate(f->fd, f->lazy, size) : EACCES;
	cow_file_unref(u, f);
	return sys;
}

static int set_mode(const struct cow_place *p, mode_t mode)
{
	return fchmodat(p->upper_dir, p->name, mode & 07777, 0) < 0 ? errno : 0;
}

/* By a note, where another owner cannot be had. The mode that is noted is the one that shows. */
static int note_owner(struct cow_union *u, const struct cow_place *p, const struct cow_attrs *a,
		      const struct stat *shown)
{
	const uid_t uid = a->has_uid ? a->uid : shown->st_uid;
	const gid_t gid = a->has_gid ? a->gid : shown->st_gid;
	mode_t mode = a->has_mode ? a->mode : shown->st_mode;

	if (a->kill_suid && !a->has_mode)
		mode = without_suid(mode);
	return cow_upper_set_override(u->upper, p->upper_dir, p->name, uid, gid,
				      (mode & 07777) | (shown->st_mode & S_IFMT));
}

static bool is_noted(struct cow_union *u, const struct cow_place *p)
{
	struct stat st = { .st_uid = (uid_t)-2, .st_gid = (gid_t)-2 };

	return cow_upper_has(u->upper, COW_FEATURE_OWNER) &&
	       cow_upper_override(u->upper, p->upper_dir, p->name, &st) == 0 && st.st_uid != (uid_t)-2;
}

static int set_owner(struct cow_union *u, const struct cow_place *p, const struct cow_attrs *a,
		     const struct stat *shown)
{
	const bool wants = a->has_uid || a->has_gid;
	const uid_t uid = a->has_uid ? a->uid : (uid_t)-1;
	const gid_t gid = a->has_gid ? a->gid : (gid_t)-1;
	const bool is_own = (!a->has_uid || uid == u->opt.uid) && (!a->has_gid || gid == u->opt.gid);

	if (is_noted(u, p))
		return wants || a->has_mode || a->kill_suid ? note_owner(u, p, a, shown) : 0;
	if (!wants)
		return 0;
	if ((!u->opt.map_owners || is_own) &&
	    fchownat(p->upper_dir, p->name, uid, gid, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	if (is_own || (!u->opt.map_owners && errno != EPERM && errno != EINVAL))
		return errno;
	return note_owner(u, p, a, shown);
}

static int set_place(struct cow_union *u, const struct cow_place *p, const struct cow_attrs *a,
		     const struct stat *shown)
{
	const struct timespec omit = { .tv_nsec = UTIME_OMIT };
	const struct timespec times[2] = { a->has_atime ? a->atime : omit, a->has_mtime ? a->mtime : omit };
	int sys = 0;

	if (a->has_uid || a->has_gid || a->has_mode || a->kill_suid)
		sys = set_owner(u, p, a, shown);
	if (!sys && a->has_mode)
		sys = set_mode(p, a->mode);
	else if (!sys && a->kill_suid && without_suid(shown->st_mode) != shown->st_mode)
		sys = set_mode(p, without_suid(shown->st_mode));
	if (!sys && (a->has_atime || a->has_mtime) &&
	    utimensat(p->upper_dir, p->name, times, AT_SYMLINK_NOFOLLOW) < 0)
		sys = errno;
	return sys;
}

/* Present in the upper; a file that is about to be cut to nothing without its content. */
static int bring_up(struct cow_union *u, const struct cow_node *n, const struct cow_attrs *a)
{
	if (S_ISDIR(n->type))
		return cow_copy_up_dir(u, n->id);
	return cow_copy_up(u, n->id, a->has_size && a->size == 0 ? COW_COPY_NONE : COW_COPY_ALL);
}

static bool touches_place(const struct cow_attrs *a)
{
	return a->has_uid || a->has_gid || a->has_mode || a->kill_suid || a->has_atime || a->has_mtime;
}

int cow_setattr(struct cow_union *u, uint64_t id, const struct cow_attrs *a, struct cow_entry *ret)
{
	struct cow_entry shown = { .id = 0 };
	struct cow_place p;
	struct cow_node n;
	int sys = u->upper ? cow_nodes_get(u->nodes, id, &n) : EROFS;

	if (!sys && a->has_size && !S_ISREG(n.type))
		sys = S_ISDIR(n.type) ? EISDIR : EINVAL;
	if (!sys)
		sys = bring_up(u, &n, a);
	if (!sys && a->has_size)
		sys = set_size(u, id, a->size);
	if (!sys && touches_place(a)) {
		sys = cow_nodes_get(u->nodes, id, &n);
		if (!sys && (a->has_uid || a->has_gid || a->has_mode || a->kill_suid))
			sys = cow_tree_getattr(u, id, &shown);
		if (!sys)
			sys = cow_place_of(u, &n, &p);
		if (!sys) {
			sys = set_place(u, &p, a, &shown.st);
			cow_place_end(u, &p);
		}
	}
	return sys ? sys : cow_tree_getattr(u, id, ret);
}
