/* SPDX-License-Identifier: Apache-2.0 */
/* floe add: subscribes to a repository. Its list must be signed by a trusted key, like a package. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/path.h"
#include "launcher/cmd_package.h"
#include "launcher/subscription.h"
#include "launcher/verbs.h"

static const char USAGE[] =
	"Usage: floe add URL [--as NAME]\n\n"
	"Subscribes to a repository, a directory of packages on a web server (floe repo makes one).\n"
	"Its packages then run by name: floe run NAME, floe run NAME@VERSION.\n\n"
	"      --as NAME  call it so here (default: its own name)\n"
	"  -h, --help     this text\n";

static int check_free(const char *url, const char *name, struct err *e)
{
	struct launch_subscription *list;
	size_t count;
	int rc = 0;

	if (launch_subscriptions_load(&list, &count, e) < 0)
		return -1;
	for (size_t i = 0; rc == 0 && i < count; i++)
		if (!strcmp(list[i].url, url))
			rc = err_set(e, ERR_EXISTS, "%s is subscribed already, as %s; floe update %s", url,
				     list[i].name, list[i].name);
		else if (name && !strcmp(list[i].name, name))
			rc = err_set(
				e, ERR_EXISTS,
				"a repository called %s is subscribed already (%s); give this one another "
				"name with --as",
				name, list[i].url);
	launch_subscriptions_free(list, count);
	return rc;
}

static int subscribe(struct launch_subscription *s, const char *as, struct err *e)
{
	auto_buf struct buf bytes = BUF_INIT(PKG_REPOSITORY_MAX);
	struct pkg_repository *r = NULL;
	bool is_same;
	int rc;

	if (check_free(s->url, as, e) < 0 ||
	    launch_list_fetch(s->url, NULL, &bytes, &is_same, s->identity, e) < 0)
		return -1;
	if (launch_list_open(&bytes, NULL, &r, e) < 0)
		return err_wrap(e, "%s", s->url);
	rc = pkg_repository_may_follow(r, 0, 0, NULL, (int64_t)time(NULL), e);
	if (rc < 0)
		(void)err_wrap(e, "%s", s->url);
	if (rc == 0) {
		s->name = mem_strdup(as ? as : r->name, e);
		rc = s->name && check_free(s->url, s->name, e) == 0 ? 0 : -1;
	}
	if (rc == 0)
		rc = launch_subscription_store(s, &bytes, r, e);
	if (rc == 0)
		log_note("added %s with %zu package%s: floe list shows them, floe run NAME runs one", s->name,
			 r->package_count, r->package_count == 1 ? "" : "s");
	pkg_repository_free(r);
	return rc;
}

static int add(const char *text, const char *as, struct err *e)
{
	struct launch_subscription s = { 0 };
	int rc;

	if (as && !path_is_plain_name(as))
		return err_set(e, ERR_USAGE, "--as %s: not a name (letters, digits and ._+@- only)", as);
	s.url = launch_subscription_url(text, e);
	if (!s.url)
		return -1;
	rc = subscribe(&s, as, e);
	launch_subscription_fini(&s);
	return rc;
}

int cmd_add(int argc, char **argv)
{
	static const struct option options[] = { { "as", required_argument, NULL, 'a' },
						 { "help", no_argument, NULL, 'h' },
						 { 0 } };
	const char *as = NULL;
	struct err e;
	int option, rc;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (option == 'h') {
			(void)fputs(USAGE, stdout);
			return 0;
		}
		if (option != 'a')
			return 125;
		as = optarg;
	}
	if (optind + 1 == argc)
		rc = add(argv[optind], as, &e);
	else
		rc = err_set(&e, ERR_USAGE, "give one URL; see floe add --help");
	return rc < 0 ? cmd_package_fail(&e) : 0;
}
