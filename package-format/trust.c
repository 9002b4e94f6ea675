/* SPDX-License-Identifier: Apache-2.0 */
/* The keys that this user trusts: one small file each, so that a person can look, copy and remove
 * them with stock tools; see key.h. A revocation outweighs everything and is never taken back here. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "package-format/key.h"

enum { TRUST_ENTRIES_MAX = 65536 };

static char *state_path(const char *config_dir, const char *state, const struct pkg_public_key *k,
			struct err *e)
{
	char hex[PKG_KEY_HEX];

	pkg_key_hex(k, hex);
	return mem_printf(e, "%s/keys/%s/%s", config_dir, state, hex);
}

/* 1 there, 0 not there, -1 cannot tell: an unreadable list of revoked keys must not read as empty. */
static int is_listed(const char *config_dir, const char *state, const struct pkg_public_key *k, struct err *e)
{
	auto_free char *path = state_path(config_dir, state, k, e);
	struct stat st;

	if (!path)
		return -1;
	if (lstat(path, &st) == 0)
		return 1;
	if (errno == ENOENT || errno == ENOTDIR)
		return 0;
	return err_sys(e, errno, "%s", path);
}

int pkg_trust_check(const char *config_dir, const struct pkg_public_key *k, struct err *e)
{
	char hex[PKG_KEY_HEX];
	int r = is_listed(config_dir, "revoked", k, e);

	pkg_key_hex(k, hex);
	if (r < 0)
		return -1;
	if (r)
		return err_set(e, ERR_TRUST, "signed by key %s, which was revoked", hex);
	r = is_listed(config_dir, "trusted", k, e);
	if (r < 0)
		return -1;
	if (!r)
		return err_set(e, ERR_TRUST,
			       "signed by a key that is not trusted here; if you trust its owner: floe key "
			       "trust %s",
			       hex);
	return 0;
}

/* One line of printable text, cut to what an entry holds. */
static void clean_label(const char *label, char ret[128])
{
	size_t n = 0;

	for (; *label && n < 126; label++)
		ret[n++] = (unsigned char)*label < 32 || *label == 127 ? ' ' : *label;
	ret[n] = 0;
}

static int write_state(const char *config_dir, const char *state, const struct pkg_public_key *k,
		       const char *label, struct err *e)
{
	auto_free char *dir = mem_printf(e, "%s/keys/%s", config_dir, state);
	auto_free char *path = state_path(config_dir, state, k, e);
	char line[129];

	if (!dir || !path || path_make_dirs(dir, 0700, e) < 0)
		return -1;
	clean_label(label ? label : "", line);
	strcat(line, "\n");
	return fd_write_file(AT_FDCWD, path, line, strlen(line), 0600, e);
}

int pkg_trust_add(const char *config_dir, const struct pkg_public_key *k, const char *label, struct err *e)
{
	int r = is_listed(config_dir, "revoked", k, e);

	if (r < 0)
		return -1;
	if (r)
		return err_set(e, ERR_TRUST, "this key was revoked and cannot be trusted again");
	return write_state(config_dir, "trusted", k, label, e);
}

int pkg_trust_revoke(const char *config_dir, const struct pkg_public_key *k, struct err *e)
{
	auto_free char *trusted = state_path(config_dir, "trusted", k, e);
	auto_buf struct buf old = BUF_INIT(128);
	struct err ignored;
	const char *label = "";

	if (!trusted)
		return -1;
	if (fd_read_file(AT_FDCWD, trusted, &old, &ignored) == 0) {
		label = buf_text(&old, e);
		if (!label)
			return -1;
	}
	if (write_state(config_dir, "revoked", k, label, e) < 0)
		return -1;
	if (unlink(trusted) < 0 && errno != ENOENT)
		return err_sys(e, errno, "%s", trusted);
	return 0;
}

/* ---- listing ------------------------------------------------------------------------------ */

struct listing {
	struct pkg_trust_entry *entries;
	size_t count, cap;
};

