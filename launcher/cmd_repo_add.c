/* SPDX-License-Identifier: Apache-2.0 */
/* Packages into a repository and out of it; see cmd_repo.h.
 *
 * A package is copied first and the copy is what is checked, so that nothing that happens to the original
 * meanwhile can get in between. Its name holds the beginning of its root digest: it never changes. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "launcher/cmd_package.h"
#include "launcher/cmd_repo.h"

enum { ADDRESS_DIGITS = 16, COPY_STEP = 64 << 20 };

/* ---- files ---------------------------------------------------------------------------------- */

/* By the kernel, which shares blocks where the file system can. */
static int copy_content(int from, int to, const char *path, struct err *e)
{
	struct log_progress progress = { 0 };
	struct stat st;
	uint64_t done = 0;
	ssize_t n = 1;

	if (fstat(from, &st) < 0)
		return err_sys(e, errno, "%s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_USAGE, "%s: not a package file", path);
	log_progress_start(&progress, "copying", (uint64_t)st.st_size, true);
	while (n > 0) {
		n = copy_file_range(from, NULL, to, NULL, COPY_STEP, 0);
		if (n < 0 && errno == EINTR)
			n = 1;
		else if (n > 0)
			log_progress_step(&progress, done += (uint64_t)n);
		if (cmd_package_is_interrupted(NULL))
			break;
	}
	log_progress_end(&progress);
	if (cmd_package_is_interrupted(NULL))
		return err_set(e, ERR_INTERRUPTED, "interrupted");
	return n < 0 ? err_sys(e, errno, "cannot copy %s", path) : 0;
}

static int copy_in(const struct repo_dir *d, const char *path, const char *tmp, struct err *e)
{
	auto_fd int from = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	auto_fd int to = -1;

	if (from < 0)
		return err_sys(e, errno, "%s", path);
	to = openat(d->fd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (to < 0)
		return err_sys(e, errno, "%s/%s", d->path, tmp);
	if (copy_content(from, to, path, e) < 0)
		return -1;
	return fsync(to) < 0 ? err_sys(e, errno, "%s/%s", d->path, tmp) : 0;
}

/* Below the directory, durably. What has that name already has that content. */
static int give_name(const struct repo_dir *d, const char *tmp, const char *folder, const char *url,
		     struct err *e)
{
	auto_fd int fd = -1;

	if (mkdirat(d->fd, folder, 0755) < 0 && errno != EEXIST)
		return err_sys(e, errno, "%s/%s", d->path, folder);
	fd = openat(d->fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || renameat(d->fd, tmp, d->fd, url) < 0 || fsync(fd) < 0 || fsync(d->fd) < 0)
		return err_sys(e, errno, "%s/%s", d->path, url);
	return 0;
}

/* Letters, digits, '.' and '-': nothing that a server or a shell could read otherwise. */
static void make_plain(char *text)
{
	for (; *text; text++)
		if (!((*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') ||
		      (*text >= '0' && *text <= '9') || *text == '.' || *text == '-'))
			*text = '_';
}

static char *address_of(const struct pkg_repository_package *p, struct err *e)
{
	auto_free char *name = mem_printf(e, "%s%s%s", p->name, *p->version ? "-" : "", p->version);
	char root[PKG_DIGEST_HEX];

	if (!name)
		return NULL;
	make_plain(name);
	pkg_digest_hex(&p->root, root);
	return mem_printf(e, REPO_DIR_PACKAGES "/%s-%.*s.floe", name, ADDRESS_DIGITS, root);
}

/* ---- adding --------------------------------------------------------------------------------- */

/* Without an icon a package is as good: failures are said and passed over. */
static void add_icon(const struct repo_dir *d, struct stream_package *package,
		     struct pkg_repository_package *p)
{
	auto_buf struct buf icon = BUF_INIT(REPO_ICON_MAX);
	auto_free char *url = NULL, *tmp = NULL;
	struct pkg_digest digest;
	char hex[PKG_DIGEST_HEX];
	bool is_svg;
	struct err e;

	if (cmd_repo_icon(package, &icon, &is_svg, &e) < 0) {
		log_detail("%s: no icon: %s", p->name, e.msg);
		return;
	}
	pkg_digest_of(icon.data, icon.len, &digest);
	pkg_digest_hex(&digest, hex);
	url = mem_printf(&e, REPO_DIR_ICONS "/%.*s.%s", ADDRESS_DIGITS, hex, is_svg ? "svg" : "png");
	tmp = mem_printf(&e, REPO_DIR_TEMPORARY "%ld.icon", (long)getpid());
	if (url && tmp && fd_write_file(d->fd, tmp, icon.data, icon.len, 0644, &e) == 0 &&
	    give_name(d, tmp, REPO_DIR_ICONS, url, &e) == 0)
		p->icon = mem_steal(url);
	else
		log_note("%s goes without its icon: %s", p->name, e.msg);
}

/* One line, cut between characters. */
static char *summary_of(const struct pkg_manifest *m, struct err *e)
{
	size_t len = strlen(m->summary);
	char *text;

	if (len > PKG_REPOSITORY_SUMMARY_MAX)
		for (len = PKG_REPOSITORY_SUMMARY_MAX; len && (m->summary[len] & 0xc0) == 0x80;)
			len--;
	text = mem_strndup(m->summary, len, e);
	for (char *c = text; c && *c; c++)
		if ((unsigned char)*c < 32 || *c == 127)
			*c = ' ';
	return text;
}

static int describe(struct stream_package *package, struct pkg_repository_package *ret, struct err *e)
{
	const struct pkg_header *h = stream_package_header(package);
	const struct pkg_manifest *m = pkg_index_manifest(stream_package_index(package));

	ret->root = h->root;
	ret->file_len = h->file_len;
	ret->index_len = h->index_stored_len;
	ret->feature_block_end = h->feature_block_end;
	ret->added_s = cmd_repo_now();
	ret->name = mem_strdup(m->name, e);
	ret->version = mem_strdup(m->version, e);
	if (!ret->name || !ret->version)
		return -1;
	if (m->summary) {
		ret->summary = summary_of(m, e);
		if (!ret->summary)
			return -1;
	}
	ret->url = address_of(ret, e);
	return ret->url ? 0 : -1;
}

static int put_in_list(struct repo_dir *d, const char *tmp, struct stream_package *package,
		       struct pkg_repository_package *p, bool *ret_is_new, struct err *e)
{
	const struct pkg_repository_package *there;

	if (describe(package, p, e) < 0)
		return -1;
	there = pkg_repository_find(d->list, p->name, p->version);
	*ret_is_new = !there;
	if (there && pkg_digest_equal(&there->root, &p->root)) {
		log_note("%s %s is there already", p->name, p->version);
		return 0;
	}
	if (there)
		return err_set(e, ERR_EXISTS,
			       "another package is there as %s %s: what was published does not change; give "
			       "the new one a version of its own (floe sequence --version), or take the old "
			       "one out (floe repo remove)",
			       p->name, p->version);
	add_icon(d, package, p);
	if (give_name(d, tmp, REPO_DIR_PACKAGES, p->url, e) < 0)
		return -1;
	return pkg_repository_insert(d->list, p, e);
}

int cmd_repo_add(struct repo_dir *d, const char *path, bool *ret_is_new, struct err *e)
{
	auto_free char *name = mem_printf(e, REPO_DIR_TEMPORARY "%ld.floe", (long)getpid());
	auto_free char *tmp = name ? path_join(d->path, name, e) : NULL;
	auto_package struct stream_package *package = NULL;
	struct pkg_repository_package p = { 0 };
	int rc;

	if (!tmp)
		return -1;
	rc = copy_in(d, path, name, e);
	if (rc == 0)
		rc = cmd_package_open(tmp, true, true, &package, e);
	if (rc == 0)
		rc = cmd_package_check(package, e);
	if (rc == 0)
		rc = put_in_list(d, name, package, &p, ret_is_new, e);
	pkg_repository_package_fini(&p);
	(void)unlinkat(d->fd, name, 0);
	return rc < 0 ? err_wrap(e, "%s", path) : 0;
}

/* ---- removing ------------------------------------------------------------------------------- */

static bool is_meant(const struct pkg_repository_package *p, const char *text)
{
	size_t len = strlen(p->name);

	if (!strcmp(p->name, text))
		return true;
	return !strncmp(p->name, text, len) && text[len] == '@' && !strcmp(p->version, text + len + 1);
}

static bool is_used(const struct pkg_repository *r, const char *url)
{
	for (size_t i = 0; i < r->package_count; i++)
		if (!strcmp(r->packages[i].url, url) ||
		    (r->packages[i].icon && !strcmp(r->packages[i].icon, url)))
			return true;
	return false;
}

/* Moves what `text` means from the list to `gone`. */
static int take_out(struct pkg_repository *r, const char *text, struct pkg_repository_package *gone,
		    size_t *gone_count, struct err *e)
{
	size_t before = *gone_count, kept = 0;

	for (size_t i = 0; i < r->package_count; i++)
		if (is_meant(&r->packages[i], text))
			gone[(*gone_count)++] = r->packages[i];
		else
			r->packages[kept++] = r->packages[i];
	r->package_count = kept;
	return *gone_count > before
		       ? 0
		       : err_set(e, ERR_NOTFOUND, "%s: not in the repository (floe repo list shows what is)",
				 text);
}

int cmd_repo_remove(struct repo_dir *d, char *const *names, size_t count, const struct repo_terms *t,
		    const struct pkg_secret_key *key, struct err *e)
{
	auto_free struct pkg_repository_package *gone = mem_alloc(d->list->package_count, sizeof(*gone), e);
	size_t gone_count = 0;
	int rc = gone ? 0 : -1;

	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = take_out(d->list, names[i], gone, &gone_count, e);
	if (rc == 0)
		rc = cmd_repo_dir_publish(d, t, key, e);
	for (size_t i = 0; i < gone_count; i++) {
		if (rc == 0) {
			log_note("removed %s %s", gone[i].name, gone[i].version);
			if (!is_used(d->list, gone[i].url))
				(void)unlinkat(d->fd, gone[i].url, 0);
			if (gone[i].icon && !is_used(d->list, gone[i].icon))
				(void)unlinkat(d->fd, gone[i].icon, 0);
		}
		pkg_repository_package_fini(&gone[i]);
	}
	return rc;
}
