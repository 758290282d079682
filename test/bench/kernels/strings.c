/* Text: make a text of words, split it, compare and count the words, and search it for patterns by Horspool's method. */
#include "kernel.h"

enum { LENGTH = 1 << 15, WORDS = 512 };
static char text[LENGTH + 1];
static struct { i32 start, length, count; } word[WORDS];
static i32 words;

static void make_text(u32 state) {
  for (i32 i = 0; i < LENGTH;) {
    u32 r = next_random(&state) % 400;
    for (u32 left = 2 + r % 7; left > 0 && i < LENGTH; left--) text[i++] = (char)('a' + (r = r * 17 + 3) % 26 % (3 + left * 3));
    if (i < LENGTH) text[i++] = r % 11 ? ' ' : '\n';
  }
  text[LENGTH] = 0;
}

static NOINLINE i32 equal(const char *a, const char *b, i32 length) {
  for (i32 i = 0; i < length; i++) if (a[i] != b[i]) return 0;
  return 1;
}

static NOINLINE void count_word(i32 start, i32 length) {
  u32 hash = 0;
  for (i32 i = 0; i < length; i++) hash = hash * 31 + (u8)text[start + i];
  for (u32 slot = hash % WORDS;; slot = (slot + 1) % WORDS) {
    if (word[slot].count == 0) {
      if (words == WORDS - 1) return;
      words++;
      word[slot].start = start, word[slot].length = length;
    } else if (word[slot].length != length || !equal(text + word[slot].start, text + start, length)) continue;
    word[slot].count++;
    return;
  }
}

static i32 is_space(char c) { return c == ' ' || c == '\n' || c == '\t'; }

static void split(void) {
  for (i32 i = 0; text[i];) {
    while (is_space(text[i])) i++;
    i32 start = i;
    while (text[i] && !is_space(text[i])) i++;
    if (i > start) count_word(start, i - start);
  }
}

static NOINLINE i32 search(const char *pattern, i32 length) {
  static i32 skip[256];
  for (i32 i = 0; i < 256; i++) skip[i] = length;
  for (i32 i = 0; i < length - 1; i++) skip[(u8)pattern[i]] = length - 1 - i;
  i32 found = 0;
  for (i32 at = 0; at + length <= LENGTH; at += skip[(u8)text[at + length - 1]]) found += equal(text + at, pattern, length);
  return found;
}

KERNEL {
  u32 sum = 0;
  for (i32 round = 0; round < n; round++) {
    make_text(17 + (u32)round);
    words = 0;
    for (i32 i = 0; i < WORDS; i++) word[i].count = 0;
    split();
    for (i32 i = 0; i < WORDS; i++) sum = mix(sum, (u32)word[i].count);
    for (i32 i = 0; i < 16; i++) sum = mix(sum, (u32)search(text + i * 97, 3 + i % 6));
  }
  return (i32)sum;
}
