/* SPDX-License-Identifier: Apache-2.0 */
/* See server_package.h. */
#include "launcher/server_package.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/wire.h"
#include "launcher/cache_settings.h"
#include "launcher/metered.h"
#include "launcher/power.h"
#include "launcher/server_process.h"
#include "launcher/server_protocol.h"
#include "streaming/knock.h"

enum {
	MIRRORS_MAX = 15, /* beside the source: STREAM_MIRRORS_MAX */
	/* Of decompressed chunks: what was read is in the kernel's page cache, too, and mostly in ours on
	   disk. */
	MEMORY_MAX = 4 << 20,
};

static void say(const char *type, bool is_stalled, const char *text)
{
	auto_wire_out struct wire_out m = WIRE_OUT_INIT;
	struct err ignored;

	if (wire_put_str(&m, "type", type, &ignored) < 0 || wire_put_str(&m, "text", text, &ignored) < 0 ||
	    wire_put_u64(&m, "is-stalled", is_stalled, &ignored) < 0)
		return;
	launch_server_send(&m);
}

static void on_stall(void *arg, bool is_stalled, const char *why)
{
	(void)arg;
	say("stall", is_stalled, why ? why : "");
}

bool launch_server_source_take(struct launch_server_source *s, int c, const char *value)
{
	struct err ignored;

	switch (c) {
	case 's':
		s->source = s->shown = value;
		return true;
	case 't':
		s->trust_once = true;
		return true;
	case 'o':
		s->offline = true;
		return true;
	case 'f':
		s->fail_after_s = (unsigned)strtoul(value, NULL, 10);
		return true;
	case 'W':
		s->has_wanted = pkg_digest_parse(value, &s->wanted, &ignored) == 0;
		return s->has_wanted;
	case 'a':
		s->addresses_in_environment = true;
		return true;
	case 'L':
		s->start_len = strtoull(value, NULL, 10);
		return true;
	default:
		return false;
	}
}

bool launch_server_source_complete(struct launch_server_source *s)
{
	if (s->addresses_in_environment) {
		s->source = getenv(LAUNCH_SERVER_SOURCE_VARIABLE);
		s->mirrors = getenv(LAUNCH_SERVER_MIRRORS_VARIABLE);
	}
	return s->source && s->shown;
}

static void open_cache(struct launch_server_package *p)
{
	struct err note, why;

	if (launch_cache_open(&p->cache, &note, &why) < 0) {
		p->cache = NULL;
		(void)err_wrap(&why, "going on without the cache");
		say("progress", false, why.msg);
	} else if (note.code != ERR_NONE) {
		(void)err_wrap(&note, "going on");
		say("progress", false, note.msg);
	}
}

static bool may_complete(void *arg)
{
	auto_cache_settings struct launch_cache_settings s = LAUNCH_CACHE_SETTINGS_INIT;
	struct err ignored;

	(void)arg;
	return launch_cache_settings_read(&s, &ignored) == 0 && !launch_power_is_battery() &&
	       !launch_metered_is(s.metered);
}

/* Who reads ahead completes as well. Settings that cannot be read have been told of with the cache. */
static void set_completion(struct stream_package_opt *opt)
{
	auto_cache_settings struct launch_cache_settings s = LAUNCH_CACHE_SETTINGS_INIT;
	struct err ignored;

	if (opt->no_prefetch || !opt->cache || launch_cache_settings_read(&s, &ignored) < 0)
		return;
	opt->complete_after_s = s.complete_after_s;
	opt->complete_rate = s.complete_rate;
	opt->may_complete = may_complete;
}

static int check_version(const struct launch_server_source *s, const struct stream_package *p, struct err *e)
{
	const struct pkg_digest *root = &stream_package_header(p)->root;

	if (s->has_wanted && !pkg_digest_equal(&s->wanted, root))
		return err_set(e, ERR_TRUST,
			       "%s is not the package that the repository's list names; floe update fetches "
			       "the list again",
			       s->shown);
	if (s->root && !pkg_digest_equal(s->root, root))
		return err_set(e, ERR_CHANGED, "%s was replaced while in use", s->shown);
	return 0;
}

static void hold(const struct launch_server_source *s, const struct launch_server_package *p)
{
	struct err why;

	if (!p->cache || !stream_source_is_url(s->source) ||
	    stream_cache_hold(p->cache, &stream_package_header(p->package)->root, &why) == 0)
		return;
	(void)err_wrap(&why, "its content may leave the cache while it runs");
	say("progress", false, why.msg);
}

static void tell_wholes(const struct launch_server_source *s, struct stream_package *p)
{
	struct stream_package_stats stats;
	struct err text;

	stream_package_stats(p, &stats);
	if (!stats.net.wholes)
		return;
	(void)err_set(&text, ERR_UNSUPPORTED,
		      "the server of %s knows no ranges: all of the package is fetched", s->shown);
	say("progress", false, text.msg);
}

