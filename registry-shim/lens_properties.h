/* SPDX-License-Identifier: Apache-2.0 */
/* The lens for Java's properties: "name=value", "name: value" or "name value", comments with '#' or '!',
 * values continued behind a backslash. Source: java.util.Properties.
 *
 * A key is the name (one that begins with '/' gets another in front) and a value the text that Java reads:
 * escapes are resolved (\uXXXX too, into UTF-8), and a continued value is one. What is written is escaped
 * again; letters beyond ASCII as \uXXXX, which Java reads in every version, unless they stood there as they
 * are before. A line without a name has no key; a carriage return inside a line is refused. */
#ifndef FLOE_REG_LENS_PROPERTIES_H
#define FLOE_REG_LENS_PROPERTIES_H

#include "registry-shim/lens_doc.h"

extern const struct reg_lens reg_lens_properties;

#endif
