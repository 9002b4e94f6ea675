/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a package: the first requests, and whether to believe the answers.
 *
 * Who knows which version he wants, and finds it in the cache, asks nobody. Cold, one request
 * brings the header, the index and the primary feature block (beginning.h). Known to the cache, a
 * request of the header's size asks whether the origin still has that version; when it does not answer,
 * answers with something that is no package (a hotel's login page), or no longer has the file, the cached
 * version opens. Nothing is used before signature and trust are checked. */
#include <string.h>

#include "streaming/beginning.h"
#include "streaming/flight.h"

enum {
	MEMORY_DEFAULT = 16 * 1024 * 1024,
	MEMORY_MIN = 4 * 1024 * 1024,
	HURRY_MS = 1500,                   /* for an answer, when the cache has a version */
	INDEX_IN_MEMORY_MAX = 1024 * 1024, /* compressed */
};

/* What the cache knows of the source. */
struct known {
	bool is_known;
	char identity[STREAM_IDENTITY_MAX];
	uint8_t header[PKG_HEADER_LEN];
	struct buf index;
};

/* ---- believing a header ----------------------------------------------------------------- */

static bool is_revoked(const char *config_dir, const struct pkg_public_key *key)
{
	struct pkg_trust_entry *list = NULL;
	bool found = false;
	struct err ignored;
	size_t count = 0;

	if (pkg_trust_list(config_dir, &list, &count, &ignored) < 0)
		return true; /* cannot be ruled out */
	for (size_t i = 0; i < count; i++)
		found |= list[i].state == PKG_KEY_REVOKED && memcmp(list[i].key.b, key->b, PKG_KEY_LEN) == 0;
	free(list);
	return found;
}

/* What hotels and proxies answer in a server's place. */
static bool is_web_page(const uint8_t *bytes)
{
	return *bytes == '<';
}

static int login_page(const struct stream_package *p, struct err *e)
{
	return err_set(
		e, ERR_FORMAT,
		"%s: the answer is a web page, not a package: is the address right, or does this network "
		"want a login first?",
		p->shown);
}

static int check_header(struct stream_package *p, const struct stream_package_opt *opt, const uint8_t *bytes,
			struct err *e)
{
	if (pkg_header_decode(bytes, &p->header, e) < 0)
		return is_web_page(bytes) ? login_page(p, e) : err_wrap(e, "%s", p->shown);
	if (!opt->config_dir || pkg_trust_check(opt->config_dir, &p->header.signer, e) == 0)
		return 0;
	if (e->code == ERR_TRUST && opt->trust_once && !is_revoked(opt->config_dir, &p->header.signer))
		return 0;
	return err_wrap(e, "%s", p->shown);
}

static int check_index(struct stream_package *p, const uint8_t *index, size_t len, struct err *e)
{
	struct pkg_digest digest;
	struct err ignored;
	int scratch_fd = -1;

	pkg_digest_of(index, len, &digest);
	if (len != p->header.index_stored_len || !pkg_digest_equal(&digest, &p->header.index_digest))
		return err_set(e, ERR_INTEGRITY, "%s: the index is damaged", p->shown);
	/* A long one does not stay in memory. */
	if (p->opt.cache && len > INDEX_IN_MEMORY_MAX)
		scratch_fd = stream_cache_scratch(p->opt.cache, &ignored);
	if (pkg_index_open(index, len, p->header.index_content_len, scratch_fd, &p->index, e) < 0)
		return err_wrap(e, "%s", p->shown);
	return 0;
}

/* ---- opening ---------------------------------------------------------------------------- */

static int check_length(struct stream_package *p, struct err *e)
{
	uint64_t size = p->fetcher->ops->size(p->fetcher);

	if (size == p->header.file_len)
		return 0;
	return err_set(e, ERR_INTEGRITY,
		       "%s: is %llu bytes long but should be %llu: incomplete upload or copy?", p->shown,
		       (unsigned long long)size, (unsigned long long)p->header.file_len);
}

/* Adds the index behind the header in `first`. */
static int complete_index(struct stream_package *p, struct buf *first, struct err *e)
{
	uint64_t end = PKG_HEADER_LEN + p->header.index_stored_len;
	uint64_t begun = p->beginning ? beginning_end(p->beginning) : first->len;
	auto_buf struct buf tail = BUF_INIT(PKG_INDEX_STORED_MAX);

	/* What the first transfer does not bring comes beside it. */
	if (begun < end && package_fetch_part(p, begun, end - begun, &tail, e) < 0)
		return -1;
	if (p->beginning && beginning_read(p->beginning, first->len, end - first->len, first, e) < 0)
		return -1;
	if (tail.len && buf_add(first, tail.data, tail.len, e) < 0)
		return -1;
	return first->len < end ? err_set(e, ERR_INTEGRITY, "%s: ends inside its index", p->shown) : 0;
}

/* The first bytes of the origin, at least the header when they are there. */
static int begin(struct stream_package *p, const struct stream_package_opt *opt, const struct known *known,
		 struct buf *ret, struct err *e)
{
	uint64_t len = opt->start_len ? opt->start_len : STREAM_START_REQUEST, kin;
	int rc;

	if (p->is_file)
		return package_fetch_part(p, 0, PKG_HEADER_LEN, ret, e);
	if (known->is_known) {
		package_hurry(p, HURRY_MS);
		rc = package_fetch_part(p, 0, PKG_HEADER_LEN, ret, e);
		package_hurry(p, 0);
		return rc;
	}
	/* Of another version most may be here: only what the index then shows to be lacking is asked for. */
	kin = opt->cache ? stream_cache_kin(opt->cache, p->source) : 0;
	if (kin && kin + kin / 8 < len)
		len = kin + kin / 8;
	if (opt->no_prefetch && len > STREAM_FIRST_REQUEST)
		len = STREAM_FIRST_REQUEST;
	beginning_close(p->beginning); /* of a package that was replaced meanwhile */
	p->beginning = NULL;
	if (beginning_open(p, len > PKG_HEADER_LEN ? len : PKG_HEADER_LEN, &p->beginning, e) < 0)
		return -1;
	pkg_key_prepare(); /* beside the network */
	return beginning_read(p->beginning, 0, PKG_HEADER_LEN, ret, e);
}

/* Failures here cost the next start some time, no more. */
static void *remember_main(void *arg)
{
	struct stream_package *p = arg;
	const uint8_t *bytes = p->beginning_bytes.data, *index = bytes + PKG_HEADER_LEN;
	const struct pkg_manifest *m = pkg_index_manifest(p->index);
	char identity[STREAM_IDENTITY_MAX];
	struct pkg_index_counts counts;
	struct err ignored;

	p->fetcher->ops->identity(p->fetcher, identity);
	pkg_index_counts(p->index, &counts);
	(void)!(stream_cache_save_package(p->opt.cache, p->source, identity, bytes, index,
					  p->header.index_stored_len, &ignored) < 0 ||
		stream_cache_note_package(p->opt.cache, &p->header.root, m->name, m->version,
					  counts.content_bytes, &ignored) < 0);
	buf_fini(&p->beginning_bytes);
	return NULL;
}

/* Beside what the launch needs next. Takes header and index over. */
static void remember(struct stream_package *p, struct buf *bytes)
{
	if (!p->opt.cache || p->is_file)
		return;
	p->beginning_bytes = *bytes;
	*bytes = (struct buf)BUF_INIT(0);
	p->is_remembering =
		p->opt.remembers_later && pthread_create(&p->rememberer, NULL, remember_main, p) == 0;
	if (!p->is_remembering)
		(void)remember_main(p);
}

static int open_from_origin(struct stream_package *p, const struct stream_package_opt *opt,
			    const struct known *known, struct err *e)
{
	auto_buf struct buf first = BUF_INIT(PKG_HEADER_LEN + PKG_INDEX_STORED_MAX);
	struct pkg_header before;
	struct err ignored;

	if (begin(p, opt, known, &first, e) < 0)
		return -1;
	if (first.len < PKG_HEADER_LEN && first.len && is_web_page(first.data))
		return login_page(p, e);
	if (first.len < PKG_HEADER_LEN)
		return err_set(e, ERR_FORMAT, "%s: not a floe package (only %zu bytes)", p->shown, first.len);
	if (check_header(p, opt, first.data, e) < 0 || check_length(p, e) < 0)
		return -1;
	p->origin = ORIGIN_CONFIRMED;
	if (known->is_known && pkg_header_decode(known->header, &before, &ignored) == 0 &&
	    pkg_digest_equal(&before.root, &p->header.root))
		return check_index(p, known->index.data, known->index.len, e);
	if (complete_index(p, &first, e) < 0 ||
	    check_index(p, first.data + PKG_HEADER_LEN, p->header.index_stored_len, e) < 0)
		return -1;
	remember(p, &first);
	return 0;
}

static int open_known(struct stream_package *p, const struct stream_package_opt *opt,
		      const struct known *known, struct err *e)
{
	p->origin = ORIGIN_UNKNOWN;
	if (check_header(p, opt, known->header, e) < 0)
		return -1;
	return check_index(p, known->index.data, known->index.len, e);
}

static int open_from_cache(struct stream_package *p, const struct stream_package_opt *opt,
			   const struct known *known, struct err *e)
{
	p->is_offline = true;
	return open_known(p, opt, known, e);
}

static bool is_wanted_version(const struct stream_package_opt *opt, const struct known *known)
{
	struct pkg_header header;
	struct err ignored;

	return opt->root && known->is_known && pkg_header_decode(known->header, &header, &ignored) == 0 &&
	       pkg_digest_equal(&header.root, opt->root);
}

static bool may_use_cache(enum err_code code)
{
	return code == ERR_NET || code == ERR_NOTFOUND || code == ERR_UNSUPPORTED || code == ERR_FORMAT;
}

/* Perhaps only by a cache on the way: from now on the origin itself is asked. */
static bool is_damaged(const struct stream_package *p, const struct err *e)
{
	if (p->is_file || (e->code != ERR_INTEGRITY && e->code != ERR_FORMAT))
		return false;
	(void)p->fetcher->ops->distrust(p->fetcher);
	return true;
}

static int open_somehow(struct stream_package *p, const struct stream_package_opt *opt,
			const struct known *known, struct err *e)
{
	if (!p->fetcher && !known->is_known)
		return err_set(e, ERR_NET, "%s: not in the cache, and the network is not to be used",
			       p->shown);
	if (!p->fetcher)
		return open_from_cache(p, opt, known, e);
	if (is_wanted_version(opt, known))
		return open_known(p, opt, known, e);
	if (open_from_origin(p, opt, known, e) == 0)
		return 0;
	/* Replaced between two requests, or damaged on the way: once more. */
	if (e->code == ERR_CHANGED || is_damaged(p, e)) {
		p->fetcher->ops->unpin(p->fetcher, false);
		if (open_from_origin(p, opt, known, e) == 0)
			return 0;
	}
	if (!known->is_known || p->index || !may_use_cache(e->code))
		return -1;
	return open_from_cache(p, opt, known, e);
}

/* ---- lifecycle -------------------------------------------------------------------------- */

static int prepare(struct stream_package *p, const char *source, const struct stream_package_opt *opt,
		   struct err *e)
{
	p->opt = *opt;
	p->opt.config_dir = NULL; /* not ours to keep */
	p->opt.root = NULL;
	p->opt.profile_dir = NULL;
	p->opt.mirrors = NULL;
	if (!opt->memory_max)
		p->opt.memory_max = MEMORY_DEFAULT;
	else if (opt->memory_max < MEMORY_MIN)
		p->opt.memory_max = MEMORY_MIN;
	memory_limit(&p->memory, opt->memory_first ? opt->memory_first : p->opt.memory_max);
	p->is_file = !stream_source_is_url(source);
	p->source = mem_strdup(source, e);
	p->shown = stream_source_for_people(source, e);
	if (!p->source || !p->shown)
		return -1;
	if (opt->offline && !p->is_file)
		return 0;
	return package_open_origins(p, source, opt, e);
}

static int finish(struct stream_package *p, const struct stream_package_opt *opt, struct err *e)
{
	struct pkg_index_counts counts;

	package_want_root(p, &p->header.root);
	pkg_index_counts(p->index, &counts);
	p->chunk_count = counts.chunks;
	p->block_chunks = schedule_count_until(p, p->header.feature_block_end);
	p->is_busy = mem_alloc(counts.chunks, 1, e);
	if (!p->is_busy || learn_init(p, opt->profile_dir, e) < 0)
		return -1;
	if (!p->is_file && p->fetcher)
		schedule_start(p);
	learn_start(p);
	return 0;
}

int stream_package_open(const char *source, const struct stream_package_opt *opt, struct stream_package **ret,
			struct err *e)
{
	struct known known = { .index = BUF_INIT(PKG_INDEX_STORED_MAX) };
	struct stream_package *p = mem_alloc(1, sizeof(*p), e);
	struct err ignored;
	int rc;

	if (!p)
		return -1;
	sync_mutex_init(&p->lock);
	sync_cond_init(&p->changed);
	sync_cond_init(&p->learning.told);
	schedule_init(p);
	near_init(p);
	elsewhere_init(p);
	rc = prepare(p, source, opt, e);
	if (rc == 0 && opt->cache && !p->is_file)
		known.is_known =
			stream_cache_load_package(opt->cache, source, known.identity, sizeof(known.identity),
						  known.header, &known.index, &ignored) == 0;
	if (rc == 0)
		rc = open_somehow(p, opt, &known, e);
	buf_fini(&known.index);
	if (rc == 0)
		rc = finish(p, opt, e);
	if (rc < 0) {
		stream_package_close(p);
		return -1;
	}
	*ret = p;
	return 0;
}

void stream_package_close(struct stream_package *p)
{
	if (!p)
		return;
	sync_lock(&p->lock);
	p->is_closing = true;
	sync_wake_all(&p->changed);
	sync_unlock(&p->lock);
	if (p->fetcher)
		p->fetcher->ops->cancel(p->fetcher);
	learn_stop(p);
	schedule_stop(p);
	beginning_close(p->beginning); /* the schedule's streamer waits for its end */
	near_stop(p);
	elsewhere_stop(p);
	sync_lock(&p->lock);
	while (p->users)
		sync_wait(&p->changed, &p->lock);
	sync_unlock(&p->lock);
	if (p->is_remembering)
		(void)pthread_join(p->rememberer, NULL);
	if (p->fetcher)
		p->fetcher->ops->close(p->fetcher);
	learn_fini(p);
	memory_fini(&p->memory);
	pkg_index_close(p->index);
	free(p->is_busy);
	sync_cond_fini(&p->changed);
	sync_cond_fini(&p->learning.told);
	sync_mutex_fini(&p->lock);
	free(p->source);
	free(p->shown);
	free(p);
}
