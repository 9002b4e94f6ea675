/* SPDX-License-Identifier: Apache-2.0 */
/* floe repo: publishes a directory of packages, for any web server to offer. What subscribers do with it is
 * floe add, search, update and run. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/bytes.h"
#include "base/log.h"
#include "launcher/cmd_package.h"
#include "launcher/cmd_repo.h"
#include "launcher/json_output.h"
#include "launcher/table.h"
#include "launcher/verbs.h"

static const char USAGE[] =
	"Usage: floe repo add DIR PACKAGE... [OPTIONS]\n"
	"       floe repo list DIR [--json]\n"
	"       floe repo remove DIR NAME[@VERSION]... [OPTIONS]\n"
	"       floe repo sign DIR [OPTIONS]\n\n"
	"Makes a repository of a directory: packages under names that never change, and a signed\n"
	"list of them. Put the directory on any web server; others subscribe with floe add URL.\n\n"
	"  add     checks and copies packages into DIR; other versions stay\n"
	"  list    what is in it\n"
	"  remove  takes a version, or all of a name, off the list, then deletes the files\n"
	"  sign    renews the list's dates: lists expire, so that nobody can pass off an old one\n\n"
	"  --name NAME       of the repository (default: the directory's)\n"
	"  --mirror URL      another place with the same content; may be repeated and replaces\n"
	"                    those of before; \"none\" for none\n"
	"  --valid DAYS      how long the list is good (default: as before, at first 90)\n"
	"  --key NAME        sign with this key (default: \"default\", made on first use)\n"
	"  --change-key      although another key has signed so far\n"
	"  --json            for programs\n"
	"  -h, --help        this text\n";

struct options {
	struct repo_terms terms;
	const char *mirrors[PKG_REPOSITORY_MIRRORS_MAX];
	bool as_json;
};

/* ---- list ----------------------------------------------------------------------------------- */

static json_t *package_json(const struct pkg_repository_package *p)
{
	char root[PKG_DIGEST_HEX];

	pkg_digest_hex(&p->root, root);
	return json_pack("{s:s, s:s, s:s?, s:s, s:s?, s:s, s:I, s:I}", "name", p->name, "version", p->version,
			 "summary", p->summary, "url", p->url, "icon", p->icon, "root", root, "bytes",
			 (json_int_t)p->file_len, "added", (json_int_t)p->added_s);
}

static int print_json(const struct pkg_repository *r)
{
	json_t *packages = json_array(), *mirrors = json_array();
	char key[PKG_KEY_HEX];

	pkg_key_hex(&r->signer, key);
	for (size_t i = 0; i < r->package_count; i++)
		(void)json_array_append_new(packages, package_json(&r->packages[i]));
	for (size_t i = 0; i < r->mirror_count; i++)
		(void)json_array_append_new(mirrors, json_string(r->mirrors[i]));
	return launch_json_print(json_pack("{s:s, s:I, s:I, s:I, s:b, s:s, s:o, s:o}", "name", r->name,
					   "serial", (json_int_t)r->serial, "issued", (json_int_t)r->issued_s,
					   "expires", (json_int_t)r->expires_s, "expired",
					   (int)(r->expires_s <= (int64_t)time(NULL)), "key", key, "mirrors",
					   mirrors, "packages", packages));
}

static int print_text(const struct pkg_repository *r, struct err *e)
{
	static const char *const heads[] = { "NAME", "VERSION", ">SIZE", "ADDED", "SUMMARY" };
	auto_launch_table struct launch_table t = LAUNCH_TABLE_INIT(heads);
	char issued[32], expires[32], id[PKG_KEY_ID_HEX];

	launch_table_time(r->issued_s, issued);
	launch_table_time(r->expires_s, expires);
	pkg_key_id(&r->signer, id);
	(void)printf("%s: serial %llu, issued %s, %s %s, signed by %s\n", r->name,
		     (unsigned long long)r->serial, issued,
		     r->expires_s <= (int64_t)time(NULL) ? "EXPIRED" : "good until", expires, id);
	for (size_t i = 0; i < r->mirror_count; i++)
		(void)printf("mirror: %s\n", r->mirrors[i]);
	for (size_t i = 0; i < r->package_count; i++) {
		const struct pkg_repository_package *p = &r->packages[i];
		char size[32], added[32];

		bytes_human(p->file_len, size);
		launch_table_time(p->added_s, added);
		if (launch_table_add(&t, p->name, e) < 0 || launch_table_add(&t, p->version, e) < 0 ||
		    launch_table_add(&t, size, e) < 0 || launch_table_add(&t, added, e) < 0 ||
		    launch_table_add(&t, p->summary ? p->summary : "", e) < 0)
			return -1;
	}
	if (r->package_count)
		launch_table_print(&t);
	return 0;
}

static int list(const char *path, const struct options *o, struct err *e)
{
	auto_repo_dir struct repo_dir d = REPO_DIR_NONE;

	if (cmd_repo_dir_open(path, false, &d, e) < 0)
		return -1;
	if (!d.list)
		return err_set(e, ERR_NOTFOUND, "%s: not a repository yet; floe repo add makes it one", path);
	return o->as_json ? print_json(d.list) : print_text(d.list, e);
}

/* ---- changing ------------------------------------------------------------------------------- */

static void key_close(struct pkg_secret_key **k)
{
	pkg_key_close(*k);
}
#define auto_key __attribute__((cleanup(key_close)))

