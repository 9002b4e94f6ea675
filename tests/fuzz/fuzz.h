/* SPDX-License-Identifier: Apache-2.0 */
/* A fuzz target is this one function; libFuzzer or replay_main.c calls it. It returns 0, and traps on what
 * must not be. */
#ifndef FLOE_FUZZ_H
#define FLOE_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Either outcome of a call is right; that it comes back is what counts. */
static inline void fuzz_any(int rc)
{
	(void)rc;
}

#endif
