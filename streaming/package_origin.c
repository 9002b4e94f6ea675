/* SPDX-License-Identifier: Apache-2.0 */
/* Does the origin still have the package that we opened? Asked before the first fetch of what was opened from
 * the cache, after an answer that says "replaced", and by who is about to launch it once more. */
#include "streaming/package_state.h"

enum {
	HURRY_MS = 3000, /* for the question whether the origin has another version */
	REPINS_MAX = 8,
	CONFIRM_ATTEMPTS = 4,
};

static int gather(void *arg, const uint8_t *data, size_t len, struct err *e)
{
	return buf_add(arg, data, len, e);
}

int package_fetch_part(struct stream_package *p, uint64_t off, uint64_t len, struct buf *ret, struct err *e)
{
	return p->fetcher->ops->read(p->fetcher, off, len, gather, ret, e);
}

/* Reads the origin's header as it is now. */
static int read_root(struct stream_package *p, struct pkg_digest *ret, struct err *e)
{
	auto_buf struct buf bytes = BUF_INIT(PKG_HEADER_LEN);
	struct pkg_header header;

	if (package_fetch_part(p, 0, PKG_HEADER_LEN, &bytes, e) < 0)
		return -1;
	/* Not a package at all: a proxy or a login page in between, which may go away. */
	if (bytes.len < PKG_HEADER_LEN || pkg_header_decode(bytes.data, &header, e) < 0)
		return err_set(e, ERR_NET, "%s: does not answer with a package at the moment", p->shown);
	*ret = header.root;
	return 0;
}

static int replaced(const struct stream_package *p, struct err *e)
{
	return err_set(e, ERR_CHANGED,
		       "the package at %s was replaced while in use; start the application again to use the "
		       "new one",
		       p->shown);
}

static int compare_origin(struct stream_package *p, bool length_only, struct err *e)
{
	struct pkg_digest root;
	bool is_same;
	int rc, attempts = 0;

	/* A request that runs beside this one may just have pinned what the server had before. */
	do {
		p->fetcher->ops->unpin(p->fetcher, length_only);
		rc = read_root(p, &root, e);
	} while (rc < 0 && e->code == ERR_CHANGED && ++attempts < CONFIRM_ATTEMPTS);
	if (rc < 0)
		return e->code == ERR_CHANGED ? replaced(p, e) : -1;
	is_same = pkg_digest_equal(&root, &p->header.root);
	sync_lock(&p->lock);
	p->origin = is_same ? ORIGIN_CONFIRMED : ORIGIN_CHANGED;
	sync_unlock(&p->lock);
	return is_same ? 0 : replaced(p, e);
}

int package_confirm_origin(struct stream_package *p, struct err *e)
{
	enum origin_state state;
	bool length_only;

	sync_lock(&p->lock);
	state = p->origin;
	length_only = p->repins > 1;
	sync_unlock(&p->lock);
	if (state == ORIGIN_CONFIRMED)
		return 0;
	return state == ORIGIN_CHANGED ? replaced(p, e) : compare_origin(p, length_only, e);
}

int package_reconfirm_origin(struct stream_package *p, struct err *e)
{
	unsigned repins;

	sync_lock(&p->lock);
	repins = ++p->repins;
	p->origin = ORIGIN_UNKNOWN;
	sync_unlock(&p->lock);
	if (repins > REPINS_MAX)
		return replaced(p, e);
	/* Twice the same package under another identity: the servers behind the name disagree about it. */
	return compare_origin(p, repins > 1, e);
}

void package_hurry(struct stream_package *p, unsigned ms)
{
	const struct stream_fetch_opt hasty = { ms, ms, 1, p->opt.fetch.ranges_only };

	p->fetcher->ops->retune(p->fetcher, ms ? &hasty : &p->opt.fetch);
}

/* ---- before the next launch ------------------------------------------------------------- */

struct question {
	struct stream_package *p;
	stream_package_verdict_fn *tell;
	void *arg;
};

/* The preferred origin decides, as it does when a package is opened, not the one that has our version. */
static enum stream_package_verdict ask_afresh(struct stream_package *p)
{
	bool had_wanted, length_only;
	struct err e;
	int rc;

	if (p->is_file || !p->fetcher)
		return STREAM_PACKAGE_UNKNOWN;
	sync_lock(&p->lock);
	had_wanted = p->has_wanted;
	p->has_wanted = false;
	p->origin = ORIGIN_UNKNOWN;
	length_only = p->repins > 1;
	sync_unlock(&p->lock);
	package_hurry(p, HURRY_MS);
	rc = compare_origin(p, length_only, &e);
	package_hurry(p, 0);
	sync_lock(&p->lock);
	p->has_wanted = had_wanted;
	sync_unlock(&p->lock);
	if (rc == 0)
		return STREAM_PACKAGE_CURRENT;
	return e.code == ERR_CHANGED ? STREAM_PACKAGE_REPLACED : STREAM_PACKAGE_UNKNOWN;
}

static void *ask_main(void *arg)
{
	auto_free struct question *q = arg;
	struct stream_package *p = q->p;

	q->tell(q->arg, ask_afresh(p));
	sync_lock(&p->lock);
	if (--p->users == 0)
		sync_wake_all(&p->changed);
	sync_unlock(&p->lock);
	return NULL;
}

int stream_package_ask(struct stream_package *p, stream_package_verdict_fn *tell, void *arg, struct err *e)
{
	auto_free struct question *q = mem_alloc(1, sizeof(*q), e);
	int failure;

	if (!q)
		return -1;
	*q = (struct question){ p, tell, arg };
	sync_lock(&p->lock);
	p->users++; /* closing waits for the verdict */
	sync_unlock(&p->lock);
	failure = sync_run_detached(ask_main, q);
	if (!failure) {
		(void)mem_steal(q);
		return 0;
	}
	sync_lock(&p->lock);
	p->users--;
	sync_unlock(&p->lock);
	return err_sys(e, failure, "start a thread");
}
