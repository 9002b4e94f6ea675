/* SPDX-License-Identifier: Apache-2.0 */
/* floe-package-server: opens one package, streams it and serves its file system; protocol in
 * server_protocol.h.
 *
 * Two threads matter: the main thread opens and serves; the control thread listens to the holder from
 * the first moment on, so that the holder's end is noticed also while the network says nothing. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sync.h"
#include "base/wire.h"
#include "launcher/launch_info.h"
#include "launcher/server_package.h"
#include "launcher/server_process.h"
#include "launcher/server_protocol.h"
#include "vfs/package_mount.h"

enum { DEFAULTS_MAX = 16 << 20, LINGER_US = 3000 * 1000 };

struct options {
	struct launch_server_source source;
	bool record;
};

struct server {
	struct options opt;
	struct launch_server_package open;

	struct sync_mutex lock;
	struct sync_cond changed;
	struct vfs_package_mount *mount; /* guarded by lock; NULL = not serving */
	bool is_opened;                  /* guarded by lock: figures can be asked for */
	bool is_finishing;               /* guarded by lock */
	bool is_serve_wanted;            /* guarded by lock; the three below belong to it */
	struct wire_in serve;            /* taken by the main thread */
};

/* ---- answers ------------------------------------------------------------------------------- */

static int put_stats(struct server *s, struct wire_out *m, struct err *e)
{
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

	const struct {
		const char *name;
		uint64_t value;
	} figures[] = {
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

	if (wire_put_str(m, "type", "stats", e) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(figures); i++)
		if (wire_put_u64(m, figures[i].name, figures[i].value, e) < 0)
			return -1;
	return 0;
}

static int touches_fd(struct server *s, struct err *e)
{
	auto_free struct pkg_touch *touches = NULL;
	size_t count = 0;
	int r = 0;

	sync_lock(&s->lock);
	if (s->mount)
		r = vfs_package_mount_touches(s->mount, &touches, &count, e);
	sync_unlock(&s->lock);
	if (r < 0)
		return -1;
	return launch_server_touches_fd(touches, count, e);
}

static void answer(struct server *s, const struct wire_in *question)
{
	auto_wire_out struct wire_out m = WIRE_OUT_INIT;
	auto_fd int fd = -1;
	struct err why;
	int r;

	if (wire_is(question, "type", "stats")) {
		r = put_stats(s, &m, &why);
	} else if (wire_is(question, "type", "touches")) {
		fd = touches_fd(s, &why);
		r = fd < 0 ? -1 : wire_put_fd(&m, fd, &why);
		if (r == 0)
			r = wire_put_str(&m, "type", "touches", &why);
	} else {
		r = err_set(&why, ERR_FORMAT, "a message that the package server does not understand");
	}
	if (r < 0)
		launch_server_report(&why);
	else
		launch_server_send(&m);
}

/* ---- control ------------------------------------------------------------------------------- */

/* The cache gets a moment to write what it has; then, whatever still waits, it ends. */
static void end(struct server *s)
{
	sync_lock(&s->lock);
	if (!s->mount && !s->is_finishing)
		_exit(0);
	if (s->mount)
		vfs_package_mount_stop(s->mount);
	sync_unlock(&s->lock);
	(void)usleep(LINGER_US);
	_exit(0);
}

static void *control_main(void *arg)
{
	struct server *s = arg;
	struct err why;

	for (;;) {
		struct wire_in m = WIRE_IN_INIT;

		if (wire_recv(LAUNCH_SERVER_FD, &m, &why) <= 0)
			end(s);
		if (wire_is(&m, "type", "serve")) {
			sync_lock(&s->lock);
			if (!s->is_serve_wanted) {
				s->serve = m;
				m = (struct wire_in)WIRE_IN_INIT;
				s->is_serve_wanted = true;
				sync_wake_all(&s->changed);
			}
			sync_unlock(&s->lock);
		} else {
			answer(s, &m);
		}
		wire_in_fini(&m);
	}
	return NULL;
}

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
	    wire_put_str(&m, "source", stream_package_source(s->open.package), e) < 0 ||
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

static void on_serving(void *arg, const uint8_t *init, size_t init_len)
{
	auto_wire_out struct wire_out m = WIRE_OUT_INIT;
	struct err ignored;

	(void)arg;
	if (wire_put_str(&m, "type", "serving", &ignored) == 0 &&
	    wire_put(&m, "init", init, init_len, &ignored) == 0)
		launch_server_send(&m);
}

static int start_mount(struct server *s, struct wire_in *serve, struct err *e)
{
	struct vfs_package_mount_opt opt = { .record = s->opt.record, .on_serving = on_serving };
	struct vfs_package_mount *mount;
	auto_fd int fuse_fd = -1;
	struct wire_field init;
	uint64_t uid, gid;

	if (wire_u64(serve, "uid", &uid, e) < 0 || wire_u64(serve, "gid", &gid, e) < 0)
		return -1;
	opt.uid = (uid_t)uid;
	opt.gid = (gid_t)gid;
	if (wire_find(serve, "init", &init) && init.len) {
		opt.takeover_init = init.value;
		opt.takeover_init_len = init.len;
	}
	fuse_fd = wire_steal_fd(serve, 0);
	if (fuse_fd < 0)
		return err_set(e, ERR_FORMAT, "no descriptor in \"serve\"");
	if (vfs_package_mount_open(s->open.package, fuse_fd, &opt, &mount, e) < 0)
		return -1;
	(void)fd_steal(&fuse_fd);
	sync_lock(&s->lock);
	s->mount = mount;
	sync_unlock(&s->lock);
	return 0;
}

static int serve(struct server *s, struct err *e)
{
	sync_lock(&s->lock);
	while (!s->is_serve_wanted)
		sync_wait(&s->changed, &s->lock);
	sync_unlock(&s->lock);
	if (start_mount(s, &s->serve, e) < 0)
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
	launch_server_package_close(&s->open);
}

static int parse(int argc, char **argv, struct options *ret)
{
	static const struct option names[] = {
		LAUNCH_SERVER_SOURCE_OPTIONS,
		{ "record", no_argument, NULL, 'r' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1)
		if (c == 'r')
			ret->record = true;
		else if (!launch_server_source_take(&ret->source, c, optarg))
			return -1;
	return ret->source.source && optind == argc ? 0 : -1;
}

int main(int argc, char **argv)
{
	static struct server s;
	pthread_t control;
	struct err why;
	int sys;

	if (parse(argc, argv, &s.opt) < 0) {
		launch_server_say_usage("floe-package-server --source SOURCE [--trust-once] [--offline] "
					"[--fail-after SECONDS] [--record]");
		return 125;
	}
	sync_mutex_init(&s.lock);
	sync_cond_init(&s.changed);
	if (launch_server_enter(LAUNCH_SERVER_NO_POWER, &why) < 0) {
		launch_server_report(&why);
		return 125;
	}
	sys = pthread_create(&control, NULL, control_main, &s);
	if (sys)
		(void)err_sys(&why, sys, "start a thread");
	if (sys || launch_server_package_open(&s.opt.source, &s.open, &why) < 0 || say_opened(&s, &why) < 0 ||
	    serve(&s, &why) < 0) {
		launch_server_report(&why);
		finish(&s);
		_exit(125);
	}
	finish(&s);
	_exit(0); /* not through destructors that other threads still need */
}
