/* sha256.h - SHA-256 (FIPS 180-4, 6.2), streaming. */
#ifndef WAOT_SHA256_H
#define WAOT_SHA256_H

#include <stddef.h>
#include <stdint.h>

struct waot_sha256 {
  uint32_t state[8];
  uint64_t length;   /* bytes so far; at most 2^61 - 1 */
  uint8_t block[64]; /* the unfinished block: length % 64 bytes of it */
};

void waot_sha256_init(struct waot_sha256 *sha);
void waot_sha256_update(struct waot_sha256 *sha, const void *bytes, size_t count);
/* Writes the digest; the state is used up. */
void waot_sha256_final(struct waot_sha256 *sha, uint8_t digest[32]);
/* For tests: false makes the process use the portable code even where the CPU has SHA instructions. Not thread-safe. */
void waot_sha256_allow_hardware(int allow);
/* The digest in hexadecimal: so many characters, without an end. (By hand: 32 calls of snprintf take longer than all else in the stack of an error.) */
#define WAOT_SHA256_TEXT 64
void waot_sha256_text(const uint8_t digest[32], char text[WAOT_SHA256_TEXT]);

#endif /* WAOT_SHA256_H */
