/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of names; see catalogue.h. One line an entry, its words separated by tabs:
 *
 *   floe-names 1 EXPIRES           the first line
 *   base URL                       where the packages are: first the repository, then its mirrors
 *   package NAME VERSION ROOT START-LENGTH ADDRESS      by name, the newest version first */
#include "launcher/catalogue.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/path.h"

#define FIRST_WORDS "floe-names\t1\t"

enum { TABLE_MAX = 64 * 1024 * 1024, WORDS = 6, BASES_MAX = PKG_REPOSITORY_MIRRORS_MAX + 1 };

void launch_found_fini(struct launch_found *f)
{
	for (size_t i = 0; i < f->mirror_count; i++)
		free(f->mirrors[i]);
	free(f->mirrors);
	free(f->repository);
	free(f->name);
	free(f->version);
	free(f->source);
	free(f->root);
	*f = (struct launch_found){ 0 };
}

char *launch_catalogue_path(const char *repository, const char *file, struct err *e)
{
	auto_free char *cache_dir = path_cache_dir(true, e);

	return cache_dir ? mem_printf(e, "%s/repositories/%s%s%s", cache_dir, repository, *file ? "/" : "",
				      file)
			 : NULL;
}

/* ---- writing -------------------------------------------------------------------------------- */

static int print_table(const char *base, const struct pkg_repository *r, struct buf *ret, struct err *e)
{
	if (buf_printf(ret, e, FIRST_WORDS "%" PRId64 "\nbase\t%s\n", r->expires_s, base) < 0)
		return -1;
	for (size_t i = 0; i < r->mirror_count; i++)
		if (buf_printf(ret, e, "base\t%s\n", r->mirrors[i]) < 0)
			return -1;
	for (size_t i = 0; i < r->package_count; i++) {
		const struct pkg_repository_package *p = &r->packages[i];
		char root[PKG_DIGEST_HEX];

		bytes_to_hex(p->root.b, PKG_DIGEST_LEN, root);
		if (buf_printf(ret, e, "package\t%s\t%s\t%s\t%" PRIu64 "\t%s\n", p->name, p->version, root,
			       p->feature_block_end, p->url) < 0)
			return -1;
	}
	return 0;
}

int launch_catalogue_write(const char *repository, const char *base, const struct pkg_repository *r,
			   struct err *e)
{
	auto_free char *path = launch_catalogue_path(repository, "names", e);
	auto_buf struct buf table = BUF_INIT(TABLE_MAX);

	if (!path || print_table(base, r, &table, e) < 0)
		return -1;
	return fd_write_file(AT_FDCWD, path, table.data, table.len, 0600, e);
}

/* ---- looking up ----------------------------------------------------------------------------- */

/* What is asked for, split up. */
struct wanted {
	const char *ref;
	char *repository;    /* NULL = any */
	const char *package; /* behind it: NAME or NAME@VERSION */
	size_t missing;      /* repositories without a table */
};

/* NAME, or NAME@VERSION; names may hold an '@' themselves. */
static bool is_meant(const char *wanted, const char *name, const char *version)
{
	size_t len = strlen(name);

	if (strncmp(wanted, name, len) != 0)
		return false;
	return !wanted[len] || (wanted[len] == '@' && !strcmp(wanted + len + 1, version));
}

static size_t split(char *line, char *words[WORDS])
{
	size_t count = 0;
	char *word;

	while (count < WORDS && (word = strsep(&line, "\t")))
		words[count++] = word;
	return line ? 0 : count;
}

static int fill(const char *repository, char *const words[WORDS], char *const *bases, size_t base_count,
		int64_t expires_s, struct launch_found *ret, struct err *e)
{
	*ret = (struct launch_found){ .expires_s = expires_s };
	ret->repository = mem_strdup(repository, e);
	ret->name = ret->repository ? mem_strdup(words[1], e) : NULL;
	ret->version = ret->name ? mem_strdup(words[2], e) : NULL;
	ret->root = ret->version ? mem_strdup(words[3], e) : NULL;
	ret->source = ret->root ? mem_printf(e, "%s%s", bases[0], words[5]) : NULL;
	ret->mirrors = ret->source ? mem_alloc(base_count, sizeof(*ret->mirrors), e) : NULL;
	if (!ret->mirrors)
		return -1;
	ret->start_len = strtoull(words[4], NULL, 10);
	for (size_t i = 1; i < base_count; i++) {
		ret->mirrors[i - 1] = mem_printf(e, "%s%s", bases[i], words[5]);
		if (!ret->mirrors[i - 1])
			return -1;
		ret->mirror_count++;
	}
	return 0;
}

