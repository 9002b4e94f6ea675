/* SPDX-License-Identifier: Apache-2.0 */
/* A FUSE session on a /dev/fuse descriptor whose mount(2) somebody else has done: threads, an end
 * that can be asked for, counters, and takeover from a server that died.
 *
 * Takeover: the first read of the new server is answered with the INIT request that the first server
 * of the connection got, the reply to it is swallowed, and FUSE_NOTIFY_RESEND (Linux 6.9) makes the
 * kernel send again what the dead server had taken. Needs node ids that mean the same to both.
 *
 * The userdata of a request (fuse_req_userdata) is the session; its owner is opt.owner.
 * SIGUSR1 is taken, with a handler that does nothing, to get threads out of read(2). */
#ifndef FLOE_VFS_FUSE_SESSION_H
#define FLOE_VFS_FUSE_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct fuse_in_header;
struct fuse_lowlevel_ops;
struct fuse_req;
struct vfs_fuse_session; /* opaque */

/* A request as the kernel sent it; borrowed for the call. */
struct vfs_fuse_raw {
	const struct fuse_in_header *in;
	const void *body;
	size_t body_len;
};

struct vfs_fuse_session_opt {
	const struct fuse_lowlevel_ops *ops;
	void *owner;
	unsigned threads;             /* at most; started as needed, never ended. 0 = 64 */
	const uint8_t *takeover_init; /* NULL = the connection's first server; copied */
	size_t takeover_init_len;
	/* Called once, from a serving thread, when INIT has been answered or taken over. May be NULL. */
	void (*on_serving)(void *arg, const uint8_t *init, size_t init_len);
	void *on_serving_arg;
	/* FUSE_* bits (of the first 32) that the INIT reply says yes to when the kernel offers them: what
	 * libfuse 3.14 has no name for. */
	uint32_t init_flags;
	/* Asked first for requests that libfuse 3.14 does not know (FUSE_TMPFILE and later). True: it has
	 * answered with vfs_fuse_raw_reply. May be NULL. */
	bool (*on_raw)(struct vfs_fuse_session *s, void *owner, const struct vfs_fuse_raw *r);
	size_t request_max; /* bytes of the largest usual request: memory that each thread keeps; 0 = 16 KiB
			     */
	bool own_umask;     /* umask(2) and the working directory are each serving thread's own */
	/* Requests are handled within microseconds as a rule; then a single thread takes them (fuse_crew.h).
	 */
	bool is_quick;
};

/* fuse_fd is owned on success. */
int vfs_fuse_session_open(int fuse_fd, const struct vfs_fuse_session_opt *opt, struct vfs_fuse_session **ret,
			  struct err *e) FLOE_MUST_USE;
/* Serves until unmounted or stopped; all threads have ended when it returns. */
int vfs_fuse_session_run(struct vfs_fuse_session *s, struct err *e) FLOE_MUST_USE;
/* Any thread. Requests in work are finished first, so handlers that wait must be told by the owner. */
void vfs_fuse_session_stop(struct vfs_fuse_session *s);
void vfs_fuse_session_close(struct vfs_fuse_session *s); /* NULL ok; not while _run runs */

void *vfs_fuse_session_owner(struct fuse_req *req);
/* Requests of one opcode received so far, and of all that want an answer (INIT, FORGET and INTERRUPT are
 * not counted). */
uint64_t vfs_fuse_session_count(struct vfs_fuse_session *s, unsigned opcode);
uint64_t vfs_fuse_session_operations(struct vfs_fuse_session *s);

/* `sys` 0: `data` is the answer. 0, or the errno for which nobody got it (ENOENT: it was interrupted). */
int vfs_fuse_raw_reply(struct vfs_fuse_session *s, const struct vfs_fuse_raw *r, int sys, const void *data,
		       size_t len);

/* These are for the request that the calling thread is handling.
 * Resent: a server that died may have carried it out already, in part or whole. */
bool vfs_fuse_is_resent(const struct fuse_req *req);
/* Its number, the same when it is sent again. */
uint64_t vfs_fuse_unique(const struct fuse_req *req);
/* A write, truncation or creation by somebody whose files lose set-user-ID bits with it (with the
 * HANDLE_KILLPRIV_V2 flag; libfuse 3.14 drops what the kernel says). */
bool vfs_fuse_kills_suid(const struct fuse_req *req);

/* True when the process that waits for the answer is being killed, or the session ends. A signal that it
 * survives is no reason to give up: a page fault would become a SIGBUS. Cheap unless the request was
 * interrupted. */
bool vfs_fuse_is_dying(struct fuse_req *req);
/* The same of the request that the calling thread is handling, if any, in session `s`; not so cheap. Not for
 * reads: who else waits for the same page would get an error. */
bool vfs_fuse_current_is_dying(struct vfs_fuse_session *s);
bool vfs_fuse_session_is_stopping(struct vfs_fuse_session *s); /* any thread */
pid_t vfs_fuse_current_pid(void);                              /* 0: none waits */

#endif
