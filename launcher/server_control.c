/* SPDX-License-Identifier: Apache-2.0 */
/* See server_control.h. */
#include "launcher/server_control.h"

#include <pthread.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/sync.h"
#include "launcher/server_package.h"
#include "launcher/server_process.h"
#include "launcher/server_protocol.h"

struct launch_server_control {
	const struct launch_server_control_ops *ops;
	void *arg;

	struct sync_mutex lock;
	struct sync_cond changed;
	bool is_serve_wanted; /* guarded by lock; what comes below belongs to it */
	struct wire_in serve; /* the waiting thread's */
};

static int answer_touches(struct launch_server_control *c, struct wire_out *m, int *ret_fd, struct err *e)
{
	auto_free struct pkg_touch *touches = NULL;
	size_t count = 0;

	if (c->ops->touches(c->arg, &touches, &count, e) < 0)
		return -1;
	*ret_fd = launch_server_touches_fd(touches, count, e);
	return *ret_fd < 0 || wire_put_fd(m, *ret_fd, e) < 0 ? -1 : wire_put_str(m, "type", "touches", e);
}

static void answer(struct launch_server_control *c, const struct wire_in *question)
{
	auto_wire_out struct wire_out m = WIRE_OUT_INIT;
	auto_fd int fd = -1;
	struct err why;
	int r;

	if (wire_is(question, "type", "stats"))
		r = wire_put_str(&m, "type", "stats", &why) < 0 ? -1 : c->ops->put_stats(c->arg, &m, &why);
	else if (wire_is(question, "type", "touches"))
		r = answer_touches(c, &m, &fd, &why);
	else
		r = err_set(&why, ERR_FORMAT, "a message that the %s does not understand", c->ops->name);
	if (r < 0)
		launch_server_report(&why);
	else
		launch_server_send(&m);
}

/* Without a name it is the default command. */
static void take_launch(struct launch_server_control *c, const struct wire_in *m)
{
	struct err ignored;
	auto_free char *command = wire_str(m, "command", &ignored);

	c->ops->launch(c->arg, command);
}

/* Once; what comes later is ignored. */
static void take_serve(struct launch_server_control *c, struct wire_in *m)
{
	sync_lock(&c->lock);
	if (!c->is_serve_wanted) {
		c->serve = *m;
		*m = (struct wire_in)WIRE_IN_INIT;
		c->is_serve_wanted = true;
		sync_wake_all(&c->changed);
	}
	sync_unlock(&c->lock);
}

static void *control_main(void *arg)
{
	struct launch_server_control *c = arg;
	struct err why;

	for (;;) {
		auto_wire_in struct wire_in m = WIRE_IN_INIT;

		if (wire_recv(LAUNCH_SERVER_FD, &m, &why) <= 0) {
			c->ops->stop(c->arg);
			_exit(0);
		}
		if (wire_is(&m, "type", "serve"))
			take_serve(c, &m);
		else if (wire_is(&m, "type", "launch"))
			take_launch(c, &m);
		else if (wire_is(&m, "type", "ask") && c->ops->ask)
			c->ops->ask(c->arg);
		else
			answer(c, &m);
	}
	return NULL;
}

int launch_server_control_start(const struct launch_server_control_ops *ops, void *arg,
				struct launch_server_control **ret, struct err *e)
{
	struct launch_server_control *c = mem_alloc(1, sizeof(*c), e);
	pthread_t thread;
	int sys;

	if (!c)
		return -1;
	sync_mutex_init(&c->lock);
	sync_cond_init(&c->changed);
	c->ops = ops;
	c->arg = arg;
	sys = pthread_create(&thread, NULL, control_main, c);
	if (sys) {
		free(c);
		return err_sys(e, sys, "start a thread");
	}
	*ret = c;
	return 0;
}

int launch_server_control_await(struct launch_server_control *c, struct launch_server_serve *ret,
				struct err *e)
{
	struct wire_field init;
	uint64_t uid, gid;

	sync_lock(&c->lock);
	while (!c->is_serve_wanted)
		sync_wait(&c->changed, &c->lock);
	sync_unlock(&c->lock);
	if (wire_u64(&c->serve, "uid", &uid, e) < 0 || wire_u64(&c->serve, "gid", &gid, e) < 0)
		return -1;
	*ret = (struct launch_server_serve){ .message = &c->serve, .uid = (uid_t)uid, .gid = (gid_t)gid };
	if (wire_find(&c->serve, "init", &init) && init.len) {
		ret->init = init.value;
		ret->init_len = init.len;
	}
	return 0;
}

int launch_server_put_figures(struct wire_out *m, const struct launch_server_figure *list, size_t count,
			      struct err *e)
{
	for (size_t i = 0; i < count; i++)
		if (wire_put_u64(m, list[i].name, list[i].value, e) < 0)
			return -1;
	return 0;
}

void launch_server_say_serving(void *arg, const uint8_t *init, size_t init_len)
{
	auto_wire_out struct wire_out m = WIRE_OUT_INIT;
	struct err ignored;

	(void)arg;
	if (wire_put_str(&m, "type", "serving", &ignored) == 0 &&
	    wire_put(&m, "init", init, init_len, &ignored) == 0)
		launch_server_send(&m);
}
