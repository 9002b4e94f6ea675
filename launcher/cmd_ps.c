/* SPDX-License-Identifier: Apache-2.0 */
/* floe ps: what the holder keeps running. Asks, and prints; nothing is started for it. */
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/log.h"
#include "launcher/holder_list.h"
#include "launcher/json_output.h"
#include "launcher/table.h"
#include "launcher/verbs.h"

struct listing {
	struct launch_table launches, packages, environments;
	json_t *json_launches, *json_packages, *json_environments; /* NULL: tables */
};

/* Resident memory of a process, bytes; 0 when it is gone. */
static uint64_t memory_of(uint64_t pid)
{
	auto_buf struct buf b = BUF_INIT(64 * 1024);
	char path[48];
	const char *line;
	struct err e;
	uint64_t kib;

	(void)snprintf(path, sizeof(path), "/proc/%" PRIu64 "/status", pid);
	if (fd_read_file(AT_FDCWD, path, &b, &e) < 0)
		return 0;
	line = buf_text(&b, &e);
	line = line ? strstr(line, "\nVmRSS:") : NULL;
	return line && sscanf(line, "\nVmRSS: %" SCNu64, &kib) == 1 ? kib * 1024 : 0;
}

static int add_texts(struct launch_table *t, const struct wire_in *row, const char *const *fields,
		     size_t count, struct err *e)
{
	for (size_t i = 0; i < count; i++) {
		auto_free char *text = launch_row_text(row, fields[i], e);

		if (!text || launch_table_add(t, *text ? text : "-", e) < 0)
			return -1;
	}
	return 0;
}

static int add_bytes(struct launch_table *t, uint64_t bytes, struct err *e)
{
	char text[32];

	bytes_human(bytes, text);
	return launch_table_add(t, text, e);
}

static int add_launch(struct launch_table *t, const struct wire_in *row, struct err *e)
{
	static const char *const fields[] = { "env", "name", "version", "command" };
	char since[32];

	launch_table_time((long long)wire_u64_or(row, "started-s", 0), since);
	if (launch_table_addf(t, e, "%" PRIu64, wire_u64_or(row, "pid", 0)) < 0 ||
	    add_texts(t, row, fields, ARRAY_LEN(fields), e) < 0)
		return -1;
	return launch_table_add(t, since, e);
}

static int add_package(struct launch_table *t, const struct wire_in *row, struct err *e)
{
	static const char *const fields[] = { "name", "version" };
	uint64_t pid = wire_u64_or(row, "pid", 0);

	if (add_texts(t, row, fields, ARRAY_LEN(fields), e) < 0 ||
	    launch_table_addf(t, e, "%" PRIu64, pid) < 0 || add_bytes(t, memory_of(pid), e) < 0 ||
	    launch_table_addf(t, e, "%" PRIu64, wire_u64_or(row, "operations", 0)) < 0 ||
	    launch_table_addf(t, e, "%" PRIu64, wire_u64_or(row, "requests", 0)) < 0 ||
	    add_bytes(t, wire_u64_or(row, "bytes-fetched", 0), e) < 0 ||
	    add_bytes(t, wire_u64_or(row, "file-length", 0), e) < 0)
		return -1;
	return add_texts(t, row, (const char *const[]){ "source" }, 1, e);
}

static int add_environment(struct launch_table *t, const struct wire_in *row, struct err *e)
{
	if (add_texts(t, row, (const char *const[]){ "name", "engine" }, 2, e) < 0)
		return -1;
	return launch_table_addf(t, e, "%" PRIu64, wire_u64_or(row, "launches", 0));
}

/* ---- JSON ------------------------------------------------------------------------------- */

static bool is_text_field(const struct wire_field *f)
{
	static const char *const names[] = {
		"env", "name", "version", "command", "source", "root", "engine"
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strlen(names[i]) == f->name_len && !memcmp(names[i], f->name, f->name_len))
			return true;
	return false;
}

