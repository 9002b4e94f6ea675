/* SPDX-License-Identifier: Apache-2.0 */
/* A mutex and a condition that clang's thread-safety analysis understands.
 *
 * Convention: a mutex stands in its struct above the fields it guards, each marked "guarded by";
 * helpers that need it end in _locked and carry SYNC_REQUIRES. No lock is held across I/O,
 * compression, hashing, a callback or a return. */
#ifndef FLOE_BASE_SYNC_H
#define FLOE_BASE_SYNC_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#if defined(__clang__)
#define SYNC_ATTR(x) __attribute__((x))
#else
#define SYNC_ATTR(x)
#endif
#define SYNC_REQUIRES(...) SYNC_ATTR(requires_capability(__VA_ARGS__))

struct SYNC_ATTR(capability("mutex")) sync_mutex {
	pthread_mutex_t raw;
};

struct sync_cond {
	pthread_cond_t raw; /* on the monotonic clock */
};

void sync_mutex_init(struct sync_mutex *m);
void sync_mutex_fini(struct sync_mutex *m);
void sync_lock(struct sync_mutex *m) SYNC_ATTR(acquire_capability(m));
void sync_unlock(struct sync_mutex *m) SYNC_ATTR(release_capability(m));

void sync_cond_init(struct sync_cond *c);
void sync_cond_fini(struct sync_cond *c);
void sync_wait(struct sync_cond *c, struct sync_mutex *m) SYNC_REQUIRES(m);
/* False when `ms` milliseconds have passed. */
bool sync_wait_ms(struct sync_cond *c, struct sync_mutex *m, uint64_t ms) SYNC_REQUIRES(m);
void sync_wake_one(struct sync_cond *c);
void sync_wake_all(struct sync_cond *c);

/* Runs fn(arg) in a thread that nobody joins. 0, or an errno value when there is none to be had. */
int sync_run_detached(void *(*fn)(void *arg), void *arg);

/* Milliseconds on the monotonic clock. */
uint64_t sync_now_ms(void);

#endif
