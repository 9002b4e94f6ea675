/* SPDX-License-Identifier: Apache-2.0 */
/* floe-union-server: serves one environment's union (the `fuse` engine); protocol in server_protocol.h.
 *
 * It sees the host as the holder's mount namespace shows it, without floe's own mounts, so that it cannot
 * end up reading itself. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/sync.h"
#include "launcher/server_control.h"
#include "launcher/server_package.h"
#include "launcher/server_process.h"
#include "launcher/server_protocol.h"
#include "vfs/cow_union.h"
#include "vfs/package_touches.h"

enum { LINGER_US = 3000 * 1000, LAST_WORDS_US = 500 * 1000 };

struct options {
	struct launch_server_source package;
	const char *root_digest, *home, *host, *upper, *work;
	const char *frozen[COW_LAYERS_MAX];
	size_t frozen_count;
	bool map_owners, record;
};

struct server {
	struct options opt;
	struct pkg_digest root;
	struct launch_server_package open;
	struct cow_layer *layers[COW_LAYERS_MAX];
	size_t layer_count;
	struct package_touches *touches; /* NULL = not recording; there before others ask */

	struct sync_mutex lock;
	struct cow_union *serving; /* guarded by lock; NULL = not yet, or not any more */
	bool is_finishing;         /* guarded by lock */
};

/* ---- control ------------------------------------------------------------------------------- */

static int put_stats(void *arg, struct wire_out *m, struct err *e)
{
	struct cow_union_stats stats = { 0 };
	struct server *s = arg;

	sync_lock(&s->lock);
	if (s->serving)
		cow_union_stats(s->serving, &stats);
	sync_unlock(&s->lock);

	const struct launch_server_figure figures[] = {
		{ "operations", stats.operations },
		{ "lookups", stats.lookups },
		{ "reads", stats.reads },
		{ "writes", stats.writes },
		{ "copy-ups", stats.copy_ups },
		{ "bytes-copied-up", stats.bytes_copied_up },
		{ "nodes", stats.nodes },
		{ "table-bytes", stats.table_bytes },
		{ "open-fds", stats.open_fds },
		{ "noted", s->touches ? package_touches_noted(s->touches) : 0 },
	};

	return launch_server_put_figures(m, figures, ARRAY_LEN(figures) - !s->touches, e);
}

static int touches(void *arg, struct pkg_touch **ret, size_t *ret_count, struct err *e)
{
	struct server *s = arg;

	return s->touches ? package_touches_copy(s->touches, ret, ret_count, e) : 0;
}

/* Into what is learnt for the next cold start. */
static void launched(void *arg, const char *command)
{
	struct server *s = arg;

	launch_server_package_launch(&s->open, command);
}

/* The mount goes with its last user; what that still does is served. */
static void stop(void *arg)
{
	struct server *s = arg;
	bool is_anyone_there;

	sync_lock(&s->lock);
	is_anyone_there = s->serving || s->is_finishing;
	sync_unlock(&s->lock);
	if (!is_anyone_there)
		return;
	(void)usleep(LINGER_US);
	sync_lock(&s->lock);
	if (s->serving)
		cow_union_stop(s->serving);
	sync_unlock(&s->lock);
	(void)usleep(LAST_WORDS_US);
}

static const struct launch_server_control_ops control = {
	.name = "union server", .put_stats = put_stats, .touches = touches, .launch = launched, .stop = stop
};

/* ---- layers -------------------------------------------------------------------------------- */

static int add_layer(struct server *s, struct cow_layer *l, struct err *e)
{
	if (s->layer_count == ARRAY_LEN(s->layers)) {
		cow_layer_close(l);
		return err_set(e, ERR_LIMIT, "more than %d layers in one environment", COW_LAYERS_MAX);
	}
	s->layers[s->layer_count++] = l;
	return 0;
}

static int add_directory(struct server *s, const char *path, bool frozen, const char *key, struct err *e)
{
	auto_fd int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct cow_layer *l;

	if (fd < 0)
		return err_sys(e, errno, "%s", path);
	if (cow_layer_dir_open(fd, frozen, key, &l, e) < 0)
		return err_wrap(e, "%s", path);
	(void)fd_steal(&fd);
	return add_layer(s, l, e);
}

static int add_frozen(struct server *s, const char *path, struct err *e)
{
	auto_free char *key = mem_printf(e, "frozen:%s", path_base(path));

	return key ? add_directory(s, path, true, key, e) : -1;
}

/* The package's own server came first: they share the cache. */
static int add_package(struct server *s, struct err *e)
{
	struct cow_layer *l;

	if (pkg_digest_parse(s->opt.root_digest, &s->root, e) < 0)
		return err_wrap(e, "--root-digest");
	s->opt.package.root = &s->root;
	if (launch_server_package_open(&s->opt.package, &s->open, e) < 0 ||
	    cow_layer_package_open(s->open.package, s->opt.home, &l, e) < 0)
		return -1;
	if (s->touches)
		cow_layer_package_record(l, s->touches);
	return add_layer(s, l, e);
}

static int open_layers(struct server *s, struct err *e)
{
	for (size_t i = 0; i < s->opt.frozen_count; i++)
		if (add_frozen(s, s->opt.frozen[i], e) < 0)
			return -1;
	if (s->opt.package.source && add_package(s, e) < 0)
		return -1;
	return s->opt.host ? add_directory(s, s->opt.host, false, "host", e) : 0;
}

