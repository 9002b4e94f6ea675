/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of repositories: the exact bytes, what is refused by its name, order, and which list follows which.
 */
#include "package-format/repository.h"
#include "tests/unit/package-format/fixture.h"

#define ROOT "4af562cd6685f5375d9d0c620e7158c927ebf013dde513ac8d43a74ab57df400"

static const char full[] = "{\n"
			   "  \"expires\": 1800000000,\n"
			   "  \"format\": 1,\n"
			   "  \"issued\": 1700000000,\n"
			   "  \"mirrors\": [\n"
			   "    \"https://mirror.example/apps/\"\n"
			   "  ],\n"
			   "  \"name\": \"apps\",\n"
			   "  \"packages\": [\n"
			   "    {\n"
			   "      \"added\": 1700000000,\n"
			   "      \"feature_block_end\": 4977,\n"
			   "      \"file_length\": 4998,\n"
			   "      \"icon\": \"icons/4af562cd6685f537.png\",\n"
			   "      \"index_length\": 881,\n"
			   "      \"name\": \"sample\",\n"
			   "      \"root\": \"" ROOT "\",\n"
			   "      \"summary\": \"One file \u2013 that is all\",\n"
			   "      \"url\": \"packages/sample-1.0-4af562cd6685f537.floe\",\n"
			   "      \"version\": \"1.0\"\n"
			   "    }\n"
			   "  ],\n"
			   "  \"serial\": 1\n"
			   "}\n";

static struct pkg_repository *parse(const char *json)
{
	struct pkg_repository *r;
	struct err e;

	OK(pkg_repository_parse(json, strlen(json), &r, &e));
	return r;
}

/* `full` with its first `from` replaced by `to`. */
static char *with(const char *from, const char *to)
{
	const char *at = strstr(full, from);
	struct err e;
	char *text;

	assert_non_null(at);
	text = mem_printf(&e, "%.*s%s%s", (int)(at - full), full, to, at + strlen(from));
	assert_non_null(text);
	return text;
}

static void refused(const char *from, const char *to, enum err_code code, const char *word)
{
	auto_free char *json = with(from, to);
	struct pkg_repository *r;
	struct err e;

	FAILS(pkg_repository_parse(json, strlen(json), &r, &e), code);
	if (!strstr(e.msg, word))
		fail_msg("\"%s\" for \"%s\": %s", to, from, e.msg);
}

static void prints_what_it_read(void **state)
{
	auto_buf struct buf text = BUF_INIT(PKG_REPOSITORY_MAX);
	struct pkg_repository *r = parse(full);
	struct err e;

	(void)state;
	OK(pkg_repository_print(r, &text, &e));
	assert_string_equal(buf_text(&text, &e), full);
	pkg_repository_free(r);
}

static void wrong_members(void **state)
{
	(void)state;
	refused("\"format\": 1", "\"format\": 2", ERR_UNSUPPORTED, "newer");
	refused("\"format\": 1", "\"format\": \"1\"", ERR_FORMAT, "integer");
	refused("\"serial\": 1", "\"serial\": 0", ERR_FORMAT, "serial");
	refused("\"serial\": 1", "\"serial\": -5", ERR_FORMAT, "serial");
	refused("1800000000", "1700000000", ERR_FORMAT, "expires");
	refused("\"apps\"", "\"../apps\"", ERR_FORMAT, "name");
	refused("https://mirror.example/apps/", "https://mirror.example/apps", ERR_FORMAT, "mirrors");
	refused("https://mirror.example/apps/", "ftp://mirror.example/", ERR_FORMAT, "mirrors");
	refused("https://mirror.example/apps/", "https://mirror.example/\\n/", ERR_FORMAT, "mirrors");
	refused("packages/sample-", "../sample-", ERR_FORMAT, "url");
	refused("packages/sample-", "/sample-", ERR_FORMAT, "url");
	refused("packages/sample-", "http://evil/", ERR_FORMAT, "url");
	refused("packages/sample-", "packages//", ERR_FORMAT, "url");
	refused("packages/sample-", "packages/%2e%2e/", ERR_FORMAT, "url");
	refused("icons/", "icons/.hidden/", ERR_FORMAT, "icon");
	refused("\"sample\"", "\"-sample\"", ERR_FORMAT, "name");
	refused("\"1.0\"", "\"1 0\"", ERR_FORMAT, "version");
	refused("One file", "One\\nfile", ERR_FORMAT, "summary");
	refused(ROOT, "4af5", ERR_FORMAT, "root");
	refused("4998", "4976", ERR_FORMAT, "length");
	refused("4977", "4976", ERR_FORMAT, "length");
	refused("881", "0", ERR_FORMAT, "length");
	refused("881", "-1", ERR_FORMAT, "length");
	refused("\"added\": 1700000000", "\"added\": -1", ERR_FORMAT, "added");
	refused("\"added\"", "\"addad\"", ERR_FORMAT, "added");
	refused("\"serial\": 1", "\"serial\": 1, \"serial\": 2", ERR_FORMAT, "duplicate");
	refused("}\n  ],", "} 7 ],", ERR_FORMAT, "line");
}

