/* Multiplication and squaring of long numbers modulo a power of two, in 32-bit limbs with 64-bit products: chains of carries. */
#include "kernel.h"

enum { LIMBS = 32 };
static u32 x[LIMBS], y[LIMBS], z[LIMBS];

static NOINLINE void multiply(u32 *to, const u32 *a, const u32 *b) {
  for (i32 i = 0; i < LIMBS; i++) to[i] = 0;
  for (i32 i = 0; i < LIMBS; i++) {
    u64 carry = 0;
    for (i32 j = 0; i + j < LIMBS; j++) {
      carry += (u64)a[i] * b[j] + to[i + j];
      to[i + j] = (u32)carry;
      carry >>= 32;
    }
  }
}

KERNEL {
  u32 state = 1, sum = 0;
  for (i32 i = 0; i < LIMBS; i++) x[i] = next_random(&state) | 1, y[i] = next_random(&state);
  for (i32 round = 0; round < n * 100; round++) {
    multiply(z, x, y);
    multiply(y, z, z);
    y[0] |= 1;
    x[round & (LIMBS - 1)] += z[LIMBS - 1];
  }
  for (i32 i = 0; i < LIMBS; i++) sum = mix(mix(sum, z[i]), y[i]);
  return (i32)sum;
}
