/* SPDX-License-Identifier: Apache-2.0 */
/* Names for packages; see naming.h. The command line is taken as one list of words, so that what stands in
 * "sh -c '...'" is seen too. */
#include "sequencer/naming.h"

#include <ctype.h>
#include <string.h>

#include "base/path.h"

enum { LINE_MAX_LEN = 256 * 1024 };

char *seq_name_plain(const char *text, struct err *e)
{
	char name[65];
	size_t len = 0;

	for (; *text && len < 64; text++) {
		if (isalnum((unsigned char)*text) || (len && strchr("._+@-", *text)))
			name[len++] = *text;
		else if (len && name[len - 1] != '-')
			name[len++] = '-';
	}
	while (len && strchr("-.", name[len - 1]))
		len--;
	name[len] = 0;
	return mem_strdup(len ? name : "application", e);
}

/* "gimp=2.10", "gimp/stable", "gimp:amd64", "black==22", "black[jupyter]>=22" -> without what follows. */
static char *without_version(const char *word, struct err *e)
{
	auto_free char *bare = mem_strndup(word, strcspn(word, "=/:<>~![;"), e);

	return bare ? seq_name_plain(bare, e) : NULL;
}

/* "./mc_4.8.29-2_amd64.deb" -> "mc"; "Blender-4.1-linux.run" -> "Blender". */
static char *from_file(const char *word, struct err *e)
{
	const char *base = path_base(word);
	size_t len = strcspn(base, "_");
	auto_free char *bare = NULL;

	if (!base[len])
		for (len = 0; base[len] && !((base[len] == '-' && isdigit((unsigned char)base[len + 1])) ||
					     base[len] == '.');)
			len++;
	bare = mem_strndup(base, len, e);
	return bare ? seq_name_plain(bare, e) : NULL;
}

static bool is_package_file(const char *word)
{
	static const char *const endings[] = { ".deb", ".rpm", ".whl", ".run", ".AppImage" };
	size_t len = strlen(word);

	for (size_t i = 0; i < ARRAY_LEN(endings); i++)
		if (len > strlen(endings[i]) && !strcmp(word + len - strlen(endings[i]), endings[i]))
			return true;
	return false;
}

static bool is_manager(const char *word)
{
	static const char *const managers[] = { "apt-get", "apt",    "aptitude", "nala", "dnf",
						"yum",     "zypper", "pip",      "pip3", "pipx",
						"npm",     "cargo",  "gem",      "apk",  "pacman",
						"cpanm",   "dpkg",   "go",       "rpm",  "conda" };

	for (size_t i = 0; i < ARRAY_LEN(managers); i++)
		if (!strcmp(path_base(word), managers[i]))
			return true;
	return false;
}

static bool is_verb(const char *word)
{
	static const char *const verbs[] = { "install", "add", "-S", "-i", "--install", "-Sy", "-Syu", "in" };

	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		if (!strcmp(word, verbs[i]))
			return true;
	return false;
}

/* Options that a package manager follows with a word of its own. */
static bool takes_word(const char *word)
{
	static const char *const options[] = { "-t", "--target-release", "-o",       "--option", "-c",
					       "-r", "--target",         "--prefix", "--root",   "-a" };

	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		if (!strcmp(word, options[i]))
			return true;
	return false;
}

/* Walks the words of `line`, which it cuts up. NULL when no package manager installs anything. */
static char *from_words(char *line, struct err *e, bool *ret_failed)
{
	bool seen_manager = false, seen_verb = false, skip = false;
	char *name = NULL, *save = NULL;

	for (char *w = strtok_r(line, " \t\r\n;&|()'\"", &save); w && !name;
	     w = strtok_r(NULL, " \t\r\n;&|()'\"", &save)) {
		if (skip) {
			skip = false;
		} else if (is_package_file(w)) {
			name = from_file(w, e);
			*ret_failed = !name;
			break;
		} else if (!seen_manager || !seen_verb) {
			seen_manager |= is_manager(w);
			seen_verb = seen_manager && is_verb(w);
		} else if (takes_word(w)) {
			skip = true;
		} else if (*w != '-' && *w != '.' && *w != '$') {
			name = without_version(*w == '/' ? path_base(w) : w, e);
			*ret_failed = !name;
			break;
		}
	}
	return name;
}

char *seq_name_from_installer(char *const *argv, struct err *e)
{
	auto_buf struct buf line = BUF_INIT(LINE_MAX_LEN);
	auto_free char *copy = NULL;
	const char *text;
	bool failed = false;
	char *name;

	for (char *const *a = argv; *a; a++)
		if (buf_printf(&line, e, "%s ", *a) < 0)
			return NULL;
	text = buf_text(&line, e);
	copy = text ? mem_strdup(text, e) : NULL;
	if (!copy)
		return NULL;
	name = from_words(copy, e, &failed);
	if (name || failed)
		return name;
	/* "sh ./setup.sh": the script is the installer, not the shell. */
	if (argv[0] && argv[1] && argv[1][0] != '-' &&
	    (!strcmp(path_base(argv[0]), "sh") || !strcmp(path_base(argv[0]), "bash") ||
	     !strncmp(path_base(argv[0]), "python", 6) || !strcmp(path_base(argv[0]), "perl")))
		argv++;
	return from_file(argv[0] ? argv[0] : "", e);
}
