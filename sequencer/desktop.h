/* SPDX-License-Identifier: Apache-2.0 */
/* Desktop entries (freedesktop.org's Desktop Entry Specification), as far as a package needs them. Pure
 * functions of memory. */
#ifndef FLOE_SEQ_DESKTOP_H
#define FLOE_SEQ_DESKTOP_H

#include <stdbool.h>

#include "base/mem.h"

enum { SEQ_DESKTOP_TEXT_MAX = 1024 * 1024 };

struct seq_desktop {
	char *name, *exec, *icon, *mime_types; /* owned; NULL when the file does not say */
	char *program;                         /* first word of Exec, unquoted; owned */
	bool no_display;
	bool is_terminal;
};

void seq_desktop_fini(struct seq_desktop *d);
/* ERR_FORMAT when there is no [Desktop Entry] of type Application with an Exec. */
int seq_desktop_parse(const char *text, size_t len, struct seq_desktop *ret, struct err *e) FLOE_MUST_USE;

/* Splits a command line into words as a shell would: blanks, '...', "...", backslash; nothing is expanded.
 * NULL-terminated array and its strings in one allocation that the caller frees. ERR_USAGE when a quote
 * does not end. */
int seq_words_split(const char *line, char ***ret, struct err *e) FLOE_MUST_USE;

#endif
