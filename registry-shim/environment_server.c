/* SPDX-License-Identifier: Apache-2.0 */
/* floe-environment-server --registry DB --run DIR: the registry's broker of one environment. Speaks the
 * holder's protocol (launcher/server_protocol.h) on descriptor 3 and leaves when that closes.
 *
 * It is not the terminal's business and needs no privilege: a session of its own, no capabilities. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/capability.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/crash.h"
#include "base/fd.h"
#include "base/log.h"
#include "launcher/server_protocol.h"
#include "registry-shim/broker_serve.h"
#include "registry-shim/policy.h"

static void leave_terminal(void)
{
	static const int ignored[] = { SIGINT,  SIGQUIT, SIGHUP,  SIGTSTP,
				       SIGTTIN, SIGTTOU, SIGPIPE, SIGIO /* broker_draft.h */ };

	for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
		(void)signal(ignored[i], SIG_IGN);
	(void)setsid(); /* fails when we lead a group already, which is as good */
}

static void drop_capabilities(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { { 0 } };

	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	(void)syscall(SYS_capset, &head, none);
}

/* "path NUL lens NUL defaults-path NUL" of one field into ret, which borrows. */
static int read_config(const struct wire_field *f, struct broker_declaration *ret, struct err *e)
{
	const char *at = (const char *)f->value, *end = at + f->len;
	const char **part[] = { &ret->path, &ret->lens, &ret->defaults_path };

	for (size_t i = 0; i < ARRAY_LEN(part); i++) {
		const char *stop = at < end ? memchr(at, 0, (size_t)(end - at)) : NULL;

		if (!stop)
			return err_set(e, ERR_FORMAT, "a declaration of a configuration file is cut off");
		*part[i] = at;
		at = stop + 1;
	}
	return 0;
}

/* "merge" | "override" NUL subtree NUL of one field into ret, which borrows. */
static int read_local(const struct wire_field *f, struct broker_local *ret, struct err *e)
{
	const char *rule = (const char *)f->value, *stop = f->len ? memchr(rule, 0, f->len) : NULL;
	const char *end = rule + f->len;

	if (!stop || stop + 1 == end || end[-1])
		return err_set(e, ERR_FORMAT, "a rule for the host's settings is cut off");
	*ret = (struct broker_local){ stop + 1, !strcmp(rule, "merge") };
	return 0;
}

struct declarations {
	struct broker_declaration list[BROKER_FILES_MAX];
	struct broker_local local[BROKER_LOCAL_MAX];
	char *keys[BROKER_FILES_MAX]; /* owned; list[].file */
	size_t count, nkeys, nlocal;
};

static void declarations_fini(struct declarations *d)
{
	for (size_t i = 0; i < d->nkeys; i++)
		free(d->keys[i]);
}

static int read_declarations(const struct wire_in *m, struct declarations *d, struct err *e)
{
	struct wire_field f;

	for (size_t pos = 0; wire_next(m, &pos, &f);) {
		bool is_config = wire_is_called(&f, "config"), is_key = wire_is_called(&f, "key");

		if (wire_is_called(&f, "local")) {
			if (d->nlocal == BROKER_LOCAL_MAX)
				return err_set(e, ERR_LIMIT, "more than %d rules for the host's settings",
					       BROKER_LOCAL_MAX);
			if (read_local(&f, &d->local[d->nlocal++], e) < 0)
				return -1;
		}

		if ((is_config && d->count == BROKER_FILES_MAX) || (is_key && d->nkeys == BROKER_FILES_MAX))
			return err_set(e, ERR_LIMIT, "more than %d configuration files", BROKER_FILES_MAX);
		if (is_config && read_config(&f, &d->list[d->count++], e) < 0)
			return -1;
		if (!is_key)
			continue;
		d->keys[d->nkeys] = mem_strndup((const char *)f.value, f.len, e);
		if (!d->keys[d->nkeys++])
			return -1;
	}
	if (d->count != d->nkeys)
		return err_set(e, ERR_FORMAT, "%zu configuration files with %zu names", d->count, d->nkeys);
	for (size_t i = 0; i < d->count; i++)
		d->list[i].file = d->keys[i];
	return 0;
}

/* The content of the message's descriptor number *idx, where the field says that it came along. */
static int read_beside(struct wire_in *m, const char *field, size_t *idx, struct buf *ret, struct err *e)
{
	auto_fd int fd = -1;

	if (wire_u64_or(m, field, 0)) {
		fd = wire_steal_fd(m, (*idx)++);
		if (fd < 0)
			return err_set(e, ERR_FORMAT, "%s did not come along", field);
		if (lseek(fd, 0, SEEK_SET) < 0)
			return err_sys(e, errno, "%s", field);
		if (fd_read_to_end(fd, ret, e) < 0)
			return err_wrap(e, "%s", field);
	}
	return buf_text(ret, e) ? 0 : -1;
}

