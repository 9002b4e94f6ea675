/* SPDX-License-Identifier: Apache-2.0 */
/* The sandbox: namespaces, a root, a tiny init, and the application under it.
 *
 * Callers fork for themselves where a function changes the calling process for ever (it says so).
 * libc only; single-threaded callers. */
#ifndef FLOE_LAUNCH_SANDBOX_H
#define FLOE_LAUNCH_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/mem.h"

/* Changes the calling process: a new user namespace in which the caller's uid and gid are `uid` and `gid`
 * (its own numbers for an application, 0 for a pretended root), and a new mount namespace that receives the
 * host's mounts but gives none back. As real root only the mount namespace. ERR_UNSUPPORTED with the reason
 * and what to do when the machine forbids user namespaces. */
int launch_namespaces_make(uid_t uid, gid_t gid, struct err *e) FLOE_MUST_USE;

/* One deviation from the union. Applied in order: what comes later lies above. */
struct launch_bind {
	char *target; /* absolute, as the application sees it */
	char *source; /* host path; NULL: what the union shows at `target` */
	bool read_only;
	bool hide;     /* an empty directory or file instead; source unused */
	bool optional; /* what cannot be done is passed over (hiding excepted) */
	bool make;     /* a target that is not there is made, */
	bool is_dir;   /* as a directory or as an empty file */
};

struct launch_sandbox {
	const char *tree; /* the assembled union, in the current mount namespace */
	const struct launch_bind *binds;
	size_t bind_count;
	const char *cwd; /* inside; "/" when it is not there */
	char *const *argv;
	char *const *envp;
	const char *hostname; /* NULL = the host's */
	bool no_network;
	bool pretend_root; /* ownership and identity calls answered with success; capabilities kept in the
			      namespace */
	/* BPF program of the seccomp filter (struct sock_filter[]); NULL = none. Borrowed. */
	const void *filter;
	size_t filter_len;
};

/* How the main program ended. */
struct launch_status {
	bool is_signal;
	int code; /* exit status, or signal */
};

/* Makes the per-launch namespaces (mount, pid, ipc, uts), applies binds, changes root, and runs argv under an
 * init that reaps. Returns in the parent when the init runs. The init lives as long as any process inside;
 * `lease_fd`
 * (-1 = none) is kept open by it until then. Events come through *ret_events (see below). */
int launch_sandbox_start(const struct launch_sandbox *s, int lease_fd, pid_t *ret_init, int *ret_events,
			 struct err *e) FLOE_MUST_USE;
/* Something else to look after while the application runs. */
struct launch_watch {
	int fd;                      /* becomes -1 when on_ready says that no more will come */
	bool (*on_ready)(void *arg); /* may not block */
	int (*due_ms)(void *arg);    /* until on_due; -1 = never */
	void (*on_due)(void *arg);
	void *arg;
};

/* Waits for the main program like a shell's child would: forwards signals sent to this process, follows stops
 * and continues (Ctrl-Z), and returns its status. Other processes inside may live on. ERR_NOTFOUND: there is
 * no such program inside; ERR_DENIED: it may not be executed. `watch` may be NULL. */
int launch_sandbox_wait(pid_t init, int events, struct launch_watch *watch, struct launch_status *ret,
			struct err *e) FLOE_MUST_USE;

#endif
