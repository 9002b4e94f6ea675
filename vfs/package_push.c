/* SPDX-License-Identifier: Apache-2.0 */
/* Pushing profiled ranges into the kernel's page cache (FUSE_NOTIFY_STORE) once the kernel knows the
 * file, so that the reads that a launch is about to make never become requests.
 *
 * Only what is in memory already is pushed: this never waits for the network, nor does it decompress what
 * others will want sooner, but looks again for a while when a range is still on its way. Each file is pushed
 * once in a mount's life; what the kernel drops later it asks for itself. Never from a handler: the kernel
 * may hold the page that we would wait for.
 *
 * While a launch goes on, which reads from the same chunks again and again, more of them are kept in memory.
 */
#include <errno.h>
#include <linux/fuse.h>
#include <stdatomic.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/sync.h"
#include "vfs/fuse_notify.h"
#include "vfs/package_state.h"

enum {
	PUSH_MAX = VFS_PACKAGE_STORE_ROOM, /* bytes at a time */
	PAGE = 4096, /* larger pages: the kernel only keeps what fills one, which is harmless */
	EXTENTS_CAP = 128,
	LOOK_AGAIN_MS = 5, /* twice as late each time that nothing has come */
	LOOK_AGAIN_MAX_MS = 100,
	GIVE_UP_MS = 30 * 1000,
	LAUNCH_OVER_MS = 2000, /* nothing new is wanted for so long */
};
static const uint64_t pushed_max = UINT64_C(256) << 20;

enum push_state { PUSH_NEW, PUSH_WANTED };

struct push_file {
	uint64_t ino;
	size_t first, count; /* of ranges */
	size_t next;         /* range to push next; the pusher's own */
	uint64_t next_off;   /* within it */
	uint64_t since_ms;   /* wanted; the pusher's own */
	atomic_int state;
};

struct package_push {
	struct stream_package *package;
	struct fuse_notify *store; /* borrowed; used by the pusher alone */
	struct pkg_touch *ranges;  /* by inode, then in profile order */
	struct push_file *files;   /* by inode */
	size_t file_count;
	pthread_t thread;
	bool is_started;
	atomic_bool is_stopping;
	atomic_uint_fast64_t bytes;

	struct sync_mutex lock;
	struct sync_cond changed;
	size_t *queue; /* guarded by lock: files wanted and not yet taken; each file comes once */
	size_t queue_len;
};

struct sorted_range {
	struct pkg_touch range;
	size_t place;
};

static int by_inode(const void *a, const void *b)
{
	const struct sorted_range *x = a, *y = b;

	if (x->range.ino != y->range.ino)
		return x->range.ino < y->range.ino ? -1 : 1;
	return x->place < y->place ? -1 : 1;
}

/* Groups the profile by file. */
static int group(struct package_push *push, const struct pkg_touch *profile, size_t count, struct err *e)
{
	auto_free struct sorted_range *sorted = mem_alloc(count, sizeof(*sorted), e);

	if (!sorted)
		return -1;
	for (size_t i = 0; i < count; i++)
		sorted[i] = (struct sorted_range){ profile[i], i };
	qsort(sorted, count, sizeof(*sorted), by_inode);
	push->ranges = mem_alloc(count, sizeof(*push->ranges), e);
	push->files = mem_alloc(count, sizeof(*push->files), e);
	push->queue = mem_alloc(count, sizeof(*push->queue), e);
	if (!push->ranges || !push->files || !push->queue)
		return -1;
	for (size_t i = 0; i < count; i++) {
		struct push_file *f = &push->files[push->file_count];

		push->ranges[i] = sorted[i].range;
		if (i == 0 || sorted[i].range.ino != sorted[i - 1].range.ino) {
			f->ino = sorted[i].range.ino;
			f->first = i;
			f->count = 1;
			push->file_count++;
		} else {
			f[-1].count++;
		}
	}
	return 0;
}

