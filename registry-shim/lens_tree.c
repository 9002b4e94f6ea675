/* SPDX-License-Identifier: Apache-2.0 */
/* Nested files; see lens_tree.h. */
#include "registry-shim/lens_tree.h"

#include <string.h>

const char *tree_lead(const struct doc_piece *p, size_t *ret_len)
{
	size_t len = 0, start = 0;

	while (len < p->len && p->text[len] && strchr(" \t\r\n", p->text[len])) {
		if (p->text[len] == '\n')
			start = len && p->text[len - 1] == '\r' ? len - 1 : len;
		len++;
	}
	*ret_len = len - start;
	return p->text + start;
}

uint32_t tree_before(const struct reg_doc *d, uint32_t piece)
{
	do
		piece = d->pieces[piece].prev;
	while (piece != DOC_NONE && d->pieces[piece].kind == DOC_GAP);
	return piece;
}

uint32_t tree_outermost_missing(const struct reg_doc *d, uint32_t container)
{
	uint32_t outer = d->names[container].container;

	while (outer != DOC_TOP && d->names[outer].end == DOC_NONE) {
		container = outer;
		outer = d->names[container].container;
	}
	return container;
}

const char *tree_last_part(const struct reg_doc *d, uint32_t container)
{
	const char *text = d->names[container].text, *slash = strrchr(text, '/');

	return slash ? slash + 1 : text;
}

int tree_close(struct reg_doc *d, uint32_t after, uint32_t container, const char *text, size_t len,
	       struct err *e)
{
	uint32_t piece = doc_insert(d, after, DOC_CLOSE, text, len, e);

	if (piece == DOC_NONE)
		return -1;
	d->pieces[piece].name = container;
	d->names[container].end = piece;
	return 0;
}

int tree_close_like(struct reg_doc *d, uint32_t open, uint32_t container, const char *text, struct err *e)
{
	const char *lead;
	size_t len;

	lead = tree_lead(&d->pieces[open], &len);
	buf_reset(&d->line);
	if ((memchr(lead, '\n', len) && buf_add(&d->line, lead, len, e) < 0) ||
	    buf_add_str(&d->line, text, e) < 0)
		return -1;
	text = doc_keep_buf(d, &d->line, e);
	return text ? tree_close(d, open, container, text, d->line.len, e) : -1;
}

/* What closes a container moves to a line of its own. */
static int move_close(struct reg_doc *d, uint32_t container, struct err *e)
{
	uint32_t close = d->names[container].end;
	const struct doc_piece *p = &d->pieces[close];
	size_t blanks = strspn(p->text, " \t\r"), len;
	const char *lead = tree_lead(&d->pieces[d->names[container].piece], &len);

	if (p->text[blanks] == '\n')
		return 0;
	if (container == DOC_TOP) {
		lead = d->feed;
		len = strlen(lead);
	}
	return doc_splice(d, close, 0, blanks, lead, len, e);
}

uint32_t tree_append(struct reg_doc *d, uint32_t container, enum doc_kind kind, struct err *e)
{
	const char *text = doc_keep_buf(d, &d->line, e);

	if (!text || (strchr("\r\n", *text) && move_close(d, container, e) < 0))
		return DOC_NONE;
	return doc_insert(d, d->pieces[d->names[container].end].prev, kind, text, d->line.len, e);
}
