/* SPDX-License-Identifier: Apache-2.0 */
/* What the union showed and the upper alone does not tell; part of scanning, see scan.h.
 *
 * A renamed directory is in the upper as an empty one with a note where the host has its content (the fuse
 * engine; vfs/cow_upper.h): what it shows is taken from there. Below an opaque directory everything is
 * opaque, marked or not. A changed file of the host that has several names is in the upper under those that
 * were used: the others are looked for on the host. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <mntent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/path.h"
#include "sequencer/scan_state.h"
#include "sequencer/upper_note.h"

static bool exists(const char *dir, const char *name)
{
	char path[PATH_MAX];
	struct stat st;

	return snprintf(path, sizeof(path), "%s/%s", dir, name) < (int)sizeof(path) && lstat(path, &st) == 0;
}

/* ---- directories --------------------------------------------------------------------------------- */

/* Where on the host's disk `path` is. In the arena. */
static const char *on_host(struct scanning *s, const char *path, struct err *e)
{
	char host[PATH_MAX];
	struct stat ignored;

	if (seq_scan_host(s, path, &ignored, host) < 0)
		return "";
	return seq_capture_string(s->capture, host, e);
}

const struct scan_place *seq_scan_place(struct scanning *s, const struct scan_place *above, const char *path,
					const char *source, struct err *e)
{
	struct scan_place *place = arena_alloc(&s->capture->arena, 1, sizeof(*place), e);
	char below[PATH_MAX];
	struct stat st;

	if (!place)
		return NULL;
	*place = (struct scan_place){ .is_opaque = above && above->is_opaque };
	if (seq_note_redirect(source, below)) {
		place->is_opaque = true;
		place->origin = on_host(s, below, e);
	} else if (seq_note_opaque(source)) {
		place->is_opaque = true;
	} else if (above && above->origin &&
		   snprintf(below, sizeof(below), "%s/%s", above->origin, path_base(path)) <
			   (int)sizeof(below) &&
		   lstat(below, &st) == 0 && S_ISDIR(st.st_mode)) {
		place->origin = seq_capture_string(s->capture, below, e);
	} else {
		return place;
	}
	if (place->origin && !*place->origin)
		place->origin = NULL;
	return place;
}

/* The host's names at an opaque directory's path that do not show in it. */
static int add_hidden(struct scanning *s, const struct scan_place *place, const char *path,
		      const char *source, struct err *e)
{
	char host[PATH_MAX], theirs[PATH_MAX];
	struct stat below;
	struct dirent *de;
	DIR *d;
	int rc = 0;

	if (seq_scan_host(s, path, &below, host) < 0 || !S_ISDIR(below.st_mode))
		return 0;
	d = opendir(host);
	if (!d)
		return 0; /* what we may not read was not visible to the installer either */
	while (rc == 0 && (de = readdir(d))) {
		if (path_is_dot(de->d_name) || exists(source, de->d_name) ||
		    (place->origin && exists(place->origin, de->d_name)) ||
		    snprintf(theirs, sizeof(theirs), "%s/%s", path, de->d_name) >= (int)sizeof(theirs))
			continue;
		rc = seq_scan_add_whiteout(s, theirs, e);
	}
	(void)closedir(d);
	return rc;
}

/* ---- what came along ------------------------------------------------------------------------------- */

/* The host's file, as an installer sees it that owns everything. What it may not read is empty; what is its
 * user's own it may read whatever the mode, and we may not: packing will say so. */
static void show(const struct scanning *s, struct scan_object *o)
{
	const bool is_own = o->st.st_uid == s->opt->uid;

	if (s->opt->uid == 0)
		return;
	o->st.st_uid = s->opt->uid;
	o->st.st_gid = s->opt->gid;
	if (!is_own && S_ISREG(o->st.st_mode) && access(o->source, R_OK) < 0) {
		o->source = "/dev/null";
		o->st.st_size = 0;
		o->st.st_nlink = 1;
	}
}

