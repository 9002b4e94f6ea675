/* SPDX-License-Identifier: Apache-2.0 */
/* floe cache: what is kept of packages on this machine. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/log.h"
#include "base/path.h"
#include "launcher/json_output.h"
#include "launcher/verbs.h"
#include "streaming/cache.h"

static const char USAGE[] =
	"Usage: floe cache status [--json]\n"
	"       floe cache verify\n"
	"       floe cache gc [--keep SIZE]\n\n"
	"What is kept of packages on this machine, shared by all packages and versions.\n\n"
	"  status  how much is kept\n"
	"  verify  read everything and drop what is damaged; it is fetched again when needed\n"
	"  gc      give unused space back\n\n"
	"      --json       for programs\n"
	"      --keep SIZE  first drop what was not used for longest, until at most SIZE is\n"
	"                   kept: bytes, or a number with K, M, G or T; 0 drops everything\n"
	"  -h, --help       this text\n";

/* "1500", "20M", "1.5G", "2GiB". */
static int parse_size(const char *text, uint64_t *ret, struct err *e)
{
	static const char units[] = "KMGT";
	const char *unit;
	double number;
	char *end;

	number = strtod(text, &end);
	if (end == text || !(number >= 0) || number > 1e15)
		return err_set(e, ERR_USAGE, "%s: not a size; give bytes, or a number with K, M, G or T",
			       text);
	unit = *end ? strchr(units, *end & ~0x20) : NULL;
	if (unit) {
		for (ptrdiff_t i = 0; i <= unit - units; i++)
			number *= 1024;
		end++;
		if (!strcmp(end, "B") || !strcmp(end, "iB"))
			end += strlen(end);
	}
	if (*end || number >= 1e18)
		return err_set(e, ERR_USAGE, "%s: not a size; give bytes, or a number with K, M, G or T",
			       text);
	*ret = (uint64_t)number;
	return 0;
}

static int print_json(const char *dir, const struct stream_cache_status *s)
{
	return launch_json_print(json_pack("{s:o?, s:I, s:I, s:I, s:I, s:I}", "directory",
					   launch_json_bytes(dir), "chunks", (json_int_t)s->chunks,
					   "content_bytes", (json_int_t)s->bytes, "disk_bytes",
					   (json_int_t)s->file_bytes, "packages", (json_int_t)s->packages,
					   "damaged_chunks_dropped", (json_int_t)s->wrong));
}

static int print_status(struct stream_cache *c, const char *dir, bool as_json, struct err *e)
{
	struct stream_cache_status s;
	char content[32], disk[32];

	if (stream_cache_status(c, &s, e) < 0)
		return -1;
	if (as_json)
		return print_json(dir, &s) == 0 ? 0 : err_set(e, ERR_IO, "cannot print");
	bytes_human(s.bytes, content);
	bytes_human(s.file_bytes, disk);
	(void)printf("Directory: %s\n"
		     "Content:   %s in %" PRIu64 " chunks\n"
		     "On disk:   %s\n"
		     "Packages:  %" PRIu64 " used so far\n",
		     dir, content, s.chunks, disk, s.packages);
	if (s.wrong)
		(void)printf("Damaged:   %" PRIu64 " chunks found and dropped so far\n", s.wrong);
	return 0;
}

static int verify(struct stream_cache *c, struct err *e)
{
	uint64_t checked, wrong;

	if (stream_cache_verify(c, NULL, &checked, &wrong, e) < 0)
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

static int act(const char *what, bool as_json, uint64_t keep, struct err *e)
{
	auto_free char *dir = path_cache_dir(true, e);
	struct stream_cache *c;
	int rc;

	if (!dir || stream_cache_open(dir, &c, e) < 0)
		return -1;
	if (!strcmp(what, "status"))
		rc = print_status(c, dir, as_json, e);
	else if (!strcmp(what, "verify"))
		rc = verify(c, e);
	else
		rc = collect(c, keep, e);
	stream_cache_close(c);
	return rc;
}

static int check_usage(int argc, char **argv, bool as_json, bool has_keep, struct err *e)
{
	const char *what = optind < argc ? argv[optind] : "";

	if (optind + 1 != argc || (strcmp(what, "status") && strcmp(what, "verify") && strcmp(what, "gc")))
		return err_set(e, ERR_USAGE, "give one of status, verify, gc; see floe cache --help");
	if (as_json && strcmp(what, "status"))
		return err_set(e, ERR_USAGE, "--json goes with status");
	if (has_keep && strcmp(what, "gc"))
		return err_set(e, ERR_USAGE, "--keep goes with gc");
	return 0;
}

int cmd_cache(int argc, char **argv)
{
	static const struct option options[] = { { "json", no_argument, NULL, 'j' },
						 { "keep", required_argument, NULL, 'k' },
						 { "help", no_argument, NULL, 'h' },
						 { 0 } };
	bool as_json = false, has_keep = false;
	uint64_t keep = UINT64_MAX;
	struct err e;
	int option, rc = 0;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (option) {
		case 'j':
			as_json = true;
			break;
		case 'k':
			has_keep = true;
			rc = parse_size(optarg, &keep, &e);
			break;
		case 'h':
			(void)fputs(USAGE, stdout);
			return 0;
		default:
			return 125; /* getopt has said why */
		}
		if (rc < 0)
			break;
	}
	if (rc == 0)
		rc = check_usage(argc, argv, as_json, has_keep, &e);
	if (rc == 0)
		rc = act(argv[optind], as_json, keep, &e);
	if (rc == 0)
		return 0;
	log_error("%s", e.msg);
	return err_exit_status(&e);
}
