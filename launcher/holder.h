/* SPDX-License-Identifier: Apache-2.0 */
/* The holder's insides: what it keeps alive, and the steps between them. One thread, one poll loop; nothing
 * here waits for a server, the network or a union (those answer later, by a message or by a child's end).
 *
 *   client ──launch──► package (server opens it, mounts it) ──► environment (a child assembles the union,
 *                      a server keeps its settings) ──► client gets namespaces; its connection is the lease
 *
 * The holder keeps every /dev/fuse descriptor: a package server that dies is replaced on the same one. */
#ifndef FLOE_LAUNCH_HOLDER_H
#define FLOE_LAUNCH_HOLDER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/wire.h"
#include "launcher/environment.h"
#include "launcher/holder_address.h"
#include "launcher/server.h"

enum holder_state { HOLDER_STARTING, HOLDER_READY, HOLDER_FAILED };

struct holder_package {
	struct holder_package *next;
	char *source, *identity; /* identity: of the file, and of the keys it was judged by */
	bool trust_once, offline;
	uint64_t fail_after_s;
	struct launch_server server;
	int fuse_fd;
	bool is_mounted;
	char *mount;
	struct wire_in opened; /* the server's "opened"; descriptor 0: registry defaults */
	char *root, *name, *version;
	uint8_t *init; /* for takeover */
	size_t init_len;
	enum holder_state state;
	struct err err; /* HOLDER_FAILED */
	unsigned restarts;
	uint64_t restart_window_ms;
	unsigned environments; /* that stand on it */
};

struct holder_environment {
	struct holder_environment *next;
	char *name;
	bool ephemeral;
	struct launch_environment *disk;
	struct holder_package *package;
	char *tree, *run; /* the assembled union; what is shown as /.floe/run */
	char *home;
	int union_lock; /* inherited by every init: two unions on one upper are undefined */
	pid_t assembler;
	int assembler_report;
	bool is_assembled, has_config;
	struct launch_server server; /* registry broker; none without configuration files */
	bool server_ready;
	enum holder_state state;
	struct err err;
	unsigned launches;
	uint64_t idle_since_ms;
};

enum holder_client_kind { CLIENT_NEW, CLIENT_WAITING, CLIENT_LAUNCH, CLIENT_STOPPING, CLIENT_DONE };

struct holder_client {
	struct holder_client *next;
	int sock;
	enum holder_client_kind kind;
	struct wire_in request;
	struct holder_package *package;         /* CLIENT_WAITING */
	struct holder_environment *environment; /* CLIENT_WAITING, CLIENT_LAUNCH */
	pid_t pid;                              /* CLIENT_LAUNCH, once the client has told */
	char *command;
	int64_t started_s;
	uint64_t stop_count; /* CLIENT_STOPPING */
	char *stop_environment;
	pid_t stop_pid;
};

struct holder {
	struct holder_address address;
	int lock_fd, listen_fd, signal_fd, mnt_ns, user_ns /* -1 as root */;
	struct holder_package *packages;
	struct holder_environment *environments;
	struct holder_client *clients;
	struct launch_server host_view;
	char *host_view_mount; /* NULL until mounted */
	void *filter;          /* seccomp program for applications */
	size_t filter_len;
	uint64_t idle_ms, idle_since_ms;
	bool leaving;
};

/* ---- holder_package.c */
/* The mounted (or just being mounted) package for a launch request. */
int holder_package_want(struct holder *h, const struct wire_in *request, struct holder_package **ret,
			struct err *e) FLOE_MUST_USE;
void holder_package_message(struct holder *h, struct holder_package *p);
void holder_package_server_died(struct holder *h, struct holder_package *p);
void holder_package_drop(struct holder *h, struct holder_package *p);
/* Drops packages that nothing stands on: failed ones, replaced ones, those whose environments have gone. */
void holder_packages_sweep(struct holder *h);
/* Asks its server a question and waits for the answer, at most a second. */
int holder_package_ask(struct holder_package *p, const char *type, struct wire_in *ret,
		       struct err *e) FLOE_MUST_USE;

/* ---- holder_environment.c */
int holder_environment_want(struct holder *h, const struct wire_in *request, struct holder_package *p,
			    struct holder_environment **ret, struct err *e) FLOE_MUST_USE;
void holder_environment_report(struct holder *h,
			       struct holder_environment *env); /* the assembler has written or ended */
void holder_environment_message(struct holder *h, struct holder_environment *env);
void holder_environment_server_died(struct holder *h, struct holder_environment *env);
void holder_environment_launch_ended(struct holder *h, struct holder_environment *env);
void holder_environment_drop(struct holder *h, struct holder_environment *env);
/* Drops environments (and then packages) that nobody has used for h->idle_ms. Returns the milliseconds until
 * the next one is due, UINT64_MAX when there is none. */
uint64_t holder_environments_expire(struct holder *h);

/* ---- holder_client.c is the other side; requests are in holder_request.c */
void holder_client_message(struct holder *h, struct holder_client *c);
/* Something became ready or failed: moves every waiting client on. */
void holder_clients_advance(struct holder *h);
/* Tells those who wait for package `p`. */
void holder_clients_tell(struct holder *h, const struct holder_package *p, const char *text);

#endif
