/* SPDX-License-Identifier: Apache-2.0 */
/* Scanning; see scan.h.
 *
 * The walk is fts(3)'s: physical, sorted, on one file system, parents before children. Of an upper it is only
 * the beginning: scan_union.c adds what the union showed besides. */
#include "sequencer/scan.h"

#include <errno.h>
#include <fts.h>
#include <string.h>

#include "base/path.h"
#include "sequencer/scan_state.h"
#include "sequencer/upper_note.h"

static int compare_names(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

/* The upper belongs to us: what the installer closed to its owner is opened, or it could not be packed. */
static void make_readable(const char *source, const struct stat *st)
{
	mode_t want = S_ISDIR(st->st_mode) ? 0700 : 0400;

	if ((S_ISDIR(st->st_mode) || S_ISREG(st->st_mode)) && (st->st_mode & want) != want &&
	    chmod(source, (st->st_mode & 07777) | want) < 0)
		errno = 0; /* shows when it is read */
}

/* An entry of the upper, and what comes with it. */
static int visit_upper(struct scanning *s, const char *path, FTSENT *f, struct err *e)
{
	struct scan_object o = { .path = path, .source = f->fts_path, .st = *f->fts_statp };
	const struct scan_place *place;

	if (seq_note_whiteout(o.source, &o.st))
		return seq_scan_add_whiteout(s, path, e);
	make_readable(o.source, &o.st);
	if (seq_scan_see_link(s, &o, e) < 0)
		return -1;
	if (!S_ISLNK(o.st.st_mode))
		seq_note_override(o.source, &o.st);
	if (seq_scan_take(s, &o, e) < 0)
		return -1;
	if (!S_ISDIR(o.st.st_mode))
		return 0;
	place = seq_scan_place(s, f->fts_parent->fts_pointer, path, o.source, e);
	if (!place)
		return -1;
	f->fts_pointer = (void *)place;
	return seq_scan_complete(s, place, path, o.source, e);
}

static int visit(struct scanning *s, FTS *tree, FTSENT *f, struct err *e)
{
	const char *below = f->fts_path + strlen(s->root);
	struct scan_object o = { .source = f->fts_path, .st = *f->fts_statp };
	auto_free char *path = NULL;

	if (s->opt->cancel && *s->opt->cancel)
		return err_set(e, ERR_INTERRUPTED, "interrupted");
	switch (f->fts_info) {
	case FTS_DP:
		return 0;
	case FTS_DNR:
	case FTS_ERR:
	case FTS_NS:
		return err_sys(e, f->fts_errno, "cannot read %s", f->fts_path);
	default:
		break;
	}
	while (*below == '/')
		below++;
	if (!*below && (s->is_upper || !*s->prefix))
		return 0; /* the root of all */
	path = *s->prefix || !*below ? path_join(*s->prefix ? s->prefix : "/", below, e)
				     : mem_printf(e, "/%s", below);
	if (!path)
		return -1;
	if (s->is_upper && !strcmp(path, "/.floe")) {
		(void)fts_set(tree, f, FTS_SKIP);
		return 0;
	}
	o.path = path;
	return s->is_upper ? visit_upper(s, path, f, e) : seq_scan_take(s, &o, e);
}

static int walk(struct scanning *s, struct err *e)
{
	auto_free char *root = path_absolute(s->opt->dir, e);
	char *roots[2] = { root, NULL };
	FTSENT *f;
	FTS *tree;
	int rc = 0;

	if (!root)
		return -1;
	s->root = root;
	if (s->opt->home && !s->capture->home) {
		s->capture->home = seq_capture_string(s->capture, s->opt->home, e);
		if (!s->capture->home)
			return -1;
	}
	tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, compare_names);
	if (!tree)
		return err_sys(e, errno, "%s", root);
	while (rc == 0) {
		errno = 0;
		f = fts_read(tree);
		if (!f && errno)
			rc = err_sys(e, errno, "%s", root);
		if (!f)
			break;
		rc = visit(s, tree, f, e);
	}
	(void)fts_close(tree);
	if (rc == 0 && s->is_upper)
		rc = seq_scan_add_names(s, e);
	seq_capture_sort(s->capture);
	return rc == 0 ? seq_capture_link(s->capture, e) : -1;
}

int seq_scan_upper(const struct seq_scan *opt, struct seq_capture *ret, struct seq_scan_report *ret_report,
		   struct err *e)
{
	struct scanning s = { .opt = opt, .prefix = "", .is_upper = true, .capture = ret };

	int rc = seq_links_read(opt->dir, &s.links, e);

	if (rc == 0)
		rc = walk(&s, e);
	seq_links_fini(&s.links);
	if (rc < 0)
		return -1;
	if (ret_report)
		*ret_report = s.report;
	return 0;
}

int seq_scan_tree(const struct seq_scan *opt, const char *prefix, struct seq_capture *ret, struct err *e)
{
	struct scanning s = { .opt = opt, .prefix = strcmp(prefix, "/") ? prefix : "", .capture = ret };

	return walk(&s, e);
}
