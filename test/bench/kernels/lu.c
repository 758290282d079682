/* PolyBench's lu: LU decomposition in place, triangular loops. */
#include "kernel.h"

enum { N = 100 };
static f64 a[N][N];

static void set_up(i32 round) {
  for (i32 i = 0; i < N; i++) for (i32 j = 0; j < N; j++) a[i][j] = i == j ? N : (f64)((i * 7 + j * 13 + round) % N) / N;
}

static NOINLINE void lu(void) {
  for (i32 i = 0; i < N; i++) {
    for (i32 j = 0; j < i; j++) {
      for (i32 k = 0; k < j; k++) a[i][j] -= a[i][k] * a[k][j];
      a[i][j] /= a[j][j];
    }
    for (i32 j = i; j < N; j++)
      for (i32 k = 0; k < i; k++) a[i][j] -= a[i][k] * a[k][j];
  }
}

KERNEL {
  u32 sum = 0;
  for (i32 round = 0; round < n; round++) {
    set_up(round);
    lu();
    for (i32 i = 0; i < N; i++) sum = mix(sum, bits_of(a[i][(i * 3) % N]));
  }
  return (i32)sum;
}
