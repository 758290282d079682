/* SHA-256 and BLAKE2s of standard input (or of the named files), from FIPS 180-4 and RFC 7693. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static uint32_t rotr(uint32_t x, int n) { return x >> n | x << (32 - n); }

static const uint32_t K[64] = {
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74,
  0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d,
  0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e,
  0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5,
  0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2 };
static const uint32_t IV[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };

struct state { uint32_t sha[8], blake[8]; uint64_t bytes; };

static void sha_block(uint32_t h[8], const uint8_t *p) {
  uint32_t w[64], v[8];
  for (int i = 0; i < 16; i++) w[i] = (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 | (uint32_t)p[4 * i + 2] << 8 | p[4 * i + 3];
  for (int i = 16; i < 64; i++)
    w[i] = w[i - 16] + w[i - 7] + (rotr(w[i - 15], 7) ^ rotr(w[i - 15], 18) ^ w[i - 15] >> 3) + (rotr(w[i - 2], 17) ^ rotr(w[i - 2], 19) ^ w[i - 2] >> 10);
  memcpy(v, h, sizeof v);
  for (int i = 0; i < 64; i++) {
    uint32_t a = v[7] + (rotr(v[4], 6) ^ rotr(v[4], 11) ^ rotr(v[4], 25)) + ((v[4] & v[5]) ^ (~v[4] & v[6])) + K[i] + w[i];
    uint32_t b = (rotr(v[0], 2) ^ rotr(v[0], 13) ^ rotr(v[0], 22)) + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
    memmove(v + 1, v, 7 * sizeof *v);
    v[4] += a;
    v[0] = a + b;
  }
  for (int i = 0; i < 8; i++) h[i] += v[i];
}

static const uint8_t SIGMA[10][16] = {
  { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 }, { 14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3 }, { 11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4 },
  { 7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8 }, { 9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13 }, { 2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9 },
  { 12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11 }, { 13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10 }, { 6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5 },
  { 10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0 } };

static void blake_block(uint32_t h[8], const uint8_t *p, uint64_t bytes, int last) {
  static const uint8_t LANES[8][4] = { { 0, 4, 8, 12 }, { 1, 5, 9, 13 }, { 2, 6, 10, 14 }, { 3, 7, 11, 15 }, { 0, 5, 10, 15 }, { 1, 6, 11, 12 }, { 2, 7, 8, 13 }, { 3, 4, 9, 14 } };
  uint32_t v[16], m[16];
  memcpy(m, p, sizeof m);
  memcpy(v, h, 32);
  memcpy(v + 8, IV, 32);
  v[12] ^= (uint32_t)bytes;
  v[13] ^= (uint32_t)(bytes >> 32);
  if (last) v[14] = ~v[14];
  for (int round = 0; round < 10; round++)
    for (int i = 0; i < 8; i++) {
      uint32_t *a = v + LANES[i][0], *b = v + LANES[i][1], *c = v + LANES[i][2], *d = v + LANES[i][3];
      *a += *b + m[SIGMA[round][2 * i]];
      *d = rotr(*d ^ *a, 16); *c += *d; *b = rotr(*b ^ *c, 12);
      *a += *b + m[SIGMA[round][2 * i + 1]];
      *d = rotr(*d ^ *a, 8); *c += *d; *b = rotr(*b ^ *c, 7);
    }
  for (int i = 0; i < 8; i++) h[i] ^= v[i] ^ v[i + 8];
}

static void digest(FILE *file, const char *name) {
  struct state s = { .bytes = 0 };
  uint8_t block[64] = { 0 }, tail[128] = { 0 };
  size_t n;
  memcpy(s.sha, IV, 32);
  memcpy(s.blake, IV, 32);
  s.blake[0] ^= 0x01010020;
  while ((n = fread(block, 1, 64, file)) == 64) {
    int c = getc(file);
    ungetc(c, file);
    s.bytes += 64;
    sha_block(s.sha, block);
    blake_block(s.blake, block, s.bytes, c == EOF);
    if (c == EOF) { n = 0; break; }
  }
  memcpy(tail, block, n);
  if (n || s.bytes == 0) {
    memset(block + n, 0, 64 - n);
    blake_block(s.blake, block, s.bytes + n, 1);
  }
  s.bytes += n;
  tail[n] = 0x80;
  size_t blocks = n < 56 ? 1 : 2;
  for (int i = 0; i < 8; i++) tail[blocks * 64 - 1 - (size_t)i] = (uint8_t)(s.bytes * 8 >> (8 * i));
  for (size_t i = 0; i < blocks; i++) sha_block(s.sha, tail + 64 * i);
  for (int i = 0; i < 8; i++) printf("%08x", s.sha[i]);
  putchar(' ');
  for (int i = 0; i < 32; i++) printf("%02x", (s.blake[i / 4] >> (8 * (i % 4))) & 255);
  printf(" %s\n", name);
}

int main(int argc, char **argv) {
  if (argc < 2) digest(stdin, "-");
  for (int i = 1; i < argc; i++) {
    FILE *file = fopen(argv[i], "rb");
    if (!file) { perror(argv[i]); return 2; }
    digest(file, argv[i]);
    fclose(file);
  }
  return 0;
}
