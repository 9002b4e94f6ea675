/* SPDX-License-Identifier: Apache-2.0 */
/* Scanning; see scan.h.
 *
 * The walk is fts(3)'s: physical, sorted, on one file system, parents before children. Every entry is
 * copied; what it replaces on the host decides its `change`. A file whose bytes and mode are the host's
 * own (a package manager rewrote its database with what was there) is no change at all. */
#include "sequencer/scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"

enum { XATTR_NAMES_MAX = 64 * 1024, XATTR_VALUE_MAX = 64 * 1024, COMPARE_BLOCK = 64 * 1024 };

struct scanning {
	const struct seq_scan *opt;
	const char *prefix; /* in front of paths; "" for an upper */
	bool is_upper;
	struct seq_capture *capture;
	struct seq_scan_report report;
};

static int compare_names(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

static bool is_whiteout(const char *source, const struct stat *st)
{
	if (S_ISCHR(st->st_mode))
		return st->st_rdev == 0;
	return S_ISREG(st->st_mode) && st->st_size == 0 &&
	       lgetxattr(source, "user.overlay.whiteout", NULL, 0) >= 0;
}

static bool is_opaque(const char *source)
{
	char value[2];

	return lgetxattr(source, "user.overlay.opaque", value, sizeof(value)) == 1 && value[0] == 'y';
}

/* 0 and *ret, or -1 when the host has nothing there that we can see. */
static int host_stat(const struct scanning *s, const char *path, struct stat *ret, char host[PATH_MAX])
{
	const char *root = s->opt->host ? s->opt->host : "";
	int len = snprintf(host, PATH_MAX, "%s%s", strcmp(root, "/") ? root : "", path);

	return len < 0 || len >= PATH_MAX ? -1 : lstat(host, ret);
}

/* ---- attributes ------------------------------------------------------------------------------ */

static int add_xattr(struct seq_capture *c, const char *source, const char *name, struct seq_xattr *ret,
		     struct err *e)
{
	ssize_t len = lgetxattr(source, name, NULL, 0);
	void *value;

	if (len < 0 || len > XATTR_VALUE_MAX)
		return 0;
	value = arena_alloc(&c->arena, len ? (size_t)len : 1, 1, e);
	if (!value)
		return -1;
	len = lgetxattr(source, name, value, (size_t)len);
	if (len < 0)
		return 0;
	ret->name = seq_capture_string(c, name, e);
	ret->value = value;
	ret->len = (size_t)len;
	return ret->name ? 1 : -1;
}

/* Only user.*: the rest is the kernel's or a security module's, and means nothing elsewhere. */
static int take_xattrs(struct scanning *s, struct seq_entry *t, struct err *e)
{
	auto_free char *names = NULL;
	ssize_t len = llistxattr(t->source, NULL, 0);
	struct seq_xattr *list;
	size_t count = 0;

	if (len <= 0 || len > XATTR_NAMES_MAX)
		return 0;
	names = mem_alloc((size_t)len + 1, 1, e);
	if (!names)
		return -1;
	len = llistxattr(t->source, names, (size_t)len);
	if (len <= 0)
		return 0;
	for (const char *p = names; p < names + len; p += strlen(p) + 1)
		count += !strncmp(p, "user.", 5) && strncmp(p, "user.overlay.", 13);
	if (!count)
		return 0;
	list = arena_alloc(&s->capture->arena, count, sizeof(*list), e);
	if (!list)
		return -1;
	for (const char *p = names; p < names + len && t->xattr_count < count; p += strlen(p) + 1) {
		int got;

		if (strncmp(p, "user.", 5) || !strncmp(p, "user.overlay.", 13))
			continue;
		got = add_xattr(s->capture, t->source, p, &list[t->xattr_count], e);
		if (got < 0)
			return -1;
		t->xattr_count += (size_t)got;
	}
	t->xattrs = list;
	return 0;
}

/* ---- comparison with the host ------------------------------------------------------------------ */

static bool same_bytes(const char *a, const char *b, off_t size)
{
	static _Thread_local char left[COMPARE_BLOCK], right[COMPARE_BLOCK];
	auto_fd int fa = open(a, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	auto_fd int fb = open(b, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct err ignored;

	if (fa < 0 || fb < 0)
		return false;
	for (off_t off = 0; off < size;) {
		size_t n = size - off < COMPARE_BLOCK ? (size_t)(size - off) : COMPARE_BLOCK;

		if (fd_pread_exact(fa, left, n, (uint64_t)off, &ignored) < 0 ||
		    fd_pread_exact(fb, right, n, (uint64_t)off, &ignored) < 0 || memcmp(left, right, n))
			return false;
		off += (off_t)n;
	}
	return true;
}

static bool is_unchanged(const char *source, const struct stat *st, const char *host,
			 const struct stat *below)
{
	char a[PATH_MAX], b[PATH_MAX];
	ssize_t n;

	if ((st->st_mode & S_IFMT) != (below->st_mode & S_IFMT))
		return false;
	if (S_ISLNK(st->st_mode)) {
		n = readlink(source, a, sizeof(a));
		return n >= 0 && readlink(host, b, sizeof(b)) == n && !memcmp(a, b, (size_t)n);
	}
	return S_ISREG(st->st_mode) && st->st_mode == below->st_mode && st->st_size == below->st_size &&
	       same_bytes(source, host, st->st_size);
}

/* ---- entries ------------------------------------------------------------------------------------ */

static struct seq_entry *add_entry(struct scanning *s, const char *path, const struct stat *st, struct err *e)
{
	struct seq_capture *c = s->capture;
	const char *own = seq_capture_string(c, path, e);
	const char *name = own ? seq_capture_name(c, own, e) : NULL;
	struct seq_entry *t = name ? seq_capture_add(c, e) : NULL;

	if (!t)
		return NULL;
	t->path = own;
	t->name = name;
	t->st = *st;
	return t;
}

/* A deletion below the home directory says nothing about anybody else's home: it is not recorded. */
static int add_whiteout(struct scanning *s, const char *path, struct err *e)
{
	struct stat st = { .st_mode = S_IFCHR, .st_nlink = 1 };
	char host[PATH_MAX];
	struct stat below;
	struct seq_entry *t;

	if (host_stat(s, path, &below, host) < 0 || (s->opt->home && path_is_below(path, s->opt->home)))
		return 0;
	t = add_entry(s, path, &st, e);
	if (!t)
		return -1;
	t->change = SEQ_DELETED;
	return 0;
}

/* What an opaque directory hides of the host, one whiteout each. */
static int add_hidden(struct scanning *s, const char *path, const char *source, struct err *e)
{
	char host[PATH_MAX];
	struct stat below;
	struct dirent *de;
	DIR *d;
	int rc = 0;

	if (host_stat(s, path, &below, host) < 0 || !S_ISDIR(below.st_mode))
		return 0;
	d = opendir(host);
	if (!d)
		return 0; /* what we may not read was not visible to the installer either */
	while (rc == 0 && (de = readdir(d))) {
		char mine[PATH_MAX], theirs[PATH_MAX];
		struct stat st;

		if (!strcmp(de->d_name, ".") || !strcmp(de->d_name, "..") ||
		    snprintf(mine, sizeof(mine), "%s/%s", source, de->d_name) >= (int)sizeof(mine) ||
		    snprintf(theirs, sizeof(theirs), "%s/%s", path, de->d_name) >= (int)sizeof(theirs))
			continue;
		if (lstat(mine, &st) < 0)
			rc = add_whiteout(s, theirs, e);
	}
	(void)closedir(d);
	return rc;
}

static bool is_session_path(const struct scanning *s, const char *path)
{
	if (!s->is_upper || !s->opt->session_paths)
		return false;
	for (const char *const *p = s->opt->session_paths; *p; p++)
		if (path_is_below(path, *p))
			return true;
	return false;
}

/* The upper belongs to us: what the installer closed to its owner is opened, or it could not be packed. */
static void make_readable(const struct scanning *s, const char *source, const struct stat *st)
{
	mode_t want = S_ISDIR(st->st_mode) ? 0700 : 0400;

	if (s->is_upper && (S_ISDIR(st->st_mode) || S_ISREG(st->st_mode)) && (st->st_mode & want) != want &&
	    chmod(source, (st->st_mode & 07777) | want) < 0)
		errno = 0; /* shows when it is read */
}

static int take_symlink(struct scanning *s, struct seq_entry *t, struct err *e)
{
	char target[PATH_MAX];
	ssize_t n = readlink(t->source, target, sizeof(target) - 1);

	if (n < 0)
		return err_sys(e, errno, "%s", t->source);
	target[n] = 0;
	t->symlink = seq_capture_string(s->capture, target, e);
	return t->symlink ? 0 : -1;
}

/* 1 when the caller need not descend, 0, or -1. */
static int take(struct scanning *s, const char *path, const FTSENT *f, struct err *e)
{
	const struct stat *st = f->fts_statp;
	struct stat below = { 0 };
	char host[PATH_MAX];
	bool on_host = s->is_upper && host_stat(s, path, &below, host) == 0;
	bool is_parent = on_host && S_ISDIR(st->st_mode) && S_ISDIR(below.st_mode);
	struct seq_entry *t;

	if (s->is_upper && is_whiteout(f->fts_path, st))
		return add_whiteout(s, path, e);
	if (on_host && !is_parent && is_unchanged(f->fts_path, st, host, &below)) {
		/* Links at the top are the union's, not the installer's. */
		s->report.unchanged += !S_ISLNK(st->st_mode) || strchr(path + 1, '/');
		s->report.unchanged_bytes += S_ISREG(st->st_mode) ? (uint64_t)st->st_size : 0;
		return 0;
	}
	make_readable(s, f->fts_path, st);
	t = add_entry(s, path, st, e);
	if (!t)
		return -1;
	t->change = is_parent ? SEQ_PARENT : on_host ? SEQ_REPLACED : SEQ_ADDED;
	t->st.st_uid = st->st_uid == s->opt->uid ? 0 : st->st_uid;
	t->st.st_gid = st->st_gid == s->opt->gid ? 0 : st->st_gid;
	t->source = seq_capture_string(s->capture, f->fts_path, e);
	if (!t->source || (S_ISLNK(st->st_mode) && take_symlink(s, t, e) < 0) || take_xattrs(s, t, e) < 0)
		return -1;
	if (S_ISSOCK(st->st_mode) || S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode))
		t->rule = SEQ_LEFT_UNSUPPORTED;
	if (is_session_path(s, path))
		t->rule = SEQ_LEFT_SESSION;
	return is_parent && s->is_upper && is_opaque(f->fts_path) ? add_hidden(s, path, f->fts_path, e) : 0;
}

static int visit(struct scanning *s, const char *root, const FTSENT *f, struct err *e)
{
	const char *below = f->fts_path + strlen(root);
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
	return take(s, path, f, e) < 0 ? -1 : 0;
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
		rc = visit(s, root, f, e);
	}
	(void)fts_close(tree);
	seq_capture_sort(s->capture);
	return rc;
}

int seq_scan_upper(const struct seq_scan *opt, struct seq_capture *ret, struct seq_scan_report *ret_report,
		   struct err *e)
{
	struct scanning s = { .opt = opt, .prefix = "", .is_upper = true, .capture = ret };

	if (walk(&s, e) < 0)
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
