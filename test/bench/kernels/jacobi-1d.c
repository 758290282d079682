/* PolyBench's jacobi-1d: a three-point stencil, there and back. */
#include "kernel.h"

enum { N = 2000 };
static f64 a[N], b[N];

static NOINLINE void step(void) {
  for (i32 i = 1; i < N - 1; i++) b[i] = 0.33333 * (a[i - 1] + a[i] + a[i + 1]);
  for (i32 i = 1; i < N - 1; i++) a[i] = 0.33333 * (b[i - 1] + b[i] + b[i + 1]);
}

KERNEL {
  for (i32 i = 0; i < N; i++) a[i] = (i + 2.0) / N, b[i] = (i + 3.0) / N;
  for (i32 t = 0; t < n * 100; t++) step();
  u32 sum = 0;
  for (i32 i = 0; i < N; i++) sum = mix(sum, bits_of(a[i]));
  return (i32)sum;
}
