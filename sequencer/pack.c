/* SPDX-License-Identifier: Apache-2.0 */
/* Packing; see pack.h. */
#include "sequencer/pack.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "registry-shim/hive.h"
#include "registry-shim/lens.h"
#include "sequencer/draft.h"

static int64_t clamp_time(void)
{
	const char *text = getenv("SOURCE_DATE_EPOCH");
	char *end;
	long long seconds;

	if (!text || !*text)
		return 0;
	errno = 0;
	seconds = strtoll(text, &end, 10);
	return errno || *end || seconds <= 0 ? 0 : seconds;
}

static int add_entry(struct pkg_writer *w, const struct seq_entry *t, struct err *e)
{
	struct pkg_writer_xattr xattrs[64];
	struct pkg_writer_entry entry = {
		.path = t->name,
		.mode = t->st.st_mode,
		.uid = t->st.st_uid,
		.gid = t->st.st_gid,
		.mtime_s = t->st.st_mtim.tv_sec,
		.mtime_ns = (uint32_t)t->st.st_mtim.tv_nsec,
		.symlink = t->symlink,
		.xattrs = xattrs,
	};

	if (t->change == SEQ_DELETED) {
		entry.mode = S_IFCHR;
		return pkg_writer_add(w, &entry, e);
	}
	if (S_ISREG(t->st.st_mode)) {
		entry.content_path = t->source;
		entry.size = (uint64_t)t->st.st_size;
	}
	entry.hard_link = t->hard_link;
	for (size_t i = 0; i < t->xattr_count && i < ARRAY_LEN(xattrs); i++)
		xattrs[entry.xattr_count++] = (struct pkg_writer_xattr){ .name = t->xattrs[i].name,
									 .value = t->xattrs[i].value,
									 .len = t->xattrs[i].len };
	return pkg_writer_add(w, &entry, e);
}

/* ---- configuration ---------------------------------------------------------------------------- */

/* A manifest's path -> the name in the package that stands for it: "@config/x" -> "@home/.config/x". */
static char *name_of_config(const char *path, struct err *e)
{
	static const struct {
		const char *token, *place;
	} places[] = {
		{ "@config", "@home/.config" },      { "@data", "@home/.local/share" },
		{ "@state", "@home/.local/state" },  { "@cache", "@home/.cache" },
		{ "@documents", "@home/Documents" },
	};

	for (size_t i = 0; i < ARRAY_LEN(places); i++)
		if (path_is_below(path, places[i].token))
			return mem_printf(e, "%s%s", places[i].place, path + strlen(places[i].token));
	return mem_strdup(path + (*path == '/'), e);
}

static const struct seq_entry *find_config(const struct seq_capture *c, const char *path, struct err *e)
{
	auto_free char *name = name_of_config(path, e);
	const struct seq_entry *t = name ? seq_capture_find_name(c, name) : NULL;

	return t && seq_entry_is_file(t) ? t : NULL;
}

/* The name by which keys know a file: a token without its "@", or the absolute path. */
static const char *key_of_config(const char *path)
{
	return path + (*path == '@');
}

static int add_defaults(struct pkg_writer *w, const struct seq_capture *c, const struct pkg_config_file *f,
			struct err *e)
{
	const struct reg_lens *lens = reg_lens_find(f->lens);
	const struct seq_entry *t = f->defaults ? find_config(c, f->path, e) : NULL;
	auto_buf struct buf text = BUF_INIT(REG_TEXT_MAX);
	const char *key, *value;
	struct reg_doc *doc;
	size_t pos = 0;
	int rc = 0;

	if (!lens || !t)
		return 0;
	if (fd_read_file(AT_FDCWD, t->source, &text, e) < 0)
		return err_wrap(e, "%s", t->path);
	if (reg_doc_parse(lens, text.len ? (const char *)text.data : "", text.len, &doc, e) < 0)
		return err_wrap(e, "--config %s: its content is not of the kind \"%s\"", f->path, f->lens);
	while (rc == 0 && reg_doc_next(doc, &pos, &key, &value))
		rc = pkg_writer_default(w, key_of_config(f->path), key, value, e);
	reg_doc_free(doc);
	return rc;
}

