/* SPDX-License-Identifier: Apache-2.0 */
/* floe cache profile: what launches on this machine taught, for the next build of the package. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "launcher/cmd_cache.h"
#include "launcher/cmd_package.h"
#include "package-format/touches.h"

struct learnt {
	uint32_t *chunks; /* owned; a chunk that several commands touched comes several times */
	size_t count;
	unsigned commands; /* of which something is known */
};

static void learnt_fini(struct learnt *l)
{
	free(l->chunks);
}

static int add(struct learnt *l, struct stream_package *p, const char *command, struct err *e)
{
	auto_free uint32_t *chunks = NULL;
	uint32_t *grown;
	size_t count;

	if (stream_package_learnt(p, command, &chunks, &count, e) < 0)
		return e->code == ERR_NOTFOUND ? 0 : -1;
	l->commands++;
	grown = mem_grow(l->chunks, l->count + count, sizeof(*grown), e);
	if (!grown)
		return -1;
	l->chunks = grown;
	for (size_t i = 0; i < count; i++)
		grown[l->count++] = chunks[i];
	return 0;
}

static int add_all(struct learnt *l, struct stream_package *p, struct err *e)
{
	const struct pkg_manifest *m = pkg_index_manifest(stream_package_index(p));

	if (add(l, p, NULL, e) < 0)
		return -1;
	for (size_t i = 0; i < m->command_count; i++) {
		const char *name = m->commands[i].name;
		bool is_default = m->default_command ? !strcmp(name, m->default_command) : !i;

		if (!is_default && add(l, p, name, e) < 0)
			return -1;
	}
	return 0;
}

int cmd_cache_profile(struct stream_cache *c, const char *dir, const char *ref, const char *command,
		      const char *out_path, struct err *e)
{
	__attribute__((cleanup(learnt_fini))) struct learnt l = { 0 };
	auto_package struct stream_package *p = NULL;
	auto_buf struct buf text = BUF_INIT(PKG_TOUCHES_TEXT_MAX);
	auto_free struct pkg_touch *touches = NULL;
	size_t count;

	if (cmd_cache_open_learnt(c, dir, ref, &p, e) < 0 ||
	    (command ? add(&l, p, command, e) : add_all(&l, p, e)) < 0)
		return -1;
	if (!l.commands)
		return err_set(
			e, ERR_NOTFOUND,
			"nothing was learnt of %s%s%s yet: launch it, and end it, or wait until it has "
			"started",
			ref, command ? ", command " : "", command ? command : "");
	if (pkg_touches_of_chunks(stream_package_index(p), l.chunks, l.count, &touches, &count, e) < 0 ||
	    pkg_touches_print(stream_package_index(p), touches, count, &text, e) < 0)
		return err_wrap(e, "%s", ref);
	return out_path ? fd_write_file(AT_FDCWD, out_path, text.data, text.len, 0644, e)
			: fd_write_all(STDOUT_FILENO, text.data, text.len, e);
}
