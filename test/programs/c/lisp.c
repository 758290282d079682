/* A Lisp in one page: integers, symbols, pairs, lambda, define, if, let, quote, a few primitives. Evaluates standard input, prints each top-level value. */
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum tag { NIL, INT, SYM, PAIR, PRIM, CLOSURE };
typedef struct cell *ref;
typedef ref (*primitive)(ref args);
struct cell {
  enum tag tag;
  union {
    int64_t number;
    const char *name;
    struct { ref head, tail; } pair;
    primitive call;
    struct { ref params, body, env; } closure;
  };
};

static struct cell nil_cell = { .tag = NIL };
static ref nil = &nil_cell, yes, symbols, global;
static size_t cells, calls;

static ref make(enum tag tag) {
  static struct cell *pool;
  static size_t left;
  if (!left) { left = 4096; pool = calloc(left, sizeof *pool); }
  cells++;
  left--;
  pool->tag = tag;
  return pool++;
}
static ref cons(ref head, ref tail) { ref c = make(PAIR); c->pair.head = head; c->pair.tail = tail; return c; }
static ref integer(int64_t n) { ref c = make(INT); c->number = n; return c; }
static ref head(ref c) { return c->tag == PAIR ? c->pair.head : nil; }
static ref tail(ref c) { return c->tag == PAIR ? c->pair.tail : nil; }
static ref second(ref c) { return head(tail(c)); }

static ref symbol(const char *name) {
  for (ref s = symbols; s != nil; s = tail(s))
    if (!strcmp(head(s)->name, name)) return head(s);
  ref c = make(SYM);
  c->name = strdup(name);
  symbols = cons(c, symbols);
  return c;
}

static int peeked = -2;
static int next(void) { int c = peeked == -2 ? getchar() : peeked; peeked = -2; return c; }
static int peek(void) {
  for (;;) {
    if (peeked == -2) peeked = getchar();
    if (peeked == ';') while (peeked != '\n' && peeked != EOF) peeked = getchar();
    else if (peeked != EOF && isspace(peeked)) peeked = -2;
    else return peeked;
  }
}

static ref read_one(void);
static ref read_list(void) {
  if (peek() == ')' || peek() == EOF) { next(); return nil; }
  ref first = read_one();
  return cons(first, read_list());
}
static ref read_one(void) {
  char word[64];
  size_t n = 0;
  int c = peek();
  if (c == '(') { next(); return read_list(); }
  if (c == '\'') { next(); ref quoted = read_one(); return cons(symbol("quote"), cons(quoted, nil)); }
  while ((c = next()) != EOF && !isspace(c) && c != '(' && c != ')')
    if (n < sizeof word - 1) word[n++] = (char)c;
  peeked = c;
  word[n] = 0;
  char *end;
  int64_t number = strtoll(word, &end, 10);
  return n && !*end ? integer(number) : symbol(word);
}

static void print(ref c) {
  switch (c->tag) {
    case NIL: printf("()"); break;
    case INT: printf("%lld", (long long)c->number); break;
    case SYM: printf("%s", c->name); break;
    case PRIM: printf("#primitive"); break;
    case CLOSURE: printf("#lambda"); break;
    case PAIR:
      putchar('(');
      for (; c->tag == PAIR; c = tail(c)) { print(head(c)); if (tail(c)->tag == PAIR) putchar(' '); }
      if (c != nil) { printf(" . "); print(c); }
      putchar(')');
  }
}

static ref find(ref env, ref name) {
  for (; env != nil; env = tail(env))
    if (head(head(env)) == name) return head(env);
  for (ref g = global; g != nil; g = tail(g))
    if (head(head(g)) == name) return head(g);
  printf("unbound: %s\n", name->name);
  exit(3);
}

static ref eval(ref x, ref env);
static ref eval_list(ref xs, ref env) {
  if (xs == nil) return nil;
  ref first = eval(head(xs), env);
  return cons(first, eval_list(tail(xs), env));
}
static ref bind(ref names, ref args, ref env) {
  for (; names->tag == PAIR; names = tail(names), args = tail(args)) env = cons(cons(head(names), head(args)), env);
  return names == nil ? env : cons(cons(names, args), env);
}

static ref s_quote, s_if, s_define, s_lambda, s_let;
static ref eval(ref x, ref env) {
  for (;;) {
    if (x->tag == SYM) return tail(find(env, x));
    if (x->tag != PAIR) return x;
    ref op = head(x);
    if (op == s_quote) return second(x);
    if (op == s_if) { x = eval(second(x), env) != nil ? second(tail(x)) : second(tail(tail(x))); continue; }
    if (op == s_define) { ref v = eval(second(tail(x)), env); global = cons(cons(second(x), v), global); return second(x); }
    if (op == s_lambda) { ref c = make(CLOSURE); c->closure.params = second(x); c->closure.body = second(tail(x)); c->closure.env = env; return c; }
    if (op == s_let) {
      ref inner = env;
      for (ref b = second(x); b != nil; b = tail(b)) inner = cons(cons(head(head(b)), eval(second(head(b)), env)), inner);
      x = second(tail(x));
      env = inner;
      continue;
    }
    ref f = eval(op, env), args = eval_list(tail(x), env);
    calls++;
    if (f->tag == PRIM) return f->call(args);
    if (f->tag != CLOSURE) { printf("not a function: "); print(f); puts(""); exit(4); }
    env = bind(f->closure.params, args, f->closure.env);
    x = f->closure.body;
  }
}

#define ARITH(name, op) static ref name(ref a) { return integer(head(a)->number op second(a)->number); }
#define COMPARE(name, op) static ref name(ref a) { return head(a)->number op second(a)->number ? yes : nil; }
ARITH(p_add, +) ARITH(p_sub, -) ARITH(p_mul, *) ARITH(p_div, /) ARITH(p_mod, %)
COMPARE(p_less, <) COMPARE(p_equal, ==)
static ref p_cons(ref a) { return cons(head(a), second(a)); }
static ref p_car(ref a) { return head(head(a)); }
static ref p_cdr(ref a) { return tail(head(a)); }
static ref p_null(ref a) { return head(a) == nil ? yes : nil; }

static void define(const char *name, primitive call) {
  ref c = make(PRIM);
  c->call = call;
  global = cons(cons(symbol(name), c), global);
}

int main(void) {
  symbols = global = nil;
  yes = symbol("t");
  global = cons(cons(yes, yes), global);
  s_quote = symbol("quote"); s_if = symbol("if"); s_define = symbol("define"); s_lambda = symbol("lambda"); s_let = symbol("let");
  define("+", p_add); define("-", p_sub); define("*", p_mul); define("/", p_div); define("mod", p_mod);
  define("<", p_less); define("=", p_equal); define("cons", p_cons); define("car", p_car); define("cdr", p_cdr); define("null", p_null);
  while (peek() != EOF) { print(eval(read_one(), nil)); puts(""); }
  printf("%zu cells, %zu calls\n", cells, calls);
  return 0;
}
