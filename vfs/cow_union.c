/* SPDX-License-Identifier: Apache-2.0 */
/* The copy-on-write union's life; see cow_union.h. Requests are in cow_ops*.c. */
#include "vfs/cow_union.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "vfs/cow_file.h"
#include "vfs/cow_hold.h"
#include "vfs/cow_list.h"
#include "vfs/cow_notice.h"
#include "vfs/cow_ops.h"
#include "vfs/cow_takeover.h"
#include "vfs/cow_told.h"
#include "vfs/cow_watch.h"

enum {
	FDS_DEFAULT_MAX = 8192,
	FDS_MIN = 32,
	THREADS_MAX = 64,
	FDS_PER_THREAD = 4, /* that a request in work may need besides the cached ones */
};

struct budget {
	unsigned fds, threads;
};

/* A quarter of what we may have open is for requests in work, and for all else that the process does. */
static struct budget budget_of(const struct cow_union_opt *opt)
{
	struct rlimit limit;
	rlim_t all = FDS_DEFAULT_MAX, spare;
	struct budget b = { .fds = opt->fds_max, .threads = opt->threads };

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < all)
		all = limit.rlim_cur;
	spare = all / 4 > 64 ? all / 4 : 64;
	if (!b.fds)
		b.fds = all > spare ? (unsigned)(all - spare) : 0;
	if (b.fds < FDS_MIN)
		b.fds = FDS_MIN;
	if (!b.threads)
		b.threads = spare / FDS_PER_THREAD < THREADS_MAX ? (unsigned)(spare / FDS_PER_THREAD)
								 : THREADS_MAX;
	return b;
}

/* ---- life ------------------------------------------------------------------------------------ */

static int take_layers(struct cow_union *u, struct err *e)
{
	if (u->opt.layer_count > COW_LAYERS_MAX)
		return err_set(e, ERR_LIMIT, "a union of %zu layers: %d is the most", u->opt.layer_count,
			       COW_LAYERS_MAX);
	if (!u->opt.upper != !u->opt.work)
		return err_set(e, ERR_USAGE, "a union's upper and work directories come together");
	if (!u->opt.upper && u->opt.layer_count == 0)
		return err_set(e, ERR_USAGE, "a union of nothing");
	for (size_t i = 0; i < u->opt.layer_count; i++)
		u->layers[i + 1] = u->opt.layers[i];
	u->layer_count = (unsigned)u->opt.layer_count;
	u->opt.layers = NULL;
	return 0;
}

/* st_ino of the device where most changing things are is shown as it is. */
static int find_main_device(struct cow_union *u, struct err *e)
{
	struct stat st;

	if (u->upper) {
		if (fstat(cow_upper_root(u->upper), &st) < 0)
			return err_sys(e, errno, "stat %s", u->opt.upper);
		u->main_dev = st.st_dev;
		return 0;
	}
	for (unsigned i = 1; i <= u->layer_count; i++) {
		struct cow_handle root = COW_HANDLE_NONE;
		int sys;

		if (u->layers[i]->is_immutable)
			continue;
		sys = u->layers[i]->ops->open_root(u->layers[i], &root);
		if (sys)
			return err_sys(e, sys, "open the root of %s", u->layers[i]->key);
		u->main_dev = root.dev;
		cow_handle_close(&root);
		break;
	}
	return 0;
}

/* What is open of a node must not be found by the next that has its id. */
static void end_node(void *arg, uint64_t id, mode_t type)
{
	struct cow_union *u = arg;

	if (S_ISDIR(type)) {
		cow_cache_drop(u->dirs, id);
		cow_watch_end(u->watches, id);
	} else if (S_ISREG(type)) {
		cow_cache_drop(u->files, id);
		cow_cache_drop(u->holds, id);
	}
}

static int open_parts(struct cow_union *u, int fuse_fd, const struct budget *b, struct err *e)
{
	bool takeover = u->opt.takeover_init;

	if (take_layers(u, e) < 0)
		return -1;
	if (u->opt.upper && cow_upper_open(u->opt.upper, u->opt.work, takeover, &u->upper, e) < 0)
		return -1;
	if (find_main_device(u, e) < 0 || cow_nodes_open(u->opt.table, takeover, &u->nodes, e) < 0 ||
	    cow_dirs_open(b->fds / 3, &u->dirs, e) < 0 || cow_files_open(b->fds / 3, &u->files, e) < 0 ||
	    cow_holds_open(b->fds / 3, &u->holds, e) < 0 || cow_lists_open(&u->lists, e) < 0 ||
	    cow_notices_open(fuse_fd, &u->notices, e) < 0 ||
	    cow_watches_open(fuse_fd, u, takeover, &u->watches, e) < 0)
		return -1;
	cow_nodes_on_end(u->nodes, end_node, u);
	if (takeover)
		cow_take_over(u);
	return 0;
}

