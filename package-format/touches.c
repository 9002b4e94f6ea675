/* SPDX-License-Identifier: Apache-2.0 */
/* Touches from chunks, to text and back; see touches.h. */
#include "package-format/touches.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/path.h"
#include "package-format/index_cursor.h"

enum { DEPTH_MAX = 2048, PATH_LEN_MAX = 4095 };

static const char head[] = "floe-touches 1\n";

/* ---- of chunks --------------------------------------------------------------------------- */

struct ranked {
	struct pkg_touch touch;
	uint32_t rank; /* of its chunk */
};

struct gathering {
	struct pkg_index *index;
	uint32_t *ranks; /* per chunk; UINT32_MAX = not wanted */
	struct ranked *list;
	size_t count, cap;
};

static void gathering_fini(struct gathering *g)
{
	free(g->ranks);
	free(g->list);
}

static int add_extent(struct gathering *g, uint64_t ino, const struct pkg_extent *x, struct err *e)
{
	if (g->ranks[x->chunk_idx] == UINT32_MAX || !x->len)
		return 0;
	if (g->count == g->cap) {
		size_t cap = g->cap ? 2 * g->cap : 1024;
		struct ranked *list = mem_grow(g->list, cap, sizeof(*list), e);

		if (!list)
			return -1;
		g->list = list;
		g->cap = cap;
	}
	g->list[g->count++] = (struct ranked){ { ino, x->file_off, x->len }, g->ranks[x->chunk_idx] };
	return 0;
}

static int gather_file(struct gathering *g, uint64_t ino, struct err *e)
{
	struct pkg_extents extents = { .index = g->index, .ino = ino, .end = INT64_MAX };
	const struct pkg_extent *x;
	int rc;

	while ((rc = pkg_extents_next(&extents, &x, e)) > 0)
		if (add_extent(g, ino, x, e) < 0)
			return -1;
	return rc;
}

static int by_rank(const void *a, const void *b)
{
	const struct ranked *l = a, *r = b;

	if (l->rank != r->rank)
		return l->rank < r->rank ? -1 : 1;
	if (l->touch.ino != r->touch.ino)
		return l->touch.ino < r->touch.ino ? -1 : 1;
	return l->touch.off < r->touch.off ? -1 : l->touch.off > r->touch.off;
}

static int rank_chunks(struct gathering *g, const uint32_t *chunks, size_t count, uint32_t all, struct err *e)
{
	g->ranks = mem_alloc(all, sizeof(*g->ranks), e);
	if (!g->ranks)
		return -1;
	memset(g->ranks, 0xff, all * sizeof(*g->ranks));
	for (size_t i = 0; i < count; i++)
		if (chunks[i] < all && g->ranks[chunks[i]] == UINT32_MAX)
			g->ranks[chunks[i]] = (uint32_t)i;
	return 0;
}

int pkg_touches_of_chunks(struct pkg_index *x, const uint32_t *chunks, size_t count, struct pkg_touch **ret,
			  size_t *ret_count, struct err *e)
{
	__attribute__((cleanup(gathering_fini))) struct gathering g = { .index = x };
	struct pkg_index_counts counts;
	struct pkg_touch *touches;
	size_t used = 0;

	pkg_index_counts(x, &counts);
	if (rank_chunks(&g, chunks, count, counts.chunks, e) < 0)
		return -1;
	for (uint64_t ino = 1; ino <= counts.inodes; ino++)
		if (gather_file(&g, ino, e) < 0)
			return -1;
	touches = mem_alloc(g.count, sizeof(*touches), e);
	if (!touches)
		return -1;
	if (g.count)
		qsort(g.list, g.count, sizeof(*g.list), by_rank);
	for (size_t i = 0; i < g.count; i++) {
		const struct pkg_touch *t = &g.list[i].touch;
		struct pkg_touch *last = used ? &touches[used - 1] : NULL;

		if (last && last->ino == t->ino && last->off + last->len == t->off &&
		    t->len <= UINT32_MAX - last->len)
			last->len += t->len;
		else
			touches[used++] = *t;
	}
	*ret = touches;
	*ret_count = used;
	return 0;
}

/* ---- to text ----------------------------------------------------------------------------- */

struct naming {
	struct pkg_index *index;
	uint64_t inodes;
	uint8_t *is_wanted; /* per inode */
	char **paths;       /* per inode, of those */
};

static void naming_fini(struct naming *n)
{
	for (uint64_t i = 0; n->paths && i <= n->inodes; i++)
		free(n->paths[i]);
	free(n->paths);
	free(n->is_wanted);
}

static int name_below(struct naming *n, const char *prefix, uint64_t dir, unsigned depth, struct err *e)
{
	auto_pkg_entries entries = { .index = n->index, .dir = dir };
	const struct pkg_dirent *d;
	int rc;

	if (depth > DEPTH_MAX)
		return err_set(e, ERR_LIMIT, "%.200s: too deep", prefix);
	while ((rc = pkg_entries_next(&entries, &d, e)) > 0) {
		/* Directories are numbered upwards on the way down: no loops. */
		bool is_dir = S_ISDIR(d->mode) && d->ino > dir;
		bool is_named = d->ino <= n->inodes && n->is_wanted[d->ino] && !n->paths[d->ino];
		auto_free char *path = NULL;

		if (!is_dir && !is_named)
			continue;
		path = *prefix ? path_join(prefix, d->name, e) : mem_strdup(d->name, e);
		if (!path || (is_dir && name_below(n, path, d->ino, depth + 1, e) < 0))
			return -1;
		if (is_named)
			n->paths[d->ino] = mem_steal(path);
	}
	return rc;
}

