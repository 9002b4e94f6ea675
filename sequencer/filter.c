/* SPDX-License-Identifier: Apache-2.0 */
/* The junk rules; see filter.h. */
#include "sequencer/filter.h"

#include <ctype.h>
#include <fcntl.h>
#include <string.h>

#include "base/fd.h"
#include "base/path.h"
#include "sequencer/glob.h"

void seq_rules_fini(struct seq_rules *r)
{
	for (size_t i = 0; i < r->count; i++) {
		free(r->rules[i].pattern);
		free(r->rules[i].comment);
	}
	free(r->rules);
	r->rules = NULL;
	r->count = 0;
}

/* The line without blanks at its ends, cut out of `text`. */
static void trim(const char **start, size_t *len)
{
	while (*len && isspace((unsigned char)**start)) {
		(*start)++;
		(*len)--;
	}
	while (*len && isspace((unsigned char)(*start)[*len - 1]))
		(*len)--;
}

static bool take_word(const char **start, size_t *len, const char *word)
{
	size_t n = strlen(word);

	if (*len <= n || strncmp(*start, word, n) || !isspace((unsigned char)(*start)[n]))
		return false;
	*start += n;
	*len -= n;
	trim(start, len);
	return *len > 0;
}

static int add_rule(struct seq_rules *r, const char *pattern, size_t len, bool include, const char *comment,
		    unsigned line, struct err *e)
{
	struct seq_rule *grown;

	if (r->count == SEQ_RULES_MAX)
		return err_set(e, ERR_LIMIT, "more than %d rules", SEQ_RULES_MAX);
	grown = mem_grow(r->rules, r->count + 1, sizeof(*grown), e);
	if (!grown)
		return -1;
	r->rules = grown;
	grown[r->count] = (struct seq_rule){ .include = include, .line = line };
	r->count++;
	grown[r->count - 1].pattern = mem_strndup(pattern, len, e);
	grown[r->count - 1].comment = mem_strdup(comment, e);
	return grown[r->count - 1].pattern && grown[r->count - 1].comment ? 0 : -1;
}

static int parse_line(struct seq_rules *r, const char *start, size_t len, const char *name, unsigned line,
		      char comment[256], struct err *e)
{
	bool include;

	trim(&start, &len);
	if (!len)
		return 0;
	if (*start == '#') {
		size_t n;

		start++;
		len--;
		trim(&start, &len);
		n = len < 255 ? len : 255;
		memcpy(comment, start, n);
		comment[n] = 0;
		return 0;
	}
	include = take_word(&start, &len, "include");
	if (!include && !take_word(&start, &len, "exclude"))
		return err_set(e, ERR_FORMAT,
			       "%s, line %u: a rule is \"exclude PATTERN\" or \"include PATTERN\"", name,
			       line);
	return add_rule(r, start, len, include, comment, line, e);
}

int seq_rules_parse(const char *text, const char *name, struct seq_rules *ret, struct err *e)
{
	struct seq_rules r = { 0 };
	char comment[256] = "";
	unsigned line = 1;

	for (const char *p = text; *p; line++) {
		size_t len = strcspn(p, "\n");

		if (parse_line(&r, p, len, name, line, comment, e) < 0) {
			seq_rules_fini(&r);
			return -1;
		}
		p += len + (p[len] == '\n');
	}
	*ret = r;
	return 0;
}

int seq_rules_load(const char *path, struct seq_rules *ret, struct err *e)
{
	auto_buf struct buf text = BUF_INIT(SEQ_RULES_TEXT_MAX);
	const char *s;

	if (fd_read_file(AT_FDCWD, path, &text, e) < 0)
		return err_wrap(e, "cannot read the junk rules");
	if (memchr(text.data ? (const char *)text.data : "", 0, text.len))
		return err_set(e, ERR_FORMAT, "%s: not a text file", path);
	s = buf_text(&text, e);
	return s ? seq_rules_parse(s, path, ret, e) : -1;
}

char *seq_rules_default_path(struct err *e)
{
	return path_of_install("share/floe/junk.rules", e);
}

static int decide(const struct seq_rules *r, const struct seq_entry *t)
{
	const char *path = !strncmp(t->name, "@home", 5) ? t->name : t->path;

	for (size_t i = r->count; i-- > 0;)
		if (seq_glob_match(r->rules[i].pattern, path))
			return r->rules[i].include ? SEQ_TAKEN : (int)i;
	return SEQ_TAKEN;
}

/* Sorted by name: what is below a directory follows it, though not necessarily at once ("a", "a.b",
 * "a/b"). So the parents of each entry that is taken are marked, from the back. */
static void drop_empty_parents(struct seq_capture *c)
{
	for (size_t i = 0; i < c->count; i++)
		if (seq_entry_is_taken(&c->entries[i]) && c->entries[i].change == SEQ_PARENT)
			c->entries[i].rule = SEQ_LEFT_SESSION;
	for (size_t i = 0; i < c->count; i++) {
		const struct seq_entry *t = &c->entries[i];
		char name[4096];
		char *slash;

		if (!seq_entry_is_taken(t) || t->change == SEQ_PARENT || strlen(t->name) >= sizeof(name))
			continue;
		(void)strcpy(name, t->name);
		while ((slash = strrchr(name, '/'))) {
			struct seq_entry *parent;

			*slash = 0;
			parent = seq_capture_find_name(c, name);
			if (!parent || (parent->change == SEQ_PARENT && seq_entry_is_taken(parent)))
				break;
			/* A taken entry needs its directory, whatever the rules say of that. */
			parent->rule = SEQ_TAKEN;
		}
	}
}

void seq_rules_apply(struct seq_rules *r, struct seq_capture *c)
{
	for (size_t i = 0; i < c->count; i++) {
		if (c->entries[i].rule != SEQ_LEFT_SESSION && c->entries[i].change != SEQ_PARENT) {
			int rule = decide(r, &c->entries[i]);

			if (rule >= 0)
				c->entries[i].rule = rule;
		}
	}
	drop_empty_parents(c);
	for (size_t i = 0; i < c->count; i++) {
		const struct seq_entry *t = &c->entries[i];

		if (t->rule < 0)
			continue;
		r->rules[t->rule].hits++;
		if (S_ISREG(t->st.st_mode))
			r->rules[t->rule].bytes += (uint64_t)t->st.st_size;
	}
}
