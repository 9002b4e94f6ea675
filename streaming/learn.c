/* SPDX-License-Identifier: Apache-2.0 */
/* Recording first touches, command by command; see learn.h. */
#include "streaming/learn.h"

#include <string.h>

#include "streaming/flight.h"
#include "streaming/profile.h"
#include "streaming/replay.h"

static const char *default_command(const struct pkg_manifest *m)
{
	if (m->default_command)
		return m->default_command;
	return m->command_count ? m->commands[0].name : "";
}

void learn_key(const struct stream_package *p, const char *command, struct pkg_digest *ret)
{
	const struct pkg_manifest *m = pkg_index_manifest(p->index);

	stream_profile_key(&p->header, m->name, command ? command : default_command(m), ret);
}

static uint32_t *make_record(struct err *e)
{
	return mem_alloc(STREAM_PROFILE_MAX, sizeof(uint32_t), e);
}

int learn_init(struct stream_package *p, const char *dir, struct err *e)
{
	struct learning *l = &p->learning;

	if (!dir || !p->chunk_count)
		return 0;
	l->launches[0].touched = make_record(e);
	l->is_touched = mem_alloc(p->chunk_count, 1, e);
	if (!l->launches[0].touched || !l->is_touched)
		return -1;
	l->dir = mem_strdup(dir, e);
	return l->dir ? 0 : -1;
}

/* ---- recording --------------------------------------------------------------------------- */

void learn_touch_locked(struct stream_package *p, uint32_t idx)
{
	struct learning *l = &p->learning;
	struct learn_launch *newest = &l->launches[l->launch_count ? l->launch_count - 1 : 0];

	if (!l->dir || !newest->touched || newest->count == STREAM_PROFILE_MAX || l->is_touched[idx])
		return;
	l->is_touched[idx] = 1;
	newest->touched[newest->count++] = idx;
}

static bool is_new_locked(struct stream_package *p, const struct pkg_digest *key) SYNC_REQUIRES(p->lock);
static bool is_new_locked(struct stream_package *p, const struct pkg_digest *key)
{
	const struct learning *l = &p->learning;

	for (unsigned i = 0; i < l->launch_count; i++)
		if (pkg_digest_equal(&l->launches[i].key, key))
			return false;
	return l->launch_count < LEARN_LAUNCHES;
}

void stream_package_launch(struct stream_package *p, const char *command)
{
	struct learning *l = &p->learning;
	struct pkg_digest key;
	struct err ignored;

	if (!l->dir)
		return;
	learn_key(p, command, &key);
	sync_lock(&p->lock);
	if (is_new_locked(p, &key)) {
		struct learn_launch *launch = &l->launches[l->launch_count];

		launch->key = key;
		if (l->launch_count++) {
			launch->touched = make_record(&ignored);
			memset(l->is_touched, 0, p->chunk_count);
		}
		l->launched_ms = sync_now_ms();
		sync_wake_all(&l->told);
	}
	sync_unlock(&p->lock);
}

/* ---- saving ------------------------------------------------------------------------------ */

static void save(struct stream_package *p, const struct learn_launch *launch, bool is_whole)
{
	struct err ignored;
	auto_free struct stream_profile_entry *entries = mem_alloc(launch->count, sizeof(*entries), &ignored);
	struct stream_profile profile = { 0 };
	struct pkg_chunk_info info;

	if (!launch->count || !entries)
		return;
	for (size_t i = 0; i < launch->count; i++) {
		if (flight_chunk_info(p, launch->touched[i], &info, &ignored) < 0)
			return;
		entries[i] = (struct stream_profile_entry){ info.digest, launch->touched[i], 0 };
	}
	/* Failures cost a later start some time, no more. */
	if (stream_profile_load(p->learning.dir, &launch->key, &profile, &ignored) < 0)
		profile = (struct stream_profile){ 0 };
	if (stream_profile_merge(&profile, entries, launch->count, is_whole, &ignored) == 0)
		(void)!stream_profile_save(p->learning.dir, &launch->key, &profile, &ignored);
	stream_profile_fini(&profile);
}

