/**
 * The prelude: helpers in LLVM 22's IR text for everything that llvm-bindings cannot say (inline asm, volatile, alignment 1, invariant loads, newer intrinsics),
 * and for operators whose wasm semantics differ from LLVM's. Each is `alwaysinline`, so at every level none is left as a call.
 * The codegen addon links this text into each partition.
 */
import { BUILTINS, OFFSETS, STATUS, StatusCode, VALUE_SIZE, type AbiType } from '../../runtime-c/abi.js';
import type { Arch } from '../../runtime-c/abi.js';

type ArchName = keyof typeof Arch;

/** What the prelude must spell differently for each architecture. */
const ASM: Record<ArchName, { charge: string; chargeReg: string; read: string; floatReg: string }> = {
  // `lea` leaves the flags alone, so that a comparison stays with its branch.
  x86_64: { charge: 'leaq ${0:c}(%rbp), %rbp', chargeReg: 'leaq (%rbp,$0), %rbp', read: 'movq %rbp, $0', floatReg: 'x' },
  // An immediate of `add` has 12 bits, shifted by 0 or 12: one instruction or two.
  aarch64: {
    charge: '.if ${0:c} & 0xfff\\0Aadd x28, x28, #(${0:c} & 0xfff)\\0A.endif\\0A.if ${0:c} >> 12\\0Aadd x28, x28, #(${0:c} >> 12), lsl #12\\0A.endif',
    chargeReg: 'add x28, x28, $0', read: 'mov $0, x28', floatReg: 'w',
  },
};

/** How a v128 is held between operators. */
export const VECTOR = '<2 x i64>';

/** The text of a helper. */
export const define = (signature: string, body: string): string => `define linkonce_odr hidden ${signature} #0 {\n${body.trim().split('\n').map((l) => `  ${l.trim()}`).join('\n')}\n}\n`;

/** Code that ends the activation when `%condition` holds; the trap is marked unlikely and never merged, so that its pc names one operator. */
export const trapIf = (condition: string, status: number, label: string) => `
  br i1 ${condition}, label %${label}.trap, label %${label}.ok, !prof !0
  ${label}.trap:
  call void @llvm.ubsantrap(i8 ${status}) #3
  unreachable
  ${label}.ok:`;

const charge = (arch: ArchName, amount: string): string => `call void asm sideeffect "${ASM[arch].charge}", "i"(i64 ${amount}) #1`;

function fuelHelpers(arch: ArchName): string {
  const asm = ASM[arch];
  // A charge touches nothing that LLVM knows of: without the memory attribute it would count as a clobber of all memory (1.4x on memory-bound loops).
  // The fuel register is named in the asm text alone: as a constraint or clobber it would be saved, restored, and the charge lost.
  return [
    define('void @waot.charge(i64 %n)', `${charge(arch, '%n')}\nret void`),
    define('void @waot.charge_units(i64 %count, i64 %cost)', `
      %n = mul nuw nsw i64 %count, %cost
      call void asm sideeffect "${asm.chargeReg}", "r"(i64 %n) #1
      ret void`),
    // Stops at a deterministic place: exhausted means that the register is above zero.
    define('void @waot.check()', `
      %fuel = call i64 asm sideeffect "${asm.read}", "=r"() #1
      %exhausted = icmp sgt i64 %fuel, 0
      ${trapIf('%exhausted', StatusCode.out_of_fuel, 'fuel')}
      ret void`),
  ].join('\n');
}

function trapHelpers(): string {
  return STATUS.filter((s) => s.code > 0 && s.code < 64).map((s) => `define linkonce_odr hidden void @waot.trap.${s.name}() #2 {\n  call void @llvm.ubsantrap(i8 ${s.code}) #3\n  unreachable\n}\n`).join('\n');
}

/** Identity functions that LLVM cannot see through: see emit/numeric.ts for why floating-point constants need them. */
function opaqueHelpers(arch: ArchName): string {
  const reg: Record<string, string> = { i32: 'r', i64: 'r', float: ASM[arch].floatReg, double: ASM[arch].floatReg, [VECTOR]: ASM[arch].floatReg };
  return [['i32', 'i32'], ['i64', 'i64'], ['f32', 'float'], ['f64', 'double'], ['v128', VECTOR]]
    .map(([name, type]) => define(`${type} @waot.opaque.${name}(${type} %v)`, `%r = call ${type} asm "", "=${reg[type]},0"(${type} %v) #4\nret ${type} %r`)).join('\n');
}

