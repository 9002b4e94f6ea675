/* SPDX-License-Identifier: Apache-2.0 */
/* See fuse_pair.h. */
#include "vfs/fuse_pair.h"

#include <sched.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
	PAUSE_NS = 200 * 1000,     /* without a request */
	ELSEWHERE_NS = 200 * 1000, /* kept from the processor: not by a client that waits for answers */
	GAP_NS = 3 * 1000,         /* kept from it at all */
	WINDOW = 16,               /* requests, after which the gaps are looked at */
	MOVES_WINDOWS = 32,
	MOVES_MAX = 4,          /* in so many windows: there are several clients, on both processors */
	TURNS_MAX = WINDOW / 4, /* in a window: several clients take turns */
	AWAY_MIN = 4,
	AWAY_MAX = 64,
	WORTH_IT_NS = 20 * 1000 * 1000, /* a session as long as this was no mistake */
};

void fuse_pair_init(struct fuse_pair *p)
{
	unsigned count = 0;
	cpu_set_t set;

	*p = (struct fuse_pair){ .away_next = AWAY_MIN };
	if (sched_getaffinity(0, sizeof(set), &set) < 0 || CPU_COUNT(&set) != 2)
		return;
	for (int i = 0; i < CPU_SETSIZE && count < 2; i++)
		if (CPU_ISSET((unsigned)i, &set))
			p->cpus[count++] = i;
	p->has_two = true;
}

/* What other threads do meanwhile makes the count a little wrong, which is all right. */
static void count_turn(struct fuse_pair *p, uint32_t client)
{
	uint32_t last = (uint32_t)atomic_load_explicit(&p->last, memory_order_relaxed);
	uint32_t other = (uint32_t)atomic_load_explicit(&p->other, memory_order_relaxed);

	if (client == 0 || client == last)
		return;
	atomic_store_explicit(&p->last, client, memory_order_relaxed);
	atomic_store_explicit(&p->other, last, memory_order_relaxed);
	if (client != other)
		atomic_fetch_add_explicit(&p->turns, 1, memory_order_relaxed);
}

void fuse_pair_took(struct fuse_pair *p, uint32_t client)
{
	static _Thread_local pid_t self;

	count_turn(p, client);
	if (p->has_two) {
		if (!self)
			self = gettid();
		atomic_store_explicit(&p->server, self, memory_order_relaxed);
		atomic_store_explicit(&p->server_cpu, sched_getcpu(), memory_order_relaxed);
	}
	atomic_fetch_add_explicit(&p->taken, 1, memory_order_relaxed);
}

uint64_t fuse_pair_taken(struct fuse_pair *p)
{
	return atomic_load_explicit(&p->taken, memory_order_relaxed);
}

uint64_t fuse_pair_turns(struct fuse_pair *p)
{
	return atomic_load_explicit(&p->turns, memory_order_relaxed);
}

/* ---- the keeper ------------------------------------------------------------------------------ */

static uint64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

static void relax(void)
{
	for (int i = 0; i < 10; i++) {
#if defined(__x86_64__) || defined(__i386__)
		__builtin_ia32_pause();
#elif defined(__aarch64__)
		__asm__ volatile("yield");
#endif
	}
}

/* A thread that has ended cannot be bound, which is all right. */
static void bind_to(pid_t thread, const int *cpus, unsigned count)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	for (unsigned i = 0; i < count; i++)
		CPU_SET((unsigned)cpus[i], &set);
	(void)sched_setaffinity(thread, sizeof(set), &set);
}

struct session {
	struct fuse_pair *p;
	pid_t server; /* bound to cpus[at]; the keeper to the other */
	unsigned at;
	uint64_t seen;           /* requests taken */
	uint64_t window, turns;  /* seen, and turns, when it began */
	unsigned gaps;           /* in it */
	unsigned windows, moves; /* since it was last forgotten how many moves there were */
};

static void place(struct session *k)
{
	bind_to(k->server, &k->p->cpus[k->at], 1);
	bind_to(0, &k->p->cpus[!k->at], 1);
}

static void begin(struct session *k, struct fuse_pair *p)
{
	*k = (struct session){ .p = p, .server = atomic_load(&p->server) };
	k->at = atomic_load(&p->server_cpu) == p->cpus[1];
	k->seen = k->window = fuse_pair_taken(p);
	k->turns = fuse_pair_turns(p);
	place(k);
}

enum verdict {
	GO_ON,
	MOVED,  /* places have changed */
	QUIET,  /* requests are no longer coming */
	WANTED, /* somebody else needs the processor */
	CROWD,  /* so do clients, of which there are several */
};

static enum verdict look_at_window(struct session *k)
{
	uint64_t turns = fuse_pair_turns(k->p) - k->turns;
	bool is_wrong = k->gaps >= WINDOW / 2;

	k->gaps = 0;
	k->window = k->seen;
	k->turns += turns;
	if (turns >= TURNS_MAX)
		return CROWD;
	if (++k->windows >= MOVES_WINDOWS)
		k->windows = k->moves = 0;
	if (!is_wrong)
		return GO_ON;
	if (++k->moves >= MOVES_MAX)
		return WANTED;
	k->at = !k->at;
	place(k);
	return MOVED;
}

/* Another thread may take the requests now; the one before is elsewhere for long, or for ever. */
static void follow(struct session *k)
{
	pid_t server = atomic_load_explicit(&k->p->server, memory_order_relaxed);

	if (server == k->server)
		return;
	bind_to(k->server, k->p->cpus, 2);
	k->server = server;
	place(k);
}

static enum verdict keep(struct session *k)
{
	uint64_t last = now_ns(), since = last;

	for (;;) {
		uint64_t now, taken;
		enum verdict v;

		relax();
		now = now_ns();
		taken = fuse_pair_taken(k->p);
		if (now - last > ELSEWHERE_NS)
			return WANTED;
		k->gaps += now - last > GAP_NS;
		last = now;
		if (taken == k->seen) {
			if (now - since > PAUSE_NS)
				return QUIET;
			continue;
		}
		k->seen = taken;
		since = now;
		follow(k);
		v = taken - k->window < WINDOW ? GO_ON : look_at_window(k);
		if (v == MOVED)
			last = since = now_ns();
		else if (v != GO_ON)
			return v;
	}
}

void fuse_pair_keep(struct fuse_pair *p)
{
	static _Thread_local bool is_nice;
	struct session k;
	enum verdict v;
	uint64_t begun;

	if (!p->has_two)
		return;
	if (p->away) {
		p->away--;
		return;
	}
	if (!is_nice)
		(void)setpriority(PRIO_PROCESS, (id_t)gettid(), 19);
	is_nice = true;
	begun = now_ns();
	begin(&k, p);
	v = keep(&k);
	if (v == CROWD) {
		p->away = AWAY_MIN;
	} else if (v == WANTED && now_ns() - begun < WORTH_IT_NS) {
		p->away = p->away_next;
		p->away_next = p->away_next < AWAY_MAX ? 2 * p->away_next : AWAY_MAX;
	} else {
		p->away_next = AWAY_MIN;
	}
	bind_to(k.server, p->cpus, 2);
	bind_to(0, p->cpus, 2);
}
