/* Five bodies under gravity: short loops of scalar floating point, with square roots. */
#include "kernel.h"

enum { BODIES = 5 };
static struct { f64 x, y, z, vx, vy, vz, mass; } body[BODIES];

static void set_up(void) {
  u32 state = 12345;
  for (i32 i = 0; i < BODIES; i++) {
    body[i].x = (f64)(next_random(&state) % 1000) / 50.0 - 10.0;
    body[i].y = (f64)(next_random(&state) % 1000) / 50.0 - 10.0;
    body[i].z = (f64)(next_random(&state) % 1000) / 50.0 - 10.0;
    body[i].vx = (f64)(next_random(&state) % 1000) / 2000.0;
    body[i].vy = (f64)(next_random(&state) % 1000) / 2000.0;
    body[i].vz = (f64)(next_random(&state) % 1000) / 2000.0;
    body[i].mass = i == 0 ? 40.0 : 0.01 * (i + 1);
  }
}

static void advance(f64 dt) {
  for (i32 i = 0; i < BODIES; i++) {
    for (i32 j = i + 1; j < BODIES; j++) {
      f64 dx = body[i].x - body[j].x, dy = body[i].y - body[j].y, dz = body[i].z - body[j].z;
      f64 square = dx * dx + dy * dy + dz * dz + 0.01;
      f64 pull = dt / (square * __builtin_sqrt(square));
      body[i].vx -= dx * body[j].mass * pull;
      body[i].vy -= dy * body[j].mass * pull;
      body[i].vz -= dz * body[j].mass * pull;
      body[j].vx += dx * body[i].mass * pull;
      body[j].vy += dy * body[i].mass * pull;
      body[j].vz += dz * body[i].mass * pull;
    }
  }
  for (i32 i = 0; i < BODIES; i++) {
    body[i].x += dt * body[i].vx;
    body[i].y += dt * body[i].vy;
    body[i].z += dt * body[i].vz;
  }
}

KERNEL {
  set_up();
  for (i32 i = 0; i < n * 1000; i++) advance(0.001);
  u32 sum = 0;
  for (i32 i = 0; i < BODIES; i++) sum = mix(mix(mix(sum, bits_of(body[i].x)), bits_of(body[i].y)), bits_of(body[i].vz));
  return (i32)sum;
}