/* 1 found, 0 not; a table that is none is an error. */
static int search_table(char *text, const char *repository, const char *package, struct launch_found *ret,
			struct err *e)
{
	char *line = strsep(&text, "\n"), *words[WORDS], *bases[BASES_MAX];
	size_t base_count = 0, count;
	int64_t expires_s;

	if (!line || strncmp(line, FIRST_WORDS, strlen(FIRST_WORDS)) != 0)
		return err_set(e, ERR_FORMAT, "the table of names of %s is damaged: floe update", repository);
	expires_s = strtoll(line + strlen(FIRST_WORDS), NULL, 10);
	while ((line = strsep(&text, "\n"))) {
		count = split(line, words);
		if (count == 2 && !strcmp(words[0], "base") && base_count < BASES_MAX)
			bases[base_count++] = words[1];
		if (count != WORDS || !base_count || !is_meant(package, words[1], words[2]))
			continue;
		if (fill(repository, words, bases, base_count, expires_s, ret, e) == 0)
			return 1;
		launch_found_fini(ret);
		return -1;
	}
	return 0;
}

static int search_repository(struct wanted *w, const char *repository, struct launch_found *ret,
			     struct err *e)
{
	auto_free char *path = launch_catalogue_path(repository, "names", e);
	auto_buf struct buf table = BUF_INIT(TABLE_MAX);

	if (!path)
		return -1;
	if (fd_read_file(AT_FDCWD, path, &table, e) < 0) {
		if (e->code != ERR_NOTFOUND)
			return -1;
		w->missing++;
		return 0;
	}
	/* The content is ours to take apart. */
	return buf_text(&table, e) ? search_table((char *)table.data, repository, w->package, ret, e) : -1;
}

static int ambiguous(const struct wanted *w, const struct launch_found *a, const struct launch_found *b,
		     struct err *e)
{
	return err_set(e, ERR_USAGE, "%s is in %s (%s) and in %s (%s): say which, as in %s/%s", w->ref,
		       a->repository, a->version, b->repository, b->version, a->repository, w->package);
}

/* Keeps the first; another package of the name in another repository is an error. */
static int search_all(struct wanted *w, DIR *dir, struct launch_found *ret, struct err *e)
{
	struct dirent *entry;
	int rc = 0;

	while (rc == 0 && (entry = readdir(dir))) {
		struct launch_found found = { 0 };
		int n;

		if (!path_is_plain_name(entry->d_name) || strstr(entry->d_name, ".tmp-") ||
		    (w->repository && strcmp(w->repository, entry->d_name) != 0))
			continue;
		n = search_repository(w, entry->d_name, &found, e);
		if (n <= 0) {
			rc = n;
		} else if (!ret->source) {
			*ret = found;
			continue;
		} else if (strcmp(ret->root, found.root) != 0) {
			rc = ambiguous(w, ret, &found, e);
		}
		launch_found_fini(&found);
	}
	return rc;
}

static int not_found(const struct wanted *w, struct err *e)
{
	if (w->missing)
		return err_set(e, ERR_NOTFOUND,
			       "%s: not in a list that is here, but the list of a subscribed repository is "
			       "missing: floe update fetches it",
			       w->ref);
	return err_set(
		e, ERR_NOTFOUND,
		"%s: neither a file nor a package of a subscribed repository (floe search WORD looks for "
		"one, floe update fetches new lists)",
		w->ref);
}

int launch_catalogue_find(const char *ref, struct launch_found *ret, struct err *e)
{
	auto_free char *config_dir = path_config_dir(false, e);
	auto_free char *records = config_dir ? path_join(config_dir, "repositories", e) : NULL;
	const char *slash = strchr(ref, '/');
	auto_free char *repository = slash ? mem_strndup(ref, (size_t)(slash - ref), e) : NULL;
	struct wanted w = { ref, repository, slash ? slash + 1 : ref, 0 };
	struct launch_found found = { 0 };
	auto_closedir DIR *dir = NULL;

	if (!records || (slash && !repository))
		return -1;
	dir = opendir(records);
	if (!dir)
		return errno == ENOENT ? not_found(&w, e) : err_sys(e, errno, "%s", records);
	if (search_all(&w, dir, &found, e) < 0) {
		launch_found_fini(&found);
		return -1;
	}
	if (!found.source)
		return not_found(&w, e);
	*ret = found;
	return 0;
}
