/* SPDX-License-Identifier: Apache-2.0 */
/* floe list and floe search: the packages of subscribed repositories, from the lists that are here. The
 * network is not asked. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/bytes.h"
#include "base/log.h"
#include "launcher/cache_settings.h"
#include "launcher/cmd_package.h"
#include "launcher/json_output.h"
#include "launcher/subscription.h"
#include "launcher/table.h"
#include "launcher/verbs.h"

static const char LIST_USAGE[] =
	"Usage: floe list [--all] [--json]\n\n"
	"Shows the subscribed repositories and the packages that they offer, by the lists that are here\n"
	"(floe update fetches them again), with how much of each is cached.\n\n"
	"  -a, --all   every version, not only the newest\n"
	"      --json  for programs\n"
	"  -h, --help  this text\n";

static const char SEARCH_USAGE[] =
	"Usage: floe search WORD... [--all] [--json]\n\n"
	"Looks for packages that have every WORD in their name or summary, in the lists of subscribed\n"
	"repositories that are here.\n\n"
	"  -a, --all   every version, not only the newest\n"
	"      --json  for programs\n"
	"  -h, --help  this text\n";

enum { KEPT_MAX = 64 * 1024 * 1024 };

/* What the cache has of one package. */
struct kept {
	struct pkg_digest root;
	uint64_t bytes, present_bytes;
	bool is_pinned;
};

struct listing {
	struct buf kept;    /* of struct kept */
	char *const *words; /* NULL: floe list */
	size_t word_count, found;
	bool all_versions, as_json;
	struct launch_table table;
	json_t *repositories;
};

static bool is_meant(const struct listing *l, const struct pkg_repository_package *p)
{
	for (size_t i = 0; i < l->word_count; i++)
		if (!strcasestr(p->name, l->words[i]) &&
		    (!p->summary || !strcasestr(p->summary, l->words[i])))
			return false;
	return true;
}

static int note_kept(void *arg, const struct stream_cache_package *p, struct err *e)
{
	struct kept kept = { p->root, p->bytes, p->present_bytes + p->shared_bytes, p->is_pinned };

	return p->is_known ? buf_add(arg, &kept, sizeof(kept), e) : 0;
}

/* Without a cache nothing is kept. */
static void read_cache(struct listing *l)
{
	struct stream_cache *cache;
	struct err note, e;

	if (launch_cache_open(&cache, &note, &e) < 0)
		return;
	if (stream_cache_packages(cache, note_kept, &l->kept, &e) < 0)
		log_detail("%s", e.msg);
	stream_cache_close(cache);
}

static struct kept kept_of(const struct listing *l, const struct pkg_digest *root)
{
	const struct kept *kept = (const struct kept *)(const void *)l->kept.data;

	for (size_t i = 0; i < l->kept.len / sizeof(*kept); i++)
		if (pkg_digest_equal(&kept[i].root, root))
			return kept[i];
	return (struct kept){ .bytes = 0 };
}

static bool is_newest(const struct pkg_repository *r, size_t i)
{
	return !i || strcmp(r->packages[i - 1].name, r->packages[i].name) != 0;
}

static int add_row(struct listing *l, const struct launch_subscription *s,
		   const struct pkg_repository_package *p, struct err *e)
{
	struct kept kept = kept_of(l, &p->root);
	char size[32], cached[32] = "";

	bytes_human(p->file_len, size);
	if (kept.bytes)
		(void)snprintf(cached, sizeof(cached), "%u %%%s",
			       (unsigned)(kept.present_bytes * 100 / kept.bytes),
			       kept.is_pinned ? " pinned" : "");
	if (launch_table_add(&l->table, p->name, e) < 0 || launch_table_add(&l->table, p->version, e) < 0 ||
	    launch_table_add(&l->table, size, e) < 0 || launch_table_add(&l->table, cached, e) < 0 ||
	    launch_table_add(&l->table, s->name, e) < 0)
		return -1;
	return launch_table_add(&l->table, p->summary ? p->summary : "", e);
}

static json_t *package_json(const struct listing *l, const struct launch_subscription *s,
			    const struct pkg_repository_package *p, bool newest)
{
	struct kept kept = kept_of(l, &p->root);
	char root[PKG_DIGEST_HEX];

	pkg_digest_hex(&p->root, root);
	return json_pack("{s:s, s:s, s:s?, s:s, s:s+, s:I, s:I, s:b, s:I, s:I, s:b}", "name", p->name,
			 "version", p->version, "summary", p->summary, "root", root, "source", s->url, p->url,
			 "bytes", (json_int_t)p->file_len, "added", (json_int_t)p->added_s, "newest",
			 (int)newest, "content_bytes", (json_int_t)kept.bytes, "cached_bytes",
			 (json_int_t)kept.present_bytes, "pinned", (int)kept.is_pinned);
}

