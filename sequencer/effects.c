/* SPDX-License-Identifier: Apache-2.0 */
/* Effects that cannot be virtualised; see effects.h.
 *
 * What a path means is in one table. Users and groups are the names that the session's database has and
 * the host's has not. */
#include "sequencer/effects.h"

#include <fcntl.h>
#include <string.h>
#include <sys/xattr.h>

#include "base/fd.h"
#include "base/path.h"
#include "sequencer/glob.h"

enum { DATABASE_MAX = 4 * 1024 * 1024 };

struct meaning {
	const char *pattern;
	const char *what, *verdict; /* "WHAT NAME (PATH) VERDICT" */
};

static const struct meaning meanings[] = {
	{ "/{usr/,}lib/systemd/system/*.{service,socket,timer,path,mount}", "systemd unit",
	  "is not started" },
	{ "/etc/systemd/system/*.{service,socket,timer,path,mount}", "systemd unit", "is not started" },
	{ "/{usr/,}lib/udev/rules.d/*", "udev rule", "has no effect" },
	{ "/etc/udev/rules.d/*", "udev rule", "has no effect" },
	{ "/{usr/,}lib/modules/**.ko*", "kernel module", "is not loaded" },
	{ "/usr/src/**/dkms.conf", "kernel module source", "is not built" },
	{ "/{usr/,}lib/modules-load.d/*.conf", "kernel modules listed in", "are not loaded" },
	{ "/etc/modules-load.d/*.conf", "kernel modules listed in", "are not loaded" },
	{ "/etc/cron.*/*", "cron job", "is not run" },
	{ "/etc/init.d/*", "init script", "is not run" },
	{ "/usr/share/dbus-1/system-services/*.service", "D-Bus system service", "is not offered" },
	{ "/usr/share/polkit-1/actions/*.policy", "polkit policy", "has no effect" },
	{ "/{usr/,}lib/{sysctl,tmpfiles,sysusers}.d/*.conf", "system settings", "are not applied" },
	{ "/etc/{sysctl,tmpfiles,sysusers}.d/*.conf", "system settings", "are not applied" },
	{ "/etc/pam.d/*", "PAM service", "has no effect on the host's logins" },
	{ "/etc/sudoers.d/*", "sudo rule", "has no effect" },
	{ "/boot/**", "boot file", "is not used" },
};

void seq_effects_fini(struct seq_effects *x)
{
	for (size_t i = 0; i < x->count; i++)
		free(x->notes[i]);
	free(x->notes);
	*x = (struct seq_effects){ 0 };
}

/* Owns `note`, which may be NULL (then *e is filled already). */
static int add_note(struct seq_effects *x, char *note, struct err *e)
{
	if (!note)
		return -1;
	if (x->count == SEQ_EFFECTS_MAX) {
		x->more++;
		free(note);
		return 0;
	}
	if (!x->notes) {
		x->notes = mem_alloc(SEQ_EFFECTS_MAX, sizeof(*x->notes), e);
		if (!x->notes) {
			free(note);
			return -1;
		}
	}
	x->notes[x->count++] = note;
	return 0;
}

/* glob.h with "{a,b}" groups, which are tried one by one; no group inside a group. */
static bool match_groups(const char *pattern, const char *path)
{
	const char *open = strchr(pattern, '{'), *close = open ? strchr(open, '}') : NULL;
	char plain[512];

	if (!close)
		return seq_glob_match(pattern, path);
	for (const char *p = open + 1; p <= close;) {
		size_t n = strcspn(p, ",}");
		int len = snprintf(plain, sizeof(plain), "%.*s%.*s%s", (int)(open - pattern), pattern, (int)n,
				   p, close + 1);

		/* Each round has one group less, so that this ends. */
		if (len > 0 && (size_t)len < sizeof(plain) && match_groups(plain, path))
			return true;
		p += n + 1;
	}
	return false;
}

