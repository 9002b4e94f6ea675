/* SPDX-License-Identifier: Apache-2.0 */
/* Notices to the kernel; see cow_notice.h.
 *
 * A notice waits for the pages of the file, and those may wait for a read that one of our own handlers is
 * about to answer: hence the thread, and the bound on every wait for it; and a process (fuse_notify.h), since
 * that handler may be killed first. */
#include "vfs/cow_notice.h"

#include <errno.h>
#include <limits.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

enum {
	ROOM = 1024,     /* waiting nodes; each asker waits with one, so threads run out earlier */
	END_WAIT_S = 2,  /* for a thread that is inside the kernel */
	EXPIRE_ONLY = 1, /* FUSE_EXPIRE_ONLY; newer than some kernel headers */
};

struct expiry { /* fuse_notify_inval_entry_out, whose flags have no name in some kernel headers */
	uint64_t parent;
	uint32_t name_len, flags;
};

struct cow_notices {
	int fuse_fd; /* borrowed */
	struct fuse_notify *notify;
	pthread_t thread;
	struct sync_mutex lock;
	struct sync_cond changed;
	uint64_t waiting[ROOM]; /* a ring: guarded by lock, like all below */
	uint64_t asked, done;   /* ever; waiting[done % ROOM] is the next */
	bool is_ending;
};

struct node_message {
	struct fuse_out_header head;
	struct fuse_notify_inval_inode_out body;
};

static struct node_message about_node(uint64_t id, bool pages)
{
	return (struct node_message){ .head = { .len = sizeof(struct node_message),
						.error = FUSE_NOTIFY_INVAL_INODE },
				      .body = { .ino = id, .off = pages ? 0 : -1 } };
}

void cow_notice_node(struct fuse_notify *n, uint64_t id, bool pages)
{
	const struct node_message m = about_node(id, pages);

	fuse_notify_send(n, &m, sizeof(m));
}

void cow_notice_name(struct fuse_notify *n, uint64_t dir, const char *name)
{
	struct {
		struct fuse_out_header head;
		struct expiry body;
		char name[NAME_MAX + 1];
	} m = { .body = { .parent = dir, .flags = EXPIRE_ONLY } };
	size_t len = strnlen(name, NAME_MAX);

	memcpy(m.name, name, len);
	m.body.name_len = (uint32_t)len;
	m.head.len = (uint32_t)(sizeof(m.head) + sizeof(m.body) + len + 1);
	m.head.error = FUSE_NOTIFY_INVAL_ENTRY;
	fuse_notify_send(n, &m, m.head.len);
}

bool cow_notice_thread_ends(pthread_t thread)
{
	struct timespec end;

	(void)clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += END_WAIT_S;
	if (pthread_timedjoin_np(thread, NULL, &end) == 0)
		return true;
	(void)pthread_detach(thread);
	return false;
}

static bool is_ending(void *arg)
{
	struct cow_notices *n = arg;
	bool yes;

	sync_lock(&n->lock);
	yes = n->is_ending;
	sync_unlock(&n->lock);
	return yes;
}

static void *notices_main(void *arg)
{
	struct cow_notices *n = arg;

	(void)pthread_setname_np(pthread_self(), "floe-notices");
	sync_lock(&n->lock);
	for (;;) {
		struct node_message m;
		uint64_t id;

		while (!n->is_ending && n->done == n->asked)
			sync_wait(&n->changed, &n->lock);
		if (n->is_ending)
			break;
		id = n->waiting[n->done % ROOM];
		sync_unlock(&n->lock);
		m = about_node(id, true);
		(void)!fuse_notify_call(n->notify, &m, sizeof(m), 0, is_ending, n);
		sync_lock(&n->lock);
		n->done++;
		sync_wake_all(&n->changed);
	}
	sync_unlock(&n->lock);
	return NULL;
}

/* The number of the notice to wait for: one for this node that has not been begun, or a new one. 0: no room.
 */
static uint64_t ask_locked(struct cow_notices *n, uint64_t id) SYNC_REQUIRES(n->lock);
static uint64_t ask_locked(struct cow_notices *n, uint64_t id)
{
	for (uint64_t i = n->done + 1; i < n->asked; i++) /* the one at `done` may be under way */
		if (n->waiting[i % ROOM] == id)
			return i + 1;
	if (n->asked - n->done == ROOM)
		return 0;
	n->waiting[n->asked % ROOM] = id;
	sync_wake_all(&n->changed);
	return ++n->asked;
}

void cow_notice_attributes(struct cow_notices *n, uint64_t id)
{
	const struct node_message m = about_node(id, false);

	(void)!write(n->fuse_fd, &m, sizeof(m));
}

void cow_notice_changed(struct cow_notices *n, uint64_t id, unsigned wait_ms)
{
	uint64_t now = sync_now_ms(), end = now + wait_ms, number = 0;

	sync_lock(&n->lock);
	while (!n->is_ending && (number == 0 || n->done < number)) {
		if (number == 0)
			number = ask_locked(n, id);
		now = sync_now_ms();
		if (now >= end)
			break;
		(void)sync_wait_ms(&n->changed, &n->lock, end - now);
	}
	sync_unlock(&n->lock);
}

int cow_notices_open(int fuse_fd, struct cow_notices **ret, struct err *e)
{
	struct cow_notices *n = mem_alloc(1, sizeof(*n), e);
	int sys;

	if (!n)
		return -1;
	n->fuse_fd = fuse_fd;
	if (fuse_notify_open(fuse_fd, -1, 0, &n->notify, e) < 0) {
		free(n);
		return -1;
	}
	sync_mutex_init(&n->lock);
	sync_cond_init(&n->changed);
	sys = pthread_create(&n->thread, NULL, notices_main, n);
	if (sys) {
		fuse_notify_close(n->notify);
		sync_cond_fini(&n->changed);
		sync_mutex_fini(&n->lock);
		free(n);
		return err_sys(e, sys, "start a thread");
	}
	*ret = n;
	return 0;
}

/* A notice for pages that a read which nobody will answer has locked ends with the connection. */
void cow_notices_close(struct cow_notices *n)
{
	if (!n)
		return;
	sync_lock(&n->lock);
	n->is_ending = true;
	sync_wake_all(&n->changed);
	sync_unlock(&n->lock);
	if (!cow_notice_thread_ends(n->thread))
		return;
	fuse_notify_close(n->notify);
	sync_cond_fini(&n->changed);
	sync_mutex_fini(&n->lock);
	free(n);
}
