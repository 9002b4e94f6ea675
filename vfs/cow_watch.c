/* SPDX-License-Identifier: Apache-2.0 */
/* See cow_watch.h.
 *
 * Names expire rather than being taken back (FUSE_EXPIRE_ONLY): the kernel then asks again at the next use,
 * and what is open, mounted or somebody's working directory stays. It takes the directory's lock for that,
 * and so waits until a lookup that is under way has been answered: an answer cannot overtake its own expiry.
 */
#include "vfs/cow_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "vfs/cow_notice.h"

enum {
	BUCKETS = 1024,
	WATCHES_MAX = 65536,
	EVENTS_SIZE = 64 * 1024,
	NODES_MAX = 64,   /* of one host directory; more are not told */
	NAP_MS = 5,       /* between batches of events, so that many of a kind become few */
	NAP_ALL_MS = 200, /* after everything has expired */
};
static const uint32_t events = IN_CREATE | IN_DELETE | IN_MOVE | IN_MODIFY | IN_ATTRIB | IN_DELETE_SELF |
			       IN_MOVE_SELF | IN_ONLYDIR | IN_EXCL_UNLINK;

struct watch {
	uint64_t node, dev, ino;
	int wd; /* -1: it cannot be watched */
	struct watch *next_of_node, *next_of_wd;
};

struct cow_watches {
	struct fuse_notify *notify;
	struct cow_nodes *nodes;
	struct cow_cache *dirs;
	int inotify;     /* -1: there are no watches */
	int end_pipe[2]; /* closing [1] ends the thread */
	pthread_t thread;
	size_t max;

	struct sync_mutex lock;
	size_t count; /* guarded by lock, like all below */
	struct watch *by_node[BUCKETS];
	struct watch *by_wd[BUCKETS]; /* those with wd >= 0 */
};

/* ---- the table ------------------------------------------------------------------------------- */

static struct watch **node_bucket(struct cow_watches *w, uint64_t node)
{
	return &w->by_node[node % BUCKETS];
}

static struct watch **wd_bucket(struct cow_watches *w, int wd)
{
	return &w->by_wd[(unsigned)wd % BUCKETS];
}

static struct watch *find_locked(struct cow_watches *w, uint64_t node) SYNC_REQUIRES(w->lock);
static struct watch *find_locked(struct cow_watches *w, uint64_t node)
{
	struct watch *x = *node_bucket(w, node);

	while (x && x->node != node)
		x = x->next_of_node;
	return x;
}

/* From x on, the first of this host directory's. */
static struct watch *next_of(struct watch *x, int wd)
{
	while (x && x->wd != wd)
		x = x->next_of_wd;
	return x;
}

/* The nodes that this host directory stands behind; their number, at most NODES_MAX. */
static size_t nodes_locked(struct cow_watches *w, int wd, uint64_t *ret) SYNC_REQUIRES(w->lock);
static size_t nodes_locked(struct cow_watches *w, int wd, uint64_t *ret)
{
	size_t count = 0;

	for (struct watch *x = next_of(*wd_bucket(w, wd), wd); x && count < NODES_MAX;
	     x = next_of(x->next_of_wd, wd))
		ret[count++] = x->node;
	return count;
}

static void insert_locked(struct cow_watches *w, struct watch *x) SYNC_REQUIRES(w->lock);
static void insert_locked(struct cow_watches *w, struct watch *x)
{
	struct watch **b = node_bucket(w, x->node);

	x->next_of_node = *b;
	*b = x;
	if (x->wd >= 0) {
		b = wd_bucket(w, x->wd);
		x->next_of_wd = *b;
		*b = x;
	}
	w->count++;
}

/* Out of the table, freed. The kernel's watch goes with its last node. */
static void remove_locked(struct cow_watches *w, struct watch *x) SYNC_REQUIRES(w->lock);
static void remove_locked(struct cow_watches *w, struct watch *x)
{
	struct watch **link = node_bucket(w, x->node);

	while (*link != x)
		link = &(*link)->next_of_node;
	*link = x->next_of_node;
	if (x->wd >= 0) {
		for (link = wd_bucket(w, x->wd); *link != x;)
			link = &(*link)->next_of_wd;
		*link = x->next_of_wd;
		if (!next_of(*wd_bucket(w, x->wd), x->wd))
			(void)inotify_rm_watch(w->inotify, x->wd);
	}
	w->count--;
	free(x);
}

void cow_watch_end(struct cow_watches *w, uint64_t node)
{
	struct watch *x;

	if (!w || w->inotify < 0)
		return;
	sync_lock(&w->lock);
	x = find_locked(w, node);
	if (x)
		remove_locked(w, x);
	sync_unlock(&w->lock);
}

/* ---- beginning to watch ---------------------------------------------------------------------- */