static struct pkg_trust_entry *listing_add(struct listing *l, const struct pkg_public_key *k, struct err *e)
{
	for (size_t i = 0; i < l->count; i++)
		if (!memcmp(&l->entries[i].key, k, sizeof(*k)))
			return &l->entries[i];
	if (l->count == TRUST_ENTRIES_MAX) {
		(void)err_set(e, ERR_LIMIT, "more than %d keys", TRUST_ENTRIES_MAX);
		return NULL;
	}
	if (l->count == l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 16;
		void *p = mem_grow(l->entries, cap, sizeof(*l->entries), e);

		if (!p)
			return NULL;
		l->entries = p;
		l->cap = cap;
	}
	memset(&l->entries[l->count], 0, sizeof(*l->entries));
	l->entries[l->count].key = *k;
	return &l->entries[l->count++];
}

static int read_label(const char *path, char ret[128], struct err *e)
{
	auto_buf struct buf text = BUF_INIT(4096);
	const char *s;

	if (fd_read_file(AT_FDCWD, path, &text, e) < 0)
		return -1;
	s = buf_text(&text, e);
	if (!s)
		return -1;
	clean_label(s, ret);
	for (size_t n = strlen(ret); n && ret[n - 1] == ' '; n--)
		ret[n - 1] = 0;
	return 0;
}

static void dir_close(DIR **d)
{
	if (*d)
		(void)closedir(*d);
}

/* An absent directory is an empty list. */
static int list_state(const char *config_dir, const char *state, int value, struct listing *l, struct err *e)
{
	auto_free char *dir = mem_printf(e, "%s/keys/%s", config_dir, state);
	__attribute__((cleanup(dir_close))) DIR *d = NULL;
	struct dirent *de;

	if (!dir)
		return -1;
	d = opendir(dir);
	if (!d)
		return errno == ENOENT ? 0 : err_sys(e, errno, "%s", dir);
	while ((de = readdir(d))) {
		struct pkg_public_key k;
		struct pkg_trust_entry *entry;
		auto_free char *path = NULL;
		struct err ignored;

		if (pkg_key_parse(de->d_name, &k, &ignored) < 0)
			continue;
		path = path_join(dir, de->d_name, e);
		entry = path ? listing_add(l, &k, e) : NULL;
		if (!entry)
			return -1;
		if (read_label(path, entry->label, &ignored) < 0)
			entry->label[0] = 0;
		entry->state = value;
	}
	return 0;
}

static int list_own(const char *config_dir, struct listing *l, struct err *e)
{
	auto_free char *dir = mem_printf(e, "%s/keys", config_dir);
	__attribute__((cleanup(dir_close))) DIR *d = NULL;
	struct dirent *de;

	if (!dir)
		return -1;
	d = opendir(dir);
	if (!d)
		return errno == ENOENT ? 0 : err_sys(e, errno, "%s", dir);
	while ((de = readdir(d))) {
		size_t len = strlen(de->d_name);
		auto_free char *name = NULL;
		struct pkg_secret_key *secret;
		struct pkg_public_key k;
		struct pkg_trust_entry *entry;
		struct err ignored;

		if (len < 5 || strcmp(de->d_name + len - 4, ".key"))
			continue;
		name = mem_strndup(de->d_name, len - 4, e);
		if (!name)
			return -1;
		if (pkg_key_load(config_dir, name, &secret, &ignored) < 0)
			continue;
		pkg_key_public(secret, &k);
		pkg_key_close(secret);
		entry = listing_add(l, &k, e);
		if (!entry)
			return -1;
		entry->state = PKG_KEY_OWN;
		clean_label(name, entry->label);
	}
	return 0;
}

static int by_key(const void *a, const void *b)
{
	const struct pkg_trust_entry *x = a, *y = b;

	return memcmp(&x->key, &y->key, sizeof(x->key));
}

int pkg_trust_list(const char *config_dir, struct pkg_trust_entry **ret, size_t *ret_count, struct err *e)
{
	struct listing l = { 0 };

	/* Later states replace earlier ones: revoked wins. */
	if (list_state(config_dir, "trusted", PKG_KEY_TRUSTED, &l, e) < 0 ||
	    list_own(config_dir, &l, e) < 0 ||
	    list_state(config_dir, "revoked", PKG_KEY_REVOKED, &l, e) < 0) {
		free(l.entries);
		return -1;
	}
	if (l.count)
		qsort(l.entries, l.count, sizeof(*l.entries), by_key);
	*ret = l.entries;
	*ret_count = l.count;
	return 0;
}
