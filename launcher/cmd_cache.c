/* SPDX-License-Identifier: Apache-2.0 */
/* floe cache: what is kept of packages on this machine. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/log.h"
#include "base/path.h"
#include "launcher/cache_settings.h"
#include "launcher/cmd_cache.h"
#include "launcher/cmd_package.h"
#include "launcher/verbs.h"

static const char USAGE[] =
	"Usage: floe cache status [--json]\n"
	"       floe cache fill REF...\n"
	"       floe cache pin|unpin REF...\n"
	"       floe cache quota [SIZE|default]\n"
	"       floe cache verify\n"
	"       floe cache gc [--keep SIZE]\n"
	"       floe cache export DIR [REF...]\n"
	"       floe cache profile REF [--command CMD] [-o FILE]\n\n"
	"What is kept of packages on this machine, shared by all packages and versions. REF is a URL,\n"
	"a name from a subscribed repository, or what the cache knows: a name, NAME@VERSION, or 8 or\n"
	"more digits of a root digest.\n\n"
	"  status  how much is kept, and how much of which package\n"
	"  fill    fetch all that is lacking of packages; goes on where it was interrupted\n"
	"  pin     never drop what is kept of this version, nor what will be; unpin: no longer so\n"
	"  quota   how much may be kept; what was not used for longest goes first, but nothing of\n"
	"          packages that are pinned or in use (default: a tenth of the disk, at most 10 GiB)\n"
	"  verify  read everything and drop what is damaged; it is fetched again when needed\n"
	"  gc      give unused space back\n"
	"  export  make or extend a shared store: a directory that any number of machines read, named\n"
	"          by FLOE_SHARED_STORE or by shared-store = DIR in ~/.config/floe/cache.conf\n"
	"  profile write what launches of the package's commands (or of one) on this machine touched\n"
	"          first, for floe sequence --profile; REF may be a file, too\n\n"
	"      --json       for programs\n"
	"      --keep SIZE  first drop what was not used for longest, until at most SIZE is\n"
	"                   kept: bytes, or a number with K, M, G or T; 0 drops everything but\n"
	"                   what is pinned or in use\n"
	"      --command CMD    of this command, or program inside the package, only\n"
	"  -o, --output FILE    where to write the profile (default: standard output)\n"
	"  -h, --help       this text\n";

struct options {
	bool as_json, has_keep;
	uint64_t keep;
	const char *command, *output;
	char **words; /* the verb first */
	size_t count;
};

static bool verify_step(void *arg, uint64_t done, uint64_t all)
{
	struct log_progress *progress = arg;

	if (!progress->what)
		log_progress_start(progress, "verifying", all, true);
	log_progress_step(progress, done);
	return !cmd_package_is_interrupted(NULL);
}

static int verify(struct stream_cache *c, struct err *e)
{
	struct log_progress progress = { 0 };
	const struct stream_cache_progress step = { verify_step, &progress };
	uint64_t checked, wrong;
	int rc = stream_cache_verify(c, &step, &checked, &wrong, e);

	log_progress_end(&progress);
	if (rc < 0)
		return -1;
	(void)printf("%" PRIu64 " chunks checked, %" PRIu64 " damaged and dropped\n", checked, wrong);
	return 0;
}

static int collect(struct stream_cache *c, uint64_t keep, struct err *e)
{
	uint64_t freed;
	char text[32];

	if (stream_cache_gc(c, keep, &freed, e) < 0)
		return -1;
	bytes_human(freed, text);
	(void)printf("%s given back\n", text);
	return 0;
}

static int set_quota(struct stream_cache *c, const char *text, struct err *e)
{
	struct stream_cache_status s;
	uint64_t quota = 0, freed;

	if (strcmp(text, "default") != 0 && launch_size_parse(text, &quota, e) < 0)
		return -1;
	if (!quota && strcmp(text, "default") != 0)
		return err_set(e, ERR_USAGE,
			       "%s: the quota must be larger than nothing (floe cache gc --keep 0 "
			       "empties the cache)",
			       text);
	if (launch_cache_settings_set_quota(quota, e) < 0)
		return -1;
	stream_cache_limit(c, quota);
	if (stream_cache_status(c, &s, e) < 0)
		return -1;
	return s.bytes > s.quota_bytes ? stream_cache_gc(c, s.quota_bytes, &freed, e) : 0;
}

int cmd_cache_quota(struct stream_cache *c, const char *text, struct err *e)
{
	struct stream_cache_status s;
	char used[32], quota[32];

	if ((text && set_quota(c, text, e) < 0) || stream_cache_status(c, &s, e) < 0)
		return -1;
	bytes_human(s.bytes, used);
	bytes_human(s.quota_bytes, quota);
	(void)printf("%s, of which %s are in use\n", quota, used);
	if (text && getenv("FLOE_CACHE_QUOTA"))
		log_note("FLOE_CACHE_QUOTA is set and goes before this");
	if (s.bytes > s.quota_bytes)
		log_note("the rest belongs to packages that are pinned or in use");
	return 0;
}

