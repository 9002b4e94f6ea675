/* SPDX-License-Identifier: Apache-2.0 */
/* A package as the holder's servers open it: with the user's cache and keys, and with a word to the holder
 * when the network goes or comes back. */
#ifndef FLOE_LAUNCH_SERVER_PACKAGE_H
#define FLOE_LAUNCH_SERVER_PACKAGE_H

#include <getopt.h>
#include <stdbool.h>

#include "base/sync.h"
#include "streaming/cache.h"
#include "streaming/package.h"

struct launch_server_source {       /* options of the command line */
	const char *source, *shown; /* shown: to people; the same where it has no secrets */
	bool trust_once, offline, addresses_in_environment;
	bool is_dialled;          /* a connection to it comes on LAUNCH_SERVER_DIALLED_FD */
	struct pkg_digest wanted; /* the root digest that it must have; valid when has_wanted */
	bool has_wanted;
	const char *mirrors; /* of the environment; URLs of the same file, one a line; NULL = none */
	uint64_t start_len;  /* of header, index and primary feature block; 0 = not known */
	/* Another server has opened it, with this root digest, and reads ahead; NULL = we are the first. */
	const struct pkg_digest *root;
	unsigned fail_after_s;
	size_t memory_first; /* of stream_package_opt; not of the command line */
};

/* --source, --addresses-in-environment, --trust-once, --offline, --wanted-root, --start-length and
 * --fail-after for getopt_long; values are letters. */
#define LAUNCH_SERVER_SOURCE_OPTIONS                                                                         \
	{ "source", required_argument, NULL, 's' }, { "trust-once", no_argument, NULL, 't' },                \
		{ "offline", no_argument, NULL, 'o' }, { "wanted-root", required_argument, NULL, 'W' },      \
		{ "start-length", required_argument, NULL, 'L' },                                            \
		{ "addresses-in-environment", no_argument, NULL, 'a' },                                      \
	{                                                                                                    \
		"fail-after", required_argument, NULL, 'f'                                                   \
	}
/* False: `c` is none of them. */
bool launch_server_source_take(struct launch_server_source *s, int c, const char *value);
/* After the last option. False: an address is missing. */
bool launch_server_source_complete(struct launch_server_source *s);

enum { LAUNCH_SERVER_COMMANDS_MAX = 16 };

struct launch_server_package {
	struct stream_cache *cache; /* NULL = goes on without, said to the holder */
	struct stream_package *package;

	struct sync_mutex lock;
	/* guarded by lock */
	bool is_open;
	char *commands[LAUNCH_SERVER_COMMANDS_MAX]; /* launched before it was; NULL = the default one */
	size_t command_count;
};

/* Zeroes it, before any thread uses it. */
void launch_server_package_init(struct launch_server_package *p);
/* A command is being launched (NULL = the default one), at any time: see stream_package_launch. Any thread,
 * never blocks. */
void launch_server_package_launch(struct launch_server_package *p, const char *command);
/* Blocks on the network. After a failure _close is due, too. */
int launch_server_package_open(const struct launch_server_source *s, struct launch_server_package *ret,
			       struct err *e) FLOE_MUST_USE;
/* Safe twice; the cache writes what it has. */
void launch_server_package_close(struct launch_server_package *p);
/* A memfd with these bytes, read from its start; the caller's. */
int launch_server_bytes_fd(const char *name, const void *data, size_t len, struct err *e) FLOE_MUST_USE;
/* The same with first touches, as "touches" carries them (server_protocol.h). */
int launch_server_touches_fd(const struct pkg_touch *list, size_t count, struct err *e) FLOE_MUST_USE;
/* The root digest as text. */
void launch_server_package_root(const struct launch_server_package *p, char ret[2 * PKG_DIGEST_LEN + 1]);

#endif
