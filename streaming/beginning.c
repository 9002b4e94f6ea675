/* SPDX-License-Identifier: Apache-2.0 */
/* The first transfer; see beginning.h. */
#include "streaming/beginning.h"

enum order {
	GATHER, /* the opener has not said yet */
	USE,    /* there is a flight */
	DROP,   /* nothing more is wanted */
};

struct beginning {
	struct stream_package *p;
	uint64_t len; /* asked for */
	pthread_t thread;

	/* the thread's own */
	uint64_t pos; /* bytes that have arrived */
	bool is_enough;
	struct flight_intake intake;

	struct sync_mutex lock;
	/* guarded by lock */
	struct sync_cond changed;
	enum order order;
	struct flight *flight;
	struct buf bytes; /* of the file, from its start; the thread's own once the order is given */
	bool is_over, has_failed;
	struct err why;
};

uint64_t beginning_end(const struct beginning *b)
{
	uint64_t file_len = b->p->header.file_len;

	return file_len && file_len < b->len ? file_len : b->len;
}

/* ---- in the transfer's thread ------------------------------------------------------------ */

/* Keeps the bytes while there is no order. */
static int gather(struct beginning *b, const uint8_t *data, size_t len, enum order *ret, struct err *e)
{
	int rc = 0;

	sync_lock(&b->lock);
	*ret = b->order;
	if (b->order == GATHER) {
		rc = buf_add(&b->bytes, data, len, e);
		sync_wake_all(&b->changed);
	}
	sync_unlock(&b->lock);
	return rc;
}

/* From what was kept, once. */
static int begin_use(struct beginning *b, struct err *e)
{
	int rc;

	if (b->intake.f)
		return 0;
	flight_intake_init(&b->intake, b->p, b->flight, 0, true);
	rc = flight_take(&b->intake, b->bytes.data, b->bytes.len, e);
	buf_fini(&b->bytes);
	return rc;
}

static int take(void *arg, const uint8_t *data, size_t len, struct err *e)
{
	struct beginning *b = arg;
	enum order order;

	if (gather(b, data, len, &order, e) < 0)
		return -1;
	b->pos += len;
	if (order == USE && (begin_use(b, e) < 0 || flight_take(&b->intake, data, len, e) < 0))
		return -1;
	b->is_enough = order == DROP || (order == USE && b->intake.pos >= b->flight->end);
	if (b->is_enough && b->pos + BEGINNING_SPARE < beginning_end(b))
		return err_set(e, ERR_INTERRUPTED, "enough");
	return 0;
}

static void *beginning_main(void *arg)
{
	struct beginning *b = arg;
	struct err e;
	bool is_used;
	int rc = flight_fetch(b->p, 0, b->len, take, b, &e);

	sync_lock(&b->lock);
	b->is_over = true;
	b->has_failed = rc < 0 && !b->is_enough;
	if (b->has_failed)
		b->why = e;
	sync_wake_all(&b->changed);
	while (b->order == GATHER)
		sync_wait(&b->changed, &b->lock);
	is_used = b->order == USE;
	sync_unlock(&b->lock);
	if (!is_used) {
		buf_fini(&b->bytes);
		return NULL;
	}
	/* What a broken transfer owes is asked for again, and what is still lacking then, too. */
	rc = begin_use(b, &e);
	if (flight_intake_fini(&b->intake, &e) < 0 || rc < 0)
		schedule_stream(b->p, NULL, 0, 1);
	return NULL;
}

/* ---- for the opener ---------------------------------------------------------------------- */

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
	if (pthread_create(&b->thread, NULL, beginning_main, b) != 0) {
		sync_cond_fini(&b->changed);
		sync_mutex_fini(&b->lock);
		free(b);
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
	(void)pthread_join(b->thread, NULL);
	buf_fini(&b->bytes);
	sync_cond_fini(&b->changed);
	sync_mutex_fini(&b->lock);
	free(b);
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
	while (!b->is_over)
		sync_wait(&b->changed, &b->lock);
	sync_unlock(&b->lock);
}

void beginning_go_on(struct beginning *b, struct flight *f)
{
	sync_lock(&b->lock);
	if (b->order == GATHER) {
		b->flight = f;
		b->order = f ? USE : DROP;
		sync_wake_all(&b->changed);
	}
	sync_unlock(&b->lock);
}
