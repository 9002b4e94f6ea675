/* SPDX-License-Identifier: Apache-2.0 */
/* Replaying profiles; see replay.h. */
#include "streaming/replay.h"

#include <string.h>

#include "streaming/flight.h"
#include "streaming/profile.h"

enum {
	GROUP = 8 * 1024 * 1024, /* stored bytes that are put in the order of the file, to merge requests */
	GAP_MOST = 1024 * 1024,
	NOWHERE = -1,
};

/* ---- where the content is in this version ------------------------------------------------ */

struct place {
	struct pkg_digest digest;
	size_t order; /* in the profile */
};

static int by_digest(const void *a, const void *b)
{
	return memcmp(((const struct place *)a)->digest.b, ((const struct place *)b)->digest.b,
		      PKG_DIGEST_LEN);
}

/* Looks through all chunks for those that are not where the profile says. */
static void search(struct stream_package *p, struct place *places, size_t count, int64_t *ret)
{
	struct pkg_chunk_info info;
	struct err ignored;

	qsort(places, count, sizeof(*places), by_digest);
	for (uint32_t idx = 0; idx < p->chunk_count; idx++) {
		struct place wanted, *found;

		if (flight_chunk_info(p, idx, &info, &ignored) < 0)
			return;
		wanted.digest = info.digest;
		found = bsearch(&wanted, places, count, sizeof(*places), by_digest);
		if (found)
			ret[found->order] = idx;
	}
}

/* The chunk numbers of a profile's entries, NOWHERE for content that this version does not have. */
static int locate(struct stream_package *p, const struct stream_profile *profile, int64_t *ret, struct err *e)
{
	auto_free struct place *places = mem_alloc(profile->count, sizeof(*places), e);
	struct pkg_chunk_info info;
	size_t moved = 0;

	if (!places)
		return -1;
	for (size_t i = 0; i < profile->count; i++) {
		const struct stream_profile_entry *x = &profile->entries[i];

		ret[i] = NOWHERE;
		if (x->chunk_idx < p->chunk_count && flight_chunk_info(p, x->chunk_idx, &info, e) == 0 &&
		    pkg_digest_equal(&info.digest, &x->digest))
			ret[i] = x->chunk_idx;
		else
			places[moved++] = (struct place){ x->digest, i };
	}
	if (moved)
		search(p, places, moved, ret);
	return 0;
}

/* ---- replaying --------------------------------------------------------------------------- */

static int by_number(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* Asks for some chunks, those near each other in one request. */
static bool ask_for(struct stream_package *p, int64_t *list, size_t count)
{
	struct pkg_chunk_info info;
	uint64_t end = 0, gap;
	struct err ignored;
	size_t first = 0;

	sync_lock(&p->lock);
	gap = pace_pipe(&p->pace);
	sync_unlock(&p->lock);
	if (gap < SCHEDULE_GAP_MAX)
		gap = SCHEDULE_GAP_MAX;
	if (gap > GAP_MOST)
		gap = GAP_MOST;
	qsort(list, count, sizeof(*list), by_number);
	for (size_t i = 0; i < count; i++) {
		if (flight_chunk_info(p, (uint32_t)list[i], &info, &ignored) < 0)
			return false;
		if (i && info.off > end + gap) {
			if (!schedule_prefetch(p, (uint32_t)list[first],
					       (uint32_t)(list[i - 1] - list[first] + 1)))
				return false;
			first = i;
		}
		end = info.off + info.stored_len;
	}
	return !count ||
	       schedule_prefetch(p, (uint32_t)list[first], (uint32_t)(list[count - 1] - list[first] + 1));
}

static bool is_lacking(struct stream_package *p, uint32_t idx)
{
	bool is_coming;

	sync_lock(&p->lock);
	is_coming = p->is_busy[idx];
	sync_unlock(&p->lock);
	return !is_coming && !stream_package_has(p, idx);
}

int stream_package_learnt(struct stream_package *p, const char *command, uint32_t **ret, size_t *ret_count,
			  struct err *e)
{
	struct stream_profile profile = { 0 };
	auto_free int64_t *places = NULL;
	uint32_t *list = NULL;
	struct pkg_digest key;
	size_t used = 0;

	if (!p->learning.dir)
		return err_set(e, ERR_NOTFOUND, "nothing is learnt here");
	learn_key(p, command, &key);
	if (stream_profile_load(p->learning.dir, &key, &profile, e) < 0)
		return -1;
	places = mem_alloc(profile.count, sizeof(*places), e);
	if (places && locate(p, &profile, places, e) == 0)
		list = mem_alloc(profile.count, sizeof(*list), e);
	for (size_t i = 0; list && i < profile.count; i++)
		if (places[i] != NOWHERE)
			list[used++] = (uint32_t)places[i];
	stream_profile_fini(&profile);
	if (!list)
		return -1;
	*ret = list;
	*ret_count = used;
	return 0;
}

static int load(struct stream_package *p, const struct pkg_digest *key, struct stream_profile *ret)
{
	const char *dir = p->learning.dir;
	struct pkg_digest fallback;
	struct err ignored;

	if (stream_profile_load(dir, key, ret, &ignored) == 0)
		return 0;
	learn_key(p, NULL, &fallback);
	return stream_profile_load(dir, &fallback, ret, &ignored);
}

void replay_run(struct stream_package *p, const struct pkg_digest *key)
{
	struct stream_profile profile = { 0 };
	auto_free int64_t *list = NULL;
	struct pkg_chunk_info info;
	size_t used = 0, start = 0;
	uint64_t bytes = 0;
	struct err e;

	if (p->opt.no_prefetch || !p->opt.cache || p->is_file || !p->fetcher || load(p, key, &profile) < 0)
		return;
	list = mem_alloc(profile.count, sizeof(*list), &e);
	if (!list || locate(p, &profile, list, &e) < 0)
		profile.count = 0;
	for (size_t i = 0; i < profile.count; i++) {
		if (list[i] == NOWHERE || !is_lacking(p, (uint32_t)list[i]) ||
		    flight_chunk_info(p, (uint32_t)list[i], &info, &e) < 0)
			continue;
		list[used++] = list[i];
		bytes += info.stored_len;
		if (bytes < GROUP)
			continue;
		if (!ask_for(p, list + start, used - start))
			break;
		start = used;
		bytes = 0;
	}
	(void)ask_for(p, list + start, used - start);
	stream_profile_fini(&profile);
}
