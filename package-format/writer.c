/* SPDX-License-Identifier: Apache-2.0 */
/* Packages from entries; see writer.h. The work is elsewhere: plan.c orders the tree, content.c cuts it
 * (cut.c), pack.c compresses, index_build.c makes the index, assemble.c the file. */
#include "package-format/writer.h"

#include <string.h>

#include "base/fd.h"
#include "package-format/assemble.h"
#include "package-format/content.h"
#include "package-format/plan.h"
#include "package-format/writer_state.h"

enum { LEVEL_DEFAULT = 19, DEFAULTS_MAX = 1 << 20, DEFAULT_TEXT_MAX = 1 << 20 };

static void pack_close(struct pkg_pack **p)
{
	pkg_pack_close(*p);
}
static void build_close(struct pkg_index_build **b)
{
	pkg_index_build_close(*b);
}

int pkg_writer_open(const struct pkg_writer_opt *opt, struct pkg_writer **ret, struct err *e)
{
	struct pkg_writer *w = mem_alloc(1, sizeof(*w), e);

	if (!w)
		return -1;
	if (opt)
		w->opt = *opt;
	pkg_plan_init(&w->plan);
	*ret = w;
	return 0;
}

void pkg_writer_close(struct pkg_writer *w)
{
	if (!w)
		return;
	pkg_plan_fini(&w->plan);
	free(w->defaults);
	free(w);
}

int pkg_writer_add(struct pkg_writer *w, const struct pkg_writer_entry *entry, struct err *e)
{
	if (w->is_finished)
		return err_set(e, ERR_USAGE, "the package is finished");
	return pkg_plan_add(&w->plan, entry, 0, e);
}

int pkg_writer_default(struct pkg_writer *w, const char *file, const char *key, const char *value,
		       struct err *e)
{
	struct pkg_writer_default d;

	if (strlen(file) > PKG_PATH_MAX || strlen(key) > PKG_PATH_MAX || strlen(value) > DEFAULT_TEXT_MAX ||
	    w->default_count == DEFAULTS_MAX)
		return err_set(e, ERR_LIMIT, "registry default %.80s: too long, or too many", key);
	if (w->default_count == w->default_cap) {
		size_t cap = w->default_cap ? 2 * w->default_cap : 64;
		void *more = mem_grow(w->defaults, cap, sizeof(*w->defaults), e);

		if (!more)
			return -1;
		w->defaults = more;
		w->default_cap = cap;
	}
	d.file = arena_strndup(&w->plan.arena, file, strlen(file), e);
	d.key = d.file ? arena_strndup(&w->plan.arena, key, strlen(key), e) : NULL;
	d.value = d.key ? arena_strndup(&w->plan.arena, value, strlen(value), e) : NULL;
	if (!d.value)
		return -1;
	w->defaults[w->default_count++] = d;
	return 0;
}

static int by_key(const void *a, const void *b)
{
	const struct pkg_writer_default *x = a, *y = b;
	int r = strcmp(x->file, y->file);

	return r ? r : strcmp(x->key, y->key);
}

/* Rows in table and key order, so that the database is compact and always the same. */
static int build_index(struct pkg_writer *w, const struct pkg_manifest *m, const struct pkg_pack *pack,
		       const struct pkg_content_list *content, struct buf *ret, uint64_t *ret_content_len,
		       struct pkg_writer_report *report, struct err *e)
{
	__attribute__((cleanup(build_close))) struct pkg_index_build *b = NULL;
	const struct pkg_chunk_info *chunks;
	uint32_t count, shared;

	if (pkg_index_build_open(&b, e) < 0 || pkg_index_build_manifest(b, m, e) < 0 ||
	    pkg_plan_index(&w->plan, b, report, e) < 0)
		return -1;
	for (size_t i = 0; i < content->count; i++)
		if (pkg_index_build_extent(b, content->extents[i].ino, &content->extents[i].at, e) < 0)
			return -1;
	chunks = pkg_pack_chunks(pack, &count, &shared);
	for (uint32_t i = 0; i < count; i++)
		if (pkg_index_build_chunk(b, &chunks[i], e) < 0)
			return -1;
	report->chunks = count;
	report->chunks_shared = shared + content->shared;
	if (w->default_count)
		qsort(w->defaults, w->default_count, sizeof(*w->defaults), by_key);
	for (size_t i = 0; i < w->default_count; i++)
		if (pkg_index_build_default(b, w->defaults[i].file, w->defaults[i].key, w->defaults[i].value,
					    e) < 0)
			return -1;
	return pkg_index_build_finish(b, w->opt.zstd_level ? w->opt.zstd_level : LEVEL_DEFAULT, ret,
				      ret_content_len, e);
}

static int finish(struct pkg_writer *w, struct pkg_content_list *content, const struct pkg_manifest *m,
		  const struct pkg_secret_key *key, const char *out_path, struct pkg_writer_report *ret,
		  struct err *e)
{
	__attribute__((cleanup(pack_close))) struct pkg_pack *pack = NULL;
	auto_buf struct buf index = BUF_INIT(PKG_INDEX_CONTENT_MAX + (PKG_INDEX_CONTENT_MAX >> 7));
	struct pkg_writer_report report = { 0 };
	struct pkg_assembly a = { .cancel = w->opt.cancel };
	struct pkg_header header;
	struct pkg_run all = { 0 };
	auto_fd int scratch = pkg_assemble_scratch(out_path, e);
	uint32_t count, shared;
	const struct pkg_chunk_info *chunks;

	if (scratch < 0 || pkg_plan_settle(&w->plan, w->opt.mtime_max_s, e) < 0 ||
	    pkg_pack_open(scratch, w->opt.zstd_level, w->opt.threads, w->opt.cancel, &pack, e) < 0 ||
	    pkg_content_read(&w->plan, pack, &w->opt, content, e) < 0 ||
	    build_index(w, m, pack, content, &index, &a.index_content_len, &report, e) < 0)
		return -1;
	chunks = pkg_pack_chunks(pack, &count, &shared);
	if (count)
		all.len = chunks[count - 1].off + chunks[count - 1].stored_len;
	a.index = index.data;
	a.index_len = index.len;
	a.chunks_fd = scratch;
	a.runs = &all;
	a.run_count = 1;
	if (pkg_assemble(&a, key, out_path, &header, e) < 0)
		return -1;
	report.file_len = header.file_len;
	report.index_stored_len = header.index_stored_len;
	report.root = header.root;
	*ret = report;
	return 0;
}

int pkg_writer_finish(struct pkg_writer *w, const struct pkg_manifest *m, const struct pkg_secret_key *key,
		      const char *out_path, struct pkg_writer_report *ret, struct err *e)
{
	struct pkg_content_list content = { 0 };
	int rc;

	if (w->is_finished)
		return err_set(e, ERR_USAGE, "the package is finished");
	w->is_finished = true;
	rc = finish(w, &content, m, key, out_path, ret, e);
	free(content.extents);
	return rc;
}
