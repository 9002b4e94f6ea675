/* SPDX-License-Identifier: Apache-2.0 */
/* floe remove: ends a subscription. Packages that are cached, and environments, stay. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "launcher/cmd_package.h"
#include "launcher/subscription.h"
#include "launcher/verbs.h"

static const char USAGE[] =
	"Usage: floe remove URL|NAME\n\n"
	"Ends the subscription to a repository (floe list shows them). What is cached of its packages\n"
	"and the environments of its applications stay: see floe cache gc, floe env remove.\n\n"
	"  -h, --help  this text\n";

static int remove_one(const char *text, struct err *e)
{
	struct err ignored;
	auto_free char *url = launch_subscription_url(text, &ignored);
	struct launch_subscription *list, *found = NULL;
	size_t count;
	int rc;

	if (launch_subscriptions_load(&list, &count, e) < 0)
		return -1;
	for (size_t i = 0; i < count && !found; i++)
		if (!strcmp(list[i].name, text) || (url && !strcmp(list[i].url, url)))
			found = &list[i];
	if (found)
		rc = launch_subscription_remove(found, e);
	else
		rc = err_set(e, ERR_NOTFOUND, "%s: no such subscription (floe list shows them)", text);
	if (rc == 0)
		log_note("removed %s", found->name);
	launch_subscriptions_free(list, count);
	return rc;
}

int cmd_remove(int argc, char **argv)
{
	static const struct option options[] = { { "help", no_argument, NULL, 'h' }, { 0 } };
	struct err e;
	int option, rc;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (option != 'h')
			return 125;
		(void)fputs(USAGE, stdout);
		return 0;
	}
	if (optind + 1 == argc)
		rc = remove_one(argv[optind], &e);
	else
		rc = err_set(&e, ERR_USAGE, "give one URL or name; see floe remove --help");
	return rc < 0 ? cmd_package_fail(&e) : 0;
}
