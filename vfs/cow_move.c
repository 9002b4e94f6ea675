/* SPDX-License-Identifier: Apache-2.0 */
/* Renaming inside the upper; see cow_upper.h.
 *
 * What rename(2) cannot do in one step is prepared by steps that change nothing for those who look at the
 * union: a whiteout where nothing was, opacity for a directory whose whiteouts then go. Only where the file
 * system lacks RENAME_WHITEOUT and something is replaced, both names exist for a moment. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fd.h"
#include "vfs/cow_upper_state.h"

struct side {
	struct stat st;
	bool exists, is_whiteout;
};

static int look(const struct cow_upper *u, int dir, const char *name, struct side *ret)
{
	int sys = cow_upper_lookup(u, dir, name, &ret->st, &ret->is_whiteout);

	ret->exists = !sys;
	return sys == ENOENT ? 0 : sys;
}

static int rename_flags(const struct cow_upper_move *m, unsigned flags)
{
	return renameat2(m->old_dir, m->old_name, m->new_dir, m->new_name, flags) < 0 ? errno : 0;
}

static bool leaves_whiteouts(const struct cow_upper *u)
{
	return u->can & COW_CAN_LEAVE_WHITEOUT;
}

/* ---- onto nothing, onto a whiteout -------------------------------------------------------------- */

/* The whiteout there changes places with what comes: it is needed at the old place, or is too many there. */
static int onto_whiteout(const struct cow_upper_move *m, const struct side *old, const struct side *new)
{
	int sys = 0;

	if (!m->whiteout && !S_ISDIR(old->st.st_mode))
		return rename_flags(m, 0);
	if (m->whiteout && S_ISREG(new->st.st_mode))
		sys = cow_whiteout_mark(m->old_dir);
	if (!sys)
		sys = rename_flags(m, RENAME_EXCHANGE);
	if (!sys && !m->whiteout)
		(void)unlinkat(m->old_dir, m->old_name, 0);
	return sys;
}

static int onto_nothing(struct cow_upper *u, const struct cow_upper_move *m)
{
	int sys;

	if (!m->whiteout)
		return rename_flags(m, RENAME_NOREPLACE);
	if (leaves_whiteouts(u))
		return rename_flags(m, RENAME_NOREPLACE | RENAME_WHITEOUT);
	sys = cow_whiteout_allow(u, m->old_dir);
	if (!sys)
		sys = cow_upper_whiteout(u, m->new_dir, m->new_name, 0);
	if (sys)
		return sys;
	sys = rename_flags(m, RENAME_EXCHANGE);
	if (sys)
		(void)unlinkat(m->new_dir, m->new_name, 0);
	return sys;
}

/* ---- onto a file -------------------------------------------------------------------------------- */

/* Both names lead to the file for a moment, as if it were renamed by link and unlink. All that takes room on
 * the disk comes before the first step. */
static int onto_file_by_link(struct cow_upper *u, const struct cow_upper_move *m)
{
	struct cow_temp link = { .fd = -1 }, whiteout = { .fd = -1 };
	int sys = cow_whiteout_allow(u, m->old_dir);

	if (!sys)
		sys = cow_whiteout_temp(u, whiteout.name);
	if (!sys)
		sys = cow_temp_link(u, m->old_dir, m->old_name, &link);
	if (!sys && renameat(u->tmp, link.name, m->new_dir, m->new_name) < 0)
		sys = errno;
	else if (!sys && renameat(u->tmp, whiteout.name, m->old_dir, m->old_name) < 0)
		sys = errno;
	if (sys) {
		cow_temp_drop(u, &link);
		cow_temp_drop(u, &whiteout);
	}
	return sys;
}

