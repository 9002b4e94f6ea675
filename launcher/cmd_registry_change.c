/* SPDX-License-Identifier: Apache-2.0 */
/* floe registry get, set, unset, lock, unlock. Changes of one command are one transaction. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "launcher/cmd_registry.h"
#include "registry-shim/broker_file.h"
#include "registry-shim/hive_declared.h"
#include "registry-shim/hive_text.h"
#include "registry-shim/lens.h"
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

/* ---- what a file cannot show ---------------------------------------------------------------- */

static int each_any(void *arg, const struct reg_declared *d, struct err *e)
{
	(void)d;
	(void)e;
	*(bool *)arg = true;
	return 0;
}

/* Why no program will find the setting in its file as that is now; NULL = it will, or we cannot know. */
static char *doubt(struct reg_hive *h, const char *file, const char *key, const char *value, struct err *e)
{
	auto_free char *name = NULL, *text = NULL;
	enum reg_text_kind kind = REG_TEXT_NONE;
	const struct reg_lens *lens;
	struct reg_doc *doc = NULL;
	bool is_any = false;
	size_t len = 0;
	int r;

	if (reg_hive_declared_lens(h, file, &name, e) < 0)
		return NULL;
	if (!name) /* before the first launch nothing is */
		return reg_hive_each_declared(h, each_any, &is_any, e) == 0 && is_any
			       ? mem_strdup("the package declares no such file", e)
			       : NULL;
	lens = reg_lens_find(name);
	if (reg_hive_template(h, file, &text, &len, &kind, e) < 0 && e->code != ERR_NOTFOUND)
		return NULL;
	if (lens && reg_lens_is_joint(lens)) /* check_all */
		return NULL;
	if (!lens || kind == REG_TEXT_OPAQUE || reg_doc_parse(lens, text ? text : "", len, &doc, e) < 0)
		return mem_strdup("the file is kept as a whole", e);
	r = reg_doc_set(doc, key, value, e);
	reg_doc_free(doc);
	return r < 0 ? mem_strdup(e->msg, e) : NULL;
}

static void tell_doubt(struct reg_hive *h, const char *file, const char *key, const char *value)
{
	struct err ignored;
	auto_free char *why = doubt(h, file, key, value, &ignored);

	if (why)
		log_note("%s:%s is kept, but not to be seen in the file: %s", file, key, why);
}

/* ---- changes -------------------------------------------------------------------------------- */

/* One key of a command; `value` NULL where there is none. */
typedef int change_fn(struct reg_hive *h, const char *file, const char *key, const char *value,
		      struct err *e);

static int set_one(struct reg_hive *h, const char *file, const char *key, const char *value, struct err *e)
{
	struct reg_change c = { key, value };
	size_t changed;

	if (reg_hive_apply(h, file, &c, 1, &changed, e) < 0)
		return -1;
	if (value)
		tell_doubt(h, file, key, value);
	return 0;
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
	if (!value)
		value = now;
	if (reg_hive_lock(h, file, key, value, e) < 0)
		return -1;
	if (value)
		tell_doubt(h, file, key, value);
	return 0;
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

/* Where changes may need each other they are judged when all are made, and what the file cannot say is not
 * set. */
static int check_all(struct reg_hive *h, char **args, int count, int step, struct err *e)
{
	for (int i = 0; i < count; i += step) {
		auto_free char *file = NULL, *key = NULL, *name = NULL;
		const struct reg_lens *lens;

		if (reg_key_split(args[i], &file, &key, e) < 0 ||
		    reg_hive_declared_lens(h, file, &name, e) < 0)
			return -1;
		lens = name ? reg_lens_find(name) : NULL;
		if (lens && reg_lens_is_joint(lens) && broker_file_check(h, file, key, e) < 0)
			return -1;
	}
	return 0;
}

static int change_and_check(struct reg_hive *h, change_fn *fn, char **args, int count, int step,
			    struct err *e)
{
	if (change_all(h, fn, args, count, step, e) < 0)
		return -1;
	return fn == unlock_one ? 0 : check_all(h, args, count, step, e);
}

static int change(const struct cmd_registry_opt *opt, change_fn *fn, char **args, int count, int step)
{
	auto_cmd_registry r = { 0 };
	struct err e;

	if (cmd_registry_open(opt, &r, &e) < 0 || reg_hive_begin(r.hive, &e) < 0)
		return cmd_registry_report(&e);
	if (reg_hive_end(r.hive, change_and_check(r.hive, fn, args, count, step, &e), &e) < 0 ||
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
