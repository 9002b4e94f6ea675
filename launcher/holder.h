/* SPDX-License-Identifier: Apache-2.0 */
/* The holder's insides: what it keeps alive, and the steps between them. One thread, one poll loop; nothing
 * here waits for a server, the network or a union (those answer later, by a message or by a child's end).
 *
 *   client ──launch──► package (server opens it, mounts it) ──► environment (with the fuse engine a server
 *                      serves the union; a child assembles it; a server keeps its settings) ──► client gets
 *                      namespaces; its connection is the lease
 *
 * An environment whose name the request tells is begun while the package opens.
 *
 * The holder keeps every /dev/fuse descriptor: a server that dies is replaced on the same one. */
#ifndef FLOE_LAUNCH_HOLDER_H
#define FLOE_LAUNCH_HOLDER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/wire.h"
#include "launcher/engine.h"
#include "launcher/environment.h"
#include "launcher/holder_address.h"
#include "launcher/holder_mount.h"
#include "launcher/server.h"

enum { HOLDER_VARIABLES_MAX = 16 };
enum holder_state { HOLDER_STARTING, HOLDER_READY, HOLDER_FAILED };

struct holder_package {
	struct holder_package *next;
	char *source, *shown;  /* shown: without secrets, for people */
	char *identity;        /* of the file, and of the keys it was judged by */
	char *wanted;          /* the root digest that it must have; NULL = any */
	char start_length[24]; /* for the server; "" = not known */
	bool trust_once, offline;
	bool is_asking;     /* its server asks the source whether it still has this package */
	bool is_silent;     /* the source has not answered in time: nobody waits for it until it does */
	bool is_unanswered; /* what runs now may not be what the source has */
	bool is_replaced;   /* it said so when launches no longer waited */
	bool is_outdated;   /* another one serves further launches */
	uint64_t asked_ms, answered_ms;
	uint64_t fail_after_s;
	/* NAME=VALUE for its servers: source and mirrors, and how the network is reached. NULL at the end. */
	char *variables[HOLDER_VARIABLES_MAX + 1];
	char *stalled; /* what the application waits for; NULL = it does not */
	struct holder_mount mount;
	struct wire_in opened; /* the server's "opened"; descriptor 0: registry defaults */
	char *root, *name, *version;
	char *command; /* launched last; NULL = the default one */
	enum holder_state state;
	struct err err;        /* HOLDER_FAILED */
	unsigned environments; /* that stand on it */
};

/* What is being done about an environment's union; see holder_union.c. */
enum holder_union_step {
	UNION_LOCKING,
	UNION_PREPARING,
	UNION_WAITING, /* for the package */
	UNION_SERVING,
	UNION_ASSEMBLING,
	UNION_THERE
};

struct holder_environment {
	struct holder_environment *next;
	char *name;
	bool ephemeral;
	struct launch_environment *disk;
	struct holder_package *package;
	bool has_package; /* it is mounted: the environment no longer is what a failed launch takes back */
	char *tree, *run; /* the assembled union; what is shown as /.floe/run */
	char *home;
	char *mounted;  /* top-level directories that had mounts inside when the union was made */
	int union_lock; /* inherited by every init: two unions on one upper are undefined */
	enum launch_engine wanted;
	bool is_engine_asked;               /* by the request: noted once it works */
	struct launch_engine_choice engine; /* from UNION_SERVING on */
	enum holder_union_step step;
	bool is_prepared;           /* UNION_PREPARING has been done, by a worker that waits for the rest */
	struct holder_mount served; /* fuse engine; else nothing */
	pid_t worker;               /* locks, prepares or assembles; 0 = none */
	int worker_sock;
	bool has_config;
	struct launch_server server;        /* registry broker; none without configuration files */
	unsigned configures;                /* that it has not answered yet */
	int policy;                         /* policy files of the last launch, a memfd; -1 = none */
	bool server_ready, is_render_asked; /* of the server that runs now */
	bool is_rendered;                   /* once and for all: applications may start */
	unsigned server_deaths;             /* while somebody waits for it */
	enum holder_state state;
	struct err err;
	unsigned launches;
	bool has_launched; /* once */
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
	struct holder_mount host_view; /* point NULL: not needed */
	struct err host_view_err;      /* once it is lost */
	void *filter;                  /* seccomp program for applications */
	size_t filter_len;
	uint64_t idle_ms, idle_since_ms;
	bool leaving;
};

/* ---- holder_package.c */
/* The mounted (or just being mounted) package for a launch request. Of a URL, when nothing of it runs: once
 * its source was asked whether it still has this one. */
int holder_package_want(struct holder *h, struct wire_in *request, struct holder_package **ret,
			struct err *e) FLOE_MUST_USE;
