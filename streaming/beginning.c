/* SPDX-License-Identifier: Apache-2.0 */
/* The first transfer; see beginning.h. */
#include "streaming/beginning.h"

#include <unistd.h>

enum order {
	GATHER, /* the opener has not said yet */
	TURN,   /* there is a flight: a user cuts what has come already */
	USE,
	DROP, /* nothing more is wanted */
};

enum {
	AHEAD_MAX = 8 << 20, /* bytes that may wait to be used, before more are taken */
	USERS_MAX = 4,
};

struct beginning {
	struct stream_package *p;
	uint64_t len; /* asked for */
	pthread_t receiver, users[USERS_MAX];
	unsigned user_count;

	uint64_t pos;                /* bytes that have arrived; the receiver's own */
	struct flight_intake intake; /* who takes bytes: the user that sets USE, from then on the receiver */

	struct sync_mutex lock;
	/* guarded by lock */
	struct sync_cond changed;
	struct sync_cond handed; /* what the users wait for */
	enum order order;
	struct flight *flight; /* TURN */
	uint64_t end;          /* of what is wanted */
	struct buf bytes;      /* GATHER: the file from its start on */
	struct flight_piece *first, **last;
	size_t waiting;   /* bytes of these */
	unsigned at_work; /* users */
	bool is_turning, is_over, has_failed, is_used;
	bool is_broken; /* what came before USE could not be used: the rest does not fit behind it */
	struct err why;
};

uint64_t beginning_end(const struct beginning *b)
{
	uint64_t file_len = b->p->header.file_len;

	return file_len && file_len < b->len ? file_len : b->len;
}

/* ---- receiving --------------------------------------------------------------------------- */

static void hand_over(void *arg, struct flight_piece *piece)
{
	struct beginning *b = arg;

	sync_lock(&b->lock);
	*b->last = piece;
	b->last = &piece->next;
	b->waiting += piece->info.stored_len;
	sync_wake_one(&b->handed);
	sync_unlock(&b->lock);
}

/* Only moves bytes, so that the transfer ends with the last one that is wanted, and not with those that came
 * while that one waited to be used. */
static int take(void *arg, const uint8_t *data, size_t len, struct err *e)
{
	struct beginning *b = arg;
	bool is_enough;
	enum order order;
	int rc = 0;

	b->pos += len;
	sync_lock(&b->lock);
	while (b->order == TURN || (b->order == USE && b->waiting > AHEAD_MAX))
		sync_wait(&b->changed, &b->lock);
	order = b->order;
	if (order == GATHER) {
		rc = buf_add(&b->bytes, data, len, e);
		sync_wake_all(&b->changed);
	}
	is_enough = order == DROP || (order == USE && b->pos >= b->end);
	if (b->is_broken)
		rc = err_set(e, ERR_INTERRUPTED, "out of memory");
	sync_unlock(&b->lock);
	if (order == USE && rc == 0)
		rc = flight_take(&b->intake, data, len, e);
	if (rc == 0 && is_enough && b->pos + BEGINNING_SPARE < beginning_end(b))
		rc = err_set(e, ERR_INTERRUPTED, "enough");
	return rc;
}

/* What the transfer has not brought of what is wanted is asked for now, and what that fails to bring, or was
 * given up, once more by and by. */
static void complete(struct beginning *b)
{
	struct err e;
	bool is_wanted;

	sync_lock(&b->lock);
	while (b->order == GATHER || b->order == TURN || b->first || b->at_work)
		sync_wait(&b->changed, &b->lock);
	b->is_used = true;
	is_wanted = b->order == USE;
	sync_wake_all(&b->changed);
	sync_unlock(&b->lock);
	b->intake.hand = NULL; /* the users have gone */
	if (is_wanted && flight_intake_fini(&b->intake, &e) < 0)
		schedule_stream(b->p, NULL, 0, 1);
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
	sync_wake_all(&b->handed);
	sync_unlock(&b->lock);
	complete(b);
	return NULL;
}

/* ---- using ------------------------------------------------------------------------------- */

