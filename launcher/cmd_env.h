/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of `floe env` among themselves. */
#ifndef FLOE_LAUNCH_CMD_ENV_H
#define FLOE_LAUNCH_CMD_ENV_H

#include <stdbool.h>

#include "launcher/environment.h"

struct cmd_env_opt {
	bool json, yes, files, settings;
	const char *engine; /* set: NULL = not given */
};

/* Each returns the exit status and has reported errors. `names`: NULL-terminated. */
int cmd_env_list(const struct cmd_env_opt *opt);
int cmd_env_show(const struct cmd_env_opt *opt, char **names);
int cmd_env_set(const struct cmd_env_opt *opt, char **names);
int cmd_env_diff(const struct cmd_env_opt *opt, char **names);
int cmd_env_reset(const struct cmd_env_opt *opt, char **names);
int cmd_env_remove(const struct cmd_env_opt *opt, char **names);

#endif
