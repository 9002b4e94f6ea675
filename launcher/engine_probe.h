/* SPDX-License-Identifier: Apache-2.0 */
/* Does overlayfs work with an upper on this file system? Found by trying, and remembered in
 * CACHE/engine/: one small text file for each file system,
 *
 *   floe engine 1 LF   KERNEL RELEASE AND VERSION LF   "works" or "fails: REASON" LF
 *
 * which counts as long as the kernel is that one. It is disposable; what makes no sense is as if it was not
 * there. libc only. One thread; blocks on the disk. */
#ifndef FLOE_LAUNCH_ENGINE_PROBE_H
#define FLOE_LAUNCH_ENGINE_PROBE_H

#include <stdbool.h>

#include "base/err.h"

struct launch_probe {
	bool works;
	char why[256]; /* when it does not */
};

/* What is remembered of the file system that `dir` is on; false: nothing. */
bool launch_probe_recall(const char *dir, struct launch_probe *ret);
/* Tries it in `dir` and remembers. For a process in a mount namespace of its own, with the right to mount. */
void launch_probe_try(const char *dir, struct launch_probe *ret);
/* Remembers what somebody else has tried. */
void launch_probe_remember(const char *dir, const struct launch_probe *p);
/* It turned out otherwise: the next one tries again. */
void launch_probe_forget(const char *dir);

#endif
