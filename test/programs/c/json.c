/* Reads JSON from standard input, prints it indented with sorted keys, then a line of statistics. Exit code 1 and the offset on bad input. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { NUL, FALSE_, TRUE_, NUMBER, STRING, ARRAY, OBJECT };

struct value {
  enum kind kind;
  double number;
  char *text; /* STRING, decoded to UTF-8 */
  size_t count, room;
  struct value **items;
  char **keys; /* OBJECT */
};

static char *input;
static size_t at, depth, deepest, values;

static void fail(const char *why) {
  printf("error at %zu: %s\n", at, why);
  exit(1);
}

static void space(void) {
  while (input[at] == ' ' || input[at] == '\n' || input[at] == '\t' || input[at] == '\r') at++;
}

static unsigned hex4(void) {
  unsigned code = 0;
  for (int i = 0; i < 4; i++, at++) {
    if (!isxdigit((unsigned char)input[at])) fail("bad escape");
    char c = (char)tolower(input[at]);
    code = code * 16 + (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
  }
  return code;
}

static size_t put_utf8(char *to, unsigned code) {
  if (code < 0x80) { to[0] = (char)code; return 1; }
  if (code < 0x800) { to[0] = (char)(0xc0 | code >> 6); to[1] = (char)(0x80 | (code & 63)); return 2; }
  if (code < 0x10000) {
    to[0] = (char)(0xe0 | code >> 12); to[1] = (char)(0x80 | (code >> 6 & 63)); to[2] = (char)(0x80 | (code & 63));
    return 3;
  }
  to[0] = (char)(0xf0 | code >> 18); to[1] = (char)(0x80 | (code >> 12 & 63)); to[2] = (char)(0x80 | (code >> 6 & 63)); to[3] = (char)(0x80 | (code & 63));
  return 4;
}

static char *parse_string(void) {
  size_t start = ++at, n = 0;
  while (input[at] && input[at] != '"') at += input[at] == '\\' && input[at + 1] ? 2 : 1;
  char *text = malloc(at - start + 1);
  for (at = start; input[at] != '"';) {
    if (!input[at]) fail("unterminated string");
    if ((unsigned char)input[at] < 0x20) fail("control character");
    if (input[at] != '\\') { text[n++] = input[at++]; continue; }
    at++;
    switch (input[at++]) {
      case 'n': text[n++] = '\n'; break;
      case 't': text[n++] = '\t'; break;
      case 'r': text[n++] = '\r'; break;
      case 'b': text[n++] = '\b'; break;
      case 'f': text[n++] = '\f'; break;
      case '"': text[n++] = '"'; break;
      case '\\': text[n++] = '\\'; break;
      case '/': text[n++] = '/'; break;
      case 'u': {
        unsigned code = hex4();
        if (code >= 0xd800 && code < 0xdc00) {
          if (input[at] != '\\' || input[at + 1] != 'u') fail("lone surrogate");
          at += 2;
          code = 0x10000 + ((code & 0x3ff) << 10) + (hex4() & 0x3ff);
        }
        n += put_utf8(text + n, code);
        break;
      }
      default: fail("bad escape");
    }
  }
  at++;
  text[n] = 0;
  return text;
}

static struct value *parse_value(void);

static void push(struct value *into, char *key, struct value *item) {
  if (into->count == into->room) {
    into->room = into->room ? into->room * 2 : 4;
    into->items = realloc(into->items, into->room * sizeof *into->items);
    into->keys = realloc(into->keys, into->room * sizeof *into->keys);
  }
  into->keys[into->count] = key;
  into->items[into->count++] = item;
}

static void parse_members(struct value *into, char close) {
  at++;
  space();
  if (input[at] == close) { at++; return; }
  for (;;) {
    char *key = NULL;
    if (close == '}') {
      space();
      if (input[at] != '"') fail("a key was expected");
      key = parse_string();
      space();
      if (input[at++] != ':') fail("':' was expected");
    }
    push(into, key, parse_value());
    space();
    char c = input[at++];
    if (c == close) return;
    if (c != ',') { at--; fail("',' was expected"); }
  }
}

static int literal(const char *word) {
  size_t n = strlen(word);
  if (strncmp(input + at, word, n)) return 0;
  at += n;
  return 1;
}

static struct value *parse_value(void) {
  struct value *v = calloc(1, sizeof *v);
  values++;
  if (++depth > deepest) deepest = depth;
  space();
  if (input[at] == '{') { v->kind = OBJECT; parse_members(v, '}'); }
  else if (input[at] == '[') { v->kind = ARRAY; parse_members(v, ']'); }
  else if (input[at] == '"') { v->kind = STRING; v->text = parse_string(); }
  else if (literal("null")) v->kind = NUL;
  else if (literal("true")) v->kind = TRUE_;
  else if (literal("false")) v->kind = FALSE_;
  else {
    char *end;
    v->kind = NUMBER;
    v->number = strtod(input + at, &end);
    if (end == input + at) fail("a value was expected");
    at = (size_t)(end - input);
  }
  depth--;
  return v;
}

static void print_string(const char *s) {
  putchar('"');
  for (; *s; s++) {
    unsigned char c = (unsigned char)*s;
    if (c == '"' || c == '\\') printf("\\%c", c);
    else if (c < 0x20) printf("\\u%04x", c);
    else putchar(c);
  }
  putchar('"');
}

static struct value *sorting;
static int by_key(const void *a, const void *b) { return strcmp(sorting->keys[*(const size_t *)a], sorting->keys[*(const size_t *)b]); }

static void print_value(const struct value *v, int indent) {
  size_t *order;
  switch (v->kind) {
    case NUL: printf("null"); return;
    case TRUE_: printf("true"); return;
    case FALSE_: printf("false"); return;
    case NUMBER: printf("%.17g", v->number); return;
    case STRING: print_string(v->text); return;
    case ARRAY: case OBJECT: break;
  }
  if (v->count == 0) { printf(v->kind == ARRAY ? "[]" : "{}"); return; }
  order = malloc(v->count * sizeof *order);
  for (size_t i = 0; i < v->count; i++) order[i] = i;
  sorting = (struct value *)v;
  if (v->kind == OBJECT) qsort(order, v->count, sizeof *order, by_key);
  printf(v->kind == ARRAY ? "[\n" : "{\n");
  for (size_t i = 0; i < v->count; i++) {
    printf("%*s", indent + 2, "");
    if (v->kind == OBJECT) { print_string(v->keys[order[i]]); printf(": "); }
    print_value(v->items[order[i]], indent + 2);
    printf(i + 1 < v->count ? ",\n" : "\n");
  }
  printf("%*s%c", indent, "", v->kind == ARRAY ? ']' : '}');
  free(order);
}

int main(void) {
  size_t room = 1 << 12, n = 0, got;
  input = malloc(room);
  while ((got = fread(input + n, 1, room - n - 1, stdin)) > 0) {
    n += got;
    if (n + 1 == room) input = realloc(input, room *= 2);
  }
  input[n] = 0;
  struct value *v = parse_value();
  space();
  if (at != n) fail("something follows the value");
  print_value(v, 0);
  printf("\n%zu values, %zu deep, %zu bytes\n", values, deepest, n);
  return 0;
}
