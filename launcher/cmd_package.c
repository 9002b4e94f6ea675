/* SPDX-License-Identifier: Apache-2.0 */
/* Opening packages for verbs; see cmd_package.h. */
#include "launcher/cmd_package.h"

#include <signal.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "launcher/reference.h"

enum { GIVE_UP_AFTER_S = 60 };

static volatile sig_atomic_t was_interrupted;

int cmd_package_open(const char *ref, bool check_trust, bool prefetch, struct stream_package **ret,
		     struct err *e)
{
	auto_free char *source = launch_reference_source(ref, e);
	auto_free char *config_dir = check_trust ? path_config_dir(false, e) : NULL;
	const struct stream_package_opt opt = { .config_dir = config_dir,
						.no_prefetch = !prefetch,
						.fail_after_s = GIVE_UP_AFTER_S };

	if (!source || (check_trust && !config_dir))
		return -1;
	return stream_package_open(source, &opt, ret, e);
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
