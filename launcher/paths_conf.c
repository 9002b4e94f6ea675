/* SPDX-License-Identifier: Apache-2.0 */
/* Reading paths.conf; see paths_conf.h. A file that is wrong in one line is wrong as a whole: half an
 * administrator's policy is none. */
#include "launcher/paths_conf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/path.h"
#include "launcher/launch_info.h"

enum { FILE_MAX = 64 * 1024, WORDS_MAX = 3 };

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Cuts a quoted word at *at in place; *at moves behind the closing quote. */
static int take_quoted(char **at, char **ret, struct err *e)
{
	char *in = *at + 1, *out = in;

	*ret = out;
	for (; *in && *in != '"'; in++) {
		if (*in == '\\') {
			in++;
			if (*in != '"' && *in != '\\')
				return err_set(e, ERR_FORMAT, "only \\\" and \\\\ have a meaning in quotes");
		}
		*out++ = *in;
	}
	if (!*in)
		return err_set(e, ERR_FORMAT, "a quote is not closed");
	if (in[1] && !is_blank(in[1]))
		return err_set(e, ERR_FORMAT, "a blank is missing behind a quote");
	*out = 0;
	*at = in + 1;
	return 0;
}

/* Words of a line, which is changed. */
static int split(char *line, char **words, size_t *ret_count, struct err *e)
{
	size_t count = 0;

	for (char *at = line;;) {
		while (is_blank(*at))
			at++;
		if (!*at || *at == '#')
			break;
		if (count == WORDS_MAX)
			return err_set(e, ERR_FORMAT,
				       "too many words (a path with blanks stands in double quotes)");
		if (*at == '"') {
			if (take_quoted(&at, &words[count++], e) < 0)
				return -1;
			continue;
		}
		words[count++] = at;
		while (*at && !is_blank(*at))
			at++;
		if (*at)
			*at++ = 0;
	}
	*ret_count = count;
	return 0;
}

static char *resolve(const char *path, struct err *e)
{
	if (*path == '~' && (!path[1] || path[1] == '/')) {
		auto_free char *home = path_home(e);
		auto_free char *joined = home ? path_join(home, path + 1 + (path[1] == '/'), e) : NULL;

		return joined ? path_absolute(joined, e) : NULL;
	}
	if (*path != '/' && *path != '@') {
		(void)err_set(e, ERR_FORMAT, "%s: a path begins with /, ~/ or a token like @documents", path);
		return NULL;
	}
	return launch_token_resolve(path, e);
}

/* `first`: of the file's rules among all. */
static int check_new(const struct launch_rules *rules, size_t first, const struct launch_rule *last,
		     struct err *e)
{
	for (size_t i = first; i + 1 < rules->count; i++)
		if (!strcmp(rules->list[i].path, last->path))
			return err_set(e, ERR_FORMAT, "%s has a rule already (%s)", last->path,
				       rules->list[i].where);
	return 0;
}

static int take_line(char *line, const char *where, enum launch_rule_source source, size_t first,
		     struct launch_rules *rules, struct err *e)
{
	struct launch_rule rule = { .where = (char *)where, .source = source };
	auto_free char *path = NULL;
	char *words[WORDS_MAX];
	size_t count, before = rules->count;

	if (split(line, words, &count, e) < 0)
		return -1;
	if (!count)
		return 0;
	if (!launch_policy_of_word(words[0], &rule.policy))
		return err_set(e, ERR_FORMAT, "\"%.80s\" is none of private, direct, read-only and hidden",
			       words[0]);
	if (count < 2)
		return err_set(e, ERR_FORMAT, "%s: a path is missing", words[0]);
	if (count > 2 && strcmp(words[2], "locked") != 0)
		return err_set(
			e, ERR_FORMAT,
			"\"%.80s\" behind the path: only \"locked\" may stand there (a path with blanks "
			"stands in double quotes)",
			words[2]);
	rule.is_locked = count > 2;
	path = resolve(words[1], e);
	if (!path)
		return -1;
	rule.path = path;
	if (launch_rules_add(rules, &rule, e) < 0)
		return -1;
	return rules->count > before ? check_new(rules, first, &rules->list[before], e) : 0;
}

/* Errors of launch_rules_add begin with the rule's origin already. */
static int wrap(const char *where, struct err *e)
{
	return strncmp(e->msg, where, strlen(where)) ? err_wrap(e, "%s", where) : -1;
}

int launch_paths_conf_parse(char *text, const char *file, enum launch_rule_source source,
			    struct launch_rules *rules, struct err *e)
{
	size_t first = rules->count, line_no = 0;

	for (char *line = text, *next; line; line = next) {
		auto_free char *where = mem_printf(e, "%s:%zu", file, ++line_no);

		next = strchr(line, '\n');
		if (next)
			*next++ = 0;
		if (!where)
			return -1;
		if (take_line(line, where, source, first, rules, e) < 0)
			return wrap(where, e);
	}
	return 0;
}

int launch_paths_conf_read(const char *file, enum launch_rule_source source, struct launch_rules *rules,
			   struct err *e)
{
	auto_buf struct buf text = BUF_INIT(FILE_MAX);

	if (fd_read_file(AT_FDCWD, file, &text, e) < 0) {
		if (e->sys == ENOENT || e->sys == ENOTDIR)
			return 0;
		return err_wrap(e, "path rules");
	}
	if (memchr(text.data ? text.data : (void *)"", 0, text.len))
		return err_set(e, ERR_FORMAT, "%s: a NUL byte: this is no text file", file);
	if (!buf_text(&text, e))
		return -1;
	return launch_paths_conf_parse((char *)text.data, file, source, rules, e);
}
