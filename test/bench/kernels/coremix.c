/* What small processors are often measured by, in one loop: a linked list that is searched, reversed and merge-sorted; integer matrices; a state machine that
 * classifies numbers in a text; a CRC of it all. */
#include "kernel.h"

enum { NODES = 400, SIDE = 24, TEXT = 1200 };
struct node { struct node *next; i32 value, tag; };
static struct node node[NODES];
static i32 left[SIDE][SIDE], right[SIDE][SIDE], product[SIDE][SIDE];
static char text[TEXT + 1];
static u32 state_count[8];

static NOINLINE u32 crc16(u32 sum, u32 value) {
  for (i32 i = 0; i < 16; i++) {
    u32 bit = (sum ^ value) & 1;
    sum = sum >> 1 ^ (bit ? 0xa001u : 0);
    value >>= 1;
  }
  return sum;
}

static NOINLINE struct node *reverse(struct node *list) {
  struct node *done = 0;
  while (list) {
    struct node *next = list->next;
    list->next = done, done = list, list = next;
  }
  return done;
}

static NOINLINE struct node *search(struct node *list, i32 tag) {
  while (list && list->tag != tag) list = list->next;
  return list;
}

static i32 by_value(const struct node *a, const struct node *b) { return a->value <= b->value; }
static i32 by_tag(const struct node *a, const struct node *b) { return a->tag <= b->tag; }

static NOINLINE struct node *merge_sort(struct node *list, i32 (*in_order)(const struct node *, const struct node *)) {
  for (i32 width = 1;; width *= 2) {
    struct node *p = list, **tail = &list;
    i32 merges = 0;
    while (p) {
      struct node *q = p;
      i32 p_left = 0, q_left = width;
      merges++;
      while (p_left < width && q) p_left++, q = q->next;
      while (p_left > 0 || (q_left > 0 && q)) {
        struct node *chosen;
        if (p_left > 0 && (q_left == 0 || !q || in_order(p, q))) chosen = p, p = p->next, p_left--;
        else chosen = q, q = q->next, q_left--;
        *tail = chosen, tail = &chosen->next;
      }
      p = q;
    }
    *tail = 0;
    if (merges <= 1) return list;
  }
}

static NOINLINE u32 work_list(u32 sum, i32 round) {
  for (i32 i = 0; i < NODES; i++) {
    node[i].next = i + 1 < NODES ? &node[i + 1] : 0;
    node[i].value = (i * 7919 + round * 31) & 1023, node[i].tag = i;
  }
  struct node *list = node;
  for (i32 i = 0; i < 20; i++) {
    struct node *found = search(list, (i * 53 + round) % NODES);
    if (found) sum = crc16(sum, (u32)found->value);
    list = reverse(list);
  }
  list = merge_sort(list, by_value);
  for (struct node *p = list; p; p = p->next) sum += (u32)p->value ^ (u32)p->tag;
  list = merge_sort(list, by_tag);
  return crc16(sum, (u32)list->value);
}

static NOINLINE u32 work_matrix(u32 sum, i32 round) {
  for (i32 i = 0; i < SIDE; i++) for (i32 j = 0; j < SIDE; j++) left[i][j] = (i * j + round) & 255, right[i][j] = (i + j * round) & 127;
  for (i32 i = 0; i < SIDE; i++)
    for (i32 j = 0; j < SIDE; j++) {
      i32 cell = 0;
      for (i32 k = 0; k < SIDE; k++) cell += left[i][k] * right[k][j];
      product[i][j] = cell;
    }
  for (i32 i = 0; i < SIDE; i++) for (i32 j = 0; j < SIDE; j++) sum += (u32)(product[i][j] >> 2 & 15) * (u32)(product[i][j] >> 5 & 127);
  return crc16(sum, sum >> 16);
}

enum { START, SIGN, INTEGER, POINT, EXPONENT, POWER, INVALID };

static NOINLINE i32 classify(const char **at) {
  i32 state = START;
  for (; **at && state != INVALID; ++*at) {
    char c = **at;
    if (c == ',') { ++*at; break; }
    i32 digit = c >= '0' && c <= '9';
    switch (state) {
      case START: state = digit ? INTEGER : c == '+' || c == '-' ? SIGN : c == '.' ? POINT : INVALID; break;
      case SIGN: state = digit ? INTEGER : c == '.' ? POINT : INVALID; break;
      case INTEGER: if (!digit) state = c == '.' ? POINT : c == 'e' ? EXPONENT : INVALID; break;
      case POINT: if (!digit) state = c == 'e' ? EXPONENT : INVALID; break;
      case EXPONENT: state = digit || c == '-' ? POWER : INVALID; break;
      case POWER: if (!digit) state = INVALID; break;
    }
    state_count[state]++;
  }
  return state;
}

static NOINLINE u32 work_states(u32 sum, i32 round) {
  static const char *const numbers[] = {"5012", "-874", "+122.5", ".1e-4", "7.e10", "T0.3e-1F", "-+110.5", "1e", "35.54400"};
  i32 length = 0;
  for (i32 i = round; length < TEXT - 12; i++) {
    for (const char *p = numbers[i % 9]; *p; p++) text[length++] = *p;
    text[length++] = ',';
  }
  text[length] = 0;
  for (const char *at = text; *at;) sum = sum * 33 + (u32)classify(&at);
  return crc16(sum, state_count[(u32)round & 7]);
}

KERNEL {
  u32 sum = 0;
  for (i32 i = 0; i < 8; i++) state_count[i] = 0;
  for (i32 round = 0; round < n * 10; round++) {
    sum = work_list(sum, round);
    sum = work_matrix(sum, round);
    sum = work_states(sum, round);
  }
  return (i32)sum;
}