/** An access's helper, as `define` made it, with the charge that comes before the access: nearly each has one, and one call takes less time to make, write and read than two. */
export const withCharge = (arch: ArchName, helper: string): string =>
  helper.replace('@waot.', '@waot.charged.').replace(') #0 {\n', () => `, i64 %owed) #0 {\n  ${charge(arch, '%owed')}\n`);

/** Loads and stores of linear memory: volatile, so that LLVM drops none that may trap and keeps their order; alignment 1, since wasm promises none. */
function memoryHelpers(arch: ArchName): string {
  const address = '%index = zext i32 %addr to i64\n%ea = add nuw nsw i64 %index, %offset\n%p = getelementptr i8, ptr %base, i64 %ea';
  const load = (name: string, type: string, mem: string, extend?: 'sext' | 'zext') => define(`${type} @waot.${name}(ptr %base, i32 %addr, i64 %offset)`, `
    ${address}
    %m = load volatile ${mem}, ptr %p, align 1
    ${extend ? `%v = ${extend} ${mem} %m to ${type}\nret ${type} %v` : `ret ${type} %m`}`);
  const store = (name: string, type: string, mem: string) => define(`void @waot.${name}(ptr %base, i32 %addr, i64 %offset, ${type} %v)`, `
    ${address}
    ${mem === type ? '' : `%m = trunc ${type} %v to ${mem}`}
    store volatile ${mem} ${mem === type ? '%v' : '%m'}, ptr %p, align 1
    ret void`);
  const helpers = [
    load('i32.load', 'i32', 'i32'), load('i64.load', 'i64', 'i64'), load('f32.load', 'float', 'float'), load('f64.load', 'double', 'double'),
    ...(['i32', 'i64'] as const).flatMap((type) => [8, 16, ...(type === 'i64' ? [32] : [])].flatMap((bits) => [
      load(`${type}.load${bits}_s`, type, `i${bits}`, 'sext'), load(`${type}.load${bits}_u`, type, `i${bits}`, 'zext'), store(`${type}.store${bits}`, type, `i${bits}`),
    ])),
    store('i32.store', 'i32', 'i32'), store('i64.store', 'i64', 'i64'), store('f32.store', 'float', 'float'), store('f64.store', 'double', 'double'),
  ];
  return [...helpers, ...helpers.map((helper) => withCharge(arch, helper))].join('\n');
}