static int add(const char *path, char *const *packages, size_t count, const struct options *o, struct err *e)
{
	auto_repo_dir struct repo_dir d = REPO_DIR_NONE;
	auto_key struct pkg_secret_key *key = NULL;
	size_t added = 0;

	if (!count)
		return err_set(e, ERR_USAGE, "repo add: which packages? floe repo add DIR PACKAGE...");
	if (cmd_repo_dir_open(path, true, &d, e) < 0 || cmd_repo_dir_key(&d, &o->terms, &key, e) < 0 ||
	    cmd_repo_dir_begin(&d, &o->terms, e) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		bool is_new;

		if (cmd_repo_add(&d, packages[i], &is_new, e) < 0)
			return -1;
		added += is_new;
	}
	if (!added && d.list->serial && !o->terms.set_mirrors && !o->terms.name && !o->terms.valid_days)
		return 0;
	if (cmd_repo_dir_publish(&d, &o->terms, key, e) < 0)
		return -1;
	log_note("%s: %zu added, %zu in all", d.list->name, added, d.list->package_count);
	return 0;
}

static int open_existing(const char *path, const struct options *o, struct repo_dir *ret,
			 struct pkg_secret_key **ret_key, struct err *e)
{
	if (cmd_repo_dir_open(path, true, ret, e) < 0)
		return -1;
	if (!ret->list)
		return err_set(e, ERR_NOTFOUND, "%s: not a repository yet; floe repo add makes it one", path);
	return cmd_repo_dir_key(ret, &o->terms, ret_key, e);
}

static int sign(const char *path, const struct options *o, struct err *e)
{
	auto_repo_dir struct repo_dir d = REPO_DIR_NONE;
	auto_key struct pkg_secret_key *key = NULL;
	char expires[32];

	if (open_existing(path, o, &d, &key, e) < 0 || cmd_repo_dir_publish(&d, &o->terms, key, e) < 0)
		return -1;
	launch_table_time(d.list->expires_s, expires);
	log_note("%s: serial %llu, good until %s", d.list->name, (unsigned long long)d.list->serial, expires);
	return 0;
}

static int take_away(const char *path, char *const *names, size_t count, const struct options *o,
		     struct err *e)
{
	auto_repo_dir struct repo_dir d = REPO_DIR_NONE;
	auto_key struct pkg_secret_key *key = NULL;

	if (!count)
		return err_set(e, ERR_USAGE, "repo remove: what? floe repo remove DIR NAME[@VERSION]...");
	if (open_existing(path, o, &d, &key, e) < 0)
		return -1;
	return cmd_repo_remove(&d, names, count, &o->terms, key, e);
}

/* ---- the verb ------------------------------------------------------------------------------- */

static int take_days(struct options *o, const char *text, struct err *e)
{
	unsigned long days;
	char *end;

	errno = 0;
	days = strtoul(text, &end, 10);
	if (errno || end == text || *end || !days || days > 36500 || *text == '-')
		return err_set(e, ERR_USAGE, "--valid %s: give a number of days", text);
	o->terms.valid_days = (unsigned)days;
	return 0;
}

static int take_mirror(struct options *o, const char *url, struct err *e)
{
	o->terms.set_mirrors = true;
	if (!strcmp(url, "none")) {
		o->terms.mirror_count = 0;
		return 0;
	}
	if (o->terms.mirror_count == PKG_REPOSITORY_MIRRORS_MAX)
		return err_set(e, ERR_LIMIT, "more than %d mirrors", PKG_REPOSITORY_MIRRORS_MAX);
	o->mirrors[o->terms.mirror_count++] = url;
	return 0;
}

static int take_option(struct options *o, int option, struct err *e)
{
	switch (option) {
	case 'n':
		o->terms.name = optarg;
		return 0;
	case 'm':
		return take_mirror(o, optarg, e);
	case 'd':
		return take_days(o, optarg, e);
	case 'k':
		o->terms.key_name = optarg;
		return 0;
	case 'c':
		o->terms.change_key = true;
		return 0;
	case 'j':
		o->as_json = true;
		return 0;
	default:
		return err_set(e, ERR_USAGE, "see floe repo --help");
	}
}

static int dispatch(char *const *words, size_t count, const struct options *o, struct err *e)
{
	if (count < 2)
		return err_set(e, ERR_USAGE,
			       "give one of add, list, remove, sign, and a directory; see floe "
			       "repo --help");
	if (!strcmp(words[0], "add"))
		return add(words[1], words + 2, count - 2, o, e);
	if (!strcmp(words[0], "remove"))
		return take_away(words[1], words + 2, count - 2, o, e);
	if (!strcmp(words[0], "list") && count == 2)
		return list(words[1], o, e);
	if (!strcmp(words[0], "sign") && count == 2)
		return sign(words[1], o, e);
	return err_set(e, ERR_USAGE, "repo: what is to be done? See floe repo --help");
}

int cmd_repo(int argc, char **argv)
{
	static const struct option options[] = {
		{ "name", required_argument, NULL, 'n' },  { "mirror", required_argument, NULL, 'm' },
		{ "valid", required_argument, NULL, 'd' }, { "key", required_argument, NULL, 'k' },
		{ "change-key", no_argument, NULL, 'c' },  { "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },        { 0 },
	};
	struct options o = { .terms.key_name = "default" };
	struct err e;
	int option, rc = 0;

	o.terms.mirrors = o.mirrors;
	while (rc == 0 && (option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (option == 'h') {
			(void)fputs(USAGE, stdout);
			return 0;
		}
		rc = take_option(&o, option, &e);
	}
	cmd_package_catch_signals();
	if (rc == 0)
		rc = dispatch(argv + optind, (size_t)(argc - optind), &o, &e);
	return rc < 0 ? cmd_package_fail(&e) : rc;
}
