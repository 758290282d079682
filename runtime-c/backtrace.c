/*
 * backtrace.c - the wasm frames of an activation that ended early, and of those below it.
 *
 * The frames are dead as soon as the landing runs, so the handler that sends a thread there walks them before: by the artifact's own unwind tables, with an interpreter for what
 * LLVM emits for compiled code, whose frames are found from the stack pointer (but where a loop probes a large one). It neither allocates nor locks; every address that it reads lies in the tables of an artifact
 * with an open activation, or on the stack between the stack pointer and that activation. Where something is not as expected, the walk ends.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "backtrace.h"
#include "internal.h"
#include "unwind_table.h"

#include <string.h>

/* DWARF 4, 6.4.2 and the LSB's "DWARF Extensions": pointer encodings, call frame instructions. */
enum { PCREL_SDATA4 = 0x1b, UDATA4 = 0x03, DATAREL_SDATA4 = 0x3b };
enum {
  CFA_NOP = 0x00, CFA_ADVANCE1 = 0x02, CFA_ADVANCE2 = 0x03, CFA_ADVANCE4 = 0x04, CFA_RESTORE_EXTENDED = 0x06, CFA_UNDEFINED = 0x07, CFA_SAME_VALUE = 0x08, CFA_REGISTER = 0x09,
  CFA_REMEMBER = 0x0a, CFA_RESTORE_STATE = 0x0b, CFA_DEF_CFA = 0x0c, CFA_DEF_CFA_REGISTER = 0x0d, CFA_DEF_CFA_OFFSET = 0x0e, CFA_GNU_ARGS_SIZE = 0x2e, CFA_OFFSET_EXTENDED = 0x05,
};
#define REMEMBERED 4

struct cursor { const uint8_t *at, *end; };

/* The state of the interpreter, as far as it matters here. */
struct rules {
  uint64_t reg, offset;                                   /* CFA = reg + offset */
  int64_t return_offset;                                  /* where the return address is, from the CFA */
  bool return_saved;
  uint64_t return_register;                               /* where it is otherwise */
};

struct fde {
  uintptr_t start, length;
  struct cursor cie, own; /* instructions */
  uint64_t code_align;
  int64_t data_align;
};

static int32_t read_i32(const uint8_t *at) { int32_t value; memcpy(&value, at, sizeof value); return value; }
static uint32_t read_u32(const uint8_t *at) { uint32_t value; memcpy(&value, at, sizeof value); return value; }
static uint8_t byte(struct cursor *c) { return c->at < c->end ? *c->at++ : 0; }
static uint64_t uleb(struct cursor *c) {
  uint64_t value = 0;
  for (unsigned shift = 0; c->at < c->end; shift += 7) {
    uint8_t b = *c->at++;
    if (shift < 64) value |= (uint64_t)(b & 0x7f) << shift;
    if (!(b & 0x80)) break;
  }
  return value;
}
static int64_t sleb(struct cursor *c) {
  uint64_t value = 0;
  for (unsigned shift = 0; c->at < c->end;) {
    uint8_t b = *c->at++;
    if (shift < 64) value |= (uint64_t)(b & 0x7f) << shift;
    shift += 7;
    if (b & 0x80) continue;
    if ((b & 0x40) && shift < 64) value |= ~UINT64_C(0) << shift;
    break;
  }
  return (int64_t)value;
}
static uint64_t fixed(struct cursor *c, unsigned bytes) {
  uint64_t value = 0;
  for (unsigned i = 0; i < bytes; i++) value |= (uint64_t)byte(c) << (8 * i);
  return value;
}

/* The same in a table that the runtime made. */
static const uint8_t *search_own(const struct waot_unwind_table *table, uintptr_t pc) {
  size_t low = 0, high = table->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (table->rows[middle].start <= pc) low = middle + 1;
    else high = middle;
  }
  return low == 0 ? NULL : table->rows[low - 1].entry;
}