/* File systems that nobody changes but through this kernel, and which tell of everything. */
static bool is_told_of(int fd)
{
	struct statfs st;

	if (fstatfs(fd, &st) < 0)
		return false;
	switch ((unsigned long)st.f_type) {
	case EXT4_SUPER_MAGIC: /* and its predecessors */
	case XFS_SUPER_MAGIC:
	case BTRFS_SUPER_MAGIC:
	case TMPFS_MAGIC:
	case F2FS_SUPER_MAGIC:
		return true;
	default:
		return false;
	}
}

static int begin_watch(struct cow_watches *w, int fd)
{
	char path[FD_PATH_LEN];

	if (!is_told_of(fd))
		return -1;
	fd_path(fd, path);
	return inotify_add_watch(w->inotify, path, events);
}

static bool watch_locked(struct cow_watches *w, uint64_t node, const struct cow_handle *h)
	SYNC_REQUIRES(w->lock);
static bool watch_locked(struct cow_watches *w, uint64_t node, const struct cow_handle *h)
{
	struct watch *x = find_locked(w, node);

	if (x && x->dev == h->dev && x->ino == h->ino)
		return x->wd >= 0;
	if (x)
		remove_locked(w, x);
	if (w->count >= w->max)
		return false;
	x = calloc(1, sizeof(*x));
	if (!x)
		return false;
	*x = (struct watch){ .node = node, .dev = h->dev, .ino = h->ino, .wd = begin_watch(w, h->fd) };
	insert_locked(w, x);
	return x->wd >= 0;
}

bool cow_watch(struct cow_union *u, const struct cow_dir *d)
{
	struct cow_watches *w = u->watches;
	const struct cow_handle *host = NULL;
	bool yes;

	if (!w || w->inotify < 0)
		return false;
	for (unsigned i = 0; i < d->count; i++) {
		if (u->layers[d->lower[i].number]->is_immutable)
			continue;
		if (host)
			return false; /* one watch a node */
		host = &d->lower[i].handle;
	}
	if (!host || host->fd < 0)
		return false;
	sync_lock(&w->lock);
	yes = watch_locked(w, d->node, host);
	sync_unlock(&w->lock);
	return yes;
}

bool cow_watch_has(struct cow_union *u, uint64_t node, uint64_t dev, uint64_t ino)
{
	struct cow_watches *w = u->watches;
	const struct watch *x;
	bool yes;

	if (!w || w->inotify < 0)
		return false;
	sync_lock(&w->lock);
	x = find_locked(w, node);
	yes = x && x->wd >= 0 && x->dev == dev && x->ino == ino;
	sync_unlock(&w->lock);
	return yes;
}

/* ---- telling the kernel ---------------------------------------------------------------------- */

static void expire_any(void *arg, const struct cow_node *n)
{
	struct cow_watches *w = arg;

	if (!S_ISDIR(n->type) && n->identity.layer == COW_UPPER)
		return;
	if (n->parent)
		cow_notice_name(w->notify, n->parent, n->name);
	cow_notice_node(w->notify, n->id, S_ISDIR(n->type));
}

void cow_watches_expire(struct cow_watches *w, uint64_t parent, const char *name)
{
	if (w && w->notify)
		cow_notice_name(w->notify, parent, name);
}

/* ---- events ---------------------------------------------------------------------------------- */

static void drop_wd(struct cow_watches *w, int wd)
{
	struct watch *x;

	sync_lock(&w->lock);
	while ((x = next_of(*wd_bucket(w, wd), wd)))
		remove_locked(w, x);
	sync_unlock(&w->lock);
}

static void take_name_event(struct cow_watches *w, uint64_t dir, uint32_t mask, const char *name)
{
	struct cow_node child;

	if (mask & (IN_CREATE | IN_DELETE | IN_MOVE))
		cow_notice_node(w->notify, dir, true);
	if (cow_nodes_child(w->nodes, dir, name, &child) != 0)
		child.id = 0;
	if (child.id && mask & IN_ISDIR)
		cow_cache_forget(w->dirs, child.id); /* before anybody asks again */
	cow_notice_name(w->notify, dir, name);
	if (child.id)
		cow_notice_node(w->notify, child.id, false);
}

/* True: everything must expire. */
static bool take_event(struct cow_watches *w, const struct inotify_event *ev)
{
	uint64_t nodes[NODES_MAX];
	size_t count;

	if (ev->mask & IN_Q_OVERFLOW)
		return true;
	sync_lock(&w->lock);
	count = nodes_locked(w, ev->wd, nodes);
	sync_unlock(&w->lock);
	for (size_t i = 0; i < count; i++)
		if (ev->len && *ev->name)
			take_name_event(w, nodes[i], ev->mask, ev->name);
		else
			cow_notice_node(w->notify, nodes[i], false);
	if (count && ev->mask & (IN_MOVE_SELF | IN_DELETE_SELF | IN_UNMOUNT | IN_IGNORED))
		drop_wd(w, ev->wd);
	/* What is below a moved directory is known by other names now, and tells nobody. */
	return count && ev->mask & IN_MOVE && ev->mask & IN_ISDIR;
}

