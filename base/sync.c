/* SPDX-License-Identifier: Apache-2.0 */
/* Mutex and condition; see sync.h. */
#include "base/sync.h"

#include <assert.h>
#include <time.h>

void sync_mutex_init(struct sync_mutex *m)
{
	int rc = pthread_mutex_init(&m->raw, NULL);

	assert(rc == 0);
	(void)rc;
}

void sync_mutex_fini(struct sync_mutex *m)
{
	(void)pthread_mutex_destroy(&m->raw);
}

void sync_lock(struct sync_mutex *m) SYNC_ATTR(no_thread_safety_analysis)
{
	int rc = pthread_mutex_lock(&m->raw);

	assert(rc == 0);
	(void)rc;
}

void sync_unlock(struct sync_mutex *m) SYNC_ATTR(no_thread_safety_analysis)
{
	int rc = pthread_mutex_unlock(&m->raw);

	assert(rc == 0);
	(void)rc;
}

void sync_cond_init(struct sync_cond *c)
{
	pthread_condattr_t attr;
	int rc = pthread_condattr_init(&attr);

	rc |= pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	rc |= pthread_cond_init(&c->raw, &attr);
	assert(rc == 0);
	(void)rc;
	(void)pthread_condattr_destroy(&attr);
}

void sync_cond_fini(struct sync_cond *c)
{
	(void)pthread_cond_destroy(&c->raw);
}

void sync_wait(struct sync_cond *c, struct sync_mutex *m)
{
	(void)pthread_cond_wait(&c->raw, &m->raw);
}

bool sync_wait_ms(struct sync_cond *c, struct sync_mutex *m, uint64_t ms)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_sec += (time_t)(ms / 1000);
	ts.tv_nsec += (long)(ms % 1000) * 1000000L;
	if (ts.tv_nsec >= 1000000000L) {
		ts.tv_nsec -= 1000000000L;
		ts.tv_sec++;
	}
	return pthread_cond_timedwait(&c->raw, &m->raw, &ts) == 0;
}

void sync_wake_one(struct sync_cond *c)
{
	(void)pthread_cond_signal(&c->raw);
}

void sync_wake_all(struct sync_cond *c)
{
	(void)pthread_cond_broadcast(&c->raw);
}

int sync_run_detached(void *(*fn)(void *arg), void *arg)
{
	pthread_attr_t attr;
	pthread_t thread;
	int sys;

	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	sys = pthread_create(&thread, &attr, fn, arg);
	(void)pthread_attr_destroy(&attr);
	return sys;
}

uint64_t sync_now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}
