/* SPDX-License-Identifier: Apache-2.0 */
/* See index_cursor.h. */
#include "package-format/index_cursor.h"

int pkg_entries_next(struct pkg_entries *c, const struct pkg_dirent **ret, struct err *e)
{
	if (!c->batch && !(c->batch = mem_alloc(PKG_ENTRIES_BATCH, sizeof(*c->batch), e)))
		return -1;
	if (c->at == c->count && !c->is_last) {
		uint64_t cookie = c->count ? c->batch[c->count - 1].cookie : 0;

		if (pkg_index_list(c->index, c->dir, cookie, c->batch, PKG_ENTRIES_BATCH, &c->count, e) < 0)
			return -1;
		c->at = 0;
		c->is_last = c->count < PKG_ENTRIES_BATCH;
	}
	if (c->at == c->count)
		return 0;
	*ret = &c->batch[c->at++];
	return 1;
}

void pkg_entries_restart(struct pkg_entries *c, uint64_t dir)
{
	c->dir = dir;
	c->count = c->at = 0;
	c->is_last = false;
}

void pkg_entries_fini(struct pkg_entries *c)
{
	free(c->batch);
}

int pkg_extents_next(struct pkg_extents *c, const struct pkg_extent **ret, struct err *e)
{
	if (c->at == c->count && !c->is_last && c->off < c->end) {
		if (pkg_index_extents(c->index, c->ino, c->off, c->end - c->off, c->batch, PKG_EXTENTS_BATCH,
				      &c->count, e) < 0)
			return -1;
		c->at = 0;
		c->is_last = c->count < PKG_EXTENTS_BATCH;
	}
	if (c->at == c->count)
		return 0;
	*ret = &c->batch[c->at++];
	c->off = (*ret)->file_off + (*ret)->len;
	return 1;
}
