/* SPDX-License-Identifier: Apache-2.0 */
/* The broker under any message of a client, and under any text in view/: the first byte chooses. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "registry-shim/broker.h"
#include "tests/fuzz/fuzz.h"

static char top[64];
static struct broker *broker;
static char name[256]; /* of the declared file in view/ */

static void leave(void)
{
	struct err e;

	broker_close(broker);
	(void)!path_remove_tree(AT_FDCWD, top, &e);
}

static void start(void)
{
	static const struct broker_declaration declared = { "/nowhere/settings.ini", "ini", "", "f" };
	static const char defaults[] = "f\0s/k\0v";
	const struct broker_setup setup = { .declared = &declared,
					    .count = 1,
					    .package_name = "fuzzed",
					    .package = "fuzzed",
					    .defaults = defaults,
					    .defaults_len = sizeof(defaults) };
	struct buf paths = BUF_INIT(4096);
	char db[128], run[128];
	const char *tab;
	struct err e;

	strcpy(top, access("/dev/shm", W_OK) == 0 ? "/dev/shm/fuzz-XXXXXX" : "/tmp/fuzz-XXXXXX");
	if (!mkdtemp(top))
		abort();
	(void)atexit(leave);
	snprintf(db, sizeof(db), "%s/registry.db", top);
	snprintf(run, sizeof(run), "%s/run", top);
	if (path_make_dirs(run, 0700, &e) < 0 || broker_open(db, run, &broker, &e) < 0 ||
	    broker_configure(broker, &setup, &e) < 0 ||
	    fd_read_file(broker_run_fd(broker), "paths", &paths, &e) < 0)
		abort();
	tab = memchr(paths.data, '\t', paths.len);
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(tab + 1, "\t"), tab + 1);
	buf_fini(&paths);
}

static void answer(struct wire_in *m)
{
	auto_wire_out struct wire_out reply = WIRE_OUT_INIT;
	struct err e;

	if (broker_answer(broker, 0, m, &reply, &e) < 0)
		abort();
}

/* The rest as the content of a file that a client saves. */
static void save(const char *type, const uint8_t *data, size_t len)
{
	auto_wire_out struct wire_out out = WIRE_OUT_INIT;
	auto_wire_in struct wire_in m = WIRE_IN_INIT;
	struct err e;

	if (wire_put_str(&out, "type", type, &e) < 0 || wire_put_str(&out, "name", name, &e) < 0 ||
	    wire_parse(out.buf.data, out.buf.len, &m, &e) < 0)
		abort();
	m.fds[0] = memfd_create("text", MFD_CLOEXEC);
	m.nfds = 1;
	if (write(m.fds[0], data, len) != (ssize_t)len)
		abort();
	answer(&m);
}

/* A draft as a program leaves it: how its name begins, a line feed, the text. */
static void save_draft(unsigned word, const char *data, size_t len)
{
	static const char *const words[] = { "closed", "left", "joined", "synced" };
	const char *text = len ? memchr(data, '\n', len) : NULL;
	auto_wire_out struct wire_out out = WIRE_OUT_INIT;
	auto_wire_in struct wire_in m = WIRE_IN_INIT;
	char path[600], *base;
	struct err e;

	if (!text || text - data > 100 || memchr(data, '/', (size_t)(text - data)) ||
	    memchr(data, 0, (size_t)(text - data)))
		return;
	snprintf(path, sizeof(path), "%s/run/drafts/%.*s-%s", top, (int)(text - data), data, name);
	base = strrchr(path, '/') + 1;
	if (fd_write_file(AT_FDCWD, path, text + 1, len - (size_t)(text + 1 - data), 0600, &e) < 0 ||
	    wire_put_str(&out, "type", words[word], &e) < 0 || wire_put_str(&out, "name", base, &e) < 0 ||
	    wire_parse(out.buf.data, out.buf.len, &m, &e) < 0)
		abort();
	answer(&m);
	(void)unlink(path); /* what was not saved, so that the next harvest finds nothing */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	auto_wire_in struct wire_in m = WIRE_IN_INIT;
	struct reg_saved n;
	struct err e;

	if (!broker)
		start();
	if (len == 0)
		return 0;
	switch (data[0] % 8) {
	case 0:
		if (wire_parse(data + 1, len - 1, &m, &e) == 0)
			answer(&m);
		break;
	case 1:
		save("replace", data + 1, len - 1);
		break;
	case 2:
		save("commit", data + 1, len - 1);
		break;
	case 3:
		save("remove", data + 1, len - 1);
		break;
	default:
		save_draft(data[0] % 4, (const char *)data + 1, len - 1);
	}
	if (broker_harvest(broker, true, &n, &e) < 0 || n.changed != 0)
		abort(); /* a reported change was not taken wholly */
	return 0;
}