/* "~/x" -> "@home/x"; "@home/.config/x" -> "@config/x": one spelling for one file. */
static char *config_path(const char *given, size_t len, struct err *e)
{
	auto_free char *path = NULL;

	if (len >= 2 && given[0] == '~' && given[1] == '/')
		path = mem_printf(e, "@home/%.*s", (int)(len - 2), given + 2);
	else
		path = mem_strndup(given, len, e);
	if (!path)
		return NULL;
	if (path_is_below(path, "@home/.config") && path[13])
		return mem_printf(e, "@config%s", path + 13);
	return mem_steal(path);
}

/* What a file is, by its content; of one that is not there yet, or empty, by its name. NULL on failure. */
static const struct reg_lens *choose_lens(const char *spec, const char *path, const struct seq_entry *t,
					  struct err *e)
{
	auto_buf struct buf text = BUF_INIT(REG_TEXT_MAX);
	const struct reg_lens *lens;

	if (t && fd_read_file(AT_FDCWD, t->source, &text, e) < 0) {
		(void)err_wrap(e, "%s", t->path);
		return NULL;
	}
	lens = text.len ? reg_lens_guess(path, (const char *)text.data, text.len) : reg_lens_of_name(path);
	if (!lens)
		(void)err_set(e, ERR_USAGE, "--config %s: %s: write --config %s:LENS (there are: %s)", spec,
			      text.len ? "no lens is sure to understand this file"
				       : "there is no such file yet, and its name does not tell its kind",
			      spec, reg_lens_names());
	else if (!text.len)
		log_note("--config %s: taken for %s by its name", spec, reg_lens_name(lens));
	return lens;
}

/* The ':' before the lens of "PATH:LENS", which may itself be "augeas:MODULE"; NULL = none. */
static const char *find_lens(const char *spec)
{
	static const char augeas[] = ":augeas:";
	const char *colon = strrchr(spec, ':');
	size_t before = colon ? (size_t)(colon - spec) + 1 : 0, len = strlen(augeas);

	return before >= len && !memcmp(colon + 1 - len, augeas, len) ? colon + 1 - len : colon;
}

int seq_pack_declare_config(struct pkg_manifest *m, const struct seq_capture *c, const char *spec,
			    struct err *e)
{
	const char *colon = find_lens(spec);
	const struct reg_lens *lens = colon ? reg_lens_find(colon + 1) : NULL;
	auto_free char *path = NULL, *defaults = NULL;
	const struct seq_entry *t;

	if (colon && !lens && !strchr(colon, '/'))
		return err_set(e, ERR_USAGE, "--config %s: there is no lens \"%s\" (there are: %s)", spec,
			       colon + 1, reg_lens_names());
	path = config_path(spec, lens ? (size_t)(colon - spec) : strlen(spec), e);
	if (!path)
		return -1;
	if (*path != '/' && *path != '@')
		return err_set(e, ERR_USAGE, "--config %s: give an absolute path, ~/... or @config/...",
			       spec);
	t = find_config(c, path, e);
	if (!lens) {
		lens = choose_lens(spec, path, t, e);
		if (!lens)
			return -1;
	}
	if (t) {
		defaults = !strncmp(t->name, "@home", 5) ? mem_strdup(t->name, e)
							 : mem_printf(e, "/%s", t->name);
		if (!defaults)
			return -1;
	}
	return seq_draft_config(m, path, reg_lens_name(lens), defaults, e);
}

int seq_pack_write(const struct seq_pack *p, struct pkg_writer_report *ret, struct err *e)
{
	struct pkg_writer_opt opt = {
		.zstd_level = p->level,
		.mtime_max_s = clamp_time(),
		.progress = p->progress,
		.progress_arg = p->progress_arg,
		.cancel = p->cancel,
	};
	struct pkg_writer *w;
	int rc = 0;

	if (pkg_writer_open(&opt, &w, e) < 0)
		return -1;
	for (size_t i = 0; rc == 0 && i < p->capture->count; i++)
		if (seq_entry_is_taken(&p->capture->entries[i]))
			rc = add_entry(w, &p->capture->entries[i], e);
	for (size_t i = 0; rc == 0 && i < p->manifest->config_count; i++)
		rc = add_defaults(w, p->capture, &p->manifest->configs[i], e);
	if (rc == 0)
		rc = pkg_writer_finish(w, p->manifest, p->key, p->out_path, ret, e);
	pkg_writer_close(w);
	return rc;
}
