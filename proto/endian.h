/*
 * endian.h - integers in network order, at any alignment.
 */
#ifndef PROTO_ENDIAN_H
#define PROTO_ENDIAN_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

static inline void put_be16(uint8_t out[2], uint16_t v)
{
	v = htobe16(v);
	memcpy(out, &v, sizeof(v));
}

static inline void put_be32(uint8_t out[4], uint32_t v)
{
	v = htobe32(v);
	memcpy(out, &v, sizeof(v));
}

static inline void put_be64(uint8_t out[8], uint64_t v)
{
	v = htobe64(v);
	memcpy(out, &v, sizeof(v));
}

static inline uint16_t get_be16(const uint8_t in[2])
{
	uint16_t v;

	memcpy(&v, in, sizeof(v));
	return be16toh(v);
}

static inline uint32_t get_be32(const uint8_t in[4])
{
	uint32_t v;

	memcpy(&v, in, sizeof(v));
	return be32toh(v);
}

static inline uint64_t get_be64(const uint8_t in[8])
{
	uint64_t v;

	memcpy(&v, in, sizeof(v));
	return be64toh(v);
}

#endif
