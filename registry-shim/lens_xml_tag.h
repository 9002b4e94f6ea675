/* SPDX-License-Identifier: Apache-2.0 */
/* Tags of an XML text. Source: Extensible Markup Language 1.0; without document types and CDATA. */
#ifndef FLOE_REG_LENS_XML_TAG_H
#define FLOE_REG_LENS_XML_TAG_H

#include "registry-shim/lens_doc.h"

struct xml_span {
	size_t off, len; /* off 0: there is none */
};

enum xml_kind { XML_OPEN, XML_EMPTY, XML_CLOSE };

/* Places are from the beginning of the text that was read. */
struct xml_tag {
	enum xml_kind kind;
	struct xml_span element;
	struct xml_span name, type, value; /* what stands within the quotes of these attributes */
	size_t attributes_end;             /* where another attribute could stand */
};

/* Past blanks, comments and processing instructions. *ret_lead: the blanks directly before what follows. */
int xml_skip_blanks(const char *s, size_t len, size_t *at, size_t *ret_lead, struct err *e);
/* Past the tag at *at. ERR_FORMAT for anything else. */
int xml_read_tag(const char *s, size_t len, size_t *at, struct xml_tag *ret, struct err *e);
bool xml_is(const char *s, struct xml_span span, const char *word);

/* An attribute's text, entities resolved, added to ret; and back, fit for either kind of quotes. */
int xml_read_text(const char *s, size_t len, struct buf *ret, struct err *e);
int xml_write_text(const char *text, size_t len, struct buf *ret, struct err *e);

#endif
