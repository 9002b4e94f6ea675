/* SPDX-License-Identifier: Apache-2.0 */
/* Ed25519 keys and the keys that this user trusts.
 *
 * A public key is its 32 bytes; people see it as 64 hex digits, and its *id* as the first 16.
 * Store, below the configuration directory (path_config_dir):
 *   keys/NAME.key      secret key, PEM (PKCS#8), mode 0600       the user's own; "default" signs
 *   keys/trusted/HEX   one file a trusted public key; content = a name for people, one line
 *   keys/revoked/HEX   never trusted again, whatever else says so
 * Writes are atomic. All functions read or write small files; none blocks on the network.
 * <openssl/...> is included only in key.c and digest.c. */
#ifndef FLOE_PKG_KEY_H
#define FLOE_PKG_KEY_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { PKG_KEY_LEN = 32, PKG_KEY_HEX = 65, PKG_KEY_ID_HEX = 17, PKG_SIGNATURE_LEN = 64 };

struct pkg_public_key {
	uint8_t b[PKG_KEY_LEN];
};
struct pkg_secret_key; /* opaque; holds a secret, wiped on close */

void pkg_key_hex(const struct pkg_public_key *k, char ret[PKG_KEY_HEX]);
void pkg_key_id(const struct pkg_public_key *k, char ret[PKG_KEY_ID_HEX]);
int pkg_key_parse(const char *hex, struct pkg_public_key *ret, struct err *e) FLOE_MUST_USE;

/* Makes a key pair as keys/NAME.key and trusts its public half. ERR_EXISTS when there is one. */
int pkg_key_generate(const char *config_dir, const char *name, struct pkg_public_key *ret,
		     struct err *e) FLOE_MUST_USE;
int pkg_key_load(const char *config_dir, const char *name, struct pkg_secret_key **ret,
		 struct err *e) FLOE_MUST_USE;
void pkg_key_close(struct pkg_secret_key *k);
void pkg_key_public(const struct pkg_secret_key *k, struct pkg_public_key *ret);

int pkg_key_sign(const struct pkg_secret_key *k, const void *data, size_t len, uint8_t ret[PKG_SIGNATURE_LEN],
		 struct err *e) FLOE_MUST_USE;
/* What the first verification would spend two milliseconds on: libcrypto looks for its algorithms. Any
 * thread. */
void pkg_key_prepare(void);
/* 0 when the signature is right, ERR_INTEGRITY when not. */
int pkg_key_verify(const struct pkg_public_key *k, const void *data, size_t len,
		   const uint8_t sig[PKG_SIGNATURE_LEN], struct err *e) FLOE_MUST_USE;

/* 0 when trusted; ERR_TRUST otherwise, with a message that ends in the one command that would
 * trust the key ("floe key trust HEX"), or says that it was revoked. */
int pkg_trust_check(const char *config_dir, const struct pkg_public_key *k, struct err *e) FLOE_MUST_USE;
int pkg_trust_add(const char *config_dir, const struct pkg_public_key *k, const char *label,
		  struct err *e) FLOE_MUST_USE;
int pkg_trust_revoke(const char *config_dir, const struct pkg_public_key *k, struct err *e) FLOE_MUST_USE;

struct pkg_trust_entry {
	struct pkg_public_key key;
	char label[128];
	enum { PKG_KEY_OWN, PKG_KEY_TRUSTED, PKG_KEY_REVOKED } state; /* OWN: a secret half is here */
};
/* An array that the caller frees, sorted by key. */
int pkg_trust_list(const char *config_dir, struct pkg_trust_entry **ret, size_t *ret_count,
		   struct err *e) FLOE_MUST_USE;

#endif
