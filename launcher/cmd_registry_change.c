/* SPDX-License-Identifier: Apache-2.0 */
/* floe registry get, set, unset, lock, unlock. Changes of one command are one transaction. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "launcher/cmd_registry.h"
#include "registry-shim/setting_line.h"

static int get_one(struct reg_hive *h, const char *text, json_t *json, struct err *e)
{
	auto_free char *file = NULL, *key = NULL, *value = NULL;
	enum reg_layer layer;

	if (reg_key_split(text, &file, &key, e) < 0 || reg_hive_get(h, file, key, &value, &layer, e) < 0)
		return -1;
	if (json)
		(void)json_object_set_new(json, text, launch_json_bytes(value));
	else
		(void)puts(value);
	return 0;
}

int cmd_registry_get(const struct cmd_registry_opt *opt, char **args, int count)
{
	(void)count;
	return cmd_registry_each_key(opt, args, get_one);
}

/* ---- changes -------------------------------------------------------------------------------- */

/* One key of a command; `value` NULL where there is none. */
typedef int change_fn(struct reg_hive *h, const char *file, const char *key, const char *value,
		      struct err *e);

static int set_one(struct reg_hive *h, const char *file, const char *key, const char *value, struct err *e)
{
	struct reg_change c = { key, value };
	size_t changed;

	return reg_hive_apply(h, file, &c, 1, &changed, e);
}

static int unset_one(struct reg_hive *h, const char *file, const char *key, const char *value, struct err *e)
{
	auto_free char *old = NULL;
	enum reg_layer layer;

	if (reg_hive_get(h, file, key, &old, &layer, e) < 0)
		return -1;
	return set_one(h, file, key, value, e);
}

static int lock_one(struct reg_hive *h, const char *file, const char *key, const char *value, struct err *e)
{
	auto_free char *now = NULL;

	if (!value && cmd_registry_value(h, file, key, &now, e) < 0)
		return -1;
	return reg_hive_lock(h, file, key, value ? value : now, e);
}

static int unlock_one(struct reg_hive *h, const char *file, const char *key, const char *value, struct err *e)
{
	(void)value;
	return reg_hive_unlock(h, file, key, e);
}

/* `step` 2: values stand behind keys. */
static int change_all(struct reg_hive *h, change_fn *fn, char **args, int count, int step, struct err *e)
{
	for (int i = 0; i < count; i += step) {
		auto_free char *file = NULL, *key = NULL;
		const char *value = step == 2 ? args[i + 1] : NULL;

		if (value && strpbrk(value, "\n\r"))
			return err_set(e, ERR_USAGE, "%s: a value is one line", args[i]);
		if (reg_key_split(args[i], &file, &key, e) < 0 || fn(h, file, key, value, e) < 0)
			return -1;
	}
	return 0;
}

static int change(const struct cmd_registry_opt *opt, change_fn *fn, char **args, int count, int step)
{
	auto_cmd_registry r = { 0 };
	struct err e;

	if (cmd_registry_open(opt, &r, &e) < 0 || reg_hive_begin(r.hive, &e) < 0)
		return cmd_registry_report(&e);
	if (reg_hive_end(r.hive, change_all(r.hive, fn, args, count, step, &e), &e) < 0 ||
	    cmd_registry_refresh(r.env->name, &e) < 0)
		return cmd_registry_report(&e);
	return 0;
}

int cmd_registry_set(const struct cmd_registry_opt *opt, char **args, int count)
{
	if (count % 2) {
		log_error("floe registry set KEY VALUE [KEY VALUE]...: %s has no value", args[count - 1]);
		return 125;
	}
	return change(opt, set_one, args, count, 2);
}

int cmd_registry_unset(const struct cmd_registry_opt *opt, char **args, int count)
{
	return change(opt, unset_one, args, count, 1);
}

int cmd_registry_lock(const struct cmd_registry_opt *opt, char **args, int count)
{
	return change(opt, lock_one, args, count, count);
}

int cmd_registry_unlock(const struct cmd_registry_opt *opt, char **args, int count)
{
	return change(opt, unlock_one, args, count, 1);
}
