/* SPDX-License-Identifier: Apache-2.0 */
/* Proposing configuration files; see propose.h. */
#include "sequencer/propose.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "registry-shim/lens.h"
#include "sequencer/glob.h"
#include "sequencer/scan.h"

enum { CONFIG_TEXT_MAX = 1024 * 1024, PROPOSALS_MAX = 256 };

/* Where programs keep settings. */
static const char *const places[] = { "@home/.*", "@home/.*/**", "/etc/**" };

/* Not settings, whatever they look like: data, caches, state, logs, secrets. */
static const char *const never[] = {
	"@home/.cache/**",
	"@home/.local/**",
	"@home/.profile",
	"@home/.bash*",
	"@home/.zsh*",
	"@home/.ssh/**",
	"@home/.gnupg/**",
	"@home/.config/dconf/**",
	"@home/.config/pulse/**",
	"@home/.config/systemd/**",
	"@home/.config/ibus/bus/**",
	"@home/**/*[Cc]ache*/**",
	"@home/**/*Storage/**",
	"@home/**/IndexedDB/**",
	"@home/**/[Ll]ogs/**",
	"@home/**/Crash*/**",
	"@home/**/Sessions/**",
	"*.log",
	"*.lock",
	"*.pid",
	"*.db",
	"*.desktop",
	"*.bak",
	"*.old",
	"*.tmp",
	"*~",
	"*[Hh]istory*",
	"*[Rr]ecent*",
	"*[Cc]ache*",
	"*[Cc]ookie*",
	"*[Cc]redential*",
	"*[Tt]oken*",
	"*[-_. ][Ss]tate*",
	"state.*",
	"Preferences", /* Chromium's, which signs them */
	"Secure Preferences",
	"package-lock.json",
};

/* What belongs to the system and its services, which floe does not run. */
static const char *const of_system[] = {
	"/etc/alternatives/**",  "/etc/apparmor*/**",   "/etc/apt/**",        "/etc/bash_completion.d/**",
	"/etc/ca-certificates*", "/etc/cron*/**",       "/etc/dbus-1/**",     "/etc/default/**",
	"/etc/dpkg/**",          "/etc/init*/**",       "/etc/ld.so*",        "/etc/ld.so*/**",
	"/etc/logrotate.d/**",   "/etc/modprobe.d/**",  "/etc/pam.d/**",      "/etc/profile.d/**",
	"/etc/rc*.d/**",         "/etc/security/**",    "/etc/ssl/**",        "/etc/sysctl.d/**",
	"/etc/systemd/**",       "/etc/tmpfiles.d/**",  "/etc/udev/**",       "/etc/X11/Xsession.d/**",
	"/etc/xdg/autostart/**", "/etc/xdg/systemd/**", "/etc/sysusers.d/**", "/etc/sudoers*/**",
};

static bool matches(const char *const *patterns, size_t count, const char *path)
{
	for (size_t i = 0; i < count; i++)
		if (seq_glob_match(patterns[i], path))
			return true;
	return false;
}

static bool is_candidate(const struct seq_entry *t)
{
	bool is_of_user = path_is_below(t->name, "@home");
	const char *path = is_of_user ? t->name : t->path;

	if (!seq_entry_is_file(t) || !t->st.st_size || t->st.st_size > CONFIG_TEXT_MAX ||
	    (!is_of_user && t->change != SEQ_ADDED))
		return false;
	return matches(places, ARRAY_LEN(places), path) && !matches(never, ARRAY_LEN(never), path) &&
	       !matches(of_system, ARRAY_LEN(of_system), path);
}

static bool has_sections(const struct reg_lens *lens, const char *text, size_t len)
{
	const char *key, *value;
	struct reg_doc *doc;
	struct err ignored;
	size_t pos = 0;
	bool found = false;

	if (reg_doc_parse(lens, text, len, &doc, &ignored) < 0)
		return false;
	while (!found && reg_doc_next(doc, &pos, &key, &value))
		found = strchr(key, '/') != NULL;
	reg_doc_free(doc);
	return found;
}

/* The user's settings without a doubt: below @config, and of a kind that no other text looks like. A list of
 * NAME=VALUE may be anything; JSON without its name is mostly data. */
static bool is_certain(const char *path, const struct reg_lens *lens, const char *text, size_t len)
{
	const char *name = reg_lens_name(lens);

	if (!path_is_below(path, "@config") || !strcmp(name, "shell"))
		return false;
	if (!strcmp(name, "json"))
		return reg_lens_of_name(path) == lens;
	return strcmp(name, "ini") != 0 || has_sections(lens, text, len);
}

static char *manifest_path(const char *name, struct err *e)
{
	if (path_is_below(name, "@home/.config"))
		return mem_printf(e, "@config%s", name + strlen("@home/.config"));
	return *name == '@' ? mem_strdup(name, e) : mem_printf(e, "/%s", name);
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
		.is_certain = is_certain(path, lens, (const char *)text.data, text.len),
	};
	path = NULL;
	return 0;
}

int seq_propose(const struct seq_capture *c, struct seq_lesson *ret, struct err *e)
{
	for (size_t i = 0; i < c->count; i++)
		if (is_candidate(&c->entries[i]) && propose(ret, &c->entries[i], e) < 0)
			return -1;
	return 0;
}

int seq_propose_upper(const char *upper, const volatile bool *cancel, struct seq_lesson *ret, struct err *e)
{
	auto_capture struct seq_capture c = SEQ_CAPTURE_INIT;
	auto_free char *home = path_home(e);
	struct seq_scan scan = {
		.dir = upper, .home = home, .uid = getuid(), .gid = getgid(), .cancel = cancel
	};

	return !home || seq_scan_upper(&scan, &c, NULL, e) < 0 ? -1 : seq_propose(&c, ret, e);
}
