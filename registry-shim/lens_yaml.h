/* SPDX-License-Identifier: Apache-2.0 */
/* The YAML lens: block maps of values on one line, nested by indentation. Source: YAML 1.2.
 *
 * Keys are the names on the way, "server/port", each with '/' spelled "%2F", '%' "%25" and an empty name "%".
 * A value is what stands there when it is plain (8080, true, some text), a string's text when it is quoted,
 * and lists and maps in brackets as a whole. A string that would be something else without its quotes is
 * spelled with them, "8080"; any string may be given so. A name with nothing behind it has the value null.
 *
 * Lists of lines, texts over several lines, anchors, aliases and tags are kept and have no key. A map whose
 * last key goes is removed. More than one document, a name that is there twice, and anything that is not a
 * map are refused. */
#ifndef FLOE_REG_LENS_YAML_H
#define FLOE_REG_LENS_YAML_H

#include "registry-shim/lens_doc.h"

enum { YAML_INDENT_MAX = 250 };

extern const struct reg_lens reg_lens_yaml;

#endif
