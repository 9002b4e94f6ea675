/* SPDX-License-Identifier: Apache-2.0 */
/* floe serve: a directory of packages over HTTP, for a colleague, a class-room or a test. Any other web
 * server does as well. Reads only: regular files below the directory, no hidden ones, nothing above it.
 * <microhttpd.h> is included only here. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/fd.h"
#include "base/log.h"
#include "launcher/cmd_serve_index.h"
#include "launcher/cmd_serve_request.h"
#include "launcher/verbs.h"

enum { THREADS = 4, CONNECTIONS_MAX = 1000, IDLE_S = 60, PAGE_MAX = 64 * 1024 * 1024 };

static const char USAGE[] =
	"Usage: floe serve DIR [--port N] [--bind ADDR] [-v]\n\n"
	"Offers the packages of a directory over HTTP until Ctrl-C. A browser sees a\n"
	"catalogue of them.\n"
	"Any web server that knows ranges does the same; this one needs no set-up.\n\n"
	"  -p, --port N     default 8080; 0 takes a free one\n"
	"  -b, --bind ADDR  default 127.0.0.1, this machine only; 0.0.0.0 or :: is for everyone\n"
	"  -v, --verbose    say who fetches what\n"
	"  -h, --help       this text\n";

struct server {
	int dir_fd;
	char host[INET6_ADDRSTRLEN + 16]; /* "127.0.0.1:8080", for clients that name none */
};

/* ---- finding what is asked for ---------------------------------------------------------- */

/* Hidden names do not exist here, nor do "." and "..". */
static bool is_servable(const char *path)
{
	for (const char *p = path; (p = strchr(p, '/')); p++)
		if (p[1] == '.')
			return false;
	return path[0] == '/';
}

/* Beneath the directory whatever symbolic links and races do; the kernel sees to it. */
static int open_beneath(int dir_fd, const char *path)
{
	struct open_how how = { .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
				.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS };

	path += strspn(path, "/");
	return (int)syscall(SYS_openat2, dir_fd, *path ? path : ".", &how, sizeof(how));
}

static const char *type_of(const char *path)
{
	static const char *const types[][2] = {
		{ ".floe", "application/octet-stream" },
		{ ".html", "text/html; charset=utf-8" },
		{ ".txt", "text/plain; charset=utf-8" },
		{ ".json", "application/json" },
		{ ".png", "image/png" },
		{ ".svg", "image/svg+xml" },
	};
	size_t len = strlen(path);

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		size_t n = strlen(types[i][0]);

		if (len >= n && strcmp(path + len - n, types[i][0]) == 0)
			return types[i][1];
	}
	return "application/octet-stream";
}

/* ---- answering -------------------------------------------------------------------------- */

struct visit {
	struct server *s;
	struct MHD_Connection *connection;
	const char *method, *path;
};

static void log_visit(const struct visit *v, unsigned status, uint64_t off, uint64_t len)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(v->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	char who[INET6_ADDRSTRLEN] = "?", path[256];
	size_t n = 0;

	if (log_get_level() < LOG_VERBOSE)
		return;
	if (info && info->client_addr->sa_family == AF_INET)
		(void)inet_ntop(AF_INET, &((struct sockaddr_in *)(void *)info->client_addr)->sin_addr, who,
				sizeof(who));
	else if (info && info->client_addr->sa_family == AF_INET6)
		(void)inet_ntop(AF_INET6, &((struct sockaddr_in6 *)(void *)info->client_addr)->sin6_addr, who,
				sizeof(who));
	/* What a stranger sends must not steer the terminal. */
	for (const char *p = v->path; *p && n < sizeof(path) - 1; p++)
		path[n++] = (unsigned char)*p < 32 || *p == 127 ? '?' : *p;
	path[n] = '\0';
	log_detail("%s %.8s %s %u, %" PRIu64 " bytes from %" PRIu64, who, v->method, path, status, len, off);
}

static void add(struct MHD_Response *r, const char *name, const char *value)
{
	(void)MHD_add_response_header(r, name, value);
}

/* Our own pages need no scripts, and pictures of packages get none. */
static void add_policy(struct MHD_Response *r, const char *type)
{
	if (!strcmp(type, "page") || !strcmp(type, "image/svg+xml"))
		add(r, "Content-Security-Policy",
		    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'");
}

static enum MHD_Result send_response(const struct visit *v, unsigned status, struct MHD_Response *r,
				     uint64_t off, uint64_t len)
{
	enum MHD_Result sent;

	if (!r)
		return MHD_NO;
	add(r, "Server", "floe/" FLOE_VERSION);
	add(r, "X-Content-Type-Options", "nosniff");
	log_visit(v, status, off, len);
	sent = MHD_queue_response(v->connection, status, r);
	MHD_destroy_response(r);
	return sent;
}

static enum MHD_Result send_text(const struct visit *v, unsigned status, const char *text)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(strlen(text), (void *)(uintptr_t)text,
								 MHD_RESPMEM_PERSISTENT);

	if (r) {
		add(r, "Content-Type", "text/plain; charset=utf-8");
		if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
			add(r, "Allow", "GET, HEAD");
	}
	return send_response(v, status, r, 0, strlen(text));
}