/* Takes `text` apart; as many as can be used. */
static size_t split_mirrors(char *text, const char *ret[MIRRORS_MAX])
{
	size_t count = 0;
	char *line;

	while (count < MIRRORS_MAX && (line = strsep(&text, "\n")))
		if (*line)
			ret[count++] = line;
	return count;
}

void launch_server_package_init(struct launch_server_package *p)
{
	*p = (struct launch_server_package){ 0 };
	sync_mutex_init(&p->lock);
}

void launch_server_package_launch(struct launch_server_package *p, const char *command)
{
	struct err ignored;

	sync_lock(&p->lock);
	if (p->is_open)
		stream_package_launch(p->package, command);
	else if (p->command_count < LAUNCH_SERVER_COMMANDS_MAX)
		p->commands[p->command_count++] = command ? mem_strdup(command, &ignored) : NULL;
	sync_unlock(&p->lock);
}

/* What was launched while it opened. */
static void launch_waiting(struct launch_server_package *p)
{
	sync_lock(&p->lock);
	for (size_t i = 0; i < p->command_count; i++) {
		stream_package_launch(p->package, p->commands[i]);
		free(p->commands[i]);
	}
	p->command_count = 0;
	p->is_open = true;
	sync_unlock(&p->lock);
}

int launch_server_package_open(const struct launch_server_source *s, struct launch_server_package *ret,
			       struct err *e)
{
	auto_free char *config_dir = path_config_dir(false, e);
	struct stream_package_opt opt = {
		.trust_once = s->trust_once,
		.offline = s->offline,
		.root = s->root,
		.remembers_later = true,
		.no_prefetch = s->root != NULL,
		.start_len = s->start_len,
		.fail_after_s = s->fail_after_s,
		.memory_max = MEMORY_MAX,
		.memory_first = s->memory_first,
		.on_stall = on_stall,
	};
	auto_free char *mirrors = mem_strdup(s->mirrors ? s->mirrors : "", e);
	const char *mirror_list[MIRRORS_MAX];
	auto_free char *cache_dir = NULL;
	struct err ignored;

	if (!config_dir || !mirrors)
		return -1;
	/* Who wants one version may have it here. */
	if (!s->offline && !s->root && !s->has_wanted)
		stream_knock(s->source, s->is_dialled ? LAUNCH_SERVER_DIALLED_FD : -1);
	open_cache(ret);
	opt.cache = ret->cache;
	opt.config_dir = config_dir;
	opt.mirrors = mirror_list;
	opt.mirror_count = split_mirrors(mirrors, mirror_list);
	if (!opt.root && s->has_wanted)
		opt.root = &s->wanted;
	cache_dir = ret->cache ? path_cache_dir(false, &ignored) : NULL;
	opt.profile_dir = cache_dir;
	set_completion(&opt);
	if (stream_package_open(s->source, &opt, &ret->package, e) < 0 ||
	    check_version(s, ret->package, e) < 0)
		return -1;
	hold(s, ret);
	tell_wholes(s, ret->package);
	launch_waiting(ret);
	return 0;
}

void launch_server_package_close(struct launch_server_package *p)
{
	sync_lock(&p->lock);
	p->is_open = false;
	sync_unlock(&p->lock);
	stream_package_close(p->package);
	stream_cache_close(p->cache);
	p->package = NULL;
	p->cache = NULL;
}

void launch_server_package_root(const struct launch_server_package *p, char ret[2 * PKG_DIGEST_LEN + 1])
{
	bytes_to_hex(&stream_package_header(p->package)->root, PKG_DIGEST_LEN, ret);
}

/* ---- what is handed to the holder ------------------------------------------------------------ */

int launch_server_bytes_fd(const char *name, const void *data, size_t len, struct err *e)
{
	auto_fd int fd = memfd_create(name, MFD_CLOEXEC);

	if (fd < 0)
		return err_sys(e, errno, "memfd");
	if (fd_write_all(fd, data, len, e) < 0)
		return -1;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_sys(e, errno, "memfd");
	return fd_steal(&fd);
}

struct touch_record {
	struct le64 ino, off, len;
};

int launch_server_touches_fd(const struct pkg_touch *list, size_t count, struct err *e)
{
	auto_free struct touch_record *records = mem_alloc(count, sizeof(*records), e);

	if (!records)
		return -1;
	for (size_t i = 0; i < count; i++)
		records[i] = (struct touch_record){ le64_of(list[i].ino), le64_of(list[i].off),
						    le64_of(list[i].len) };
	return launch_server_bytes_fd("touches", records, count * sizeof(*records), e);
}
