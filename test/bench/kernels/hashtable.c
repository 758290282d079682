/* An open-addressing hash table: insertions, look-ups and deletions of random keys. */
#include "kernel.h"

enum { SIZE = 1 << 14, MASK = SIZE - 1 };
static u32 keys[SIZE], values[SIZE]; /* key 0 is empty, key 1 is deleted */

static inline u32 hash(u32 key) {
  key *= 0x9e3779b1u;
  return key ^ key >> 15;
}

static NOINLINE void put(u32 key, u32 value) {
  u32 slot = hash(key) & MASK, free_slot = SIZE;
  while (keys[slot] != 0) {
    if (keys[slot] == key) { values[slot] += value; return; }
    if (keys[slot] == 1 && free_slot == SIZE) free_slot = slot;
    slot = (slot + 1) & MASK;
  }
  if (free_slot != SIZE) slot = free_slot;
  keys[slot] = key, values[slot] = value;
}

static NOINLINE u32 *find(u32 key) {
  for (u32 slot = hash(key) & MASK; keys[slot] != 0; slot = (slot + 1) & MASK)
    if (keys[slot] == key) return &values[slot];
  return 0;
}

static NOINLINE i32 take(u32 key) {
  u32 *value = find(key);
  if (!value) return 0;
  keys[value - values] = 1;
  return 1;
}

KERNEL {
  u32 sum = 0;
  for (i32 round = 0; round < n; round++) {
    u32 state = 4711 + (u32)round;
    for (i32 i = 0; i < SIZE; i++) keys[i] = 0, values[i] = 0;
    for (u32 i = 0; i < SIZE / 2; i++) put((next_random(&state) & 0x3fff) + 2, i);
    for (i32 i = 0; i < SIZE / 8; i++) sum += (u32)take((next_random(&state) & 0x3fff) + 2);
    for (u32 i = 0; i < SIZE / 8; i++) put((next_random(&state) & 0x7fff) + 2, i);
    for (i32 i = 0; i < SIZE; i++) {
      u32 *value = find((next_random(&state) & 0x3fff) + 2);
      sum = value ? mix(sum, *value) : sum + 1;
    }
  }
  return (i32)sum;
}
