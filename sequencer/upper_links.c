/* SPDX-License-Identifier: Apache-2.0 */
/* The links index; see upper_links.h. Its keys end in ".DEV.INO", in hexadecimal digits. */
#include "sequencer/upper_links.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "base/path.h"
#include "sequencer/upper_note.h"

void seq_links_fini(struct seq_links *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->links[i].source);
	free(l->links);
	*l = (struct seq_links){ 0 };
}

static int by_file(const void *a, const void *b)
{
	const struct seq_link *l = a, *r = b;

	if (l->dev != r->dev)
		return l->dev < r->dev ? -1 : 1;
	return l->ino < r->ino ? -1 : l->ino > r->ino;
}

static bool parse_key(const char *key, struct seq_link *ret)
{
	return sscanf(key, "host.%*[0-9a-f].%" SCNx64 ".%" SCNx64, &ret->dev, &ret->ino) == 2;
}

static int add(struct seq_links *l, const char *index, const char *key, struct err *e)
{
	struct seq_link one = { 0 };
	struct seq_link *grown = l->links;

	if (!parse_key(key, &one))
		return 0;
	if (l->count == l->cap) {
		grown = mem_grow(l->links, l->cap ? 2 * l->cap : 64, sizeof(*grown), e);
		if (!grown)
			return -1;
		l->links = grown;
		l->cap = l->cap ? 2 * l->cap : 64;
	}
	one.source = path_join(index, key, e);
	if (!one.source)
		return -1;
	one.count = seq_note_links(one.source);
	grown[l->count++] = one;
	return 0;
}

int seq_links_read(const char *dir, struct seq_links *ret, struct err *e)
{
	auto_free char *index = path_join(dir, ".floe/links", e);
	struct seq_links l = { 0 };
	struct dirent *de;
	DIR *d;
	int rc = 0;

	if (!index)
		return -1;
	d = opendir(index);
	if (!d && errno != ENOENT)
		return err_sys(e, errno, "%s", index);
	while (d && rc == 0 && (de = readdir(d)))
		rc = add(&l, index, de->d_name, e);
	if (d)
		(void)closedir(d);
	if (rc < 0) {
		seq_links_fini(&l);
		return -1;
	}
	if (l.count)
		qsort(l.links, l.count, sizeof(*l.links), by_file);
	*ret = l;
	return 0;
}

static struct seq_link *find(const struct seq_links *l, const struct seq_link *key)
{
	return l->count ? bsearch(key, l->links, l->count, sizeof(*key), by_file) : NULL;
}

struct seq_link *seq_links_of_host(const struct seq_links *l, const struct stat *host)
{
	const struct seq_link key = { .dev = host->st_dev, .ino = host->st_ino };

	return find(l, &key);
}

struct seq_link *seq_links_of_upper(const struct seq_links *l, const char *source)
{
	struct seq_link key = { 0 };
	char text[128];
	ssize_t len = l->count ? lgetxattr(source, "user.floe.links.key", text, sizeof(text) - 1) : -1;

	if (len <= 0)
		return NULL;
	text[len] = 0;
	return parse_key(text, &key) ? find(l, &key) : NULL;
}