static int take_grafted(struct scanning *s, const char *path, const FTSENT *f, struct err *e)
{
	static const struct scan_place place = { .is_opaque = true };
	struct scan_object o = { .path = path, .source = f->fts_path, .st = *f->fts_statp };
	struct seq_link *link = S_ISREG(o.st.st_mode) ? seq_links_of_host(&s->links, &o.st) : NULL;

	if (s->opt->cancel && *s->opt->cancel)
		return err_set(e, ERR_INTERRUPTED, "interrupted");
	if (link && lstat(link->source, &o.st) == 0) {
		link->seen++;
		o.source = link->source;
		seq_note_override(link->source, &o.st);
	} else {
		show(s, &o);
	}
	if (seq_scan_take(s, &o, e) < 0)
		return -1;
	return S_ISDIR(o.st.st_mode) ? add_hidden(s, &place, path, f->fts_path, e) : 0;
}

/* The host's tree `source` showed at `path`, untouched. */
static int graft(struct scanning *s, const char *path, char *source, struct err *e)
{
	char *roots[2] = { source, NULL };
	size_t len = strlen(source);
	FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	FTSENT *f;
	int rc = 0;

	if (!tree)
		return err_sys(e, errno, "%s", source);
	while (rc == 0 && (f = fts_read(tree))) {
		auto_free char *at = NULL;

		if (f->fts_info == FTS_DP || f->fts_info == FTS_NS || f->fts_info == FTS_ERR)
			continue; /* seen before, or just gone */
		if (f->fts_info == FTS_DNR) {
			if (f->fts_statp->st_uid == s->opt->uid)
				rc = err_sys(e, f->fts_errno, "%s, which was renamed", f->fts_path);
			continue; /* what may not be read is empty */
		}
		at = mem_printf(e, "%s%s", path, f->fts_path + len);
		rc = at ? take_grafted(s, at, f, e) : -1;
	}
	(void)fts_close(tree);
	return rc;
}

static int add_origin(struct scanning *s, const struct scan_place *place, const char *path,
		      const char *source, struct err *e)
{
	char from[PATH_MAX], to[PATH_MAX];
	struct dirent *de;
	DIR *d = opendir(place->origin);
	int rc = 0;

	while (d && rc == 0 && (de = readdir(d))) {
		if (path_is_dot(de->d_name) || exists(source, de->d_name))
			continue;
		if (snprintf(from, sizeof(from), "%s/%s", place->origin, de->d_name) >= (int)sizeof(from) ||
		    snprintf(to, sizeof(to), "%s/%s", path, de->d_name) >= (int)sizeof(to))
			rc = err_sys(e, ENAMETOOLONG, "%s/%s", path, de->d_name);
		else
			rc = graft(s, to, from, e);
	}
	if (d)
		(void)closedir(d);
	return rc;
}

int seq_scan_complete(struct scanning *s, const struct scan_place *place, const char *path,
		      const char *source, struct err *e)
{
	if (!place->is_opaque)
		return 0;
	if (place->origin && add_origin(s, place, path, source, e) < 0)
		return -1;
	return add_hidden(s, place, path, source, e);
}

/* ---- further names --------------------------------------------------------------------------------- */

int seq_scan_see_link(struct scanning *s, const struct scan_object *o, struct err *e)
{
	struct seq_link *link = S_ISREG(o->st.st_mode) && o->st.st_nlink > 1
					? seq_links_of_upper(&s->links, o->source)
					: NULL;

	if (!link)
		return 0;
	link->seen++;
	if (!link->near)
		link->near = seq_capture_string(s->capture, o->path, e);
	return link->near ? 0 : -1;
}

/* The upper has nothing at this path or above it that would hide the host's. */
static bool shows_host(const struct scanning *s, const char *path)
{
	char at[PATH_MAX];
	size_t root = strlen(s->root);

	if (snprintf(at, sizeof(at), "%s%s", s->root, path) >= (int)sizeof(at))
		return false;
	for (char *slash = strchr(at + root + 1, '/');; slash = strchr(slash + 1, '/')) {
		struct stat st;

		if (slash)
			*slash = 0;
		if (lstat(at, &st) < 0)
			return true;
		if (!slash || !S_ISDIR(st.st_mode) || seq_note_opaque(at))
			return false;
		*slash = '/';
	}
}

