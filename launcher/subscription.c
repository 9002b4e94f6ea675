/* SPDX-License-Identifier: Apache-2.0 */
/* Subscriptions on disk; see subscription.h. A record is text, "WORD value" a line, so that a person can read
 * it; what is not known in it is passed over. */
#include "launcher/subscription.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "launcher/catalogue.h"

enum { RECORD_MAX = 16 * 1024, SUBSCRIPTIONS_MAX = 1000 };

void launch_subscription_fini(struct launch_subscription *s)
{
	free(s->name);
	free(s->url);
	*s = (struct launch_subscription){ 0 };
}

void launch_subscriptions_free(struct launch_subscription *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		launch_subscription_fini(&list[i]);
	free(list);
}

static char *record_path(const char *name, bool make, struct err *e)
{
	auto_free char *config_dir = path_config_dir(make, e);
	auto_free char *dir = config_dir ? path_join(config_dir, "repositories", e) : NULL;

	if (!dir || (make && path_make_dirs(dir, 0700, e) < 0))
		return NULL;
	return path_join(dir, name, e);
}

/* ---- records -------------------------------------------------------------------------------- */

int launch_subscription_save(const struct launch_subscription *s, struct err *e)
{
	auto_free char *path = record_path(s->name, true, e);
	auto_buf struct buf text = BUF_INIT(RECORD_MAX);
	char key[PKG_KEY_HEX];

	if (!path)
		return -1;
	pkg_key_hex(&s->key, key);
	if (buf_printf(&text, e,
		       "url %s\nkey %s\nserial %" PRIu64 "\nissued %" PRId64 "\nexpires %" PRId64
		       "\nsignature %s\nidentity %s\nasked %" PRId64 "\n",
		       s->url, key, s->serial, s->issued_s, s->expires_s, s->signature, s->identity,
		       s->asked_s) < 0)
		return -1;
	return fd_write_file(AT_FDCWD, path, text.data, text.len, 0600, e);
}

static int take_line(struct launch_subscription *s, const char *word, const char *value, struct err *e)
{
	if (!strcmp(word, "url") && !s->url) {
		s->url = mem_strdup(value, e);
		return s->url ? 0 : -1;
	}
	if (!strcmp(word, "key"))
		return pkg_key_parse(value, &s->key, e);
	if (!strcmp(word, "serial"))
		s->serial = strtoull(value, NULL, 10);
	else if (!strcmp(word, "issued"))
		s->issued_s = strtoll(value, NULL, 10);
	else if (!strcmp(word, "expires"))
		s->expires_s = strtoll(value, NULL, 10);
	else if (!strcmp(word, "asked"))
		s->asked_s = strtoll(value, NULL, 10);
	else if (!strcmp(word, "signature"))
		(void)snprintf(s->signature, sizeof(s->signature), "%s", value);
	else if (!strcmp(word, "identity"))
		(void)snprintf(s->identity, sizeof(s->identity), "%s", value);
	return 0;
}

static int read_record(const char *path, const char *name, struct launch_subscription *ret, struct err *e)
{
	auto_buf struct buf bytes = BUF_INIT(RECORD_MAX);
	char *text, *line;

	if (fd_read_file(AT_FDCWD, path, &bytes, e) < 0 || !buf_text(&bytes, e))
		return -1;
	ret->name = mem_strdup(name, e);
	if (!ret->name)
		return -1;
	text = (char *)bytes.data;
	while ((line = strsep(&text, "\n"))) {
		char *value = strchr(line, ' ');

		if (!value)
			continue;
		*value++ = 0;
		if (take_line(ret, line, value, e) < 0)
			return err_wrap(e, "%s", path);
	}
	return ret->url && ret->serial
		       ? 0
		       : err_set(e, ERR_FORMAT, "%s: damaged; remove it and floe add the repository again",
				 path);
}

