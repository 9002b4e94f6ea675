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
	while (d->names[d->names[container].container].end == DOC_NONE)
		container = d->names[container].container;
	return container;
}

const char *tree_last_part(const struct reg_doc *d, uint32_t container)
{
	const char *text = d->names[container].text, *slash = strrchr(text, '/');

	return slash ? slash + 1 : text;
}
