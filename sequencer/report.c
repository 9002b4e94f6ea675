/* SPDX-License-Identifier: Apache-2.0 */
/* The report as text; see report.h. Lines that people scan: a heading, then two blanks and a fact. */
#include "sequencer/report.h"

#include <string.h>

#include "base/bytes.h"
#include "sequencer/draft.h"

enum { TOPS_MAX = 64, SHORT_LIST = 12 };

void seq_report_totals(const struct seq_capture *c, struct seq_totals *ret)
{
	*ret = (struct seq_totals){ 0 };
	for (size_t i = 0; i < c->count; i++) {
		const struct seq_entry *t = &c->entries[i];

		if (t->change == SEQ_PARENT)
			continue;
		if (!seq_entry_is_taken(t)) {
			ret->left_out++;
			continue;
		}
		ret->deleted += t->change == SEQ_DELETED;
		ret->added += t->change == SEQ_ADDED;
		ret->replaced += t->change == SEQ_REPLACED;
		if (t->change == SEQ_DELETED)
			continue;
		if (S_ISREG(t->st.st_mode)) {
			ret->files++;
			ret->bytes += (uint64_t)t->st.st_size;
		} else if (S_ISDIR(t->st.st_mode)) {
			ret->directories++;
		} else if (S_ISLNK(t->st.st_mode)) {
			ret->links++;
		} else {
			ret->others++;
		}
	}
}

/* ---- by directory ------------------------------------------------------------------------------- */

struct top {
	char name[256];
	size_t files;
	uint64_t bytes;
};

/* "usr/share/doc/x" -> "/usr/share". */
static void top_of(const char *name, char ret[256])
{
	size_t len = strcspn(name, "/");

	if (name[len] && strchr(name + len + 1, '/'))
		len += 1 + strcspn(name + len + 1, "/");
	(void)snprintf(ret, 256, "%s%.*s", *name == '@' ? "" : "/", (int)(len < 200 ? len : 200), name);
}

static int by_bytes(const void *a, const void *b)
{
	const struct top *l = a, *r = b;

	return l->bytes < r->bytes ? 1 : l->bytes > r->bytes ? -1 : strcmp(l->name, r->name);
}

static int add_tops(const struct seq_capture *c, struct buf *b, struct err *e)
{
	auto_free struct top *tops = mem_alloc(TOPS_MAX, sizeof(*tops), e);
	size_t count = 0;
	char name[256], human[32];

	if (!tops)
		return -1;
	for (size_t i = 0; i < c->count; i++) {
		const struct seq_entry *t = &c->entries[i];
		size_t n = 0;

		if (!seq_entry_is_file(t))
			continue;
		top_of(t->name, name);
		while (n < count && strcmp(tops[n].name, name))
			n++;
		if (n == TOPS_MAX)
			continue;
		if (n == count)
			memcpy(tops[count++].name, name, sizeof(name));
		tops[n].files++;
		tops[n].bytes += (uint64_t)t->st.st_size;
	}
	qsort(tops, count, sizeof(*tops), by_bytes);
	for (size_t n = 0; n < count && n < SHORT_LIST; n++) {
		bytes_human(tops[n].bytes, human);
		if (buf_printf(b, e, "  %10s  %6zu files  %s\n", human, tops[n].files, tops[n].name) < 0)
			return -1;
	}
	return 0;
}

/* ---- sections ------------------------------------------------------------------------------------ */

static int add_taken(const struct seq_report *r, struct buf *b, struct err *e)
{
	struct seq_totals t;
	char human[32];

	seq_report_totals(r->capture, &t);
	bytes_human(t.bytes, human);
	if (buf_printf(
		    b, e,
		    "Taken: %zu files (%s), %zu directories, %zu links; of these %zu new, %zu replacing the "
		    "host's, %zu deletions\n",
		    t.files, human, t.directories, t.links, t.added, t.replaced, t.deleted) < 0 ||
	    add_tops(r->capture, b, e) < 0)
		return -1;
	if (r->packages && r->packages->count) {
		if (buf_printf(b, e, "Distribution packages: %zu\n ", r->packages->count) < 0)
			return -1;
		for (size_t i = 0; i < r->packages->count; i++)
			if (buf_printf(b, e, " %s %s%s", r->packages->packages[i].name,
				       r->packages->packages[i].version,
				       i + 1 < r->packages->count ? "," : "\n") < 0)
				return -1;
	}
	return 0;
}

static int add_left_paths(const struct seq_report *r, int rule, struct buf *b, struct err *e)
{
	for (size_t i = 0; i < r->capture->count; i++)
		if (r->capture->entries[i].rule == rule && r->capture->entries[i].change != SEQ_PARENT &&
		    buf_printf(b, e, "      %s\n", r->capture->entries[i].path) < 0)
			return -1;
	return 0;
}

static int add_left_out(const struct seq_report *r, bool all, struct buf *b, struct err *e)
{
	char human[32];
	size_t hits = 0;

	for (size_t i = 0; i < r->rules->count; i++)
		hits += r->rules->rules[i].hits;
	if (buf_printf(b, e, "Left out by rule: %zu\n", hits) < 0)
		return -1;
	for (size_t i = 0; i < r->rules->count; i++) {
		const struct seq_rule *rule = &r->rules->rules[i];

		if (!rule->hits)
			continue;
		bytes_human(rule->bytes, human);
		if (buf_printf(b, e, "  %6zu  %10s  %-28s %s\n", rule->hits, human, rule->pattern,
			       rule->comment) < 0 ||
		    (all && add_left_paths(r, (int)i, b, e) < 0))
			return -1;
	}
	if (r->scan.unchanged)
		return buf_printf(b, e, "Rewritten with the host's own content, not taken: %zu\n",
				  r->scan.unchanged);
	return 0;
}

