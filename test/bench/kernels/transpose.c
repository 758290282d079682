/* Matrix transposition, plain and in tiles: strided memory accesses. */
#include "kernel.h"

enum { N = 256, TILE = 16 };
static i32 a[N * N], b[N * N];

static NOINLINE void plain(const i32 *from, i32 *to) {
  for (i32 i = 0; i < N; i++) for (i32 j = 0; j < N; j++) to[j * N + i] = from[i * N + j];
}

static NOINLINE void tiled(const i32 *from, i32 *to) {
  for (i32 row = 0; row < N; row += TILE)
    for (i32 column = 0; column < N; column += TILE)
      for (i32 i = row; i < row + TILE; i++) for (i32 j = column; j < column + TILE; j++) to[j * N + i] = from[i * N + j] + 1;
}

KERNEL {
  for (i32 i = 0; i < N * N; i++) a[i] = i * 31;
  for (i32 round = 0; round < n; round++) plain(a, b), tiled(b, a), tiled(a, b), tiled(b, a);
  u32 sum = 0;
  for (i32 i = 0; i < N * N; i += 5) sum = mix(sum, (u32)a[i]);
  return (i32)sum;
}