void holder_package_message(struct holder *h, struct holder_package *p);
void holder_package_server_died(struct holder *h, struct holder_package *p);
/* "progress" or "stall" from one of its servers: whoever waits for it or runs it is told. Else nothing. */
void holder_package_news(struct holder *h, struct holder_package *p, const struct wire_in *m);
void holder_package_drop(struct holder *h, struct holder_package *p);
/* Must launches wait for what its source answers? */
bool holder_package_is_awaited(const struct holder_package *p);
/* Goes on without the answers that do not come. Returns the milliseconds until the next one is overdue,
 * UINT64_MAX when none is awaited. */
uint64_t holder_packages_overdue(struct holder *h);
/* Drops packages that nothing stands on: failed ones, replaced ones, those whose environments have gone. */
void holder_packages_sweep(struct holder *h);
/* Adds what a server needs to open it to a command line; `seconds` is where a number goes. */
enum { HOLDER_PACKAGE_ARGS_MAX = 12, HOLDER_SECONDS_MAX = 24 };
size_t holder_package_args(const struct holder_package *p, const char *argv[HOLDER_PACKAGE_ARGS_MAX],
			   char seconds[HOLDER_SECONDS_MAX]);
/* Tells a server of the package's that a command is being launched; one that has gone misses it. */
void holder_package_tell_launch(int server_sock, const char *command);
/* Asks its server a question and waits for the answer, at most a second. What it says meanwhile is heeded,
 * but for those who wait for a verdict: holder_clients_advance. */
int holder_package_ask(struct holder *h, struct holder_package *p, const char *type, struct wire_in *ret,
		       struct err *e) FLOE_MUST_USE;

/* ---- holder_environment.c */
/* Does the request alone tell which environment it wants? */
bool holder_environment_is_named(const struct wire_in *request);
/* The environment for a launch request, begun when it is not there. The package must be mounted unless
 * holder_environment_is_named. */
int holder_environment_want(struct holder *h, const struct wire_in *request, struct holder_package *p,
			    struct holder_environment **ret, struct err *e) FLOE_MUST_USE;
/* Its package is mounted: goes on with what waited for that. Any number of times. */
int holder_environment_take_package(struct holder *h, struct holder_environment *env,
				    struct err *e) FLOE_MUST_USE;
/* A client no longer waits for it: one whose package never came goes with the last of them. */
void holder_environment_release(struct holder *h, struct holder_environment *env);
void holder_environment_message(struct holder *h, struct holder_environment *env);
void holder_environment_server_died(struct holder *h, struct holder_environment *env);
void holder_environment_launch_ended(struct holder *h, struct holder_environment *env);
void holder_environment_drop(struct holder *h, struct holder_environment *env);
/* The union is there, or the settings are: whoever waits goes on when both are. */
void holder_environment_check_ready(struct holder *h, struct holder_environment *env);
void holder_environment_give_up(struct holder *h, struct holder_environment *env, const struct err *why);
/* Drops environments (and then packages) that nobody has used for h->idle_ms. Returns the milliseconds until
 * the next one is due, UINT64_MAX when there is none. */
uint64_t holder_environments_expire(struct holder *h);

/* ---- holder_union.c: the steps from a directory on disk to a mounted union */
int holder_union_start(struct holder *h, struct holder_environment *env, struct err *e) FLOE_MUST_USE;
/* Goes on when env->has_package; else nothing. */
int holder_union_take_package(struct holder *h, struct holder_environment *env, struct err *e) FLOE_MUST_USE;
void holder_union_report(struct holder *h, struct holder_environment *env); /* the worker has written or ended
									     */
void holder_union_message(struct holder *h, struct holder_environment *env); /* from its server */
void holder_union_server_died(struct holder *h, struct holder_environment *env);
void holder_union_end(struct holder_environment *env); /* in any state */

/* ---- holder_host.c */
/* Starts the host view where the host's mounts need one and there is none. */
int holder_host_view_want(struct holder *h, struct err *e) FLOE_MUST_USE;
/* Before a union is made: the host view, and a note of what is mounted. */
int holder_host_prepare(struct holder *h, struct holder_environment *env, struct err *e) FLOE_MUST_USE;
/* True when something was mounted in `ret` ("/home") since, which the union may not show. */
bool holder_host_has_new(const struct holder *h, const struct holder_environment *env, char ret[256]);

/* ---- holder_host_view.c */
int holder_host_view_start(struct holder *h, struct err *e) FLOE_MUST_USE;
void holder_host_view_message(struct holder *h);
void holder_host_view_server_died(struct holder *h);

/* ---- holder_client.c is the other side; requests are in holder_request.c */
void holder_client_message(struct holder *h, struct holder_client *c);
/* Something became ready or failed: moves every waiting client on. */
void holder_clients_advance(struct holder *h);
/* The network went (`why`) or came back (NULL): tells those who run something of package `p`. */
void holder_clients_stall(struct holder *h, struct holder_package *p, const char *why);
/* Tells those who wait for package `p`. */
void holder_clients_tell(struct holder *h, const struct holder_package *p, const char *text);

#endif
