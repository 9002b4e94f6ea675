/* SPDX-License-Identifier: Apache-2.0 */
/* Many changes of a document; see reg_doc_settle. Where changes are all or none, those that the text cannot
 * say are found by halving; changes below one first part of the key ("3/ipaddr", "3/canonical") stay together
 * until the last. */
#include <string.h>

#include "base/sync.h"
#include "registry-shim/lens_doc.h"

enum { TRIES_MAX = 64, TIME_MAX_MS = 5000 };

struct settling {
	struct reg_doc *doc;
	reg_left_out_fn *left_out;
	void *arg;
	int tries;         /* left */
	uint64_t until_ms; /* not after */
};

static void leave_out(const struct settling *s, const struct reg_change *c, const struct err *why)
{
	if (s->left_out)
		s->left_out(s->arg, c, why);
}

static int one_by_one(const struct settling *s, const struct reg_change *changes, size_t count, struct err *e)
{
	for (size_t i = 0; i < count; i++) {
		const struct reg_change *c = &changes[i];

		if ((c->value ? reg_doc_set(s->doc, c->key, c->value, e)
			      : reg_doc_unset(s->doc, c->key, e)) == 0)
			continue;
		if (e->code == ERR_NOMEM)
			return -1;
		leave_out(s, c, e);
	}
	return 0;
}

static bool is_same_group(const struct reg_change *a, const struct reg_change *b)
{
	size_t len = strcspn(a->key, "/");

	return strcspn(b->key, "/") == len && !memcmp(a->key, b->key, len);
}

/* Where a sorted list is divided: at a border of groups, as near the middle as there is one; 0 = nowhere. */
static size_t find_border(const struct reg_change *changes, size_t count)
{
	size_t down = count / 2, up = count / 2;

	while (down > 0 && is_same_group(&changes[down - 1], &changes[down]))
		down--;
	while (up > 0 && up < count && is_same_group(&changes[up - 1], &changes[up]))
		up++;
	return down > 0 ? down : up < count ? up : 0;
}

/* Recursion as deep as halving goes. */
static int together(struct settling *s, const struct reg_change *changes, size_t count, struct err *e)
{
	size_t half;

	if (count == 0)
		return 0;
	if (s->tries > 0 && s->tries-- && s->doc->lens->apply(s->doc, changes, count, e) == 0)
		return 0;
	if (e->code == ERR_NOMEM)
		return -1;
	if (sync_now_ms() > s->until_ms)
		s->tries = 0;
	if (count == 1 || s->tries == 0) {
		for (size_t i = 0; i < count; i++)
			leave_out(s, &changes[i], e);
		return 0;
	}
	half = find_border(changes, count);
	if (half == 0)
		half = count / 2;
	return together(s, changes, half, e) < 0 ? -1 : together(s, changes + half, count - half, e);
}

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct reg_change *)a)->key, ((const struct reg_change *)b)->key);
}

int reg_doc_settle(struct reg_doc *d, const struct reg_change *changes, size_t count,
		   reg_left_out_fn *left_out, void *arg, struct err *e)
{
	struct settling s = { d, left_out, arg, TRIES_MAX, sync_now_ms() + TIME_MAX_MS };
	auto_free struct reg_change *sorted = NULL;

	if (!d->lens->apply)
		return one_by_one(&s, changes, count, e);
	sorted = mem_alloc(count, sizeof(*sorted), e);
	if (!sorted)
		return -1;
	if (count)
		memcpy(sorted, changes, count * sizeof(*sorted));
	qsort(sorted, count, sizeof(*sorted), by_key);
	return together(&s, sorted, count, e);
}
