/* SPDX-License-Identifier: Apache-2.0 */
/* First touches; see learn_touches.h. */
#include "sequencer/learn_touches.h"

#include <fcntl.h>
#include <string.h>

#include "base/bytes.h"
#include "base/fd.h"
#include "package-format/touches.h"

enum { TOUCH_LEN = 24 };

struct known {
	struct pkg_touch touch;
	size_t order;
};

static int by_place(const void *a, const void *b)
{
	const struct known *l = a, *r = b;

	if (l->touch.ino != r->touch.ino)
		return l->touch.ino < r->touch.ino ? -1 : 1;
	if (l->touch.off != r->touch.off)
		return l->touch.off < r->touch.off ? -1 : 1;
	if (l->touch.len != r->touch.len)
		return l->touch.len > r->touch.len ? -1 : 1;
	return l->order < r->order ? -1 : l->order > r->order;
}

static int by_order(const void *a, const void *b)
{
	const struct known *l = a, *r = b;

	return l->order < r->order ? -1 : l->order > r->order;
}

/* Ranges that an earlier launch touched as a whole are dropped; order is kept. */
static int merge(struct seq_lesson *l, struct err *e)
{
	struct known *all = mem_alloc(l->touch_count, sizeof(*all), e);
	size_t kept = 0;

	if (!all)
		return -1;
	for (size_t i = 0; i < l->touch_count; i++)
		all[i] = (struct known){ .touch = l->touches[i], .order = i };
	qsort(all, l->touch_count, sizeof(*all), by_place);
	for (size_t i = 0; i < l->touch_count; i++) {
		struct known *last = kept ? &all[kept - 1] : NULL;

		if (last && last->touch.ino == all[i].touch.ino && last->touch.off == all[i].touch.off) {
			if (all[i].order < last->order)
				last->order = all[i].order;
			continue;
		}
		all[kept++] = all[i];
	}
	qsort(all, kept, sizeof(*all), by_order);
	for (size_t i = 0; i < kept; i++)
		l->touches[i] = all[i].touch;
	l->touch_count = kept;
	free(all);
	return 0;
}

int seq_learn_touches(const char *path, struct seq_learned *one, struct seq_lesson *l, struct err *e)
{
	auto_buf struct buf b = BUF_INIT(SEQ_TOUCHES_BYTES_MAX);
	struct pkg_touch *grown;
	size_t count;

	if (fd_read_file(AT_FDCWD, path, &b, e) < 0)
		return -1;
	count = b.len / TOUCH_LEN;
	grown = mem_grow(l->touches, l->touch_count + count, sizeof(*grown), e);
	if (!grown)
		return -1;
	l->touches = grown;
	for (size_t i = 0; i < count; i++) {
		struct le64 raw[3];
		uint64_t len;

		memcpy(raw, b.data + i * TOUCH_LEN, TOUCH_LEN);
		len = le64_get(raw[2]);
		if (!le64_get(raw[0]) || !len || len > UINT32_MAX)
			continue;
		grown[l->touch_count++] = (struct pkg_touch){ .ino = le64_get(raw[0]),
							      .off = le64_get(raw[1]),
							      .len = (uint32_t)len };
		one->touch_count++;
		one->touched_bytes += len;
	}
	return merge(l, e);
}

int seq_learn_profile(const char *path, struct pkg_index *index, struct seq_lesson *l, size_t *ret_count,
		      struct err *e)
{
	auto_buf struct buf b = BUF_INIT(PKG_TOUCHES_TEXT_MAX);
	auto_free struct pkg_touch *list = NULL;
	struct pkg_touch *grown;
	size_t count, lacking;

	if (fd_read_file(AT_FDCWD, path, &b, e) < 0)
		return -1;
	if (pkg_touches_parse(index, (const char *)b.data, b.len, &list, &count, &lacking, e) < 0)
		return err_wrap(e, "%s", path);
	grown = mem_grow(l->touches, l->touch_count + count, sizeof(*grown), e);
	if (!grown)
		return -1;
	l->touches = grown;
	for (size_t i = 0; i < count; i++)
		grown[l->touch_count++] = list[i];
	*ret_count = count;
	return merge(l, e);
}
