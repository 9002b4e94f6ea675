/* SPDX-License-Identifier: Apache-2.0 */
/* floe key: the user's signing keys and the keys that are trusted. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/path.h"
#include "launcher/cmd_package.h"
#include "launcher/json_output.h"
#include "launcher/table.h"
#include "launcher/verbs.h"
#include "package-format/key.h"

static const char *const state_names[] = { "own", "trusted", "revoked" };

static void print_help(void)
{
	(void)fputs("Usage: floe key new [NAME]\n"
		    "       floe key list [--json]\n"
		    "       floe key trust HEX [--label TEXT]\n"
		    "       floe key revoke HEX\n\n"
		    "Packages are signed with a key of their maker's and run only when it is trusted.\n\n"
		    "  new     makes a key pair (NAME: \"default\", which signs) and trusts it\n"
		    "  list    own, trusted and revoked keys\n"
		    "  trust   from now on, packages signed by this public key run\n"
		    "  revoke  never again, whatever else says so\n\n"
		    "  --label TEXT  whose key it is, for people\n"
		    "  --json        for programs\n",
		    stdout);
}

static int new_key(const char *config_dir, const char *name, struct err *e)
{
	struct pkg_public_key k;
	char hex[PKG_KEY_HEX];

	if (pkg_key_generate(config_dir, name, &k, e) < 0)
		return -1;
	pkg_key_hex(&k, hex);
	log_note("made key \"%s\"; others trust it with: floe key trust %s", name, hex);
	(void)puts(hex);
	return 0;
}

static int list_json(const struct pkg_trust_entry *list, size_t count)
{
	json_t *a = json_array();

	for (size_t i = 0; i < count; i++) {
		char hex[PKG_KEY_HEX], id[PKG_KEY_ID_HEX];

		pkg_key_hex(&list[i].key, hex);
		pkg_key_id(&list[i].key, id);
		(void)json_array_append_new(a, json_pack("{s:s, s:s, s:s, s:o}", "key", hex, "id", id,
							 "state", state_names[list[i].state], "label",
							 launch_json_bytes(list[i].label)));
	}
	return launch_json_print(a);
}

static int list_text(const struct pkg_trust_entry *list, size_t count, struct err *e)
{
	static const char *const heads[] = { "STATE", "KEY", "LABEL" };
	auto_launch_table struct launch_table t = LAUNCH_TABLE_INIT(heads);

	if (!count) {
		log_note("no keys yet; floe key new makes one");
		return 0;
	}
	for (size_t i = 0; i < count; i++) {
		char hex[PKG_KEY_HEX];

		pkg_key_hex(&list[i].key, hex);
		if (launch_table_add(&t, state_names[list[i].state], e) < 0 ||
		    launch_table_add(&t, hex, e) < 0 || launch_table_add(&t, list[i].label, e) < 0)
			return -1;
	}
	launch_table_print(&t);
	return 0;
}

static int list_keys(const char *config_dir, bool json, struct err *e)
{
	auto_free struct pkg_trust_entry *list = NULL;
	size_t count;

	if (pkg_trust_list(config_dir, &list, &count, e) < 0)
		return -1;
	return json ? list_json(list, count) : list_text(list, count, e);
}

static int change(const char *config_dir, bool trust, const char *hex, const char *label, struct err *e)
{
	struct pkg_public_key k;
	char id[PKG_KEY_ID_HEX];

	if (pkg_key_parse(hex, &k, e) < 0)
		return -1;
	pkg_key_id(&k, id);
	if ((trust ? pkg_trust_add(config_dir, &k, label, e) : pkg_trust_revoke(config_dir, &k, e)) < 0)
		return -1;
	log_note("key %s is %s", id, trust ? "trusted now" : "revoked for good");
	return 0;
}

/* 0 done, 125 failed before it began, -1 with *e filled. */
static int dispatch(char **words, int count, bool json, const char *label, struct err *e)
{
	auto_free char *config_dir = path_config_dir(true, e);

	if (!config_dir)
		return -1;
	if (!strcmp(words[0], "new") && count <= 2)
		return new_key(config_dir, count == 2 ? words[1] : "default", e);
	if (!strcmp(words[0], "list") && count == 1)
		return list_keys(config_dir, json, e);
	if ((!strcmp(words[0], "trust") || !strcmp(words[0], "revoke")) && count == 2)
		return change(config_dir, *words[0] == 't', words[1], label, e);
	return err_set(e, ERR_USAGE, "key: what is to be done? See floe key --help");
}

int cmd_key(int argc, char **argv)
{
	static const struct option options[] = { { "json", no_argument, NULL, 'j' },
						 { "label", required_argument, NULL, 'l' },
						 { "help", no_argument, NULL, 'h' },
						 { 0 } };
	const char *label = "";
	bool json = false;
	struct err e;
	int c, rc;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 'j':
			json = true;
			break;
		case 'l':
			label = optarg;
			break;
		case 'h':
			print_help();
			return 0;
		default:
			return 125;
		}
	}
	if (argc == optind) {
		log_error("key: what is to be done? See floe key --help");
		return 125;
	}
	rc = dispatch(argv + optind, argc - optind, json, label, &e);
	return rc < 0 ? cmd_package_fail(&e) : rc;
}