/* Every field of the row under its own name: texts as texts, all others as numbers. */
static json_t *row_object(const struct wire_in *row, struct err *e)
{
	json_t *object = json_object();
	struct wire_field f;
	size_t pos = 0;

	while (object && wire_next(row, &pos, &f)) {
		auto_free char *name = mem_strndup(f.name, f.name_len, e), *text = NULL;
		json_t *value = NULL;

		if (name && (!strcmp(name, "type") || !strcmp(name, "kind")))
			continue;
		text = name ? launch_row_text(row, name, e) : NULL;
		if (text)
			value = is_text_field(&f) ? launch_json_bytes(text)
						  : json_integer((json_int_t)wire_u64_or(row, name, 0));
		if (!value || json_object_set_new(object, name, value) < 0) {
			json_decref(object);
			object = NULL;
		}
	}
	if (object && wire_is(row, "kind", "package"))
		(void)json_object_set_new(object, "memory",
					  json_integer((json_int_t)memory_of(wire_u64_or(row, "pid", 0))));
	return object;
}

static int note_row(void *arg, const struct wire_in *row, struct err *e)
{
	struct listing *l = arg;
	json_t *into = wire_is(row, "kind", "launch")        ? l->json_launches
		       : wire_is(row, "kind", "package")     ? l->json_packages
		       : wire_is(row, "kind", "environment") ? l->json_environments
							     : NULL;

	if (l->json_launches)
		return into && json_array_append_new(into, row_object(row, e)) < 0
			       ? err_set(e, ERR_NOMEM, "not enough memory")
			       : 0;
	if (wire_is(row, "kind", "launch"))
		return add_launch(&l->launches, row, e);
	if (wire_is(row, "kind", "package"))
		return add_package(&l->packages, row, e);
	if (wire_is(row, "kind", "environment"))
		return add_environment(&l->environments, row, e);
	return 0; /* kinds of later versions */
}

static void print_tables(const struct listing *l, pid_t holder)
{
	const struct launch_table *const tables[] = { &l->launches, &l->packages, &l->environments };

	if (!l->launches.count)
		log_note("no application is running");
	for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
		if (!tables[i]->count)
			continue;
		launch_table_print(tables[i]);
		(void)putchar('\n');
	}
	(void)printf("holder: process %ld\n", (long)holder);
}

static int list(bool json, struct err *e)
{
	static const char *const launch_heads[] = { ">PID", "ENV", "PACKAGE", "VERSION", "COMMAND", "SINCE" };
	static const char *const package_heads[] = { "PACKAGE",   "VERSION",  ">SERVER", ">MEMORY", ">SERVED",
						     ">REQUESTS", ">FETCHED", ">OF",     "SOURCE" };
	static const char *const environment_heads[] = { "ENV", "ENGINE", ">LAUNCHES" };
	struct listing l = { LAUNCH_TABLE_INIT(launch_heads),      LAUNCH_TABLE_INIT(package_heads),
			     LAUNCH_TABLE_INIT(environment_heads), json ? json_array() : NULL,
			     json ? json_array() : NULL,           json ? json_array() : NULL };
	pid_t holder = 0;
	int rc = launch_holder_list(note_row, &l, &holder, e);

	if (rc == 0 && json)
		rc = launch_json_print(json_pack("{s:I, s:O, s:O, s:O}", "holder", (json_int_t)holder,
						 "launches", l.json_launches, "packages", l.json_packages,
						 "environments", l.json_environments));
	else if (rc == 0 && holder == 0)
		log_note("nothing is running");
	else if (rc == 0)
		print_tables(&l, holder);
	json_decref(l.json_launches);
	json_decref(l.json_packages);
	json_decref(l.json_environments);
	launch_table_fini(&l.launches);
	launch_table_fini(&l.packages);
	launch_table_fini(&l.environments);
	return rc;
}

int cmd_ps(int argc, char **argv)
{
	static const struct option options[] = { { "json", no_argument, NULL, 'j' },
						 { "help", no_argument, NULL, 'h' },
						 { 0 } };
	bool json = false;
	struct err e;
	int c, rc;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c == 'h') {
			(void)puts(
				"Usage: floe ps [--json]\n\n"
				"What is running: applications, the packages they use with what was fetched\n"
				"of them, and their environments.");
			return 0;
		}
		if (c != 'j')
			return 125;
		json = true;
	}
	if (optind < argc) {
		log_error("ps takes no arguments; see floe ps --help");
		return 125;
	}
	rc = list(json, &e);
	if (rc < 0) {
		log_error("%s", e.msg);
		return err_exit_status(&e);
	}
	return rc;
}
