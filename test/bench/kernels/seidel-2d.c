/* PolyBench's seidel-2d: a nine-point stencil in place, each point waiting for the one before. */
#include "kernel.h"

enum { N = 80 };
static f64 a[N][N];

static NOINLINE void step(void) {
  for (i32 i = 1; i <= N - 2; i++)
    for (i32 j = 1; j <= N - 2; j++)
      a[i][j] = (a[i - 1][j - 1] + a[i - 1][j] + a[i - 1][j + 1] + a[i][j - 1] + a[i][j] + a[i][j + 1] + a[i + 1][j - 1] + a[i + 1][j] + a[i + 1][j + 1]) / 9.0;
}

KERNEL {
  for (i32 i = 0; i < N; i++) for (i32 j = 0; j < N; j++) a[i][j] = (i * (j + 2.0) + 2) / N;
  for (i32 t = 0; t < n * 10; t++) step();
  u32 sum = 0;
  for (i32 i = 0; i < N; i++) for (i32 j = 0; j < N; j++) sum = mix(sum, bits_of(a[i][j]));
  return (i32)sum;
}
