/* SPDX-License-Identifier: Apache-2.0 */
/* From a file on disk to an entry of the capture; part of scanning, see scan.h. Every entry is copied; what
 * it replaces on the host decides its `change`. A file whose bytes and mode are the host's own (a package
 * manager rewrote its database with what was there) is no change at all. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "sequencer/scan_state.h"
#include "sequencer/upper_note.h"

enum { XATTR_NAMES_MAX = 64 * 1024, XATTR_VALUE_MAX = 64 * 1024, COMPARE_BLOCK = 64 * 1024 };

int seq_scan_host(const struct scanning *s, const char *path, struct stat *ret, char host[PATH_MAX])
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
		count += !strncmp(p, "user.", 5) && !seq_note_is_one(p);
	if (!count)
		return 0;
	list = arena_alloc(&s->capture->arena, count, sizeof(*list), e);
	if (!list)
		return -1;
	for (const char *p = names; p < names + len && t->xattr_count < count; p += strlen(p) + 1) {
		int got;

		if (strncmp(p, "user.", 5) || seq_note_is_one(p))
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
int seq_scan_add_whiteout(struct scanning *s, const char *path, struct err *e)
{
	struct stat st = { .st_mode = S_IFCHR, .st_nlink = 1 };
	char host[PATH_MAX];
	struct stat below;
	struct seq_entry *t;

	if (seq_scan_host(s, path, &below, host) < 0 || (s->opt->home && path_is_below(path, s->opt->home)))
		return 0;
	t = add_entry(s, path, &st, e);
	if (!t)
		return -1;
	t->change = SEQ_DELETED;
	return 0;
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

int seq_scan_take(struct scanning *s, const struct scan_object *o, struct err *e)
{
	const struct stat *st = &o->st;
	struct stat below = { 0 };
	char host[PATH_MAX];
	bool on_host = s->is_upper && seq_scan_host(s, o->path, &below, host) == 0;
	bool is_parent = on_host && S_ISDIR(st->st_mode) && S_ISDIR(below.st_mode);
	struct seq_entry *t;

	if (on_host && !is_parent && is_unchanged(o->source, st, host, &below)) {
		/* Links at the top are the union's, not the installer's. */
		s->report.unchanged += !S_ISLNK(st->st_mode) || strchr(o->path + 1, '/');
		s->report.unchanged_bytes += S_ISREG(st->st_mode) ? (uint64_t)st->st_size : 0;
		return 0;
	}
	t = add_entry(s, o->path, st, e);
	if (!t)
		return -1;
	t->change = is_parent ? SEQ_PARENT : on_host ? SEQ_REPLACED : SEQ_ADDED;
	t->st.st_uid = st->st_uid == s->opt->uid ? 0 : st->st_uid;
	t->st.st_gid = st->st_gid == s->opt->gid ? 0 : st->st_gid;
	t->source = seq_capture_string(s->capture, o->source, e);
	if (!t->source || (S_ISLNK(st->st_mode) && take_symlink(s, t, e) < 0) || take_xattrs(s, t, e) < 0)
		return -1;
	if (S_ISSOCK(st->st_mode) || S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode))
		t->rule = SEQ_LEFT_UNSUPPORTED;
	if (is_session_path(s, o->path))
		t->rule = SEQ_LEFT_SESSION;
	return 0;
}
