/* SPDX-License-Identifier: Apache-2.0 */
/* A repository as a page: each package once, with its newest version, and its older ones to be unfolded. */
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "base/bytes.h"
#include "launcher/cmd_serve_html.h"

static void day_of(int64_t seconds, char ret[32])
{
	time_t t = (time_t)seconds;
	struct tm tm;

	if (!gmtime_r(&t, &tm) || !strftime(ret, 32, "%Y-%m-%d", &tm))
		ret[0] = 0;
}

/* NAME or NAME@VERSION for a shell, in HTML. */
static int add_reference(struct buf *b, const struct pkg_repository_package *p, bool with_version,
			 struct err *e)
{
	bool is_plain = !with_version || !p->version[strspn(p->version, "abcdefghijklmnopqrstuvwxyz"
									"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
									"0123456789.:_+~-")];

	if (is_plain) {
		if (serve_html_text(b, p->name, e) < 0)
			return -1;
		return !with_version                ? 0
		       : buf_add_str(b, "@", e) < 0 ? -1
						    : serve_html_text(b, p->version, e);
	}
	if (buf_add_str(b, "&#39;", e) < 0 || serve_html_text(b, p->name, e) < 0 ||
	    buf_add_str(b, "@", e) < 0)
		return -1;
	for (const char *c = p->version; *c; c++) {
		char one[2] = { *c, 0 };

		if ((*c == '\'' ? buf_add_str(b, "&#39;\\&#39;&#39;", e) : serve_html_text(b, one, e)) < 0)
			return -1;
	}
	return buf_add_str(b, "&#39;", e);
}

static int add_command(struct buf *b, const struct pkg_repository_package *p, bool with_version,
		       struct err *e)
{
	if (buf_add_str(b, "<p><code>floe run ", e) < 0 || add_reference(b, p, with_version, e) < 0)
		return -1;
	return buf_add_str(b, "</code></p>", e);
}

static int add_facts(struct buf *b, const struct pkg_repository_package *p, const char *path, struct err *e)
{
	char size[32], start[32], day[32];

	bytes_human(p->file_len, size);
	bytes_human(p->feature_block_end, start);
	day_of(p->added_s, day);
	if (buf_add_str(b, "<p class=\"facts\"><a href=\"", e) < 0 || serve_html_url(b, path, e) < 0 ||
	    serve_html_url(b, p->url, e) < 0)
		return -1;
	return buf_printf(b, e, "\">%s</a>, starts with %s, added %s</p>", size, start, day);
}

static int add_icon(struct buf *b, const struct pkg_repository_package *p, const char *path, struct err *e)
{
	if (!p->icon)
		return serve_html_letter(b, p->name, e);
	if (buf_add_str(b, "<img alt=\"\" loading=\"lazy\" src=\"", e) < 0 ||
	    serve_html_url(b, path, e) < 0 || serve_html_url(b, p->icon, e) < 0)
		return -1;
	return buf_add_str(b, "\">", e);
}

/* packages[0] is the newest of `count` versions. */
static int add_package(struct buf *b, const struct pkg_repository_package *packages, size_t count,
		       const char *path, struct err *e)
{
	const struct pkg_repository_package *p = packages;

	if (buf_add_str(b, "<article>", e) < 0 || add_icon(b, p, path, e) < 0 ||
	    buf_add_str(b, "<div><h2>", e) < 0 || serve_html_text(b, p->name, e) < 0 ||
	    buf_add_str(b, " <small>", e) < 0 || serve_html_text(b, p->version, e) < 0 ||
	    buf_add_str(b, "</small></h2>", e) < 0)
		return -1;
	if (p->summary && (buf_add_str(b, "<p>", e) < 0 || serve_html_text(b, p->summary, e) < 0 ||
			   buf_add_str(b, "</p>", e) < 0))
		return -1;
	if (add_command(b, p, false, e) < 0 || add_facts(b, p, path, e) < 0)
		return -1;
	if (count > 1 && buf_printf(b, e, "<details><summary>%zu older version%s</summary>", count - 1,
				    count > 2 ? "s" : "") < 0)
		return -1;
	for (size_t i = 1; i < count; i++)
		if (add_command(b, &packages[i], true, e) < 0 || add_facts(b, &packages[i], path, e) < 0)
			return -1;
	return buf_add_str(b, count > 1 ? "</details></div></article>\n" : "</div></article>\n", e);
}

static size_t versions_of(const struct pkg_repository *r, size_t first)
{
	size_t end = first + 1;

	while (end < r->package_count && !strcmp(r->packages[end].name, r->packages[first].name))
		end++;
	return end - first;
}

static int add_head(struct buf *b, const struct pkg_repository *r, const char *path, const char *host,
		    struct err *e)
{
	char id[PKG_KEY_ID_HEX], issued[32], expires[32];

	pkg_key_id(&r->signer, id);
	day_of(r->issued_s, issued);
	day_of(r->expires_s, expires);
	if (buf_add_str(b, "<header><h1>", e) < 0 || serve_html_text(b, r->name, e) < 0 ||
	    buf_add_str(b,
			"</h1>\n<p>Applications that run without being installed. Subscribe once:</p>"
			"<p><code>floe add http://",
			e) < 0 ||
	    serve_html_text(b, host, e) < 0 || serve_html_url(b, path, e) < 0 ||
	    buf_printf(b, e, "</code></p>\n<p class=\"facts\">Signed by key %s on %s, good until %s</p>", id,
		       issued, expires) < 0)
		return -1;
	if (r->expires_s <= (int64_t)time(NULL) &&
	    buf_add_str(b,
			"<p class=\"warn\">This list has expired and is refused until its publisher renews "
			"it: floe repo sign</p>",
			e) < 0)
		return -1;
	return buf_add_str(b, "</header>\n<main>\n", e);
}

int serve_catalogue_page(const struct pkg_repository *r, const char *path, const char *host, struct buf *ret,
			 struct err *e)
{
	if (serve_html_begin(ret, r->name, e) < 0 || add_head(ret, r, path, host, e) < 0)
		return -1;
	for (size_t i = 0, count; i < r->package_count; i += count) {
		count = versions_of(r, i);
		if (add_package(ret, &r->packages[i], count, path, e) < 0)
			return -1;
	}
	if (!r->package_count && buf_add_str(ret, "<p>There are no packages yet.</p>\n", e) < 0)
		return -1;
	return serve_html_end(ret, e);
}
