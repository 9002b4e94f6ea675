/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of `floe registry` among themselves. */
#ifndef FLOE_LAUNCH_CMD_REGISTRY_H
#define FLOE_LAUNCH_CMD_REGISTRY_H

#include <stdbool.h>

#include "launcher/environment.h"
#include "launcher/json_output.h"
#include "launcher/table.h"
#include "registry-shim/hive.h"

struct cmd_registry_opt {
	const char *env;
	bool json, keys_only, dry_run;
	size_t limit;
	const char *output;
};

/* An environment and its settings. */
struct cmd_registry {
	struct launch_environment *env;
	struct reg_hive *hive;
};
#define auto_cmd_registry __attribute__((cleanup(cmd_registry_fini))) struct cmd_registry
/* --env, or the only environment there is. */
int cmd_registry_open(const struct cmd_registry_opt *opt, struct cmd_registry *ret,
		      struct err *e) FLOE_MUST_USE;
void cmd_registry_fini(struct cmd_registry *r);
/* Tells the environment's broker, if it has one, that settings were changed. */
int cmd_registry_refresh(const char *env, struct err *e) FLOE_MUST_USE;
/* A key's value; *ret NULL when there is none. Caller frees. */
int cmd_registry_value(struct reg_hive *h, const char *file, const char *key, char **ret,
		       struct err *e) FLOE_MUST_USE;
/* Reports an error; returns the exit status. */
int cmd_registry_report(const struct err *e);
/* The end of a command: prints the rows it gathered (NULL: it has none) and, with --json, `json`; when
 * `result` is -1, reports *e instead. Lets go of both; returns the exit status. */
int cmd_registry_end(const struct cmd_registry_opt *opt, struct launch_table *rows, json_t *json, int result,
		     const struct err *e);
/* A command that looks at keys: `fn` prints what there is to say of one, or adds it to the object that is
 * printed (NULL without --json). Stops at the first error. Returns the exit status. */
typedef int cmd_registry_key_fn(struct reg_hive *h, const char *text, json_t *json, struct err *e);
int cmd_registry_each_key(const struct cmd_registry_opt *opt, char **keys, cmd_registry_key_fn *fn);

/* Each returns the exit status and has reported errors. `args` ends with NULL. */
int cmd_registry_get(const struct cmd_registry_opt *opt, char **args, int count);
int cmd_registry_set(const struct cmd_registry_opt *opt, char **args, int count);
int cmd_registry_unset(const struct cmd_registry_opt *opt, char **args, int count);
int cmd_registry_lock(const struct cmd_registry_opt *opt, char **args, int count);
int cmd_registry_unlock(const struct cmd_registry_opt *opt, char **args, int count);
int cmd_registry_list(const struct cmd_registry_opt *opt, char **args, int count);
int cmd_registry_diff(const struct cmd_registry_opt *opt, char **args, int count);
int cmd_registry_search(const struct cmd_registry_opt *opt, char **args, int count);
int cmd_registry_explain(const struct cmd_registry_opt *opt, char **args, int count);
int cmd_registry_history(const struct cmd_registry_opt *opt, char **args, int count);
int cmd_registry_export(const struct cmd_registry_opt *opt, char **args, int count);
int cmd_registry_import(const struct cmd_registry_opt *opt, char **args, int count);

#endif