static int by_name(const void *a, const void *b)
{
	const struct launch_subscription *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static int read_all(DIR *dir, const char *path, struct launch_subscription *list, size_t *count,
		    struct err *e)
{
	struct dirent *entry;

	while ((entry = readdir(dir))) {
		auto_free char *record = NULL;

		if (!path_is_plain_name(entry->d_name) || strstr(entry->d_name, ".tmp-"))
			continue;
		if (*count == SUBSCRIPTIONS_MAX)
			return err_set(e, ERR_LIMIT, "more than %d repositories", SUBSCRIPTIONS_MAX);
		record = path_join(path, entry->d_name, e);
		if (!record || read_record(record, entry->d_name, &list[(*count)++], e) < 0)
			return -1;
	}
	return 0;
}

int launch_subscriptions_load(struct launch_subscription **ret, size_t *ret_count, struct err *e)
{
	auto_free char *path = record_path("", false, e);
	auto_closedir DIR *dir = path ? opendir(path) : NULL;
	struct launch_subscription *list;
	size_t count = 0;

	if (!path)
		return -1;
	if (!dir && errno != ENOENT)
		return err_sys(e, errno, "%s", path);
	list = mem_alloc(SUBSCRIPTIONS_MAX, sizeof(*list), e);
	if (!list)
		return -1;
	if (dir && read_all(dir, path, list, &count, e) < 0) {
		launch_subscriptions_free(list, count);
		return -1;
	}
	qsort(list, count, sizeof(*list), by_name);
	*ret = list;
	*ret_count = count;
	return 0;
}

int launch_subscription_remove(const struct launch_subscription *s, struct err *e)
{
	auto_free char *record = record_path(s->name, false, e);
	auto_free char *lists = launch_catalogue_path(s->name, "", e);

	if (!record || !lists)
		return -1;
	if (unlink(record) < 0 && errno != ENOENT)
		return err_sys(e, errno, "%s", record);
	return path_remove_tree(AT_FDCWD, lists, e);
}

char *launch_subscription_url(const char *text, struct err *e)
{
	auto_free char *plain = NULL;
	size_t len, list_len = strlen(PKG_REPOSITORY_FILE);

	if (!strncasecmp(text, "file://", 7))
		text += 7;
	if (!stream_source_is_url(text) && strstr(text, "://")) {
		(void)err_set(e, ERR_USAGE, "%s: only http, https and file URLs are understood", text);
		return NULL;
	}
	if (strpbrk(text, " \t\r\n") || (stream_source_is_url(text) && strpbrk(text, "?#"))) {
		(void)err_set(e, ERR_USAGE, "%s: not the address of a directory (no blanks, ? and #)", text);
		return NULL;
	}
	plain = stream_source_is_url(text) ? mem_strdup(text, e) : path_absolute(text, e);
	if (!plain)
		return NULL;
	len = strlen(plain);
	if (len > list_len && plain[len - list_len - 1] == '/' &&
	    !strcmp(plain + len - list_len, PKG_REPOSITORY_FILE))
		len -= list_len;
	while (len > 1 && plain[len - 1] == '/')
		len--;
	return mem_printf(e, "%.*s/", (int)len, plain);
}

/* ---- lists ---------------------------------------------------------------------------------- */

int launch_subscription_list(const struct launch_subscription *s, struct pkg_repository **ret, struct err *e)
{
	auto_free char *path = launch_catalogue_path(s->name, "list", e);
	auto_buf struct buf bytes = BUF_INIT(PKG_REPOSITORY_MAX);
	struct pkg_repository *r;

	if (!path)
		return -1;
	if (fd_read_file(AT_FDCWD, path, &bytes, e) < 0)
		return e->code == ERR_NOTFOUND
			       ? err_set(e, ERR_NOTFOUND,
					 "the list of %s is not here; floe update fetches it", s->name)
			       : -1;
	if (pkg_repository_open(bytes.data, bytes.len, &r, e) < 0)
		return err_wrap(e, "%s (floe update fetches it again)", path);
	if (memcmp(&r->signer, &s->key, sizeof(s->key)) != 0) {
		pkg_repository_free(r);
		return err_set(e, ERR_TRUST, "%s: signed by another key than the subscription's", path);
	}
	*ret = r;
	return 0;
}

static void remember(struct launch_subscription *s, const struct buf *bytes, const struct pkg_repository *r)
{
	/* The end of the first line. */
	size_t at = PKG_REPOSITORY_LINE_LEN - 1 - 2 * PKG_SIGNATURE_LEN;

	memcpy(s->signature, bytes->data + at, 2 * PKG_SIGNATURE_LEN);
	s->signature[2 * PKG_SIGNATURE_LEN] = 0;
	s->key = r->signer;
	s->serial = r->serial;
	s->issued_s = r->issued_s;
	s->expires_s = r->expires_s;
	s->asked_s = (int64_t)time(NULL);
}

int launch_subscription_store(struct launch_subscription *s, const struct buf *bytes,
			      const struct pkg_repository *r, struct err *e)
{
	auto_free char *dir = launch_catalogue_path(s->name, "", e);
	auto_free char *list = launch_catalogue_path(s->name, "list", e);

	if (!dir || !list || path_make_dirs(dir, 0700, e) < 0 ||
	    fd_write_file(AT_FDCWD, list, bytes->data, bytes->len, 0600, e) < 0 ||
	    launch_catalogue_write(s->name, s->url, r, e) < 0)
		return -1;
	remember(s, bytes, r);
	return launch_subscription_save(s, e);
}
