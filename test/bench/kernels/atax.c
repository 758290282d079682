/* PolyBench's atax: y = transpose(A) (A x). */
#include "kernel.h"

enum { M = 120, N = 140 };
static f64 a[M][N], x[N], y[N], t[M];

static NOINLINE void atax(void) {
  for (i32 i = 0; i < N; i++) y[i] = 0;
  for (i32 i = 0; i < M; i++) {
    t[i] = 0;
    for (i32 j = 0; j < N; j++) t[i] = t[i] + a[i][j] * x[j];
    for (i32 j = 0; j < N; j++) y[j] = y[j] + a[i][j] * t[i];
  }
}

KERNEL {
  for (i32 i = 0; i < N; i++) x[i] = 1 + (f64)i / N;
  for (i32 i = 0; i < M; i++) for (i32 j = 0; j < N; j++) a[i][j] = (f64)((i + j) % N) / (5 * M);
  for (i32 round = 0; round < n * 10; round++) {
    atax();
    x[round % N] += y[(round * 7) % N] * 1e-6;
  }
  u32 sum = 0;
  for (i32 i = 0; i < N; i++) sum = mix(sum, bits_of(y[i]));
  return (i32)sum;
}
