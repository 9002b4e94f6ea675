/* SPDX-License-Identifier: Apache-2.0 */
/* The `floe` command. It links libc only, so that starting an application costs nothing but that: `run` is
 * here, every other verb is in libexec/floe/floe-tools, which is executed in its place. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/path.h"
#include "launcher/run.h"

static int become_tools(char **argv)
{
	struct err e;
	auto_free char *program = path_of_install("libexec/floe/floe-tools", &e);

	if (program) {
		(void)execv(program, argv);
		(void)err_sys(&e, errno, "cannot run %s", program);
	}
	log_error("%s", e.msg);
	return 125;
}

int main(int argc, char **argv)
{
	int verb = 1;

	while (verb < argc && (!strcmp(argv[verb], "-q") || !strcmp(argv[verb], "-v"))) {
		log_setup("floe", argv[verb][1] == 'q' ? LOG_QUIET : LOG_VERBOSE);
		verb++;
	}
	if (verb < argc && !strcmp(argv[verb], "--version")) {
		(void)puts("floe " FLOE_VERSION);
		return 0;
	}
	if (verb < argc && !strcmp(argv[verb], "run"))
		return launch_run(argc - verb, argv + verb);
	return become_tools(argv);
}