/* The entry of the binary search table (.eh_frame_hdr) for pc: its FDE, or NULL. */
static const uint8_t *search(const uint8_t *header, uintptr_t pc) {
  if (header[0] == WAOT_UNWIND_TABLE) return search_own((const void *)header, pc);
  if (header[0] != 1 || header[1] != PCREL_SDATA4 || header[2] != UDATA4 || header[3] != DATAREL_SDATA4) return NULL;
  uint32_t low = 0, high = read_u32(header + 8);
  while (low < high) { /* the first that starts above pc */
    uint32_t middle = low + (high - low) / 2;
    if ((uintptr_t)header + (uintptr_t)(intptr_t)read_i32(header + 12 + 8 * (size_t)middle) <= pc) low = middle + 1;
    else high = middle;
  }
  return low == 0 ? NULL : header + (intptr_t)read_i32(header + 12 + 8 * (size_t)(low - 1) + 4);
}

/* Reads an FDE and its CIE; false unless they are of the kind that LLVM emits for code without a personality. */
static bool read_fde(const uint8_t *entry, struct fde *fde) {
  const uint8_t *cie = entry + 4 - read_u32(entry + 4);
  const uint8_t encoding = waot_unwind_encoding(cie);
  struct cursor own = { waot_unwind_range(entry, encoding, &fde->start, &fde->length), entry + 4 + read_u32(entry) };
  if (!own.at) return false;
  uint64_t extra = uleb(&own);
  fde->own = (struct cursor){ own.at + extra, own.end };
  struct cursor c = { cie + 12, cie + 4 + read_u32(cie) };
  fde->code_align = uleb(&c);
  fde->data_align = sleb(&c);
  if (byte(&c) != MACHINE_DWARF_RETURN) return false;
  uint64_t augmentation = uleb(&c);
  if (augmentation != 1 || byte(&c) != encoding) return false;
  fde->cie = c;
  return true;
}

/* Runs instructions up to the location `until` (from the function's start). False for one that is unknown. */
static bool interpret(struct cursor c, const struct fde *fde, uint64_t until, struct rules *rules) {
  struct rules stack[REMEMBERED];
  unsigned depth = 0;
  uint64_t location = 0;
  while (c.at < c.end) {
    uint8_t op = byte(&c), low = op & 0x3f;
    uint64_t advance = 0;
    switch (op & 0xc0 ? op & 0xc0 : op) {
      case 0x40: advance = low; break;
      case CFA_ADVANCE1: advance = fixed(&c, 1); break;
      case CFA_ADVANCE2: advance = fixed(&c, 2); break;
      case CFA_ADVANCE4: advance = fixed(&c, 4); break;
      case 0x80: case CFA_OFFSET_EXTENDED: {
        uint64_t reg = op & 0x80 ? low : uleb(&c);
        int64_t offset = (int64_t)uleb(&c) * fde->data_align;
        if (reg == MACHINE_DWARF_RETURN) { rules->return_offset = offset; rules->return_saved = true; }
        break;
      }
      case 0xc0: if (low == MACHINE_DWARF_RETURN) rules->return_saved = false; break;
      case CFA_REGISTER: {
        uint64_t reg = uleb(&c), in = uleb(&c);
        if (reg == MACHINE_DWARF_RETURN) { rules->return_register = in; rules->return_saved = false; }
        break;
      }
      case CFA_RESTORE_EXTENDED: case CFA_UNDEFINED: case CFA_SAME_VALUE: uleb(&c); break;
      case CFA_GNU_ARGS_SIZE: uleb(&c); break;
      case CFA_REMEMBER: if (depth == REMEMBERED) return false; stack[depth++] = *rules; break;
      case CFA_RESTORE_STATE: if (depth == 0) return false; *rules = stack[--depth]; break;
      case CFA_DEF_CFA: rules->reg = uleb(&c); rules->offset = uleb(&c); break;
      case CFA_DEF_CFA_REGISTER: rules->reg = uleb(&c); break;
      case CFA_DEF_CFA_OFFSET: rules->offset = uleb(&c); break;
      case CFA_NOP: break;
      default: return false;
    }
    location += advance * fde->code_align;
    if (location > until) break;
  }
  return true;
}

