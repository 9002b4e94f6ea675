/* SPDX-License-Identifier: Apache-2.0 */
/* The lenses of Augeas: "augeas:Sshd" is its lens Sshd.lns, in memory, by floe-augeas (augeas_client.h).
 *
 * Keys are Augeas' paths below the file's root (augeas_text.h): "Port", "Match/Condition/User",
 * "1/canonical", and "alias[2]" for the second alias. Numbers are places: what stands behind something that
 * is removed moves up. Therefore only what is last of its kind can be removed by key; a program that rewrites
 * the file may do what it likes.
 *
 * Every change is tried on the text: what Augeas makes of it is read again, and has to say what was wanted
 * and nothing else. Changes that make sense only together (an entry with all that it must have) go together,
 * reg_doc_apply. Texts of up to AUGEAS_TEXT_MAX. Blocks until Augeas is done. */
#ifndef FLOE_REG_LENS_AUGEAS_H
#define FLOE_REG_LENS_AUGEAS_H

#include "registry-shim/lens_doc.h"

#define AUGEAS_PREFIX "augeas:"

/* The lens of that name, "augeas:MODULE"; NULL when no module is called that, or for lack of memory. Whether
 * this machine's Augeas has it shows when it is used. Any thread; lives as long as the process. */
const struct reg_lens *augeas_lens(const char *name);

#endif
