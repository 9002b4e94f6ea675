/* SPDX-License-Identifier: Apache-2.0 */
/* floe cache fill, pin, unpin and export: packages that are to be here, or elsewhere, as a whole. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/log.h"
#include "base/path.h"
#include "launcher/catalogue.h"
#include "launcher/cmd_cache.h"
#include "launcher/cmd_package.h"
#include "launcher/reference.h"
#include "streaming/fetcher.h"

enum { AHEAD = 64, GIVE_UP_AFTER_S = 60, ROOM_WAIT_MS = 2000, PASSES = 3 };

/* ---- opening ---------------------------------------------------------------------------- */

struct wanted {
	char *source; /* owned */
	struct pkg_digest root;
	bool has_root;
};

/* What a repository offers by that name, else what the cache knows by it, else a URL. */
static int find(struct stream_cache *c, const char *ref, struct wanted *ret, struct err *e)
{
	struct launch_found found = { 0 };
	struct err ignored;

	if (stream_source_is_url(ref)) {
		ret->source = launch_reference_source(ref, e);
		return ret->source ? 0 : -1;
	}
	if (launch_catalogue_find(ref, &found, &ignored) == 0 &&
	    pkg_digest_parse(found.root, &ret->root, &ignored) == 0) {
		ret->has_root = true;
		ret->source = mem_strdup(found.source, e);
		launch_found_fini(&found);
		return ret->source ? 0 : -1;
	}
	launch_found_fini(&found);
	if (stream_cache_resolve(c, ref, false, &ret->root, &ret->source, &ignored) == 0 && *ret->source) {
		ret->has_root = true;
		return 0;
	}
	free(ret->source);
	ret->source = launch_reference_source(ref, e);
	return ret->source ? 0 : -1;
}

static int open_wanted(const struct wanted *w, const char *ref, struct stream_package_opt *opt,
		       struct stream_package **ret, struct err *e)
{
	opt->root = w->has_root ? &w->root : NULL;
	opt->fail_after_s = GIVE_UP_AFTER_S;
	opt->start_len = STREAM_FIRST_REQUEST; /* no launch waits */
	if (stream_package_open(w->source, opt, ret, e) < 0)
		return -1;
	if (w->has_root && !pkg_digest_equal(&stream_package_header(*ret)->root, &w->root))
		return err_set(
			e, ERR_CHANGED,
			"%s: the version that is meant is no longer at its source; give the URL to fetch "
			"what is there "
			"now",
			ref);
	return 0;
}

int cmd_cache_open_learnt(struct stream_cache *c, const char *dir, const char *ref,
			  struct stream_package **ret, struct err *e)
{
	struct stream_package_opt opt = { .cache = c, .no_prefetch = true, .profile_dir = dir };
	struct wanted w = { 0 };
	int rc = find(c, ref, &w, e);

	if (rc == 0)
		rc = open_wanted(&w, ref, &opt, ret, e);
	free(w.source);
	return rc;
}

static int open_package(struct stream_cache *c, const char *ref, struct stream_package **ret, struct err *e)
{
	auto_free char *config_dir = path_config_dir(false, e);
	struct stream_package_opt opt = { .cache = c, .config_dir = config_dir };
	struct wanted w = { 0 };

	if (!config_dir || find(c, ref, &w, e) < 0)
		return -1;
	auto_free char *source = w.source;
	if (!stream_source_is_url(source))
		return err_set(e, ERR_USAGE, "%s: a package in a local file is not cached: it is all there",
			       ref);
	if (open_wanted(&w, ref, &opt, ret, e) < 0)
		return -1;
	return stream_cache_hold(c, &stream_package_header(*ret)->root, e);
}

static void label(struct stream_package *p, char *ret, size_t cap)
{
	const struct pkg_manifest *m = pkg_index_manifest(stream_package_index(p));

	(void)snprintf(ret, cap, "%s%s%s", m->name, *m->version ? " " : "", m->version);
}

/* ---- fill ------------------------------------------------------------------------------- */

struct filling {
	struct stream_cache *cache;
	struct stream_package *package;
	uint32_t count;
	uint64_t lacking, lacking_stored; /* bytes of content, and to transfer */
	uint64_t content;
	struct log_progress progress;
};

static int is_lacking(struct filling *f, uint32_t idx, struct pkg_chunk_info *ret, bool *ret_lacking,
		      struct err *e)
{
	if (pkg_index_chunk(stream_package_index(f->package), idx, ret, e) < 0)
		return -1;
	*ret_lacking = !stream_cache_has(f->cache, &ret->digest);
	return 0;
}

static int count_lacking(struct filling *f, struct err *e)
{
	f->lacking = f->lacking_stored = f->content = 0;
	for (uint32_t i = 0; i < f->count; i++) {
		struct pkg_chunk_info info;
		bool lacks;

		if (is_lacking(f, i, &info, &lacks, e) < 0)
			return -1;
		f->content += info.content_len;
		f->lacking += lacks ? info.content_len : 0;
		f->lacking_stored += lacks ? info.stored_len : 0;
	}
	return 0;
}

static int check_quota(struct filling *f, struct err *e)
{
	struct stream_cache_status s;
	char needed[32], quota[32];

	if (stream_cache_status(f->cache, &s, e) < 0)
		return -1;
	if (f->content <= s.quota_bytes || !f->lacking)
		return 0;
	bytes_human(f->content, needed);
	bytes_human(s.quota_bytes, quota);
	return err_set(
		e, ERR_LIMIT,
		"the package is %s large, the cache may have %s; allow more with: floe cache quota SIZE",
		needed, quota);
}

