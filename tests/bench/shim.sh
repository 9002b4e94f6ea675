#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=heavy users=user timeout=600
# What the preloaded library costs inside an environment, in the processor's time and in pairs that take turns: opening files
# that are not declared, in the same process past the library and through it; a declared file against a plain one, and a whole
# save of each; the start of programs without the library and with it.
. "$(dirname "$0")/setup.sh"
command -v cc >/dev/null || skip "there is no C compiler"

cat >"$scratch/cost.c" <<'C'
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
enum { PAIRS_MAX = 2000, OPENS = 2000 };
static double a[PAIRS_MAX], b[PAIRS_MAX], ratio[PAIRS_MAX], more[PAIRS_MAX];
static int by_value(const void *x, const void *y) {
	double d = *(const double *)x - *(const double *)y;
	return (d > 0) - (d < 0);
}
static void print(const char *what, int n, const char *unit) {
	for (int i = 0; i < n; i++) { ratio[i] = b[i] / a[i]; more[i] = b[i] - a[i]; }
	double *all[] = { a, b, ratio, more };
	for (int i = 0; i < 4; i++) qsort(all[i], (size_t)n, sizeof(double), by_value);
	printf("%s: %.0f %s, with the library %.0f %s: %+.0f %s (quartiles %+.0f to %+.0f), ratio %.3f (%.3f to %.3f), %d pairs\n",
		what, a[n / 2], unit, b[n / 2], unit, more[n / 2], unit, more[n / 4], more[3 * n / 4], ratio[n / 2], ratio[n / 4],
		ratio[3 * n / 4], n);
}
static double opens(const char *path, int past) { /* ns each; closing is the kernel's alone */
	struct timespec t, u;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	for (int i = 0; i < OPENS; i++) {
		int fd = past ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY, 0) : open(path, O_RDONLY);
		if (fd >= 0) syscall(SYS_close, fd);
	}
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &u);
	return ((double)(u.tv_sec - t.tv_sec) * 1e9 + (double)(u.tv_nsec - t.tv_nsec)) / OPENS;
}
static double now(void) { /* us, of the clock: the broker's part as well */
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}
static double saves(const char *path, int is_whole) { /* us each; or of the opening alone */
	double sum = 0;
	for (int i = 0; i < 10; i++) {
		double begun = now(), opened;
		int fd = open(path, O_WRONLY | O_TRUNC);
		opened = now();
		if (fd < 0 || dprintf(fd, "[s]\nk=%d\n", i) < 0 || close(fd) < 0) exit(1);
		sum += (is_whole ? now() : opened) - begun;
	}
	return sum / 10;
}
static double starts(char **argv, char **env) { /* us */
	struct rusage u;
	int null = open("/dev/null", O_RDWR), status;
	pid_t p = vfork();
	if (p == 0) {
		for (int i = 0; i < 3; i++) syscall(SYS_dup2, null, i);
		syscall(SYS_execve, argv[0], argv, env); /* or the library would put itself back */
		syscall(SYS_exit, 127);
	}
	if (wait4(p, &status, 0, &u) != p || status) { printf("%s does not work\n", argv[0]); exit(1); }
	close(null);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}
int main(int argc, char **argv) {
	char *bare[1000], what[300];
	int n = argc > 4 ? atoi(argv[2]) : 0, k = 0;
	if (n < 1 || n > PAIRS_MAX || !getenv("LD_PRELOAD")) return 9;
	if (!strcmp(argv[1], "open")) {
		for (int i = 0; i < n; i++) { a[i] = opens(argv[3], 1); b[i] = opens(argv[4], 0); }
		sprintf(what, "open %s", strcmp(argv[3], argv[4]) ? "a declared file and a plain one" : argv[3]);
		print(what, n, "ns");
		return 0;
	}
	if (!strcmp(argv[1], "save") || !strcmp(argv[1], "empty")) {
		int is_whole = !strcmp(argv[1], "save");
		for (int i = 0; i < n; i++) { a[i] = saves(argv[3], is_whole); b[i] = saves(argv[4], is_whole); }
		print(is_whole ? "save a declared file and a plain one" : "open the same to write it anew", n, "us");
		return 0;
	}
	for (char **v = environ; *v && k < 999; v++)
		if (strncmp(*v, "LD_PRELOAD=", 11) != 0) bare[k++] = *v;
	bare[k] = NULL;
	starts(argv + 3, bare);
	for (int i = 0; i < n; i++) { a[i] = starts(argv + 3, bare); b[i] = starts(argv + 3, environ); }
	sprintf(what, "start %s %s", argv[3], argv[4]);
	print(what, n, "us");
	return 0;
}
C
make_box_tree "$scratch/tree" 1
cc -O2 -Wall -o "$scratch/tree/bin/cost" "$scratch/cost.c" || fail "cc"
pack_box --config @config/box/settings.ini:ini --config @config/box/more.ini:ini --config @home/.boxrc:ini
cost() { "$floe" run -q --command /opt/box/bin/cost "$box" -- "$@" || fail "cost $*"; }

in_box box sh -c 'mkdir -p $HOME/.config/box; cd $HOME/.config/box; printf "[s]\nk=1\n" >settings.ini; cp settings.ini plain' ||
	fail "the box does not work"
cost open 301 /usr/lib/os-release /usr/lib/os-release
cost open 301 /nowhere/at/all/libsome.so.6 /nowhere/at/all/libsome.so.6
cost open 301 "$HOME/.config/box/plain" "$HOME/.config/box/settings.ini"
cost empty 31 "$HOME/.config/box/plain" "$HOME/.config/box/settings.ini"
cost save 31 "$HOME/.config/box/plain" "$HOME/.config/box/settings.ini"
cost start 300 /bin/true --version
for program in git mc vim cmake; do
	path=$(PATH=/usr/bin command -v "$program") && cost start 100 "$path" --version
done
[ ! -x /usr/bin/python3 ] || cost start 100 /usr/bin/python3 -c 'import asyncio, http.client'
