/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration files of well-known programs; see known.h. */
#include "sequencer/known.h"

#include <fcntl.h>
#include <string.h>

#include "base/fd.h"
#include "base/path.h"
#include "sequencer/desktop.h"
#include "sequencer/draft.h"
#include "sequencer/glob.h"
#include "sequencer/pack.h"

static int declare_line(const char *line, size_t len, const char *name, unsigned number,
			struct pkg_manifest *m, const struct seq_capture *c, struct err *e)
{
	auto_free char *copy = mem_strndup(line, len, e);
	auto_free char **words = NULL;
	auto_free char *spec = NULL;

	if (!copy || seq_words_split(copy, &words, e) < 0)
		return -1;
	if (!words[0] || words[0][0] == '#')
		return 0;
	if (strcmp(words[0], "config") || !words[1] || !words[2] || !words[3] || words[4])
		return err_set(e, ERR_FORMAT, "%s, line %u: a line is \"config COMMAND PATH LENS\"", name,
			       number);
	if (!seq_draft_find(m, words[1]))
		return 0;
	spec = mem_printf(e, "%s:%s", words[2], words[3]);
	if (!spec)
		return -1;
	if (seq_pack_declare_config(m, c, spec, e) < 0)
		return err_wrap(e, "%s, line %u", name, number);
	return 0;
}

int seq_known_declare(const char *text, const char *name, struct pkg_manifest *m, const struct seq_capture *c,
		      struct err *e)
{
	unsigned number = 1;

	for (const char *p = text; *p; number++) {
		size_t len = strcspn(p, "\n");

		/* A comment may hold a quote that does not end. */
		if (*p != '#' && declare_line(p, len, name, number, m, c, e) < 0)
			return -1;
		p += len + (p[len] == '\n');
	}
	return 0;
}

int seq_known_declare_default(struct pkg_manifest *m, const struct seq_capture *c, struct err *e)
{
	auto_free char *path = path_of_install("share/floe/config.rules", e);
	auto_buf struct buf text = BUF_INIT(SEQ_KNOWN_TEXT_MAX);
	const char *s;

	if (!path || fd_read_file(AT_FDCWD, path, &text, e) < 0)
		return err_wrap(e, "cannot read the list of configuration files");
	s = buf_text(&text, e);
	return s ? seq_known_declare(s, path, m, c, e) : -1;
}

int seq_known_declare_gsettings(struct pkg_manifest *m, const struct seq_capture *c, struct err *e)
{
	for (size_t i = 0; i < c->count; i++)
		if (seq_entry_is_file(&c->entries[i]) &&
		    seq_glob_match("**/glib-2.0/schemas/*.gschema.xml", c->entries[i].path))
			return seq_draft_config(m, "@config/glib-2.0/settings/keyfile", "gsettings", NULL,
						e) < 0
				       ? -1
				       : seq_draft_env(m, "GSETTINGS_BACKEND", "keyfile", e);
	return 0;
}
