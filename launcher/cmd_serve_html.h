/* SPDX-License-Identifier: Apache-2.0 */
/* Pieces of the pages of `floe serve`: plain HTML with its style inside, no scripts, light and dark, for wide
 * and narrow screens. Everything that is not ours goes through serve_html_text or serve_html_url. Never
 * blocks. */
#ifndef FLOE_LAUNCH_CMD_SERVE_HTML_H
#define FLOE_LAUNCH_CMD_SERVE_HTML_H

#include "base/mem.h"
#include "package-format/repository.h"

int serve_html_begin(struct buf *b, const char *title, struct err *e) FLOE_MUST_USE;
int serve_html_end(struct buf *b, struct err *e) FLOE_MUST_USE;
/* Text, also inside quotes: what means something in HTML is escaped. */
int serve_html_text(struct buf *b, const char *text, struct err *e) FLOE_MUST_USE;
/* A path: what means something in a URL, in HTML or to a shell is percent-escaped. */
int serve_html_url(struct buf *b, const char *text, struct err *e) FLOE_MUST_USE;
/* The first letter of a name, where there is no icon. */
int serve_html_letter(struct buf *b, const char *name, struct err *e) FLOE_MUST_USE;

/* The catalogue of a repository. `path` and `host` as for serve_index_page. */
int serve_catalogue_page(const struct pkg_repository *r, const char *path, const char *host, struct buf *ret,
			 struct err *e) FLOE_MUST_USE;

#endif
