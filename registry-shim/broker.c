/* SPDX-License-Identifier: Apache-2.0 */
/* The broker's declared files and messages; see broker.h. What happens to one file is in broker_file.c,
 * sockets are in broker_serve.c. */
#include "registry-shim/broker.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/fd.h"
#include "base/hash.h"
#include "base/path.h"
#include "registry-shim/broker_file.h"
#include "registry-shim/broker_rendered.h"
#include "registry-shim/broker_view.h"

struct broker {
	struct reg_hive *hive;
	struct broker_dirs dirs;
	struct broker_rendered rendered;
	struct broker_file *files;
	size_t count;
};

/* ---- open ----------------------------------------------------------------------------------- */

static void free_files(struct broker *b)
{
	for (size_t i = 0; i < b->count; i++)
		broker_file_fini(&b->files[i]);
	free(b->files);
	b->files = NULL;
	b->count = 0;
}

void broker_close(struct broker *b)
{
	if (!b)
		return;
	free_files(b);
	reg_hive_close(b->hive);
	fd_close(b->dirs.run);
	fd_close(b->dirs.view);
	fd_close(b->dirs.shown);
	broker_rendered_fini(&b->rendered);
	free(b);
}

static void broker_close_ptr(struct broker **b)
{
	broker_close(*b);
}

static int open_dir(int dirfd, const char *name, struct err *e)
{
	int fd;

	if (mkdirat(dirfd, name, 0700) < 0 && errno != EEXIST)
		return err_sys(e, errno, "%s", name);
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? err_sys(e, errno, "%s", name) : fd;
}