/* ---- the verb --------------------------------------------------------------------------- */

typedef int ref_fn(struct stream_cache *c, const char *ref, struct err *e);

/* Each by itself: one that fails does not keep the others from it. */
static int each_ref(struct stream_cache *c, const struct options *opt, ref_fn *fn, struct err *e)
{
	struct err why;
	int rc = 0;

	for (size_t i = 1; i < opt->count && !cmd_package_is_interrupted(NULL); i++) {
		if (fn(c, opt->words[i], &why) == 0)
			continue;
		if (rc < 0)
			log_error("%s", e->msg);
		*e = why;
		rc = -1;
	}
	return rc;
}

static int act_on(struct stream_cache *c, const char *dir, const struct options *opt, struct err *e)
{
	const char *what = opt->words[0];

	if (!strcmp(what, "status"))
		return cmd_cache_status(c, dir, opt->as_json, e);
	if (!strcmp(what, "fill"))
		return each_ref(c, opt, cmd_cache_fill, e);
	if (!strcmp(what, "pin"))
		return each_ref(c, opt, cmd_cache_pin, e);
	if (!strcmp(what, "unpin"))
		return each_ref(c, opt, cmd_cache_unpin, e);
	if (!strcmp(what, "quota"))
		return cmd_cache_quota(c, opt->count > 1 ? opt->words[1] : NULL, e);
	if (!strcmp(what, "export"))
		return cmd_cache_export(c, opt->words[1], opt->words + 2, opt->count - 2, e);
	if (!strcmp(what, "profile"))
		return cmd_cache_profile(c, dir, opt->words[1], opt->command, opt->output, e);
	return strcmp(what, "verify") ? collect(c, opt->keep, e) : verify(c, e);
}

static int act(const struct options *opt, struct err *e)
{
	auto_free char *dir = path_cache_dir(true, e);
	struct stream_cache *c;
	struct err note;
	int rc;

	if (!dir || launch_cache_open(&c, &note, e) < 0)
		return -1;
	if (note.code != ERR_NONE)
		log_note("%s", note.msg);
	rc = act_on(c, dir, opt, e);
	stream_cache_close(c);
	return rc;
}

static int check_usage(const struct options *opt, struct err *e)
{
	static const struct {
		const char *name;
		size_t least, most; /* words behind it */
	} verbs[] = {
		{ "status", 0, 0 },   { "verify", 0, 0 },    { "gc", 0, 0 },
		{ "quota", 0, 1 },    { "fill", 1, 1000 },   { "pin", 1, 1000 },
		{ "unpin", 1, 1000 }, { "export", 1, 1000 }, { "profile", 1, 1 },
	};
	const char *what = opt->count ? opt->words[0] : "";
	bool is_known = false;

	for (size_t i = 0; i < ARRAY_LEN(verbs) && !is_known; i++) {
		is_known = !strcmp(what, verbs[i].name);
		if (is_known && (opt->count - 1 < verbs[i].least || opt->count - 1 > verbs[i].most))
			return err_set(e, ERR_USAGE, "%s: too %s arguments; see floe cache --help", what,
				       opt->count - 1 < verbs[i].least ? "few" : "many");
	}
	if (!is_known)
		return err_set(e, ERR_USAGE,
			       "give one of status, fill, pin, unpin, quota, verify, gc, export, profile; "
			       "see floe cache "
			       "--help");
	if (opt->as_json && strcmp(what, "status") != 0)
		return err_set(e, ERR_USAGE, "--json goes with status");
	if (opt->has_keep && strcmp(what, "gc") != 0)
		return err_set(e, ERR_USAGE, "--keep goes with gc");
	if ((opt->command || opt->output) && strcmp(what, "profile") != 0)
		return err_set(e, ERR_USAGE, "--command and --output go with profile");
	return 0;
}

int cmd_cache(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },          { "keep", required_argument, NULL, 'k' },
		{ "command", required_argument, NULL, 'c' }, { "output", required_argument, NULL, 'o' },
		{ "help", no_argument, NULL, 'h' },          { 0 }
	};
	struct options opt = { .keep = UINT64_MAX };
	struct err e;
	int option, rc = 0;

	while (rc == 0 && (option = getopt_long(argc, argv, "ho:", options, NULL)) != -1) {
		switch (option) {
		case 'j':
			opt.as_json = true;
			break;
		case 'k':
			opt.has_keep = true;
			rc = launch_size_parse(optarg, &opt.keep, &e);
			break;
		case 'c':
			opt.command = optarg;
			break;
		case 'o':
			opt.output = optarg;
			break;
		case 'h':
			(void)fputs(USAGE, stdout);
			return 0;
		default:
			return 125; /* getopt has said why */
		}
	}
	opt.words = argv + optind;
	opt.count = (size_t)(argc - optind);
	cmd_package_catch_signals();
	if (rc == 0)
		rc = check_usage(&opt, &e);
	if (rc == 0)
		rc = act(&opt, &e);
	return rc == 0 ? 0 : cmd_package_fail(&e);
}
