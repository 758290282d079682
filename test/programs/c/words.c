/* Counts words of standard input in an open-addressing hash table that grows, sorts them by count with a quicksort of its own, prints the first N (argument, 20). */
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct entry { char *word; uint64_t hash; unsigned count; };
static struct entry *table;
static size_t room, used, total, probes;

static uint64_t fnv(const char *s) {
  uint64_t h = 0xcbf29ce484222325u;
  while (*s) h = (h ^ (unsigned char)*s++) * 0x100000001b3u;
  return h;
}

static struct entry *slot(struct entry *in, size_t size, const char *word, uint64_t hash) {
  size_t i = hash & (size - 1);
  while (in[i].word && (in[i].hash != hash || strcmp(in[i].word, word))) { i = (i + 1) & (size - 1); probes++; }
  return in + i;
}

static void grow(void) {
  size_t size = room ? room * 2 : 64;
  struct entry *bigger = calloc(size, sizeof *bigger);
  for (size_t i = 0; i < room; i++)
    if (table[i].word) *slot(bigger, size, table[i].word, table[i].hash) = table[i];
  free(table);
  table = bigger;
  room = size;
}

static void count(const char *word) {
  if ((used + 1) * 4 > room * 3) grow();
  struct entry *e = slot(table, room, word, fnv(word));
  if (!e->word) { e->word = strdup(word); e->hash = fnv(word); used++; }
  e->count++;
  total++;
}

static int before(const struct entry *a, const struct entry *b) { return a->count != b->count ? a->count > b->count : strcmp(a->word, b->word) < 0; }

static void sort(struct entry *a, size_t n) {
  while (n > 1) {
    struct entry pivot = a[(n - 1) / 2], swap;
    size_t i = 0, j = n - 1;
    for (;; i++, j--) {
      while (before(a + i, &pivot)) i++;
      while (before(&pivot, a + j)) j--;
      if (i >= j) break;
      swap = a[i]; a[i] = a[j]; a[j] = swap;
    }
    sort(a, j + 1);
    a += j + 1;
    n -= j + 1;
  }
}

int main(int argc, char **argv) {
  char word[128];
  size_t n = 0, want = argc > 1 ? strtoul(argv[1], NULL, 10) : 20, kept = 0;
  for (int c; (c = getchar()) != EOF;) {
    if (isalpha(c) || (c >= 0x80)) { if (n < sizeof word - 1) word[n++] = (char)tolower(c); }
    else if (n) { word[n] = 0; count(word); n = 0; }
  }
  if (n) { word[n] = 0; count(word); }
  for (size_t i = 0; i < room; i++) if (table[i].word) table[kept++] = table[i];
  sort(table, kept);
  for (size_t i = 0; i < kept && i < want; i++) printf("%6u %s\n", table[i].count, table[i].word);
  printf("%zu words, %zu distinct, %zu probes\n", total, used, probes);
  return 0;
}
