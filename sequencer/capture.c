/* SPDX-License-Identifier: Apache-2.0 */
/* The capture; see capture.h. */
#include "sequencer/capture.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/path.h"

enum { LINKS_MAX = 40 };

void seq_capture_fini(struct seq_capture *c)
{
	free(c->entries);
	arena_fini(&c->arena);
	c->entries = NULL;
	c->count = c->cap = 0;
}

struct seq_entry *seq_capture_add(struct seq_capture *c, struct err *e)
{
	if (c->count == SEQ_ENTRIES_MAX) {
		(void)err_set(e, ERR_LIMIT, "more than %d files and directories", SEQ_ENTRIES_MAX);
		return NULL;
	}
	if (c->count == c->cap) {
		size_t cap = c->cap ? c->cap * 2 : 1024;
		struct seq_entry *grown = mem_grow(c->entries, cap, sizeof(*grown), e);

		if (!grown)
			return NULL;
		c->entries = grown;
		c->cap = cap;
	}
	c->entries[c->count] = (struct seq_entry){ .rule = SEQ_TAKEN };
	return &c->entries[c->count++];
}

char *seq_capture_string(struct seq_capture *c, const char *s, struct err *e)
{
	return arena_strndup(&c->arena, s, strlen(s), e);
}

static int compare_names(const void *a, const void *b)
{
	const struct seq_entry *l = a, *r = b;

	return strcmp(l->name, r->name);
}

void seq_capture_sort(struct seq_capture *c)
{
	if (c->count)
		qsort(c->entries, c->count, sizeof(*c->entries), compare_names);
}

static int compare_files(const void *a, const void *b)
{
	const struct stat *l = &(*(struct seq_entry *const *)a)->st,
			  *r = &(*(struct seq_entry *const *)b)->st;

	if (l->st_dev != r->st_dev)
		return l->st_dev < r->st_dev ? -1 : 1;
	return l->st_ino < r->st_ino ? -1 : l->st_ino > r->st_ino;
}

int seq_capture_link(struct seq_capture *c, struct err *e)
{
	auto_free struct seq_entry **list = mem_alloc(c->count, sizeof(struct seq_entry *), e);
	size_t n = 0;

	if (!list)
		return -1;
	for (size_t i = 0; i < c->count; i++) {
		const struct seq_entry *t = &c->entries[i];

		if (t->change != SEQ_DELETED && !S_ISDIR(t->st.st_mode) && t->st.st_nlink > 1)
			list[n++] = &c->entries[i];
	}
	qsort((void *)list, n, sizeof(struct seq_entry *), compare_files);
	for (size_t i = 1; i < n; i++) {
		if (compare_files(&list[i - 1], &list[i]) != 0)
			continue;
		if (!list[i - 1]->hard_link)
			list[i - 1]->hard_link = i;
		list[i]->hard_link = list[i - 1]->hard_link;
	}
	return 0;
}

const char *seq_capture_name(struct seq_capture *c, const char *path, struct err *e)
{
	size_t home = c->home ? strlen(c->home) : 0;
	char *name;

	if (!home || !path_is_below(path, c->home))
		return seq_capture_string(c, path + (*path == '/'), e);
	name = arena_alloc(&c->arena, strlen(path) - home + sizeof("@home"), 1, e);
	if (name)
		(void)stpcpy(stpcpy(name, "@home"), path + home);
	return name;
}

struct seq_entry *seq_capture_find_name(const struct seq_capture *c, const char *name)
{
	struct seq_entry key = { .name = name };

	return c->count ? bsearch(&key, c->entries, c->count, sizeof(key), compare_names) : NULL;
}

const struct seq_entry *seq_capture_find(const struct seq_capture *c, const char *path)
{
	char name[PATH_MAX + sizeof("@home")];
	const char *key = path + (*path == '/');
	const struct seq_entry *hit;

	if (c->home && path_is_below(path, c->home)) {
		int len = snprintf(name, sizeof(name), "@home%s", path + strlen(c->home));

		if (len < 0 || (size_t)len >= sizeof(name))
			return NULL;
		key = name;
	}
	hit = seq_capture_find_name(c, key);
	return hit && seq_entry_is_taken(hit) ? hit : NULL;
}

