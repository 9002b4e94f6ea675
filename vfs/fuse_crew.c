/* SPDX-License-Identifier: Apache-2.0 */
/* See fuse_crew.h. */
#include "vfs/fuse_crew.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/sync.h"
#include "vfs/fuse_pair.h"

enum {
	THREADS_MAX = 256,
	TICK_US = 1000,
	TICKS_QUIET = 10, /* without a request: the watch sleeps */
	MANY = 8,         /* requests in a tick */
	BUSY_TICKS = 8,   /* in a row: one thread more is welcome at the descriptor */
	EASY_TICKS = 100, /* one less */
	CROWD_TICKS = 4,  /* since more than two clients took turns: they may come again */
	CROWD_READERS = 2,
};

struct fuse_crew {
	struct fuse_crew_opt opt;
	struct fuse_pair pair;
	unsigned welcome_max;

	struct sync_mutex lock;
	struct sync_cond ending, parking, watching;
	unsigned started, ended;         /* guarded by lock, like all below */
	unsigned reading, parked, calls; /* threads; calls: parked ones that shall come */
	unsigned welcome;                /* at the descriptor at a time */
	bool is_ending;
	bool is_allowed; /* more than one thread */
	bool is_watched;
	unsigned quiet, busy, easy, crowded; /* ticks, of the watch */
	pthread_t threads[THREADS_MAX], watch;
	bool has_watch;
};

/* ---- threads --------------------------------------------------------------------------------- */

static void *thread_main(void *arg)
{
	struct fuse_crew *c = arg;

	(void)pthread_setname_np(pthread_self(), "floe-fuse");
	c->opt.serve(c->opt.arg);
	fuse_crew_end(c);
	sync_lock(&c->lock);
	c->ended++;
	sync_wake_all(&c->ending);
	sync_unlock(&c->lock);
	return NULL;
}

static int start_locked(struct fuse_crew *c) SYNC_REQUIRES(&c->lock);
static int start_locked(struct fuse_crew *c)
{
	int sys = pthread_create(&c->threads[c->started], NULL, thread_main, c);

	if (sys)
		return sys;
	c->started++;
	c->reading++;
	return 0;
}

/* Without memory for another thread, those that exist go on. */
static void call_locked(struct fuse_crew *c) SYNC_REQUIRES(&c->lock);
static void call_locked(struct fuse_crew *c)
{
	if (c->parked > c->calls) {
		c->calls++;
		sync_wake_one(&c->parking);
	} else if (c->is_allowed && c->started < c->opt.threads) {
		(void)start_locked(c);
	}
}

static unsigned welcome_locked(const struct fuse_crew *c) SYNC_REQUIRES(&c->lock);
static unsigned welcome_locked(const struct fuse_crew *c)
{
	return c->crowded && c->welcome < CROWD_READERS ? CROWD_READERS : c->welcome;
}

void fuse_crew_leave(struct fuse_crew *c, uint32_t client)
{
	sync_lock(&c->lock);
	c->reading--;
	if (!c->opt.is_quick && c->reading + c->calls == 0)
		call_locked(c);
	if (c->opt.is_quick)
		fuse_pair_took(&c->pair, client);
	if (c->has_watch && !c->is_watched) {
		c->is_watched = true;
		sync_wake_one(&c->watching);
	}
	sync_unlock(&c->lock);
}

void fuse_crew_return(struct fuse_crew *c)
{
	sync_lock(&c->lock);
	if (c->reading + c->calls >= welcome_locked(c)) {
		c->parked++;
		while (c->calls == 0 && !c->is_ending)
			sync_wait(&c->parking, &c->lock);
		c->parked--;
		c->calls -= c->calls > 0;
	}
	c->reading++;
	sync_unlock(&c->lock);
}

void fuse_crew_allow(struct fuse_crew *c)
{
	sync_lock(&c->lock);
	c->is_allowed = true;
	sync_unlock(&c->lock);
}

/* ---- the watch ------------------------------------------------------------------------------- */

struct tick {
	uint64_t taken, turns; /* requests; how often a third client's came */
	bool was_away;         /* nobody was at the descriptor when it began */
};

static struct tick now_locked(struct fuse_crew *c) SYNC_REQUIRES(&c->lock);
static struct tick now_locked(struct fuse_crew *c)
{
	return (struct tick){ fuse_pair_taken(&c->pair), fuse_pair_turns(&c->pair), c->reading == 0 };
}