static json_t *repository_json(const struct launch_subscription *s, json_t *packages)
{
	char key[PKG_KEY_HEX];

	pkg_key_hex(&s->key, key);
	return json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:b, s:I, s:o}", "name", s->name, "url", s->url,
			 "key", key, "serial", (json_int_t)s->serial, "issued", (json_int_t)s->issued_s,
			 "expires", (json_int_t)s->expires_s, "expired",
			 (int)(s->expires_s <= (int64_t)time(NULL)), "asked", (json_int_t)s->asked_s,
			 "packages", packages);
}

/* The lines over the table of `floe list`. */
static void tell_repository(const struct launch_subscription *s)
{
	struct err ignored;
	auto_free char *url = stream_source_for_people(s->url, &ignored);
	char asked[32], expires[32];

	launch_table_time(s->asked_s, asked);
	launch_table_time(s->expires_s, expires);
	(void)printf("%s  %s  (asked %s, %s %s)\n", s->name, url ? url : "", asked,
		     s->expires_s <= (int64_t)time(NULL) ? "EXPIRED" : "good until", expires);
}

static int add_repository(struct listing *l, const struct launch_subscription *s, struct err *e)
{
	json_t *packages = l->as_json ? json_array() : NULL;
	struct pkg_repository *r = NULL;
	int rc = 0;

	if (!l->words && !l->as_json)
		tell_repository(s);
	if (launch_subscription_list(s, &r, e) < 0)
		log_error("%s", e->msg); /* the others are shown all the same */
	for (size_t i = 0; r && rc == 0 && i < r->package_count; i++) {
		const struct pkg_repository_package *p = &r->packages[i];

		if ((!l->all_versions && !is_newest(r, i)) || !is_meant(l, p))
			continue;
		l->found++;
		if (l->as_json)
			(void)json_array_append_new(packages, package_json(l, s, p, is_newest(r, i)));
		else
			rc = add_row(l, s, p, e);
	}
	pkg_repository_free(r);
	if (l->as_json)
		(void)json_array_append_new(l->repositories, repository_json(s, packages));
	return rc;
}

static void tell_nothing(const struct listing *l, size_t count)
{
	if (!count)
		log_note("no subscriptions; floe add URL makes one");
	else if (l->words)
		log_note("nothing found (floe update fetches the lists again)");
}

static int show(struct listing *l, struct err *e)
{
	struct launch_subscription *list;
	size_t count;
	int rc = 0;

	if (launch_subscriptions_load(&list, &count, e) < 0)
		return -1;
	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = add_repository(l, &list[i], e);
	launch_subscriptions_free(list, count);
	if (rc < 0)
		return -1;
	if (l->as_json)
		return launch_json_print(l->repositories);
	if (l->found)
		launch_table_print(&l->table);
	else
		tell_nothing(l, count);
	return 0;
}

static int run(int argc, char **argv, const char *usage, bool is_search)
{
	static const struct option options[] = { { "all", no_argument, NULL, 'a' },
						 { "json", no_argument, NULL, 'j' },
						 { "help", no_argument, NULL, 'h' },
						 { 0 } };
	static const char *const heads[] = { "NAME", "VERSION", ">SIZE", ">CACHED", "REPOSITORY", "SUMMARY" };
	struct listing l = { .table = LAUNCH_TABLE_INIT(heads), .kept = BUF_INIT(KEPT_MAX) };
	struct err e;
	int option, rc;

	while ((option = getopt_long(argc, argv, "ah", options, NULL)) != -1) {
		if (option == 'h') {
			(void)fputs(usage, stdout);
			return 0;
		}
		if (option != 'a' && option != 'j')
			return 125;
		l.all_versions |= option == 'a';
		l.as_json |= option == 'j';
	}
	if (is_search != (optind < argc)) {
		log_error(is_search ? "search: for what? See floe search --help"
				    : "list takes no names; floe search WORD looks for some");
		return 125;
	}
	l.words = is_search ? argv + optind : NULL;
	l.word_count = (size_t)(argc - optind);
	l.repositories = l.as_json ? json_array() : NULL;
	read_cache(&l);
	rc = show(&l, &e);
	launch_table_fini(&l.table);
	buf_fini(&l.kept);
	return rc < 0 ? cmd_package_fail(&e) : rc;
}

int cmd_list(int argc, char **argv)
{
	return run(argc, argv, LIST_USAGE, false);
}

int cmd_search(int argc, char **argv)
{
	return run(argc, argv, SEARCH_USAGE, true);
}
