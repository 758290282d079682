/* Loops over arrays that a compiler can turn into vector code: saxpy, an integer dot product, a saturating byte blend, a prefix sum (which it cannot). */
#include "kernel.h"

enum { N = 4096 };
static f32 x[N], y[N];
static i32 p[N], q[N];
static u8 dark[N], light[N];

static NOINLINE void saxpy(f32 a, const f32 *from, f32 *to, i32 count) {
  for (i32 i = 0; i < count; i++) to[i] += a * from[i];
}
static NOINLINE i32 dot(const i32 *a, const i32 *b, i32 count) {
  u32 sum = 0;
  for (i32 i = 0; i < count; i++) sum += (u32)a[i] * (u32)b[i];
  return (i32)sum;
}
static NOINLINE void blend(u8 *to, const u8 *from, i32 count) {
  for (i32 i = 0; i < count; i++) {
    u32 value = (u32)to[i] + from[i];
    to[i] = (u8)(value > 255 ? 255 : value);
  }
}
static NOINLINE void prefix(i32 *a, i32 count) {
  for (i32 i = 1; i < count; i++) a[i] = (i32)((u32)a[i] + (u32)a[i - 1]);
}

KERNEL {
  u32 sum = 0, state = 5;
  for (i32 i = 0; i < N; i++) {
    x[i] = (f32)(i % 17) / 16, y[i] = (f32)(i % 5);
    p[i] = (i32)next_random(&state), q[i] = i, dark[i] = (u8)(p[i] & 7), light[i] = (u8)i;
  }
  for (i32 round = 0; round < n * 10; round++) {
    saxpy(0.0625f, x, y, N - (round & 7));
    sum = mix(sum, (u32)dot(p, q, N - (round & 3)));
    blend(light, dark, N);
    if ((round & 7) == 0) prefix(q, N);
  }
  for (i32 i = 0; i < N; i++) sum = mix(mix(sum, bits_of(y[i])), (u32)light[i] + (u32)q[i]);
  return (i32)sum;
}
