/* PolyBench's jacobi-2d: a five-point stencil, there and back. */
#include "kernel.h"

enum { N = 90 };
static f64 a[N][N], b[N][N];

static NOINLINE void step(void) {
  for (i32 i = 1; i < N - 1; i++)
    for (i32 j = 1; j < N - 1; j++) b[i][j] = 0.2 * (a[i][j] + a[i][j - 1] + a[i][1 + j] + a[1 + i][j] + a[i - 1][j]);
  for (i32 i = 1; i < N - 1; i++)
    for (i32 j = 1; j < N - 1; j++) a[i][j] = 0.2 * (b[i][j] + b[i][j - 1] + b[i][1 + j] + b[1 + i][j] + b[i - 1][j]);
}

KERNEL {
  for (i32 i = 0; i < N; i++)
    for (i32 j = 0; j < N; j++) a[i][j] = (i * (j + 2.0) + 2) / N, b[i][j] = (i * (j + 3.0) + 3) / N;
  for (i32 t = 0; t < n * 10; t++) step();
  u32 sum = 0;
  for (i32 i = 0; i < N; i++) for (i32 j = 0; j < N; j++) sum = mix(sum, bits_of(a[i][j]));
  return (i32)sum;
}