static int add_effects(const struct seq_report *r, bool all, struct buf *b, struct err *e)
{
	size_t total = r->effects->count + r->effects->more;

	if (buf_printf(b, e, "Cannot be virtualised: %zu\n", total) < 0)
		return -1;
	for (size_t i = 0; i < r->effects->count; i++) {
		if (!all && i == SHORT_LIST)
			return buf_printf(b, e, "  ... and %zu more\n", total - i);
		if (buf_printf(b, e, "  %s\n", r->effects->notes[i]) < 0)
			return -1;
	}
	return 0;
}

static int add_offers(const struct seq_report *r, bool all, struct buf *b, struct err *e)
{
	const struct pkg_manifest *m = r->manifest;

	if (buf_printf(b, e, "Commands: %zu\n", m->command_count) < 0)
		return -1;
	for (size_t i = 0; i < m->command_count; i++) {
		bool is_default = m->default_command && !strcmp(m->default_command, m->commands[i].name);

		if (!all && i >= SHORT_LIST && !is_default)
			continue;
		if (buf_printf(b, e, "  %-20s %s%s\n", m->commands[i].name, m->commands[i].path,
			       is_default ? "  (runs when none is named)" : "") < 0)
			return -1;
	}
	if (!all && m->command_count > SHORT_LIST && buf_printf(b, e, "  ... of %zu\n", m->command_count) < 0)
		return -1;
	if (buf_printf(b, e, "Desktop entries: %zu\n", m->desktop_file_count) < 0)
		return -1;
	for (size_t i = 0; i < m->desktop_file_count && (all || i < SHORT_LIST); i++)
		if (buf_printf(b, e, "  %s\n", m->desktop_files[i]) < 0)
			return -1;
	if (buf_printf(b, e, "Configuration files kept as keys: %zu\n", m->config_count) < 0)
		return -1;
	for (size_t i = 0; i < m->config_count; i++)
		if (buf_printf(b, e, "  %s (%s)\n", m->configs[i].path, m->configs[i].lens) < 0)
			return -1;
	return 0;
}

static const char *how_ended(const struct seq_learned *l, char ret[64])
{
	switch (l->end) {
	case SEQ_LAUNCH_EXITED:
		(void)snprintf(ret, 64, "exited with status %d", l->code);
		break;
	case SEQ_LAUNCH_KILLED:
		(void)snprintf(ret, 64, "died of signal %d", l->code);
		break;
	case SEQ_LAUNCH_QUIET:
		return "started, then ended by us";
	case SEQ_LAUNCH_TIMEOUT:
		return "still busy when its time was up";
	}
	return ret;
}

static int add_lesson(const struct seq_report *r, bool all, struct buf *b, struct err *e)
{
	const struct seq_lesson *l = r->lesson;
	char human[32], how[64];
	size_t open = 0;

	for (size_t i = 0; i < l->launch_count; i++) {
		const struct seq_learned *one = &l->launches[i];
		bool failed;

		bytes_human(one->touched_bytes, human);
		if (buf_printf(b, e, "Launch: %s: %s after %.1f s, touched %s in %zu ranges\n", one->command,
			       how_ended(one, how), (double)one->ms / 1000, human, one->touch_count) < 0)
			return -1;
		failed = one->end == SEQ_LAUNCH_KILLED || (one->end == SEQ_LAUNCH_EXITED && one->code);
		if ((failed || all) && *one->last_words &&
		    buf_printf(b, e, "  it said: %s\n", one->last_words) < 0)
			return -1;
	}
	for (size_t i = 0; i < l->proposal_count; i++) {
		const struct seq_proposal *p = &l->proposals[i];

		if (p->is_certain || seq_draft_has_config(r->manifest, p->path))
			continue;
		if ((all || open++ < SHORT_LIST) &&
		    buf_printf(b, e, "Could be kept as keys: --config %s:%s\n", p->path, p->lens) < 0)
			return -1;
	}
	if (open > SHORT_LIST && !all &&
	    buf_printf(b, e, "  and %zu others (--report FILE lists them)\n", open - SHORT_LIST) < 0)
		return -1;
	return 0;
}

static int add_package(const struct seq_report *r, struct buf *b, struct err *e)
{
	char file[32], block[32], content[32], root[PKG_DIGEST_HEX];

	bytes_human(r->written.file_len, file);
	bytes_human(r->written.feature_block_len, block);
	bytes_human(r->written.content_bytes, content);
	pkg_digest_hex(&r->written.root, root);
	return buf_printf(
		b, e,
		"Package: %s\n  name    %s %s\n  size    %s (content %s, primary feature block %s)\n"
		"  chunks  %u, %u shared\n  root    %s\n  signer  %s\n  time    %.1f s\n",
		r->out_path, r->manifest->name, r->manifest->version, file, content, block, r->written.chunks,
		r->written.chunks_shared, root, r->signer, (double)r->elapsed_ms / 1000);
}

int seq_report_text(const struct seq_report *r, bool all, struct buf *ret, struct err *e)
{
	if (buf_printf(ret, e, "Source: %s\n", r->source) < 0 || add_taken(r, ret, e) < 0 ||
	    add_left_out(r, all, ret, e) < 0 || add_effects(r, all, ret, e) < 0 ||
	    add_offers(r, all, ret, e) < 0 || add_lesson(r, all, ret, e) < 0)
		return -1;
	return add_package(r, ret, e);
}
