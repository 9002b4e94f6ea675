/* SPDX-License-Identifier: Apache-2.0 */
/* See cmd_ahead.h. */
#include "launcher/cmd_ahead.h"

enum { OUTSTANDING_MAX = 8 * 1024 * 1024 };

static bool is_wanted(const struct cmd_ahead *a, uint32_t idx)
{
	return !a->wanted || a->wanted[idx] == a->mark;
}

static int content_len(const struct cmd_ahead *a, uint32_t idx, uint64_t *ret, struct err *e)
{
	struct pkg_chunk_info info;

	if (pkg_index_chunk(stream_package_index(a->package), idx, &info, e) < 0)
		return -1;
	*ret = info.content_len;
	return 0;
}

static int pass(struct cmd_ahead *a, uint32_t idx, struct err *e)
{
	uint64_t len;

	for (; a->passed < idx; a->passed++) {
		if (a->passed >= a->next || !is_wanted(a, a->passed))
			continue;
		if (content_len(a, a->passed, &len, e) < 0)
			return -1;
		a->outstanding -= len < a->outstanding ? len : a->outstanding;
	}
	if (a->next < idx)
		a->next = idx;
	return 0;
}

/* The next wanted chunks that stand beside each other. */
static int want_some(struct cmd_ahead *a, struct err *e)
{
	uint32_t first;
	uint64_t len;

	while (a->next < a->count && !is_wanted(a, a->next))
		a->next++;
	first = a->next;
	while (a->next < a->count && is_wanted(a, a->next) && a->outstanding < OUTSTANDING_MAX) {
		if (content_len(a, a->next, &len, e) < 0)
			return -1;
		a->outstanding += len;
		a->next++;
	}
	if (a->next > first)
		stream_package_hint(a->package, first, a->next - first);
	return 0;
}

int cmd_ahead_reach(struct cmd_ahead *a, uint32_t idx, struct err *e)
{
	if (pass(a, idx, e) < 0)
		return -1;
	/* In large pieces: each one is at least a request. */
	if (a->outstanding > OUTSTANDING_MAX / 2)
		return 0;
	while (a->next < a->count && a->outstanding < OUTSTANDING_MAX)
		if (want_some(a, e) < 0)
			return -1;
	return 0;
}
