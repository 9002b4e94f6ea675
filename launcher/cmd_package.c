/* SPDX-License-Identifier: Apache-2.0 */
/* Opening packages for verbs; see cmd_package.h. */
#include "launcher/cmd_package.h"

#include <signal.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "launcher/cmd_ahead.h"
#include "launcher/reference.h"
#include "package-format/check.h"

enum { GIVE_UP_AFTER_S = 60, MIRRORS_MAX = 15 /* beside the source */ };

static volatile sig_atomic_t was_interrupted;

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

static bool has_root(const struct stream_package *p, const char *wanted)
{
	char root[PKG_DIGEST_HEX];

	pkg_digest_hex(&stream_package_header(p)->root, root);
	return !strcmp(root, wanted);
}

int cmd_package_open(const char *ref, bool check_trust, bool prefetch, struct stream_package **ret,
		     struct err *e)
{
	struct launch_found found;
	auto_free char *config_dir = check_trust ? path_config_dir(false, e) : NULL;
	struct stream_package_opt opt = { .config_dir = config_dir,
					  .no_prefetch = !prefetch,
					  .memory_max = CMD_AHEAD_MEMORY,
					  .fail_after_s = GIVE_UP_AFTER_S };
	struct stream_package *p = NULL;
	struct pkg_digest root;
	struct err ignored;
	int rc;

	if ((check_trust && !config_dir) || launch_reference_resolve(ref, &found, e) < 0)
		return -1;
	opt.start_len = found.start_len ? found.start_len : STREAM_FIRST_REQUEST; /* no launch waits */
	opt.mirrors = (const char *const *)found.mirrors;
	opt.mirror_count = least(found.mirror_count, MIRRORS_MAX);
	if (found.root && pkg_digest_parse(found.root, &root, &ignored) == 0)
		opt.root = &root;
	rc = stream_package_open(found.source, &opt, &p, e);
	if (rc == 0 && found.root && !has_root(p, found.root))
		rc = err_set(e, ERR_TRUST,
			     "%s is not the package that the list of %s names; floe update fetches the list "
			     "again",
			     found.source, found.repository);
	launch_found_fini(&found);
	if (rc == 0)
		*ret = mem_steal(p);
	stream_package_close(p);
	return rc;
}

static int check_chunks(struct stream_package *p, uint32_t count, struct err *e)
{
	struct cmd_ahead ahead = { .package = p, .count = count };
	struct log_progress progress = { 0 };
	int rc = 0;

	log_progress_start(&progress, "verifying", stream_package_header(p)->file_len, true);
	for (uint32_t i = 0; rc == 0 && i < count; i++) {
		struct pkg_chunk_info info;
		struct stream_chunk *chunk;

		rc = cmd_ahead_reach(&ahead, i, e);
		if (rc == 0)
			rc = pkg_index_chunk(stream_package_index(p), i, &info, e);
		if (rc == 0)
			rc = stream_package_chunk(p, i, cmd_package_is_interrupted, NULL, &chunk, e);
		if (rc < 0)
			break;
		stream_chunk_unref(p, chunk);
		log_progress_step(&progress, info.off + info.stored_len);
		if (cmd_package_is_interrupted(NULL))
			rc = err_set(e, ERR_INTERRUPTED, "interrupted");
	}
	log_progress_end(&progress);
	return rc;
}

int cmd_package_check(struct stream_package *p, struct err *e)
{
	struct pkg_index_counts counts;

	if (pkg_index_check(stream_package_index(p), stream_package_header(p), e) < 0)
		return -1;
	pkg_index_counts(stream_package_index(p), &counts);
	return check_chunks(p, counts.chunks, e);
}

void cmd_package_close(struct stream_package **p)
{
	stream_package_close(*p);
}

static void note_signal(int signal_number)
{
	(void)signal_number;
	was_interrupted = 1;
}

void cmd_package_catch_signals(void)
{
	const struct sigaction action = { .sa_handler = note_signal, .sa_flags = (int)SA_RESETHAND };

	(void)sigaction(SIGINT, &action, NULL);
	(void)sigaction(SIGTERM, &action, NULL);
}

bool cmd_package_is_interrupted(void *unused)
{
	(void)unused;
	return was_interrupted;
}

int cmd_package_fail(const struct err *e)
{
	log_error("%s", e->msg);
	return err_exit_status(e);
}
