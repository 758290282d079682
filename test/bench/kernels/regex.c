/* A backtracking matcher of regular expressions (. * + ? ^ $ and classes by letter): deep, small recursive calls over text. */
#include "kernel.h"

enum { LENGTH = 4096 };
static char text[LENGTH + 1];

static i32 match_here(const char *pattern, const char *at);

static i32 matches(char want, char c) {
  if (c == 0) return 0;
  switch (want) {
    case '.': return 1;
    case '#': return c >= '0' && c <= '9';
    case '@': return c >= 'a' && c <= 'z';
    default: return want == c;
  }
}

static NOINLINE i32 match_repeat(char want, i32 least, i32 most, const char *rest, const char *at) {
  i32 count = 0;
  while (count < most && matches(want, at[count])) count++;
  for (; count >= least; count--) if (match_here(rest, at + count)) return 1;
  return 0;
}

static NOINLINE i32 match_here(const char *pattern, const char *at) {
  for (;; pattern++, at++) {
    if (*pattern == 0) return 1;
    if (pattern[0] == '$' && pattern[1] == 0) return *at == 0 || *at == '\n';
    switch (pattern[1]) {
      case '*': return match_repeat(pattern[0], 0, 24, pattern + 2, at);
      case '+': return match_repeat(pattern[0], 1, 24, pattern + 2, at);
      case '?': return match_repeat(pattern[0], 0, 1, pattern + 2, at);
    }
    if (!matches(*pattern, *at)) return 0;
  }
}

static i32 count_matches(const char *pattern) {
  i32 found = 0;
  for (const char *at = text; *at; at++) found += match_here(pattern, at);
  return found;
}

KERNEL {
  static const char *const patterns[] = {"a@*z", "##+-@@", "@+#?@*#$", "x?y?z?w", ".*e.*#", "ab*c*d", "@@*##*@"};
  static const char letters[] = "abcdexyzwab0123456789-abc \n";
  u32 sum = 0, state = 77;
  for (i32 i = 0; i < LENGTH; i++) text[i] = letters[next_random(&state) % (sizeof letters - 1)];
  for (i32 round = 0; round < n; round++) {
    for (i32 i = 0; i < (i32)(sizeof patterns / sizeof *patterns); i++) sum = mix(sum, (u32)count_matches(patterns[i]));
    text[(round * 97) % LENGTH] = letters[(u32)round % (sizeof letters - 1)];
  }
  return (i32)sum;
}