static void sealed(void **state)
{
	const struct fixture *f = *state;
	auto_buf struct buf text = BUF_INIT(PKG_REPOSITORY_MAX);
	struct pkg_repository *r = parse(full), *again;
	struct pkg_public_key signer;
	struct err e;

	OK(pkg_repository_seal(r, f->key, &text, &e));
	assert_int_equal(text.len, PKG_REPOSITORY_LINE_LEN + strlen(full));
	/* FORMAT.md shows this line. */
	assert_memory_equal(text.data,
			    "floe-repository 1 "
			    "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8 "
			    "72ea344cfceef1536828bd3a0a9307ed496748cb5063b5ba3911bae90deb8da8"
			    "de25b6438f8445e0b3b42f8fae086baffcb4f5291adf2785feb03aa645b8dc0c\n",
			    PKG_REPOSITORY_LINE_LEN);
	OK(pkg_repository_open(text.data, text.len, &again, &e));
	assert_memory_equal(&again->signer, &r->signer, sizeof(r->signer));
	assert_string_equal(again->packages[0].version, "1.0");
	pkg_repository_free(again);
	pkg_repository_free(r);

	for (size_t i = 0; i < text.len; i++) {
		text.data[i] ^= 1;
		if (pkg_repository_check(text.data, text.len, &signer, &e) == 0)
			fail_msg("byte %zu can be changed", i);
		text.data[i] ^= 1;
	}
	FAILS(pkg_repository_check(text.data, text.len - 1, &signer, &e), ERR_INTEGRITY);
	FAILS(pkg_repository_check(text.data, PKG_REPOSITORY_LINE_LEN - 1, &signer, &e), ERR_FORMAT);
	FAILS(pkg_repository_check("<html>", 6, &signer, &e), ERR_FORMAT);
	text.data[16] = '2';
	FAILS(pkg_repository_check(text.data, text.len, &signer, &e), ERR_UNSUPPORTED);
	text.data[16] = '1';
	text.data[18 + 5] = 'F'; /* no second way to write the key */
	FAILS(pkg_repository_check(text.data, text.len, &signer, &e), ERR_FORMAT);
}

static void insert(struct pkg_repository *r, const char *name, const char *version)
{
	struct pkg_repository_package p = r->packages[0];
	struct err e;

	p.name = mem_strdup(name, &e);
	p.version = mem_strdup(version, &e);
	p.url = mem_strdup("x.floe", &e);
	p.summary = p.icon = NULL;
	OK(pkg_repository_insert(r, &p, &e));
	assert_null(p.name);
}

static void in_order(void **state)
{
	auto_buf struct buf text = BUF_INIT(PKG_REPOSITORY_MAX);
	struct pkg_repository *r = parse(full), *again;
	struct pkg_repository_package twice = r->packages[0];
	struct err e;

	(void)state;
	insert(r, "sample", "1.10");
	insert(r, "sample", "1.9");
	insert(r, "a", "");
	insert(r, "zz", "1");
	FAILS(pkg_repository_insert(r, &twice, &e), ERR_EXISTS);
	assert_int_equal(r->package_count, 5);
	assert_string_equal(pkg_repository_find(r, "sample", NULL)->version, "1.10");
	assert_string_equal(pkg_repository_find(r, "sample", "1.9")->version, "1.9");
	assert_string_equal(pkg_repository_find(r, "a", "")->version, "");
	assert_null(pkg_repository_find(r, "sample", "1.1"));
	assert_null(pkg_repository_find(r, "sampl", NULL));
	assert_null(pkg_repository_find(r, "zzz", NULL));
	OK(pkg_repository_print(r, &text, &e));
	OK(pkg_repository_parse((const char *)text.data, text.len, &again, &e));
	pkg_repository_free(again);
	twice = r->packages[1];
	r->packages[1] = r->packages[2];
	r->packages[2] = twice;
	FAILS(pkg_repository_print(r, &text, &e), ERR_FORMAT);
	pkg_repository_free(r);
}

static void follows(void **state)
{
	struct pkg_repository *r = parse(full);
	struct pkg_public_key other = { { 1 } };
	struct err e;

	(void)state;
	r->serial = 5;
	OK(pkg_repository_may_follow(r, 0, 0, NULL, 1750000000, &e));
	OK(pkg_repository_may_follow(r, 5, 1700000000, &r->signer, 1750000000, &e));
	OK(pkg_repository_may_follow(r, 4, 1600000000, &r->signer, 1799999999, &e));
	FAILS(pkg_repository_may_follow(r, 6, 1600000000, &r->signer, 1750000000, &e), ERR_TRUST);
	assert_non_null(strstr(e.msg, "old list"));
	FAILS(pkg_repository_may_follow(r, 4, 1700000001, &r->signer, 1750000000, &e), ERR_TRUST);
	assert_non_null(strstr(e.msg, "old list"));
	FAILS(pkg_repository_may_follow(r, 4, 1600000000, &other, 1750000000, &e), ERR_TRUST);
	assert_non_null(strstr(e.msg, "another key"));
	FAILS(pkg_repository_may_follow(r, 0, 0, NULL, 1800000000, &e), ERR_TRUST);
	assert_non_null(strstr(e.msg, "expired"));
	pkg_repository_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prints_what_it_read),
		cmocka_unit_test(wrong_members),
		cmocka_unit_test_setup_teardown(sealed, fixture_open, fixture_close),
		cmocka_unit_test(in_order),
		cmocka_unit_test(follows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