int broker_open(const char *registry, const char *run_dir, struct broker **ret, struct err *e)
{
	__attribute__((cleanup(broker_close_ptr))) struct broker *b = mem_alloc(1, sizeof(*b), e);

	if (!b)
		return -1;
	b->dirs = (struct broker_dirs){ -1, -1, -1 };
	b->rendered = (struct broker_rendered)BROKER_RENDERED_NONE;
	b->dirs.run = open(run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (b->dirs.run < 0)
		return err_sys(e, errno, "%s", run_dir);
	b->dirs.view = open_dir(b->dirs.run, "view", e);
	b->dirs.shown = b->dirs.view < 0 ? -1 : open_dir(b->dirs.run, "shown", e);
	if (b->dirs.shown < 0)
		return err_wrap(e, "%s", run_dir);
	if (reg_hive_open(registry, &b->hive, e) < 0)
		return -1;
	*ret = mem_steal(b);
	return 0;
}

int broker_run_fd(const struct broker *b)
{
	return b->dirs.run;
}

/* ---- declarations --------------------------------------------------------------------------- */

/* A name for view/ that stays the same whatever else is declared: a digest of the path, then its last part.
 */
static char *view_name(const char *path, struct err *e)
{
	uint64_t h = hash_text(HASH_SEED, path);
	char *r = mem_printf(e, "%016llx-%.64s", (unsigned long long)h, path_base(path)), *p;

	for (p = r; p && *p; p++)
		if ((unsigned char)*p <= ' ' || *p == 127)
			*p = '_';
	return r;
}

/* ':' ends a file's name in the text form of keys. */
static char *file_name(const char *file, struct err *e)
{
	auto_buf struct buf r = BUF_INIT(REG_FILE_MAX);
	const char *text;

	for (const char *s = file; *s; s++)
		if (buf_add(&r, *s == ':' ? "%3A" : s, *s == ':' ? 3 : 1, e) < 0)
			return NULL;
	text = buf_text(&r, e);
	return text ? mem_strdup(text, e) : NULL;
}

static int declare(struct broker_file *f, const struct broker_declaration *d, struct err *e)
{
	f->path = path_absolute(d->path, e);
	f->file = f->path ? file_name(d->file, e) : NULL;
	f->name = f->file ? view_name(f->path, e) : NULL;
	f->lens = reg_lens_find(d->lens);
	if (!f->name)
		return -1;
	if (*d->path != '/' || strpbrk(d->path, "\t\n") || !*path_base(f->path))
		return err_set(e, ERR_FORMAT, "'%.200s' is no path of a configuration file", d->path);
	return 0;
}

struct defaults {
	struct reg_change *list; /* borrows from the text or the document */
	size_t count;
};

static int add_default(struct defaults *d, const char *key, const char *value, struct err *e)
{
	if (d->count % 256 == 0) {
		struct reg_change *list = mem_grow(d->list, d->count + 256, sizeof(*list), e);

		if (!list)
			return -1;
		d->list = list;
	}
	d->list[d->count++] = (struct reg_change){ key, value };
	return 0;
}

/* The entries of the packed list that belong to `file`. */
static int pick_defaults(const char *packed, size_t len, const char *file, struct defaults *ret,
			 struct err *e)
{
	const char *end = packed + len;

	if (len && packed[len - 1])
		return err_set(e, ERR_FORMAT, "the package's registry defaults are cut off");
	while (packed < end) {
		const char *key = packed + strlen(packed) + 1, *value;

		value = key < end ? key + strlen(key) + 1 : end;
		if (value >= end)
			return err_set(e, ERR_FORMAT, "the package's registry defaults are cut off");
		if (!strcmp(packed, file) && add_default(ret, key, value, e) < 0)
			return -1;
		packed = value + strlen(value) + 1;
	}
	return 0;
}

struct package {
	int root; /* of its mount; -1 = none */
	const char *defaults;
	size_t defaults_len;
};

/* A text of the package; its symbolic links lead nowhere else. */
static int open_in_package(const struct package *p, const char *path)
{
	struct open_how how = { .flags = O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY,
				.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };

	return p->root < 0 || !*path ? -1 : (int)syscall(SYS_openat2, p->root, path, &how, sizeof(how));
}

/* The text that the package layer is made of, if there is one: the package's, else the host's. */
static int read_default_text(const struct package *p, const struct broker_declaration *d, bool has_packed,
			     struct buf *ret, bool *ret_found, struct err *e)
{
	auto_fd int fd = open_in_package(p, d->defaults_path);

	*ret_found = false;
	if (fd < 0)
		fd = open_in_package(p, d->path);
	if (fd < 0 && p->root < 0 && *d->defaults_path)
		fd = open(d->defaults_path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (fd < 0 && !has_packed)
		fd = open(d->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return 0;
	/* A file that cannot be read, or is none, gives no defaults; that is no reason not to start. */
	if (view_read_fd(fd, ret, e) < 0)
		return e->code == ERR_NOMEM ? -1 : 0;
	*ret_found = true;
	return buf_text(ret, e) ? 0 : -1;
}

static int set_package_layer(struct broker *b, struct broker_file *f, const struct broker_declaration *d,
			     const struct package *package, struct err *e)
{
	auto_buf struct buf text = BUF_INIT(REG_TEXT_MAX);
	struct defaults defaults = { 0 };
	struct reg_doc *doc = NULL;
	const char *key, *value, *body = NULL;
	enum reg_text_kind kind = REG_TEXT_OPAQUE;
	bool has_text = false;
	int r;

	r = pick_defaults(package->defaults, package->defaults_len, f->file, &defaults, e);
	if (r == 0)
		r = read_default_text(package, d, defaults.count > 0, &text, &has_text, e);
	if (r == 0 && has_text) {
		body = (const char *)text.data;
		if (f->lens && reg_doc_parse(f->lens, body, text.len, &doc, e) == 0)
			kind = REG_TEXT_KEYS;
		if (doc && defaults.count == 0)
			for (size_t pos = 0; r == 0 && reg_doc_next(doc, &pos, &key, &value);)
				r = add_default(&defaults, key, value, e);
	}
	if (r == 0)
		r = reg_hive_set_defaults(b->hive, f->file, defaults.list, defaults.count, e);
	if (r == 0)
		r = reg_hive_set_default_text(b->hive, f->file, body, text.len, kind, e);
	reg_doc_free(doc);
	free(defaults.list);
	return r;
}

static int write_paths(struct broker *b, struct err *e)
{
	auto_buf struct buf text = BUF_INIT(4 * 1024 * 1024);

	for (size_t i = 0; i < b->count; i++)
		if (buf_printf(&text, e, "%s\t%s\n", b->files[i].path, b->files[i].name) < 0)
			return -1;
	return view_write(b->dirs.run, "paths", text.data ? text.data : (void *)"", text.len, 0600, e);
}

int broker_configure(struct broker *b, const struct broker_declaration *declared, size_t count,
		     const char *package_root, const char *defaults, size_t defaults_len, struct err *e)
{
	auto_fd int root = package_root ? open(package_root, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	struct package package = { .root = root, .defaults = defaults, .defaults_len = defaults_len };
	size_t changed;

	if (count > BROKER_FILES_MAX)
		return err_set(e, ERR_LIMIT, "more than %d configuration files", BROKER_FILES_MAX);
	free_files(b);
	b->files = mem_alloc(count, sizeof(*b->files), e);
	if (!b->files)
		return -1;
	for (size_t i = 0; i < count; i++) {
		struct broker_file *f = &b->files[b->count++];

		/* What was written under the old package layer is taken before that moves. */
		if (declare(f, &declared[i], e) < 0 || broker_file_recall(f, &b->dirs, e) < 0)
			return -1;
		if ((f->shown || faccessat(b->dirs.view, f->name, F_OK, AT_SYMLINK_NOFOLLOW) == 0) &&
		    broker_file_harvest(f, b->hive, &b->dirs, &changed, e) < 0 && e->code == ERR_NOMEM)
			return -1;
		if (broker_rendered_harvest(&b->rendered, f, b->hive, &b->dirs, false, &changed, e) < 0 &&
		    e->code == ERR_NOMEM)
			return -1;
		if (set_package_layer(b, f, &declared[i], &package, e) < 0 ||
		    broker_file_show(f, b->hive, &b->dirs, e) < 0)
			return err_wrap(e, "%s", declared[i].path);
	}
	return write_paths(b, e);
}

int broker_render(struct broker *b, const char *upper, const char *tree, bool is_idle, struct err *e)
{
	size_t changed;

	if (broker_rendered_set(&b->rendered, upper, tree, e) < 0)
		return -1;
	return tree ? broker_harvest(b, is_idle, &changed, e) : 0;
}

/* ---- messages ------------------------------------------------------------------------------- */

static int harvest_file(struct broker *b, struct broker_file *f, bool is_idle, size_t *ret_changed,
			struct err *e)
{
	size_t in_view, rendered;

	if (broker_file_harvest(f, b->hive, &b->dirs, &in_view, e) < 0 ||
	    broker_rendered_harvest(&b->rendered, f, b->hive, &b->dirs, is_idle, &rendered, e) < 0 ||
	    broker_rendered_show(&b->rendered, f, &b->dirs, e) < 0)
		return -1;
	*ret_changed = in_view + rendered;
	return 0;
}

int broker_harvest(struct broker *b, bool is_idle, size_t *ret_changed, struct err *e)
{
	size_t changed, sum = 0;
	struct err one;
	int r = 0;

	/* One file that cannot be read must not keep the others from being saved. */
	for (size_t i = 0; i < b->count; i++) {
		if (harvest_file(b, &b->files[i], is_idle, &changed, &one) == 0) {
			sum += changed;
		} else if (r == 0) {
			*e = one;
			r = -1;
		}
	}
	if (r == 0)
		*ret_changed = sum;
	return r;
}

static struct broker_file *find_file(struct broker *b, const struct wire_in *m, struct err *e)
{
	auto_free char *name = wire_str(m, "name", e);

	if (!name)
		return NULL;
	for (size_t i = 0; i < b->count; i++)
		if (!strcmp(b->files[i].name, name))
			return &b->files[i];
	(void)err_set(e, ERR_NOTFOUND, "%.100s: not a declared file", name);
	return NULL;
}

/* commit and replace: descriptor 0 where it came along, else what is in view/. */
static int take(struct broker *b, struct broker_file *f, struct wire_in *m, size_t *changed, struct err *e)
{
	auto_buf struct buf text = BUF_INIT(REG_TEXT_MAX);
	auto_fd int fd = wire_steal_fd(m, 0);
	struct stat given, there;
	bool is_in_view = true;

	if (fd < 0 && wire_is(m, "type", "replace"))
		return err_set(e, ERR_FORMAT, "no file came with the request");
	if (fd < 0) {
		if (view_read(b->dirs.view, f->name, &text, e) < 0)
			return -1;
	} else {
		if (view_read_fd(fd, &text, e) < 0 || fstat(fd, &given) < 0)
			return -1;
		is_in_view = fstatat(b->dirs.view, f->name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
			     given.st_dev == there.st_dev && given.st_ino == there.st_ino;
	}
	if (!buf_text(&text, e))
		return -1;
	return broker_file_take(f, b->hive, &b->dirs, (const char *)text.data, text.len, is_in_view, changed,
				e);
}

static int refresh(struct broker *b, struct err *e)
{
	for (size_t i = 0; i < b->count; i++)
		if (broker_file_show(&b->files[i], b->hive, &b->dirs, e) < 0 ||
		    broker_rendered_show(&b->rendered, &b->files[i], &b->dirs, e) < 0)
			return err_wrap(e, "%s", b->files[i].path);
	return 0;
}

static int answer(struct broker *b, struct wire_in *m, size_t *changed, struct err *e)
{
	struct broker_file *f;
	int r;

	if (wire_is(m, "type", "refresh"))
		return refresh(b, e);
	if (wire_is(m, "type", "harvest"))
		return broker_harvest(b, false, changed, e);
	f = find_file(b, m, e);
	if (!f)
		return -1;
	if (wire_is(m, "type", "commit") || wire_is(m, "type", "replace"))
		r = take(b, f, m, changed, e);
	else if (wire_is(m, "type", "remove"))
		r = broker_file_remove(f, b->hive, &b->dirs, changed, e);
	else
		return err_set(e, ERR_FORMAT, "unknown request");
	return r < 0 ? -1 : broker_rendered_show(&b->rendered, f, &b->dirs, e);
}

int broker_answer(struct broker *b, struct wire_in *m, struct wire_out *reply, struct err *e)
{
	size_t changed = 0;
	struct err why;

	if (answer(b, m, &changed, &why) == 0)
		return wire_put_str(reply, "type", "done", e) < 0
			       ? -1
			       : wire_put_u64(reply, "changes", changed, e);
	return wire_put_str(reply, "type", "failed", e) < 0 ? -1 : wire_put_err(reply, &why, e);
}