/** Fields of the vmctx. What never changes while an instance lives is an invariant load, which LLVM may hoist over calls and stores. */
function vmctxHelpers(): string {
  const at = (base: string, offset: string, to: string) => `${to} = getelementptr i8, ptr ${base}, i64 ${offset}`;
  const invariant = (type: string, ptr: string, to: string) => `${to} = load ${type}, ptr ${ptr}, align 8, !invariant.load !1`;
  const pointerField = (name: string, param = '%offset') => define(`ptr @waot.${name}(ptr %vmctx, i64 ${param})`, `${at('%vmctx', param, '%p')}\n${invariant('ptr', '%p', '%v')}\nret ptr %v`);
  const global = (name: string, type: string) => [
    define(`${type} @waot.global_get.${name}(ptr %slot)`, `%v = load ${type}, ptr %slot, align 8\nret ${type} %v`),
    // Volatile: a later access that traps must find the global written.
    define(`void @waot.global_set.${name}(ptr %slot, ${type} %v)`, `store volatile ${type} %v, ptr %slot, align 8\nret void`),
  ].join('\n');
  const typeField = (name: 'kind' | 'depth' | 'supers', type: string) => `${at('%found', String(OFFSETS.type_head[name]), `%${name}p`)}\n${invariant(type, `%${name}p`, `%${name}`)}`;
  const tableElement = (trap: number) => `
    ${at('%vmctx', '%table_offset', '%tp')}
    ${invariant('ptr', '%tp', '%table')}
    ${at('%table', String(OFFSETS.table.length), '%lp')}
    %length = load i64, ptr %lp, align 8
    %i = zext i32 %index to i64
    %out = icmp uge i64 %i, %length
    ${trapIf('%out', trap, 'bounds')}
    %ep = getelementptr i8, ptr %table, i64 ${OFFSETS.table.elements}
    %elements = load ptr, ptr %ep, align 8
    %element = getelementptr i64, ptr %elements, i64 %i`;
  return [
    // The own slot of a global, or the slot that an imported one points to.
    define('ptr @waot.own_global(ptr %vmctx, i64 %offset)', `${at('%vmctx', '%offset', '%p')}\nret ptr %p`),
    pointerField('imported_global'), pointerField('memory_base'), pointerField('import_code'), pointerField('import_vmctx'),
    global('i32', 'i32'), global('i64', 'i64'), global('f32', 'float'), global('f64', 'double'), global('v128', VECTOR),
    define('ptr @waot.funcref_pointer(ptr %vmctx, i64 %offset)', `
      ${at('%vmctx', String(OFFSETS.vmctx.funcrefs), '%ap')}
      ${invariant('ptr', '%ap', '%array')}
      ${at('%array', '%offset', '%p')}
      ${invariant('ptr', '%p', '%v')}
      ret ptr %v`),
    define('i64 @waot.funcref(ptr %vmctx, i64 %offset)', `
      ${at('%vmctx', String(OFFSETS.vmctx.funcrefs), '%ap')}
      ${invariant('ptr', '%ap', '%array')}
      ${at('%array', '%offset', '%p')}
      ${invariant('i64', '%p', '%v')}
      ret i64 %v`),
    define('i64 @waot.table_get(ptr %vmctx, i64 %table_offset, i32 %index)', `${tableElement(StatusCode.out_of_bounds_table_access)}\n%v = load i64, ptr %element, align 8\nret i64 %v`),
    define('void @waot.table_set(ptr %vmctx, i64 %table_offset, i32 %index, i64 %v)', `${tableElement(StatusCode.out_of_bounds_table_access)}\nstore volatile i64 %v, ptr %element, align 8\nret void`),
    define('i32 @waot.table_size(ptr %vmctx, i64 %table_offset)', `
      ${at('%vmctx', '%table_offset', '%tp')}
      ${invariant('ptr', '%tp', '%table')}
      ${at('%table', String(OFFSETS.table.length), '%lp')}
      %length = load i64, ptr %lp, align 8
      %v = trunc i64 %length to i32
      ret i32 %v`),
    // call_indirect: range, null, type, in that order and in constant time.
    define('ptr @waot.element_func(ptr %vmctx, i64 %table_offset, i32 %index)', `
      ${tableElement(StatusCode.undefined_element)}
      %func = load ptr, ptr %element, align 8
      %null = icmp eq ptr %func, null
      ${trapIf('%null', StatusCode.uninitialized_element, 'null')}
      ret ptr %func`),
    // The same in a table that never changes, where the functions that may be called are all those of `count` elements from `from` on, and no others: only when the call fails is it asked why.
    define('ptr @waot.known_element_func(ptr %vmctx, i64 %table_offset, i32 %index, i32 %from, i32 %count)', `
      %distance = sub i32 %index, %from
      %other = icmp uge i32 %distance, %count
      br i1 %other, label %fails, label %known, !prof !0
      fails:
      ${tableElement(StatusCode.undefined_element)}
      %wrong = load ptr, ptr %element, align 8
      %null = icmp eq ptr %wrong, null
      ${trapIf('%null', StatusCode.uninitialized_element, 'null')}
      call void @llvm.ubsantrap(i8 ${StatusCode.indirect_call_type_mismatch}) #3
      unreachable
      known:
      ${at('%vmctx', '%table_offset', '%ktp')}
      ${invariant('ptr', '%ktp', '%ktable')}
      %kep = getelementptr i8, ptr %ktable, i64 ${OFFSETS.table.elements}
      ${invariant('ptr', '%kep', '%kelements')}
      %ki = zext i32 %index to i64
      %kelement = getelementptr i64, ptr %kelements, i64 %ki
      ${invariant('ptr', '%kelement', '%func')}
      ret ptr %func`),
    define('ptr @waot.type_at(ptr %vmctx, i64 %offset)', `
      ${at('%vmctx', String(OFFSETS.vmctx.types), '%typesp')}
      ${invariant('ptr', '%typesp', '%types')}
      ${at('%types', '%offset', '%p')}
      ${invariant('ptr', '%p', '%v')}
      ret ptr %v`),
    define('ptr @waot.func_type(ptr %func)', `${at('%func', String(OFFSETS.func.type), '%p')}\n${invariant('ptr', '%p', '%v')}\nret ptr %v`),
    define('ptr @waot.func_type_of(i64 %ref)', `
      %null = icmp eq i64 %ref, 0
      br i1 %null, label %none, label %some
      none:
      ret ptr null
      some:
      %func = inttoptr i64 %ref to ptr
      %type = call ptr @waot.func_type(ptr %func)
      ret ptr %type`),
    // Types are interned, so that one comparison of pointers decides; or two, where a type may have subtypes: each knows its supertypes by their depth.
    define('i1 @waot.is_same_type(ptr %found, ptr %wanted)', '%same = icmp eq ptr %found, %wanted\nret i1 %same'),
    define('i1 @waot.is_subtype(ptr %found, ptr %wanted, i32 %wanted_depth)', `
      %same = icmp eq ptr %found, %wanted
      br i1 %same, label %yes, label %other
      other:
      %null = icmp eq ptr %found, null
      br i1 %null, label %no, label %known
      known:
      ${typeField('depth', 'i32')}
      %below = icmp ugt i32 %depth, %wanted_depth
      br i1 %below, label %deep, label %no
      deep:
      ${typeField('supers', 'ptr')}
      %i = zext i32 %wanted_depth to i64
      %superp = getelementptr ptr, ptr %supers, i64 %i
      ${invariant('ptr', '%superp', '%super')}
      %is = icmp eq ptr %super, %wanted
      ret i1 %is
      yes:
      ret i1 true
      no:
      ret i1 false`),
    // What a reference points to, or the trap for null.
    ...STATUS.map(({ name }) => name).filter((name) => name.startsWith('null_')).map((trap) => define(`i64 @waot.non_null.${trap}(i64 %ref)`, `
      %null = icmp eq i64 %ref, 0
      ${trapIf('%null', StatusCode[trap], 'null')}
      ret i64 %ref`)),
    define('ptr @waot.func_pointer(i64 %ref)', '%func = inttoptr i64 %ref to ptr\nret ptr %func'),
    define('ptr @waot.func_code(ptr %func)', `${at('%func', String(OFFSETS.func.code), '%p')}\n${invariant('ptr', '%p', '%v')}\nret ptr %v`),
    define('ptr @waot.func_tail_code(ptr %func)', `${at('%func', String(OFFSETS.func.tail_code), '%p')}\n${invariant('ptr', '%p', '%v')}\nret ptr %v`),
    define('ptr @waot.func_vmctx(ptr %func)', `${at('%func', String(OFFSETS.func.vmctx), '%p')}\n${invariant('ptr', '%p', '%v')}\nret ptr %v`),
  ].join('\n');
}

