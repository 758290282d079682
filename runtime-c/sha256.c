/* sha256.c - SHA-256 (FIPS 180-4, 6.2): portable code, and the SHA instructions of x86-64 where the CPU has them. */
#include "sha256.h"

#include <stdatomic.h>
#include <string.h>

/* FIPS 180-4, 4.2.2. */
static const uint32_t K[64] __attribute__((aligned(16))) = {
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
  0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
  0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
  0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
  0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
  0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
  0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
  0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotr(uint32_t x, unsigned n) { return x >> n | x << (32 - n); }

static uint32_t load_be32(const uint8_t *p) {
  return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void compress_portable(uint32_t state[8], const uint8_t *bytes, size_t blocks) {
  for (; blocks > 0; blocks--, bytes += 64) {
    uint32_t w[64];
    for (int t = 0; t < 16; t++) w[t] = load_be32(bytes + 4 * t);
    for (int t = 16; t < 64; t++) {
      uint32_t s0 = rotr(w[t - 15], 7) ^ rotr(w[t - 15], 18) ^ w[t - 15] >> 3;
      uint32_t s1 = rotr(w[t - 2], 17) ^ rotr(w[t - 2], 19) ^ w[t - 2] >> 10;
      w[t] = s1 + w[t - 7] + s0 + w[t - 16];
    }
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4], f = state[5], g = state[6], h = state[7];
    for (int t = 0; t < 64; t++) {
      uint32_t t1 = h + (rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25)) + ((e & f) ^ (~e & g)) + K[t] + w[t];
      uint32_t t2 = (rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
      h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e, state[5] += f, state[6] += g, state[7] += h;
  }
}

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

/* The instructions want the state as two vectors: a b e f and c d g h, the first letter in the highest lane. */
__attribute__((target("sha,sse4.1,ssse3"))) static void compress_sha_ni(uint32_t state[8], const uint8_t *bytes, size_t blocks) {
  const __m128i big_endian = _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3);
  __m128i abef = _mm_set_epi32((int)state[0], (int)state[1], (int)state[4], (int)state[5]);
  __m128i cdgh = _mm_set_epi32((int)state[2], (int)state[3], (int)state[6], (int)state[7]);
  for (; blocks > 0; blocks--, bytes += 64) {
    __m128i abef_before = abef, cdgh_before = cdgh, w[4];
    for (int i = 0; i < 4; i++) w[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(bytes + 16 * i)), big_endian);
    /* Unrolled, so that w is in registers. */
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) { /* four rounds each; w[i & 3] holds W[4i .. 4i+3] */
      __m128i sum = _mm_add_epi32(w[i & 3], _mm_load_si128((const __m128i *)(K + 4 * i)));
      cdgh = _mm_sha256rnds2_epu32(cdgh, abef, sum);
      abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(sum, 0x0e));
      if (i < 12) {
        __m128i w7 = _mm_alignr_epi8(w[(i + 3) & 3], w[(i + 2) & 3], 4); /* W[t-7] for the next four t */
        w[i & 3] = _mm_sha256msg2_epu32(_mm_add_epi32(_mm_sha256msg1_epu32(w[i & 3], w[(i + 1) & 3]), w7), w[(i + 3) & 3]);
      }
    }
    abef = _mm_add_epi32(abef, abef_before);
    cdgh = _mm_add_epi32(cdgh, cdgh_before);
  }
  uint32_t lanes[8];
  _mm_storeu_si128((__m128i *)lanes, abef);
  _mm_storeu_si128((__m128i *)(lanes + 4), cdgh);
  state[0] = lanes[3], state[1] = lanes[2], state[4] = lanes[1], state[5] = lanes[0];
  state[2] = lanes[7], state[3] = lanes[6], state[6] = lanes[5], state[7] = lanes[4];
}

static int has_sha_ni(void) {
  unsigned a, b, c, d, b7, unused;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !__get_cpuid_count(7, 0, &a, &b7, &unused, &d)) return 0;
  return (c & bit_SSE4_1) != 0 && (c & bit_SSSE3) != 0 && (b7 & 1u << 29) != 0;
}
#else
static void compress_sha_ni(uint32_t state[8], const uint8_t *bytes, size_t blocks) { compress_portable(state, bytes, blocks); }
static int has_sha_ni(void) { return 0; }
#endif

static atomic_int hardware = -1; /* -1: not yet asked; else whether to use the SHA instructions */

void waot_sha256_allow_hardware(int allow) { atomic_store(&hardware, allow ? has_sha_ni() : 0); }

static void compress(uint32_t state[8], const uint8_t *bytes, size_t blocks) {
  int use = atomic_load_explicit(&hardware, memory_order_relaxed);
  if (use < 0) atomic_store_explicit(&hardware, use = has_sha_ni(), memory_order_relaxed);
  (use ? compress_sha_ni : compress_portable)(state, bytes, blocks);
}

void waot_sha256_init(struct waot_sha256 *sha) {
  /* FIPS 180-4, 5.3.3. */
  static const uint32_t H0[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  memcpy(sha->state, H0, sizeof H0);
  sha->length = 0;
}

void waot_sha256_update(struct waot_sha256 *sha, const void *bytes, size_t count) {
  const uint8_t *from = bytes;
  size_t have = sha->length % 64;
  sha->length += count;
  if (have > 0) {
    size_t take = count < 64 - have ? count : 64 - have;
    memcpy(sha->block + have, from, take);
    if (have + take < 64) return;
    compress(sha->state, sha->block, 1);
    from += take;
    count -= take;
  }
  if (count >= 64) compress(sha->state, from, count / 64);
  if (count % 64 > 0) memcpy(sha->block, from + (count - count % 64), count % 64);
}

void waot_sha256_final(struct waot_sha256 *sha, uint8_t digest[32]) {
  /* FIPS 180-4, 5.1.1: a one bit, zeros up to 56 modulo 64, the length in bits as 64 big-endian bits. */
  uint64_t bits = sha->length * 8;
  uint8_t padding[72] = {0x80};
  size_t zeros = (119 - sha->length % 64) % 64 + 1;
  for (int i = 0; i < 8; i++) padding[zeros + i] = (uint8_t)(bits >> (56 - 8 * i));
  waot_sha256_update(sha, padding, zeros + 8);
  for (int i = 0; i < 32; i++) digest[i] = (uint8_t)(sha->state[i / 4] >> (24 - 8 * (i % 4)));
}

void waot_sha256_text(const uint8_t digest[32], char text[WAOT_SHA256_TEXT]) {
  for (int i = 0; i < WAOT_SHA256_TEXT; i++) text[i] = "0123456789abcdef"[i % 2 ? digest[i / 2] & 15 : digest[i / 2] >> 4];
}
