/* SPDX-License-Identifier: Apache-2.0 */
/* floe-augeas: reads and changes texts with libaugeas for those who ask on descriptor 3 (augeas_client.h),
 * and leaves when that closes. Each request has its own bound of processor time; the memory's is for all. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/wire.h"
#include "registry-shim/augeas_client.h"
#include "registry-shim/augeas_text.h"

/* A sanitizer takes its time, and terabytes of addresses; and libaugeas leaks a little. */
#ifdef FLOE_SANITIZED
enum { TIME_S = 20 * AUGEAS_TIME_S, IS_MEMORY_LIMITED = 0 };

const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libaugeas";
}
#else
enum { TIME_S = AUGEAS_TIME_S, IS_MEMORY_LIMITED = 1 };
#endif

static int limit(int what, rlim_t value, struct err *e)
{
	struct rlimit l;

	if (getrlimit((__rlimit_resource_t)what, &l) < 0)
		return err_sys(e, errno, "getrlimit");
	l.rlim_cur = value < l.rlim_max ? value : l.rlim_max;
	return setrlimit((__rlimit_resource_t)what, &l) < 0 ? err_sys(e, errno, "setrlimit") : 0;
}

/* The kernel counts whole seconds: the one that has begun is not counted. */
static int limit_time(struct err *e)
{
	struct timespec used;

	if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) < 0)
		return err_sys(e, errno, "clock_gettime");
	return limit(RLIMIT_CPU, (rlim_t)used.tv_sec + 1 + TIME_S, e);
}

static int read_request(struct wire_in *m, struct buf *ret, struct err *e)
{
	auto_fd int fd = wire_steal_fd(m, 0);

	if (fd < 0)
		return err_set(e, ERR_FORMAT, "no text came along");
	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_sys(e, errno, "the text");
	return fd_read_to_end(fd, ret, e) < 0 || !buf_text(ret, e) ? -1 : 0;
}

static int answer(struct augeas *a, struct wire_in *m, struct buf *ret, size_t *ret_at, struct err *e)
{
	auto_buf struct buf text = BUF_INIT(AUGEAS_REPLY_MAX);
	auto_free char *module = wire_str(m, "module", e);
	size_t len;

	if (!module || read_request(m, &text, e) < 0)
		return -1;
	len = strlen((char *)text.data);
	if (wire_is(m, "what", "keys"))
		return augeas_text_keys(a, module, (char *)text.data, ret, ret_at, e);
	if (len == text.len)
		return err_set(e, ERR_FORMAT, "no changes came along");
	return augeas_text_change(a, module, (char *)text.data, (char *)text.data + len + 1,
				  text.len - len - 1, ret, e);
}

static int serve(struct augeas *a, struct wire_in *m, struct err *e)
{
	auto_buf struct buf result = BUF_INIT(AUGEAS_REPLY_MAX);
	auto_wire_out struct wire_out reply = WIRE_OUT_INIT;
	auto_fd int fd = memfd_create("floe-augeas", MFD_CLOEXEC);
	struct err why;
	size_t at = 0;

	if (fd < 0)
		return err_sys(e, errno, "memfd_create");
	if (limit_time(e) < 0)
		return -1;
	if (answer(a, m, &result, &at, &why) < 0) {
		if (wire_put_err(&reply, &why, e) < 0 || wire_put_u64(&reply, "at", at, e) < 0)
			return -1;
	} else if (fd_write_all(fd, result.data, result.len, e) < 0 || wire_put_fd(&reply, fd, e) < 0 ||
		   wire_put_str(&reply, "type", "done", e) < 0) {
		return -1;
	}
	return wire_send(AUGEAS_SERVER_FD, &reply, e);
}

static int serve_all(struct err *e)
{
	struct augeas *a;
	int r;

	if (limit(RLIMIT_CORE, 0, e) < 0 ||
	    (IS_MEMORY_LIMITED && limit(RLIMIT_AS, AUGEAS_MEMORY_MAX, e) < 0) || augeas_text_open(&a, e) < 0)
		return -1;
	do {
		auto_wire_in struct wire_in m = WIRE_IN_INIT;

		r = wire_recv(AUGEAS_SERVER_FD, &m, e);
		if (r > 0 && serve(a, &m, e) < 0)
			r = -1;
	} while (r > 0);
	augeas_text_close(a);
	return r;
}

int main(int argc, char **argv)
{
	struct err e;

	(void)argv;
	log_setup("floe-augeas", LOG_NORMAL);
	if (argc != 1 || fcntl(AUGEAS_SERVER_FD, F_SETFD, FD_CLOEXEC) < 0) {
		log_error("started by floe, with descriptor %d", AUGEAS_SERVER_FD);
		return 125;
	}
	if (serve_all(&e) == 0)
		return 0;
	log_error("%s", e.msg);
	return 125;
}