/** One wrapper for each builtin: loads its address from the vmctx and calls it. */
function builtinHelpers(): string {
  const ir = (type: AbiType | 'void') => ({ ptr: 'ptr', u8: 'i8', i32: 'i32', u32: 'i32', i64: 'i64', u64: 'i64', void: 'void' })[type];
  return BUILTINS.map((builtin, index) => {
    const params = builtin.params.map((type, i) => `${ir(type)} %a${i}`).join(', ');
    const result = ir(builtin.result);
    return define(`${result} @waot.builtin.${builtin.name}(${params})`, `
      %bp = getelementptr i8, ptr %a0, i64 ${OFFSETS.vmctx.builtins}
      %table = load ptr, ptr %bp, align 8, !invariant.load !1
      %fp = getelementptr i8, ptr %table, i64 ${index * 8}
      %f = load ptr, ptr %fp, align 8, !invariant.load !1
      ${result === 'void' ? '' : '%r = '}call ${result} %f(${params})
      ret ${result === 'void' ? 'void' : `${result} %r`}`);
  }).join('\n');
}

/** Traps when a builtin says so, or when a test fails. */
function checkedHelpers(): string {
  const builtin = (['out_of_bounds_memory_access', 'out_of_bounds_table_access', 'out_of_bounds_array_access', 'heap_exhausted'] as const)
    .map((name) => define(`void @waot.trap_if.${name}(i32 %failed)`, `%bad = icmp ne i32 %failed, 0\n${trapIf('%bad', StatusCode[name], 'bulk')}\nret void`));
  const test = (['indirect_call_type_mismatch', 'cast_failure'] as const)
    .map((name) => define(`void @waot.trap_unless.${name}(i1 %holds)`, `%bad = xor i1 %holds, true\n${trapIf('%bad', StatusCode[name], 'test')}\nret void`));
  return [...builtin, ...test].join('\n');
}

