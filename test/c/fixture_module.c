/*
 * Hand-written artifacts: what the compiler would emit for five small modules, in C, so that the runtime can be tested without the compiler.
 * Compiled by fixture.h with -DMODULE=..., as a shared object that reserves the fuel register; compiled code is `code(vmctx, parameters...)`.
 */
#include "abi.h"

#define PROVIDER 1 /* defines one of everything, imports one function */
#define CONSUMER 2 /* imports everything from PROVIDER */
#define ESCAPE 3   /* puts a function into an imported table, then traps on a data segment */
#define TABLE_TRAP 4 /* traps on an element segment of its own table */
#define BAD_START 5 /* its start function traps */

#ifndef CPU_FEATURES
#define CPU_FEATURES 0
#endif
#ifndef NOTE_ABI
#define NOTE_ABI WAOT_ABI_VERSION
#endif
#ifndef NOTE_ARCH
#if defined(__x86_64__)
#define NOTE_ARCH WAOT_ARCH_X86_64
#else
#define NOTE_ARCH WAOT_ARCH_AARCH64
#endif
#endif
#ifndef DESCRIPTOR_ABI
#define DESCRIPTOR_ABI WAOT_ABI_VERSION
#endif
#ifndef NOTE_ALIGN
#define NOTE_ALIGN 4
#endif
#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)

/* size and hash are patched in afterwards */
__asm__(".pushsection .note.wasm_aot, \"a\", @note\n"
        ".balign " TEXT(NOTE_ALIGN) "\n"
        ".long 8, 64, 1\n .asciz \"wasmaot\"\n .balign " TEXT(NOTE_ALIGN) "\n"
        ".long " TEXT(NOTE_ABI) ", 1, " TEXT(NOTE_ARCH) ", 1\n .quad " TEXT(CPU_FEATURES) ", 0, 0, 0, 0, 0\n"
        ".long 8, 1f - 0f, 2\n .asciz \"wasmaot\"\n .balign " TEXT(NOTE_ALIGN) "\n"
        "0: .ascii \"{\\\"schema\\\":1}\"\n 1: .balign " TEXT(NOTE_ALIGN) "\n"
        ".popsection\n");

typedef union { int32_t i32; int64_t i64; uint64_t ref; uint8_t v128[16]; } __attribute__((aligned(16))) value;
#if defined(__x86_64__)
#define CHARGE(n) __asm__ volatile("addq %0, %%rbp" : : "i"(n))
#define TRAP(code) __asm__ volatile("ud1l %c0(%%eax), %%eax" : : "i"(code))
#else
#define CHARGE(n) __asm__ volatile("add x28, x28, %0" : : "i"(n))
#define TRAP(code) __asm__ volatile("brk %0" : : "i"(0x5500 | (code)))
#endif
#define COUNT(array) (sizeof(array) / sizeof *(array))
#define NAME(text) (void *)(text), sizeof(text) - 1

enum { BINARY, NOTHING, UNARY, TYPES }; /* (i32, i32) -> i32, () -> (), (i32) -> i32 */

static void enter_binary(void *vmctx, value *a, void *code) { a[0].i32 = ((int32_t (*)(void *, int32_t, int32_t))code)(vmctx, a[0].i32, a[1].i32); }
static void enter_nothing(void *vmctx, value *a, void *code) { (void)a, ((void (*)(void *))code)(vmctx); }
static void enter_unary(void *vmctx, value *a, void *code) { a[0].i32 = ((int32_t (*)(void *, int32_t))code)(vmctx, a[0].i32); }

static void leave(struct waot_host *host, value *a) { ((void (*)(struct waot_host *, value *))host->exit)(host, a); }
static int32_t host_unary(struct waot_host *host, int32_t x) {
  value a[1] = {{.i32 = x}};
  leave(host, a);
  return a[0].i32;
}
static int32_t host_binary(struct waot_host *host, int32_t x, int32_t y) {
  value a[2] = {{.i32 = x}, {.i32 = y}};
  leave(host, a);
  return a[0].i32;
}