/* The orphan's name comes first: after a crash it is one name too many, until the orphans are emptied. */
static int onto_file(struct cow_upper *u, const struct cow_upper_move *m)
{
	int sys = 0;

	if (m->orphan_id)
		sys = cow_orphan_link(u, m->new_dir, m->new_name, m->orphan_id);
	if (sys)
		return sys;
	if (!m->whiteout || leaves_whiteouts(u))
		sys = rename_flags(m, m->whiteout ? RENAME_WHITEOUT : 0);
	else
		sys = onto_file_by_link(u, m);
	if (sys && m->orphan_id)
		cow_orphan_remove(u, m->orphan_id);
	return sys;
}

/* ---- onto a directory --------------------------------------------------------------------------- */

/* Opacity hides all that whiteouts hide, and what a redirect leads to would come back without them. */
static int clear(struct cow_upper *u, const struct cow_upper_move *m)
{
	auto_fd int fd = openat(m->new_dir, m->new_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	bool any;
	int sys;

	if (fd < 0)
		return errno;
	sys = cow_whiteouts_only(u, fd, &any);
	if (sys || !any)
		return sys;
	sys = cow_upper_set_opaque(u, fd);
	if (!sys && fremovexattr(fd, COW_ATTR_REDIRECT) < 0 && errno != ENODATA)
		sys = errno;
	return sys ? sys : cow_whiteouts_clear(u, fd);
}

static int replace_dir(struct cow_upper *u, const struct cow_upper_move *m)
{
	int sys = clear(u, m);

	if (sys)
		return sys;
	if (!m->whiteout)
		return rename_flags(m, 0);
	if (leaves_whiteouts(u))
		return rename_flags(m, RENAME_WHITEOUT);
	/* For a moment the replaced one, empty and opaque, stands at the old place. */
	sys = rename_flags(m, RENAME_EXCHANGE);
	if (sys)
		return sys;
	sys = cow_upper_remove_dir(u, m->old_dir, m->old_name, true);
	if (sys)
		(void)rename_flags(m, RENAME_EXCHANGE);
	return sys;
}

/* That the owner may not read or write the directory says nothing about replacing it. */
static int onto_dir(struct cow_upper *u, const struct cow_upper_move *m, mode_t mode)
{
	int sys = replace_dir(u, m);

	if (sys != EACCES || (mode & 0700) == 0700 ||
	    fchmodat(m->new_dir, m->new_name, (mode & 07777) | 0700, 0) < 0)
		return sys;
	sys = replace_dir(u, m);
	if (sys && fchmodat(m->new_dir, m->new_name, mode & 07777, 0) < 0)
		return errno;
	return sys;
}

/* Listings of the directories that things move to must ask for their numbers. */
static int keep_numbers(struct cow_upper *u, const struct cow_upper_move *m)
{
	int sys = 0;

	if (m->old_dir == m->new_dir)
		return 0;
	if (cow_upper_noted_ino(u, m->old_dir, m->old_name))
		sys = cow_upper_set_impure(u, m->new_dir);
	if (!sys && m->exchange && cow_upper_noted_ino(u, m->new_dir, m->new_name))
		sys = cow_upper_set_impure(u, m->old_dir);
	return sys;
}

int cow_upper_move(struct cow_upper *u, const struct cow_upper_move *m)
{
	struct side old, new;
	int sys;

	sys = keep_numbers(u, m);
	if (sys)
		return sys;
	if (m->exchange)
		return rename_flags(m, RENAME_EXCHANGE);
	sys = look(u, m->old_dir, m->old_name, &old);
	if (!sys)
		sys = look(u, m->new_dir, m->new_name, &new);
	if (sys)
		return sys;
	if (!old.exists || old.is_whiteout)
		return ENOENT;
	if (!new.exists)
		return onto_nothing(u, m);
	if (new.is_whiteout)
		return onto_whiteout(m, &old, &new);
	if (old.st.st_dev == new.st.st_dev && old.st.st_ino == new.st.st_ino)
		return 0;
	if (S_ISDIR(old.st.st_mode) != S_ISDIR(new.st.st_mode))
		return S_ISDIR(new.st.st_mode) ? EISDIR : ENOTDIR;
	return S_ISDIR(old.st.st_mode) ? onto_dir(u, m, new.st.st_mode) : onto_file(u, m);
}