void learn_fini(struct stream_package *p)
{
	struct learning *l = &p->learning;

	for (unsigned i = 0; i < LEARN_LAUNCHES; i++) {
		if (i < l->launch_count && l->launches[i].touched)
			save(p, &l->launches[i], i == 0);
		free(l->launches[i].touched);
		l->launches[i].touched = NULL;
	}
	free(l->dir);
	free(l->is_touched);
	l->dir = NULL;
	l->is_touched = NULL;
}

/* ---- the thread -------------------------------------------------------------------------- */

static struct learn_launch *unplayed_locked(struct stream_package *p) SYNC_REQUIRES(p->lock);
static struct learn_launch *unplayed_locked(struct stream_package *p)
{
	struct learning *l = &p->learning;

	for (unsigned i = 0; !p->schedule.is_streaming && i < l->launch_count; i++)
		if (!l->launches[i].is_replayed)
			return &l->launches[i];
	return NULL;
}

/* How long until the newest launch is over, if nothing is read any more. */
static uint64_t left_ms_locked(struct stream_package *p) SYNC_REQUIRES(p->lock);
static uint64_t left_ms_locked(struct stream_package *p)
{
	const struct learning *l = &p->learning;
	uint64_t start = l->launched_ms > p->last_use_ms ? l->launched_ms : p->last_use_ms;
	uint64_t quiet = sync_now_ms() - start;

	if (p->users || !p->last_use_ms)
		return LEARN_QUIET_MS;
	return quiet < LEARN_QUIET_MS ? LEARN_QUIET_MS - quiet : 0;
}

static struct learn_launch *ended_locked(struct stream_package *p) SYNC_REQUIRES(p->lock);
static struct learn_launch *ended_locked(struct stream_package *p)
{
	struct learning *l = &p->learning;

	for (unsigned i = 0; i < l->launch_count; i++)
		if (l->launches[i].touched && (i + 1 < l->launch_count || !left_ms_locked(p)))
			return &l->launches[i];
	return NULL;
}

static bool replay_next(struct stream_package *p)
{
	struct learn_launch *launch;
	struct pkg_digest key;

	sync_lock(&p->lock);
	launch = unplayed_locked(p);
	if (launch) {
		launch->is_replayed = true;
		key = launch->key;
	}
	sync_unlock(&p->lock);
	if (launch)
		replay_run(p, &key);
	return launch != NULL;
}

static bool save_next(struct stream_package *p)
{
	struct learn_launch *launch, ended;
	bool is_whole;

	sync_lock(&p->lock);
	launch = ended_locked(p);
	is_whole = launch == p->learning.launches;
	if (launch) {
		ended = *launch;
		launch->touched = NULL;
	}
	sync_unlock(&p->lock);
	if (!launch)
		return false;
	save(p, &ended, is_whole);
	free(ended.touched);
	return true;
}

static void await_work(struct stream_package *p)
{
	struct learning *l = &p->learning;
	bool is_recording;

	sync_lock(&p->lock);
	is_recording = l->launch_count && l->launches[l->launch_count - 1].touched;
	if (!p->is_closing && !unplayed_locked(p) && !ended_locked(p)) {
		if (is_recording)
			(void)sync_wait_ms(&l->told, &p->lock, left_ms_locked(p));
		else
			sync_wait(&l->told, &p->lock);
	}
	sync_unlock(&p->lock);
}

static void *learner_main(void *arg)
{
	struct stream_package *p = arg;

	while (!package_is_closing(p))
		if (!replay_next(p) && !save_next(p))
			await_work(p);
	return NULL;
}

void learn_start(struct stream_package *p)
{
	struct learning *l = &p->learning;

	l->has_learner = l->dir && pthread_create(&l->learner, NULL, learner_main, p) == 0;
}

void learn_stop(struct stream_package *p)
{
	if (!p->learning.has_learner)
		return;
	sync_lock(&p->lock);
	sync_wake_all(&p->learning.told);
	sync_unlock(&p->lock);
	(void)pthread_join(p->learning.learner, NULL);
	p->learning.has_learner = false;
}
