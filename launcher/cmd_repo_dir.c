/* SPDX-License-Identifier: Apache-2.0 */
/* The directory of a repository and its list; see cmd_repo.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "launcher/cmd_repo.h"

enum { VALID_DAYS = 90, DAY_S = 24 * 3600 };

static bool is_leftover(const char *name)
{
	return !strncmp(name, REPO_DIR_TEMPORARY, strlen(REPO_DIR_TEMPORARY)) ||
	       !strncmp(name, PKG_REPOSITORY_FILE ".tmp-", strlen(PKG_REPOSITORY_FILE ".tmp-"));
}

/* Nobody else is at work here: we hold the lock. */
static void sweep(const struct repo_dir *d)
{
	int fd = openat(d->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_closedir DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	if (!dir) {
		fd_close(fd);
		return;
	}
	while ((entry = readdir(dir)))
		if (is_leftover(entry->d_name))
			(void)unlinkat(d->fd, entry->d_name, 0);
}

static int read_list(struct repo_dir *d, struct err *e)
{
	auto_buf struct buf bytes = BUF_INIT(PKG_REPOSITORY_MAX);

	if (fd_read_file(d->fd, PKG_REPOSITORY_FILE, &bytes, e) < 0)
		return e->code == ERR_NOTFOUND ? 0 : -1;
	return pkg_repository_open(bytes.data, bytes.len, &d->list, e) < 0
		       ? err_wrap(e, "%s/%s", d->path, PKG_REPOSITORY_FILE)
		       : 0;
}

int cmd_repo_dir_open(const char *path, bool to_change, struct repo_dir *ret, struct err *e)
{
	auto_repo_dir struct repo_dir d = REPO_DIR_NONE;

	d.path = path_absolute(path, e);
	if (!d.path)
		return -1;
	d.fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d.fd < 0)
		return err_sys(e, errno, "%s", path);
	if (to_change && flock(d.fd, LOCK_EX | LOCK_NB) < 0) {
		log_note("waiting for another floe repo in %s", path);
		if (flock(d.fd, LOCK_EX) < 0)
			return err_sys(e, errno, "%s", path);
	}
	if (to_change)
		sweep(&d);
	if (read_list(&d, e) < 0)
		return -1;
	*ret = d;
	d = (struct repo_dir)REPO_DIR_NONE;
	return 0;
}

void cmd_repo_dir_close(struct repo_dir *d)
{
	fd_close(d->fd);
	free(d->path);
	pkg_repository_free(d->list);
	*d = (struct repo_dir)REPO_DIR_NONE;
}

static int load_key(const char *name, struct pkg_secret_key **ret, struct err *e)
{
	auto_free char *config_dir = path_config_dir(true, e);
	struct pkg_public_key public;
	char hex[PKG_KEY_HEX];

	if (!config_dir)
		return -1;
	if (pkg_key_load(config_dir, name, ret, e) == 0)
		return 0;
	if (e->code != ERR_NOTFOUND || strcmp(name, "default") != 0)
		return -1;
	if (pkg_key_generate(config_dir, name, &public, e) < 0)
		return -1;
	pkg_key_hex(&public, hex);
	log_note("made a signing key, %s/keys/%s.key; others trust it with: floe key trust %s", config_dir,
		 name, hex);
	return pkg_key_load(config_dir, name, ret, e);
}

int cmd_repo_dir_key(const struct repo_dir *d, const struct repo_terms *t, struct pkg_secret_key **ret,
		     struct err *e)
{
	struct pkg_secret_key *key;
	struct pkg_public_key public;
	char id[PKG_KEY_ID_HEX];

	if (load_key(t->key_name, &key, e) < 0)
		return -1;
	pkg_key_public(key, &public);
	if (d->list && !t->change_key && memcmp(&public, &d->list->signer, sizeof(public)) != 0) {
		pkg_key_close(key);
		pkg_key_id(&d->list->signer, id);
		return err_set(e, ERR_TRUST,
			       "the list in %s is signed by another key (%s): name that with --key, or give "
			       "--change-key, after which everybody must floe remove and floe add the "
			       "repository again",
			       d->path, id);
	}
	*ret = key;
	return 0;
}

int cmd_repo_dir_begin(struct repo_dir *d, const struct repo_terms *t, struct err *e)
{
	const char *name = t->name ? t->name : path_base(d->path);

	if (d->list)
		return 0;
	if (!path_is_plain_name(name))
		return err_set(e, ERR_USAGE,
			       "%s: not a name for a repository (letters, digits and ._+@- only); give one "
			       "with --name",
			       name);
	d->list = mem_alloc(1, sizeof(*d->list), e);
	if (!d->list)
		return -1;
	d->list->name = mem_strdup(name, e);
	return d->list->name ? 0 : -1;
}

static int set_name(struct pkg_repository *r, const char *name, struct err *e)
{
	char *copy = mem_strdup(name, e);

	if (!copy)
		return -1;
	free(r->name);
	r->name = copy;
	return 0;
}

static int set_mirrors(struct pkg_repository *r, const struct repo_terms *t, struct err *e)
{
	for (size_t i = 0; i < r->mirror_count; i++)
		free(r->mirrors[i]);
	r->mirror_count = 0;
	free(r->mirrors);
	r->mirrors = mem_alloc(t->mirror_count, sizeof(*r->mirrors), e);
	if (!r->mirrors)
		return -1;
	for (size_t i = 0; i < t->mirror_count; i++) {
		size_t len = strlen(t->mirrors[i]);
		bool has_slash = len && t->mirrors[i][len - 1] == '/';

		r->mirrors[i] = mem_printf(e, "%s%s", t->mirrors[i], has_slash ? "" : "/");
		if (!r->mirrors[i])
			return -1;
		r->mirror_count++;
	}
	return 0;
}

int64_t cmd_repo_now(void)
{
	const char *epoch = getenv("SOURCE_DATE_EPOCH");
	int64_t now = (int64_t)time(NULL), wanted = epoch && *epoch ? strtoll(epoch, NULL, 10) : now;

	return wanted > 0 && wanted < now ? wanted : now;
}

int cmd_repo_dir_publish(struct repo_dir *d, const struct repo_terms *t, const struct pkg_secret_key *key,
			 struct err *e)
{
	auto_buf struct buf bytes = BUF_INIT(PKG_REPOSITORY_MAX);
	struct pkg_repository *r = d->list;
	int64_t now = cmd_repo_now(), valid = r->expires_s - r->issued_s;

	if ((t->name && set_name(r, t->name, e) < 0) || (t->set_mirrors && set_mirrors(r, t, e) < 0))
		return -1;
	if (t->valid_days)
		valid = (int64_t)t->valid_days * DAY_S;
	else if (!r->serial)
		valid = (int64_t)VALID_DAYS * DAY_S;
	if (now < r->issued_s) {
		log_note("this machine's clock is behind the date of the last list, which is used again");
		now = r->issued_s;
	}
	r->serial++;
	r->issued_s = now;
	r->expires_s = now + valid;
	if (pkg_repository_seal(r, key, &bytes, e) < 0)
		return -1;
	return fd_write_file(d->fd, PKG_REPOSITORY_FILE, bytes.data, bytes.len, 0644, e) < 0
		       ? err_wrap(e, "%s", d->path)
		       : 0;
}