/* ---- serving ------------------------------------------------------------------------------- */

static int open_union(struct server *s, const struct launch_server_serve *serve, int *fuse_fd, int table,
		      struct err *e)
{
	const struct cow_union_opt opt = {
		.upper = s->opt.upper,
		.work = s->opt.work,
		.layers = s->layers,
		.layer_count = s->layer_count,
		.map_owners = s->opt.map_owners,
		.uid = serve->uid,
		.gid = serve->gid,
		.table = table,
		.takeover_init = serve->init,
		.takeover_init_len = serve->init_len,
		.on_serving = launch_server_say_serving,
	};
	struct cow_union *made;

	if (cow_union_open(*fuse_fd, &opt, &made, e) < 0)
		return -1;
	*fuse_fd = -1;
	sync_lock(&s->lock);
	s->serving = made;
	sync_unlock(&s->lock);
	return 0;
}

/* A third descriptor, the lock, stays in the message, and open. */
static int serve(struct server *s, struct launch_server_control *c, struct err *e)
{
	auto_fd int fuse_fd = -1, table = -1;
	struct launch_server_serve wanted;

	if (launch_server_control_await(c, &wanted, e) < 0)
		return -1;
	fuse_fd = wire_steal_fd(wanted.message, 0);
	table = wire_steal_fd(wanted.message, 1);
	if (fuse_fd < 0 || table < 0)
		return err_set(e, ERR_FORMAT, "descriptors are missing in \"serve\"");
	if (open_union(s, &wanted, &fuse_fd, table, e) < 0)
		return -1;
	return cow_union_run(s->serving, e);
}

static void finish(struct server *s)
{
	struct cow_union *served;

	sync_lock(&s->lock);
	s->is_finishing = true;
	served = s->serving;
	s->serving = NULL;
	sync_unlock(&s->lock);
	cow_union_close(served);
	for (size_t i = 0; i < s->layer_count; i++)
		cow_layer_close(s->layers[i]);
	launch_server_package_close(&s->open);
}

/* ---- start --------------------------------------------------------------------------------- */

static const char usage[] = "floe-union-server [--upper DIR --work DIR] [--frozen DIR]... [--source SOURCE "
			    "--root-digest HEX [--addresses-in-environment] [--home PATH] [--trust-once] "
			    "[--offline] [--fail-after "
			    "SECONDS] [--record]] [--host PATH] [--map-owners]";

static int take(struct options *o, int c)
{
	switch (c) {
	case 'r':
		o->root_digest = optarg;
		return 0;
	case 'm':
		o->home = optarg;
		return 0;
	case 'h':
		o->host = optarg;
		return 0;
	case 'u':
		o->upper = optarg;
		return 0;
	case 'w':
		o->work = optarg;
		return 0;
	case 'z':
		if (o->frozen_count == ARRAY_LEN(o->frozen))
			return -1;
		o->frozen[o->frozen_count++] = optarg;
		return 0;
	case 'p':
		o->map_owners = true;
		return 0;
	case 'R':
		o->record = true;
		return 0;
	default:
		return launch_server_source_take(&o->package, c, optarg) ? 0 : -1;
	}
}

static int parse(int argc, char **argv, struct options *o)
{
	static const struct option names[] = {
		LAUNCH_SERVER_SOURCE_OPTIONS,
		{ "root-digest", required_argument, NULL, 'r' },
		{ "home", required_argument, NULL, 'm' },
		{ "host", required_argument, NULL, 'h' },
		{ "upper", required_argument, NULL, 'u' },
		{ "work", required_argument, NULL, 'w' },
		{ "frozen", required_argument, NULL, 'z' },
		{ "map-owners", no_argument, NULL, 'p' },
		{ "record", no_argument, NULL, 'R' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1)
		if (take(o, c) < 0)
			return -1;
	if (o->package.source && !launch_server_source_complete(&o->package))
		return -1;
	if (optind != argc || !o->upper != !o->work || !o->package.source != !o->root_digest)
		return -1;
	return o->package.source || o->host || o->frozen_count ? 0 : -1;
}

/* Directories and files are kept open so that what the host deletes stays readable for who uses it. */
static void allow_descriptors(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
}

int main(int argc, char **argv)
{
	static struct server s;
	struct launch_server_control *c;
	struct err why;

	if (parse(argc, argv, &s.opt) < 0) {
		launch_server_say_usage(usage);
		return 125;
	}
	sync_mutex_init(&s.lock);
	launch_server_package_init(&s.open);
	(void)umask(0);
	allow_descriptors();
	if (launch_server_enter(s.opt.upper ? LAUNCH_SERVER_WRITES_ALL : LAUNCH_SERVER_READS_ALL, false,
				&why) < 0 ||
	    (s.opt.record && package_touches_open(&s.touches, &why) < 0)) {
		launch_server_report(&why);
		return 125;
	}
	if (launch_server_control_start(&control, &s, &c, &why) < 0 || open_layers(&s, &why) < 0 ||
	    serve(&s, c, &why) < 0) {
		launch_server_report(&why);
		finish(&s);
		_exit(125);
	}
	finish(&s);
	_exit(0); /* not through destructors that other threads still need */
}