static void tick_locked(struct fuse_crew *c, const struct tick *since) SYNC_REQUIRES(&c->lock);
static void tick_locked(struct fuse_crew *c, const struct tick *since)
{
	struct tick now = now_locked(c);
	uint64_t taken = now.taken - since->taken;
	bool is_away = now.was_away, was_away = since->was_away, is_busy = taken && is_away && was_away;

	c->crowded -= c->crowded > 0;
	if (now.turns - since->turns >= MANY) {
		if (!c->crowded && c->welcome < CROWD_READERS)
			call_locked(c);
		c->crowded = CROWD_TICKS;
	}

	if (!taken && is_away && was_away && c->calls == 0)
		call_locked(c);
	c->busy = is_busy ? c->busy + 1 : 0;
	c->easy = is_busy ? 0 : c->easy + 1;
	if (c->busy >= BUSY_TICKS && c->welcome < c->welcome_max) {
		c->welcome++;
		c->busy = 0;
		call_locked(c);
	}
	if (c->easy >= EASY_TICKS && c->welcome > 1) {
		c->welcome--;
		c->easy = 0;
	}
	c->quiet = taken || is_away ? 0 : c->quiet + 1;
	if (c->quiet >= TICKS_QUIET) {
		c->quiet = 0;
		c->is_watched = false;
	}
}

static void *watch_main(void *arg)
{
	struct fuse_crew *c = arg;

	(void)pthread_setname_np(pthread_self(), "floe-fuse-watch");
	sync_lock(&c->lock);
	while (!c->is_ending) {
		struct tick since = now_locked(c);

		if (!c->is_watched) {
			sync_wait(&c->watching, &c->lock);
			continue;
		}
		sync_unlock(&c->lock);
		(void)usleep(TICK_US);
		if (fuse_pair_taken(&c->pair) - since.taken >= MANY)
			fuse_pair_keep(&c->pair);
		sync_lock(&c->lock);
		tick_locked(c, &since);
	}
	sync_unlock(&c->lock);
	return NULL;
}

/* ---- life ------------------------------------------------------------------------------------ */

int fuse_crew_open(const struct fuse_crew_opt *opt, struct fuse_crew **ret, struct err *e)
{
	struct fuse_crew *c = mem_alloc(1, sizeof(*c), e);
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	if (!c)
		return -1;
	sync_mutex_init(&c->lock);
	sync_cond_init(&c->ending);
	sync_cond_init(&c->parking);
	sync_cond_init(&c->watching);
	c->opt = *opt;
	if (c->opt.threads > THREADS_MAX)
		c->opt.threads = THREADS_MAX;
	/* Those who ask need processors, too. */
	c->welcome_max = processors > 3 ? (unsigned)processors / 2 : 1;
	c->welcome = opt->is_quick ? 1 : 2;
	fuse_pair_init(&c->pair);
	*ret = c;
	return 0;
}

void fuse_crew_close(struct fuse_crew *c)
{
	if (!c)
		return;
	sync_cond_fini(&c->watching);
	sync_cond_fini(&c->parking);
	sync_cond_fini(&c->ending);
	sync_mutex_fini(&c->lock);
	free(c);
}

void fuse_crew_end(struct fuse_crew *c)
{
	sync_lock(&c->lock);
	c->is_ending = true;
	sync_wake_all(&c->ending);
	sync_wake_all(&c->parking);
	sync_wake_all(&c->watching);
	sync_unlock(&c->lock);
}

/* A signal that comes just before read(2) is lost, so it is sent until the thread is out. */
static void await_threads(struct fuse_crew *c)
{
	sync_lock(&c->lock);
	while (c->ended < c->started) {
		for (unsigned i = 0; i < c->started; i++)
			(void)pthread_kill(c->threads[i], SIGUSR1);
		(void)sync_wait_ms(&c->ending, &c->lock, 10);
	}
	sync_unlock(&c->lock);
	for (unsigned i = 0; i < c->started; i++)
		(void)pthread_join(c->threads[i], NULL);
	if (c->has_watch)
		(void)pthread_join(c->watch, NULL);
	c->started = c->ended = c->reading = c->parked = c->calls = 0;
	c->has_watch = false;
}

int fuse_crew_run(struct fuse_crew *c, struct err *e)
{
	int sys = 0;

	sync_lock(&c->lock);
	if (c->opt.is_quick) {
		sys = pthread_create(&c->watch, NULL, watch_main, c);
		c->has_watch = sys == 0;
	}
	if (!sys && !c->is_ending)
		sys = start_locked(c);
	while (!sys && !c->is_ending)
		sync_wait(&c->ending, &c->lock);
	sync_unlock(&c->lock);
	fuse_crew_end(c);
	await_threads(c);
	return sys ? err_sys(e, sys, "start a thread") : 0;
}
