/* A compressor of Ziv and Lempel's kind, with a hash of three bytes, and its decompressor. */
#include "kernel.h"

enum { LENGTH = 1 << 15, HASH = 1 << 12, WINDOW = 8191, LEAST = 3, MOST = 66 };
static u8 input[LENGTH], packed[LENGTH * 2], output[LENGTH];
static i32 head[HASH];

static void make_input(u32 state) {
  for (i32 i = 0; i < LENGTH;) {
    u32 r = next_random(&state);
    if (i > 100 && r % 3) {
      i32 from = i - 1 - (i32)(r >> 8) % 90;
      for (u32 count = 3 + (r >> 4) % 12; count > 0 && i < LENGTH; count--) input[i++] = input[from++];
    } else input[i++] = (u8)('a' + (r >> 3) % 24);
  }
}

static u32 hash_at(i32 at) { return ((u32)input[at] * 506832829u + (u32)input[at + 1] * 2654435u + (u32)input[at + 2] * 40503u) >> 7 & (HASH - 1); }

static i32 match_length(i32 from, i32 at) {
  i32 length = 0;
  while (length < MOST && at + length < LENGTH && input[from + length] == input[at + length]) length++;
  return length;
}

/* A literal is its byte below 128; a match is 128 + length - LEAST, then the distance in two bytes. */
static NOINLINE i32 pack(void) {
  i32 size = 0;
  for (i32 i = 0; i < HASH; i++) head[i] = -1;
  for (i32 at = 0; at < LENGTH;) {
    i32 length = 0, from = -1;
    if (at + LEAST <= LENGTH) {
      u32 hash = hash_at(at);
      from = head[hash];
      head[hash] = at;
      if (from >= 0 && at - from <= WINDOW) length = match_length(from, at);
    }
    if (length < LEAST) {
      packed[size++] = input[at++];
      continue;
    }
    packed[size++] = (u8)(128 + length - LEAST);
    packed[size++] = (u8)(at - from);
    packed[size++] = (u8)((at - from) >> 8);
    at += length;
  }
  return size;
}

static NOINLINE i32 unpack(i32 size) {
  i32 at = 0;
  for (i32 i = 0; i < size;) {
    u8 token = packed[i++];
    if (token < 128) {
      output[at++] = token;
      continue;
    }
    i32 from = at - (packed[i] | packed[i + 1] << 8);
    i += 2;
    for (i32 length = token - 128 + LEAST; length > 0; length--) output[at++] = output[from++];
  }
  return at;
}

KERNEL {
  u32 sum = 0;
  for (i32 round = 0; round < n; round++) {
    make_input(31 + (u32)round);
    i32 size = pack();
    i32 length = unpack(size);
    sum = mix(mix(sum, (u32)size), (u32)length);
    for (i32 i = 0; i < LENGTH; i++) sum = (sum << 1 | sum >> 31) + output[i] + (output[i] != input[i]) * 65536u;
  }
  return (i32)sum;
}
