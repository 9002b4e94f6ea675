/* SPDX-License-Identifier: Apache-2.0 */
/* Proposing configuration files; see learn_config.h. */
#include "sequencer/learn_config.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "registry-shim/lens.h"
#include "sequencer/glob.h"
#include "sequencer/scan.h"

enum { CONFIG_TEXT_MAX = 1024 * 1024, PROPOSALS_MAX = 256 };

/* Not settings, whatever they look like. */
static const char *const never[] = {
	"@home/.cache/**", "@home/**/cache/**",     "*.log",     "*.lock", "*.json", "*.xml", "*.db",
	"*history*",       "@home/.local/state/**", "*.desktop",
};

static bool is_candidate(const struct seq_entry *t)
{
	if (!seq_entry_is_file(t) || strncmp(t->name, "@home/", 6) || !t->st.st_size ||
	    t->st.st_size > CONFIG_TEXT_MAX)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(never); i++)
		if (seq_glob_match(never[i], t->name))
			return false;
	return true;
}

/* Certain is a file with a key in a named section, not one that merely offers no resistance. */
static bool has_sections(const struct reg_lens *lens, const char *text, size_t len)
{
	const char *key, *value, *slash;
	struct reg_doc *doc;
	struct err ignored;
	size_t pos = 0;
	bool found = false;

	if (reg_doc_parse(lens, text, len, &doc, &ignored) < 0)
		return false;
	while (!found && reg_doc_next(doc, &pos, &key, &value)) {
		slash = strchr(key, '/');
		found = slash && slash > key;
	}
	reg_doc_free(doc);
	return found;
}

static char *manifest_path(const char *name, struct err *e)
{
	if (path_is_below(name, "@home/.config"))
		return mem_printf(e, "@config%s", name + strlen("@home/.config"));
	if (path_is_below(name, "@home/.local/share"))
		return mem_printf(e, "@data%s", name + strlen("@home/.local/share"));
	return mem_strdup(name, e);
}

static int propose(struct seq_lesson *l, const struct seq_entry *t, struct err *e)
{
	auto_buf struct buf text = BUF_INIT(CONFIG_TEXT_MAX);
	auto_free char *path = NULL;
	const struct reg_lens *lens;
	struct seq_proposal *grown;
	struct err ignored;

	if (fd_read_file(AT_FDCWD, t->source, &text, &ignored) < 0 || !text.len)
		return 0;
	lens = reg_lens_guess(t->name, (const char *)text.data, text.len);
	if (!lens)
		return 0;
	path = manifest_path(t->name, e);
	if (!path)
		return -1;
	for (size_t i = 0; i < l->proposal_count; i++)
		if (!strcmp(l->proposals[i].path, path))
			return 0;
	if (l->proposal_count == PROPOSALS_MAX)
		return 0;
	grown = mem_grow(l->proposals, l->proposal_count + 1, sizeof(*grown), e);
	if (!grown)
		return -1;
	l->proposals = grown;
	grown[l->proposal_count++] = (struct seq_proposal){
		.path = path,
		.lens = reg_lens_name(lens),
		.is_certain = path_is_below(path, "@config") &&
			      has_sections(lens, (const char *)text.data, text.len),
	};
	path = NULL;
	return 0;
}

int seq_learn_config(const char *upper, const volatile bool *cancel, struct seq_lesson *ret, struct err *e)
{
	auto_capture struct seq_capture c = SEQ_CAPTURE_INIT;
	auto_free char *home = path_home(e);
	struct seq_scan scan = {
		.dir = upper, .home = home, .uid = getuid(), .gid = getgid(), .cancel = cancel
	};

	if (!home || seq_scan_upper(&scan, &c, NULL, e) < 0)
		return -1;
	for (size_t i = 0; i < c.count; i++)
		if (is_candidate(&c.entries[i]) && propose(ret, &c.entries[i], e) < 0)
			return -1;
	return 0;
}
