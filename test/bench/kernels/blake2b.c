/* The compression function of BLAKE2b (RFC 7693), chained: 64-bit integers in straight lines. */
#include "kernel.h"

static const u64 iv[8] = {0x6a09e667f3bcc908ull, 0xbb67ae8584caa73bull, 0x3c6ef372fe94f82bull, 0xa54ff53a5f1d36f1ull,
                          0x510e527fade682d1ull, 0x9b05688c2b3e6c1full, 0x1f83d9abfb41bd6bull, 0x5be0cd19137e2179ull};
static const u8 sigma[12][16] = {
  {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
  {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4}, {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
  {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13}, {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
  {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11}, {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
  {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5}, {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
  {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3}};
static u64 h[8], message[16];

static inline u64 rotate(u64 x, u32 by) { return x >> by | x << (64 - by); }

#define STEP(a, b, c, d, x, y)                                                                \
  v[a] += v[b] + (x), v[d] = rotate(v[d] ^ v[a], 32), v[c] += v[d], v[b] = rotate(v[b] ^ v[c], 24); \
  v[a] += v[b] + (y), v[d] = rotate(v[d] ^ v[a], 16), v[c] += v[d], v[b] = rotate(v[b] ^ v[c], 63)

static NOINLINE void compress(u64 length) {
  u64 v[16];
  for (i32 i = 0; i < 8; i++) v[i] = h[i], v[i + 8] = iv[i];
  v[12] ^= length;
  for (i32 i = 0; i < 12; i++) {
    const u8 *s = sigma[i];
    STEP(0, 4, 8, 12, message[s[0]], message[s[1]]);
    STEP(1, 5, 9, 13, message[s[2]], message[s[3]]);
    STEP(2, 6, 10, 14, message[s[4]], message[s[5]]);
    STEP(3, 7, 11, 15, message[s[6]], message[s[7]]);
    STEP(0, 5, 10, 15, message[s[8]], message[s[9]]);
    STEP(1, 6, 11, 12, message[s[10]], message[s[11]]);
    STEP(2, 7, 8, 13, message[s[12]], message[s[13]]);
    STEP(3, 4, 9, 14, message[s[14]], message[s[15]]);
  }
  for (i32 i = 0; i < 8; i++) h[i] ^= v[i] ^ v[i + 8];
}

KERNEL {
  for (i32 i = 0; i < 8; i++) h[i] = iv[i];
  h[0] ^= 0x01010040;
  for (i32 i = 0; i < 16; i++) message[i] = iv[i & 7] * (u64)(i + 1);
  for (i32 i = 0; i < n * 1000; i++) {
    compress((u64)(i + 1) * 128);
    message[i & 15] += h[i & 7];
  }
  u32 sum = 0;
  for (i32 i = 0; i < 8; i++) sum = mix(mix(sum, (u32)h[i]), (u32)(h[i] >> 32));
  return (i32)sum;
}