static const uint8_t binary_types[] = {WAOT_VALTYPE_I32, WAOT_VALTYPE_I32, WAOT_VALTYPE_I32};
static const uint8_t unary_types[] = {WAOT_VALTYPE_I32, WAOT_VALTYPE_I32};
#define FINAL .is_final = 1, .supertype = UINT32_MAX
static const struct waot_type_desc types[TYPES] = {
  {2, 1, (void *)binary_types, enter_binary, host_binary, FINAL}, {0, 0, 0, enter_nothing, 0, FINAL}, {1, 1, (void *)unary_types, enter_unary, host_unary, FINAL}};

#define VALUE(n) (void *)&(static_value){WAOT_CONST_VALUE, 0, (uint64_t)(n), 0}
typedef const struct waot_const_expr static_value;

/* The vmctx of a module with these counts, as layoutVmctx() of abi.ts lays it out. */
#define ALIGN16(n) (((n) + 15) / 16 * 16)
#define MEMORIES_OFFSET sizeof(struct waot_vmctx)
#define TABLES_OFFSET (MEMORIES_OFFSET + MEMORY_COUNT * 16)
#define GLOBALS_OFFSET ALIGN16(TABLES_OFFSET + TABLE_COUNT * 8)
#define IMPORTS_OFFSET (GLOBALS_OFFSET + GLOBAL_COUNT * 16)
#define VMCTX_SIZE ALIGN16(IMPORTS_OFFSET + IMPORTED_FUNC_COUNT * 16)

#if MODULE == PROVIDER
enum { MEMORY_COUNT = 1, TABLE_COUNT = 2, GLOBAL_COUNT = 4, IMPORTED_FUNC_COUNT = 1 };

static int32_t add(void *vmctx, int32_t x, int32_t y) { (void)vmctx; CHARGE(3); return (int32_t)((uint32_t)x + (uint32_t)y); }
static void divide_by_zero(void *vmctx) { (void)vmctx; CHARGE(5); TRAP(WAOT_STATUS_INTEGER_DIVIDE_BY_ZERO); }
static void spin(void *vmctx) { (void)vmctx; for (;;) CHARGE(1); }
static int32_t call_double(void *vmctx, int32_t x) {
  struct waot_vm_import *import = (void *)((char *)vmctx + IMPORTS_OFFSET);
  CHARGE(10);
  int32_t result = ((int32_t (*)(void *, int32_t))import->code)(import->vmctx, x) + 1;
  CHARGE(1);
  return result;
}
/* Reads the byte at an index; nothing but the guard region stops it. */
static int32_t load(void *vmctx, int32_t at) {
  struct waot_vm_memory *memory = (void *)((char *)vmctx + MEMORIES_OFFSET);
  CHARGE(2);
  return ((volatile uint8_t *)memory->base)[(uint32_t)at];
}
static int32_t grow(void *vmctx, int32_t pages) {
  CHARGE(1);
  return (int32_t)((struct waot_builtins *)((struct waot_vmctx *)vmctx)->builtins)->memory_grow(vmctx, 0, (uint32_t)pages);
}
/* memory.init of the passive segment, its three bytes from 2 on */
static int32_t init(void *vmctx, int32_t to) {
  CHARGE(1);
  if (((struct waot_builtins *)((struct waot_vmctx *)vmctx)->builtins)->memory_init(vmctx, 0, 1, (uint32_t)to, 2, 3) != 0) TRAP(WAOT_STATUS_OUT_OF_BOUNDS_MEMORY_ACCESS);
  return 0;
}

static const struct waot_import_desc imports[] = {{NAME("env"), NAME("double"), WAOT_EXTERN_FUNC, 0}};
static const struct waot_funcref_desc funcrefs[] = {{0, UNARY, 0}, {add, BINARY, 1}, {divide_by_zero, NOTHING, 2}, {spin, NOTHING, 3}, {call_double, UNARY, 4},
                                                    {load, UNARY, 5}, {grow, UNARY, 6}, {init, UNARY, 7}};