static const char *header(const struct visit *v, const char *name)
{
	return MHD_lookup_connection_value(v->connection, MHD_HEADER_KIND, name);
}

static enum MHD_Result send_file(const struct visit *v, int fd, const struct stat *st)
{
	struct serve_request request = { .range = header(v, "Range"),
					 .if_range = header(v, "If-Range"),
					 .if_match = header(v, "If-Match"),
					 .if_none_match = header(v, "If-None-Match"),
					 .if_modified_since = header(v, "If-Modified-Since"),
					 .if_unmodified_since = header(v, "If-Unmodified-Since"),
					 .is_head = strcmp(v->method, "HEAD") == 0 };
	struct serve_validators validators;
	struct serve_verdict verdict;
	struct MHD_Response *r;
	char range[96];

	serve_validators_of(st, &validators);
	verdict = serve_judge(&request, &validators);
	if (verdict.status == 200 || verdict.status == 206) {
		r = MHD_create_response_from_fd_at_offset64(verdict.len, fd, verdict.off);
		if (!r)
			close(fd); /* else the response owns it */
	} else {
		close(fd);
		r = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
	}
	if (!r)
		return MHD_NO;
	add(r, "Accept-Ranges", "bytes");
	add(r, "ETag", validators.etag);
	if (validators.modified[0])
		add(r, "Last-Modified", validators.modified);
	add(r, "Content-Type", type_of(v->path));
	add_policy(r, type_of(v->path));
	if (verdict.status == 206)
		(void)snprintf(range, sizeof(range), "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, verdict.off,
			       verdict.off + verdict.len - 1, validators.len);
	else
		(void)snprintf(range, sizeof(range), "bytes */%" PRIu64, validators.len);
	if (verdict.status == 206 || verdict.status == 416)
		add(r, "Content-Range", range);
	return send_response(v, verdict.status, r, verdict.off, verdict.len);
}

/* The Host header goes into a page: only what a host name, an address and a port are made of. */
static const char *host_of(const struct visit *v)
{
	const char *host = header(v, "Host");

	if (!host || !*host || strlen(host) > 255 ||
	    host[strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]")])
		return v->s->host;
	return host;
}

static enum MHD_Result send_directory(const struct visit *v, int fd)
{
	auto_buf struct buf page = BUF_INIT(PAGE_MAX);
	struct MHD_Response *r;
	struct err e;
	int rc;

	if (v->path[strlen(v->path) - 1] != '/') {
		const char *name = strrchr(v->path, '/') + 1;
		auto_free char *target = NULL;

		/* Relative, and only for names that need no escaping; others are reached through the list. */
		if (name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")])
			return send_text(v, MHD_HTTP_NOT_FOUND, "There is nothing here.\n");
		target = mem_printf(&e, "%s/", name);
		r = target ? MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT) : NULL;
		if (r)
			add(r, "Location", target);
		return send_response(v, MHD_HTTP_MOVED_PERMANENTLY, r, 0, 0);
	}
	rc = serve_index_page(fd, v->path, host_of(v), &page, &e);
	if (rc < 0)
		return send_text(v, MHD_HTTP_INTERNAL_SERVER_ERROR, "The directory cannot be read.\n");
	r = MHD_create_response_from_buffer(page.len, page.data, MHD_RESPMEM_MUST_COPY);
	if (r) {
		add(r, "Content-Type", "text/html; charset=utf-8");
		add_policy(r, "page");
	}
	return send_response(v, MHD_HTTP_OK, r, 0, page.len);
}

static enum MHD_Result serve(const struct visit *v)
{
	enum MHD_Result sent;
	struct stat st;
	int fd;

	if (strcmp(v->method, "GET") != 0 && strcmp(v->method, "HEAD") != 0)
		return send_text(v, MHD_HTTP_METHOD_NOT_ALLOWED, "Only GET and HEAD.\n");
	fd = is_servable(v->path) ? open_beneath(v->s->dir_fd, v->path) : -1;
	if (fd < 0 || fstat(fd, &st) < 0 || !(S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))) {
		fd_close(fd);
		return send_text(v, MHD_HTTP_NOT_FOUND, "There is nothing here.\n");
	}
	if (S_ISREG(st.st_mode))
		return send_file(v, fd, &st);
	sent = send_directory(v, fd);
	close(fd);
	return sent;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *upload,
				  size_t *upload_len, void **state)
{
	static int seen;
	struct visit v = { arg, connection, method, url };

	(void)version;
	(void)upload;
	/* The first call comes before a body that nobody wants; it is read and dropped. */
	if (!*state) {
		*state = &seen;
		return MHD_YES;
	}
	if (*upload_len) {
		*upload_len = 0;
		return MHD_YES;
	}
	return serve(&v);
}

