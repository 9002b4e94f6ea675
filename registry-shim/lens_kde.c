/* SPDX-License-Identifier: Apache-2.0 */
/* The lenses "kde" and "gsettings"; see lens_kde.h. */
#include "registry-shim/lens_kde.h"

#include <string.h>

#include "registry-shim/lens_ini.h"

/* A header's parts, divided by `mark`, as nested containers. */
static uint32_t section_of(struct reg_doc *d, const char *name, size_t len, const char *mark, struct err *e)
{
	size_t mark_len = strlen(mark);
	uint32_t container = DOC_TOP;

	for (const char *next = name; next && container != DOC_NONE;) {
		size_t part;

		next = memmem(name, len, mark, mark_len);
		part = next ? (size_t)(next - name) : len;
		container = doc_container(d, container, name, part, e);
		if (next) {
			name = next + mark_len;
			len -= part + mark_len;
		}
	}
	return container;
}

static uint32_t kde_section(struct reg_doc *d, const char *name, size_t len, struct err *e)
{
	if (len >= 2 && !memcmp(name + len - 2, "$i", 2) &&
	    (len == 2 || (len >= 4 && !memcmp(name + len - 4, "][", 2))))
		len -= len == 2 ? 2 : 4;
	return len ? section_of(d, name, len, "][", e) : DOC_TOP;
}

static int kde_header(struct reg_doc *d, uint32_t section, struct buf *ret, struct err *e)
{
	return lines_header(d, section, "][", ret, e);
}

static const struct line_syntax kde_syntax = {
	.equals = "=", .read = ini_read, .section = kde_section, .header = kde_header
};

static bool has(const char *text, size_t len, const char *mark)
{
	return text && memmem(text, len, mark, strlen(mark));
}

static bool kde_fits(const char *base, const char *text, size_t len)
{
	size_t base_len = strlen(base);

	return base_len > 2 && !strcmp(base + base_len - 2, "rc") &&
	       (has(text, len, "][") || has(text, len, "[$")) && lines_fit(&kde_syntax, text, len);
}

const struct reg_lens reg_lens_kde = {
	.name = "kde",
	.paths = DOC_NESTED,
	.syntax = &kde_syntax,
	.scan = lines_scan,
	.change = lines_change,
	.add = lines_add,
	.remove = lines_remove,
	.fits = kde_fits,
};

static uint32_t gsettings_section(struct reg_doc *d, const char *name, size_t len, struct err *e)
{
	return section_of(d, name, len == 1 && *name == '/' ? 0 : len, "/", e);
}

static int gsettings_header(struct reg_doc *d, uint32_t section, struct buf *ret, struct err *e)
{
	return !strcmp(d->names[section].text, "%") ? buf_add_str(ret, "[/]", e)
						    : lines_header(d, section, "/", ret, e);
}

static int gsettings_add(struct reg_doc *d, const char *key, const char *value, struct err *e)
{
	if (!strchr(key, '/'))
		return err_set(e, ERR_USAGE, "%s: every key of GSettings has a path: org/gnome/...", key);
	return lines_add(d, key, value, e);
}

static const struct line_syntax gsettings_syntax = {
	.equals = "=", .read = ini_read, .section = gsettings_section, .header = gsettings_header
};

static bool gsettings_fits(const char *base, const char *text, size_t len)
{
	return doc_is_named(&reg_lens_gsettings, base) && lines_fit(&gsettings_syntax, text, len);
}

const struct reg_lens reg_lens_gsettings = {
	.name = "gsettings",
	.files = "keyfile",
	.paths = DOC_NESTED,
	.syntax = &gsettings_syntax,
	.scan = lines_scan,
	.change = lines_change,
	.add = gsettings_add,
	.remove = lines_remove,
	.fits = gsettings_fits,
};
