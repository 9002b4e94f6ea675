/* SPDX-License-Identifier: Apache-2.0 */
/* dpkg's status database; see dpkg.h. Paragraphs are separated by empty lines; of each field only what
 * stands on its first line is of interest. */
#include "sequencer/dpkg.h"

#include <string.h>

static void package_fini(struct seq_dpkg_package *p)
{
	free(p->name);
	free(p->version);
	free(p->summary);
	*p = (struct seq_dpkg_package){ 0 };
}

void seq_dpkg_fini(struct seq_dpkg *d)
{
	for (size_t i = 0; i < d->count; i++)
		package_fini(&d->packages[i]);
	free(d->packages);
	*d = (struct seq_dpkg){ 0 };
}

/* The field's value within a line that starts with "Name: ". */
static int take_field(char **field, const char *key, const char *line, size_t len, struct err *e)
{
	size_t n = strlen(key);

	if (*field || len < n || strncmp(line, key, n))
		return 0;
	*field = mem_strndup(line + n, len - n, e);
	return *field ? 0 : -1;
}

static int add(struct seq_dpkg *d, size_t *cap, struct seq_dpkg_package *p, struct err *e)
{
	if (d->count == *cap) {
		size_t grown_cap = *cap ? *cap * 2 : 256;
		struct seq_dpkg_package *grown = mem_grow(d->packages, grown_cap, sizeof(*grown), e);

		if (!grown)
			return -1;
		d->packages = grown;
		*cap = grown_cap;
	}
	d->packages[d->count++] = *p;
	*p = (struct seq_dpkg_package){ 0 };
	return 0;
}

int seq_dpkg_parse(const char *text, size_t len, struct seq_dpkg *ret, struct err *e)
{
	struct seq_dpkg d = { 0 };
	struct seq_dpkg_package p = { 0 };
	bool is_installed = false;
	size_t cap = 0;
	int rc = 0;

	for (const char *s = text, *end = text + len; rc == 0 && s <= end;) {
		const char *eol = s < end ? memchr(s, '\n', (size_t)(end - s)) : NULL;
		size_t n = (size_t)((eol ? eol : end) - s);

		if (!n) {
			if (is_installed && p.name && p.version)
				rc = add(&d, &cap, &p, e);
			package_fini(&p);
			is_installed = false;
		}
		if (n >= 28 && !strncmp(s, "Status: ", 8) && !strncmp(s + n - 10, " installed", 10))
			is_installed = true;
		if (rc == 0 && (take_field(&p.name, "Package: ", s, n, e) < 0 ||
				take_field(&p.version, "Version: ", s, n, e) < 0 ||
				take_field(&p.summary, "Description: ", s, n, e) < 0))
			rc = -1;
		s += n + 1;
	}
	/* A file whose last line is not ended has its last paragraph still open. */
	if (rc == 0 && is_installed && p.name && p.version)
		rc = add(&d, &cap, &p, e);
	package_fini(&p);
	if (rc < 0) {
		seq_dpkg_fini(&d);
		return -1;
	}
	*ret = d;
	return 0;
}

const struct seq_dpkg_package *seq_dpkg_find(const struct seq_dpkg *d, const char *name)
{
	for (size_t i = 0; i < d->count; i++)
		if (!strcmp(d->packages[i].name, name))
			return &d->packages[i];
	return NULL;
}

/* Both lists are nearly in the same order: the search goes on where the last one ended. */
void seq_dpkg_keep_new(struct seq_dpkg *after, const struct seq_dpkg *before)
{
	size_t kept = 0, at = 0;

	for (size_t i = 0; i < after->count; i++) {
		struct seq_dpkg_package *p = &after->packages[i];
		bool is_old = false;

		for (size_t n = 0; n < before->count && !is_old; n++) {
			const struct seq_dpkg_package *b = &before->packages[(at + n) % before->count];

			if (strcmp(b->name, p->name))
				continue;
			is_old = !strcmp(b->version, p->version);
			at = (at + n + 1) % before->count;
			if (!is_old)
				break;
		}
		if (is_old)
			package_fini(p);
		else
			after->packages[kept++] = *p;
	}
	after->count = kept;
}
