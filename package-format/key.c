/* SPDX-License-Identifier: Apache-2.0 */
/* Ed25519 keys by libcrypto, and the user's own key files; see key.h. Trust is in trust.c. */
#include "package-format/key.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"

enum { PEM_MAX = 8 * 1024 };

struct pkg_secret_key {
	EVP_PKEY *pair;
	struct pkg_public_key public;
};

static int crypto_error(struct err *e, const char *what)
{
	char text[160];

	ERR_error_string_n(ERR_get_error(), text, sizeof(text));
	ERR_clear_error();
	return err_set(e, ERR_IO, "%s: %s", what, text);
}

static void pair_free(EVP_PKEY **p)
{
	EVP_PKEY_free(*p);
}
static void digest_ctx_free(EVP_MD_CTX **p)
{
	EVP_MD_CTX_free(*p);
}
static void bio_free(BIO **p)
{
	BIO_free_all(*p);
}
static void key_close(struct pkg_secret_key **p)
{
	pkg_key_close(*p);
}
/* A PEM text is a secret, too. */
static void wipe_buf(struct buf *b)
{
	if (b->data)
		OPENSSL_cleanse(b->data, b->cap);
	buf_fini(b);
}

#define auto_pair   __attribute__((cleanup(pair_free))) EVP_PKEY
#define auto_md_ctx __attribute__((cleanup(digest_ctx_free))) EVP_MD_CTX
#define auto_bio    __attribute__((cleanup(bio_free))) BIO

void pkg_key_hex(const struct pkg_public_key *k, char ret[PKG_KEY_HEX])
{
	bytes_to_hex(k->b, PKG_KEY_LEN, ret);
}

void pkg_key_id(const struct pkg_public_key *k, char ret[PKG_KEY_ID_HEX])
{
	bytes_to_hex(k->b, (PKG_KEY_ID_HEX - 1) / 2, ret);
}

int pkg_key_parse(const char *hex, struct pkg_public_key *ret, struct err *e)
{
	struct pkg_public_key k;

	if (bytes_from_hex(hex, k.b, PKG_KEY_LEN) < 0)
		return err_set(e, ERR_USAGE, "a public key is 64 hexadecimal digits");
	*ret = k;
	return 0;
}

static int key_of_pair(EVP_PKEY *pair, struct pkg_secret_key **ret, struct err *e)
{
	__attribute__((cleanup(key_close))) struct pkg_secret_key *k = mem_alloc(1, sizeof(*k), e);
	size_t len = PKG_KEY_LEN;

	if (!k)
		return -1;
	if (EVP_PKEY_get_id(pair) != EVP_PKEY_ED25519)
		return err_set(e, ERR_FORMAT, "not an Ed25519 key");
	if (EVP_PKEY_get_raw_public_key(pair, k->public.b, &len) != 1 || len != PKG_KEY_LEN)
		return crypto_error(e, "public half of a key");
	if (EVP_PKEY_up_ref(pair) != 1)
		return crypto_error(e, "key");
	k->pair = pair;
	*ret = mem_steal(k);
	return 0;
}

/* keys/NAME.key below config_dir. */
static char *key_path(const char *config_dir, const char *name, struct err *e)
{
	if (!path_is_plain_name(name)) {
		(void)err_set(e, ERR_USAGE, "%.80s: not a name for a key", name);
		return NULL;
	}
	return mem_printf(e, "%s/keys/%s.key", config_dir, name);
}

static int print_pem(EVP_PKEY *pair, struct buf *ret, struct err *e)
{
	auto_bio *bio = BIO_new(BIO_s_secmem());
	char *text;
	long len;

	if (!bio || PEM_write_bio_PrivateKey(bio, pair, NULL, NULL, 0, NULL, NULL) != 1)
		return crypto_error(e, "cannot write the key");
	len = BIO_get_mem_data(bio, &text);
	return buf_add(ret, text, (size_t)len, e);
}

/* Never replaces: link() refuses when there is a key of that name. */
static int write_new(const char *path, const struct buf *pem, struct err *e)
{
	auto_free char *tmp = mem_printf(e, "%s.new-%ld", path, (long)getpid());
	auto_fd int fd = -1;
	int rc = 0;

	if (!tmp)
		return -1;
	(void)unlink(tmp);
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(e, errno, "%s", tmp);
	if (fd_write_all(fd, pem->data, pem->len, e) < 0)
		rc = err_wrap(e, "%s", tmp);
	else if (fsync(fd) < 0)
		rc = err_sys(e, errno, "%s", tmp);
	else if (link(tmp, path) < 0)
		rc = errno == EEXIST ? err_set(e, ERR_EXISTS, "%s: there is a key of that name already", path)
				     : err_sys(e, errno, "%s", path);
	(void)unlink(tmp);
	return rc;
}

