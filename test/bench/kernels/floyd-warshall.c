/* PolyBench's floyd-warshall: all shortest paths, in integers. */
#include "kernel.h"

enum { N = 100 };
static i32 path[N][N];

static NOINLINE void shorten(void) {
  for (i32 k = 0; k < N; k++)
    for (i32 i = 0; i < N; i++)
      for (i32 j = 0; j < N; j++) path[i][j] = path[i][j] < path[i][k] + path[k][j] ? path[i][j] : path[i][k] + path[k][j];
}

KERNEL {
  u32 sum = 0;
  for (i32 round = 0; round < n; round++) {
    for (i32 i = 0; i < N; i++)
      for (i32 j = 0; j < N; j++) path[i][j] = (i + j + round) % 13 == 0 || (i + j) % 7 == 0 ? 999 : i * j % 7 + 1;
    shorten();
    for (i32 i = 0; i < N; i++) for (i32 j = 0; j < N; j += 3) sum = mix(sum, (u32)path[i][j]);
  }
  return (i32)sum;
}
