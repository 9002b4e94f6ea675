/* SPDX-License-Identifier: Apache-2.0 */
/* floe update: fetches the lists of subscribed repositories again. Packages come by themselves, when they are
 * run. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "launcher/cmd_package.h"
#include "launcher/subscription.h"
#include "launcher/table.h"
#include "launcher/verbs.h"

static const char USAGE[] =
	"Usage: floe update [NAME]\n\n"
	"Fetches the lists of subscribed repositories again and shows what is new. A list that is older\n"
	"than the last one, expired, or signed by another key is refused, and the last one stays in\n"
	"use. Applications that run keep their version; the next floe run takes the newest.\n\n"
	"  -h, --help  this text\n";

static void show(const char *sign, const struct pkg_repository_package *p)
{
	struct err e;
	auto_free char *summary = launch_table_escape(p->summary ? p->summary : "", &e);

	(void)printf("  %s %s %s%s%s\n", sign, p->name, p->version, summary && *summary ? "  " : "",
		     summary ? summary : "");
}

/* `before` may be NULL: nothing was known. */
static void show_changes(const char *name, const struct pkg_repository *before,
			 const struct pkg_repository *now)
{
	(void)printf("%s: new list, %zu packages\n", name, now->package_count);
	for (size_t i = 0; before && i < now->package_count; i++) {
		const struct pkg_repository_package *p = &now->packages[i];

		if (!pkg_repository_find(before, p->name, p->version))
			show("+", p);
	}
	for (size_t i = 0; before && i < before->package_count; i++) {
		const struct pkg_repository_package *p = &before->packages[i];

		if (!pkg_repository_find(now, p->name, p->version))
			show("-", p);
	}
}

static int update_one(struct launch_subscription *s, struct err *e)
{
	struct pkg_repository *before = NULL, *now = NULL;
	struct err why;
	int rc;

	/* Not here, or damaged: fetched as if for the first time, but not an older one. */
	if (launch_subscription_list(s, &before, &why) < 0)
		log_detail("%s", why.msg);
	rc = launch_subscription_update(s, before, &now, &why, e);
	if (rc == 0 && why.msg[0])
		log_note("%s; a mirror has served the list", why.msg);
	if (rc == 0 && now)
		show_changes(s->name, before, now);
	else if (rc == 0)
		(void)printf("%s: nothing new\n", s->name);
	else if (before)
		log_note("%s: the list that is here stays in use", s->name);
	pkg_repository_free(before);
	pkg_repository_free(now);
	return rc;
}

/* One failure does not keep the others from being updated. The exit status is the worst. */
static int update(const char *name)
{
	struct launch_subscription *list;
	size_t count, meant = 0;
	int status = 0, worse;
	struct err e;

	if (launch_subscriptions_load(&list, &count, &e) < 0)
		return cmd_package_fail(&e);
	for (size_t i = 0; i < count; i++) {
		if (name && strcmp(list[i].name, name) != 0)
			continue;
		meant++;
		if (update_one(&list[i], &e) == 0)
			continue;
		worse = cmd_package_fail(&e);
		status = worse > status ? worse : status;
	}
	launch_subscriptions_free(list, count);
	if (name && !meant) {
		(void)err_set(&e, ERR_NOTFOUND, "%s: no such subscription (floe list shows them)", name);
		return cmd_package_fail(&e);
	}
	if (!meant)
		log_note("no subscriptions; floe add URL makes one");
	return status;
}

int cmd_update(int argc, char **argv)
{
	static const struct option options[] = { { "help", no_argument, NULL, 'h' }, { 0 } };
	int option;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (option != 'h')
			return 125;
		(void)fputs(USAGE, stdout);
		return 0;
	}
	if (argc - optind > 1) {
		log_error("give one name at most; see floe update --help");
		return 125;
	}
	return update(argv[optind]);
}
