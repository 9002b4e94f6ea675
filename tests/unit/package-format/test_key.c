/* SPDX-License-Identifier: Apache-2.0 */
/* Keys and trust: files as key.h says, signatures, and that a revocation outweighs everything. */
#include "tests/unit/package-format/fixture.h"

static void generate_sign_verify(void **state)
{
	struct fixture *f = *state;
	struct pkg_public_key k, k2;
	struct pkg_secret_key *s;
	uint8_t sig[PKG_SIGNATURE_LEN];
	struct stat st;
	struct err e;

	OK(pkg_key_generate(below(f, "config"), "default", &k, &e));
	assert_int_equal(stat(below(f, "config/keys/default.key"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	FAILS(pkg_key_generate(below(f, "config"), "default", &k2, &e), ERR_EXISTS);
	FAILS(pkg_key_generate(below(f, "config"), "../x", &k2, &e), ERR_USAGE);
	OK(pkg_key_load(below(f, "config"), "default", &s, &e));
	pkg_key_public(s, &k2);
	assert_memory_equal(&k, &k2, sizeof(k));
	OK(pkg_key_sign(s, "text", 4, sig, &e));
	OK(pkg_key_verify(&k, "text", 4, sig, &e));
	FAILS(pkg_key_verify(&k, "tExt", 4, sig, &e), ERR_INTEGRITY);
	FAILS(pkg_key_verify(&k, "text", 3, sig, &e), ERR_INTEGRITY);
	sig[40] ^= 1;
	FAILS(pkg_key_verify(&k, "text", 4, sig, &e), ERR_INTEGRITY);
	sig[40] ^= 1;
	k.b[0] ^= 1;
	assert_int_equal(pkg_key_verify(&k, "text", 4, sig, &e), -1);
	pkg_key_close(s);
	OK(pkg_trust_check(below(f, "config"), &k2, &e));
}

static void damaged_key_files(void **state)
{
	struct fixture *f = *state;
	struct pkg_secret_key *s;
	struct err e;

	FAILS(pkg_key_load(below(f, "config"), "none", &s, &e), ERR_NOTFOUND);
	put_file(f, "config/keys/empty.key", "", 0);
	FAILS(pkg_key_load(below(f, "config"), "empty", &s, &e), ERR_FORMAT);
	put_file(f, "config/keys/junk.key", "junk\n", 5);
	FAILS(pkg_key_load(below(f, "config"), "junk", &s, &e), ERR_FORMAT);
	put_file(f, "config/keys/half.key", throwaway_key, strlen(throwaway_key) / 2);
	FAILS(pkg_key_load(below(f, "config"), "half", &s, &e), ERR_FORMAT);
}

static void trust(void **state)
{
	struct fixture *f = *state;
	struct pkg_public_key k;
	struct pkg_trust_entry *list;
	char hex[PKG_KEY_HEX], command[128];
	size_t count;
	struct err e;

	pkg_key_public(f->key, &k);
	pkg_key_hex(&k, hex);
	FAILS(pkg_trust_check(below(f, "config"), &k, &e), ERR_TRUST);
	(void)snprintf(command, sizeof(command), "floe key trust %s", hex);
	assert_non_null(strstr(e.msg, command));
	OK(pkg_trust_add(below(f, "config"), &k, "A\nname", &e));
	OK(pkg_trust_check(below(f, "config"), &k, &e));
	OK(unlink(below(f, "config/keys/test.key")));
	OK(pkg_trust_list(below(f, "config"), &list, &count, &e));
	assert_int_equal(count, 1);
	assert_int_equal(list[0].state, PKG_KEY_TRUSTED);
	assert_string_equal(list[0].label, "A name");
	free(list);
	OK(pkg_trust_revoke(below(f, "config"), &k, &e));
	FAILS(pkg_trust_check(below(f, "config"), &k, &e), ERR_TRUST);
	assert_non_null(strstr(e.msg, "revoked"));
	FAILS(pkg_trust_add(below(f, "config"), &k, "again", &e), ERR_TRUST);
	/* Even when someone puts the file there by hand. */
	put_file(f, "config/keys/trusted/x", "x", 1);
	OK(rename(below(f, "config/keys/trusted/x"),
		  strcat(strcpy((char[4200]){ 0 }, below(f, "config/keys/trusted/")), hex)));
	FAILS(pkg_trust_check(below(f, "config"), &k, &e), ERR_TRUST);
	OK(pkg_trust_list(below(f, "config"), &list, &count, &e));
	assert_int_equal(count, 1);
	assert_int_equal(list[0].state, PKG_KEY_REVOKED);
	free(list);
}

static void own_keys_are_listed(void **state)
{
	struct fixture *f = *state;
	struct pkg_trust_entry *list;
	struct pkg_public_key k;
	size_t count;
	struct err e;

	OK(pkg_key_generate(below(f, "config"), "default", &k, &e));
	OK(pkg_trust_list(below(f, "config"), &list, &count, &e));
	assert_int_equal(count, 2); /* and "test" */
	for (size_t i = 0; i < count; i++)
		assert_int_equal(list[i].state, PKG_KEY_OWN);
	assert_true(memcmp(&list[0].key, &list[1].key, sizeof(k)) < 0);
	free(list);
	OK(pkg_trust_list(below(f, "nowhere"), &list, &count, &e));
	assert_int_equal(count, 0);
	free(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(generate_sign_verify, fixture_open, fixture_close),
		cmocka_unit_test_setup_teardown(damaged_key_files, fixture_open, fixture_close),
		cmocka_unit_test_setup_teardown(trust, fixture_open, fixture_close),
		cmocka_unit_test_setup_teardown(own_keys_are_listed, fixture_open, fixture_close),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
