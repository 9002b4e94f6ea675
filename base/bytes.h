/* SPDX-License-Identifier: Apache-2.0 */
/* Little-endian integers of on-disk and wire formats, as structs of bytes: they have no alignment
 * and cannot be assigned from a host integer by accident. Never blocks, never fails. */
#ifndef FLOE_BASE_BYTES_H
#define FLOE_BASE_BYTES_H

#include <stddef.h>
#include <stdint.h>

struct le16 {
	uint8_t b[2];
};
struct le32 {
	uint8_t b[4];
};
struct le64 {
	uint8_t b[8];
};

static inline uint16_t le16_get(struct le16 v)
{
	return (uint16_t)(v.b[0] | v.b[1] << 8);
}

static inline uint32_t le32_get(struct le32 v)
{
	return (uint32_t)v.b[0] | (uint32_t)v.b[1] << 8 | (uint32_t)v.b[2] << 16 | (uint32_t)v.b[3] << 24;
}

static inline uint64_t le64_get(struct le64 v)
{
	uint64_t r = 0;

	for (int i = 7; i >= 0; i--)
		r = r << 8 | v.b[i];
	return r;
}

static inline struct le16 le16_of(uint16_t v)
{
	return (struct le16){ { (uint8_t)v, (uint8_t)(v >> 8) } };
}

static inline struct le32 le32_of(uint32_t v)
{
	return (struct le32){ { (uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16), (uint8_t)(v >> 24) } };
}

static inline struct le64 le64_of(uint64_t v)
{
	struct le64 r;

	for (int i = 0; i < 8; i++, v >>= 8)
		r.b[i] = (uint8_t)v;
	return r;
}

/* Hexadecimal, lower case. `ret` holds 2*len+1 characters. */
void bytes_to_hex(const void *data, size_t len, char *ret);
/* Exactly len bytes from 2*len hex digits of either case, followed by NUL; 0 or -1. */
int bytes_from_hex(const char *hex, void *ret, size_t len);

/* "1.4 MiB", "312 B"; into ret, which holds 32 characters. */
void bytes_human(uint64_t len, char ret[32]);

#endif
