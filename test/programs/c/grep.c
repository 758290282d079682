/* grep PATTERN < text: a backtracking matcher for . [a-z] [^a-z] * + ? ^ $ \d \w \s ( ) | on a compiled program. Exit code 0 when a line matched, 1 when none did, 2 for a bad pattern. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum op { CHAR, ANY, SET, SPLIT, JUMP, START, END, MATCH };
struct inst { enum op op; int c, x, y; unsigned char set[32]; };
static struct inst program[4096];
static int length;
static const char *p;
static unsigned long steps;

static int emit(enum op op, int c, int x, int y) {
  if (length == 4096) { puts("pattern too long"); exit(2); }
  program[length] = (struct inst){ .op = op, .c = c, .x = x, .y = y };
  return length++;
}

static void insert(int at, enum op op, int x, int y) {
  emit(op, 0, 0, 0);
  memmove(program + at + 1, program + at, (size_t)(length - 1 - at) * sizeof *program);
  for (int i = at + 1; i < length; i++)
    if (program[i].op == SPLIT || program[i].op == JUMP) {
      if (program[i].x >= at) program[i].x++;
      if (program[i].y >= at) program[i].y++;
    }
  program[at] = (struct inst){ .op = op, .x = x, .y = y };
}

static void add(unsigned char *set, int from, int to) { for (int c = from; c <= to; c++) set[c >> 3] |= (unsigned char)(1 << (c & 7)); }

static void class_of(unsigned char *set, char c) {
  for (int i = 1; i < 256; i++)
    if (c == 'd' ? isdigit(i) : c == 'w' ? isalnum(i) || i == '_' : isspace(i)) add(set, i, i);
}

static void alternatives(void);
static void bad(const char *why) { printf("bad pattern: %s\n", why); exit(2); }

static void atom(void) {
  int i;
  switch (*p) {
    case '(':
      p++;
      alternatives();
      if (*p++ != ')') bad("missing )");
      return;
    case '.': p++; emit(ANY, 0, 0, 0); return;
    case '^': p++; emit(START, 0, 0, 0); return;
    case '$': p++; emit(END, 0, 0, 0); return;
    case '*': case '+': case '?': bad("nothing to repeat"); return;
    case '[': {
      int negated = *++p == '^';
      if (negated) p++;
      i = emit(SET, 0, 0, 0);
      for (const char *first = p; *p && (*p != ']' || p == first); p++) {
        if (*p == '\\' && p[1]) { p++; if (strchr("dws", *p)) class_of(program[i].set, *p); else add(program[i].set, *p, *p); }
        else if (p[1] == '-' && p[2] && p[2] != ']') { add(program[i].set, (unsigned char)*p, (unsigned char)p[2]); p += 2; }
        else add(program[i].set, (unsigned char)*p, (unsigned char)*p);
      }
      if (*p++ != ']') bad("missing ]");
      if (negated) for (int k = 0; k < 32; k++) program[i].set[k] = (unsigned char)~program[i].set[k];
      return;
    }
    case '\\':
      if (!p[1]) bad("trailing backslash");
      p++;
      if (strchr("dws", *p)) class_of(program[emit(SET, 0, 0, 0)].set, *p);
      else emit(CHAR, (unsigned char)*p, 0, 0);
      p++;
      return;
    default: emit(CHAR, (unsigned char)*p++, 0, 0);
  }
}

static void sequence(void) {
  while (*p && *p != '|' && *p != ')') {
    int start = length;
    atom();
    for (; *p == '*' || *p == '+' || *p == '?'; p++) {
      if (*p == '+') emit(SPLIT, 0, start, length + 1);
      else {
        insert(start, SPLIT, start + 1, 0);
        if (*p == '*') emit(JUMP, 0, start, 0);
        program[start].y = length;
      }
    }
  }
}

static void alternatives(void) {
  int start = length;
  sequence();
  if (*p != '|') return;
  p++;
  insert(start, SPLIT, start + 1, 0);
  int jump = emit(JUMP, 0, 0, 0);
  program[start].y = length;
  alternatives();
  program[jump].x = length;
}

/* A loop whose body can be empty would split for ever: `budget` bounds the splits and jumps of one path. */
static const char *run(int pc, const char *line, const char *s, int budget) {
  for (; budget; steps++) {
    struct inst *in = program + pc;
    unsigned char c = (unsigned char)*s;
    switch (in->op) {
      case CHAR: if (c != in->c) return NULL; s++; pc++; break;
      case ANY: if (!c) return NULL; s++; pc++; break;
      case SET: if (!c || !(in->set[c >> 3] >> (c & 7) & 1)) return NULL; s++; pc++; break;
      case START: if (s != line) return NULL; pc++; break;
      case END: if (c) return NULL; pc++; break;
      case JUMP: pc = in->x; budget--; break;
      case SPLIT: { const char *end = run(in->x, line, s, budget - 1); if (end) return end; pc = in->y; break; }
      case MATCH: return s;
    }
  }
  return NULL;
}

int main(int argc, char **argv) {
  static char line[4096];
  int number = 0, matched = 0;
  if (argc != 2) { fprintf(stderr, "usage: grep PATTERN\n"); return 2; }
  p = argv[1];
  alternatives();
  if (*p) bad("unexpected )");
  emit(MATCH, 0, 0, 0);
  while (fgets(line, sizeof line, stdin)) {
    line[strcspn(line, "\n")] = 0;
    number++;
    for (const char *s = line;; s++) {
      const char *end = run(0, line, s, 2000);
      if (end) { printf("%d:%d-%d:%s\n", number, (int)(s - line), (int)(end - line), line); matched++; break; }
      if (!*s) break;
    }
  }
  printf("%d of %d lines, %lu steps\n", matched, number, steps);
  return matched ? 0 : 1;
}