static const struct waot_limits_desc tables[] = {{3, 10, 1, WAOT_VALTYPE_FUNCREF}, {2, UINT64_MAX, 0, WAOT_VALTYPE_EXTERNREF}};
static const struct waot_limits_desc memories[] = {{1, 3, 1, 0}};
static static_value ref_add = {WAOT_CONST_REF_FUNC, 1, 0, 0}, ref_null = {WAOT_CONST_REF_NULL, 0, 0, 0};
static const struct waot_global_desc globals[] = {{WAOT_VALTYPE_I32, 0, VALUE(7)}, {WAOT_VALTYPE_I64, 1, VALUE(-5)}, {WAOT_VALTYPE_EXTERNREF, 1, (void *)&ref_null},
                                                  {WAOT_VALTYPE_FUNCREF, 0, (void *)&ref_add}};
static const struct waot_export_desc exports[] = {
  {NAME("double"), WAOT_EXTERN_FUNC, 0}, {NAME("add"), WAOT_EXTERN_FUNC, 1}, {NAME("divide_by_zero"), WAOT_EXTERN_FUNC, 2}, {NAME("spin"), WAOT_EXTERN_FUNC, 3},
  {NAME("call_double"), WAOT_EXTERN_FUNC, 4}, {NAME("load"), WAOT_EXTERN_FUNC, 5}, {NAME("grow"), WAOT_EXTERN_FUNC, 6}, {NAME("init"), WAOT_EXTERN_FUNC, 7},
  {NAME("table"), WAOT_EXTERN_TABLE, 0}, {NAME("extern_table"), WAOT_EXTERN_TABLE, 1}, {NAME("memory"), WAOT_EXTERN_MEMORY, 0},
  {NAME("constant"), WAOT_EXTERN_GLOBAL, 0}, {NAME("variable"), WAOT_EXTERN_GLOBAL, 1}, {NAME("extern"), WAOT_EXTERN_GLOBAL, 2}, {NAME("func"), WAOT_EXTERN_GLOBAL, 3}};
static const struct waot_const_expr items0[] = {{WAOT_CONST_REF_FUNC, 1, 0, 0}, {WAOT_CONST_REF_NULL, 0, 0, 0}}, items1[] = {{WAOT_CONST_REF_FUNC, 4, 0, 0}};
static const struct waot_elem_desc elems[] = {{WAOT_SEGMENT_ACTIVE, 0, VALUE(1), (void *)items0, 2, WAOT_VALTYPE_FUNCREF},
                                              {WAOT_SEGMENT_PASSIVE, 0, 0, (void *)items1, 1, WAOT_VALTYPE_FUNCREF},
                                              {WAOT_SEGMENT_DECLARATIVE, 0, 0, (void *)items1, 1, WAOT_VALTYPE_FUNCREF}};
static const struct waot_data_desc datas[] = {{WAOT_SEGMENT_ACTIVE, 0, VALUE(16), "hi", 2}, {WAOT_SEGMENT_PASSIVE, 0, 0, "0123456789", 10}};
#define IMPORTED_TABLES 0
#define IMPORTED_MEMORIES 0
#define IMPORTED_GLOBALS 0
#define START UINT32_MAX

#elif MODULE == CONSUMER
enum { MEMORY_COUNT = 1, TABLE_COUNT = 1, GLOBAL_COUNT = 3, IMPORTED_FUNC_COUNT = 1 };

/* 3 * x, by the imported (i32, i32) -> i32 */
static int32_t triple(void *vmctx, int32_t x) {
  struct waot_vm_import *import = (void *)((char *)vmctx + IMPORTS_OFFSET);
  int32_t (*add)(void *, int32_t, int32_t) = (int32_t (*)(void *, int32_t, int32_t))import->code;
  CHARGE(4);
  return add(import->vmctx, add(import->vmctx, x, x), x);
}
/* adds to the imported mutable global */
static int32_t bump(void *vmctx, int32_t x) {
  int64_t **slot = (void *)((char *)vmctx + GLOBALS_OFFSET + 16);
  CHARGE(4);
  return (int32_t)(**slot += x);
}

