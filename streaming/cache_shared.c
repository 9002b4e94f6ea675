/* SPDX-License-Identifier: Apache-2.0 */
/* A shared store that is only read; see cache_shared.h. */
#include "streaming/cache_shared.h"

#include <errno.h>
#include <fcntl.h>

#include "base/fd.h"
#include "base/sync.h"
#include "streaming/cache_db.h"
#include "streaming/cache_set.h"

struct cache_shared {
	char *dir;
	int dir_fd, data_fd;

	struct sync_mutex lock;
	/* guarded by lock */
	struct cache_db *db; /* for one short statement at a time */
	struct cache_set wrong;
	bool is_off; /* out of memory for `wrong` */
};

int cache_shared_open(const char *dir, struct cache_shared **ret, struct err *e)
{
	struct cache_shared *s = mem_alloc(1, sizeof(*s), e);

	if (!s)
		return -1;
	sync_mutex_init(&s->lock);
	s->data_fd = -1;
	s->dir = mem_strdup(dir, e);
	s->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (!s->dir || cache_db_open_shared(dir, &s->db, e) < 0) {
		cache_shared_close(s);
		return err_wrap(e, "shared store");
	}
	s->data_fd = openat(s->dir_fd, "chunks.dat", O_RDONLY | O_CLOEXEC);
	if (s->data_fd < 0) {
		int sys = errno;

		cache_shared_close(s);
		return err_sys(e, sys, "shared store %s/chunks.dat", dir);
	}
	*ret = s;
	return 0;
}

void cache_shared_close(struct cache_shared *s)
{
	if (!s)
		return;
	cache_db_close(s->db);
	cache_set_fini(&s->wrong);
	fd_close(s->data_fd);
	fd_close(s->dir_fd);
	sync_mutex_fini(&s->lock);
	free(s->dir);
	free(s);
}

const char *cache_shared_dir(const struct cache_shared *s)
{
	return s->dir;
}

static bool find(struct cache_shared *s, const struct pkg_digest *digest, struct cache_row *ret)
{
	struct err ignored;
	bool found;

	sync_lock(&s->lock);
	found = !s->is_off && !cache_set_has(&s->wrong, digest) &&
		cache_db_find(s->db, digest, ret, &ignored) == 0;
	sync_unlock(&s->lock);
	return found;
}

bool cache_shared_has(struct cache_shared *s, const struct pkg_digest *digest)
{
	struct cache_row row;

	return find(s, digest, &row);
}

bool cache_shared_get(struct cache_shared *s, const struct pkg_digest *digest, uint8_t *ret, size_t len)
{
	struct pkg_digest found;
	struct cache_row row;
	struct err ignored;

	if (!find(s, digest, &row))
		return false;
	if (row.len == len && fd_pread_exact(s->data_fd, ret, len, row.off, &ignored) == 0) {
		pkg_digest_of(ret, len, &found);
		if (pkg_digest_equal(&found, digest))
			return true;
	}
	sync_lock(&s->lock);
	s->is_off |= cache_set_add(&s->wrong, digest, &ignored) < 0;
	sync_unlock(&s->lock);
	return false;
}

bool cache_shared_package(struct cache_shared *s, const char *source, char *identity, size_t identity_cap,
			  uint8_t header[PKG_HEADER_LEN], struct pkg_digest *ret_index)
{
	struct err ignored;
	int rc;

	sync_lock(&s->lock);
	rc = cache_db_load_package(s->db, source, identity, identity_cap, header, PKG_HEADER_LEN, ret_index,
				   &ignored);
	sync_unlock(&s->lock);
	return rc == 0;
}

bool cache_shared_index(struct cache_shared *s, const struct pkg_digest *digest, struct buf *ret)
{
	char hex[PKG_DIGEST_HEX], name[PKG_DIGEST_HEX + 8];
	struct pkg_digest found;
	struct err ignored;

	pkg_digest_hex(digest, hex);
	(void)snprintf(name, sizeof(name), "index/%s", hex);
	buf_reset(ret);
	if (fd_read_file(s->dir_fd, name, ret, &ignored) < 0)
		return false;
	pkg_digest_of(ret->data, ret->len, &found);
	return pkg_digest_equal(digest, &found);
}
