/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of repositories: signed bytes <-> struct; see repository.h, and FORMAT.md for the members.
 *
 * A list names files to fetch and commands to show, so names and addresses are checked here once, on the way
 * in and on the way out. Finding and comparing is in repository_order.c. */
#include "package-format/repository.h"

#include <jansson.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "base/bytes.h"
#include "base/path.h"
#include "package-format/header.h"

static const char first_words[] = "floe-repository 1 ";

enum {
	KEY_AT = sizeof(first_words) - 1,
	SIGNATURE_AT = KEY_AT + 2 * PKG_KEY_LEN + 1,
	SIGNATURE_END = SIGNATURE_AT + 2 * PKG_SIGNATURE_LEN,
};
_Static_assert(SIGNATURE_END + 1 == PKG_REPOSITORY_LINE_LEN, "the first line");

/* ---- freeing ------------------------------------------------------------------------------ */

void pkg_repository_package_fini(struct pkg_repository_package *p)
{
	free(p->name);
	free(p->version);
	free(p->summary);
	free(p->url);
	free(p->icon);
	*p = (struct pkg_repository_package){ 0 };
}

void pkg_repository_free(struct pkg_repository *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->mirror_count; i++)
		free(r->mirrors[i]);
	for (size_t i = 0; i < r->package_count; i++)
		pkg_repository_package_fini(&r->packages[i]);
	free(r->mirrors);
	free(r->packages);
	free(r->name);
	free(r);
}

static void repository_cleanup(struct pkg_repository **r)
{
	pkg_repository_free(*r);
}
static void json_cleanup(json_t **v)
{
	json_decref(*v);
}
#define auto_repository __attribute__((cleanup(repository_cleanup)))
#define auto_json       __attribute__((cleanup(json_cleanup)))

/* ---- checks that reading and writing share -------------------------------------------------- */

static bool is_line(const char *text, size_t max, const char *without)
{
	size_t len = strlen(text);

	if (len > max)
		return false;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < 32 || text[i] == 127 || strchr(without, text[i]))
			return false;
	return true;
}

/* Segments of letters, digits and "._~@-" that do not start with '.': as a path and as a URL the same. */
static bool is_address(const char *url)
{
	size_t len = strlen(url);

	if (!len || len > PKG_REPOSITORY_URL_MAX || url[len - 1] == '/')
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = url[i];
		bool is_start = !i || url[i - 1] == '/';

		if (is_start && (c == '.' || c == '/'))
			return false;
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      strchr("._~@-/", c)))
			return false;
	}
	return true;
}

static bool is_mirror(const char *url)
{
	size_t len = strlen(url);

	return (!strncasecmp(url, "http://", 7) || !strncasecmp(url, "https://", 8)) && len > 8 &&
	       url[len - 1] == '/' && is_line(url, PKG_REPOSITORY_URL_MAX, " \"<>\\^`{|}?#");
}

static int check_package(const struct pkg_repository_package *p, struct err *e)
{
	const char *name = p->name && path_is_plain_name(p->name) ? p->name : NULL;

	if (!name)
		return err_set(e, ERR_FORMAT, "a package's name is not a plain name");
	if (!is_line(p->version, PKG_REPOSITORY_VERSION_MAX, " /"))
		return err_set(e, ERR_FORMAT, "%s: version: too long, or with blanks or '/' in it", name);
	if (p->summary && !is_line(p->summary, PKG_REPOSITORY_SUMMARY_MAX, ""))
		return err_set(e, ERR_FORMAT, "%s: summary: too long, or not one line", name);
	if (!is_address(p->url) || (p->icon && !is_address(p->icon)))
		return err_set(e, ERR_FORMAT, "%s: url, icon: not an address inside the repository", name);
	if (!p->index_len || p->index_len > PKG_INDEX_STORED_MAX || p->file_len > INT64_MAX ||
	    PKG_HEADER_LEN + p->index_len > p->feature_block_end || p->feature_block_end > p->file_len)
		return err_set(e, ERR_FORMAT, "%s: lengths that no package has", name);
	return p->added_s < 0 ? err_set(e, ERR_FORMAT, "%s: added before 1970", name) : 0;
}

