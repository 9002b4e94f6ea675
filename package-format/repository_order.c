/* SPDX-License-Identifier: Apache-2.0 */
/* Finding a package in a repository's list, keeping the list in order, and which list may follow which; see
 * repository.h. */
#include <string.h>
#include <time.h>

#include "package-format/repository.h"
#include "package-format/version.h"

int pkg_repository_order(const struct pkg_repository_package *a, const struct pkg_repository_package *b)
{
	int r = strcmp(a->name, b->name);

	if (!r)
		r = pkg_version_compare(b->version, a->version);
	return r ? r : strcmp(b->version, a->version);
}

/* The first package from `name` on. */
static size_t first_of(const struct pkg_repository *r, const char *name)
{
	size_t low = 0, high = r->package_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(r->packages[middle].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct pkg_repository_package *pkg_repository_find(const struct pkg_repository *r, const char *name,
							 const char *version)
{
	for (size_t i = first_of(r, name); i < r->package_count && !strcmp(r->packages[i].name, name); i++)
		if (!version || !strcmp(r->packages[i].version, version))
			return &r->packages[i];
	return NULL;
}

int pkg_repository_insert(struct pkg_repository *r, struct pkg_repository_package *p, struct err *e)
{
	size_t at = first_of(r, p->name);
	struct pkg_repository_package *grown;

	while (at < r->package_count && pkg_repository_order(&r->packages[at], p) < 0)
		at++;
	if (at < r->package_count && pkg_repository_order(&r->packages[at], p) == 0)
		return err_set(e, ERR_EXISTS, "%s %s is in the repository already", p->name, p->version);
	if (r->package_count == PKG_REPOSITORY_PACKAGES_MAX)
		return err_set(e, ERR_LIMIT, "more than %d packages", PKG_REPOSITORY_PACKAGES_MAX);
	grown = mem_grow(r->packages, r->package_count + 1, sizeof(*grown), e);
	if (!grown)
		return -1;
	r->packages = grown;
	memmove(&grown[at + 1], &grown[at], (r->package_count - at) * sizeof(*grown));
	grown[at] = *p;
	r->package_count++;
	*p = (struct pkg_repository_package){ 0 };
	return 0;
}

/* "2026-11-22 08:00 UTC". */
static void date_of(int64_t seconds, char ret[32])
{
	time_t t = (time_t)seconds;
	struct tm tm;

	if (!gmtime_r(&t, &tm) || !strftime(ret, 32, "%Y-%m-%d %H:%M UTC", &tm))
		ret[0] = 0;
}

int pkg_repository_same_signer(const struct pkg_public_key *signer, const struct pkg_public_key *known,
			       struct err *e)
{
	char id[PKG_KEY_ID_HEX], known_id[PKG_KEY_ID_HEX];

	if (!memcmp(known, signer, sizeof(*signer)))
		return 0;
	pkg_key_id(signer, id);
	pkg_key_id(known, known_id);
	return err_set(
		e, ERR_TRUST,
		"the list is signed by another key than before (%s, not %s); if its owner says that this "
		"is right, remove the repository and add it again",
		id, known_id);
}

int pkg_repository_is_current(int64_t expires_s, int64_t now_s, struct err *e)
{
	char expires[32];

	if (expires_s > now_s)
		return 0;
	date_of(expires_s, expires);
	return err_set(e, ERR_TRUST,
		       "the list has expired (%s): its publisher must renew it (floe repo sign), or somebody "
		       "holds back a newer one",
		       expires);
}

int pkg_repository_may_follow(const struct pkg_repository *r, uint64_t known_serial, int64_t known_issued_s,
			      const struct pkg_public_key *known_signer, int64_t now_s, struct err *e)
{
	char issued[32], known[32];

	if (known_serial && pkg_repository_same_signer(&r->signer, known_signer, e) < 0)
		return -1;
	if (r->serial < known_serial)
		return err_set(e, ERR_TRUST,
			       "an old list: its serial number is %llu, and %llu was seen before",
			       (unsigned long long)r->serial, (unsigned long long)known_serial);
	if (known_serial && r->issued_s < known_issued_s) {
		date_of(r->issued_s, issued);
		date_of(known_issued_s, known);
		return err_set(e, ERR_TRUST, "an old list: issued %s, and one of %s was seen before", issued,
			       known);
	}
	return pkg_repository_is_current(r->expires_s, now_s, e);
}
