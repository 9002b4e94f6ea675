/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors that may still write a declared file, while they are used; see shim.h. */
#include <errno.h>
#include <string.h>

#include "registry-shim/shim_slots.h"
#include "registry-shim/shim_sys.h"

enum { STREAMS = 32 }; /* beyond that they are not remembered */

static FILE *_Atomic streams[STREAMS];

int shim_track_open(int fd, const struct shim_aim *aim)
{
	bool is_writer =
		!(aim->flags & O_PATH) && ((aim->flags & O_ACCMODE) != O_RDONLY || (aim->flags & O_TRUNC));

	if (fd < 0 && aim->draft >= 0)
		shim_draft_drop(aim->draft);
	else if (fd >= SHIM_SLOTS && aim->draft >= 0)
		shim_draft_to_view(aim->draft);
	else if (fd >= 0 && fd < SHIM_SLOTS && is_writer && shim_is_ours()) {
		shim_slot_set(fd,
			      shim_slot_serial() | (uint32_t)(aim->draft < 0 ? aim->file + 1
									     : SHIM_SLOT_DRAFT + aim->draft));
		if (aim->draft < 0 && !(aim->flags & O_TRUNC))
			shim_slot_note(fd, false);
	}
	return fd;
}

void shim_track_stream(FILE *stream, const struct shim_aim *aim)
{
	int fd = fileno(stream), saved = errno, flags = (int)syscall(SYS_fcntl, fd, F_GETFL);

	errno = saved;
	if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY || !shim_is_ours())
		return;
	if (aim)
		(void)shim_track_open(fd, aim);
	for (int i = 0; i < STREAMS; i++) {
		FILE *none = NULL;

		if (atomic_compare_exchange_strong(&streams[i], &none, stream))
			return;
	}
}

void shim_track_dup(int from, int to)
{
	if (from >= 0 && from < SHIM_SLOTS && to >= 0 && to < SHIM_SLOTS && from != to &&
	    atomic_load(&shim_slots[from]) && shim_is_ours())
		shim_slot_copy(from, to);
}

unsigned shim_track_closing_slow(int fd)
{
	uint32_t slot = shim_slot(fd);
	bool was_last;

	if (!slot || !shim_is_ours())
		return 0;
	was_last = shim_slot_is_last(fd, slot);
	if (was_last && !slot_is_draft(slot))
		shim_slot_commit(slot_what(slot) - 1, fd);
	shim_slot_set(fd, 0);
	return was_last && slot_is_draft(slot) ? slot : 0;
}

void shim_track_closed_slow(unsigned token)
{
	shim_draft_closed(slot_draft(token));
}

void shim_track_stays(int fd, unsigned token)
{
	shim_slot_set(fd, token);
}

void shim_track_sync_slow(int fd)
{
	uint32_t slot = shim_slot(fd);

	if (!slot || !shim_is_ours())
		return;
	if (slot_is_draft(slot))
		shim_draft_synced(slot_draft(slot));
	else
		shim_slot_commit(slot_what(slot) - 1, fd);
}

void shim_track_closing_range_slow(unsigned first, unsigned last)
{
	if (!shim_is_ours())
		return;
	for (unsigned fd = first; fd <= last && fd < SHIM_SLOTS; fd++)
		if (atomic_load(&shim_slots[fd]))
			shim_slot_close((int)fd);
}

unsigned shim_track_stream_closing_slow(FILE *stream)
{
	int fd;

	if (!shim_is_ours())
		return 0;
	for (int i = 0; i < STREAMS; i++)
		if (atomic_load(&streams[i]) == stream)
			atomic_store(&streams[i], NULL);
	fd = fileno(stream);
	if (fd < 0 || fd >= SHIM_SLOTS || !atomic_load(&shim_slots[fd]))
		return 0;
	(void)fflush(stream);
	return shim_track_closing_slow(fd);
}

/* One that another thread holds is left to it. */
void shim_track_flush_slow(void)
{
	if (!shim_is_ours())
		return;
	for (int i = 0; i < STREAMS; i++) {
		FILE *f = atomic_load(&streams[i]);

		if (f && ftrylockfile(f) == 0) {
			(void)fflush_unlocked(f);
			funlockfile(f);
		}
	}
	for (FILE *const *f = (FILE *const[]){ stdout, stderr, NULL }; *f; f++) {
		int fd = fileno(*f);

		if (fd >= 0 && fd < SHIM_SLOTS && atomic_load(&shim_slots[fd]) && ftrylockfile(*f) == 0) {
			(void)fflush_unlocked(*f);
			funlockfile(*f);
		}
	}
}