static bool is_stopping(void *arg)
{
	struct package_push *push = arg;

	return atomic_load(&push->is_stopping);
}

static bool is_loaded(struct package_push *push, uint64_t ino, uint64_t off, size_t len)
{
	struct pkg_extent extents[EXTENTS_CAP];
	struct err ignored;
	size_t n;

	if (pkg_index_extents(stream_package_index(push->package), ino, off, len, extents, EXTENTS_CAP, &n,
			      &ignored) < 0 ||
	    n == EXTENTS_CAP)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!stream_package_is_loaded(push->package, extents[i].chunk_idx))
			return false;
	return true;
}

/* len bytes of the room, at `off` of the inode. */
static int store(struct package_push *push, uint64_t ino, uint64_t off, size_t len)
{
	struct {
		struct fuse_out_header head;
		struct fuse_notify_store_out body;
	} m = { .head = { .len = (uint32_t)(sizeof(m) + len), .error = FUSE_NOTIFY_STORE },
		.body = { .nodeid = ino, .offset = off, .size = (uint32_t)len } };

	return fuse_notify_call(push->store, &m, sizeof(m), len, is_stopping, push);
}

/* Pushes [off, off+len), which is whole pages, or ends with the file. 0, or an errno. */
static int push_pages(struct package_push *push, const struct pkg_inode *inode, uint64_t off, size_t len)
{
	struct err why;
	size_t got;
	int sys;

	if (stream_package_read(push->package, inode, off, len, fuse_notify_room(push->store), &got,
				is_stopping, push, &why) < 0 ||
	    got != len)
		return EIO;
	sys = store(push, inode->ino, off, len);
	if (sys == 0)
		atomic_fetch_add(&push->bytes, len);
	return sys;
}

/* True when there is nothing left to do for this file; false = look again. */
static bool push_file(struct package_push *push, struct push_file *f)
{
	struct pkg_inode inode;
	struct err ignored;

	if (pkg_index_stat(stream_package_index(push->package), f->ino, &inode, &ignored) < 0)
		return true;
	while (f->next < f->count && !atomic_load(&push->is_stopping)) {
		const struct pkg_touch *t = &push->ranges[f->first + f->next];
		uint64_t begin = t->off & ~(uint64_t)(PAGE - 1);
		uint64_t end = (t->off + t->len + PAGE - 1) & ~(uint64_t)(PAGE - 1);
		uint64_t off;
		size_t len;
		int sys;

		if (end > inode.size || end < begin)
			end = inode.size;
		off = f->next_off > begin ? f->next_off : begin;
		if (off >= end) {
			f->next++;
			f->next_off = 0;
			continue;
		}
		len = end - off < PUSH_MAX ? (size_t)(end - off) : PUSH_MAX;
		if (!is_loaded(push, f->ino, off, len))
			return false;
		if (atomic_load(&push->bytes) + len > pushed_max)
			return true;
		sys = push_pages(push, &inode, off, len);
		if (sys == ENOENT) /* the answer that tells the kernel of this inode is on its way */
			return false;
		if (sys)
			return true;
		f->next_off = off + len;
	}
	return true;
}

/* Moves what is wanted behind what the pusher still works on. False = stop. */
static bool take_wanted(struct package_push *push, size_t *work, size_t *work_len)
{
	bool is_launching = true;

	sync_lock(&push->lock);
	while (*work_len == 0 && push->queue_len == 0 && !atomic_load(&push->is_stopping))
		if (!is_launching) {
			sync_wait(&push->changed, &push->lock);
		} else if (!sync_wait_ms(&push->changed, &push->lock, LAUNCH_OVER_MS)) {
			stream_package_keep(push->package, 0);
			is_launching = false;
		}
	if (!is_launching)
		stream_package_keep(push->package, VFS_PACKAGE_LAUNCH_MEMORY);
	for (size_t i = 0; i < push->queue_len; i++)
		work[(*work_len)++] = push->queue[i];
	push->queue_len = 0;
	sync_unlock(&push->lock);
	return !atomic_load(&push->is_stopping);
}

