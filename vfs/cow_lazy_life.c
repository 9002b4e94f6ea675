/* SPDX-License-Identifier: Apache-2.0 */
/* How lazy files begin and end; cow_lazy.c has the rules. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "vfs/cow_lazy.h"
#include "vfs/cow_sparse.h"

static void lock_all(struct cow_lazy *z, struct cow_range *range)
{
	cow_ranges_lock(&z->ranges, range, 0, UINT64_MAX);
}

/* ---- becoming ordinary ------------------------------------------------------------------ */

/* The first missing block at or behind `off`, round the end; UINT64_MAX = none. */
static int find_missing(struct cow_lazy *z, uint64_t off, uint64_t *ret)
{
	uint64_t limit = atomic_load(&z->limit), hole;
	int error = cow_sparse_hole(z->fd, off, &hole);

	if (!error && off > 0 && hole >= limit)
		error = cow_sparse_hole(z->fd, 0, &hole);
	if (!error)
		*ret = hole < limit ? hole : UINT64_MAX;
	return error;
}

/* Takes the attribute off if nothing is missing. What had been data in memory only must be on the disk before
 * that; and no write waits for the disk meanwhile, for what is data stays so. */
static int retire(struct cow_lazy *z)
{
	struct cow_range range;
	uint64_t missing;
	int error;

	lock_all(z, &range);
	error = find_missing(z, 0, &missing);
	if (!error && missing == UINT64_MAX)
		atomic_store(&z->is_whole, true);
	cow_ranges_unlock(&z->ranges, &range);
	if (error || missing != UINT64_MAX)
		return error;
	if (fsync(z->fd) < 0)
		return errno;
	lock_all(z, &range);
	if (!atomic_load(&z->is_done) && cow_lazy_remove_origin(z->fd) == 0) {
		atomic_store(&z->noted, 0);
		atomic_store(&z->is_done, true);
	}
	cow_ranges_unlock(&z->ranges, &range);
	return 0;
}

int cow_lazy_note_filled(struct cow_lazy *z, uint64_t start, uint64_t end)
{
	uint64_t hint = atomic_load(&z->hint), missing;

	while (!atomic_load(&z->is_whole)) {
		int error;

		if (hint < atomic_load(&z->limit) && (hint < start || hint >= end))
			return 0;
		error = find_missing(z, hint, &missing);
		if (error)
			return error;
		if (missing == UINT64_MAX)
			return retire(z);
		if (missing == hint)
			return 0;
		/* Who fills that one now either sees the new hint or has done so before we look again. */
		if (atomic_compare_exchange_strong(&z->hint, &hint, missing))
			hint = missing;
		start = 0;
		end = UINT64_MAX;
	}
	return 0;
}

/* ---- opening ---------------------------------------------------------------------------- */

/* A power cut may have left a frozen upper's file in need of it, too. Who may not open it for writing reads
 * it as it is. */
static int heal_frozen(struct cow_lazy *z)
{
	auto_fd int fd = -1;
	char path[FD_PATH_LEN];

	fd_path(z->fd, path);
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? 0 : cow_sparse_heal(fd, atomic_load(&z->limit), z->block);
}

static int begin(struct cow_lazy *z, bool is_writable)
{
	uint64_t size, missing;
	int error = cow_lazy_read_origin(z->fd, z->attr);

	if (!error)
		error = cow_sparse_block(z->fd, &z->block);
	if (!error)
		error = cow_lazy_size(z, &size);
	if (error)
		return error;
	if (z->layer->key && strcmp(z->layer->key, z->attr->key) != 0)
		return EINVAL;
	atomic_store(&z->noted, z->attr->limit);
	atomic_store(&z->limit, z->attr->limit < size ? z->attr->limit : size);
	if (!is_writable)
		return heal_frozen(z);
	error = cow_sparse_heal(z->fd, atomic_load(&z->limit), z->block);
	if (!error)
		error = find_missing(z, 0, &missing);
	if (error)
		return error;
	atomic_store(&z->hint, missing);
	return missing == UINT64_MAX ? retire(z) : 0;
}

/* One state for each file that may be written, whoever opens it again: writers must know of each other, and
 * healing must be over before the first. */
