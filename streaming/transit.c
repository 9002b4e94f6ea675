/* SPDX-License-Identifier: Apache-2.0 */
/* See transit.h. The table: PACKAGES little-endian times of the last arrival (milliseconds of this boot),
 * then SETS sets of WAYS entries. */
#include "streaming/transit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/sync.h"

enum { PACKAGES = 512, SETS = 1024, WAYS = 8 };

struct entry {
	uint8_t digest[PKG_DIGEST_LEN];
	struct le64 off;
	struct le64 len; /* 0 = empty */
};

#define CLAIMS_START (UINT64_C(1) << 62)

uint64_t transit_claim_of(const struct pkg_digest *root, uint32_t idx)
{
	uint64_t package = 0;

	for (size_t i = 0; i < 5; i++)
		package = package << 8 | root->b[i];
	return CLAIMS_START | (package & ((UINT64_C(1) << 39) - 1)) << 22 | (idx & TRANSIT_INDEX);
}

void transit_open(int cache_dir_fd, struct transit *ret)
{
	ret->fd = openat(cache_dir_fd, "transit", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
}

void transit_close(struct transit *t)
{
	fd_close(t->fd);
	t->fd = -1;
}

/* ---- claims ------------------------------------------------------------------------------ */

static struct flock range(short type, uint64_t first, uint32_t count)
{
	return (struct flock){
		.l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)first, .l_len = (off_t)count
	};
}

bool transit_claim(const struct transit *t, uint64_t first, uint32_t count)
{
	struct flock lock = range(F_WRLCK, first, count);

	return t->fd < 0 || fcntl(t->fd, F_OFD_SETLK, &lock) == 0 || (errno != EAGAIN && errno != EACCES);
}

/* A write of nothing new tells the watchers. */
static void wake(const struct transit *t)
{
	static const uint8_t nothing[sizeof(struct le64)];

	(void)!pwrite(t->fd, nothing, sizeof(nothing),
		      (off_t)((PACKAGES * sizeof(struct le64)) + (SETS * WAYS * sizeof(struct entry))));
}

void transit_unclaim(const struct transit *t, uint64_t first, uint32_t count)
{
	struct flock lock = range(F_UNLCK, first, count);

	if (t->fd < 0)
		return;
	(void)fcntl(t->fd, F_OFD_SETLK, &lock);
	wake(t);
}

static bool is_locked(const struct transit *t, uint64_t first, uint32_t count)
{
	struct flock lock = range(F_WRLCK, first, count);

	return t->fd >= 0 && fcntl(t->fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

bool transit_is_claimed_elsewhere(const struct transit *t, uint64_t claim)
{
	return is_locked(t, claim, 1);
}

bool transit_is_shared(const struct transit *t, const struct pkg_digest *root)
{
	return is_locked(t, transit_claim_of(root, 0), TRANSIT_INDEX + 1);
}

/* ---- content that is not durable yet ------------------------------------------------------ */

static off_t set_off(const struct pkg_digest *digest)
{
	size_t set = (size_t)(digest->b[0] | digest->b[1] << 8) % SETS;

	return (off_t)(PACKAGES * sizeof(struct le64) + set * WAYS * sizeof(struct entry));
}

static bool read_set(const struct transit *t, const struct pkg_digest *digest, struct entry ret[WAYS])
{
	ssize_t n;

	if (t->fd < 0)
		return false;
	memset(ret, 0, WAYS * sizeof(*ret));
	n = pread(t->fd, ret, WAYS * sizeof(*ret), set_off(digest));
	return n >= 0;
}

static void write_way(const struct transit *t, const struct pkg_digest *digest, size_t way,
		      const struct entry *entry)
{
	(void)!pwrite(t->fd, entry, sizeof(*entry), set_off(digest) + (off_t)(way * sizeof(*entry)));
}

static bool is_of(const struct entry *entry, const struct pkg_digest *digest)
{
	return le64_get(entry->len) && memcmp(entry->digest, digest->b, PKG_DIGEST_LEN) == 0;
}

void transit_publish(const struct transit *t, const struct pkg_digest *digest,
		     const struct transit_place *place)
{
	struct entry set[WAYS], entry = { .off = le64_of(place->off), .len = le64_of(place->len) };
	size_t way = place->off / 4096 % WAYS; /* when all are taken: any */

	if (!read_set(t, digest, set))
		return;
	for (size_t i = 0; i < WAYS; i++)
		if (is_of(&set[i], digest) || !le64_get(set[i].len)) {
			way = i;
			break;
		}
	memcpy(entry.digest, digest->b, PKG_DIGEST_LEN);
	write_way(t, digest, way, &entry);
}

void transit_withdraw(const struct transit *t, const struct pkg_digest *digest)
{
	static const struct entry empty;
	struct entry set[WAYS];

	if (!read_set(t, digest, set))
		return;
	for (size_t i = 0; i < WAYS; i++)
		if (is_of(&set[i], digest))
			write_way(t, digest, i, &empty);
}

bool transit_find(const struct transit *t, const struct pkg_digest *digest, struct transit_place *ret)
{
	struct entry set[WAYS];

	if (!read_set(t, digest, set))
		return false;
	for (size_t i = 0; i < WAYS; i++)
		if (is_of(&set[i], digest) && le64_get(set[i].len) <= UINT32_MAX) {
			*ret = (struct transit_place){ le64_get(set[i].off), (uint32_t)le64_get(set[i].len) };
			return true;
		}
	return false;
}

/* ---- arrivals ----------------------------------------------------------------------------- */

static off_t arrival_off(const struct pkg_digest *root)
{
	return (off_t)((size_t)(root->b[0] | root->b[1] << 8) % PACKAGES * sizeof(struct le64));
}

void transit_note_arrival(const struct transit *t, const struct pkg_digest *root)
{
	struct le64 now = le64_of(sync_now_ms());

	if (t->fd >= 0)
		(void)!pwrite(t->fd, &now, sizeof(now), arrival_off(root));
}

uint64_t transit_silent_ms(const struct transit *t, const struct pkg_digest *root)
{
	uint64_t now = sync_now_ms(), then;
	struct le64 stamp;

	if (t->fd < 0 || pread(t->fd, &stamp, sizeof(stamp), arrival_off(root)) != (ssize_t)sizeof(stamp))
		return UINT64_MAX;
	then = le64_get(stamp);
	return then <= now ? now - then : UINT64_MAX; /* of an earlier boot */
}

/* ---- waiting ------------------------------------------------------------------------------ */

int transit_watch(const struct transit *t)
{
	auto_fd int watch = -1;
	char path[64];

	if (t->fd < 0)
		return -1;
	watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", t->fd);
	return watch >= 0 && inotify_add_watch(watch, path, IN_MODIFY) >= 0 ? fd_steal(&watch) : -1;
}

void transit_watch_clear(int watch)
{
	char events[4096];

	while (watch >= 0 && read(watch, events, sizeof(events)) > 0)
		;
}