static int check(const struct pkg_repository *r, struct err *e)
{
	if (!r->name || !path_is_plain_name(r->name))
		return err_set(e, ERR_FORMAT, "name: not a plain name");
	if (!r->serial || r->serial > INT64_MAX)
		return err_set(e, ERR_FORMAT, "serial: not a number from 1");
	if (r->issued_s < 0 || r->expires_s <= r->issued_s)
		return err_set(e, ERR_FORMAT, "expires: not later than issued");
	if (r->mirror_count > PKG_REPOSITORY_MIRRORS_MAX)
		return err_set(e, ERR_LIMIT, "more than %d mirrors", PKG_REPOSITORY_MIRRORS_MAX);
	if (r->package_count > PKG_REPOSITORY_PACKAGES_MAX)
		return err_set(e, ERR_LIMIT, "more than %d packages", PKG_REPOSITORY_PACKAGES_MAX);
	for (size_t i = 0; i < r->mirror_count; i++)
		if (!is_mirror(r->mirrors[i]))
			return err_set(
				e, ERR_FORMAT,
				"mirrors: \"%.200s\" is not an http or https URL with a '/' at its end",
				r->mirrors[i]);
	for (size_t i = 0; i < r->package_count; i++) {
		if (check_package(&r->packages[i], e) < 0)
			return -1;
		if (i && pkg_repository_order(&r->packages[i - 1], &r->packages[i]) >= 0)
			return err_set(e, ERR_FORMAT, "%s: not in order, or twice", r->packages[i].name);
	}
	return 0;
}

/* ---- reading -------------------------------------------------------------------------------- */

static int copy(const char *text, char **ret, struct err *e)
{
	*ret = mem_strdup(text, e);
	return *ret ? 0 : -1;
}

static int read_package(json_t *v, struct pkg_repository_package *p, struct err *e)
{
	const char *name, *version, *url, *root, *summary = NULL, *icon = NULL;
	json_int_t file, index, block, added;
	json_error_t why;

	if (json_unpack_ex(v, &why, 0, "{s:s, s:s, s?s, s:s, s?s, s:s, s:I, s:I, s:I, s:I}", "name", &name,
			   "version", &version, "summary", &summary, "url", &url, "icon", &icon, "root",
			   &root, "file_length", &file, "index_length", &index, "feature_block_end", &block,
			   "added", &added) < 0)
		return err_set(e, ERR_FORMAT, "packages: %s", why.text);
	if (file < 0 || index < 0 || block < 0)
		return err_set(e, ERR_FORMAT, "%.64s: a negative length", name);
	p->file_len = (uint64_t)file;
	p->index_len = (uint64_t)index;
	p->feature_block_end = (uint64_t)block;
	p->added_s = added;
	if (pkg_digest_parse(root, &p->root, e) < 0) {
		e->code = ERR_FORMAT;
		return err_wrap(e, "%.64s: root", name);
	}
	if ((summary && copy(summary, &p->summary, e) < 0) || (icon && copy(icon, &p->icon, e) < 0))
		return -1;
	return copy(name, &p->name, e) < 0 || copy(version, &p->version, e) < 0 || copy(url, &p->url, e) < 0
		       ? -1
		       : 0;
}

static int read_mirrors(const json_t *list, struct pkg_repository *r, struct err *e)
{
	size_t count = json_array_size(list);

	if (count > PKG_REPOSITORY_MIRRORS_MAX)
		return err_set(e, ERR_LIMIT, "more than %d mirrors", PKG_REPOSITORY_MIRRORS_MAX);
	r->mirrors = mem_alloc(count, sizeof(*r->mirrors), e);
	if (!r->mirrors)
		return -1;
	for (size_t i = 0; i < count; i++) {
		const char *url = json_string_value(json_array_get(list, i));

		if (!url)
			return err_set(e, ERR_FORMAT, "mirrors must be a list of strings");
		if (copy(url, &r->mirrors[i], e) < 0)
			return -1;
		r->mirror_count++;
	}
	return 0;
}