static int fetch_lacking(struct filling *f, struct err *e)
{
	uint64_t done = 0;

	for (uint32_t i = 0; i < f->count; i++) {
		struct pkg_chunk_info info;
		struct stream_chunk *chunk;
		bool lacks;

		if (i % (AHEAD / 2) == 0)
			stream_package_hint(f->package, i, AHEAD);
		if (is_lacking(f, i, &info, &lacks, e) < 0)
			return -1;
		if (!lacks)
			continue;
		(void)stream_cache_wait_room(f->cache, ROOM_WAIT_MS);
		if (stream_package_chunk(f->package, i, cmd_package_is_interrupted, NULL, &chunk, e) < 0)
			return -1;
		stream_chunk_unref(f->package, chunk);
		done += info.stored_len;
		log_progress_step(&f->progress, done);
		if (cmd_package_is_interrupted(NULL))
			return err_set(e, ERR_INTERRUPTED, "interrupted");
	}
	stream_package_await_others(f->package, cmd_package_is_interrupted, NULL);
	return stream_cache_sync(f->cache, e);
}

/* Puts can come to nothing for a while; a second pass gets the rest. */
static int fill(struct filling *f, struct err *e)
{
	int rc = count_lacking(f, e);

	if (rc == 0)
		rc = check_quota(f, e);
	for (int pass = 0; rc == 0 && f->lacking && pass < PASSES; pass++) {
		log_progress_start(&f->progress, "fetching", f->lacking_stored, true);
		rc = fetch_lacking(f, e);
		log_progress_end(&f->progress);
		if (rc == 0)
			rc = count_lacking(f, e);
	}
	if (rc == 0 && f->lacking)
		rc = err_set(e, ERR_IO, "not all that was fetched could be kept; try again");
	return rc;
}

int cmd_cache_fill(struct stream_cache *c, const char *ref, struct err *e)
{
	auto_package struct stream_package *p = NULL;
	struct filling f = { .cache = c };
	struct pkg_index_counts counts;
	char name[128], size[32];
	struct err ignored;

	if (open_package(c, ref, &p, e) < 0)
		return -1;
	pkg_index_counts(stream_package_index(p), &counts);
	f.package = p;
	f.count = counts.chunks;
	label(p, name, sizeof(name));
	if (fill(&f, e) < 0) {
		(void)!stream_cache_sync(c, &ignored);
		return e->code == ERR_INTERRUPTED ? err_set(e, ERR_INTERRUPTED,
							    "interrupted; what was fetched of %s is kept, "
							    "and fill goes on from there",
							    name)
						  : err_wrap(e, "%s", name);
	}
	bytes_human(f.content, size);
	(void)printf("%s: all %s are here\n", name, size);
	return 0;
}

/* ---- pins ------------------------------------------------------------------------------- */

int cmd_cache_pin(struct stream_cache *c, const char *ref, struct err *e)
{
	auto_package struct stream_package *p = NULL;
	struct pkg_digest root;

	if (stream_cache_resolve(c, ref, false, &root, NULL, e) < 0) {
		if (e->code != ERR_NOTFOUND || open_package(c, ref, &p, e) < 0)
			return -1;
		root = stream_package_header(p)->root;
	}
	if (stream_cache_pin(c, &root, true, e) < 0)
		return err_wrap(e, "%s", ref);
	(void)printf("%s is pinned\n", ref);
	return 0;
}

int cmd_cache_unpin(struct stream_cache *c, const char *ref, struct err *e)
{
	struct pkg_digest root;

	if (stream_cache_resolve(c, ref, true, &root, NULL, e) < 0 ||
	    stream_cache_pin(c, &root, false, e) < 0)
		return -1;
	(void)printf("%s is no longer pinned\n", ref);
	return 0;
}

/* ---- export ----------------------------------------------------------------------------- */

static bool export_step(void *arg, uint64_t done, uint64_t all)
{
	struct log_progress *progress = arg;

	if (!progress->what)
		log_progress_start(progress, "exporting", all, true);
	log_progress_step(progress, done);
	return !cmd_package_is_interrupted(NULL);
}

int cmd_cache_export(struct stream_cache *c, const char *dir, char *const *refs, size_t count, struct err *e)
{
	auto_free struct pkg_digest *roots = mem_alloc(count, sizeof(*roots), e);
	auto_free char *absolute = roots ? path_absolute(dir, e) : NULL;
	struct log_progress progress = { 0 };
	const struct stream_cache_progress step = { export_step, &progress };
	struct stream_cache_export report;
	char size[32];
	int rc;

	if (!absolute)
		return -1;
	for (size_t i = 0; i < count; i++)
		if (stream_cache_resolve(c, refs[i], false, &roots[i], NULL, e) < 0)
			return err_wrap(e, "fetch it first with floe cache fill");
	rc = stream_cache_export(c, absolute, roots, count, &step, &report, e);
	log_progress_end(&progress);
	if (rc < 0)
		return -1;
	bytes_human(report.bytes, size);
	(void)printf("%" PRIu64 " packages in %s, %s written\n", report.packages, absolute, size);
	if (report.lacking)
		log_note("%" PRIu64 " chunks of them are not in the cache and therefore not in the store; "
			 "floe cache fill "
			 "fetches them",
			 report.lacking);
	return 0;
}
