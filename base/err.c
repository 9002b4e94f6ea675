/* SPDX-License-Identifier: Apache-2.0 */
/* Error values; see err.h. Messages that do not fit are cut, never overflowed. */
#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* The functions themselves, not the macros for callers. */
#undef err_set
#undef err_sys
#undef err_wrap

static enum err_code code_of_errno(int sys)
{
	switch (sys) {
	case ENOMEM:
		return ERR_NOMEM;
	case ENOENT:
		return ERR_NOTFOUND;
	case EEXIST:
		return ERR_EXISTS;
	case EACCES:
	case EPERM:
		return ERR_DENIED;
	case EBUSY:
		return ERR_BUSY;
	case EINTR:
		return ERR_INTERRUPTED;
	case ENOSYS:
	case EOPNOTSUPP:
		return ERR_UNSUPPORTED;
	default:
		return ERR_IO;
	}
}

int err_set(struct err *e, enum err_code code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
	va_end(ap);
	e->code = code;
	e->sys = 0;
	return -1;
}

int err_sys(struct err *e, int sys, const char *fmt, ...)
{
	char reason[96];
	size_t used;
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
	va_end(ap);
	used = strlen(e->msg);
	(void)snprintf(e->msg + used, sizeof(e->msg) - used, ": %s", strerror_r(sys, reason, sizeof(reason)));
	e->code = code_of_errno(sys);
	e->sys = sys;
	return -1;
}

int err_wrap(struct err *e, const char *fmt, ...)
{
	char old[sizeof(e->msg)];
	size_t used;
	va_list ap;

	memcpy(old, e->msg, sizeof(old));
	va_start(ap, fmt);
	(void)vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
	va_end(ap);
	used = strlen(e->msg);
	if (used < sizeof(e->msg) - 3)
		(void)snprintf(e->msg + used, sizeof(e->msg) - used, ": %.*s",
			       (int)(sizeof(e->msg) - used - 3), old);
	return -1;
}

int err_to_errno(const struct err *e)
{
	if (e->sys)
		return e->sys;
	switch (e->code) {
	case ERR_NOMEM:
		return ENOMEM;
	case ERR_NOTFOUND:
		return ENOENT;
	case ERR_EXISTS:
		return EEXIST;
	case ERR_DENIED:
	case ERR_TRUST:
		return EACCES;
	case ERR_UNSUPPORTED:
		return EOPNOTSUPP;
	case ERR_BUSY:
		return EBUSY;
	case ERR_INTERRUPTED:
		return EINTR;
	case ERR_USAGE:
		return EINVAL;
	default:
		return EIO;
	}
}

int err_exit_status(const struct err *e)
{
	return e->code == ERR_TRUST ? 126 : 125;
}
