/* SPDX-License-Identifier: Apache-2.0 */
/* The broker's declared files and messages; see broker.h. What happens to one file is in broker_file.c,
 * sockets are in broker_serve.c. */
#include "registry-shim/broker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/path.h"
#include "registry-shim/broker_draft.h"
#include "registry-shim/broker_file.h"
#include "registry-shim/broker_layers.h"
#include "registry-shim/broker_rendered.h"
#include "registry-shim/broker_view.h"
#include "registry-shim/hive_declared.h"
#include "registry-shim/hive_history.h"

/* The author of what was found changed without a word. */
#define UNREPORTED "an application"

struct broker {
	struct reg_hive *hive;
	struct broker_dirs dirs;
	struct broker_drafts drafts;
	struct broker_rendered rendered;
	struct broker_file *files;
	size_t count;
};

/* ---- open ----------------------------------------------------------------------------------- */

struct files {
	struct broker_file *list;
	size_t count;
};

static void files_fini(struct files *f)
{
	for (size_t i = 0; i < f->count; i++)
		broker_file_fini(&f->list[i]);
	free(f->list);
}

static void free_files(struct broker *b)
{
	struct files all = { b->files, b->count };

	files_fini(&all);
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
	broker_drafts_fini(&b->drafts);
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
	b->drafts.dir = -1;
	b->rendered = (struct broker_rendered)BROKER_RENDERED_NONE;
	b->dirs.run = open(run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (b->dirs.run < 0)
		return err_sys(e, errno, "%s", run_dir);
	b->dirs.view = open_dir(b->dirs.run, "view", e);
	b->dirs.shown = b->dirs.view < 0 ? -1 : open_dir(b->dirs.run, "shown", e);
	if (b->dirs.shown < 0 || broker_drafts_open(&b->drafts, b->dirs.run, e) < 0)
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

static int write_paths(struct broker *b, struct err *e)
{
	auto_buf struct buf text = BUF_INIT(4 * 1024 * 1024);

	for (size_t i = 0; i < b->count; i++)
		if (!b->files[i].is_left &&
		    buf_printf(&text, e, "%s\t%s\t%s\n", b->files[i].path, b->files[i].name,
			       b->files[i].lens ? "keys" : "whole") < 0)
			return -1;
	return view_write(b->dirs.run, "paths", text.data ? text.data : (void *)"", text.len, 0600, e);
}

/* Programs that run go on as if nothing had been declared anew. */
static void inherit(struct broker_file *f, struct files *earlier)
{
	for (size_t i = 0; i < earlier->count; i++) {
		struct broker_file *old = &earlier->list[i];

		if (old->name && !strcmp(old->name, f->name)) {
			f->past = old->past;
			old->past = (struct broker_past){ 0 };
			return;
		}
	}
}

/* `result` of what was done while the hive was lazy. */
static int end_lazy(struct broker *b, int result, struct err *e)
{
	struct err ignored;

	return reg_hive_set_lazy(b->hive, false, result < 0 ? &ignored : e) < 0 ? -1 : result;
}

/* These follow from package, host and policy: the next launch sets them again. */
static int set_layers(struct broker *b, const struct broker_layers *layers,
		      const struct broker_declaration *d, struct broker_file *f, struct err *e)
{
	if (reg_hive_set_lazy(b->hive, true, e) < 0)
		return -1;
	return end_lazy(b, broker_layers_set(layers, d, f->file, f->lens, b->hive, &f->note, e), e);
}

static int configure_file(struct broker *b, const struct broker_layers *layers,
			  const struct broker_declaration *d, struct files *earlier, struct err *e)
{
	struct broker_file *f = &b->files[b->count++];
	struct reg_saved saved;

	/* What was written under the old package layer is taken before that moves. */
	if (declare(f, d, e) < 0 || broker_file_recall(f, &b->dirs, e) < 0)
		return -1;
	inherit(f, earlier);
	f->is_left = broker_rendered_is_foreign(&b->rendered, f, layers->package_root);
	if (f->is_left) {
		f->note = mem_strdup("too large for settings, or no file: shown as it is", e);
		return f->note ? 0 : -1;
	}
	if ((f->shown || faccessat(b->dirs.view, f->name, F_OK, AT_SYMLINK_NOFOLLOW) == 0) &&
	    broker_file_harvest(f, b->hive, &b->dirs, &saved, e) < 0 && e->code == ERR_NOMEM)
		return -1;
	if (broker_rendered_harvest(&b->rendered, f, b->hive, &b->dirs, false, &saved, e) < 0 &&
	    e->code == ERR_NOMEM)
		return -1;
	if (set_layers(b, layers, d, f, e) < 0)
		return -1;
	if (broker_file_show(f, b->hive, &b->dirs, e) < 0)
		return -1;
	return broker_rendered_show(&b->rendered, f, &b->dirs, e);
}

/* For `floe registry`. */
static int note_declared(struct broker *b, const struct broker_setup *setup, struct err *e)
{
	auto_free struct reg_declared *list = mem_alloc(b->count, sizeof(*list), e);

	if (!list)
		return -1;
	for (size_t i = 0; i < b->count; i++)
		list[i] = (struct reg_declared){ b->files[i].file, setup->declared[i].lens,
						 b->files[i].note ? b->files[i].note : "" };
	if (reg_hive_set_lazy(b->hive, true, e) < 0)
		return -1;
	return end_lazy(b, reg_hive_set_declared(b->hive, list, b->count, e), e);
}

int broker_configure(struct broker *b, const struct broker_setup *setup, struct err *e)
{
	auto_fd int root =
		setup->package_root ? open(setup->package_root, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	struct broker_layers layers = { .setup = setup, .package_root = root };
	__attribute__((cleanup(files_fini))) struct files earlier = { NULL, 0 };
	int r = 0;

	if (setup->count > BROKER_FILES_MAX)
		return err_set(e, ERR_LIMIT, "more than %d configuration files", BROKER_FILES_MAX);
	if (reg_policy_unpack(setup->policy, setup->policy_len, &layers.policy, e) < 0)
		return -1;
	reg_hive_set_author(b->hive, UNREPORTED, 0);
	earlier = (struct files){ b->files, b->count };
	b->count = 0;
	b->files = mem_alloc(setup->count, sizeof(*b->files), e);
	if (!b->files)
		r = -1;
	for (size_t i = 0; r == 0 && i < setup->count; i++) {
		r = configure_file(b, &layers, &setup->declared[i], &earlier, e);
		if (r < 0)
			(void)err_wrap(e, "%s", setup->declared[i].path);
	}
	reg_policy_fini(&layers.policy);
	return r < 0 || note_declared(b, setup, e) < 0 ? -1 : write_paths(b, e);
}

int broker_render(struct broker *b, const char *upper, const char *tree, bool is_idle, struct err *e)
{
	struct reg_saved saved;

	if (broker_rendered_set(&b->rendered, upper, tree, e) < 0)
		return -1;
	return tree ? broker_harvest(b, is_idle, &saved, e) : 0;
}

/* ---- messages ------------------------------------------------------------------------------- */

/* When no program runs that could miss it in the view. 1 = it was handed over. */
static int hand_over(struct broker *b, struct broker_file *f, struct err *e)
{
	int r = broker_rendered_hand_over(&b->rendered, f, &b->dirs, e);

	if (r <= 0)
		return r;
	f->is_left = true;
	return write_paths(b, e) < 0 ? -1 : 1;
}

static int harvest_file(struct broker *b, struct broker_file *f, bool is_idle, struct reg_saved *ret,
			struct err *e)
{
	struct reg_saved drafts, in_view, rendered;
	int r = f->is_left ? 1 : is_idle ? hand_over(b, f, e) : 0;

	*ret = (struct reg_saved){ 0 };
	if (r != 0)
		return r < 0 ? -1 : 0;
	if (broker_drafts_harvest(&b->drafts, f, b->hive, &b->dirs, is_idle, &drafts, e) < 0 ||
	    broker_file_harvest(f, b->hive, &b->dirs, &in_view, e) < 0 ||
	    broker_rendered_harvest(&b->rendered, f, b->hive, &b->dirs, is_idle, &rendered, e) < 0 ||
	    broker_rendered_show(&b->rendered, f, &b->dirs, e) < 0)
		return -1;
	ret->changed = drafts.changed + in_view.changed + rendered.changed;
	ret->refused = drafts.refused + in_view.refused + rendered.refused;
	return 0;
}

int broker_harvest(struct broker *b, bool is_idle, struct reg_saved *ret, struct err *e)
{
	struct reg_saved saved, sum = { 0 };
	struct err one;
	int r = 0;

	reg_hive_set_author(b->hive, UNREPORTED, 0);

	/* One file that cannot be read must not keep the others from being saved. */
	for (size_t i = 0; i < b->count; i++) {
		if (harvest_file(b, &b->files[i], is_idle, &saved, &one) == 0) {
			sum.changed += saved.changed;
			sum.refused += saved.refused;
		} else if (r == 0) {
			*e = one;
			r = -1;
		}
	}
	if (r == 0)
		*ret = sum;
	return r;
}

int broker_watch_fd(const struct broker *b)
{
	return b->rendered.watch;
}

static void note_name(void *arg, const char *name)
{
	struct broker *b = arg;

	for (size_t i = 0; i < b->count; i++)
		b->files[i].is_noticed |= !name || !strcmp(path_base(b->files[i].path), name);
}

void broker_noticed(struct broker *b)
{
	struct reg_saved saved;
	struct err e;

	broker_rendered_noticed(&b->rendered, note_name, b);
	reg_hive_set_author(b->hive, UNREPORTED, 0);
	for (size_t i = 0; i < b->count; i++) {
		struct broker_file *f = &b->files[i];

		if (f->is_noticed && !f->is_left &&
		    (broker_rendered_harvest(&b->rendered, f, b->hive, &b->dirs, false, &saved, &e) < 0 ||
		     broker_rendered_show(&b->rendered, f, &b->dirs, &e) < 0))
			log_detail("%s: %s", f->path, e.msg);
		f->is_noticed = false;
	}
}

static struct broker_file *find_file(struct broker *b, const char *name, struct err *e)
{
	for (size_t i = 0; i < b->count; i++)
		if (name && !strcmp(b->files[i].name, name))
			return &b->files[i];
	(void)err_set(e, ERR_NOTFOUND, "%.100s: not a declared file", name ? name : "");
	return NULL;
}

/* A descriptor of the file that was in view/ before another took its place, which nobody wrote after that:
 * nothing to save. */
static bool is_stale(const struct broker_file *f, const struct stat *given, const struct buf *text)
{
	bool is_written = given->st_mtim.tv_sec > given->st_ctim.tv_sec ||
			  (given->st_mtim.tv_sec == given->st_ctim.tv_sec &&
			   given->st_mtim.tv_nsec >= given->st_ctim.tv_nsec);

	if (given->st_nlink > 0 || is_written)
		return false;
	return broker_file_shows(f, (const char *)text->data, text->len) ||
	       broker_past_has(&f->past, 0, (const char *)text->data, text->len);
}

/* commit and replace: descriptor 0 where it came along, else what is in view/. */
static int take(struct broker *b, struct broker_file *f, struct wire_in *m, struct reg_saved *saved,
		struct err *e)
{
	auto_buf struct buf text = BUF_INIT(REG_TEXT_MAX);
	auto_fd int fd = wire_steal_fd(m, 0);
	struct broker_text t = { .is_in_view = true };
	struct stat given = { 0 }, there;

	if (fd < 0 && wire_is(m, "type", "replace"))
		return err_set(e, ERR_FORMAT, "no file came with the request");
	if (fd < 0) {
		if (view_read(b->dirs.view, f->name, &text, e) < 0)
			return -1;
	} else {
		if (view_read_fd(fd, &text, e) < 0 || fstat(fd, &given) < 0)
			return -1;
		t.is_in_view = fstatat(b->dirs.view, f->name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
			       given.st_dev == there.st_dev && given.st_ino == there.st_ino;
	}
	if (!buf_text(&text, e))
		return -1;
	if (fd >= 0 && wire_is(m, "type", "commit") && is_stale(f, &given, &text))
		return 0;
	t.data = (const char *)text.data;
	t.len = text.len;
	/* Who writes the file itself, as those do who lock it, has changed what was in it. */
	if (t.is_in_view)
		broker_text_from_shown(&t, f);
	return broker_file_take(f, b->hive, &b->dirs, &t, saved, e);
}

static int refresh(struct broker *b, struct err *e)
{
	for (size_t i = 0; i < b->count; i++)
		if (!b->files[i].is_left &&
		    (broker_file_show(&b->files[i], b->hive, &b->dirs, e) < 0 ||
		     broker_rendered_show(&b->rendered, &b->files[i], &b->dirs, e) < 0))
			return err_wrap(e, "%s", b->files[i].path);
	return 0;
}

/* Not those of this harvest alone, when a time is given. */
static int count_refused(struct broker *b, const struct wire_in *m, struct reg_saved *saved, struct err *e)
{
	uint64_t since_ms = wire_u64_or(m, "since-ms", 0), count = 0;

	if (!since_ms)
		return 0;
	if (reg_hive_count_refused(b->hive, (int64_t)since_ms, &count, e) < 0)
		return -1;
	saved->refused = count;
	return 0;
}

static const char *const draft_words[] = { [BROKER_DRAFT_CLOSED] = "closed",
					   [BROKER_DRAFT_LEFT] = "left",
					   [BROKER_DRAFT_JOINED] = "joined",
					   [BROKER_DRAFT_SYNCED] = "synced" };

/* The word about a draft that the message is; -1 = it is another one. */
static int draft_word(const struct wire_in *m)
{
	for (size_t i = 0; i < ARRAY_LEN(draft_words); i++)
		if (wire_is(m, "type", draft_words[i]))
			return (int)i;
	return -1;
}

static int answer(struct broker *b, long pid, struct wire_in *m, struct reg_saved *saved, struct err *e)
{
	auto_free char *name = NULL;
	struct broker_file *f;
	int r, word = draft_word(m);

	if (wire_is(m, "type", "refresh"))
		return refresh(b, e);
	if (wire_is(m, "type", "harvest"))
		return broker_harvest(b, false, saved, e) < 0 ? -1 : count_refused(b, m, saved, e);
	name = wire_str(m, "name", e);
	f = name ? find_file(b, word < 0 ? name : broker_draft_file(name), e) : NULL;
	if (!f)
		return -1;
	f->client = broker_client_of(pid, wire_u64_or(m, "started-ns", 0));
	if (word >= 0)
		r = broker_drafts_hear(&b->drafts, f, b->hive, &b->dirs, name, (enum broker_draft_word)word,
				       saved, e);
	else if (wire_is(m, "type", "commit") || wire_is(m, "type", "replace"))
		r = take(b, f, m, saved, e);
	else if (wire_is(m, "type", "remove"))
		r = broker_file_remove(f, b->hive, &b->dirs, saved, e);
	else
		r = err_set(e, ERR_FORMAT, "unknown request");
	f->client = (struct broker_client){ 0 };
	return r < 0 ? -1 : broker_rendered_show(&b->rendered, f, &b->dirs, e);
}

/* "mc" of a client that waits for its answer; scripts are called by their own name. */
static void set_author(struct broker *b, long pid)
{
	auto_buf struct buf name = BUF_INIT(64);
	char path[64];
	struct err ignored;

	(void)snprintf(path, sizeof(path), "/proc/%ld/comm", pid);
	if (pid <= 0 || fd_read_file(AT_FDCWD, path, &name, &ignored) < 0 || !buf_text(&name, &ignored)) {
		reg_hive_set_author(b->hive, UNREPORTED, pid);
		return;
	}
	name.data[strcspn((char *)name.data, "\n")] = 0;
	reg_hive_set_author(b->hive, (char *)name.data, pid);
}

int broker_answer(struct broker *b, long pid, struct wire_in *m, struct wire_out *reply, struct err *e)
{
	struct reg_saved saved = { 0 };
	struct err why;

	set_author(b, pid);
	if (answer(b, pid, m, &saved, &why) < 0)
		return wire_put_str(reply, "type", "failed", e) < 0 ? -1 : wire_put_err(reply, &why, e);
	if (wire_put_str(reply, "type", "done", e) < 0 ||
	    wire_put_u64(reply, "changes", saved.changed, e) < 0)
		return -1;
	return wire_put_u64(reply, "refused", saved.refused, e);
}