static struct sync_mutex lock = { PTHREAD_MUTEX_INITIALIZER };
static struct sync_cond begun = { PTHREAD_COND_INITIALIZER };
static struct cow_lazy *first; /* guarded by lock, as are users, is_beginning and next */

static struct cow_lazy *find_locked(const struct stat *st) SYNC_REQUIRES(lock)
{
	struct cow_lazy *z = first;

	while (z && (z->dev != st->st_dev || z->ino != st->st_ino))
		z = z->next;
	return z;
}

static void remove_locked(struct cow_lazy *z) SYNC_REQUIRES(lock)
{
	struct cow_lazy **at = &first;

	while (*at && *at != z)
		at = &(*at)->next;
	if (*at)
		*at = z->next;
}

static void destroy(struct cow_lazy *z)
{
	cow_handle_close(&z->origin);
	cow_ranges_fini(&z->ranges);
	fd_close(z->fd);
	free(z->attr);
	free(z);
}

static int make(int fd, struct cow_layer *layer, const struct stat *st, struct cow_lazy **ret)
{
	struct cow_lazy *z = calloc(1, sizeof(*z));
	int error = 0;

	if (!z)
		return ENOMEM;
	z->dev = st->st_dev;
	z->ino = st->st_ino;
	z->users = 1;
	z->layer = layer;
	z->origin = (struct cow_handle)COW_HANDLE_NONE;
	cow_ranges_init(&z->ranges);
	z->attr = malloc(sizeof(*z->attr));
	z->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (z->fd < 0)
		error = errno;
	if (!z->attr)
		error = ENOMEM;
	if (error) {
		destroy(z);
		return error;
	}
	*ret = z;
	return 0;
}

/* Somebody else's state of that file, or a new one that is in the list and `is_beginning`. */
static int join(int fd, struct cow_layer *layer, const struct stat *st, struct cow_lazy **ret)
{
	struct cow_lazy *z;
	int error = 0;

	sync_lock(&lock);
	while ((z = find_locked(st)) && z->is_beginning)
		sync_wait(&begun, &lock);
	if (z && layer->key && strcmp(layer->key, z->attr->key) != 0) {
		error = EINVAL;
	} else if (z) {
		z->users++;
	} else {
		error = make(fd, layer, st, &z);
		if (!error) {
			z->is_beginning = true;
			z->next = first;
			first = z;
		}
	}
	sync_unlock(&lock);
	if (!error)
		*ret = z;
	return error;
}

static void end_beginning(struct cow_lazy *z, bool failed)
{
	sync_lock(&lock);
	z->is_beginning = false;
	if (failed)
		remove_locked(z);
	sync_wake_all(&begun);
	sync_unlock(&lock);
}

static int begin_with(struct cow_lazy *z, bool is_writable, struct cow_handle *origin)
{
	int error = begin(z, is_writable);

	if (!error) {
		z->origin = *origin;
		*origin = (struct cow_handle)COW_HANDLE_NONE;
	}
	return error;
}

int cow_lazy_open(int fd, struct cow_layer *layer, struct cow_handle *origin, struct cow_lazy **ret)
{
	struct cow_lazy *z = NULL;
	struct stat st;
	int error;

	if (fstat(fd, &st) < 0)
		return errno;
	/* Readers of what nobody writes (a frozen upper's) have nothing to agree about. */
	if ((fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDWR) {
		error = make(fd, layer, &st, &z);
		if (!error)
			error = begin_with(z, false, origin);
	} else {
		error = join(fd, layer, &st, &z);
		if (!error && z->is_beginning) {
			error = begin_with(z, true, origin);
			end_beginning(z, error != 0);
		} else if (!error) {
			cow_handle_close(origin);
		}
	}
	if (error && z)
		destroy(z);
	if (!error)
		*ret = z;
	return error;
}

void cow_lazy_close(struct cow_lazy *z)
{
	bool is_last;

	if (!z)
		return;
	sync_lock(&lock);
	is_last = --z->users == 0;
	if (is_last)
		remove_locked(z);
	sync_unlock(&lock);
	if (is_last)
		destroy(z);
}

bool cow_lazy_is_done(struct cow_lazy *z)
{
	return atomic_load(&z->is_done);
}
