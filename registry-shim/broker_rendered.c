/* SPDX-License-Identifier: Apache-2.0 */
/* Declared files as ordinary files; see broker_rendered.h. */
#include "registry-shim/broker_rendered.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/path.h"
#include "registry-shim/broker_view.h"
#include "registry-shim/shim_paths.h"

enum { MARK_LEN = 16 };

void broker_rendered_fini(struct broker_rendered *r)
{
	fd_close(r->upper);
	fd_close(r->watch);
	free(r->tree);
	*r = (struct broker_rendered)BROKER_RENDERED_NONE;
}

int broker_rendered_set(struct broker_rendered *r, const char *upper, const char *tree, struct err *e)
{
	char *copy = tree ? mem_strdup(tree, e) : NULL;

	if (tree && !copy)
		return -1;
	if (tree) {
		free(r->tree);
		r->tree = copy;
		if (r->watch < 0)
			r->watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	}
	if (!upper)
		return 0;
	fd_close(r->upper);
	r->upper = open(upper, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return r->upper < 0 ? err_sys(e, errno, "%s", upper) : 0;
}

static void mark_of(const void *text, size_t len, char ret[MARK_LEN + 1])
{
	(void)snprintf(ret, MARK_LEN + 1, "%016llx",
		       (unsigned long long)hash_bytes(HASH_SEED, text ? text : "", len));
}

/* ---- what lies in the upper ----------------------------------------------------------------- */

enum lying { NOTHING, REMOVED, TEXT, SOMETHING_ELSE };

static const char *place_of(const struct broker_file *f)
{
	return f->rendered.place ? f->rendered.place : f->path + 1;
}

static int open_upper(const struct broker_rendered *r, const char *place, uint64_t flags)
{
	struct open_how how = { .flags = flags | O_CLOEXEC | O_NOFOLLOW,
				.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };

	return (int)syscall(SYS_openat2, r->upper, place, &how, sizeof(how));
}

/* `ret_is_ours`: the text is marked as the one that was put there. */
static enum lying look(const struct broker_rendered *r, const struct broker_file *f, struct buf *ret,
		       bool *ret_is_ours, struct err *e)
{
	auto_fd int fd = open_upper(r, place_of(f), O_PATH);
	char link[FD_PATH_LEN], mark[MARK_LEN + 1], want[MARK_LEN + 1];
	struct stat st;
	ssize_t n;

	*ret_is_ours = false;
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? NOTHING : SOMETHING_ELSE;
	if (fstat(fd, &st) < 0)
		return SOMETHING_ELSE;
	if (S_ISCHR(st.st_mode) && st.st_rdev == 0)
		return REMOVED;
	if (!S_ISREG(st.st_mode) || view_read_fd(fd, ret, e) < 0 || !buf_text(ret, e))
		return SOMETHING_ELSE;
	fd_path(fd, link);
	n = getxattr(link, REG_RENDERED_MARK, mark, sizeof(mark));
	mark_of(ret->data, ret->len, want);
	*ret_is_ours = n == MARK_LEN && !memcmp(mark, want, MARK_LEN);
	return TEXT;
}

/* ---- the tree ------------------------------------------------------------------------------- */

/* The directory that the file lies in; made when there is none and `make`. */
static int open_parent(int tree, const char *path, bool make, struct err *e)
{
	auto_free char *dir = mem_strndup(path, (size_t)(path_base(path) - path), e);
	auto_fd int at = dup(tree);

	if (!dir || at < 0)
		return -1;
	for (char *name = dir + 1, *end; (end = strchr(name, '/')); name = end + 1) {
		int next;

		*end = 0;
		next = view_open_in(tree, dir, O_PATH | O_DIRECTORY);
		if (next < 0 && errno == ENOENT && make && mkdirat(at, name, 0700) == 0)
			next = view_open_in(tree, dir, O_PATH | O_DIRECTORY);
		*end = '/';
		if (next < 0)
			return -1;
		fd_close(at);
		at = next;
	}
	return fd_steal(&at);
}

/* Where in the union a directory is; NULL for those that are the host's own (vfs/union.h). */
static char *place_in(int tree, int dir, const char *name, struct err *e)
{
	static const char *const not_ours[] = { "run", "dev", "proc", "sys", ".floe" };
	char link[FD_PATH_LEN], top[4096], here[4096];
	ssize_t top_len, len;

	fd_path(tree, link);
	top_len = readlink(link, top, sizeof(top) - 1);
	fd_path(dir, link);
	len = readlink(link, here, sizeof(here) - 1);
	if (top_len <= 0 || len < top_len || memcmp(top, here, (size_t)top_len) != 0)
		return NULL;
	here[len] = 0;
	for (size_t i = 0; i < ARRAY_LEN(not_ours); i++) {
		const char *below = here + top_len + (here[top_len] == '/');
		size_t n = strlen(not_ours[i]);

		if (!strncmp(below, not_ours[i], n) && (!below[n] || below[n] == '/'))
			return NULL;
	}
	return path_join(here + top_len + (here[top_len] == '/'), name, e);
}

/* What floe mounts in there for the shim: without it, this is the bare directory that the tree was mounted
 * on. */
static bool is_mounted(int tree, const struct broker_dirs *dirs)
{
	struct stat there, ours;

	return fstatat(tree, &REG_SHIM_RUN[1], &there, 0) == 0 && fstat(dirs->run, &ours) == 0 &&
	       there.st_dev == ours.st_dev && there.st_ino == ours.st_ino;
}

/* Without it, changes are found at a program's end. */
static void watch(const struct broker_rendered *r, int dir)
{
	char link[FD_PATH_LEN];

	fd_path(dir, link);
	if (r->watch >= 0)
		(void)inotify_add_watch(r->watch, link,
					IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE);
}

void broker_rendered_noticed(const struct broker_rendered *r, broker_rendered_name_fn *each, void *arg)
{
	union {
		struct inotify_event first;
		char bytes[16 * 1024];
	} all;
	ssize_t n, at;

	while ((n = read(r->watch, &all, sizeof(all))) > 0)
		for (at = 0; at < n;) {
			const struct inotify_event *e = (const void *)(all.bytes + at);

			if (e->mask & IN_Q_OVERFLOW)
				each(arg, NULL);
			else if (e->len)
				each(arg, e->name);
			at += (ssize_t)(sizeof(*e) + e->len);
		}
}

/* The directory in the tree that the file lies in, after links; made when there is none and `make`. Notes
 * where in the upper that is. -1 with ERR_NOTFOUND when there is none. */
static int locate(const struct broker_rendered *r, struct broker_file *f, const struct broker_dirs *dirs,
		  bool make, struct err *e)
{
	auto_fd int tree = r->tree ? open(r->tree, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1, dir = -1;
	char *place;

	if (tree < 0 || !is_mounted(tree, dirs))
		return err_set(e, ERR_NOTFOUND, "%s: not mounted", f->path);
	dir = open_parent(tree, f->path, make, e);
	if (dir < 0)
		return err_sys(e, errno, "%s", f->path);
	place = place_in(tree, dir, path_base(f->path), e);
	if (!place)
		return err_set(e, ERR_UNSUPPORTED, "%s: the host's own", f->path);
	free(f->rendered.place);
	f->rendered.place = place;
	watch(r, dir);
	return fd_steal(&dir);
}

/* ---- harvest -------------------------------------------------------------------------------- */

static bool is_put(const struct rendered_file *p, const struct buf *text)
{
	return p->is_known && p->text && p->len == text->len && !memcmp(p->text, text->data, text->len);
}

/* From now on we know what lies there. Takes `text` over. */
static void know(struct rendered_file *p, char *text, size_t len, bool is_marked)
{
	free(p->text);
	p->text = text;
	p->len = len;
	p->is_known = true;
	p->is_marked = is_marked;
	p->is_overruled = false;
}

/* What was changed is counted from what the program was shown, which is not what the view shows when another
 * one saved there in the meantime. */
static int take(struct broker_file *f, struct reg_hive *h, const struct broker_dirs *dirs,
		const struct buf *text, struct reg_saved *ret, struct err *e)
{
	char *copy = mem_strndup((const char *)text->data, text->len, e), *base;

	if (!copy)
		return -1;
	if (f->rendered.is_known && f->rendered.text) {
		base = mem_strndup(f->rendered.text, f->rendered.len, e);
		if (!base) {
			free(copy);
			return -1;
		}
		free(f->shown);
		f->shown = base;
		f->shown_len = f->rendered.len;
	}
	know(&f->rendered, copy, text->len, false);
	return broker_file_take(f, h, dirs,
				&(struct broker_text){ .data = (const char *)text->data, .len = text->len },
				ret, e);
}

int broker_rendered_harvest(const struct broker_rendered *r, struct broker_file *f, struct reg_hive *h,
			    const struct broker_dirs *dirs, bool is_idle, struct reg_saved *ret,
			    struct err *e)
{
	auto_buf struct buf text = BUF_INIT(REG_TEXT_MAX);
	struct rendered_file *p = &f->rendered;
	enum lying lying;
	struct err ignored;
	bool is_ours;

	*ret = (struct reg_saved){ 0 };
	if (r->upper < 0)
		return 0;
	fd_close(locate(r, f, dirs, false, &ignored));
	lying = look(r, f, &text, &is_ours, e);
	if (lying == SOMETHING_ELSE || (lying == TEXT && (is_put(p, &text) || (text.len == 0 && !is_idle))))
		return 0;
	if (lying == TEXT && (text.len == 0 || (!p->is_known && is_ours))) { /* interrupted; as it was left */
		know(p, (char *)text.data, text.len, is_ours);
		text = (struct buf)BUF_INIT(0);
		return 0;
	}
	if (lying == TEXT)
		return take(f, h, dirs, &text, ret, e);
	/* A broker that follows a dead one knows from RUN that there was a file. */
	if (p->is_known ? !p->text : lying == NOTHING || !f->shown)
		return 0;
	know(p, NULL, 0, false);
	return broker_file_remove(f, h, dirs, ret, e);
}

/* ---- show ----------------------------------------------------------------------------------- */

static mode_t mode_in_view(const struct broker_file *f, const struct broker_dirs *dirs)
{
	struct stat st;

	return fstatat(dirs->view, f->name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? st.st_mode & 0777 : 0600;
}

/* A new file in the directory of `f`, under a name of its own: descriptor. Caller frees *ret_name. */
static int open_new(const struct broker_file *f, int dir, mode_t mode, char **ret_name, struct err *e)
{
	auto_free char *name = mem_printf(e, ".floe-%s", f->name);
	int fd;

	if (!name)
		return -1;
	(void)unlinkat(dir, name, 0);
	fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0)
		return err_sys(e, errno, "%s", f->path);
	*ret_name = mem_steal(name);
	return fd;
}

/* Puts it in the place of `f` when writing it has gone well (`result` 0), else removes it. */
static int move_in(const struct broker_file *f, int dir, const char *name, int result, struct err *e)
{
	if (result == 0 && renameat(dir, name, dir, path_base(f->path)) < 0)
		result = err_sys(e, errno, "%s", f->path);
	if (result < 0)
		(void)unlinkat(dir, name, 0);
	return result;
}

static int put_text(const struct broker_file *f, int dir, mode_t mode, struct err *e)
{
	auto_free char *tmp = NULL;
	auto_fd int fd = open_new(f, dir, 0600, &tmp, e);
	char mark[MARK_LEN + 1];
	int r;

	if (fd < 0)
		return -1;
	mark_of(f->shown, f->shown_len, mark);
	/* Without the mark the text counts as a program's at the next start: nothing but a little work. */
	(void)fsetxattr(fd, REG_RENDERED_MARK, mark, MARK_LEN, 0);
	r = fd_write_all(fd, f->shown, f->shown_len, e);
	if (r == 0 && fchmod(fd, mode) < 0)
		r = err_sys(e, errno, "%s", f->path);
	return move_in(f, dir, tmp, r, e);
}

/* 0 when what lies there is what the view shows now. */
static int put(const struct broker_rendered *r, struct broker_file *f, const struct broker_dirs *dirs,
	       struct err *e)
{
	auto_fd int dir = locate(r, f, dirs, f->shown != NULL, e);

	if (dir < 0)
		return !f->shown && e->code == ERR_NOTFOUND ? 0 : -1;
	if (f->shown)
		return put_text(f, dir, mode_in_view(f, dirs), e);
	return unlinkat(dir, path_base(f->path), 0) < 0 && errno != ENOENT ? err_sys(e, errno, "%s", f->path)
									   : 0;
}

/* Has a program changed the copy since we last knew it? Then it waits for the harvest. */
static bool is_changed(const struct broker_rendered *r, const struct broker_file *f, struct err *e)
{
	auto_buf struct buf text = BUF_INIT(REG_TEXT_MAX);
	bool is_ours;
	enum lying lying = look(r, f, &text, &is_ours, e);

	if (lying == SOMETHING_ELSE)
		return true;
	if (!f->rendered.is_known)
		return false;
	return lying == TEXT ? !is_put(&f->rendered, &text) : f->rendered.text != NULL;
}

/* What a program has written is what it should be: from now on it is ours. */
static void mark(const struct broker_rendered *r, struct broker_file *f, const struct broker_dirs *dirs)
{
	struct err ignored;
	auto_fd int dir = locate(r, f, dirs, false, &ignored);
	char digest[MARK_LEN + 1], path[FD_PATH_LEN + 256];

	if (dir < 0 || strlen(path_base(f->path)) > 255)
		return;
	fd_path(dir, path);
	(void)strcat(strcat(path, "/"), path_base(f->path));
	mark_of(f->shown, f->shown_len, digest);
	f->rendered.is_marked = lsetxattr(path, REG_RENDERED_MARK, digest, MARK_LEN, 0) == 0;
}

static bool is_up_to_date(const struct broker_file *f)
{
	const struct rendered_file *p = &f->rendered;

	if (p->is_overruled)
		return false;
	if (!p->is_known || !p->text || !f->shown)
		return p->is_known && !p->text && !f->shown;
	return p->len == f->shown_len && !memcmp(p->text, f->shown, p->len);
}

int broker_rendered_show(const struct broker_rendered *r, struct broker_file *f,
			 const struct broker_dirs *dirs, struct err *e)
{
	struct err why = { 0 };
	char *copy;

	if (!r->tree || r->upper < 0)
		return 0;
	if (is_up_to_date(f)) {
		if (f->shown && !f->rendered.is_marked)
			mark(r, f, dirs);
		return 0;
	}
	fd_close(locate(r, f, dirs, false, &why));
	if (is_changed(r, f, &why))
		return 0;
	why = (struct err){ 0 };
	copy = f->shown ? mem_strndup(f->shown, f->shown_len, e) : NULL;
	if (f->shown && !copy)
		return -1;
	if (put(r, f, dirs, &why) < 0) {
		log_detail("programs without the shim do not see the settings: %s", why.msg);
		free(copy);
		return why.code == ERR_NOMEM ? (*e = why, -1) : 0;
	}
	know(&f->rendered, copy, f->shown ? f->shown_len : 0, true);
	return 0;
}

/* ---- what is no settings file --------------------------------------------------------------- */

/* 1 = foreign, 0 = a settings file, -1 = nothing there. */
static int judge(int fd)
{
	struct stat st;
	int r = fd < 0 || fstat(fd, &st) < 0 || S_ISCHR(st.st_mode) ? -1 : 0;

	if (r == 0)
		r = !S_ISREG(st.st_mode) || (uint64_t)st.st_size > REG_TEXT_MAX;
	fd_close(fd);
	return r;
}

bool broker_rendered_is_foreign(const struct broker_rendered *r, const struct broker_file *f,
				int package_root)
{
	int verdict = r->upper < 0 ? -1 : judge(open_upper(r, place_of(f), O_PATH));

	if (verdict < 0 && package_root >= 0)
		verdict = judge(view_open_in(package_root, f->path, O_PATH));
	if (verdict < 0)
		verdict = judge(open(f->path, O_PATH | O_CLOEXEC));
	return verdict == 1;
}

static int copy_whole(int from, int to, struct err *e)
{
	ssize_t n;

	while ((n = copy_file_range(from, NULL, to, NULL, 1 << 30, 0)) > 0)
		;
	if (n < 0 && (errno == EXDEV || errno == EINVAL || errno == EOPNOTSUPP))
		while ((n = sendfile(to, from, NULL, 1 << 30)) > 0)
			;
	return n < 0 ? err_sys(e, errno, "copy") : 0;
}

int broker_rendered_hand_over(const struct broker_rendered *r, struct broker_file *f,
			      const struct broker_dirs *dirs, struct err *e)
{
	auto_fd int from =
		openat(dirs->view, f->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	auto_fd int dir = -1, to = -1;
	auto_free char *tmp = NULL;
	struct stat st;

	if (from < 0 || fstat(from, &st) < 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size <= REG_TEXT_MAX)
		return 0;
	dir = locate(r, f, dirs, true, e);
	to = dir < 0 ? -1 : open_new(f, dir, st.st_mode & 0777, &tmp, e);
	if (to < 0 || move_in(f, dir, tmp, copy_whole(from, to, e), e) < 0)
		return -1;
	return view_remove(dirs->view, f->name, e) < 0 ? -1 : 1;
}
