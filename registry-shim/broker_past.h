/* SPDX-License-Identifier: Apache-2.0 */
/* What a declared file showed before: the texts that a program may have read before it saves. Two programs
 * that read one text and save one after the other have changed their own keys, not taken back each other's.
 *
 * Bounded in texts and bytes; the oldest go first. One thread; never blocks but on /proc. */
#ifndef FLOE_REG_BROKER_PAST_H
#define FLOE_REG_BROKER_PAST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

enum { BROKER_PAST_TEXTS = 256, BROKER_PAST_BYTES = 1024 * 1024 };

struct broker_past_text {
	char *text; /* owned */
	size_t len;
	uint64_t until_ns; /* since boot: when another took its place */
	long by;           /* the process whose save that was; 0 = not known */
};

struct broker_past {
	struct broker_past_text *list; /* oldest first; owned */
	size_t count, bytes;
};

/* A process that saves. */
struct broker_client {
	long pid; /* 0 = not known */
	uint64_t started_ns;
};

/* Looked up in /proc, to the clock tick; one that has gone is not known. `said_ns`: when its program started
 * by its own word, which is exact; 0 = it said nothing. */
struct broker_client broker_client_of(long pid, uint64_t said_ns);

void broker_past_fini(struct broker_past *p);
/* Takes `text` over. One that does not fit, or for which there is no memory, is forgotten. */
void broker_past_add(struct broker_past *p, char *text, size_t len, long by);
/* The texts from here on (of p->count) may be what the client read last: shown since it started, and not
 * before it saved last. */
size_t broker_past_since(const struct broker_past *p, const struct broker_client *client);

/* Is that one of the texts from `from` on? */
bool broker_past_has(const struct broker_past *p, size_t from, const char *text, size_t len);

#endif
