/* Fannkuch: permutations of ten small numbers, and the flips that each takes. */
#include "kernel.h"

enum { MOST = 10 };

static NOINLINE u32 fannkuch(i32 size) {
  i32 perm[MOST], flipped[MOST], count[MOST];
  i32 most = 0, sum = 0, parity = 0, depth = size;
  for (i32 i = 0; i < size; i++) perm[i] = i;
  for (;;) {
    for (; depth > 1; depth--) count[depth - 1] = depth;
    for (i32 i = 0; i < size; i++) flipped[i] = perm[i];
    i32 flips = 0;
    for (i32 first; (first = flipped[0]) != 0; flips++)
      for (i32 low = 0, high = first; low < high; low++, high--) {
        i32 value = flipped[low];
        flipped[low] = flipped[high], flipped[high] = value;
      }
    if (flips > most) most = flips;
    sum += parity ? -flips : flips;
    for (;; depth++) {
      if (depth == size) return mix((u32)sum, (u32)most);
      i32 first = perm[0];
      for (i32 i = 0; i < depth; i++) perm[i] = perm[i + 1];
      perm[depth] = first;
      if (--count[depth] > 0) break;
    }
    parity = !parity;
  }
}

KERNEL {
  u32 sum = 0;
  for (i32 round = 0; round < n; round++) sum = mix(sum, fannkuch(7 + round % 2));
  return (i32)sum;
}