static int configure(struct broker *b, struct wire_in *m, struct err *e)
{
	__attribute__((cleanup(declarations_fini))) struct declarations d = { .count = 0 };
	auto_buf struct buf defaults = BUF_INIT(BROKER_DEFAULTS_MAX), policy = BUF_INIT(REG_POLICY_TEXT_MAX);
	auto_free char *root = NULL, *upper = NULL;
	auto_free char *name = wire_str(m, "name", e), *version = name ? wire_str(m, "version", e) : NULL;
	auto_free char *package =
		version ? mem_printf(e, "%s%s%s", name, *version ? " " : "", version) : NULL;
	struct broker_setup setup;
	size_t idx = 0;

	if (!package || wire_str_or_none(m, "package-root", &root, e) < 0 ||
	    wire_str_or_none(m, "upper", &upper, e) < 0 || read_declarations(m, &d, e) < 0 ||
	    read_beside(m, "has-defaults", &idx, &defaults, e) < 0 ||
	    read_beside(m, "has-policy", &idx, &policy, e) < 0 || broker_render(b, upper, NULL, false, e) < 0)
		return -1;
	setup = (struct broker_setup){ .declared = d.list,
				       .count = d.count,
				       .package_root = root,
				       .package_name = name,
				       .package = package,
				       .defaults = (const char *)defaults.data,
				       .defaults_len = defaults.len,
				       .policy = (const char *)policy.data,
				       .policy_len = policy.len,
				       .local = d.local,
				       .local_count = d.nlocal };
	return broker_configure(b, &setup, e);
}

static int render(struct broker *b, struct wire_in *m, struct err *e)
{
	auto_free char *tree = wire_str(m, "tree", e);

	return tree ? broker_render(b, NULL, tree, wire_u64_or(m, "is-idle", 0) != 0, e) : -1;
}

static int on_control(struct broker *b, struct wire_in *m, int control, struct err *e)
{
	auto_wire_out struct wire_out reply = WIRE_OUT_INIT;
	struct err why;
	struct reg_saved saved = { 0 };
	int r;

	if (wire_is(m, "type", "configure")) {
		r = configure(b, m, &why);
		if (wire_put_str(&reply, "type", "ready", e) < 0)
			return -1;
	} else if (wire_is(m, "type", "render")) {
		r = render(b, m, &why);
		if (wire_put_str(&reply, "type", "rendered", e) < 0)
			return -1;
	} else if (wire_is(m, "type", "harvest")) {
		r = broker_harvest(b, wire_u64_or(m, "is-idle", 0) != 0, &saved, &why);
		if (wire_put_str(&reply, "type", "harvested", e) < 0 ||
		    wire_put_u64(&reply, "changes", saved.changed, e) < 0 ||
		    wire_put_u64(&reply, "refused", saved.refused, e) < 0)
			return -1;
	} else {
		r = err_set(&why, ERR_FORMAT, "unknown request");
	}
	if (r < 0 && wire_put_err(&reply, &why, e) < 0)
		return -1;
	return wire_send(control, &reply, e);
}

static int fail(const struct err *why)
{
	auto_wire_out struct wire_out m = WIRE_OUT_INIT;
	struct err e;

	log_error("%s", why->msg);
	if (wire_put_err(&m, why, &e) < 0 || wire_send(LAUNCH_SERVER_FD, &m, &e) < 0)
		log_error("%s", e.msg); /* the holder has left as well */
	return err_exit_status(why);
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "registry", required_argument, NULL, 'r' },
						 { "run", required_argument, NULL, 'd' },
						 { 0 } };
	const char *registry = NULL, *run_dir = NULL;
	struct broker *b = NULL;
	struct err e;
	int c, r;

	log_setup("floe-environment-server", LOG_NORMAL);
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'r')
			registry = optarg;
		else if (c == 'd')
			run_dir = optarg;
		else
			return 125;
	}
	if (!registry || !run_dir || optind != argc || fcntl(LAUNCH_SERVER_FD, F_GETFD) < 0) {
		log_error("started by floe, with --registry DB --run DIR and descriptor %d",
			  LAUNCH_SERVER_FD);
		return 125;
	}
	(void)fcntl(LAUNCH_SERVER_FD, F_SETFD, FD_CLOEXEC);
	(void)umask(077);
	leave_terminal();
	crash_adopt(CRASH_FD);
	crash_listen(NULL);
	drop_capabilities();
	if (broker_open(registry, run_dir, &b, &e) < 0)
		return fail(&e);
	r = broker_serve(b, LAUNCH_SERVER_FD, on_control, &e);
	broker_close(b);
	return r < 0 ? fail(&e) : 0;
}