static size_t count_missing(const struct scanning *s, dev_t dev)
{
	size_t n = 0;

	for (size_t i = 0; i < s->links.count; i++)
		n += (!dev || s->links.links[i].dev == dev) &&
		     s->links.links[i].seen < s->links.links[i].count;
	return n;
}

/* Walks overlap, and what is mounted twice is found twice. */
static bool is_known(const struct scanning *s, const char *path)
{
	for (size_t i = s->walked; i < s->capture->count; i++)
		if (!strcmp(s->capture->entries[i].path, path))
			return true;
	return false;
}

static int add_name(struct scanning *s, const FTSENT *f, const char *host, struct err *e)
{
	struct seq_link *link = seq_links_of_host(&s->links, f->fts_statp);
	struct scan_object o = { .path = f->fts_path + (strcmp(host, "/") ? strlen(host) : 0) };

	if (!link || link->seen >= link->count || is_known(s, o.path) || !shows_host(s, o.path))
		return 0;
	if (lstat(link->source, &o.st) < 0)
		return err_sys(e, errno, "%s", link->source);
	link->seen++;
	o.source = link->source;
	seq_note_override(link->source, &o.st);
	return seq_scan_take(s, &o, e);
}

/* Below `top` on its file system. */
static int search(struct scanning *s, char *top, const char *host, struct err *e)
{
	char *roots[2] = { top, NULL };
	FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
	FTSENT *f;
	int rc = 0;

	if (!tree)
		return err_sys(e, errno, "%s", top);
	while (rc == 0 && count_missing(s, 0) && (f = fts_read(tree))) {
		if (s->opt->cancel && *s->opt->cancel)
			rc = err_set(e, ERR_INTERRUPTED, "interrupted");
		else if (f->fts_info == FTS_F && f->fts_statp->st_nlink > 1)
			rc = add_name(s, f, host, e);
	}
	(void)fts_close(tree);
	return rc;
}

/* Only file systems that have such files are searched: others may be large, or not answer. */
static int search_mounts(struct scanning *s, struct err *e)
{
	FILE *table = setmntent("/proc/self/mounts", "re");
	struct mntent *m;
	int rc = 0;

	if (!table)
		return err_sys(e, errno, "/proc/self/mounts");
	while (rc == 0 && count_missing(s, 0) && (m = getmntent(table))) {
		const int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC;
		struct statx x;

		if (statx(AT_FDCWD, m->mnt_dir, flags, STATX_TYPE, &x) == 0 && S_ISDIR(x.stx_mode) &&
		    count_missing(s, makedev(x.stx_dev_major, x.stx_dev_minor)))
			rc = search(s, m->mnt_dir, "/", e);
	}
	(void)endmntent(table);
	return rc;
}

/* Names of one file are mostly near each other: first in the directory, then around it. */
static int search_near(struct scanning *s, const struct seq_link *link, const char *host, struct err *e)
{
	auto_free char *at = mem_strdup(link->near, e);
	int rc = at ? 0 : -1;

	while (rc == 0 && link->seen < link->count) {
		char *slash = strrchr(at, '/');
		auto_free char *top = NULL;

		if (slash == at)
			break;
		*slash = 0;
		top = mem_printf(e, "%s%s", strcmp(host, "/") ? host : "", at);
		rc = top ? search(s, top, host, e) : -1;
	}
	return rc;
}

int seq_scan_add_names(struct scanning *s, struct err *e)
{
	const char *given = s->opt->host ? s->opt->host : "/";
	auto_free char *host = NULL;

	s->walked = s->capture->count;
	for (size_t i = 0; i < s->links.count; i++) {
		const struct seq_link *link = &s->links.links[i];

		if (link->near && link->seen < link->count && search_near(s, link, given, e) < 0)
			return -1;
	}
	if (!count_missing(s, 0))
		return 0;
	if (!strcmp(given, "/"))
		return search_mounts(s, e);
	host = mem_strdup(given, e);
	return host ? search(s, host, host, e) : -1;
}
