/* A Brainfuck interpreter: the program in the first argument, its input on standard input. Runs of one command are folded, loops resolved beforehand. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct step { char op; int32_t n; };

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  size_t length = strlen(argv[1]), n = 0, open = 0;
  struct step *code = calloc(length + 1, sizeof *code);
  int32_t *stack = calloc(length + 1, sizeof *stack);
  for (const char *p = argv[1]; *p; p++) {
    if (!strchr("+-<>.,[]", *p)) continue;
    if (strchr("+-<>", *p)) {
      char op = *p == '-' ? '+' : *p == '<' ? '>' : *p;
      int32_t by = *p == op ? 1 : -1;
      if (n && code[n - 1].op == op) code[n - 1].n += by;
      else code[n++] = (struct step){ op, by };
      continue;
    }
    code[n] = (struct step){ *p, 0 };
    if (*p == '[') stack[open++] = (int32_t)n;
    if (*p == ']') {
      if (!open) { puts("unmatched ]"); return 3; }
      code[n].n = stack[--open];
      code[code[n].n].n = (int32_t)n;
    }
    n++;
  }
  if (open) { puts("unmatched ["); return 3; }
  static uint8_t tape[30000];
  uint8_t *cell = tape;
  unsigned long long steps = 0;
  for (size_t pc = 0; pc < n; pc++, steps++) {
    struct step s = code[pc];
    switch (s.op) {
      case '+': *cell += (uint8_t)s.n; break;
      case '>':
        if (s.n > tape + sizeof tape - 1 - cell || s.n < tape - cell) { puts("off the tape"); return 4; }
        cell += s.n;
        break;
      case '.': putchar(*cell); break;
      case ',': { int c = getchar(); *cell = c == EOF ? 0 : (uint8_t)c; break; }
      case '[': if (!*cell) pc = (size_t)s.n; break;
      case ']': if (*cell) pc = (size_t)s.n; break;
    }
  }
  printf("\n%llu steps\n", steps);
  return 0;
}