static void wait_a_little(struct package_push *push, unsigned ms)
{
	sync_lock(&push->lock);
	if (push->queue_len == 0 && !atomic_load(&push->is_stopping))
		(void)sync_wait_ms(&push->changed, &push->lock, ms);
	sync_unlock(&push->lock);
}

static void *push_main(void *arg)
{
	struct package_push *push = arg;
	struct err ignored;
	auto_free size_t *work = mem_alloc(push->file_count, sizeof(*work), &ignored);
	unsigned wait_ms = LOOK_AGAIN_MS;
	size_t work_len = 0;

	(void)pthread_setname_np(pthread_self(), "floe-push");
	if (!work)
		return NULL;
	stream_package_keep(push->package, VFS_PACKAGE_LAUNCH_MEMORY);
	while (take_wanted(push, work, &work_len)) {
		uint64_t before = atomic_load(&push->bytes);
		size_t left = 0;

		for (size_t i = 0; i < work_len; i++) {
			struct push_file *f = &push->files[work[i]];
			uint64_t now = sync_now_ms();

			if (f->since_ms == 0)
				f->since_ms = now;
			if (!push_file(push, f) && now - f->since_ms < GIVE_UP_MS)
				work[left++] = work[i];
		}
		work_len = left;
		if (atomic_load(&push->bytes) != before)
			wait_ms = LOOK_AGAIN_MS;
		else if (wait_ms < LOOK_AGAIN_MAX_MS)
			wait_ms *= 2;
		if (work_len)
			wait_a_little(push, wait_ms);
	}
	return NULL;
}

int package_push_open(struct stream_package *p, int fuse_fd, struct fuse_notify *store,
		      struct package_push **ret, struct err *e)
{
	auto_free struct pkg_touch *profile = NULL;
	struct package_push *push;
	size_t count = 0;
	int sys;

	*ret = NULL;
	if (!store)
		return 0;
	if (pkg_index_profile(stream_package_index(p), &profile, &count, e) < 0)
		return -1;
	if (count == 0)
		return 0;
	/* What is pushed ahead is not necessary. */
	if (fuse_notify_attach(store, fuse_fd, -1, e) < 0) {
		log_detail("%s", e->msg);
		return 0;
	}
	push = mem_alloc(1, sizeof(*push), e);
	if (!push)
		return -1;
	push->package = p;
	sync_mutex_init(&push->lock);
	sync_cond_init(&push->changed);
	push->store = store;
	if (group(push, profile, count, e) < 0) {
		package_push_close(push);
		return -1;
	}
	sys = pthread_create(&push->thread, NULL, push_main, push);
	if (sys) {
		package_push_close(push);
		return err_sys(e, sys, "start a thread");
	}
	push->is_started = true;
	*ret = push;
	return 0;
}

void package_push_close(struct package_push *push)
{
	if (!push)
		return;
	if (push->is_started) {
		sync_lock(&push->lock);
		atomic_store(&push->is_stopping, true);
		sync_wake_all(&push->changed);
		sync_unlock(&push->lock);
		(void)pthread_join(push->thread, NULL);
	}
	sync_cond_fini(&push->changed);
	sync_mutex_fini(&push->lock);
	free(push->ranges);
	free(push->files);
	free(push->queue);
	free(push);
}

void package_push_seen(struct package_push *push, uint64_t ino)
{
	size_t low = 0, high;

	if (!push)
		return;
	high = push->file_count;
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (push->files[mid].ino < ino)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == push->file_count || push->files[low].ino != ino ||
	    atomic_exchange(&push->files[low].state, PUSH_WANTED) != PUSH_NEW)
		return;
	sync_lock(&push->lock);
	push->queue[push->queue_len++] = low;
	sync_wake_all(&push->changed);
	sync_unlock(&push->lock);
}

uint64_t package_push_bytes(struct package_push *push)
{
	return push ? atomic_load(&push->bytes) : 0;
}