static int read_packages(const json_t *list, struct pkg_repository *r, struct err *e)
{
	size_t count = json_array_size(list);

	if (count > PKG_REPOSITORY_PACKAGES_MAX)
		return err_set(e, ERR_LIMIT, "more than %d packages", PKG_REPOSITORY_PACKAGES_MAX);
	r->packages = mem_alloc(count, sizeof(*r->packages), e);
	if (!r->packages)
		return -1;
	for (size_t i = 0; i < count; i++) {
		r->package_count++; /* counted first, so that a half-filled one is freed */
		if (read_package(json_array_get(list, i), &r->packages[i], e) < 0)
			return -1;
	}
	return 0;
}

static int read_list(json_t *v, struct pkg_repository *r, struct err *e)
{
	json_int_t format, serial, issued, expires;
	json_t *packages, *mirrors = NULL;
	const char *name;
	json_error_t why;

	if (json_unpack_ex(v, &why, 0, "{s:I}", "format", &format) < 0)
		return err_set(e, ERR_FORMAT, "%s", why.text);
	if (format != 1)
		return err_set(e, ERR_UNSUPPORTED,
			       "format %lld is not known to this floe; a newer one may read it",
			       (long long)format);
	if (json_unpack_ex(v, &why, 0, "{s:s, s:I, s:I, s:I, s?o, s:o}", "name", &name, "serial", &serial,
			   "issued", &issued, "expires", &expires, "mirrors", &mirrors, "packages",
			   &packages) < 0)
		return err_set(e, ERR_FORMAT, "%s", why.text);
	if (!json_is_array(packages) || (mirrors && !json_is_array(mirrors)))
		return err_set(e, ERR_FORMAT, "packages and mirrors must be lists");
	r->serial = serial > 0 ? (uint64_t)serial : 0;
	r->issued_s = issued;
	r->expires_s = expires;
	if (copy(name, &r->name, e) < 0 || (mirrors && read_mirrors(mirrors, r, e) < 0) ||
	    read_packages(packages, r, e) < 0)
		return -1;
	return check(r, e);
}

int pkg_repository_parse(const char *json, size_t len, struct pkg_repository **ret, struct err *e)
{
	auto_repository struct pkg_repository *r = NULL;
	auto_json json_t *v = NULL;
	json_error_t why;

	if (len > PKG_REPOSITORY_MAX)
		return err_set(e, ERR_LIMIT, "repository list: longer than %d bytes", PKG_REPOSITORY_MAX);
	v = json_loadb(json, len, JSON_REJECT_DUPLICATES, &why);
	if (!v)
		return err_set(e, ERR_FORMAT, "repository list: line %d: %s", why.line, why.text);
	r = mem_alloc(1, sizeof(*r), e);
	if (!r)
		return -1;
	if (read_list(v, r, e) < 0)
		return err_wrap(e, "repository list");
	*ret = mem_steal(r);
	return 0;
}

/* Hexadecimal in the first line is lower case: one list has one form. */
static int take_hex(const char *at, size_t len, uint8_t *ret)
{
	char hex[2 * PKG_SIGNATURE_LEN + 1];

	memcpy(hex, at, 2 * len);
	hex[2 * len] = 0;
	return strspn(hex, "0123456789abcdef") == 2 * len ? bytes_from_hex(hex, ret, len) : -1;
}

int pkg_repository_check(const void *bytes, size_t len, struct pkg_public_key *ret_signer, struct err *e)
{
	const char *line = bytes;
	uint8_t signature[PKG_SIGNATURE_LEN];
	struct pkg_public_key key;

	if (len > PKG_REPOSITORY_MAX)
		return err_set(e, ERR_LIMIT, "repository list: longer than %d bytes", PKG_REPOSITORY_MAX);
	if (len < PKG_REPOSITORY_LINE_LEN || memcmp(line, first_words, 16) != 0)
		return err_set(e, ERR_FORMAT, "not a repository's list");
	if (memcmp(line, first_words, KEY_AT) != 0)
		return err_set(e, ERR_UNSUPPORTED,
			       "a repository's list in a form that is not known to this floe");
	if (take_hex(line + KEY_AT, PKG_KEY_LEN, key.b) < 0 || line[SIGNATURE_AT - 1] != ' ' ||
	    take_hex(line + SIGNATURE_AT, PKG_SIGNATURE_LEN, signature) < 0 || line[SIGNATURE_END] != '\n')
		return err_set(e, ERR_FORMAT, "repository list: the first line is damaged");
	if (pkg_key_verify(&key, line + PKG_REPOSITORY_LINE_LEN, len - PKG_REPOSITORY_LINE_LEN, signature,
			   e) < 0)
		return err_wrap(e, "repository list");
	*ret_signer = key;
	return 0;
}

