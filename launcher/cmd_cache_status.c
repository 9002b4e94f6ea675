/* SPDX-License-Identifier: Apache-2.0 */
/* floe cache status: what is kept, in all and of each package. */
#include <inttypes.h>
#include <stdio.h>

#include "base/bytes.h"
#include "launcher/cmd_cache.h"
#include "launcher/json_output.h"
#include "launcher/table.h"
#include "streaming/fetcher.h"

struct listing {
	struct launch_table table;
	json_t *packages; /* NULL: the table */
};

/* "all", "37 %", "?" */
static void share_text(const struct stream_cache_package *p, char ret[32])
{
	uint64_t here = p->present_bytes + p->shared_bytes;

	if (!p->is_known)
		(void)snprintf(ret, 32, "?");
	else if (here == p->bytes)
		(void)snprintf(ret, 32, "all");
	else
		(void)snprintf(ret, 32, "%.0f %%", p->bytes ? (double)here * 100 / (double)p->bytes : 0.0);
}

static int add_row(struct launch_table *t, const struct stream_cache_package *p, struct err *e)
{
	char size[32] = "?", share[32], used[32], hex[PKG_DIGEST_HEX];

	if (p->is_known)
		bytes_human(p->bytes, size);
	share_text(p, share);
	launch_table_time(p->used_s, used);
	pkg_digest_hex(&p->root, hex);
	if (launch_table_add(t, *p->name ? p->name : "?", e) < 0 || launch_table_add(t, p->version, e) < 0 ||
	    launch_table_add(t, size, e) < 0 || launch_table_add(t, share, e) < 0 ||
	    launch_table_add(t, p->is_pinned ? "yes" : "", e) < 0 ||
	    launch_table_add(t, p->is_used ? "yes" : "", e) < 0 || launch_table_add(t, used, e) < 0)
		return -1;
	return launch_table_addf(t, e, "%.12s", hex);
}

static int show(void *arg, const struct stream_cache_package *p, struct err *e)
{
	struct listing *l = arg;
	char hex[PKG_DIGEST_HEX];
	auto_free char *source = stream_source_for_people(p->source, e);
	json_t *entry;

	if (!source)
		return -1;
	if (!l->packages)
		return add_row(&l->table, p, e);
	pkg_digest_hex(&p->root, hex);
	entry = json_pack("{s:o?, s:o?, s:s, s:o?, s:b, s:b, s:I}", "name", launch_json_bytes(p->name),
			  "version", launch_json_bytes(p->version), "root", hex, "source",
			  launch_json_bytes(source), "pinned", p->is_pinned, "in_use", p->is_used,
			  "last_used", (json_int_t)p->used_s);
	if (entry && p->is_known &&
	    (json_object_set_new(entry, "content_bytes", json_integer((json_int_t)p->bytes)) < 0 ||
	     json_object_set_new(entry, "present_bytes", json_integer((json_int_t)p->present_bytes)) < 0 ||
	     json_object_set_new(entry, "shared_bytes", json_integer((json_int_t)p->shared_bytes)) < 0)) {
		json_decref(entry);
		entry = NULL;
	}
	return entry && json_array_append_new(l->packages, entry) == 0
		       ? 0
		       : err_set(e, ERR_NOMEM, "not enough memory");
}

static int print_json(struct stream_cache *c, const char *dir, const struct stream_cache_status *s,
		      struct err *e)
{
	struct listing l = { .packages = json_array() };
	json_t *root;

	if (!l.packages)
		return err_set(e, ERR_NOMEM, "not enough memory");
	if (stream_cache_packages(c, show, &l, e) < 0) {
		json_decref(l.packages);
		return -1;
	}
	root = json_pack("{s:o?, s:I, s:I, s:I, s:I, s:I, s:o?, s:o}", "directory", launch_json_bytes(dir),
			 "chunks", (json_int_t)s->chunks, "content_bytes", (json_int_t)s->bytes, "disk_bytes",
			 (json_int_t)s->file_bytes, "quota_bytes", (json_int_t)s->quota_bytes,
			 "damaged_chunks_dropped", (json_int_t)s->wrong, "shared_store",
			 launch_json_bytes_or_null(s->shared), "packages", l.packages);
	return launch_json_print(root) == 0 ? 0 : err_set(e, ERR_IO, "cannot print");
}

static int print_table(struct stream_cache *c, struct err *e)
{
	static const char *const heads[] = { "NAME",   "VERSION", ">SIZE",     ">HERE",
					     "PINNED", "IN USE",  "LAST USED", "ROOT DIGEST" };
	struct listing l = { .table = LAUNCH_TABLE_INIT(heads) };
	int rc = stream_cache_packages(c, show, &l, e);

	if (rc == 0 && l.table.count) {
		(void)putchar('\n');
		launch_table_print(&l.table);
	}
	launch_table_fini(&l.table);
	return rc;
}

int cmd_cache_status(struct stream_cache *c, const char *dir, bool as_json, struct err *e)
{
	char content[32], disk[32], quota[32];
	struct stream_cache_status s;

	if (stream_cache_status(c, &s, e) < 0)
		return -1;
	if (as_json)
		return print_json(c, dir, &s, e);
	bytes_human(s.bytes, content);
	bytes_human(s.file_bytes, disk);
	bytes_human(s.quota_bytes, quota);
	(void)printf("Directory: %s\n"
		     "Content:   %s of at most %s, in %" PRIu64 " chunks\n"
		     "On disk:   %s\n",
		     dir, content, quota, s.chunks, disk);
	if (s.shared)
		(void)printf("Store:     %s (shared, read only)\n", s.shared);
	if (s.wrong)
		(void)printf("Damaged:   %" PRIu64 " chunks found and dropped so far\n", s.wrong);
	return print_table(c, e);
}
