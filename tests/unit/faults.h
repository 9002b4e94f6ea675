/* SPDX-License-Identifier: Apache-2.0 */
/* Allocation faults for unit tests called test_NOUN_faults.c, which are linked with
 * --wrap=malloc,calloc,realloc: the n-th allocation made by code of ours fails. Include in one file of a
 * program only. */
#ifndef FLOE_TESTS_FAULTS_H
#define FLOE_TESTS_FAULTS_H

#include <stdbool.h>
#include <stddef.h>

static long faults_countdown; /* 0 = no faults */
static bool faults_hit;

void *__real_malloc(size_t len);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t len);
void *__wrap_malloc(size_t len);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t len);

static bool faults_now(void)
{
	if (faults_countdown == 0 || --faults_countdown > 0)
		return false;
	faults_hit = true;
	return true;
}

void *__wrap_malloc(size_t len)
{
	return faults_now() ? NULL : __real_malloc(len);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return faults_now() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t len)
{
	return faults_now() ? NULL : __real_realloc(old, len);
}

/* Runs `attempt` with the first, second, ... allocation failing until none is left to fail; it returns 0 or
 * -1 and must clean up behind itself. Returns how many allocations there are, or -1 when an attempt succeeded
 * although one of its allocations had failed. */
static inline long faults_sweep(int (*attempt)(void *arg), void *arg)
{
	for (long n = 1;; n++) {
		int rc;

		faults_hit = false;
		faults_countdown = n;
		rc = attempt(arg);
		faults_countdown = 0;
		if (!faults_hit)
			return rc == 0 ? n - 1 : -1;
		if (rc == 0)
			return -1;
	}
}

#endif
