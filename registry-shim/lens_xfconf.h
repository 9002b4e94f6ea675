/* SPDX-License-Identifier: Apache-2.0 */
/* The lens for xfconf's channels (XFCE's settings): <channel> with nested <property name= type= value=>.
 *
 * Keys are the names on the way, "general/theme", each with '/' spelled "%2F" and '%' "%25". A value is what
 * the value attribute says, entities resolved. The type is kept by the spelling: a value of type bool is true
 * or false, int a whole number, double a number with a point, and string anything else; a value of another
 * type, or one that would be taken for another, has its type in front: "uint:5", "string:5". A property may
 * have both a value and properties in it. Arrays (<value> elements) are kept and have no key, as have
 * properties without a value.
 *
 * Any other XML is refused, as are document types. No entities but the five and numbers; nesting:
 * XML_DEPTH_MAX. */
#ifndef FLOE_REG_LENS_XFCONF_H
#define FLOE_REG_LENS_XFCONF_H

#include "registry-shim/lens_doc.h"

enum { XML_DEPTH_MAX = 1000 };

extern const struct reg_lens reg_lens_xfconf;

#endif