/* NULL: there will be no more. */
static struct flight_piece *next_piece(struct beginning *b)
{
	struct flight_piece *piece;

	sync_lock(&b->lock);
	while (!b->first && b->order != DROP && !(b->order == USE && b->is_over))
		sync_wait(&b->handed, &b->lock);
	piece = b->first;
	if (piece) {
		b->first = piece->next;
		if (!b->first)
			b->last = &b->first;
		b->waiting -= piece->info.stored_len;
		b->at_work++;
	}
	sync_unlock(&b->lock);
	return piece;
}

static void note_used(struct beginning *b)
{
	sync_lock(&b->lock);
	b->at_work--;
	sync_wake_all(&b->changed);
	sync_unlock(&b->lock);
}

/* What has come already. What cannot be used now is asked for at the end. */
static void cut_gathered(struct beginning *b, struct flight *f)
{
	auto_buf struct buf come = BUF_INIT(b->len);
	struct err ignored;
	int rc;

	sync_lock(&b->lock);
	come = b->bytes;
	b->bytes = (struct buf)BUF_INIT(b->len);
	sync_unlock(&b->lock);
	flight_intake_init(&b->intake, b->p, f, 0, true);
	b->intake.hand = hand_over;
	b->intake.hand_arg = b;
	rc = flight_take(&b->intake, come.data, come.len, &ignored);
	sync_lock(&b->lock);
	b->order = USE;
	b->is_broken = rc < 0;
	sync_wake_all(&b->changed);
	sync_wake_all(&b->handed);
	sync_unlock(&b->lock);
}

/* The first of the users gets the flight. */
static struct flight *await_turn(struct beginning *b)
{
	struct flight *f = NULL;

	sync_lock(&b->lock);
	while (b->order == GATHER)
		sync_wait(&b->handed, &b->lock);
	if (b->order == TURN && !b->is_turning) {
		b->is_turning = true;
		f = b->flight;
	}
	sync_unlock(&b->lock);
	return f;
}

static void *user_main(void *arg)
{
	struct beginning *b = arg;
	struct flight_piece *piece;
	struct flight *f = await_turn(b);

	if (f)
		cut_gathered(b, f);
	while ((piece = next_piece(b))) {
		flight_use(&b->intake, piece);
		note_used(b);
	}
	return NULL;
}

/* ---- for the opener ---------------------------------------------------------------------- */

static void free_it(struct beginning *b)
{
	beginning_go_on(b, NULL);
	for (unsigned i = 0; i < b->user_count; i++)
		(void)pthread_join(b->users[i], NULL);
	buf_fini(&b->bytes);
	sync_cond_fini(&b->changed);
	sync_cond_fini(&b->handed);
	sync_mutex_fini(&b->lock);
	free(b);
}

/* One processor is left to the application; one of them has to be. */
static int start_users(struct beginning *b, struct err *e)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	while (b->user_count < USERS_MAX && (long)b->user_count < (processors > 1 ? processors - 1 : 1) &&
	       pthread_create(&b->users[b->user_count], NULL, user_main, b) == 0)
		b->user_count++;
	return b->user_count ? 0 : err_set(e, ERR_NOMEM, "cannot start a thread");
}

int beginning_open(struct stream_package *p, uint64_t len, struct beginning **ret, struct err *e)
{
	struct beginning *b = mem_alloc(1, sizeof(*b), e);

	if (!b)
		return -1;
	b->p = p;
	b->len = len;
	b->bytes = (struct buf)BUF_INIT(len);
	b->last = &b->first;
	sync_mutex_init(&b->lock);
	sync_cond_init(&b->changed);
	sync_cond_init(&b->handed);
	if (start_users(b, e) < 0) {
		free_it(b);
		return -1;
	}
	if (pthread_create(&b->receiver, NULL, receiver_main, b) != 0) {
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
		b->order = f ? TURN : DROP;
		b->flight = f;
		b->end = f ? f->end : 0;
		if (!f)
			buf_fini(&b->bytes);
		sync_wake_all(&b->changed);
		sync_wake_all(&b->handed);
	}
	sync_unlock(&b->lock);
}
