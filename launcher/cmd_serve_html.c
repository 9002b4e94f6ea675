/* SPDX-License-Identifier: Apache-2.0 */
/* Pieces of pages; see cmd_serve_html.h. */
#include "launcher/cmd_serve_html.h"

#include <stdbool.h>
#include <string.h>

static const char style[] =
	":root{color-scheme:light "
	"dark;--back:#f6f7f9;--card:#fff;--text:#1d2330;--soft:#5d6678;--line:#dfe3ea;"
	"--code:#eef1f6;--tint:#2f6fde;--warn:#a33b00}"
	"@media(prefers-color-scheme:dark){:root{--back:#14171d;--card:#1d2129;--text:#e7eaf0;--soft:#9aa4b6;"
	"--line:#303743;--code:#12151a;--tint:#7fb0ff;--warn:#ffb380}}"
	"*{box-sizing:border-box}"
	"body{margin:0;background:var(--back);color:var(--text);font:16px/1.5 system-ui,sans-serif}"
	"header,main,footer{max-width:62rem;margin:0 auto;padding:0 1.25rem}"
	"header{padding-top:2.5rem;padding-bottom:1rem}"
	"h1{margin:0;font-size:1.9rem;line-height:1.2;overflow-wrap:anywhere}"
	"h2{margin:0;font-size:1.15rem;line-height:1.35;overflow-wrap:anywhere}"
	"h2 small{color:var(--soft);font-weight:400;font-size:.95rem}"
	"p{margin:.35rem 0;overflow-wrap:anywhere}"
	"a{color:var(--tint);text-decoration:none}a:hover{text-decoration:underline}"
	"main{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(26rem,100%),1fr));gap:1rem;"
	"padding-bottom:2rem}"
	"article{display:flex;gap:1rem;align-items:flex-start;background:var(--card);border:1px solid "
	"var(--line);"
	"border-radius:12px;padding:1.1rem}"
	"article>div{min-width:0;flex:1}"
	"article>img,.letter{width:56px;height:56px;flex:none;object-fit:contain}"
	".letter{display:grid;place-items:center;border-radius:12px;background:var(--code);color:var(--tint);"
	"font-size:1.6rem;font-weight:600;text-transform:uppercase}"
	"code{display:block;background:var(--code);border:1px solid var(--line);border-radius:8px;"
	"padding:.4rem .65rem;font:.88rem/1.45 ui-monospace,monospace;overflow-wrap:anywhere;user-select:all}"
	".facts,summary,footer{color:var(--soft);font-size:.88rem}"
	".warn{color:var(--warn)}"
	"summary{cursor:pointer;margin-top:.3rem}"
	"footer{padding-bottom:2.5rem}";

int serve_html_begin(struct buf *b, const char *title, struct err *e)
{
	if (buf_add_str(b,
			"<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
			"<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>",
			e) < 0 ||
	    serve_html_text(b, title, e) < 0 || buf_add_str(b, "</title>\n<style>", e) < 0 ||
	    buf_add_str(b, style, e) < 0)
		return -1;
	return buf_add_str(b, "</style></head>\n<body>\n", e);
}

int serve_html_end(struct buf *b, struct err *e)
{
	return buf_add_str(b, "</main>\n</body></html>\n", e);
}

int serve_html_text(struct buf *b, const char *text, struct err *e)
{
	for (; *text; text++) {
		const char *as = *text == '<'    ? "&lt;"
				 : *text == '>'  ? "&gt;"
				 : *text == '&'  ? "&amp;"
				 : *text == '"'  ? "&quot;"
				 : *text == '\'' ? "&#39;"
						 : NULL;

		if ((as ? buf_add_str(b, as, e) : buf_add(b, text, 1, e)) < 0)
			return -1;
	}
	return 0;
}

static bool is_safe(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       strchr("-._~/", c);
}

int serve_html_url(struct buf *b, const char *text, struct err *e)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if ((is_safe(c) ? buf_add(b, text, 1, e) : buf_printf(b, e, "%%%02X", c)) < 0)
			return -1;
	}
	return 0;
}

/* A letter may be several bytes. */
int serve_html_letter(struct buf *b, const char *name, struct err *e)
{
	char letter[8] = "";
	size_t len = *name ? 1 : 0;

	while (len && len < sizeof(letter) - 1 && ((unsigned char)name[len] & 0xc0) == 0x80)
		len++;
	memcpy(letter, name, len);
	if (buf_add_str(b, "<span class=\"letter\">", e) < 0 || serve_html_text(b, letter, e) < 0)
		return -1;
	return buf_add_str(b, "</span>", e);
}