/**
 * Copies and fills of at most 64 bytes, in place of a builtin, for which wasm has to be left: whether it was done (0: not short, or out of bounds, which the builtin then finds). Both ends are moved
 * with an access each that may overlap in the middle; all loads come before the stores, so the ranges may overlap too. The bounds are compared first: a range that is partly outside traps before
 * anything is written. The stores are volatile for the reason that all stores are.
 */
function shortHelpers(): string {
  const sizes = [32, 16, 8, 4, 2];
  const vector = (size: number) => (size > 8 ? `<${size} x i8>` : `i${size * 8}`);
  const at = (base: string, name: string) => `%${name} = getelementptr i8, ptr ${base}, i64`;
  const bounds = (ranges: readonly string[]) => `
    %short = icmp ule i64 %count, 64
    %lp = getelementptr i8, ptr %vmctx, i64 %memory_offset
    %memory = load ptr, ptr %lp, align 8, !invariant.load !1
    %np = getelementptr i8, ptr %memory, i64 ${OFFSETS.memory_head.length}
    %length = load i64, ptr %np, align 8
    ${ranges.map((range, i) => `%end${i} = add nuw nsw i64 ${range}, %count
    %in${i} = icmp ule i64 %end${i}, %length
    %ok${i} = and i1 ${i === 0 ? '%short' : `%ok${i - 1}`}, %in${i}`).join('\n')}
    br i1 %ok${ranges.length - 1}, label %try32, label %no
    no:
    ret i32 0
    yes:
    ret i32 1`;
  const arms = (body: (size: number) => string) => sizes.map((size, i) => `
    try${size}:
    %big${size} = icmp uge i64 %count, ${size}
    br i1 %big${size}, label %do${size}, label %try${sizes[i + 1] ?? 1}
    do${size}:
    %back${size} = sub i64 %count, ${size}
    ${body(size)}
    br label %yes`).join('');
  const single = (body: string) => `
    try1:
    %none = icmp eq i64 %count, 0
    br i1 %none, label %yes, label %do1
    do1:
    ${body}
    br label %yes`;
  const load = (size: number) => `
    ${at('%source', `sl${size}`)} %back${size}
    %first${size} = load ${vector(size)}, ptr %source, align 1
    %last${size} = load ${vector(size)}, ptr %sl${size}, align 1
    ${at('%target', `tl${size}`)} %back${size}
    store volatile ${vector(size)} %first${size}, ptr %target, align 1
    store volatile ${vector(size)} %last${size}, ptr %tl${size}, align 1`;
  const splat = (size: number) => `${size > 8 ? `
    %one${size} = insertelement ${vector(size)} poison, i8 %byte, i32 0
    %all${size} = shufflevector ${vector(size)} %one${size}, ${vector(size)} poison, <${size} x i32> zeroinitializer` : `
    %one${size} = zext i8 %byte to i${size * 8}
    %all${size} = mul i${size * 8} %one${size}, ${BigInt(`0x${'01'.repeat(size)}`)}`}
    ${at('%target', `tl${size}`)} %back${size}
    store volatile ${vector(size)} %all${size}, ptr %target, align 1
    store volatile ${vector(size)} %all${size}, ptr %tl${size}, align 1`;
  return [
    define('i32 @waot.copy_short(ptr %vmctx, i64 %memory_offset, ptr %base, i64 %to, i64 %from, i64 %count)', `
      ${at('%base', 'target')} %to
      ${at('%base', 'source')} %from
      ${bounds(['%to', '%from'])}
      ${arms(load)}
      ${single('%byte = load i8, ptr %source, align 1\nstore volatile i8 %byte, ptr %target, align 1')}`),
    define('i32 @waot.fill_short(ptr %vmctx, i64 %memory_offset, ptr %base, i64 %to, i32 %value, i64 %count)', `
      %byte = trunc i32 %value to i8
      ${at('%base', 'target')} %to
      ${bounds(['%to'])}
      ${arms(splat)}
      ${single('store volatile i8 %byte, ptr %target, align 1')}`),
  ].join('\n');
}

