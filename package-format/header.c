/* SPDX-License-Identifier: Apache-2.0 */
/* The package header; see header.h, and FORMAT.md for the bytes.
 *
 * Everything in the 4 KiB is either signed, the signature itself, or zero: no bit of it can be
 * changed without being noticed. */
#include "package-format/header.h"

#include <stddef.h>
#include <string.h>

#include "base/bytes.h"

struct header_disk {
	uint8_t magic[8];
	struct le16 version;
	struct le16 signature_kind; /* 1 = Ed25519 */
	struct le32 header_len;
	struct le64 features_required;
	struct le64 features_optional;
	struct le64 index_stored_len;
	struct le64 index_content_len;
	uint8_t index_digest[PKG_DIGEST_LEN];
	struct le64 feature_block_end;
	struct le64 file_len;
	uint8_t signer[PKG_KEY_LEN];
	/* signed up to here */
	uint8_t signature[PKG_SIGNATURE_LEN];
	uint8_t zero[PKG_HEADER_LEN - 192];
};

enum { SIGNED_LEN = 128, SIGNATURE_ED25519 = 1 };

_Static_assert(sizeof(struct header_disk) == PKG_HEADER_LEN, "header is 4 KiB");
_Static_assert(offsetof(struct header_disk, index_digest) == 48, "layout");
_Static_assert(offsetof(struct header_disk, signer) == 96, "layout");
_Static_assert(offsetof(struct header_disk, signature) == SIGNED_LEN, "layout");

/* High bit and line ends show transfers that are not 8-bit clean. */
static const uint8_t magic[8] = { 0x8f, 'f', 'l', 'o', 'e', '\r', '\n', 0x1a };

/* Required features that this reader knows: none yet. */
static const uint64_t features_known = 0;

static int check_bounds(const struct pkg_header *h, struct err *e)
{
	uint64_t index_end;

	if (h->index_stored_len == 0 || h->index_content_len == 0)
		return err_set(e, ERR_FORMAT, "package header: empty index");
	if (h->index_stored_len > PKG_INDEX_STORED_MAX || h->index_content_len > PKG_INDEX_CONTENT_MAX)
		return err_set(e, ERR_LIMIT, "package header: the index is too large");
	index_end = PKG_HEADER_LEN + h->index_stored_len;
	if (h->file_len > INT64_MAX || h->feature_block_end < index_end || h->feature_block_end > h->file_len)
		return err_set(e, ERR_FORMAT, "package header: lengths contradict each other");
	return 0;
}

static int check_identity(const struct header_disk *d, struct err *e)
{
	if (memcmp(d->magic, magic, sizeof(magic)))
		return err_set(e, ERR_FORMAT, "not a floe package");
	if (le16_get(d->version) != PKG_VERSION)
		return err_set(e, ERR_UNSUPPORTED,
			       "package format version %u; this floe reads version %d: install a newer floe",
			       le16_get(d->version), PKG_VERSION);
	if (le32_get(d->header_len) != PKG_HEADER_LEN)
		return err_set(e, ERR_FORMAT, "package header: wrong length");
	if (le64_get(d->features_required) & ~features_known)
		return err_set(e, ERR_UNSUPPORTED,
			       "the package needs features that this floe does not have (bits %llx): "
			       "install a newer floe",
			       (unsigned long long)(le64_get(d->features_required) & ~features_known));
	if (le16_get(d->signature_kind) != SIGNATURE_ED25519)
		return err_set(e, ERR_UNSUPPORTED, "package header: unknown kind of signature");
	for (size_t i = 0; i < sizeof(d->zero); i++)
		if (d->zero[i])
			return err_set(e, ERR_FORMAT, "package header: padding is not zero");
	return 0;
}

int pkg_header_decode(const uint8_t bytes[PKG_HEADER_LEN], struct pkg_header *ret, struct err *e)
{
	struct header_disk d;
	struct pkg_header h = { 0 };

	memcpy(&d, bytes, sizeof(d));
	if (check_identity(&d, e) < 0)
		return -1;
	h.version = le16_get(d.version);
	h.features_required = le64_get(d.features_required);
	h.features_optional = le64_get(d.features_optional);
	h.index_stored_len = le64_get(d.index_stored_len);
	h.index_content_len = le64_get(d.index_content_len);
	memcpy(h.index_digest.b, d.index_digest, PKG_DIGEST_LEN);
	h.feature_block_end = le64_get(d.feature_block_end);
	h.file_len = le64_get(d.file_len);
	memcpy(h.signer.b, d.signer, PKG_KEY_LEN);
	if (check_bounds(&h, e) < 0)
		return -1;
	if (pkg_key_verify(&h.signer, bytes, SIGNED_LEN, d.signature, e) < 0)
		return err_wrap(e, "package header");
	pkg_digest_of(bytes, SIGNED_LEN, &h.root);
	*ret = h;
	return 0;
}

int pkg_header_encode(struct pkg_header *h, const struct pkg_secret_key *key, uint8_t ret[PKG_HEADER_LEN],
		      struct err *e)
{
	struct header_disk d = { 0 };

	if (check_bounds(h, e) < 0)
		return -1;
	pkg_key_public(key, &h->signer);
	h->version = PKG_VERSION;
	memcpy(d.magic, magic, sizeof(magic));
	d.version = le16_of(PKG_VERSION);
	d.signature_kind = le16_of(SIGNATURE_ED25519);
	d.header_len = le32_of(PKG_HEADER_LEN);
	d.features_required = le64_of(h->features_required);
	d.features_optional = le64_of(h->features_optional);
	d.index_stored_len = le64_of(h->index_stored_len);
	d.index_content_len = le64_of(h->index_content_len);
	memcpy(d.index_digest, h->index_digest.b, PKG_DIGEST_LEN);
	d.feature_block_end = le64_of(h->feature_block_end);
	d.file_len = le64_of(h->file_len);
	memcpy(d.signer, h->signer.b, PKG_KEY_LEN);
	if (pkg_key_sign(key, &d, SIGNED_LEN, d.signature, e) < 0)
		return -1;
	pkg_digest_of(&d, SIGNED_LEN, &h->root);
	memcpy(ret, &d, sizeof(d));
	return 0;
}
