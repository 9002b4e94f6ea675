/* SPDX-License-Identifier: Apache-2.0 */
/* The table of the shim's descriptors that may write declared files (shim.h), for its own parts.
 *
 * A slot per descriptor holds the number of its draft, or of the file when that is written in place, and a
 * serial of the open() that it comes from, so that a duplicate keeps the save back until the last of them
 * closes. Descriptors of SHIM_SLOTS and more are not remembered: what they write is written in place and
 * found by the broker's harvest. Any thread; never blocks but on the broker. */
#ifndef FLOE_REG_SHIM_SLOTS_H
#define FLOE_REG_SHIM_SLOTS_H

#include "registry-shim/shim.h"

enum { SHIM_SLOTS = 4096, SHIM_SLOT_WHAT_BITS = 9 };

extern _Atomic uint32_t shim_slots[SHIM_SLOTS]; /* 0 = free, else serial << SHIM_SLOT_WHAT_BITS | what */
/* Of a file that is written in place: the digest of what was in it when the descriptor came to it, or got its
 * lock; 0 = not known. When others have put another file in its place since, who has not written it has
 * nothing to say. */
extern _Atomic uint64_t shim_noted[SHIM_SLOTS];

/* Streams that are not remembered (shim_track_stream) may hold back what a declared file is to have. */
extern atomic_bool shim_may_hold_back;

/* What a slot is about: file + 1, or SHIM_SLOT_DRAFT + draft. */
enum { SHIM_SLOT_DRAFT = SHIM_FILES_MAX + 1, SHIM_SLOT_MAX = SHIM_SLOT_DRAFT + SHIM_DRAFTS_MAX };
_Static_assert(SHIM_SLOT_MAX <= 1 << SHIM_SLOT_WHAT_BITS, "it has room");

static inline int slot_what(uint32_t slot)
{
	return (int)(slot & ((1u << SHIM_SLOT_WHAT_BITS) - 1));
}

static inline bool slot_is_draft(uint32_t slot)
{
	return slot_what(slot) >= SHIM_SLOT_DRAFT;
}

static inline int slot_draft(uint32_t slot)
{
	return slot_what(slot) - SHIM_SLOT_DRAFT;
}

static inline uint32_t slot_in_place(uint32_t slot, int file)
{
	return (slot & ~((1u << SHIM_SLOT_WHAT_BITS) - 1)) | (uint32_t)(file + 1);
}

/* Of any descriptor. */
static inline uint32_t shim_slot(int fd)
{
	return fd >= 0 && fd < SHIM_SLOTS ? atomic_load(&shim_slots[fd]) : 0;
}

/* Of an open(): what a slot has beside what it is about. */
uint32_t shim_slot_serial(void);
void shim_slot_set(int fd, uint32_t value);
void shim_slot_copy(int from, int to);
bool shim_slot_is_last(int fd, uint32_t slot);
/* `may_open`: nobody here has locks of it that are fcntl's. */
void shim_slot_note(int fd, bool may_open);
/* Tells the broker of a file that is written in place. */
void shim_slot_commit(int file, int fd);
/* Closes the descriptor, and says so. */
void shim_slot_close(int fd);

#endif
