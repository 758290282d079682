/* Conway's game of life on a torus of bytes. */
#include "kernel.h"

enum { N = 128 };
static u8 world[2][N][N];

static NOINLINE void generation(const u8 (*from)[N], u8 (*to)[N]) {
  for (i32 row = 0; row < N; row++) {
    const u8 *above = from[(row + N - 1) % N], *here = from[row], *below = from[(row + 1) % N];
    for (i32 column = 0; column < N; column++) {
      i32 left = (column + N - 1) % N, right = (column + 1) % N;
      i32 alive = above[left] + above[column] + above[right] + here[left] + here[right] + below[left] + below[column] + below[right];
      to[row][column] = alive == 3 || (alive == 2 && here[column]);
    }
  }
}

KERNEL {
  u32 sum = 0, state = 1970;
  for (i32 i = 0; i < N * N; i++) world[0][i / N][i % N] = next_random(&state) % 3 == 0;
  for (i32 round = 0; round < n * 2; round++) generation(world[round & 1], world[~round & 1]);
  for (i32 i = 0; i < N * N; i++) sum = (sum << 1 | sum >> 31) + world[0][i / N][i % N] * (u32)i;
  return (i32)sum;
}
