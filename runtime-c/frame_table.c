/* frame_table.c - the table of an artifact that says which wasm functions its code is of. The format is described at PLACES_VERSION in abi.ts; the loader's reader is loader/place-table.ts.
 * Read from its beginning at each question: that takes a millisecond for a megabyte, and a backtrace has few questions. */
#include "frame_table.h"

struct cursor {
  const uint8_t *at, *end;
  bool failed; /* it ended too early */
};

static uint8_t next(struct cursor *c) {
  if (c->at == c->end) {
    c->failed = true;
    return 0;
  }
  return *c->at++;
}

static uint64_t read_number(struct cursor *c) {
  uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    uint8_t byte = next(c);
    value |= (uint64_t)(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  c->failed = true;
  return 0;
}

/* A difference: the sign in the lowest bit. */
static uint64_t read_difference(struct cursor *c) {
  uint64_t value = read_number(c);
  return value & 1 ? ~(value >> 1) : value >> 1;
}

struct scope {
  uint64_t parent, name, body, line, column;
};

static struct scope read_scope(struct cursor *c) {
  struct scope scope;
  scope.parent = read_number(c);
  scope.name = read_number(c);
  scope.body = read_number(c);
  scope.line = read_number(c);
  scope.column = read_number(c);
  return scope;
}

/* The scope and the wasm offset of the last row that does not begin behind the address. */
static void find_row(struct cursor *c, uint64_t address, uint64_t *scope, uint64_t *line) {
  uint64_t count = read_number(c), at = 0, values[4] = {0, 0, 0, 0};
  *scope = *line = 0;
  for (uint64_t i = 0; i < count && !c->failed; i++) {
    uint8_t head = next(c);
    at += head >> 4 == 15 ? 15 + read_number(c) : (uint64_t)(head >> 4);
    if (at > address) return;
    for (unsigned field = 0; field < 4; field++) {
      if (head & 1 << field) values[field] += read_difference(c);
    }
    *scope = values[0];
    *line = values[2];
  }
}

/* Reads on from the first scope to the one with this number. */
static struct scope find_scope(struct cursor scopes, uint64_t number) {
  struct scope scope = {0};
  for (uint64_t i = 0; i < number && !scopes.failed; i++) scope = read_scope(&scopes);
  return scopes.failed ? (struct scope){0} : scope;
}

uint32_t waot_frame_table_find(const uint8_t *table, size_t size, uint64_t address, waot_place *places, uint32_t max) {
  struct cursor c = {.at = table, .end = table + size};
  if (table == NULL || next(&c) != WAOT_PLACES_VERSION || read_number(&c) != 0 /* strings: frames have none */) return 0;
  uint64_t scope_count = read_number(&c), number, offset;
  const struct cursor scopes = c;
  for (uint64_t i = 0; i < scope_count && !c.failed; i++) read_scope(&c);
  find_row(&c, address, &number, &offset);
  uint32_t count = 0;
  while (!c.failed && number != 0 && number <= scope_count && count < max) {
    struct scope scope = find_scope(scopes, number);
    if (scope.name == 0 || scope.parent >= number) return count; /* parents come before what is inlined into them */
    places[count++] = (waot_place){ .function = (uint32_t)(scope.name - 1), .offset = (uint32_t)(offset != 0 ? offset : scope.body), .is_exact = offset != 0, .is_inlined = scope.parent != 0 };
    offset = scope.line;
    number = scope.parent;
  }
  return count;
}