/* Who is killed does not wait for the network until it is back. */
static bool is_over(void *arg)
{
	struct cow_union *u = arg;

	return atomic_load(&u->is_stopping) || vfs_fuse_current_is_dying(u->session);
}

static void set_is_over(struct cow_union *u, bool (*fn)(void *arg))
{
	for (unsigned i = 1; i <= u->layer_count; i++) {
		u->layers[i]->is_over = fn;
		u->layers[i]->is_over_arg = u;
	}
}

int cow_union_open(int fuse_fd, const struct cow_union_opt *opt, struct cow_union **ret, struct err *e)
{
	struct cow_union *u = mem_alloc(1, sizeof(*u), e);
	struct cow_told *told = mem_alloc(1, sizeof(*told), e);
	struct budget b = budget_of(opt);
	struct vfs_fuse_session_opt session = {
		.ops = &cow_ops,
		.owner = u,
		.threads = b.threads,
		.takeover_init = opt->takeover_init,
		.takeover_init_len = opt->takeover_init_len,
		.on_serving = opt->on_serving,
		.on_serving_arg = opt->on_serving_arg,
		.init_flags = FUSE_HANDLE_KILLPRIV_V2,
		.on_raw = cow_ops_raw,
		.request_max = COW_WRITE_MAX + 4096,
		.own_umask = true,
		.is_quick = true,
	};

	if (!u || !told) {
		free(u);
		free(told);
		return -1;
	}
	u->opt = *opt;
	u->told = told;
	u->timeout_s = (opt->timeout_ms ? opt->timeout_ms : 1000) / 1000.0;
	for (size_t i = 0; i < COW_STRIPES; i++)
		sync_mutex_init(&u->stripes[i]);
	if (open_parts(u, fuse_fd, &b, e) < 0 ||
	    vfs_fuse_session_open(fuse_fd, &session, &u->session, e) < 0) {
		cow_union_close(u);
		return -1;
	}
	set_is_over(u, is_over);
	/* The caller's memory is not looked at after this call. */
	u->opt.takeover_init = NULL;
	u->opt.upper = u->opt.work = NULL;
	*ret = u;
	return 0;
}

int cow_union_run(struct cow_union *u, struct err *e)
{
	int r = vfs_fuse_session_run(u->session, e);

	atomic_store(&u->is_stopping, true);
	return r;
}

void cow_union_stop(struct cow_union *u)
{
	atomic_store(&u->is_stopping, true);
	vfs_fuse_session_stop(u->session);
}

void cow_union_close(struct cow_union *u)
{
	if (!u)
		return;
	set_is_over(u, NULL);
	cow_watches_close(u->watches);
	cow_notices_close(u->notices);
	vfs_fuse_session_close(u->session);
	cow_lists_close(u->lists);
	cow_cache_close(u->holds);
	cow_cache_close(u->files);
	cow_cache_close(u->dirs);
	cow_nodes_close(u->nodes);
	cow_upper_close(u->upper);
	for (size_t i = 0; i < COW_STRIPES; i++)
		sync_mutex_fini(&u->stripes[i]);
	free(u->told);
	free(u);
}

void cow_union_stats(struct cow_union *u, struct cow_union_stats *ret)
{
	struct vfs_fuse_session *s = u->session;
	struct cow_nodes_stats nodes;

	cow_nodes_stats(u->nodes, &nodes);
	*ret = (struct cow_union_stats){
		.operations = vfs_fuse_session_operations(s),
		.lookups = vfs_fuse_session_count(s, FUSE_LOOKUP),
		.reads = vfs_fuse_session_count(s, FUSE_READ),
		.writes = vfs_fuse_session_count(s, FUSE_WRITE),
		.copy_ups = atomic_load(&u->copy_ups),
		.bytes_copied_up = atomic_load(&u->bytes_copied_up),
		.nodes = nodes.nodes,
		.table_bytes = nodes.bytes,
		.open_fds =
			cow_cache_weight(u->dirs) + cow_cache_weight(u->files) + cow_cache_weight(u->holds),
	};
}
