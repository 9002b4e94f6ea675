/* SPDX-License-Identifier: Apache-2.0 */
/* See cow_hold.h. */
#include "vfs/cow_hold.h"

#include <errno.h>
#include <stdlib.h>

struct hold {
	struct cow_slot slot; /* first */
	uint8_t layer;
	struct cow_handle handle;
};

static void hold_end(struct cow_slot *s)
{
	struct hold *h = (struct hold *)(void *)s;

	cow_handle_close(&h->handle);
	free(h);
}

int cow_holds_open(size_t max, struct cow_cache **ret, struct err *e)
{
	return cow_cache_open(max, hold_end, ret, e);
}

void cow_hold(struct cow_union *u, uint64_t node, const struct cow_identity *identity,
	      struct cow_handle *held)
{
	struct hold *h;

	if (identity->dev != held->dev || identity->ino != held->ino)
		return;
	h = malloc(sizeof(*h));
	if (!h)
		return;
	*h = (struct hold){ .slot = { .node = node, .weight = 1 },
			    .layer = identity->layer,
			    .handle = *held };
	*held = (struct cow_handle)COW_HANDLE_NONE;
	cow_cache_unref(u->holds, cow_cache_add(u->holds, &h->slot, cow_cache_version(u->holds)));
}

int cow_hold_open(struct cow_union *u, const struct cow_node *n, struct cow_handle *ret)
{
	struct cow_slot *s = n->identity.layer == COW_UPPER ? NULL : cow_cache_ref(u->holds, n->id);
	const struct hold *h = (const struct hold *)(const void *)s;
	int sys = ENOENT;

	if (s && h->layer == n->identity.layer && h->handle.dev == n->identity.dev &&
	    h->handle.ino == n->identity.ino)
		sys = u->layers[h->layer]->ops->open_held(&h->handle, ret);
	cow_cache_unref(u->holds, s);
	/* From now on the content is what is kept open. */
	if (!sys)
		cow_cache_drop(u->holds, n->id);
	return sys;
}