static int note_entry(struct seq_effects *x, const struct seq_entry *t, struct err *e)
{
	if (t->st.st_mode & (S_ISUID | S_ISGID) && S_ISREG(t->st.st_mode))
		if (add_note(x,
			     mem_printf(e, "%s runs without its %s bit", t->path,
					t->st.st_mode & S_ISUID ? "set-user-id" : "set-group-id"),
			     e) < 0)
			return -1;
	for (size_t i = 0; i < ARRAY_LEN(meanings); i++)
		if (match_groups(meanings[i].pattern, t->path))
			return add_note(x,
					mem_printf(e, "%s %s (%s) %s", meanings[i].what, path_base(t->path),
						   t->path, meanings[i].verdict),
					e);
	return 0;
}

/* True when a line of `text` starts with the `len` characters of name and a colon. */
static bool has_name(const char *text, const char *name, size_t len)
{
	for (const char *p = text; *p; p += *p == '\n') {
		if (!strncmp(p, name, len) && p[len] == ':')
			return true;
		p += strcspn(p, "\n");
	}
	return false;
}

static int note_names(struct seq_effects *x, const char *what, const char *after, const char *before,
		      struct err *e)
{
	for (const char *p = after; *p; p += *p == '\n') {
		size_t len = strcspn(p, ":\n");

		if (len && p[len] == ':' && !has_name(before, p, len) &&
		    add_note(x,
			     mem_printf(e, "%s \"%.*s\" is not added to the host", what,
					(int)(len < 64 ? len : 64), p),
			     e) < 0)
			return -1;
		p += strcspn(p, "\n");
	}
	return 0;
}

static int note_database(struct seq_effects *x, const struct seq_capture *c, const char *host,
			 const char *path, const char *what, struct err *e)
{
	const struct seq_entry *t = seq_capture_find_name(c, path + 1);
	auto_buf struct buf after = BUF_INIT(DATABASE_MAX), before = BUF_INIT(DATABASE_MAX);
	auto_free char *below = path_join(host ? host : "/", path, e);
	const char *a, *b;
	struct err ignored;

	if (!below)
		return -1;
	if (!t || !t->source || !S_ISREG(t->st.st_mode) ||
	    fd_read_file(AT_FDCWD, t->source, &after, &ignored) < 0)
		return 0;
	if (fd_read_file(AT_FDCWD, below, &before, &ignored) < 0)
		buf_reset(&before);
	a = buf_text(&after, e);
	b = buf_text(&before, e);
	return a && b ? note_names(x, what, a, b, e) : -1;
}

/* Capabilities stand in an attribute that is not captured: the kernel would not honour it. */
static int note_capabilities(struct seq_effects *x, const struct seq_entry *t, struct err *e)
{
	if (!t->source || !S_ISREG(t->st.st_mode) || !(t->st.st_mode & 0111) ||
	    lgetxattr(t->source, "security.capability", NULL, 0) <= 0)
		return 0;
	return add_note(x, mem_printf(e, "%s runs without its file capabilities", t->path), e);
}

int seq_effects_find(const struct seq_capture *c, const char *host, struct seq_effects *ret, struct err *e)
{
	auto_effects struct seq_effects x = { 0 };

	if (note_database(&x, c, host, "/etc/passwd", "user", e) < 0 ||
	    note_database(&x, c, host, "/etc/group", "group", e) < 0)
		return -1;
	for (size_t i = 0; i < c->count; i++) {
		const struct seq_entry *t = &c->entries[i];

		if (t->change == SEQ_DELETED || t->change == SEQ_PARENT || S_ISDIR(t->st.st_mode))
			continue;
		if (!seq_entry_is_taken(t)) {
			if (t->rule == SEQ_LEFT_UNSUPPORTED &&
			    add_note(&x,
				     mem_printf(e, "%s is a %s, which a package cannot hold", t->path,
						S_ISSOCK(t->st.st_mode) ? "socket" : "device"),
				     e) < 0)
				return -1;
			continue;
		}
		if (note_entry(&x, t, e) < 0 || note_capabilities(&x, t, e) < 0)
			return -1;
	}
	*ret = x;
	x = (struct seq_effects){ 0 };
	return 0;
}
