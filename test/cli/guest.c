/* The guest of the CLI's tests: does what its first argument says. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern char **environ;

static int usage(void) { fputs("unknown request\n", stderr); return 99; }

static int copy(FILE *from, FILE *to) {
  for (int c; (c = getc(from)) != EOF;) putc(c, to);
  return fflush(to);
}

static int file(const char *path, const char *text) {
  FILE *f = fopen(path, text ? "w" : "r");
  if (!f) { perror(path); return 5; }
  if (text) fputs(text, f);
  else copy(f, stdout);
  return fclose(f) ? 6 : 0;
}

static volatile int zero;
static int deeper(int n) { volatile char room[256]; room[0] = (char)n; return deeper(n + 1) + room[0]; }

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  if (!strcmp(what, "args")) for (int i = 0; i < argc; i++) printf("[%s]\n", argv[i]);
  else if (!strcmp(what, "env")) for (char **e = environ; *e; e++) puts(*e);
  else if (!strcmp(what, "cat")) return copy(stdin, stdout);
  else if (!strcmp(what, "both")) { puts("to stdout"); fflush(stdout); fputs("to stderr\n", stderr); }
  else if (!strcmp(what, "exit")) exit(atoi(argv[2]));
  else if (!strcmp(what, "read")) return file(argv[2], NULL);
  else if (!strcmp(what, "write")) return file(argv[2], argv[3]);
  else if (!strcmp(what, "divide")) { printf("before\n"); fflush(stdout); printf("%d\n", argc / zero); }
  else if (!strcmp(what, "abort")) abort();
  else if (!strcmp(what, "deep")) return deeper(0);
  else if (!strcmp(what, "loop")) { printf("looping\n"); fflush(stdout); for (;;) zero = 1; }
  else return usage();
  return 0;
}