static int print_path(const char *path, struct buf *ret, struct err *e)
{
	for (const unsigned char *p = (const unsigned char *)path; *p; p++) {
		bool is_plain = *p > ' ' && *p < 127 && *p != '\\';

		if ((is_plain ? buf_add(ret, p, 1, e) : buf_printf(ret, e, "\\%03o", *p)) < 0)
			return -1;
	}
	return buf_add(ret, "\n", 1, e);
}

int pkg_touches_print(struct pkg_index *x, const struct pkg_touch *list, size_t count, struct buf *ret,
		      struct err *e)
{
	__attribute__((cleanup(naming_fini))) struct naming n = { .index = x };
	struct pkg_index_counts counts;

	pkg_index_counts(x, &counts);
	n.inodes = counts.inodes;
	n.is_wanted = mem_alloc(n.inodes + 1, 1, e);
	n.paths = n.is_wanted ? mem_alloc(n.inodes + 1, sizeof(*n.paths), e) : NULL;
	if (!n.paths)
		return -1;
	for (size_t i = 0; i < count; i++)
		if (list[i].ino <= n.inodes)
			n.is_wanted[list[i].ino] = 1;
	if (name_below(&n, "", PKG_ROOT_INO, 0, e) < 0 || buf_add(ret, head, strlen(head), e) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		const struct pkg_touch *t = &list[i];

		if (t->ino > n.inodes || !n.paths[t->ino])
			continue;
		if (buf_printf(ret, e, "%llu %lu ", (unsigned long long)t->off, (unsigned long)t->len) < 0 ||
		    print_path(n.paths[t->ino], ret, e) < 0)
			return -1;
	}
	return 0;
}

/* ---- from text --------------------------------------------------------------------------- */

static bool take_number(const char **at, const char *end, uint64_t *ret)
{
	const char *p = *at;
	uint64_t n = 0;

	for (; p < end && *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, (uint64_t)(*p - '0'), &n))
			return false;
	if (p == *at || p == end || *p != ' ')
		return false;
	*at = p + 1;
	*ret = n;
	return true;
}

static bool take_path(const char *at, const char *end, char ret[PATH_LEN_MAX + 1])
{
	size_t len = 0;

	for (; at < end && len < PATH_LEN_MAX; len++) {
		int c = (unsigned char)*at++;

		if (c == '\\') {
			if (end - at < 3)
				return false;
			c = 0;
			for (int i = 0; i < 3; i++, at++) {
				if (*at < '0' || *at > '7')
					return false;
				c = c * 8 + (*at - '0');
			}
		}
		if (!c || c > 255)
			return false;
		ret[len] = (char)c;
	}
	ret[len] = 0;
	return at == end && len;
}

/* 1 = it is in the package, 0 = it is not, -1 = no such line. */
static int parse_line(struct pkg_index *x, const char *at, const char *end, struct pkg_touch *ret)
{
	char path[PATH_LEN_MAX + 1];
	struct pkg_inode inode;
	struct err ignored;
	uint64_t off, len;

	if (!take_number(&at, end, &off) || !take_number(&at, end, &len) || !take_path(at, end, path))
		return -1;
	if (pkg_index_resolve(x, path, &inode, &ignored) < 0 || !S_ISREG(inode.mode) || off >= inode.size ||
	    !len)
		return 0;
	if (len > inode.size - off)
		len = inode.size - off;
	*ret = (struct pkg_touch){ inode.ino, off, len < UINT32_MAX ? (uint32_t)len : UINT32_MAX };
	return 1;
}

static size_t count_lines(const char *text, size_t len)
{
	size_t lines = 0;

	for (size_t i = 0; i < len; i++)
		lines += text[i] == '\n';
	return lines;
}

int pkg_touches_parse(struct pkg_index *x, const char *text, size_t len, struct pkg_touch **ret,
		      size_t *ret_count, size_t *ret_lacking, struct err *e)
{
	const char *at = text + strlen(head), *end = text + len, *newline;
	auto_free struct pkg_touch *list = NULL;
	size_t count = 0, lacking = 0;

	if (len < strlen(head) || memcmp(text, head, strlen(head)) != 0)
		return err_set(e, ERR_FORMAT, "not what floe cache profile writes");
	list = mem_alloc(count_lines(text, len), sizeof(*list), e);
	if (!list)
		return -1;
	for (size_t line = 2; at < end; line++, at = newline + 1) {
		int rc;

		newline = memchr(at, '\n', (size_t)(end - at));
		rc = newline ? parse_line(x, at, newline, &list[count]) : -1;
		if (rc < 0)
			return err_set(e, ERR_FORMAT, "line %zu: not OFFSET LENGTH PATH", line);
		count += rc;
		lacking += !rc;
	}
	*ret = mem_steal(list);
	*ret_count = count;
	*ret_lacking = lacking;
	return 0;
}
