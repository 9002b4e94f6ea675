/* SPDX-License-Identifier: Apache-2.0 */
/* floe-package-server: opens one package, streams it and serves its file system; protocol in
 * server_protocol.h. */
#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/sync.h"
#include "base/wire.h"
#include "launcher/launch_info.h"
#include "launcher/server_control.h"
#include "launcher/server_package.h"
#include "launcher/server_process.h"
#include "launcher/server_protocol.h"
#include "vfs/fuse_notify.h"
#include "vfs/package_mount.h"

enum { DEFAULTS_MAX = 16 << 20, LINGER_US = 3000 * 1000, MAPPED_FROM = 32 << 10 };

struct options {
	struct launch_server_source source;
	bool record;
};

struct server {
	struct options opt;
	struct launch_server_package open;
	struct fuse_notify *store; /* NULL = none */

	struct sync_mutex lock;
	struct vfs_package_mount *mount; /* guarded by lock; NULL = not serving */
	bool is_opened;                  /* guarded by lock: figures can be asked for */
	bool is_finishing;               /* guarded by lock */
};

/* ---- answers ------------------------------------------------------------------------------- */

static int put_stats(void *arg, struct wire_out *m, struct err *e)
{
	struct server *s = arg;
	struct stream_package_stats net = { 0 };
	struct vfs_package_stats vfs = { 0 };
	struct pkg_index_counts counts;
	uint64_t file_len;

	sync_lock(&s->lock);
	if (!s->is_opened) {
		sync_unlock(&s->lock);
		return err_set(e, ERR_BUSY, "the package is not open");
	}
	if (s->mount)
		vfs_package_mount_stats(s->mount, &vfs);
	stream_package_stats(s->open.package, &net);
	pkg_index_counts(stream_package_index(s->open.package), &counts);
	file_len = stream_package_header(s->open.package)->file_len;
	sync_unlock(&s->lock);

	const struct launch_server_figure figures[] = {
		{ "operations", vfs.operations },
		{ "lookups", vfs.lookups },
		{ "reads", vfs.reads },
		{ "readdirs", vfs.readdirs },
		{ "getattrs", vfs.getattrs },
		{ "others", vfs.others },
		{ "bytes-read", vfs.bytes_read },
		{ "bytes-pushed", vfs.bytes_pushed },
		{ "requests", net.net.requests },
		{ "bytes-fetched", net.net.bytes },
		{ "chunks-fetched", net.chunks_fetched },
		{ "chunks-cached", net.chunks_from_cache },
		{ "chunks-wrong", net.chunks_wrong },
		{ "file-length", file_len },
		{ "content-bytes", counts.content_bytes },
	};

	return launch_server_put_figures(m, figures, ARRAY_LEN(figures), e);
}

static int touches(void *arg, struct pkg_touch **ret, size_t *ret_count, struct err *e)
{
	struct server *s = arg;
	int r = 0;

	sync_lock(&s->lock);
	if (s->mount)
		r = vfs_package_mount_touches(s->mount, ret, ret_count, e);
	sync_unlock(&s->lock);
	return r;
}

/* Into what is learnt for the next cold start. */
static void launched(void *arg, const char *command)
{
	struct server *s = arg;

	launch_server_package_launch(&s->open, command);
}

static void say_verdict(void *arg, enum stream_package_verdict verdict)
{
	auto_wire_out struct wire_out m = WIRE_OUT_INIT;
	struct err ignored;

	(void)arg;
	if (wire_put_str(&m, "type", "verdict", &ignored) == 0 &&
	    wire_put_u64(&m, "is-replaced", verdict == STREAM_PACKAGE_REPLACED, &ignored) == 0 &&
	    wire_put_u64(&m, "is-unknown", verdict == STREAM_PACKAGE_UNKNOWN, &ignored) == 0)
		launch_server_send(&m);
}

static void ask(void *arg)
{
	struct server *s = arg;
	struct err ignored;
	bool is_asked;

	sync_lock(&s->lock);
	is_asked = s->is_opened && stream_package_ask(s->open.package, say_verdict, NULL, &ignored) == 0;
	sync_unlock(&s->lock);
	if (!is_asked)
		say_verdict(NULL, STREAM_PACKAGE_UNKNOWN);
}

/* The cache gets a moment to write what it has; then, whatever still waits, it ends. */
static void stop(void *arg)
{
	struct server *s = arg;
	bool is_anyone_there;

	sync_lock(&s->lock);
	is_anyone_there = s->mount || s->is_finishing;
	if (s->mount)
		vfs_package_mount_stop(s->mount);
	sync_unlock(&s->lock);
	if (is_anyone_there)
		(void)usleep(LINGER_US);
}

static const struct launch_server_control_ops control = { .name = "package server",
							  .put_stats = put_stats,
							  .touches = touches,
							  .launch = launched,
							  .ask = ask,
							  .stop = stop };

/* ---- opening ------------------------------------------------------------------------------- */

static int add_default(void *arg, const char *file, const char *key, const char *value, struct err *e)
{
	struct buf *b = arg;

	/* With the NULs that separate them. */
	if (buf_add(b, file, strlen(file) + 1, e) < 0 || buf_add(b, key, strlen(key) + 1, e) < 0)
		return -1;
	return buf_add(b, value, strlen(value) + 1, e);
}

