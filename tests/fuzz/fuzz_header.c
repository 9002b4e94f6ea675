/* SPDX-License-Identifier: Apache-2.0 */
/* Package headers. The signature stops nearly all mutations, so a second try gets a good one. */
#include <openssl/evp.h>
#include <string.h>

#include "package-format/header.h"
#include "tests/fuzz/fuzz.h"

/* Puts a throwaway key's public half into `signer`, which lies in the data, and then signs; 0 or -1. */
static int sign(const uint8_t *data, size_t len, uint8_t *signer, uint8_t *signature)
{
	static const uint8_t seed[32] = { 1 };
	static EVP_PKEY *key;
	size_t public_len = 32, signature_len = 64;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int rc = -1;

	if (!key)
		key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, sizeof(seed));
	if (key && ctx && EVP_PKEY_get_raw_public_key(key, signer, &public_len) == 1 &&
	    EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) == 1 &&
	    EVP_DigestSign(ctx, signature, &signature_len, data, len) == 1)
		rc = 0;
	EVP_MD_CTX_free(ctx);
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t bytes[PKG_HEADER_LEN] = { 0 };
	struct pkg_header h;
	struct err e;

	memcpy(bytes, data, len < sizeof(bytes) ? len : sizeof(bytes));
	fuzz_any(pkg_header_decode(bytes, &h, &e));
	if (sign(bytes, 128, bytes + 96, bytes + 128) < 0)
		return 0;
	memset(bytes + 192, 0, sizeof(bytes) - 192);
	if (pkg_header_decode(bytes, &h, &e) < 0)
		return 0;
	if (h.index_stored_len == 0 || h.index_stored_len > PKG_INDEX_STORED_MAX ||
	    h.index_content_len > PKG_INDEX_CONTENT_MAX || h.feature_block_end > h.file_len ||
	    h.feature_block_end < PKG_HEADER_LEN + h.index_stored_len)
		__builtin_trap();
	return 0;
}
