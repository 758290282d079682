/* Compresses standard input with LZ77 and a hash chain, decompresses it, checks, prints sizes and checksums. Argument: how often to repeat the input. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HASH_BITS 15
#define WINDOW 65535
#define MIN_MATCH 4

static uint32_t crc_table[256];

static uint32_t crc32(const uint8_t *p, size_t n) {
  uint32_t c = ~0u;
  if (!crc_table[1])
    for (uint32_t i = 0; i < 256; i++) {
      uint32_t r = i;
      for (int k = 0; k < 8; k++) r = r & 1 ? 0xedb88320u ^ (r >> 1) : r >> 1;
      crc_table[i] = r;
    }
  while (n--) c = crc_table[(c ^ *p++) & 255] ^ (c >> 8);
  return ~c;
}

static uint32_t hash(const uint8_t *p) {
  uint32_t v;
  memcpy(&v, p, 4);
  return (v * 2654435761u) >> (32 - HASH_BITS);
}

/* A length as bytes of 255 and a last one below it. */
static uint8_t *put_length(uint8_t *out, size_t n) {
  for (; n >= 255; n -= 255) *out++ = 255;
  *out++ = (uint8_t)n;
  return out;
}

static size_t compress(const uint8_t *in, size_t n, uint8_t *out, uint32_t *chain) {
  static uint32_t head[1 << HASH_BITS];
  uint8_t *to = out;
  size_t at = 0, anchor = 0;
  memset(head, 0xff, sizeof head);
  while (at + MIN_MATCH <= n) {
    uint32_t h = hash(in + at), candidate = head[h];
    size_t best = 0, from = 0;
    for (int tries = 32; candidate != 0xffffffffu && at - candidate <= WINDOW && tries--; candidate = chain[candidate]) {
      size_t length = 0;
      while (at + length < n && in[candidate + length] == in[at + length]) length++;
      if (length > best) { best = length; from = candidate; }
    }
    chain[at] = head[h];
    head[h] = (uint32_t)at;
    if (best < MIN_MATCH) { at++; continue; }
    to = put_length(to, at - anchor);
    memcpy(to, in + anchor, at - anchor);
    to += at - anchor;
    to = put_length(to, best - MIN_MATCH);
    *to++ = (uint8_t)(at - from);
    *to++ = (uint8_t)((at - from) >> 8);
    for (size_t i = 1; i < best && at + i + MIN_MATCH <= n; i++) {
      uint32_t k = hash(in + at + i);
      chain[at + i] = head[k];
      head[k] = (uint32_t)(at + i);
    }
    at += best;
    anchor = at;
  }
  to = put_length(to, n - anchor);
  memcpy(to, in + anchor, n - anchor);
  return (size_t)(to - out) + n - anchor;
}

static size_t get_length(const uint8_t **in) {
  size_t n = 0;
  while (**in == 255) { n += 255; (*in)++; }
  return n + *(*in)++;
}

static size_t decompress(const uint8_t *in, size_t n, uint8_t *out) {
  const uint8_t *end = in + n;
  uint8_t *to = out;
  for (;;) {
    size_t literals = get_length(&in);
    memcpy(to, in, literals);
    to += literals;
    in += literals;
    if (in >= end) return (size_t)(to - out);
    size_t length = get_length(&in) + MIN_MATCH, distance = in[0] | (size_t)in[1] << 8;
    in += 2;
    for (const uint8_t *from = to - distance; length--;) *to++ = *from++;
  }
}

int main(int argc, char **argv) {
  size_t room = 1 << 16, n = 0, got, times = argc > 1 ? strtoul(argv[1], NULL, 10) : 1;
  uint8_t *in = malloc(room);
  while ((got = fread(in + n, 1, room - n, stdin)) > 0)
    if ((n += got) == room) in = realloc(in, room *= 2);
  size_t total = n * times;
  uint8_t *all = malloc(total + 1), *packed = malloc(total + total / 200 + 64), *back = malloc(total + 1);
  for (size_t i = 0; i < times; i++) {
    memcpy(all + i * n, in, n);
    for (size_t k = i * 37 % 101; k < n; k += 101) all[i * n + k] ^= (uint8_t)(i * 7);
  }
  size_t small = compress(all, total, packed, malloc((total + 1) * sizeof(uint32_t)));
  size_t again = decompress(packed, small, back);
  printf("%zu -> %zu -> %zu bytes, crc %08x, packed %08x, back %08x\n", total, small, again, crc32(all, total), crc32(packed, small), crc32(back, again));
  return again == total && !memcmp(all, back, total) ? 0 : 1;
}
