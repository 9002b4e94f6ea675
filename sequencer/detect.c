/* SPDX-License-Identifier: Apache-2.0 */
/* Detection; see detect.h.
 *
 * A command is an executable, or a link that leads to one, that is new and lies in a directory where
 * people's shells look. The directories are tried in the order of precedence that a PATH would give them,
 * because the first of two equal names wins. */
#include "sequencer/detect.h"

#include <fcntl.h>
#include <string.h>

#include "base/fd.h"
#include "base/path.h"
#include "sequencer/desktop.h"
#include "sequencer/draft.h"
#include "sequencer/glob.h"
#include "sequencer/naming.h"

static const char *const places[] = {
	"/usr/local/bin/*", "/usr/bin/*",         "/bin/*",       "@home/.local/bin/*", "@home/bin/*",
	"/usr/games/*",     "/usr/local/games/*", "/opt/*/bin/*", "/usr/local/sbin/*",  "/usr/sbin/*",
	"/sbin/*",          "/opt/bin/*",
};

/* How a command's path stands in a manifest: with the token, where it lies below the home directory. */
static const char *manifest_path(const struct seq_entry *t)
{
	return !strncmp(t->name, "@home", 5) ? t->name : t->path;
}

static bool is_executable(const struct seq_capture *c, const struct seq_entry *t)
{
	const struct seq_entry *target;
	struct stat st;

	return seq_entry_is_taken(t) && t->change != SEQ_DELETED && t->change != SEQ_PARENT &&
	       (S_ISREG(t->st.st_mode) || S_ISLNK(t->st.st_mode)) &&
	       seq_capture_resolve(c, t->path, &target, &st, NULL) == 0 && S_ISREG(st.st_mode) &&
	       (st.st_mode & 0111);
}

static int add_matching(struct pkg_manifest *m, const struct seq_capture *c, const char *pattern,
			bool only_new, struct err *e)
{
	for (size_t i = 0; i < c->count; i++) {
		const struct seq_entry *t = &c->entries[i];
		const char *path = manifest_path(t);
		bool added;

		if ((only_new && t->change != SEQ_ADDED) || !seq_glob_match(pattern, path) ||
		    !is_executable(c, t))
			continue;
		if (seq_draft_command(m, path_base(path), path, &added, e) < 0)
			return -1;
	}
	return 0;
}

static int add_given(struct pkg_manifest *m, const struct seq_capture *c, const struct seq_detect *opt,
		     struct err *e)
{
	for (size_t i = 0; i < opt->command_count; i++) {
		const char *spec = opt->commands[i], *equals = strchr(spec, '=');
		const struct seq_entry *t;
		auto_free char *name = NULL;
		struct stat st;
		bool added;

		if (!equals || equals == spec || (equals[1] != '/' && equals[1] != '@'))
			return err_set(e, ERR_USAGE, "--command %s: give NAME=/PATH/IN/THE/PACKAGE", spec);
		if (seq_capture_resolve(c, equals + 1, &t, &st, NULL) < 0)
			return err_set(e, ERR_USAGE, "--command %s: %s is not in the package", spec,
				       equals + 1);
		name = mem_strndup(spec, (size_t)(equals - spec), e);
		if (!name || seq_draft_command(m, name, equals + 1, &added, e) < 0)
			return -1;
		if (!added)
			return err_set(e, ERR_USAGE, "--command %s: \"%s\" cannot be a command's name", spec,
				       name);
	}
	return 0;
}

static int add_found(struct pkg_manifest *m, const struct seq_capture *c, const struct seq_detect *opt,
		     struct err *e)
{
	static const char *const below[] = { "bin/*", "usr/bin/*", "sbin/*", "games/*" };

	for (size_t i = 0; i < ARRAY_LEN(places); i++)
		if (add_matching(m, c, places[i], true, e) < 0)
			return -1;
	for (size_t i = 0; opt->prefix && i < ARRAY_LEN(below); i++) {
		auto_free char *pattern = path_join(opt->prefix, below[i], e);

		if (!pattern || add_matching(m, c, pattern, true, e) < 0)
			return -1;
	}
	/* A vendor's directory with the program at its top. */
	if (!m->command_count && opt->prefix) {
		auto_free char *pattern = path_join(opt->prefix, "*", e);

		if (!pattern || add_matching(m, c, pattern, true, e) < 0)
			return -1;
	}
	if (!m->command_count)
		return add_matching(m, c, "/opt/*/*", true, e);
	return 0;
}

/* ---- desktop entries ---------------------------------------------------------------------------- */

static int find_program(const struct seq_capture *c, const struct pkg_manifest *m, const char *program,
			const char **ret_path)
{
	const struct pkg_command *known = seq_draft_find(m, path_base(program));
	const struct seq_entry *t;
	struct stat st;

	if (*program == '/') {
		if (seq_capture_resolve(c, program, &t, &st, NULL) < 0 || !t || !S_ISREG(st.st_mode))
			return -1;
		*ret_path = program;
		return 0;
	}
	if (!known)
		return -1;
	*ret_path = known->path;
	return 0;
}