static int say_opened(struct server *s, struct err *e)
{
	auto_wire_out struct wire_out m = WIRE_OUT_INIT;
	auto_buf struct buf defaults = BUF_INIT(DEFAULTS_MAX);
	struct pkg_index *index = stream_package_index(s->open.package);
	const struct pkg_manifest *manifest = pkg_index_manifest(index);
	char root[2 * PKG_DIGEST_LEN + 1], title[16];
	auto_fd int fd = -1;

	launch_server_package_root(&s->open, root);
	if (pkg_index_defaults(index, add_default, &defaults, e) < 0)
		return -1;
	fd = launch_server_bytes_fd("defaults", defaults.data, defaults.len, e);
	if (fd < 0 || wire_put_str(&m, "type", "opened", e) < 0 || wire_put_str(&m, "root", root, e) < 0 ||
	    wire_put_str(&m, "source", s->opt.source.shown, e) < 0 ||
	    wire_put_u64(&m, "is-offline", stream_package_is_offline(s->open.package), e) < 0 ||
	    launch_info_put(manifest, &m, e) < 0 || wire_put_fd(&m, fd, e) < 0)
		return -1;
	/* What ps and top show. */
	(void)snprintf(title, sizeof(title), "floe:%s", manifest->name);
	(void)prctl(PR_SET_NAME, title, 0, 0, 0);
	sync_lock(&s->lock);
	s->is_opened = true;
	sync_unlock(&s->lock);
	launch_server_send(&m);
	return 0;
}

/* ---- serving ------------------------------------------------------------------------------- */

static int start_mount(struct server *s, const struct launch_server_serve *serve, struct err *e)
{
	const struct vfs_package_mount_opt opt = {
		.record = s->opt.record,
		.store = s->store,
		.uid = serve->uid,
		.gid = serve->gid,
		.takeover_init = serve->init,
		.takeover_init_len = serve->init_len,
		.on_serving = launch_server_say_serving,
	};
	auto_fd int fuse_fd = wire_steal_fd(serve->message, 0);
	struct vfs_package_mount *mount;

	if (fuse_fd < 0)
		return err_set(e, ERR_FORMAT, "no descriptor in \"serve\"");
	if (vfs_package_mount_open(s->open.package, fuse_fd, &opt, &mount, e) < 0)
		return -1;
	(void)fd_steal(&fuse_fd);
	if (!vfs_package_mount_stores(mount)) {
		fuse_notify_close(s->store);
		s->store = NULL;
	}
	sync_lock(&s->lock);
	s->mount = mount;
	sync_unlock(&s->lock);
	return 0;
}

static int serve(struct server *s, struct launch_server_control *c, struct err *e)
{
	struct launch_server_serve wanted;

	if (launch_server_control_await(c, &wanted, e) < 0 || start_mount(s, &wanted, e) < 0)
		return -1;
	return vfs_package_mount_run(s->mount, e);
}

/* Orderly, so that the cache writes what it has. The control thread still runs: from here on it finds
 * nothing open. */
static void finish(struct server *s)
{
	struct vfs_package_mount *mount;

	sync_lock(&s->lock);
	s->is_opened = false;
	s->is_finishing = true;
	mount = s->mount;
	s->mount = NULL;
	sync_unlock(&s->lock);
	vfs_package_mount_close(mount);
	fuse_notify_close(s->store);
	launch_server_package_close(&s->open);
}

static int parse(int argc, char **argv, struct options *ret)
{
	static const struct option names[] = {
		LAUNCH_SERVER_SOURCE_OPTIONS,
		{ "record", no_argument, NULL, 'r' },
		{ "dialled", no_argument, NULL, 'd' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1)
		if (c == 'r')
			ret->record = true;
		else if (c == 'd')
			ret->source.is_dialled = true;
		else if (!launch_server_source_take(&ret->source, c, optarg))
			return -1;
	return launch_server_source_complete(&ret->source) && optind == argc ? 0 : -1;
}

/* While there is little memory that it shares. What is pushed ahead is not necessary. */
static void start_store(struct server *s)
{
	struct err why;

	if (!s->opt.record && fuse_notify_start(VFS_PACKAGE_STORE_ROOM, &s->store, &why) < 0)
		log_detail("%s", why.msg);
}

/* Chunks come and go in many threads: what malloc would keep of them goes back to the system when it is
 * freed. */
static void keep_little_memory(void)
{
	(void)mallopt(M_ARENA_MAX, 1);
	(void)mallopt(M_MMAP_THRESHOLD, MAPPED_FROM);
	(void)mallopt(M_TRIM_THRESHOLD, MAPPED_FROM);
}

int main(int argc, char **argv)
{
	static struct server s;
	struct launch_server_control *c;
	struct err why;

	if (parse(argc, argv, &s.opt) < 0) {
		launch_server_say_usage(
			"floe-package-server --source SOURCE [--addresses-in-environment] "
			"[--trust-once] [--offline] [--fail-after SECONDS] [--record] [--dialled]");
		return 125;
	}
	keep_little_memory();
	sync_mutex_init(&s.lock);
	launch_server_package_init(&s.open);
	if (launch_server_enter(LAUNCH_SERVER_NO_POWER, s.opt.source.is_dialled, &why) < 0) {
		launch_server_report(&why);
		return 125;
	}
	start_store(&s);
	s.opt.source.memory_first = VFS_PACKAGE_LAUNCH_MEMORY;
	if (launch_server_control_start(&control, &s, &c, &why) < 0 ||
	    launch_server_package_open(&s.opt.source, &s.open, &why) < 0 || say_opened(&s, &why) < 0 ||
	    serve(&s, c, &why) < 0) {
		launch_server_report(&why);
		finish(&s);
		_exit(125);
	}
	finish(&s);
	_exit(0); /* not through destructors that other threads still need */
}
