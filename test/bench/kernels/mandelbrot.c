/* The Mandelbrot set: a scalar floating-point loop with a data-dependent end. */
#include "kernel.h"

KERNEL {
  enum { SIDE = 64, LIMIT = 200 };
  u32 sum = 0;
  for (i32 image = 0; image < n; image++) {
    f64 shift = image * 0.001;
    for (i32 row = 0; row < SIDE; row++) {
      for (i32 column = 0; column < SIDE; column++) {
        f64 cx = -2.0 + shift + 2.5 * column / SIDE, cy = -1.25 + 2.5 * row / SIDE, x = 0, y = 0, xx = 0, yy = 0;
        u32 steps = 0;
        for (; steps < LIMIT && xx + yy < 4.0; steps++) {
          y = 2 * x * y + cy;
          x = xx - yy + cx;
          xx = x * x, yy = y * y;
        }
        sum = mix(sum, steps);
      }
    }
  }
  return (i32)sum;
}