/* The entry's command goes to the front when it is the package's face: the first that is shown in menus. */
static int take_desktop(struct pkg_manifest *m, const struct seq_capture *c, const struct seq_entry *t,
			char **face, struct err *e)
{
	auto_buf struct buf text = BUF_INIT(SEQ_DESKTOP_TEXT_MAX);
	struct seq_desktop d = { 0 };
	const char *path;
	struct err ignored;
	bool added;
	int rc = 0;

	if (fd_read_file(AT_FDCWD, t->source, &text, &ignored) < 0 || !text.len ||
	    seq_desktop_parse((const char *)text.data, text.len, &d, &ignored) < 0)
		return 0;
	if (find_program(c, m, d.program, &path) == 0) {
		rc = seq_draft_desktop(m, manifest_path(t), e);
		if (rc == 0)
			rc = seq_draft_command(m, path_base(d.program), path, &added, e);
		if (rc == 0 && !d.no_display && (!*face || !strcmp(path_base(d.program), m->name)))
			rc = seq_draft_set(face, path_base(d.program), e);
	}
	seq_desktop_fini(&d);
	return rc;
}

static int add_desktops(struct pkg_manifest *m, const struct seq_capture *c, char **face, struct err *e)
{
	for (size_t i = 0; i < c->count; i++) {
		const struct seq_entry *t = &c->entries[i];

		if (!seq_entry_is_file(t) || t->change != SEQ_ADDED ||
		    (!seq_glob_match("/usr/**/applications/*.desktop", t->path) &&
		     !seq_glob_match("@home/.local/share/applications/*.desktop", t->name) &&
		     !seq_glob_match("/opt/**/*.desktop", t->path)))
			continue;
		if (take_desktop(m, c, t, face, e) < 0)
			return -1;
	}
	return 0;
}

/* ---- what the package is called, and what it runs -------------------------------------------------- */

static int set_identity(struct pkg_manifest *m, const struct seq_detect *opt, struct err *e)
{
	const struct seq_dpkg_package *p;

	if (opt->name) {
		if (seq_draft_set(&m->name, opt->name, e) < 0)
			return -1;
	} else {
		m->name = opt->installer ? seq_name_from_installer(opt->installer, e)
					 : seq_name_plain(opt->prefix ? path_base(opt->prefix) : "", e);
		if (!m->name)
			return -1;
	}
	if (!path_is_plain_name(m->name))
		return err_set(
			e, ERR_USAGE,
			"--name %s: a name is 1-64 letters, digits and . _ + @ -, and starts with a letter "
			"or digit",
			m->name);
	p = opt->packages ? seq_dpkg_find(opt->packages, m->name) : NULL;
	if (seq_draft_set(&m->version, opt->version ? opt->version : p ? p->version : "", e) < 0)
		return -1;
	if (opt->summary || (p && p->summary && seq_text_is_utf8(p->summary)))
		return seq_draft_set(&m->summary, opt->summary ? opt->summary : p->summary, e);
	return 0;
}

/* The first word of the first --launch, as a command of the package; added when it is a path inside. */
static int face_of_launch(struct pkg_manifest *m, const struct seq_capture *c, const struct seq_detect *opt,
			  char **face, struct err *e)
{
	auto_free char **words = NULL;
	const struct seq_entry *t;
	struct stat st;
	bool added;

	if (!opt->launch_count)
		return 0;
	if (seq_words_split(opt->launches[0], &words, e) < 0)
		return -1;
	if (!words[0])
		return err_set(e, ERR_USAGE, "--launch: empty command");
	if (words[0][0] == '/' && seq_capture_resolve(c, words[0], &t, &st, NULL) == 0 && t &&
	    seq_draft_command(m, path_base(words[0]), words[0], &added, e) < 0)
		return -1;
	return seq_draft_find(m, path_base(words[0])) ? seq_draft_set(face, path_base(words[0]), e) : 0;
}

int seq_detect_manifest(const struct seq_capture *c, const struct seq_detect *opt, struct pkg_manifest **ret,
			struct err *e)
{
	auto_draft struct pkg_manifest *m = seq_draft_new(e);
	auto_free char *desktop = NULL, *face = NULL;

	if (!m || set_identity(m, opt, e) < 0 || add_given(m, c, opt, e) < 0 || add_found(m, c, opt, e) < 0 ||
	    add_desktops(m, c, &desktop, e) < 0 || face_of_launch(m, c, opt, &face, e) < 0)
		return -1;
	if (!face && opt->command_count) /* what the user named first */
		face = mem_strdup(m->commands[0].name, e);
	if (!face && desktop)
		face = mem_steal(desktop);
	if (!face && seq_draft_find(m, m->name))
		face = mem_strdup(m->name, e);
	if (!face && m->command_count)
		face = mem_strdup(m->commands[0].name, e);
	if (!face && m->command_count)
		return -1;
	m->default_command = mem_steal(face);
	*ret = mem_steal(m);
	return 0;
}

void seq_detect_interpreter(const char *source, char ret[256])
{
	auto_fd int fd = open(source, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	char head[258];
	ssize_t n = fd < 0 ? -1 : pread(fd, head, sizeof(head) - 1, 0);
	char *p = head + 2;

	ret[0] = 0;
	if (n < 3 || head[0] != '#' || head[1] != '!')
		return;
	head[n] = 0;
	p += strspn(p, " \t");
	p[strcspn(p, "\r\n")] = 0;
	(void)snprintf(ret, 256, "%.255s", p);
}