int pkg_key_generate(const char *config_dir, const char *name, struct pkg_public_key *ret, struct err *e)
{
	auto_free char *path = key_path(config_dir, name, e);
	auto_free char *dir = mem_printf(e, "%s/keys", config_dir);
	auto_pair *pair = NULL;
	__attribute__((cleanup(key_close))) struct pkg_secret_key *k = NULL;
	__attribute__((cleanup(wipe_buf))) struct buf pem = BUF_INIT(PEM_MAX);

	if (!path || !dir || path_make_dirs(dir, 0700, e) < 0)
		return -1;
	if (access(path, F_OK) == 0)
		return err_set(e, ERR_EXISTS, "%s: there is a key of that name already", path);
	pair = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	if (!pair)
		return crypto_error(e, "cannot make a key");
	if (key_of_pair(pair, &k, e) < 0 || print_pem(pair, &pem, e) < 0)
		return -1;
	/* Trust first: an interruption between the two leaves a trusted key that nobody has, which
	 * harms less than an own key that is refused. */
	if (pkg_trust_add(config_dir, &k->public, name, e) < 0 || write_new(path, &pem, e) < 0)
		return -1;
	*ret = k->public;
	return 0;
}

/* Answers "no passphrase" instead of asking at the terminal. */
static int no_passphrase(char *text, int cap, int is_writing, void *arg)
{
	(void)text, (void)cap, (void)is_writing, (void)arg;
	return -1;
}

int pkg_key_load(const char *config_dir, const char *name, struct pkg_secret_key **ret, struct err *e)
{
	auto_free char *path = key_path(config_dir, name, e);
	__attribute__((cleanup(wipe_buf))) struct buf pem = BUF_INIT(PEM_MAX);
	auto_bio *bio = NULL;
	auto_pair *pair = NULL;

	if (!path)
		return -1;
	if (fd_read_file(AT_FDCWD, path, &pem, e) < 0)
		return -1;
	if (pem.len == 0)
		return err_set(e, ERR_FORMAT, "%s: empty", path);
	bio = BIO_new_mem_buf(pem.data, (int)pem.len);
	pair = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
	if (!pair) {
		(void)crypto_error(e, path);
		e->code = ERR_FORMAT;
		return -1;
	}
	if (key_of_pair(pair, ret, e) < 0)
		return err_wrap(e, "%s", path);
	return 0;
}

void pkg_key_close(struct pkg_secret_key *k)
{
	if (!k)
		return;
	EVP_PKEY_free(k->pair); /* libcrypto wipes the secret */
	free(k);
}

void pkg_key_public(const struct pkg_secret_key *k, struct pkg_public_key *ret)
{
	*ret = k->public;
}

int pkg_key_sign(const struct pkg_secret_key *k, const void *data, size_t len, uint8_t ret[PKG_SIGNATURE_LEN],
		 struct err *e)
{
	auto_md_ctx *ctx = EVP_MD_CTX_new();
	uint8_t sig[PKG_SIGNATURE_LEN];
	size_t sig_len = sizeof(sig);

	if (!ctx || EVP_DigestSignInit(ctx, NULL, NULL, NULL, k->pair) != 1 ||
	    EVP_DigestSign(ctx, sig, &sig_len, data, len) != 1 || sig_len != sizeof(sig))
		return crypto_error(e, "cannot sign");
	memcpy(ret, sig, sizeof(sig));
	return 0;
}

int pkg_key_verify(const struct pkg_public_key *k, const void *data, size_t len,
		   const uint8_t sig[PKG_SIGNATURE_LEN], struct err *e)
{
	auto_pair *pair = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, k->b, PKG_KEY_LEN);
	auto_md_ctx *ctx = EVP_MD_CTX_new();

	if (!pair || !ctx || EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, pair) != 1)
		return crypto_error(e, "cannot verify");
	if (EVP_DigestVerify(ctx, sig, PKG_SIGNATURE_LEN, data, len) != 1) {
		ERR_clear_error();
		return err_set(e, ERR_INTEGRITY, "the signature is wrong");
	}
	return 0;
}

void pkg_key_prepare(void)
{
	const struct pkg_public_key nobody = { .b = { 1 } };
	const uint8_t signature[PKG_SIGNATURE_LEN] = { 0 };
	struct err ignored;

	(void)!pkg_key_verify(&nobody, "", 0, signature, &ignored);
}