int pkg_repository_open(const void *bytes, size_t len, struct pkg_repository **ret, struct err *e)
{
	struct pkg_public_key signer;

	if (pkg_repository_check(bytes, len, &signer, e) < 0 ||
	    pkg_repository_parse((const char *)bytes + PKG_REPOSITORY_LINE_LEN, len - PKG_REPOSITORY_LINE_LEN,
				 ret, e) < 0)
		return -1;
	(*ret)->signer = signer;
	return 0;
}

/* ---- writing -------------------------------------------------------------------------------- */

/* NULL when a string is not UTF-8, or on lack of memory. */
static json_t *package_of(const struct pkg_repository_package *p)
{
	char root[PKG_DIGEST_HEX];
	json_t *v;

	pkg_digest_hex(&p->root, root);
	v = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I}", "name", p->name, "version", p->version,
		      "url", p->url, "root", root, "file_length", (json_int_t)p->file_len, "index_length",
		      (json_int_t)p->index_len, "feature_block_end", (json_int_t)p->feature_block_end,
		      "added", (json_int_t)p->added_s);
	if ((p->summary && json_object_set_new(v, "summary", json_string(p->summary)) < 0) ||
	    (p->icon && json_object_set_new(v, "icon", json_string(p->icon)) < 0)) {
		json_decref(v);
		return NULL;
	}
	return v;
}

static json_t *list_of(const struct pkg_repository *r)
{
	auto_json json_t *packages = json_array();
	auto_json json_t *mirrors = json_array();

	for (size_t i = 0; i < r->package_count; i++)
		if (json_array_append_new(packages, package_of(&r->packages[i])) < 0)
			return NULL;
	for (size_t i = 0; i < r->mirror_count; i++)
		if (json_array_append_new(mirrors, json_string(r->mirrors[i])) < 0)
			return NULL;
	return json_pack("{s:i, s:s, s:I, s:I, s:I, s:O, s:O}", "format", 1, "name", r->name, "serial",
			 (json_int_t)r->serial, "issued", (json_int_t)r->issued_s, "expires",
			 (json_int_t)r->expires_s, "mirrors", mirrors, "packages", packages);
}

int pkg_repository_print(const struct pkg_repository *r, struct buf *ret, struct err *e)
{
	auto_json json_t *v = NULL;
	auto_free char *text = NULL;

	if (check(r, e) < 0)
		return err_wrap(e, "repository list");
	v = list_of(r);
	if (v)
		text = json_dumps(v, JSON_INDENT(2) | JSON_SORT_KEYS);
	if (!text)
		return err_set(e, ERR_FORMAT, "repository list: a string is not UTF-8");
	if (strlen(text) + 1 + PKG_REPOSITORY_LINE_LEN > PKG_REPOSITORY_MAX)
		return err_set(e, ERR_LIMIT, "repository list: longer than %d bytes", PKG_REPOSITORY_MAX);
	if (buf_add_str(ret, text, e) < 0)
		return -1;
	return buf_add_str(ret, "\n", e);
}

int pkg_repository_seal(struct pkg_repository *r, const struct pkg_secret_key *key, struct buf *ret,
			struct err *e)
{
	auto_buf struct buf json = BUF_INIT(PKG_REPOSITORY_MAX);
	uint8_t signature[PKG_SIGNATURE_LEN];
	char key_hex[PKG_KEY_HEX], signature_hex[2 * PKG_SIGNATURE_LEN + 1];
	struct pkg_public_key public;

	pkg_key_public(key, &public);
	if (pkg_repository_print(r, &json, e) < 0 || pkg_key_sign(key, json.data, json.len, signature, e) < 0)
		return -1;
	pkg_key_hex(&public, key_hex);
	bytes_to_hex(signature, sizeof(signature), signature_hex);
	if (buf_printf(ret, e, "%s%s %s\n", first_words, key_hex, signature_hex) < 0 ||
	    buf_add(ret, json.data, json.len, e) < 0)
		return -1;
	r->signer = public;
	return 0;
}