function integerHelpers(): string {
  const per = (t: 'i32' | 'i64') => {
    const bits = t === 'i32' ? 32 : 64;
    const min = t === 'i32' ? '-2147483648' : '-9223372036854775808';
    const divisor = `%zero = icmp eq ${t} %b, 0\n${trapIf('%zero', StatusCode.integer_divide_by_zero, 'zero')}`;
    const sig = (op: string) => `${t} @waot.${t}.${op}(${t} %a, ${t} %b)`;
    const unary = (op: string, body: string) => define(`${t} @waot.${t}.${op}(${t} %a)`, body);
    return [
      define(sig('div_s'), `${divisor}
        %least = icmp eq ${t} %a, ${min}
        %minus = icmp eq ${t} %b, -1
        %over = and i1 %least, %minus
        ${trapIf('%over', StatusCode.integer_overflow, 'over')}
        %r = sdiv ${t} %a, %b
        ret ${t} %r`),
      define(sig('div_u'), `${divisor}\n%r = udiv ${t} %a, %b\nret ${t} %r`),
      // The remainder of the least integer by -1 is 0 in wasm and undefined in LLVM: divide by 1 instead.
      define(sig('rem_s'), `${divisor}
        %minus = icmp eq ${t} %b, -1
        %d = select i1 %minus, ${t} 1, ${t} %b
        %r = srem ${t} %a, %d
        ret ${t} %r`),
      define(sig('rem_u'), `${divisor}\n%r = urem ${t} %a, %b\nret ${t} %r`),
      define(sig('rotl'), `%r = call ${t} @llvm.fshl.${t}(${t} %a, ${t} %a, ${t} %b)\nret ${t} %r`),
      define(sig('rotr'), `%r = call ${t} @llvm.fshr.${t}(${t} %a, ${t} %a, ${t} %b)\nret ${t} %r`),
      unary('clz', `%r = call ${t} @llvm.ctlz.${t}(${t} %a, i1 false)\nret ${t} %r`),
      unary('ctz', `%r = call ${t} @llvm.cttz.${t}(${t} %a, i1 false)\nret ${t} %r`),
      unary('popcnt', `%r = call ${t} @llvm.ctpop.${t}(${t} %a)\nret ${t} %r`),
      ...[8, 16, 32].filter((n) => n < bits).map((n) => unary(`extend${n}_s`, `%n = trunc ${t} %a to i${n}\n%r = sext i${n} %n to ${t}\nret ${t} %r`)),
      `declare ${t} @llvm.fshl.${t}(${t}, ${t}, ${t})\ndeclare ${t} @llvm.fshr.${t}(${t}, ${t}, ${t})`,
      `declare ${t} @llvm.ctlz.${t}(${t}, i1)\ndeclare ${t} @llvm.cttz.${t}(${t}, i1)\ndeclare ${t} @llvm.ctpop.${t}(${t})\n`,
    ].join('\n');
  };
  return `${per('i32')}\n${per('i64')}`;
}

/** LLVM spells both float and double constants as the 64 bits of a double. */
function fp(value: number): string {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  return `0x${view.getBigUint64(0).toString(16).toUpperCase().padStart(16, '0')}`;
}

function floatHelpers(): string {
  const per = (name: 'f32' | 'f64') => {
    const t = name === 'f32' ? 'float' : 'double';
    const int = name === 'f32' ? 'i32' : 'i64';
    const call = (op: string, intrinsic: string) => `${define(`${t} @waot.${name}.${op}(${t} %a)`, `%r = call ${t} @llvm.${intrinsic}.${name}(${t} %a)\nret ${t} %r`)}\ndeclare ${t} @llvm.${intrinsic}.${name}(${t})`;
    // Not llvm.minimum: LLVM folds minimum(x, x) to x, which leaves a signalling NaN as it was. Where the operands are equal, or-ing (and-ing) the bits picks the zero with (without) the sign.
    const extremum = (op: 'min' | 'max') => define(`${t} @waot.${name}.${op}(${t} %a, ${t} %b)`, `
      %nan = fcmp uno ${t} %a, %b
      %sum = fadd ${t} %a, %b
      %below = fcmp ${op === 'min' ? 'olt' : 'ogt'} ${t} %a, %b
      %above = fcmp ${op === 'min' ? 'ogt' : 'olt'} ${t} %a, %b
      %ai = bitcast ${t} %a to ${int}
      %bi = bitcast ${t} %b to ${int}
      %both = ${op === 'min' ? 'or' : 'and'} ${int} %ai, %bi
      %equal = bitcast ${int} %both to ${t}
      %r0 = select i1 %above, ${t} %b, ${t} %equal
      %r1 = select i1 %below, ${t} %a, ${t} %r0
      %r = select i1 %nan, ${t} %sum, ${t} %r1
      ret ${t} %r`);
    return [
      call('ceil', 'ceil'), call('floor', 'floor'), call('trunc', 'trunc'), call('nearest', 'roundeven'), call('sqrt', 'sqrt'), call('abs', 'fabs'),
      define(`${t} @waot.${name}.neg(${t} %a)`, `%r = fneg ${t} %a\nret ${t} %r`),
      define(`${t} @waot.${name}.copysign(${t} %a, ${t} %b)`, `%r = call ${t} @llvm.copysign.${name}(${t} %a, ${t} %b)\nret ${t} %r`),
      `declare ${t} @llvm.copysign.${name}(${t}, ${t})`,
      extremum('min'), extremum('max'),
      define(`${t} @waot.canonical.${name}(${t} %a)`, `%nan = fcmp uno ${t} %a, %a\n%r = select i1 %nan, ${t} 0x7FF8000000000000, ${t} %a\nret ${t} %r`),
    ].join('\n');
  };
  return `${per('f32')}\n${per('f64')}`;
}

