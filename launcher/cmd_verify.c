/* SPDX-License-Identifier: Apache-2.0 */
/* floe verify: reads every chunk of a package from its source and checks all that can be checked: signature,
 * trust, index, that its tables agree, and each chunk's digest. */
#include <getopt.h>
#include <stdio.h>

#include "base/bytes.h"
#include "base/log.h"
#include "launcher/cmd_package.h"
#include "launcher/verbs.h"

static void print_help(void)
{
	(void)fputs("Usage: floe verify REF [--no-trust]\n\n"
		    "Checks every byte of a package. REF is a path or a URL.\n"
		    "Status 0: all is well; 125: damaged or unreadable; 126: the signer is not trusted.\n\n"
		    "  --no-trust  check the signature, whoever made it\n",
		    stdout);
}

static int verify(const char *ref, bool check_trust, struct err *e)
{
	auto_package struct stream_package *p = NULL;
	const struct pkg_manifest *m;
	struct pkg_index_counts counts;
	char size[32];

	if (cmd_package_open(ref, check_trust, true, &p, e) < 0)
		return -1;
	if (cmd_package_check(p, e) < 0)
		return err_wrap(e, "%.200s", ref);
	pkg_index_counts(stream_package_index(p), &counts);
	m = pkg_index_manifest(stream_package_index(p));
	bytes_human(stream_package_header(p)->file_len, size);
	(void)printf("OK %s%s%s: %llu files and directories, %u chunks, %s\n", m->name,
		     *m->version ? " " : "", m->version, (unsigned long long)counts.inodes, counts.chunks,
		     size);
	return 0;
}

int cmd_verify(int argc, char **argv)
{
	static const struct option options[] = { { "no-trust", no_argument, NULL, 'n' },
						 { "help", no_argument, NULL, 'h' },
						 { 0 } };
	bool check_trust = true;
	struct err e;
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c == 'h') {
			print_help();
			return 0;
		}
		if (c != 'n')
			return 125;
		check_trust = false;
	}
	if (argc - optind != 1) {
		log_error("verify needs one package: a path or a URL");
		return 125;
	}
	cmd_package_catch_signals();
	return verify(argv[optind], check_trust, &e) < 0 ? cmd_package_fail(&e) : 0;
}