static const struct waot_import_desc imports[] = {{NAME("env"), NAME("add"), WAOT_EXTERN_FUNC, 0}, {NAME("env"), NAME("table"), WAOT_EXTERN_TABLE, 0},
                                                  {NAME("env"), NAME("memory"), WAOT_EXTERN_MEMORY, 0}, {NAME("env"), NAME("constant"), WAOT_EXTERN_GLOBAL, 0},
                                                  {NAME("env"), NAME("vari\"able\n"), WAOT_EXTERN_GLOBAL, 1}};
static const struct waot_funcref_desc funcrefs[] = {{0, BINARY, 0}, {triple, UNARY, 1}, {bump, UNARY, 2}};
static const struct waot_limits_desc tables[] = {{3, 10, 1, WAOT_VALTYPE_FUNCREF}}, memories[] = {{1, 3, 1, 0}};
static static_value get_constant = {WAOT_CONST_GLOBAL_GET, 0, 0, 0};
static const struct waot_global_desc globals[] = {{WAOT_VALTYPE_I32, 0, 0}, {WAOT_VALTYPE_I64, 1, 0}, {WAOT_VALTYPE_I32, 1, (void *)&get_constant}};
static const struct waot_export_desc exports[] = {{NAME("triple"), WAOT_EXTERN_FUNC, 1}, {NAME("bump"), WAOT_EXTERN_FUNC, 2}, {NAME("copy"), WAOT_EXTERN_GLOBAL, 2},
                                                  {NAME("memory"), WAOT_EXTERN_MEMORY, 0}, {NAME("table"), WAOT_EXTERN_TABLE, 0}, {NAME("variable"), WAOT_EXTERN_GLOBAL, 1}};
static const struct waot_const_expr items0[] = {{WAOT_CONST_REF_FUNC, 1, 0, 0}}, items1[] = {{WAOT_CONST_REF_FUNC, 0, 0, 0}};
static const struct waot_elem_desc elems[] = {{WAOT_SEGMENT_ACTIVE, 0, VALUE(2), (void *)items0, 1, WAOT_VALTYPE_FUNCREF},
                                              {WAOT_SEGMENT_ACTIVE, 0, VALUE(0), (void *)items1, 1, WAOT_VALTYPE_FUNCREF}};
static const struct waot_data_desc datas[] = {{WAOT_SEGMENT_ACTIVE, 0, (void *)&get_constant, "consumer", 8}};
#define IMPORTED_TABLES 1
#define IMPORTED_MEMORIES 1
#define IMPORTED_GLOBALS 2
#define START UINT32_MAX

#else /* ESCAPE, TABLE_TRAP, BAD_START */
enum { MEMORY_COUNT = 1, TABLE_COUNT = 1, GLOBAL_COUNT = 1, IMPORTED_FUNC_COUNT = 0 };

