/* SPDX-License-Identifier: Apache-2.0 */
/* Where content is cut: boundaries depend on nearby bytes only, so that an insertion moves the
 * boundaries next to it and leaves the others, and two versions of a file share most pieces.
 *
 * The rolling hash is Gear (Xia et al., "Ddelta", 2014) with two masks, as in FastCDC (Xia et al., USENIX ATC
 * 2016), but the easier one only makes very long pieces rare: lengths that are spread widely compress better
 * than equal ones, and updates of programs share as much. The table comes from SplitMix64 (Steele et al.,
 * 2014). A reader need not know any of this. Never blocks, never fails; any thread. */
#ifndef FLOE_PKG_CUT_H
#define FLOE_PKG_CUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "package-format/digest.h"

enum {
	PKG_CUT_MIN = 64 * 1024,   /* shorter ones are small pieces: packed together */
	PKG_CUT_EASY = 512 * 1024, /* longer ones end soon */
};

/* Length of the first piece of data[0..len): PKG_CUT_MIN to PKG_CHUNK_MAX, or len when no boundary comes
 * before. Give it at least PKG_CHUNK_MAX bytes unless the content ends before. */
size_t pkg_cut(const uint8_t *data, size_t len);

/* Whether a chunk of small pieces, weighing `packed` by now, ends behind the piece with that digest and
 * weight. A weight is a length or a multiple of it (content.c). As the end depends on the piece, not on its
 * position, one more small file moves few ends. */
bool pkg_cut_pack_ends(size_t packed, const struct pkg_digest *last, size_t last_weight);

#endif
