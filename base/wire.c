/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of named fields; see wire.h for the format. */
#include "base/wire.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/bytes.h"
#include "base/fd.h"

enum { HEAD = 6, NAME_LEN_MAX = 64 };

void wire_out_fini(struct wire_out *m)
{
	buf_fini(&m->buf);
}

int wire_put(struct wire_out *m, const char *name, const void *value, size_t len, struct err *e)
{
	size_t name_len = strlen(name), was = m->buf.len;
	struct le16 nl = le16_of((uint16_t)name_len);
	struct le32 vl = le32_of((uint32_t)len);

	if (name_len < 1 || name_len > NAME_LEN_MAX || len > WIRE_MAX)
		return err_set(e, ERR_LIMIT, "field %s does not fit a message", name);
	if (buf_add(&m->buf, &nl, sizeof(nl), e) < 0 || buf_add(&m->buf, &vl, sizeof(vl), e) < 0 ||
	    buf_add(&m->buf, name, name_len, e) < 0 || buf_add(&m->buf, value, len, e) < 0) {
		m->buf.len = was;
		return -1;
	}
	return 0;
}

int wire_put_str(struct wire_out *m, const char *name, const char *value, struct err *e)
{
	return wire_put(m, name, value, strlen(value), e);
}

int wire_put_u64(struct wire_out *m, const char *name, uint64_t value, struct err *e)
{
	struct le64 v = le64_of(value);

	return wire_put(m, name, &v, sizeof(v), e);
}

int wire_put_fd(struct wire_out *m, int fd, struct err *e)
{
	if (m->nfds == WIRE_FDS_MAX)
		return err_set(e, ERR_LIMIT, "too many descriptors in one message");
	m->fds[m->nfds++] = fd;
	return 0;
}

int wire_put_err(struct wire_out *m, const struct err *why, struct err *e)
{
	if (wire_put_u64(m, "error-code", (uint64_t)why->code, e) < 0 ||
	    wire_put_u64(m, "error-errno", (uint64_t)(unsigned)why->sys, e) < 0)
		return -1;
	return wire_put_str(m, "error", why->msg, e);
}

int wire_send(int sock, const struct wire_out *m, struct err *e)
{
	/* A packet of length 0 would read as end of file: an empty message still has one field. */
	static const uint8_t empty[HEAD + 1] = { 1, 0, 0, 0, 0, 0, '.' };

	if (m->buf.len == 0)
		return fd_send(sock, empty, sizeof(empty), m->fds, m->nfds, e);
	return fd_send(sock, m->buf.data, m->buf.len, m->fds, m->nfds, e);
}

void wire_in_fini(struct wire_in *m)
{
	for (size_t i = 0; i < m->nfds; i++)
		fd_close(m->fds[i]);
	m->nfds = 0;
	free(m->data);
	m->data = NULL;
	m->len = 0;
}

static bool field_at(const uint8_t *data, size_t len, size_t *pos, struct wire_field *ret)
{
	struct le16 nl;
	struct le32 vl;
	size_t left = len - *pos;

	if (left < HEAD)
		return false;
	memcpy(&nl, data + *pos, sizeof(nl));
	memcpy(&vl, data + *pos + sizeof(nl), sizeof(vl));
	ret->name_len = le16_get(nl);
	ret->len = le32_get(vl);
	left -= HEAD;
	if (ret->name_len < 1 || ret->name_len > NAME_LEN_MAX || ret->name_len > left ||
	    ret->len > left - ret->name_len)
		return false;
	ret->name = (const char *)data + *pos + HEAD;
	ret->value = data + *pos + HEAD + ret->name_len;
	*pos += HEAD + ret->name_len + ret->len;
	return true;
}

static int check(const uint8_t *data, size_t len, struct err *e)
{
	struct wire_field f;
	size_t pos = 0;

	while (pos < len)
		if (!field_at(data, len, &pos, &f) || memchr(f.name, 0, f.name_len))
			return err_set(e, ERR_FORMAT, "malformed message (field at byte %zu)", pos);
	return 0;
}