static int32_t negate(void *vmctx, int32_t x) { CHARGE(2); return ((int32_t *)((char *)vmctx + GLOBALS_OFFSET))[0] - x; }
static void fail(void *vmctx) { (void)vmctx; CHARGE(6); TRAP(WAOT_STATUS_UNREACHABLE); }
static const struct waot_funcref_desc funcrefs[] = {{negate, UNARY, 0}, {fail, NOTHING, 1}};
static const struct waot_limits_desc tables[] = {{1, 10, 1, WAOT_VALTYPE_FUNCREF}}, memories[] = {{1, 3, 1, 0}};
static const struct waot_global_desc globals[] = {{WAOT_VALTYPE_I32, 0, VALUE(100)}};
static const struct waot_export_desc exports[] = {{NAME("negate"), WAOT_EXTERN_FUNC, 0}};
static const struct waot_const_expr items0[] = {{WAOT_CONST_REF_FUNC, 0, 0, 0}};
#if MODULE == ESCAPE
static const struct waot_import_desc imports[] = {{NAME("env"), NAME("table"), WAOT_EXTERN_TABLE, 0}, {NAME("env"), NAME("memory"), WAOT_EXTERN_MEMORY, 0}};
static const struct waot_data_desc datas[] = {{WAOT_SEGMENT_ACTIVE, 0, VALUE(40), "kept", 4}, {WAOT_SEGMENT_ACTIVE, 0, VALUE(0xffffffff), "lost", 4}};
#define IMPORTED_TABLES 1
#define IMPORTED_MEMORIES 1
#else
static const struct waot_import_desc imports[] = {};
static const struct waot_data_desc datas[] = {{WAOT_SEGMENT_PASSIVE, 0, 0, "", 0}};
#define IMPORTED_TABLES 0
#define IMPORTED_MEMORIES 0
#endif
static const struct waot_elem_desc elems[] = {{WAOT_SEGMENT_ACTIVE, 0, VALUE(MODULE == TABLE_TRAP ? 1 : 0), (void *)items0, 1, WAOT_VALTYPE_FUNCREF}};
#define IMPORTED_GLOBALS 0
#define START (MODULE == BAD_START ? 1 : UINT32_MAX)
#endif

#ifdef CONSTRUCTOR
__attribute__((constructor)) static void constructor(void) { __asm__ volatile(""); }
#endif

/* -DBAD_LEVELS: another level's code that is nowhere in the file, or whose functions are not. */
#ifdef BAD_LEVELS
static const struct waot_level_desc levels[] = {{0, (void *)(uintptr_t)BAD_LEVELS}};
#define LEVELS (BAD_LEVELS == 0 ? NULL : (void *)levels)
#define LEVEL_COUNT (BAD_LEVELS == 0 ? 1 : COUNT(levels))
#else
#define LEVELS NULL
#define LEVEL_COUNT 0
#endif

/* -DOWED: the table of owed fuel, in assembly. */
#ifdef OWED
__asm__(".pushsection owed, \"a\"\n .balign 4\n" OWED "\n .popsection\n");
extern const char owed_rows[], owed_rows_end[];
#define OWED_ROWS (void *)owed_rows
#define OWED_ROWS_END (void *)owed_rows_end
#else
#define OWED_ROWS NULL
#define OWED_ROWS_END NULL
#endif

extern const struct waot_module_desc waot_module __attribute__((visibility("default")));
const struct waot_module_desc waot_module = {
  .abi_version = DESCRIPTOR_ABI, .fuel_mode = WAOT_FUEL_OUTBAND,
  .vmctx_size = VMCTX_SIZE, .memories_offset = MEMORIES_OFFSET, .tables_offset = TABLES_OFFSET, .globals_offset = GLOBALS_OFFSET, .imports_offset = IMPORTS_OFFSET,
  .type_count = TYPES, .import_count = COUNT(imports), .imported_func_count = IMPORTED_FUNC_COUNT, .imported_table_count = IMPORTED_TABLES,
  .imported_memory_count = IMPORTED_MEMORIES, .imported_global_count = IMPORTED_GLOBALS,
  .func_count = COUNT(funcrefs), .funcref_count = COUNT(funcrefs), .table_count = TABLE_COUNT, .memory_count = MEMORY_COUNT, .global_count = GLOBAL_COUNT,
  .export_count = COUNT(exports), .data_count = COUNT(datas), .elem_count = COUNT(elems), .start = START, .level_count = LEVEL_COUNT,
  .types = (void *)types, .imports = (void *)imports, .funcrefs = (void *)funcrefs, .tables = (void *)tables, .memories = (void *)memories, .globals = (void *)globals,
  .exports = (void *)exports, .datas = (void *)datas, .elems = (void *)elems, .owed_rows = OWED_ROWS, .owed_rows_end = OWED_ROWS_END, .levels = LEVELS,
};