struct walk {
	char done[PATH_MAX]; /* resolved so far; no link in it */
	char rest[PATH_MAX]; /* to be resolved, without a leading slash */
	unsigned links;
};

/* What `path` (its directories resolved) is. 1: the capture has it, 0: the host, -1: nobody. */
static int look(const struct seq_capture *c, const char *path, const struct seq_entry **ret_entry,
		struct stat *ret)
{
	const struct seq_entry *t = seq_capture_find(c, path);

	*ret_entry = t;
	if (!t && !strcmp(path, "/@home")) { /* the token stands for a directory that is always there */
		*ret = (struct stat){ .st_mode = S_IFDIR | 0755 };
		return 0;
	}
	if (t && t->change == SEQ_DELETED)
		return -1;
	if (t) {
		*ret = t->st;
		return 1;
	}
	return lstat(path, ret) == 0 ? 0 : -1;
}

/* Puts a link's target in front of what is still to be resolved. */
static int follow(struct walk *w, const char *path, const struct seq_entry *t)
{
	char target[PATH_MAX], joined[PATH_MAX];
	ssize_t n;
	int len;

	if (++w->links > LINKS_MAX)
		return -1;
	if (t) {
		n = (ssize_t)strlen(t->symlink);
		if (n >= (ssize_t)sizeof(target))
			return -1;
		memcpy(target, t->symlink, (size_t)n);
	} else {
		n = readlink(path, target, sizeof(target) - 1);
		if (n < 0)
			return -1;
	}
	target[n] = 0;
	len = snprintf(joined, sizeof(joined), "%s/%s", target, w->rest);
	if (len < 0 || (size_t)len >= sizeof(joined))
		return -1;
	if (*target == '/')
		w->done[0] = 0;
	memcpy(w->rest, joined, (size_t)len + 1);
	return 0;
}

/* Takes the first component off w->rest; false at the end. */
static bool next_part(struct walk *w, char part[NAME_MAX + 1])
{
	const char *p = w->rest;
	size_t len;

	while (*p == '/')
		p++;
	len = strcspn(p, "/");
	if (!len || len > NAME_MAX)
		return false;
	memcpy(part, p, len);
	part[len] = 0;
	p += len;
	memmove(w->rest, p, strlen(p) + 1);
	return true;
}

int seq_capture_resolve(const struct seq_capture *c, const char *path, const struct seq_entry **ret_entry,
			struct stat *ret, char ret_path[4096])
{
	struct walk w = { .links = 0 };
	const struct seq_entry *t = NULL;
	struct stat st = { .st_mode = S_IFDIR | 0755 };
	char part[NAME_MAX + 1];

	if (strlen(path) >= sizeof(w.rest))
		return -1;
	memcpy(w.rest, path, strlen(path) + 1);
	while (next_part(&w, part)) {
		size_t base = strlen(w.done);

		if (!strcmp(part, "."))
			continue;
		if (!strcmp(part, "..")) {
			char *slash = strrchr(w.done, '/');

			if (slash)
				*slash = 0;
			continue;
		}
		if (base + 1 + strlen(part) >= sizeof(w.done))
			return -1;
		w.done[base] = '/';
		memcpy(w.done + base + 1, part, strlen(part) + 1);
		if (look(c, w.done, &t, &st) < 0)
			return -1;
		if (S_ISLNK(st.st_mode)) {
			char link[PATH_MAX];

			memcpy(link, w.done, sizeof(link));
			w.done[base] = 0;
			if (follow(&w, link, t) < 0)
				return -1;
		}
	}
	*ret_entry = t;
	*ret = st;
	if (ret_path)
		memcpy(ret_path, w.done, strlen(w.done) + 1);
	return 0;
}
