/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256; see digest.h. libcrypto's context interface is used because it keeps its state on our
 * stack and so cannot fail: a digest that may be missing would be a digest that may be wrong. */
#define OPENSSL_API_COMPAT 0x10100000L
#include "package-format/digest.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <string.h>

#include "base/bytes.h"

void pkg_digest_of(const void *data, size_t len, struct pkg_digest *ret)
{
	SHA256_CTX ctx;

	(void)SHA256_Init(&ctx);
	(void)SHA256_Update(&ctx, data, len);
	(void)SHA256_Final(ret->b, &ctx);
}

bool pkg_digest_equal(const struct pkg_digest *a, const struct pkg_digest *b)
{
	return CRYPTO_memcmp(a->b, b->b, PKG_DIGEST_LEN) == 0;
}

void pkg_digest_hex(const struct pkg_digest *d, char *ret)
{
	bytes_to_hex(d->b, PKG_DIGEST_LEN, ret);
}

int pkg_digest_parse(const char *hex, struct pkg_digest *ret, struct err *e)
{
	struct pkg_digest d;

	if (bytes_from_hex(hex, d.b, PKG_DIGEST_LEN) < 0)
		return err_set(e, ERR_FORMAT, "a digest is 64 hexadecimal digits");
	*ret = d;
	return 0;
}
