/* SPDX-License-Identifier: Apache-2.0 */
/* Repositories that the user has subscribed to, and their lists on this machine; where they are is said in
 * launcher/catalogue.h. What a subscription remembers (key, serial number, date) lies with the configuration
 * and not in the cache, so that deleting the cache does not open the way for an old list. For floe-tools
 * only; one thread; blocks on the disk, and on the network where that is said. */
#ifndef FLOE_LAUNCH_SUBSCRIPTION_H
#define FLOE_LAUNCH_SUBSCRIPTION_H

#include <stdbool.h>

#include "package-format/repository.h"
#include "streaming/fetcher.h"

struct launch_subscription {
	char *name; /* here; mostly the repository's own */
	char *url;  /* of its directory, with a '/' at the end; or an absolute path likewise */
	struct pkg_public_key key;
	/* Of the last list that was taken for good: */
	uint64_t serial;
	int64_t issued_s, expires_s;
	char signature[2 * PKG_SIGNATURE_LEN + 1];
	char identity[STREAM_IDENTITY_MAX]; /* what the server said of it: ETag, or time and length */
	int64_t asked_s;                    /* when the server was last asked with success */
};
void launch_subscription_fini(struct launch_subscription *s);

/* All of them by name; an array that the caller gives to launch_subscriptions_free. */
int launch_subscriptions_load(struct launch_subscription **ret, size_t *ret_count,
			      struct err *e) FLOE_MUST_USE;
void launch_subscriptions_free(struct launch_subscription *list, size_t count);
int launch_subscription_save(const struct launch_subscription *s, struct err *e) FLOE_MUST_USE;
/* The subscription first, then its list. */
int launch_subscription_remove(const struct launch_subscription *s, struct err *e) FLOE_MUST_USE;
/* "https://host/apps", ".../repository.json" or a directory -> the form that `url` has. Caller frees. */
char *launch_subscription_url(const char *text, struct err *e) FLOE_MUST_USE;

/* The stored list, checked again. ERR_NOTFOUND when it is not here ("floe update"). */
int launch_subscription_list(const struct launch_subscription *s, struct pkg_repository **ret,
			     struct err *e) FLOE_MUST_USE;
/* Stores a list and its table, then what `s` remembers of it. Killed in between it is done again by the next
 * update. */
int launch_subscription_store(struct launch_subscription *s, const struct buf *bytes,
			      const struct pkg_repository *r, struct err *e) FLOE_MUST_USE;

/* Fetches DIR-URL/repository.json with one request. When its first line has `known_signature` (NULL or "":
 * none is), the rest is not read and *ret_is_same is set. Blocks on the network. */
int launch_list_fetch(const char *url, const char *known_signature, struct buf *ret, bool *ret_is_same,
		      char ret_identity[STREAM_IDENTITY_MAX], struct err *e) FLOE_MUST_USE;
/* Asks the subscription's server and, where that fails or has nothing acceptable, the mirrors of the list
 * `known` (may be NULL), in order. On success *ret is the new list, stored, or NULL when nothing has changed.
 * When a mirror served, what was wrong before it is in *ret_why (else empty). ERR_TRUST: an old or expired
 * list, another key, a key that is not trusted any more. The stored list stays as it was. Blocks on the
 * network. */
int launch_subscription_update(struct launch_subscription *s, const struct pkg_repository *known,
			       struct pkg_repository **ret, struct err *ret_why, struct err *e) FLOE_MUST_USE;
/* Reads and checks a fetched list: signature, `known` signer (NULL = any), trust. */
int launch_list_open(const struct buf *bytes, const struct pkg_public_key *known, struct pkg_repository **ret,
		     struct err *e) FLOE_MUST_USE;

#endif
