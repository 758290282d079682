/* An image filter: a weighted blur in integers with borders, then a histogram. */
#include "kernel.h"

enum { WIDTH = 160, HEIGHT = 120 };
static u8 image[HEIGHT][WIDTH], result[HEIGHT][WIDTH];
static u32 histogram[256];

static NOINLINE void blur(void) {
  static const i32 weight[3][3] = {{1, 2, 1}, {2, 4, 2}, {1, 2, 1}};
  for (i32 y = 1; y < HEIGHT - 1; y++)
    for (i32 x = 1; x < WIDTH - 1; x++) {
      i32 sum = 8;
      for (i32 dy = 0; dy < 3; dy++) for (i32 dx = 0; dx < 3; dx++) sum += weight[dy][dx] * image[y + dy - 1][x + dx - 1];
      result[y][x] = (u8)(sum >> 4);
    }
}

static NOINLINE void count(void) {
  for (i32 y = 0; y < HEIGHT; y++) for (i32 x = 0; x < WIDTH; x++) histogram[result[y][x]]++;
}

static NOINLINE void feed_back(void) {
  for (i32 y = 0; y < HEIGHT; y++) for (i32 x = 0; x < WIDTH; x++) image[y][x] = (u8)(result[y][x] ^ (u8)(x * 3 + y));
}

KERNEL {
  u32 sum = 0, state = 64;
  for (i32 y = 0; y < HEIGHT; y++) for (i32 x = 0; x < WIDTH; x++) image[y][x] = (u8)next_random(&state), result[y][x] = 0;
  for (i32 i = 0; i < 256; i++) histogram[i] = 0;
  for (i32 round = 0; round < n; round++) blur(), count(), feed_back();
  for (i32 i = 0; i < 256; i++) sum = mix(sum, histogram[i]);
  return (i32)sum;
}