/** Float to integer: checked (trunc) and saturating. The limits are exact in the source type; the comparison is false for NaN, which is asked first. */
function truncHelpers(): string {
  const out: string[] = [];
  for (const from of ['f32', 'f64'] as const) {
    for (const to of ['i32', 'i64'] as const) {
      for (const sign of ['s', 'u'] as const) {
        const t = from === 'f32' ? 'float' : 'double';
        const bits = to === 'i32' ? 32 : 64;
        const high = sign === 's' ? 2 ** (bits - 1) : 2 ** bits;
        // The least value that still truncates into range: exclusive where the number below is exact in the source type, else inclusive.
        const exclusive = sign === 'u' || (from === 'f64' && to === 'i32');
        const low = sign === 'u' ? -1 : exclusive ? -(2 ** (bits - 1)) - 1 : -(2 ** (bits - 1));
        const op = sign === 's' ? 'fptosi' : 'fptoui';
        out.push(define(`${to} @waot.${to}.trunc_${from}_${sign}(${t} %a)`, `
          %nan = fcmp uno ${t} %a, %a
          ${trapIf('%nan', StatusCode.invalid_conversion_to_integer, 'nan')}
          %above = fcmp ${exclusive ? 'ogt' : 'oge'} ${t} %a, ${fp(low)}
          %below = fcmp olt ${t} %a, ${fp(high)}
          %in = and i1 %above, %below
          %out = xor i1 %in, true
          ${trapIf('%out', StatusCode.integer_overflow, 'range')}
          %r = ${op} ${t} %a to ${to}
          ret ${to} %r`));
        out.push(define(`${to} @waot.${to}.trunc_sat_${from}_${sign}(${t} %a)`, `%r = call ${to} @llvm.${op}.sat.${to}.${from}(${t} %a)\nret ${to} %r`));
        out.push(`declare ${to} @llvm.${op}.sat.${to}.${from}(${t})\n`);
      }
    }
  }
  return out.join('\n');
}

/** The prelude for an architecture, without the vector helpers (`prelude-simd.ts`). */
export function preludeText(arch: ArchName): string {
  if (VALUE_SIZE !== 16) throw new Error('the prelude assumes 16-byte global slots');
  return [
    fuelHelpers(arch), trapHelpers(), opaqueHelpers(arch), memoryHelpers(arch), vmctxHelpers(), builtinHelpers(), checkedHelpers(), shortHelpers(), integerHelpers(), floatHelpers(), truncHelpers(),
    'declare void @llvm.ubsantrap(i8 immarg)',
    'attributes #0 = { alwaysinline }',
    // Charges. There is no argument memory to touch; it is named because LLVM lets volatile loads pass calls that touch inaccessible memory only (instcombine, loads of several arms made one).
    'attributes #1 = { nounwind willreturn memory(argmem: readwrite, inaccessiblemem: readwrite) }',
    'attributes #2 = { alwaysinline cold noreturn }',
    'attributes #3 = { nomerge noreturn nounwind }',
    'attributes #4 = { nounwind willreturn memory(none) }',
    '!0 = !{!"branch_weights", i32 1, i32 1048576}',
    '!1 = !{}',
    '',
  ].join('\n');
}
