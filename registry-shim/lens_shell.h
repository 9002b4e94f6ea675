/* SPDX-License-Identifier: Apache-2.0 */
/* The lens for files that a shell or a dotenv reader sources: NAME=value, with or without "export", in plain
 * words, 'single' or "double" quotes.
 *
 * A key is the variable's name and a value what the shell makes of the text; one with $variables, which only
 * the shell knows, is the text as it stands, in double quotes ("$HOME/bin"). A value that is itself such a
 * quoted word is spelled within its quotes, '"x"'. Quotes are kept; a new value gets them when it needs them.
 *
 * Everything else - commands, blanks in front of a name, several words, $(commands), += - is left alone, line
 * by line, and has no key. */
#ifndef FLOE_REG_LENS_SHELL_H
#define FLOE_REG_LENS_SHELL_H

#include "registry-shim/lens_doc.h"

extern const struct reg_lens reg_lens_shell;

#endif
