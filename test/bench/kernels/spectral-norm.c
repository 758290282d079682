/* The spectral norm of an infinite matrix, cut off: divisions, and a function for each element. */
#include "kernel.h"

enum { N = 100 };
static f64 u[N], v[N], t[N];

static f64 element(i32 i, i32 j) { return 1.0 / ((i + j) * (i + j + 1) / 2 + i + 1); }

static NOINLINE void times(const f64 *from, f64 *to) {
  for (i32 i = 0; i < N; i++) {
    f64 sum = 0;
    for (i32 j = 0; j < N; j++) sum += element(i, j) * from[j];
    to[i] = sum;
  }
}

static NOINLINE void times_transposed(const f64 *from, f64 *to) {
  for (i32 i = 0; i < N; i++) {
    f64 sum = 0;
    for (i32 j = 0; j < N; j++) sum += element(j, i) * from[j];
    to[i] = sum;
  }
}

KERNEL {
  for (i32 i = 0; i < N; i++) u[i] = 1;
  for (i32 round = 0; round < n; round++) {
    times(u, t), times_transposed(t, v);
    times(v, t), times_transposed(t, u);
  }
  f64 uv = 0, vv = 0;
  for (i32 i = 0; i < N; i++) uv += u[i] * v[i], vv += v[i] * v[i];
  return (i32)mix(bits_of(__builtin_sqrt(uv / vv)), bits_of(u[N / 2]));
}
