/* SPDX-License-Identifier: Apache-2.0 */
/* The first transfer; see beginning.h. */
#include "streaming/beginning.h"

enum order {
	GATHER, /* the opener has not said yet */
	USE,    /* there is a flight */
	DROP,   /* nothing more is wanted */
};

enum { AHEAD_MAX = 8 << 20 /* bytes that may wait to be used */ };

struct beginning {
	struct stream_package *p;
	uint64_t len; /* asked for */
	pthread_t receiver, user;

	uint64_t pos; /* bytes that have arrived; the receiver's own */

	struct sync_mutex lock;
	/* guarded by lock */
	struct sync_cond changed;
	enum order order;
	struct flight *flight; /* the user's own once the order is given */
	uint64_t end;          /* of what is wanted */
	struct buf bytes;      /* of the file: from its start, then what was not used yet */
	bool is_over, has_failed, is_used;
	struct err why;
};

uint64_t beginning_end(const struct beginning *b)
{
	uint64_t file_len = b->p->header.file_len;

	return file_len && file_len < b->len ? file_len : b->len;
}

/* ---- receiving --------------------------------------------------------------------------- */

/* Only moves bytes, so that the transfer ends with the last one that is wanted, and not with those that came
 * while that one waited to be used. */
static int take(void *arg, const uint8_t *data, size_t len, struct err *e)
{
	struct beginning *b = arg;
	bool is_enough;
	int rc = 0;

	b->pos += len;
	sync_lock(&b->lock);
	while (b->order == USE && b->bytes.len > AHEAD_MAX)
		sync_wait(&b->changed, &b->lock);
	if (b->order != DROP)
		rc = buf_add(&b->bytes, data, len, e);
	is_enough = b->order == DROP || (b->order == USE && b->pos >= b->end);
	sync_wake_all(&b->changed);
	sync_unlock(&b->lock);
	if (rc == 0 && is_enough && b->pos + BEGINNING_SPARE < beginning_end(b))
		rc = err_set(e, ERR_INTERRUPTED, "enough");
	return rc;
}

static void *receiver_main(void *arg)
{
	struct beginning *b = arg;
	struct err e;
	int rc = flight_fetch(b->p, 0, b->len, take, b, &e);

	sync_lock(&b->lock);
	b->is_over = true;
	b->has_failed = rc < 0 && (b->order == GATHER || b->pos < b->end);
	if (b->has_failed)
		b->why = e;
	sync_wake_all(&b->changed);
	sync_unlock(&b->lock);
	return NULL;
}

/* ---- using ------------------------------------------------------------------------------- */

/* What has come since; empty at the end. */
static struct buf await_bytes(struct beginning *b)
{
	struct buf come;

	sync_lock(&b->lock);
	while (!b->bytes.len && !b->is_over)
		sync_wait(&b->changed, &b->lock);
	come = b->bytes;
	b->bytes = (struct buf)BUF_INIT(b->len);
	sync_wake_all(&b->changed);
	sync_unlock(&b->lock);
	return come;
}

static void note_used(struct beginning *b)
{
	sync_lock(&b->lock);
	b->is_used = true;
	sync_wake_all(&b->changed);
	sync_unlock(&b->lock);
}

static void *user_main(void *arg)
{
	struct beginning *b = arg;
	struct flight_intake intake;
	size_t came;
	struct err e;
	bool is_wanted;
	int rc = 0;

	sync_lock(&b->lock);
	while (b->order == GATHER)
		sync_wait(&b->changed, &b->lock);
	is_wanted = b->order == USE;
	sync_unlock(&b->lock);
	if (!is_wanted) {
		note_used(b);
		return NULL;
	}
	flight_intake_init(&intake, b->p, b->flight, 0, true);
	do {
		auto_buf struct buf come = await_bytes(b);

		came = come.len;
		if (came && rc == 0)
			rc = flight_take(&intake, come.data, came, &e);
	} while (came);
	note_used(b);
	/* What a broken transfer owes is asked for again, and what is still lacking then, too. */
	if (flight_intake_fini(&intake, &e) < 0 || rc < 0)
		schedule_stream(b->p, NULL, 0, 1);
	return NULL;
}

/* ---- for the opener ---------------------------------------------------------------------- */

static void free_it(struct beginning *b)
{
	buf_fini(&b->bytes);
	sync_cond_fini(&b->changed);
	sync_mutex_fini(&b->lock);
	free(b);
}

int beginning_open(struct stream_package *p, uint64_t len, struct beginning **ret, struct err *e)
{
	struct beginning *b = mem_alloc(1, sizeof(*b), e);

	if (!b)
		return -1;
	b->p = p;
	b->len = len;
	b->bytes = (struct buf)BUF_INIT(len);
	sync_mutex_init(&b->lock);
	sync_cond_init(&b->changed);
	if (pthread_create(&b->user, NULL, user_main, b) != 0) {
		free_it(b);
		return err_set(e, ERR_NOMEM, "cannot start a thread");
	}
	if (pthread_create(&b->receiver, NULL, receiver_main, b) != 0) {
		beginning_go_on(b, NULL);
		(void)pthread_join(b->user, NULL);
		free_it(b);
		return err_set(e, ERR_NOMEM, "cannot start a thread");
	}
	*ret = b;
	return 0;
}

void beginning_close(struct beginning *b)
{
	if (!b)
		return;
	beginning_go_on(b, NULL);
	(void)pthread_join(b->receiver, NULL);
	(void)pthread_join(b->user, NULL);
	free_it(b);
}

int beginning_read(struct beginning *b, uint64_t off, uint64_t len, struct buf *ret, struct err *e)
{
	uint64_t end = off < b->len && len < b->len - off ? off + len : b->len;
	int rc = 0;

	sync_lock(&b->lock);
	while (b->bytes.len < end && !b->is_over)
		sync_wait(&b->changed, &b->lock);
	if (b->bytes.len < end && b->has_failed) {
		*e = b->why;
		rc = -1;
	} else if (off < b->bytes.len) {
		if (end > b->bytes.len)
			end = b->bytes.len;
		rc = buf_add(ret, b->bytes.data + off, end - off, e);
	}
	sync_unlock(&b->lock);
	return rc;
}

uint64_t beginning_come(struct beginning *b)
{
	uint64_t come;

	sync_lock(&b->lock);
	come = b->bytes.len;
	sync_unlock(&b->lock);
	return come;
}

void beginning_await_end(struct beginning *b)
{
	if (!b)
		return;
	sync_lock(&b->lock);
	while (!b->is_over || !b->is_used)
		sync_wait(&b->changed, &b->lock);
	sync_unlock(&b->lock);
}

void beginning_go_on(struct beginning *b, struct flight *f)
{
	sync_lock(&b->lock);
	if (b->order == GATHER) {
		b->flight = f;
		b->end = f ? f->end : 0;
		b->order = f ? USE : DROP;
		if (!f)
			buf_fini(&b->bytes);
		sync_wake_all(&b->changed);
	}
	sync_unlock(&b->lock);
}
