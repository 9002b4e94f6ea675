/* SPDX-License-Identifier: Apache-2.0 */
/* First touches on disk; see profile.h. */
#include "streaming/profile.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"

static const char magic[8] = { 'f', 'l', 'o', 'e', 'p', 'r', 'f', '1' };

struct record {
	struct pkg_digest digest;
	struct le32 chunk_idx, idle;
};

enum {
	FIXED = sizeof(magic) + PKG_DIGEST_LEN,
	FILE_MAX = FIXED + STREAM_PROFILE_MAX * sizeof(struct record),
};

void stream_profile_fini(struct stream_profile *p)
{
	free(p->entries);
	*p = (struct stream_profile){ 0 };
}

void stream_profile_key(const struct pkg_header *header, const char *name, const char *command,
			struct pkg_digest *ret)
{
	struct pkg_digest parts[3];

	pkg_digest_of(header->signer.b, sizeof(header->signer.b), &parts[0]);
	pkg_digest_of(name, strlen(name), &parts[1]);
	pkg_digest_of(command, strlen(command), &parts[2]);
	pkg_digest_of(parts, sizeof(parts), ret);
}

/* ---- merging ----------------------------------------------------------------------------- */

/* A set of digests: open addressing, at most half full. */
struct digest_set {
	const struct pkg_digest **slots;
	size_t mask;
};

static int set_init(struct digest_set *s, size_t count, struct err *e)
{
	size_t size = 16;

	while (size < 2 * count)
		size *= 2;
	s->mask = size - 1;
	s->slots = mem_alloc(size, sizeof(*s->slots), e);
	return s->slots ? 0 : -1;
}

/* False when it is in there already. */
static bool set_add(struct digest_set *s, const struct pkg_digest *d)
{
	size_t at;

	memcpy(&at, d->b, sizeof(at));
	for (at &= s->mask; s->slots[at]; at = (at + 1) & s->mask)
		if (pkg_digest_equal(s->slots[at], d))
			return false;
	s->slots[at] = d;
	return true;
}

struct merging {
	struct digest_set seen;
	struct stream_profile merged;
};

static void add(struct merging *m, const struct stream_profile_entry *x, uint32_t idle)
{
	if (idle > STREAM_PROFILE_IDLE || m->merged.count == STREAM_PROFILE_MAX ||
	    !set_add(&m->seen, &x->digest))
		return;
	m->merged.entries[m->merged.count] = *x;
	m->merged.entries[m->merged.count++].idle = idle;
}

int stream_profile_merge(struct stream_profile *p, const struct stream_profile_entry *touched, size_t count,
			 bool is_whole, struct err *e)
{
	struct merging m = { 0 };

	m.merged.entries = mem_alloc(count + p->count, sizeof(*m.merged.entries), e);
	if (!m.merged.entries || set_init(&m.seen, count + p->count, e) < 0) {
		stream_profile_fini(&m.merged);
		return -1;
	}
	for (size_t i = 0; is_whole && i < count; i++)
		add(&m, &touched[i], 0);
	for (size_t i = 0; i < p->count; i++)
		add(&m, &p->entries[i], p->entries[i].idle + is_whole);
	for (size_t i = 0; !is_whole && i < count; i++)
		add(&m, &touched[i], 0);
	free(m.seen.slots);
	stream_profile_fini(p);
	*p = m.merged;
	return 0;
}

/* ---- the file ---------------------------------------------------------------------------- */

static char *path_of(const char *dir, const struct pkg_digest *key, struct err *e)
{
	char hex[PKG_DIGEST_HEX];

	pkg_digest_hex(key, hex);
	return mem_printf(e, "%s/profiles/%s", dir, hex);
}

static int decode(const struct buf *b, struct stream_profile *ret, struct err *e)
{
	size_t body = b->len - PKG_DIGEST_LEN, count;
	struct stream_profile_entry *entries;
	struct pkg_digest sum;

	if (b->len < FIXED || (b->len - FIXED) % sizeof(struct record) ||
	    memcmp(b->data, magic, sizeof(magic)) != 0)
		return err_set(e, ERR_NOTFOUND, "not a profile");
	pkg_digest_of(b->data, body, &sum);
	if (memcmp(sum.b, b->data + body, PKG_DIGEST_LEN) != 0)
		return err_set(e, ERR_NOTFOUND, "the profile is damaged");
	count = (b->len - FIXED) / sizeof(struct record);
	entries = mem_alloc(count, sizeof(*entries), e);
	if (!entries)
		return -1;
	for (size_t i = 0; i < count; i++) {
		struct record r;

		memcpy(&r, b->data + sizeof(magic) + i * sizeof(r), sizeof(r));
		entries[i] =
			(struct stream_profile_entry){ r.digest, le32_get(r.chunk_idx), le32_get(r.idle) };
	}
	*ret = (struct stream_profile){ entries, count };
	return 0;
}

int stream_profile_load(const char *dir, const struct pkg_digest *key, struct stream_profile *ret,
			struct err *e)
{
	auto_buf struct buf b = BUF_INIT(FILE_MAX);
	auto_free char *path = path_of(dir, key, e);

	if (!path)
		return -1;
	if (fd_read_file(AT_FDCWD, path, &b, e) < 0)
		return e->code == ERR_LIMIT ? err_set(e, ERR_NOTFOUND, "the profile is damaged") : -1;
	return decode(&b, ret, e);
}

/* Removes the file that was written longest ago when there are too many. */
static void make_room(const char *profiles)
{
	auto_closedir DIR *d = opendir(profiles);
	struct timespec oldest = { 0 };
	char name[PKG_DIGEST_HEX] = "";
	unsigned count = 0;
	struct dirent *entry;
	struct stat st;

	while (d && (entry = readdir(d))) {
		if (strlen(entry->d_name) != PKG_DIGEST_HEX - 1 ||
		    fstatat(dirfd(d), entry->d_name, &st, 0) < 0)
			continue;
		if (!count++ || st.st_mtim.tv_sec < oldest.tv_sec ||
		    (st.st_mtim.tv_sec == oldest.tv_sec && st.st_mtim.tv_nsec < oldest.tv_nsec)) {
			oldest = st.st_mtim;
			memcpy(name, entry->d_name, sizeof(name));
		}
	}
	if (count > STREAM_PROFILE_FILES)
		(void)unlinkat(dirfd(d), name, 0);
}

int stream_profile_save(const char *dir, const struct pkg_digest *key, const struct stream_profile *p,
			struct err *e)
{
	auto_buf struct buf b = BUF_INIT(FILE_MAX);
	auto_free char *profiles = path_join(dir, "profiles", e), *path = path_of(dir, key, e);
	struct pkg_digest sum;

	if (!profiles || !path || path_make_dirs(profiles, 0700, e) < 0 ||
	    buf_add(&b, magic, sizeof(magic), e) < 0)
		return -1;
	for (size_t i = 0; i < p->count && i < STREAM_PROFILE_MAX; i++) {
		const struct stream_profile_entry *x = &p->entries[i];
		const struct record r = { x->digest, le32_of(x->chunk_idx), le32_of(x->idle) };

		if (buf_add(&b, &r, sizeof(r), e) < 0)
			return -1;
	}
	pkg_digest_of(b.data, b.len, &sum);
	if (buf_add(&b, sum.b, sizeof(sum.b), e) < 0 ||
	    fd_write_file(AT_FDCWD, path, b.data, b.len, 0600, e) < 0)
		return -1;
	make_room(profiles);
	return 0;
}