int wire_parse(const void *data, size_t len, struct wire_in *m, struct err *e)
{
	if (len > WIRE_MAX)
		return err_set(e, ERR_LIMIT, "message of %zu bytes is too long", len);
	if (check(data, len, e) < 0)
		return -1;
	m->data = mem_alloc(1, len, e);
	if (!m->data)
		return -1;
	memcpy(m->data, data, len);
	m->len = len;
	m->nfds = 0;
	return 0;
}

int wire_recv(int sock, struct wire_in *m, struct err *e)
{
	struct wire_in got = WIRE_IN_INIT;
	ssize_t n;

	n = recv(sock, NULL, 0, MSG_PEEK | MSG_TRUNC); /* the packet's length */
	while (n < 0 && errno == EINTR)
		n = recv(sock, NULL, 0, MSG_PEEK | MSG_TRUNC);
	if (n == 0 || (n < 0 && errno == ECONNRESET))
		return 0;
	if (n < 0)
		return err_sys(e, errno, "receive");
	if (n > WIRE_MAX)
		return err_set(e, ERR_LIMIT, "message of %zd bytes is too long", n);
	got.data = mem_alloc(1, (size_t)n, e);
	if (!got.data)
		return -1;
	got.nfds = WIRE_FDS_MAX;
	n = fd_recv(sock, got.data, (size_t)n, got.fds, &got.nfds, e);
	if (n <= 0) {
		got.nfds = 0;
		wire_in_fini(&got);
		return n < 0 ? -1 : 0;
	}
	got.len = (size_t)n;
	if (check(got.data, got.len, e) < 0) {
		wire_in_fini(&got);
		return -1;
	}
	*m = got;
	return 1;
}

bool wire_next(const struct wire_in *m, size_t *pos, struct wire_field *ret)
{
	return *pos < m->len && field_at(m->data, m->len, pos, ret);
}

bool wire_is_called(const struct wire_field *f, const char *name)
{
	return f->name_len == strlen(name) && !memcmp(f->name, name, f->name_len);
}

bool wire_find(const struct wire_in *m, const char *name, struct wire_field *ret)
{
	size_t pos = 0;

	while (wire_next(m, &pos, ret))
		if (wire_is_called(ret, name))
			return true;
	return false;
}

char *wire_str(const struct wire_in *m, const char *name, struct err *e)
{
	struct wire_field f;

	if (!wire_find(m, name, &f) || memchr(f.value, 0, f.len)) {
		(void)err_set(e, ERR_FORMAT, "message without a proper field %s", name);
		return NULL;
	}
	return mem_strndup((const char *)f.value, f.len, e);
}

int wire_str_or_none(const struct wire_in *m, const char *name, char **ret, struct err *e)
{
	struct wire_field f;
	char *text;

	if (!wire_find(m, name, &f)) {
		*ret = NULL;
		return 0;
	}
	text = wire_str(m, name, e);
	if (!text)
		return -1;
	*ret = text;
	return 0;
}

int wire_u64(const struct wire_in *m, const char *name, uint64_t *ret, struct err *e)
{
	struct wire_field f;
	struct le64 v;

	if (!wire_find(m, name, &f) || f.len != sizeof(v))
		return err_set(e, ERR_FORMAT, "message without a proper field %s", name);
	memcpy(&v, f.value, sizeof(v));
	*ret = le64_get(v);
	return 0;
}

uint64_t wire_u64_or(const struct wire_in *m, const char *name, uint64_t fallback)
{
	struct err ignored;
	uint64_t v;

	return wire_u64(m, name, &v, &ignored) < 0 ? fallback : v;
}

bool wire_is(const struct wire_in *m, const char *name, const char *text)
{
	struct wire_field f;

	return wire_find(m, name, &f) && f.len == strlen(text) && !memcmp(f.value, text, f.len);
}

int wire_error(const struct wire_in *m, struct err *e)
{
	struct wire_field f;

	if (!wire_find(m, "error", &f))
		return 0;
	(void)err_set(e, (enum err_code)wire_u64_or(m, "error-code", ERR_IO), "%.*s", (int)f.len,
		      (const char *)f.value);
	e->sys = (int)wire_u64_or(m, "error-errno", 0);
	return -1;
}

int wire_steal_fd(struct wire_in *m, size_t idx)
{
	int fd = -1;

	if (idx < m->nfds) {
		fd = m->fds[idx];
		m->fds[idx] = -1;
	}
	return fd;
}