/* The caller of the code at pc with stack pointer sp; is_call: pc is a return address; else `context` has the registers. */
static bool step(uintptr_t *pc, uintptr_t *sp, uintptr_t end, bool is_call, const ucontext_t *context) {
  struct fde fde;
  uintptr_t at = *pc - (is_call ? 1 : 0);
  const uint8_t *header = waot_code_tables_at((const void *)at).unwind;
  const uint8_t *entry = header ? search(header, at) : NULL;
  if (!entry || !read_fde(entry, &fde) || at - fde.start >= fde.length) return false;
  struct rules rules = { .reg = ~UINT64_C(0), .return_register = MACHINE_DWARF_RETURN };
  if (!interpret(fde.cie, &fde, UINT64_MAX, &rules) || !interpret(fde.own, &fde, at - fde.start, &rules)) return false;
  /* From another register than the stack pointer only while a loop at the function's start probes a large frame: not behind a call. */
  uintptr_t base = rules.reg == MACHINE_DWARF_SP ? *sp : is_call || !context ? 0 : machine_register(context, rules.reg);
  uintptr_t cfa = base + rules.offset;
  if (base == 0 || cfa < *sp || cfa > end) return false;
  if (rules.return_saved) {
    uintptr_t slot = cfa + (uintptr_t)rules.return_offset;
    if (slot < *sp || slot > end - sizeof(uintptr_t) || slot % sizeof(uintptr_t) != 0) return false;
    *pc = *(const uintptr_t *)slot;
  } else {
    uintptr_t address = is_call || !context ? 0 : machine_register(context, rules.return_register);
    if (address == 0) return false;
    *pc = address;
  }
  bool moved = cfa > *sp || !is_call;
  *sp = cfa;
  return moved; /* else it would go on for ever */
}

uint32_t waot_walk(struct waot_code_place from, const struct waot_activation *activation, uintptr_t *addresses, uint32_t max) {
  uintptr_t pc = from.pc, sp = from.sp;
  bool is_call = from.is_call;
  uint32_t count = 0;
  while (count < max && sp <= (uintptr_t)activation) {
    uintptr_t at = is_call ? pc - 1 : pc; /* inside the instruction, which may be the last of its function */
    if (!waot_code_contains((const void *)at)) break; /* the entry trampoline */
    addresses[count++] = at;
    if (!step(&pc, &sp, (uintptr_t)activation, is_call, from.context)) break;
    is_call = true;
  }
  return count;
}

void waot_trace_end(struct waot_thread *thread, struct waot_code_place from) {
  struct waot_thread_record *record = (struct waot_thread_record *)thread;
  record->trace_count = waot_walk(from, thread->top, record->trace, WAOT_TRACE_MAX);
  record->trace_is_new = true;
}

void waot_trace_settle(struct waot_thread_record *thread) {
  if (!thread->trace_is_new) thread->trace_count = 0;
  thread->trace_is_new = false;
}

/* Names the artifacts of addresses; returns how many frames that made: those outside of artifacts are nobody's. */
static uint32_t name_frames(const uintptr_t *addresses, uint32_t count, uint32_t activation, waot_frame *frames, uint32_t max) {
  uint32_t made = 0;
  for (uint32_t i = 0; i < count && made < max; i++) {
    uint64_t address;
    const waot_artifact *artifact = waot_artifact_at(addresses[i], &address);
    if (artifact) frames[made++] = (waot_frame){ .artifact = artifact, .address = address, .activation = activation };
  }
  return made;
}

uint32_t waot_backtrace(int ended, waot_frame *frames, uint32_t max) {
  struct waot_thread_record *thread = (struct waot_thread_record *)waot_thread_current;
  if (!thread) return 0;
  uint32_t made = ended ? name_frames(thread->trace, thread->trace_count, 0, frames, max) : 0;
#if MACHINE_KNOWS_EXITS
  uint32_t number = ended ? 1 : 0;
  for (const struct waot_activation *at = thread->head.top; at && made < max; at = at->prev, number++) {
    uintptr_t addresses[WAOT_TRACE_MAX];
    uint32_t count = waot_walk(machine_exit_place(at->exit_sp), at, addresses, WAOT_TRACE_MAX);
    made += name_frames(addresses, count, number, frames + made, max - made);
  }
#endif
  return made;
}