/* ---- the verb --------------------------------------------------------------------------- */

struct options {
	const char *dir, *bind;
	uint16_t port;
};

static int make_address(const struct options *o, struct sockaddr_storage *ret, struct err *e)
{
	struct sockaddr_in *four = (void *)ret;
	struct sockaddr_in6 *six = (void *)ret;

	memset(ret, 0, sizeof(*ret));
	if (inet_pton(AF_INET, o->bind, &four->sin_addr) == 1) {
		four->sin_family = AF_INET;
		four->sin_port = htons(o->port);
		return 0;
	}
	memset(ret, 0, sizeof(*ret));
	if (inet_pton(AF_INET6, o->bind, &six->sin6_addr) == 1) {
		six->sin6_family = AF_INET6;
		six->sin6_port = htons(o->port);
		return 0;
	}
	return err_set(e, ERR_USAGE, "%s: not an address; give one like 127.0.0.1, 0.0.0.0 or ::1", o->bind);
}

static struct MHD_Daemon *start(struct server *s, const struct options *o, struct err *e)
{
	struct sockaddr_storage address;
	unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_AUTO;
	const union MHD_DaemonInfo *info;
	struct MHD_Daemon *d;

	if (make_address(o, &address, e) < 0)
		return NULL;
	if (address.ss_family == AF_INET6)
		flags |= MHD_USE_IPv6;
	errno = 0;
	d = MHD_start_daemon(flags, o->port, NULL, NULL, on_request, s, MHD_OPTION_SOCK_ADDR, &address,
			     MHD_OPTION_THREAD_POOL_SIZE, (unsigned)THREADS, MHD_OPTION_CONNECTION_LIMIT,
			     (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S,
			     MHD_OPTION_END);
	if (!d) {
		(void)err_sys(e, errno ? errno : EIO, "cannot serve on %s port %u", o->bind, o->port);
		return NULL;
	}
	info = MHD_get_daemon_info(d, MHD_DAEMON_INFO_BIND_PORT);
	(void)snprintf(s->host, sizeof(s->host), address.ss_family == AF_INET6 ? "[%s]:%u" : "%s:%u", o->bind,
		       info ? info->port : o->port);
	return d;
}

/* Until Ctrl-C, or a polite end. */
static int serve_directory(const struct options *o, struct err *e)
{
	auto_fd int dir_fd = open(o->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct server s = { .dir_fd = dir_fd };
	struct MHD_Daemon *d;
	sigset_t ends;
	int which;

	if (dir_fd < 0)
		return err_sys(e, errno, "%s", o->dir);
	(void)sigemptyset(&ends);
	(void)sigaddset(&ends, SIGINT);
	(void)sigaddset(&ends, SIGTERM);
	(void)sigaddset(&ends, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &ends, NULL); /* before the threads, which inherit it */
	d = start(&s, o, e);
	if (!d)
		return -1;
	(void)printf("Serving %s at http://%s/ (Ctrl-C ends it)\n", o->dir, s.host);
	(void)fflush(stdout);
	(void)sigwait(&ends, &which);
	MHD_stop_daemon(d);
	return 0;
}

static int parse_port(const char *text, uint16_t *ret, struct err *e)
{
	unsigned long port;
	char *end;

	errno = 0;
	port = strtoul(text, &end, 10);
	if (errno || end == text || *end || port > 65535 || *text == '-')
		return err_set(e, ERR_USAGE, "%s: not a port; give a number from 0 to 65535", text);
	*ret = (uint16_t)port;
	return 0;
}

int cmd_serve(int argc, char **argv)
{
	static const struct option options[] = {
		{ "port", required_argument, NULL, 'p' },
		{ "bind", required_argument, NULL, 'b' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct options o = { .bind = "127.0.0.1", .port = 8080 };
	struct err e;
	int option, rc = 0;

	while (rc == 0 && (option = getopt_long(argc, argv, "p:b:vh", options, NULL)) != -1) {
		if (option == 'p') {
			rc = parse_port(optarg, &o.port, &e);
		} else if (option == 'b') {
			o.bind = optarg;
		} else if (option == 'v') {
			log_setup("floe", LOG_VERBOSE);
		} else if (option == 'h') {
			(void)fputs(USAGE, stdout);
			return 0;
		} else {
			return 125; /* getopt has said why */
		}
	}
	if (rc == 0 && optind + 1 != argc)
		rc = err_set(&e, ERR_USAGE, "give one directory; see floe serve --help");
	if (rc == 0) {
		o.dir = argv[optind];
		rc = serve_directory(&o, &e);
	}
	if (rc == 0)
		return 0;
	log_error("%s", e.msg);
	return err_exit_status(&e);
}