/* Reads what has happened; nap: for how long to let more of it come. False: nothing more will. */
static bool take_events(struct cow_watches *w, int *ret_nap_ms)
{
	_Alignas(struct inotify_event) char buf[EVENTS_SIZE];
	ssize_t len = read(w->inotify, buf, sizeof(buf));
	const struct inotify_event *ev;
	bool all = false;

	if (len <= 0)
		return len < 0 && (errno == EINTR || errno == EAGAIN);
	for (char *p = buf; p < buf + len; p += sizeof(*ev) + ev->len) {
		ev = (const struct inotify_event *)(void *)p;
		all |= take_event(w, ev);
	}
	if (all) {
		cow_cache_forget_all(w->dirs);
		cow_nodes_each(w->nodes, expire_any, w);
	}
	*ret_nap_ms = all ? NAP_ALL_MS : NAP_MS;
	return true;
}

static bool is_ending(const struct cow_watches *w, int wait_ms)
{
	struct pollfd p = { .fd = w->end_pipe[0], .events = POLLIN };

	return poll(&p, 1, wait_ms) != 0;
}

static void *watches_main(void *arg)
{
	struct cow_watches *w = arg;
	struct pollfd p[] = { { .fd = w->inotify, .events = POLLIN },
			      { .fd = w->end_pipe[0], .events = POLLIN } };
	int nap_ms = 0;

	(void)pthread_setname_np(pthread_self(), "floe-watches");
	while (poll(p, 2, -1) >= 0 || errno == EINTR)
		if (is_ending(w, 0) || !take_events(w, &nap_ms) || is_ending(w, nap_ms))
			break;
	return NULL;
}

static void *takeover_main(void *arg)
{
	struct cow_watches *w = arg;

	cow_nodes_each(w->nodes, expire_any, w);
	return watches_main(w);
}

/* ---- life ------------------------------------------------------------------------------------ */

static bool kernel_can_expire(void)
{
	unsigned major, minor;
	struct utsname name;

	return uname(&name) == 0 && sscanf(name.release, "%u.%u", &major, &minor) == 2 &&
	       (major > 6 || (major == 6 && minor >= 2));
}

/* Of those that the user may have, the other programs get most. */
static size_t allowance(void)
{
	auto_buf struct buf text = BUF_INIT(64);
	struct err ignored;
	unsigned long n;

	if (fd_read_file(AT_FDCWD, "/proc/sys/fs/inotify/max_user_watches", &text, &ignored) < 0 ||
	    buf_add(&text, "", 1, &ignored) < 0)
		return 1024;
	n = strtoul((const char *)text.data, NULL, 10) / 4;
	return n < WATCHES_MAX ? n : WATCHES_MAX;
}

static void empty(struct cow_watches *w)
{
	struct watch *x, *next;

	for (size_t i = 0; i < BUCKETS; i++) {
		for (x = w->by_node[i]; x; x = next) {
			next = x->next_of_node;
			free(x);
		}
	}
}

/* Without its thread. */
static void end(struct cow_watches *w)
{
	empty(w);
	fuse_notify_close(w->notify);
	fd_close(w->inotify);
	fd_close(w->end_pipe[0]);
	sync_mutex_fini(&w->lock);
	free(w);
}

int cow_watches_open(int fuse_fd, struct cow_union *u, bool takeover, struct cow_watches **ret, struct err *e)
{
	struct cow_watches *w = mem_alloc(1, sizeof(*w), e);
	int sys;

	if (!w)
		return -1;
	sync_mutex_init(&w->lock);
	w->nodes = u->nodes;
	w->dirs = u->dirs;
	w->max = allowance();
	w->end_pipe[0] = w->end_pipe[1] = -1;
	w->inotify = kernel_can_expire() ? inotify_init1(IN_CLOEXEC | IN_NONBLOCK) : -1;
	if (w->inotify < 0) {
		*ret = w;
		return 0;
	}
	if (fuse_notify_open(fuse_fd, u->opt.table, 0, &w->notify, e) < 0) {
		end(w);
		return -1;
	}
	if (pipe2(w->end_pipe, O_CLOEXEC) < 0)
		sys = errno;
	else
		sys = pthread_create(&w->thread, NULL, takeover ? takeover_main : watches_main, w);
	if (sys) {
		fd_close(w->end_pipe[1]);
		end(w);
		return err_sys(e, sys, "watch directories");
	}
	*ret = w;
	return 0;
}

void cow_watches_close(struct cow_watches *w)
{
	if (!w)
		return;
	if (w->inotify >= 0) {
		fd_close(w->end_pipe[1]);
		if (!cow_notice_thread_ends(w->thread))
			return;
	}
	end(w);
}
