/* SPDX-License-Identifier: Apache-2.0 */
/* Freezes an upper that is not mounted, for tests, and says how long that took:
 *
 *   freeze UPPER WORK FROZEN */
#include <stdio.h>
#include <time.h>

#include "vfs/cow_upper.h"

static double now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

int main(int argc, char **argv)
{
	double began;
	struct err e;

	if (argc != 4) {
		fprintf(stderr, "usage: freeze UPPER WORK FROZEN\n");
		return 125;
	}
	began = now_ms();
	if (cow_upper_freeze(argv[1], argv[2], argv[3], &e) < 0) {
		fprintf(stderr, "freeze: %s\n", e.msg);
		return 1;
	}
	printf("%.1f ms\n", now_ms() - began);
	return 0;
}
