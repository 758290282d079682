/* PolyBench's gemm: C = alpha A B + beta C, in doubles. */
#include "kernel.h"

enum { N = 96 };
static f64 a[N][N], b[N][N], c[N][N];

static NOINLINE void gemm(f64 alpha, f64 beta) {
  for (i32 i = 0; i < N; i++) {
    for (i32 j = 0; j < N; j++) c[i][j] *= beta;
    for (i32 k = 0; k < N; k++)
      for (i32 j = 0; j < N; j++) c[i][j] += alpha * a[i][k] * b[k][j];
  }
}

KERNEL {
  for (i32 i = 0; i < N; i++)
    for (i32 j = 0; j < N; j++) {
      a[i][j] = (f64)(i * (j + 1) % N) / N;
      b[i][j] = (f64)(i * (j + 2) % N) / N;
      c[i][j] = (f64)((i * j + 1) % N) / N;
    }
  for (i32 i = 0; i < n; i++) gemm(0.75, 0.25);
  u32 sum = 0;
  for (i32 i = 0; i < N; i++) for (i32 j = 0; j < N; j++) sum = mix(sum, bits_of(c[i][j]));
  return (i32)sum;
}
