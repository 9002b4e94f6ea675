/* SPDX-License-Identifier: Apache-2.0 */
/* The chunk cache: what is remembered of packages, pins, and which chunks a package has; see cache.h. The
 * latter is read from its index when somebody asks: a table of it would be larger than all else. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/fd.h"
#include "streaming/cache_store.h"

/* ---- indexes ---------------------------------------------------------------------------- */

enum { INDEX_NAME = PKG_DIGEST_HEX + 8 };

static void index_name(const struct pkg_digest *digest, char ret[INDEX_NAME])
{
	char hex[PKG_DIGEST_HEX];

	pkg_digest_hex(digest, hex);
	(void)snprintf(ret, INDEX_NAME, "index/%s", hex);
}

/* Without fsync: the index is checked against its digest whenever it is read. */
static int write_index(struct stream_cache *c, const struct pkg_digest *digest, const void *index, size_t len,
		       struct err *e)
{
	char name[INDEX_NAME], temporary[INDEX_NAME + 64];
	struct timespec now;
	struct stat st;

	index_name(digest, name);
	if (fstatat(c->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_size == (off_t)len)
		return 0;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	(void)snprintf(temporary, sizeof(temporary), "index/tmp.%d.%ld.%.16s", (int)getpid(), now.tv_nsec,
		       name + strlen("index/"));
	auto_fd int fd = openat(c->dir_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(e, errno, "%s/%s", c->dir, temporary);
	if (fd_write_all(fd, index, len, e) < 0) {
		(void)unlinkat(c->dir_fd, temporary, 0);
		return err_wrap(e, "%s/%s", c->dir, temporary);
	}
	if (renameat(c->dir_fd, temporary, c->dir_fd, name) < 0) {
		int sys = errno;

		(void)unlinkat(c->dir_fd, temporary, 0);
		return err_sys(e, sys, "%s/%s", c->dir, name);
	}
	return 0;
}

int cache_read_index(struct stream_cache *c, const struct pkg_digest *digest, struct buf *ret, struct err *e)
{
	struct pkg_digest found;
	char name[INDEX_NAME];
	struct err ignored;

	index_name(digest, name);
	buf_reset(ret);
	if (fd_read_file(c->dir_fd, name, ret, &ignored) == 0) {
		pkg_digest_of(ret->data, ret->len, &found);
		if (pkg_digest_equal(digest, &found))
			return 0;
		(void)unlinkat(c->dir_fd, name, 0);
	}
	if (c->shared && cache_shared_index(c->shared, digest, ret))
		return 0;
	buf_reset(ret);
	return err_set(e, ERR_NOTFOUND, "the index is not in the cache");
}

/* ---- sources ---------------------------------------------------------------------------- */

int stream_cache_save_package(struct stream_cache *c, const char *source, const char *identity,
			      const uint8_t header[PKG_HEADER_LEN], const void *index, size_t index_len,
			      struct err *e)
{
	struct cache_source s = {
		.name = source, .identity = identity, .header = header, .header_len = PKG_HEADER_LEN
	};
	struct pkg_header decoded;
	struct err ignored;
	int rc;

	pkg_digest_of(index, index_len, &s.index);
	if (pkg_header_decode(header, &decoded, &ignored) == 0 &&
	    pkg_digest_equal(&decoded.index_digest, &s.index))
		s.root = &decoded.root;
	if (write_index(c, &s.index, index, index_len, e) < 0)
		return -1;
	sync_lock(&c->change_lock);
	rc = cache_db_save_package(c->change_db, &s, e);
	sync_unlock(&c->change_lock);
	return rc;
}

int stream_cache_load_package(struct stream_cache *c, const char *source, char identity[],
			      size_t identity_cap, uint8_t header[PKG_HEADER_LEN], struct buf *index,
			      struct err *e)
{
	struct pkg_digest digest;
	struct err ignored;
	int rc;

	sync_lock(&c->find_lock);
	rc = cache_db_load_package(c->find_db, source, identity, identity_cap, header, PKG_HEADER_LEN,
				   &digest, e);
	sync_unlock(&c->find_lock);
	if (rc == 0)
		return cache_read_index(c, &digest, index, e);
	if (!c->shared || !cache_shared_package(c->shared, source, identity, identity_cap, header, &digest))
		return err_set(e, ERR_NOTFOUND, "not in the cache");
	if (cache_read_index(c, &digest, index, e) < 0)
		return -1;
	/* So that what is fetched beside the store has an owner here. */
	if (stream_cache_save_package(c, source, identity, header, index->data, index->len, &ignored) < 0)
		return 0;
	return 0;
}

int stream_cache_note_package(struct stream_cache *c, const struct pkg_digest *root, const char *name,
			      const char *version, uint64_t content_bytes, struct err *e)
{
	int rc;

	sync_lock(&c->change_lock);
	rc = cache_db_note_version(c->change_db, root, name, version, content_bytes, e);
	sync_unlock(&c->change_lock);
	return rc;
}

/* ---- kin -------------------------------------------------------------------------------- */

struct kinship {
	const char *source;
	size_t dir_len;
	uint64_t index_end;
};

/* Fails with the first that is found. */
static int look_at(void *arg, const struct cache_version *v, struct err *e)
{
	struct kinship *k = arg;
	const char *file = k->source + k->dir_len;
	size_t name_len = strlen(v->name);
	struct pkg_header header;
	struct err ignored;

	if (!name_len || strncmp(file, v->name, name_len) != 0 || file[name_len] != '-' ||
	    file[name_len + 1] < '0' || file[name_len + 1] > '9' ||
	    strncmp(v->source, k->source, k->dir_len) != 0 || strchr(v->source + k->dir_len, '/') ||
	    v->header_len != PKG_HEADER_LEN || pkg_header_decode(v->header, &header, &ignored) < 0)
		return 0;
	k->index_end = PKG_HEADER_LEN + header.index_stored_len;
	return err_set(e, ERR_EXISTS, "found");
}

uint64_t stream_cache_kin(struct stream_cache *c, const char *source)
{
	const char *slash = strrchr(source, '/');
	struct kinship k = { .source = source };
	struct err ignored;

	if (!slash)
		return 0;
	k.dir_len = (size_t)(slash + 1 - source);
	sync_lock(&c->find_lock);
	(void)!cache_db_versions(c->find_db, look_at, &k, &ignored);
	sync_unlock(&c->find_lock);
	return k.index_end;
}

/* ---- versions --------------------------------------------------------------------------- */

static void known_free(struct cache_known *k)
{
	if (!k)
		return;
	free(k->name);
	free(k->version);
	free(k->source);
	free(k);
}

void cache_known_fini(struct cache_known_list *k)
{
	for (size_t i = 0; i < k->count; i++)
		known_free(k->list[i]);
	free(k->list);
	*k = (struct cache_known_list){ 0 };
}

static int take_version(void *arg, const struct cache_version *v, struct err *e)
{
	struct cache_known_list *list = arg;
	struct cache_known **grown, *k;

	if (list->count == list->cap) {
		size_t cap = list->cap ? list->cap * 2 : 32;

		grown = mem_grow(list->list, cap, sizeof(struct cache_known *), e);
		if (!grown)
			return -1;
		list->list = grown;
		list->cap = cap;
	}
	k = mem_alloc(1, sizeof(*k), e);
	if (!k)
		return -1;
	list->list[list->count++] = k;
	k->root = v->root;
	k->index = v->index;
	k->is_pinned = v->is_pinned;
	k->used_s = v->used_s;
	k->has_index = v->header_len == PKG_HEADER_LEN;
	if (k->has_index)
		memcpy(k->header, v->header, PKG_HEADER_LEN);
	k->name = mem_strdup(v->name, e);
	k->version = mem_strdup(v->version, e);
	k->source = mem_strdup(v->source, e);
	return k->name && k->version && k->source ? 0 : -1;
}

int cache_known_read(struct stream_cache *c, struct cache_known_list *ret, struct err *e)
{
	int rc;

	sync_lock(&c->change_lock);
	rc = cache_db_versions(c->change_db, take_version, ret, e);
	sync_unlock(&c->change_lock);
	return rc;
}

int cache_known_index(struct stream_cache *c, const struct cache_known *known, struct pkg_index **ret,
		      struct err *e)
{
	auto_buf struct buf stored = BUF_INIT(PKG_INDEX_STORED_MAX);
	struct pkg_header header;

	if (!known->has_index || pkg_header_decode(known->header, &header, e) < 0 ||
	    !pkg_digest_equal(&header.index_digest, &known->index))
		return err_set(e, ERR_NOTFOUND, "the index is not in the cache");
	if (cache_read_index(c, &known->index, &stored, e) < 0)
		return -1;
	if (pkg_index_open(stored.data, stored.len, header.index_content_len, -1, ret, e) < 0)
		return e->code == ERR_NOMEM ? -1 : err_set(e, ERR_NOTFOUND, "the index is unusable");
	return 0;
}

int stream_cache_pin(struct stream_cache *c, const struct pkg_digest *root, bool is_pinned, struct err *e)
{
	int rc;

	sync_lock(&c->change_lock);
	rc = cache_db_pin_version(c->change_db, root, is_pinned, e);
	sync_unlock(&c->change_lock);
	return rc;
}

/* ---- by reference ----------------------------------------------------------------------- */

enum { PREFIX_MIN = 8 }; /* digits of a root digest */

static bool is_meant(const struct cache_known *k, const char *ref)
{
	size_t name_len = strlen(k->name), len = strlen(ref);
	char hex[PKG_DIGEST_HEX];

	if (!strcmp(ref, k->source))
		return true;
	if (name_len && !strncmp(ref, k->name, name_len) &&
	    (!ref[name_len] || (ref[name_len] == '@' && !strcmp(ref + name_len + 1, k->version))))
		return true;
	pkg_digest_hex(&k->root, hex);
	return len >= PREFIX_MIN && len < PKG_DIGEST_HEX && !strncmp(ref, hex, len);
}

int stream_cache_resolve(struct stream_cache *c, const char *ref, bool only_pinned, struct pkg_digest *ret,
			 char **ret_source, struct err *e)
{
	auto_cache_known struct cache_known_list known = { 0 };

	if (cache_known_read(c, &known, e) < 0)
		return -1;
	for (size_t i = 0; i < known.count; i++) {
		const struct cache_known *k = known.list[i];

		if (!is_meant(k, ref) || (only_pinned && !k->is_pinned))
			continue;
		if (ret_source && !(*ret_source = mem_strdup(k->source, e)))
			return -1;
		*ret = k->root;
		return 0;
	}
	return err_set(e, ERR_NOTFOUND,
		       "%s: the cache knows no %spackage of that name, address or root digest", ref,
		       only_pinned ? "pinned " : "");
}
