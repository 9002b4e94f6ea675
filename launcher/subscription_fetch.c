/* SPDX-License-Identifier: Apache-2.0 */
/* Lists from their servers; see subscription.h. Nothing of a list is used before its signature was found
 * right and its signer trusted. */
#include <string.h>
#include <time.h>

#include "base/path.h"
#include "launcher/subscription.h"

enum { ATTEMPTS = 2, REPLACED_MAX = 3 };

/* ---- fetching ------------------------------------------------------------------------------- */

struct reading {
	struct buf *bytes;
	const char *known_signature;
	bool is_same;
};

static bool has_signature(const struct reading *r)
{
	size_t at = PKG_REPOSITORY_LINE_LEN - 1 - 2 * PKG_SIGNATURE_LEN;

	return r->known_signature && *r->known_signature && r->bytes->len >= PKG_REPOSITORY_LINE_LEN &&
	       !memcmp(r->bytes->data + at, r->known_signature, 2 * PKG_SIGNATURE_LEN);
}

/* Ends the transfer as soon as the first line says that we have this list. */
static int take(void *arg, const uint8_t *data, size_t len, struct err *e)
{
	struct reading *r = arg;

	if (buf_add(r->bytes, data, len, e) < 0)
		return -1;
	r->is_same = has_signature(r);
	return r->is_same ? err_set(e, ERR_INTERRUPTED, "the list is known") : 0;
}

static int read_list(struct stream_fetcher *f, struct reading *r, struct err *e)
{
	int rc = -1;

	/* Replaced while it was read: from the start, for what is there now. */
	for (int n = 0; n < REPLACED_MAX; n++) {
		buf_reset(r->bytes);
		rc = f->ops->read(f, 0, PKG_REPOSITORY_MAX, take, r, e);
		if (rc == 0 || r->is_same)
			return 0;
		if (e->code != ERR_CHANGED)
			break;
		f->ops->unpin(f, false);
	}
	return rc;
}

int launch_list_fetch(const char *url, const char *known_signature, struct buf *ret, bool *ret_is_same,
		      char ret_identity[STREAM_IDENTITY_MAX], struct err *e)
{
	const struct stream_fetch_opt opt = { .attempts = ATTEMPTS };
	auto_free char *source = mem_printf(e, "%s" PKG_REPOSITORY_FILE, url);
	struct reading r = { ret, known_signature, false };
	struct stream_fetcher *f;
	int rc;

	if (!source || stream_fetcher_open(source, &opt, &f, e) < 0)
		return -1;
	rc = read_list(f, &r, e);
	if (rc == 0) {
		*ret_is_same = r.is_same;
		f->ops->identity(f, ret_identity);
	}
	f->ops->close(f);
	return rc;
}

int launch_list_open(const struct buf *bytes, const struct pkg_public_key *known, struct pkg_repository **ret,
		     struct err *e)
{
	auto_free char *config_dir = path_config_dir(false, e);
	struct pkg_public_key signer;

	if (!config_dir || pkg_repository_check(bytes->data, bytes->len, &signer, e) < 0 ||
	    (known && pkg_repository_same_signer(&signer, known, e) < 0) ||
	    pkg_trust_check(config_dir, &signer, e) < 0)
		return -1;
	return pkg_repository_open(bytes->data, bytes->len, ret, e);
}

/* ---- updating ------------------------------------------------------------------------------- */

/* One place. *ret stays NULL when the list is the one that we have. */
static int update_from(struct launch_subscription *s, const char *url, bool has_list,
		       struct pkg_repository **ret, struct err *e)
{
	auto_buf struct buf bytes = BUF_INIT(PKG_REPOSITORY_MAX);
	struct pkg_repository *r;
	char identity[STREAM_IDENTITY_MAX];
	int64_t now = (int64_t)time(NULL);
	bool is_same;

	if (launch_list_fetch(url, has_list ? s->signature : NULL, &bytes, &is_same, identity, e) < 0)
		return -1;
	if (is_same) {
		if (pkg_repository_is_current(s->expires_s, now, e) < 0)
			return -1;
		s->asked_s = now;
		return launch_subscription_save(s, e);
	}
	if (launch_list_open(&bytes, &s->key, &r, e) < 0)
		return -1;
	if (pkg_repository_may_follow(r, s->serial, s->issued_s, &s->key, now, e) < 0) {
		pkg_repository_free(r);
		return -1;
	}
	memcpy(s->identity, identity, sizeof(identity));
	if (launch_subscription_store(s, &bytes, r, e) < 0) {
		pkg_repository_free(r);
		return -1;
	}
	*ret = r;
	return 0;
}

static int explain(const char *url, struct err *e)
{
	struct err ignored;
	auto_free char *shown = stream_source_for_people(url, &ignored);

	return strstr(e->msg, shown ? shown : url) ? -1 : err_wrap(e, "%s", shown ? shown : "");
}

int launch_subscription_update(struct launch_subscription *s, const struct pkg_repository *known,
			       struct pkg_repository **ret, struct err *ret_why, struct err *e)
{
	struct pkg_repository *list = NULL;
	struct err why;

	*ret_why = (struct err){ 0 };
	if (update_from(s, s->url, known != NULL, &list, e) == 0) {
		*ret = list;
		return 0;
	}
	(void)explain(s->url, e);
	for (size_t i = 0; known && i < known->mirror_count; i++) {
		if (update_from(s, known->mirrors[i], true, &list, &why) == 0) {
			*ret_why = *e;
			*ret = list;
			return 0;
		}
		(void)explain(known->mirrors[i], &why);
		/* That a list was refused weighs more than that a server is away. */
		if (why.code == ERR_TRUST && e->code != ERR_TRUST)
			*e = why;
	}
	return -1;
}
