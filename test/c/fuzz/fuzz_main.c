/*
 * fuzz_main.c - drives a fuzz target without libFuzzer, the same way every time: `program rounds [seed file...]`.
 *
 * Each round gives the target a seed with a few bytes changed, cut off, moved or inserted; without seeds, random bytes. It ends at the first report of a sanitizer
 * or the first check of the target that fails; the number of the round is then the last thing on stderr.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem */
#endif
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MOST_RANDOM_BYTES 400
#define MOST_INSERTED 64

static uint64_t state;
static unsigned long round_number;

/* xorshift64*, by Vigna. */
static uint64_t next(void) {
  state ^= state >> 12, state ^= state << 25, state ^= state >> 27;
  return state * UINT64_C(2685821657736338717);
}
static size_t below(size_t bound) { return bound == 0 ? 0 : next() % bound; }

struct bytes {
  uint8_t *at;
  size_t size;
};

static struct bytes read_seed(const char *path) {
  FILE *file = fopen(path, "rb");
  if (file == NULL || fseek(file, 0, SEEK_END) != 0) exit(2);
  struct bytes seed = {.size = (size_t)ftell(file)};
  rewind(file);
  seed.at = malloc(seed.size + 1);
  if (seed.at == NULL || fread(seed.at, 1, seed.size, file) != seed.size) exit(2);
  fclose(file);
  return seed;
}

/* Values at which arithmetic goes wrong. */
static uint64_t edge(void) {
  static const uint64_t edges[] = {0, 1, 4, 7, 8, 0x7f, 0xff, 0xfff, 0x1000, 0x7fffffff, 0x80000000, 0xffffffff, UINT64_C(1) << 63, UINT64_MAX, UINT64_MAX - 7, UINT64_MAX / 2};
  return edges[below(sizeof edges / sizeof *edges)];
}

/* A place that is worth a change: mostly in the headers, or in the notes of an artifact. */
static size_t place(struct bytes input) {
  static const char note[] = "wasmaot";
  const uint8_t *found = input.size == 0 ? NULL : memmem(input.at, input.size, note, sizeof note);
  size_t first = found == NULL ? 0 : (size_t)(found - input.at);
  switch (below(4)) {
    case 0: return below(input.size);
    case 1: return first < 12 ? 0 : first - 12 + below(128);
    default: return below(input.size < 1024 ? input.size : 1024);
  }
}

static void overwrite(struct bytes input) {
  size_t width = (size_t)1 << below(4);
  size_t from = place(input);
  uint64_t value = below(2) ? edge() : next();
  if (below(4) != 0) from -= from % width; /* where fields are */
  if (input.size >= width) memcpy(input.at + (from > input.size - width ? input.size - width : from), &value, width);
}

/* Changes an input, whose buffer has room for MOST_INSERTED more bytes. */
static struct bytes mutate(struct bytes input) {
  for (size_t changes = 1 + below(6); changes > 0; changes--) {
    switch (below(12)) {
      case 0: input.size = below(input.size + 1); break;
      case 1:
        if (input.size > 64) memmove(input.at + below(input.size - 64), input.at + below(input.size - 64), below(64));
        break;
      default: overwrite(input);
    }
  }
  if (below(16) == 0) {
    size_t at = below(input.size + 1), count = below(MOST_INSERTED + 1);
    memmove(input.at + at + count, input.at + at, input.size - at);
    memset(input.at + at, (int)below(256), count);
    input.size += count;
  }
  return input;
}

static void say_round(void) { fprintf(stderr, "in round %lu\n", round_number); }

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  unsigned long rounds = strtoul(argv[1], NULL, 10);
  int seeds = argc - 2;
  struct bytes *seed = calloc((size_t)seeds + 1, sizeof *seed);
  for (int i = 0; i < seeds; i++) seed[i] = read_seed(argv[2 + i]);
  atexit(say_round);
  for (round_number = 0; round_number < rounds; round_number++) {
    state = (round_number + 1) * UINT64_C(0x9e3779b97f4a7c15);
    struct bytes from = seeds > 0 ? seed[round_number % (unsigned long)seeds] : (struct bytes){.size = below(MOST_RANDOM_BYTES)};
    struct bytes scratch = {malloc(from.size + MOST_INSERTED + 1), from.size};
    if (seeds > 0) memcpy(scratch.at, from.at, from.size);
    else for (size_t i = 0; i < from.size; i++) scratch.at[i] = (uint8_t)next();
    struct bytes input = seeds > 0 && round_number >= (unsigned long)seeds ? mutate(scratch) : scratch;
    uint8_t *exact = malloc(input.size > 0 ? input.size : 1); /* so that a sanitizer sees its end */
    memcpy(exact, input.at, input.size);
    LLVMFuzzerTestOneInput(exact, input.size);
    free(exact);
    free(scratch.at);
  }
  for (int i = 0; i < seeds; i++) free(seed[i].at);
  free(seed);
  printf("ok %lu rounds\n", rounds);
  return 0;
}
