/**
 * The prelude's vector helpers: one for each vector operator, from v128 to v128, where LLVM's IR (version 22, as text) says what the operator does. A v128 is
 * `<2 x i64>` between operators; the helpers cast it to their lanes, which costs nothing. Only those helpers that a partition calls become part of its prelude.
 *
 * Where generic IR does not reach the one good instruction, the target's intrinsic is named, a spelling for each architecture. Nothing here depends on
 * LLVM's folding floating-point constants: emit/vector.ts hides them where that would be wrong.
 */
import type { Arch } from '../../runtime-c/abi.js';
import { define, VECTOR, withCharge } from './prelude.js';

type ArchName = keyof typeof Arch;
type IntShape = 'i8x16' | 'i16x8' | 'i32x4' | 'i64x2';
type FloatShape = 'f32x4' | 'f64x2';
type Shape = IntShape | FloatShape;

interface ShapeRow { readonly lanes: number; readonly bits: number; readonly lane: string; readonly ir: string; /** The scalar that stands for a lane on the operand stack. */ readonly scalar: string }
const shapeRow = (lanes: number, lane: string, scalar: string): ShapeRow => ({ lanes, bits: 128 / lanes, lane, ir: `<${lanes} x ${lane}>`, scalar });
const SHAPES: Readonly<Record<Shape, ShapeRow>> = {
  i8x16: shapeRow(16, 'i8', 'i32'), i16x8: shapeRow(8, 'i16', 'i32'), i32x4: shapeRow(4, 'i32', 'i32'), i64x2: shapeRow(2, 'i64', 'i64'),
  f32x4: shapeRow(4, 'float', 'float'), f64x2: shapeRow(2, 'double', 'double'),
};
const INTS: readonly IntShape[] = ['i8x16', 'i16x8', 'i32x4', 'i64x2'];
const FLOATS: readonly FloatShape[] = ['f32x4', 'f64x2'];
const ir = (shape: Shape): string => SHAPES[shape].ir;
const sizeOf = (type: string): number => Number(/^<(\d+)/.exec(type)?.[1]) * (/float|i32/.test(type) ? 32 : /double|i64/.test(type) ? 64 : Number(/i(\d+)/.exec(type)?.[1]));

/** Definitions by name. */
type Helpers = Map<string, string>;

/**
 * Adds the helper `waot.<name>`. Parameters of 128-bit vector type arrive as v128 and are cast to the type named; `body` computes `%r`, of type `result`, which
 * goes back as a v128 if it is a vector of 128 bits.
 */
function add(to: Helpers, name: string, params: Readonly<Record<string, string>>, result: string, body: string): void {
  const isVector = (type: string) => type.startsWith('<') && sizeOf(type) === 128 && type !== VECTOR;
  const declared = Object.entries(params).map(([p, type]) => (isVector(type) ? `${VECTOR} %${p}.v` : `${type} %${p}`)).join(', ');
  const casts = Object.entries(params).filter(([, type]) => isVector(type)).map(([p, type]) => `%${p} = bitcast ${VECTOR} %${p}.v to ${type}`);
  const end = isVector(result) ? [`%r.v = bitcast ${result} %r to ${VECTOR}`, `ret ${VECTOR} %r.v`] : [`ret ${result} %r`];
  to.set(`waot.${name}`, define(`${isVector(result) ? VECTOR : result} @waot.${name}(${declared})`, [...casts, body.trim(), ...end].join('\n')));
}

/** A vector constant with equal lanes. */
const splatOf = (type: string, value: string | number): string => `splat (${/x (\w+)>/.exec(type)?.[1]} ${value})`;
const unary = (to: Helpers, shape: Shape, op: string, body: (t: string) => string) => add(to, `${shape}.${op}`, { a: ir(shape) }, ir(shape), body(ir(shape)));
const binary = (to: Helpers, shape: Shape, op: string, body: (t: string) => string) => add(to, `${shape}.${op}`, { a: ir(shape), b: ir(shape) }, ir(shape), body(ir(shape)));
/** LLVM's suffix of an overloaded intrinsic: `v16i8`. */
const suffix = (shape: Shape): string => `v${SHAPES[shape].lanes}${shape.startsWith('f') ? 'f' : 'i'}${SHAPES[shape].bits}`;
const call = (shape: Shape, intrinsic: string, args = '') => `%r = call ${ir(shape)} @llvm.${intrinsic}.${suffix(shape)}(${ir(shape)} %a${args})`;
const call2 = (shape: Shape, intrinsic: string) => call(shape, intrinsic, `, ${ir(shape)} %b`);
/** All lanes of a narrow-typed scalar `%x`, as `%r`. */
const splat = (type: string, lane: string) => `%i = insertelement ${type} poison, ${lane} %x, i64 0\n%r = shufflevector ${type} %i, ${type} poison, <${type.split(' ')[0].slice(1)} x i32> zeroinitializer`;

function laneHelpers(to: Helpers): void {
  for (const shape of [...INTS, ...FLOATS]) {
    const { lane, ir: t, scalar } = SHAPES[shape];
    const narrow = lane !== scalar;
    const trunc = (from: string) => (narrow ? `%x = trunc ${scalar} ${from} to ${lane}\n` : '');
    add(to, `${shape}.splat`, narrow ? { s: scalar } : { x: scalar }, t, `${trunc('%s')}${splat(t, lane)}`);
    add(to, `${shape}.replace_lane`, narrow ? { a: t, s: scalar, n: 'i32' } : { a: t, x: scalar, n: 'i32' }, t, `${trunc('%s')}%r = insertelement ${t} %a, ${lane} %x, i32 %n`);
    if (!narrow) add(to, `${shape}.extract_lane`, { a: t, n: 'i32' }, scalar, `%r = extractelement ${t} %a, i32 %n`);
    else for (const [sign, extend] of [['s', 'sext'], ['u', 'zext']]) add(to, `${shape}.extract_lane_${sign}`, { a: t, n: 'i32' }, scalar, `%x = extractelement ${t} %a, i32 %n\n%r = ${extend} ${lane} %x to ${scalar}`);
  }
}

function bitHelpers(to: Helpers): void {
  const v = { a: VECTOR, b: VECTOR };
  add(to, 'v128.not', { a: VECTOR }, VECTOR, `%r = xor ${VECTOR} %a, ${splatOf(VECTOR, -1)}`);
  for (const op of ['and', 'or', 'xor']) add(to, `v128.${op}`, v, VECTOR, `%r = ${op} ${VECTOR} %a, %b`);
  add(to, 'v128.andnot', v, VECTOR, `%n = xor ${VECTOR} %b, ${splatOf(VECTOR, -1)}\n%r = and ${VECTOR} %a, %n`);
  add(to, 'v128.bitselect', { ...v, c: VECTOR }, VECTOR, `
    %x = and ${VECTOR} %a, %c
    %n = xor ${VECTOR} %c, ${splatOf(VECTOR, -1)}
    %y = and ${VECTOR} %b, %n
    %r = or ${VECTOR} %x, %y`);
  add(to, 'v128.any_true', { a: VECTOR }, 'i1', `%i = bitcast ${VECTOR} %a to i128\n%r = icmp ne i128 %i, 0`);
  for (const shape of INTS) {
    const { lanes, ir: t } = SHAPES[shape];
    add(to, `${shape}.all_true`, { a: t }, 'i1', `%z = icmp eq ${t} %a, zeroinitializer\n%m = bitcast <${lanes} x i1> %z to i${lanes}\n%r = icmp eq i${lanes} %m, 0`);
    add(to, `${shape}.bitmask`, { a: t }, 'i32', `%s = icmp slt ${t} %a, zeroinitializer\n%m = bitcast <${lanes} x i1> %s to i${lanes}\n%r = zext i${lanes} %m to i32`);
  }
}

function integerHelpers(to: Helpers): void {
  for (const shape of INTS) {
    const { bits, lanes, lane, ir: t, scalar } = SHAPES[shape];
    for (const op of ['add', 'sub', 'mul']) binary(to, shape, op, () => `%r = ${op} ${t} %a, %b`);
    unary(to, shape, 'neg', () => `%r = sub ${t} zeroinitializer, %a`);
    unary(to, shape, 'abs', () => call(shape, 'abs', ', i1 false'));
    for (const [op, predicate] of [['eq', 'eq'], ['ne', 'ne'], ['lt_s', 'slt'], ['lt_u', 'ult'], ['gt_s', 'sgt'], ['gt_u', 'ugt'], ['le_s', 'sle'], ['le_u', 'ule'], ['ge_s', 'sge'], ['ge_u', 'uge']]) {
      binary(to, shape, op, () => `%c = icmp ${predicate} ${t} %a, %b\n%r = sext <${lanes} x i1> %c to ${t}`);
    }
    // Shift counts are taken modulo the lane's width; a count of the width or more is poison in LLVM.
    for (const [op, inst] of [['shl', 'shl'], ['shr_s', 'ashr'], ['shr_u', 'lshr']]) {
      const count = bits === 32 ? `%x = and i32 %n, 31` : `%m = and i32 %n, ${bits - 1}\n%x = ${bits < 32 ? 'trunc' : 'zext'} i32 %m to ${lane}`;
      add(to, `${shape}.${op}`, { a: t, n: 'i32' }, t, `${count}\n${splat(t, lane).replace('%r =', '%k =')}\n%r = ${inst} ${t} %a, %k`);
    }
    if (scalar === 'i64') continue;
    for (const [op, intrinsic] of [['min_s', 'smin'], ['min_u', 'umin'], ['max_s', 'smax'], ['max_u', 'umax']]) binary(to, shape, op, () => call2(shape, intrinsic));
    if (bits > 16) continue;
    for (const op of ['add', 'sub']) for (const sign of ['s', 'u']) binary(to, shape, `${op}_sat_${sign}`, () => call2(shape, `${sign}${op}.sat`));
    const wide = `<${lanes} x i${bits * 2}>`;
    binary(to, shape, 'avgr_u', () => `
      %aw = zext ${t} %a to ${wide}
      %bw = zext ${t} %b to ${wide}
      %sum = add nuw ${wide} %aw, %bw
      %up = add nuw ${wide} %sum, ${splatOf(wide, 1)}
      %half = lshr ${wide} %up, ${splatOf(wide, 1)}
      %r = trunc ${wide} %half to ${t}`);
  }
  unary(to, 'i8x16', 'popcnt', () => call('i8x16', 'ctpop'));
}

/** Halves of a vector, as a vector of half the lanes. */
function half(shape: IntShape, which: 'low' | 'high', from: string, as: string): string {
  const { lanes, lane, ir: t } = SHAPES[shape];
  const first = which === 'low' ? 0 : lanes / 2;
  const mask = Array.from({ length: lanes / 2 }, (_, i) => `i32 ${first + i}`).join(', ');
  return `${as} = shufflevector ${t} ${from}, ${t} poison, <${lanes / 2} x i32> <${mask}> ; <${lanes / 2} x ${lane}>`;
}

function wideningHelpers(to: Helpers): void {
  for (const [from, shape] of [['i8x16', 'i16x8'], ['i16x8', 'i32x4'], ['i32x4', 'i64x2']] as const) {
    const t = ir(shape);
    const narrow = `<${SHAPES[from].lanes / 2} x ${SHAPES[from].lane}>`;
    for (const which of ['low', 'high'] as const) {
      for (const [sign, extend] of [['s', 'sext'], ['u', 'zext']]) {
        add(to, `${shape}.extend_${which}_${from}_${sign}`, { a: ir(from) }, t, `${half(from, which, '%a', '%h')}\n%r = ${extend} ${narrow} %h to ${t}`);
        add(to, `${shape}.extmul_${which}_${from}_${sign}`, { a: ir(from), b: ir(from) }, t, `
          ${half(from, which, '%a', '%ah')}
          ${half(from, which, '%b', '%bh')}
          %aw = ${extend} ${narrow} %ah to ${t}
          %bw = ${extend} ${narrow} %bh to ${t}
          %r = mul ${t} %aw, %bw`);
      }
    }
  }
}

/** Integer operators for which x86 and AArch64 have an instruction that generic IR does not always become. */
function targetIntegerHelpers(to: Helpers, arch: ArchName): void {
  const b16 = ir('i8x16');
  const h8 = ir('i16x8');
  const w4 = ir('i32x4');
  const x86 = arch === 'x86_64';
  for (const [from, shape, x86s, x86u] of [['i16x8', 'i8x16', 'sse2.packsswb.128', 'sse2.packuswb.128'], ['i32x4', 'i16x8', 'sse2.packssdw.128', 'sse41.packusdw']] as const) {
    for (const [sign, name, arm] of [['s', x86s, 'sqxtn'], ['u', x86u, 'sqxtun']]) {
      const part = `<${SHAPES[from].lanes} x ${SHAPES[shape].lane}>`;
      const partSuffix = `v${SHAPES[from].lanes}i${SHAPES[shape].bits}`;
      const all = Array.from({ length: SHAPES[shape].lanes }, (_, i) => `i32 ${i}`).join(', ');
      add(to, `${shape}.narrow_${from}_${sign}`, { a: ir(from), b: ir(from) }, ir(shape), x86
        ? `%r = call ${ir(shape)} @llvm.x86.${name}(${ir(from)} %a, ${ir(from)} %b)`
        : `%l = call ${part} @llvm.aarch64.neon.${arm}.${partSuffix}(${ir(from)} %a)
          %h = call ${part} @llvm.aarch64.neon.${arm}.${partSuffix}(${ir(from)} %b)
          %r = shufflevector ${part} %l, ${part} %h, <${SHAPES[shape].lanes} x i32> <${all}>`);
    }
  }
  // An index from 16 gives 0. pshufb looks at bit 7 and the low four bits: adding 0x70 with saturation sets bit 7 just where the index is 16 or more.
  add(to, 'i8x16.swizzle', { a: b16, b: b16 }, b16, x86
    ? `%n = call ${b16} @llvm.uadd.sat.v16i8(${b16} %b, ${b16} ${splatOf(b16, 0x70)})\n%r = call ${b16} @llvm.x86.ssse3.pshuf.b.128(${b16} %a, ${b16} %n)`
    : `%r = call ${b16} @llvm.aarch64.neon.tbl1.v16i8(${b16} %a, ${b16} %b)`);
  // pmulhrsw wraps in the one case that must saturate, -1.0 * -1.0: its result is 0x8000 there and nowhere else.
  add(to, 'i16x8.q15mulr_sat_s', { a: h8, b: h8 }, h8, x86
    ? `%p = call ${h8} @llvm.x86.ssse3.pmul.hr.sw.128(${h8} %a, ${h8} %b)
      %over = icmp eq ${h8} %p, ${splatOf(h8, -32768)}
      %flip = sext <8 x i1> %over to ${h8}
      %r = xor ${h8} %p, %flip`
    : `%r = call ${h8} @llvm.aarch64.neon.sqrdmulh.v8i16(${h8} %a, ${h8} %b)`);
  const pairs = (product: string, narrow: string, evens: string, odds: string) => `${product}
    %e = shufflevector ${narrow} %p, ${narrow} poison, ${evens}
    %o = shufflevector ${narrow} %p, ${narrow} poison, ${odds}`;
  const even4 = '<4 x i32> <i32 0, i32 2, i32 4, i32 6>';
  const odd4 = '<4 x i32> <i32 1, i32 3, i32 5, i32 7>';
  add(to, 'i32x4.dot_i16x8_s', { a: h8, b: h8 }, w4, x86
    ? `%r = call ${w4} @llvm.x86.sse2.pmadd.wd(${h8} %a, ${h8} %b)`
    : `${pairs('%aw = sext <8 x i16> %a to <8 x i32>\n%bw = sext <8 x i16> %b to <8 x i32>\n%p = mul <8 x i32> %aw, %bw', '<8 x i32>', even4, odd4)}\n%r = add <4 x i32> %e, %o`);
  // Both factors signed: the deterministic choice. A pair's sum is at most 2^15 and then wraps.
  const even8 = '<8 x i32> <i32 0, i32 2, i32 4, i32 6, i32 8, i32 10, i32 12, i32 14>';
  const odd8 = '<8 x i32> <i32 1, i32 3, i32 5, i32 7, i32 9, i32 11, i32 13, i32 15>';
  const dot8 = `${pairs('%aw = sext <16 x i8> %a to <16 x i16>\n%bw = sext <16 x i8> %b to <16 x i16>\n%p = mul <16 x i16> %aw, %bw', '<16 x i16>', even8, odd8)}\n%d = add <8 x i16> %e, %o`;
  add(to, 'i16x8.relaxed_dot_i8x16_i7x16_s', { a: b16, b: b16 }, h8, dot8.replace('%d =', '%r ='));
  add(to, 'i32x4.relaxed_dot_i8x16_i7x16_add_s', { a: b16, b: b16, c: w4 }, w4, `${dot8}
    %dw = sext <8 x i16> %d to <8 x i32>
    %de = shufflevector <8 x i32> %dw, <8 x i32> poison, ${even4}
    %do = shufflevector <8 x i32> %dw, <8 x i32> poison, ${odd4}
    %s = add <4 x i32> %de, %do
    %r = add <4 x i32> %s, %c`);
  // Sums of neighbours: products with ones, where x86 adds pairs of products; the unsigned 16-bit ones by masking and shifting.
  const ones = splatOf(b16, 1);
  add(to, 'i16x8.extadd_pairwise_i8x16_s', { a: b16 }, h8, x86 ? `%r = call ${h8} @llvm.x86.ssse3.pmadd.ub.sw.128(${b16} ${ones}, ${b16} %a)` : `%r = call ${h8} @llvm.aarch64.neon.saddlp.v8i16.v16i8(${b16} %a)`);
  add(to, 'i16x8.extadd_pairwise_i8x16_u', { a: b16 }, h8, x86 ? `%r = call ${h8} @llvm.x86.ssse3.pmadd.ub.sw.128(${b16} %a, ${b16} ${ones})` : `%r = call ${h8} @llvm.aarch64.neon.uaddlp.v8i16.v16i8(${b16} %a)`);
  add(to, 'i32x4.extadd_pairwise_i16x8_s', { a: h8 }, w4, x86 ? `%r = call ${w4} @llvm.x86.sse2.pmadd.wd(${h8} %a, ${h8} ${splatOf(h8, 1)})` : `%r = call ${w4} @llvm.aarch64.neon.saddlp.v4i32.v8i16(${h8} %a)`);
  if (x86) add(to, 'i32x4.extadd_pairwise_i16x8_u', { a: w4 }, w4, `%l = and ${w4} %a, ${splatOf(w4, 65535)}\n%h = lshr ${w4} %a, ${splatOf(w4, 16)}\n%r = add ${w4} %l, %h`);
  else add(to, 'i32x4.extadd_pairwise_i16x8_u', { a: h8 }, w4, `%r = call ${w4} @llvm.aarch64.neon.uaddlp.v4i32.v8i16(${h8} %a)`);
}

/** `x` where the comparison holds, else `y`. */
const choose = (t: string, predicate: string, lanes: number, x: string, y: string, as: string) => `${as}.c = fcmp ${predicate} ${t} ${x}, ${y}\n${as} = select <${lanes} x i1> ${as}.c, ${t} ${x}, ${t} ${y}`;

/**
 * The lesser (greater) of two; the second where they are equal or one is a NaN. That is x86's minps, which LLVM finds in a comparison and a selection, but for f64x2 only
 * until it moves the casts from and to `<2 x i64>` between the two: so it is named. It is the pseudo-minimum, operands swapped, and half of the real one.
 */
function chooseExtreme(arch: ArchName, shape: FloatShape, op: 'min' | 'max', x: string, y: string, as: string): string {
  const { lanes, ir: t } = SHAPES[shape];
  if (arch !== 'x86_64') return choose(t, op === 'min' ? 'olt' : 'ogt', lanes, x, y, as);
  return `${as} = call ${t} @llvm.x86.${shape === 'f32x4' ? `sse.${op}.ps` : `sse2.${op}.pd`}(${t} ${x}, ${t} ${y})`;
}

function floatHelpers(to: Helpers, arch: ArchName): void {
  for (const shape of FLOATS) {
    const { bits, lanes, ir: t } = SHAPES[shape];
    const int = `<${lanes} x i${bits}>`;
    const canonicalNaN = splatOf(int, bits === 32 ? 0x7fc00000 : '9221120237041090560');
    for (const op of ['add', 'sub', 'mul', 'div']) binary(to, shape, op, () => `%r = f${op} ${t} %a, %b`);
    for (const [op, intrinsic] of [['ceil', 'ceil'], ['floor', 'floor'], ['trunc', 'trunc'], ['nearest', 'roundeven'], ['sqrt', 'sqrt'], ['abs', 'fabs']]) unary(to, shape, op, () => call(shape, intrinsic));
    unary(to, shape, 'neg', () => `%r = fneg ${t} %a`);
    // `ne` is unordered: a NaN differs from everything; the others are false for it.
    for (const [op, predicate] of [['eq', 'oeq'], ['ne', 'une'], ['lt', 'olt'], ['gt', 'ogt'], ['le', 'ole'], ['ge', 'oge']]) {
      add(to, `${shape}.${op}`, { a: t, b: t }, int, `%c = fcmp ${predicate} ${t} %a, %b\n%r = sext <${lanes} x i1> %c to ${int}`);
    }
    for (const [op, join] of [['min', 'or'], ['max', 'and']] as const) {
      binary(to, shape, `p${op}`, () => chooseExtreme(arch, shape, op, '%b', '%a', '%r'));
      // Both orders agree but for zeros of two signs, where or-ing (and-ing) the bits picks the one with (without) the sign, and for NaNs, whose result is the canonical one.
      add(to, `${shape}.${op}`, { a: t, b: t }, int, `
        ${chooseExtreme(arch, shape, op, '%a', '%b', '%x')}
        ${chooseExtreme(arch, shape, op, '%b', '%a', '%y')}
        %xi = bitcast ${t} %x to ${int}
        %yi = bitcast ${t} %y to ${int}
        %both = ${join} ${int} %xi, %yi
        %nan = fcmp uno ${t} %a, %b
        %r = select <${lanes} x i1> %nan, ${int} ${canonicalNaN}, ${int} %both`);
    }
    const product = `%p = fmul ${t} %a, %b`;
    add(to, `${shape}.relaxed_madd`, { a: t, b: t, c: t }, t, `${product}\n%r = fadd ${t} %p, %c`);
    add(to, `${shape}.relaxed_nmadd`, { a: t, b: t, c: t }, t, `${product}\n%r = fsub ${t} %c, %p`);
    add(to, `canonical.${shape}`, { a: t }, int, `%i = bitcast ${t} %a to ${int}\n%nan = fcmp uno ${t} %a, %a\n%r = select <${lanes} x i1> %nan, ${int} ${canonicalNaN}, ${int} %i`);
  }
}

/** Two lanes, then two zeros. */
const lowPair = (from: string, lane: string) => `%r = shufflevector <2 x ${lane}> ${from}, <2 x ${lane}> zeroinitializer, <4 x i32> <i32 0, i32 1, i32 2, i32 3>`;
const PAIR = '<2 x i32> <i32 0, i32 1>';

function convertHelpers(to: Helpers): void {
  const [f4, d2, w4] = [ir('f32x4'), ir('f64x2'), ir('i32x4')];
  add(to, 'f64x2.promote_low_f32x4', { a: f4 }, d2, `%l = shufflevector ${f4} %a, ${f4} poison, ${PAIR}\n%r = fpext <2 x float> %l to ${d2}`);
  add(to, 'f32x4.demote_f64x2_zero', { a: d2 }, f4, `%l = fptrunc ${d2} %a to <2 x float>\n${lowPair('%l', 'float')}`);
  for (const [sign, inst] of [['s', 'sitofp'], ['u', 'uitofp']]) {
    add(to, `f32x4.convert_i32x4_${sign}`, { a: w4 }, f4, `%r = ${inst} ${w4} %a to ${f4}`);
    add(to, `f64x2.convert_low_i32x4_${sign}`, { a: w4 }, d2, `%l = shufflevector ${w4} %a, ${w4} poison, ${PAIR}\n%r = ${inst} <2 x i32> %l to ${d2}`);
  }
}

/**
 * Saturating conversions. AArch64 converts so; x86's cvttps2dq gives 0x80000000 for all that does not fit, which is right below the range and has to be
 * mended above it and for NaN.
 */
function truncHelpers(to: Helpers, arch: ArchName): void {
  const [f4, d2, w4] = [ir('f32x4'), ir('f64x2'), ir('i32x4')];
  if (arch === 'aarch64') {
    for (const [sign, inst] of [['s', 'fptosi'], ['u', 'fptoui']]) {
      add(to, `i32x4.trunc_sat_f32x4_${sign}`, { a: f4 }, w4, `%r = call ${w4} @llvm.${inst}.sat.v4i32.v4f32(${f4} %a)`);
      add(to, `i32x4.trunc_sat_f64x2_${sign}_zero`, { a: d2 }, w4, `%l = call <2 x i32> @llvm.${inst}.sat.v2i32.v2f64(${d2} %a)\n${lowPair('%l', 'i32')}`);
    }
    return;
  }
  const [two31f, two31d] = ['0x41E0000000000000', '0x41DFFFFFFFC00000']; // 2^31, and 2^31 - 1, which only a double holds
  const cvt = (from: string, as: string) => `${as} = call ${w4} @llvm.x86.sse2.cvttps2dq(${f4} ${from})`;
  const mend = (from: string, converted: string, as: string) => `
    ${as}.big = fcmp oge ${f4} ${from}, ${splatOf(f4, two31f)}
    ${as}.flip = sext <4 x i1> ${as}.big to ${w4}
    ${as} = xor ${w4} ${converted}, ${as}.flip`;
  const zeroNaN = (t: string, lanes: number) => `%ord = fcmp ord ${t} %a, zeroinitializer\n%z = select <${lanes} x i1> %ord, ${t} %a, ${t} zeroinitializer`;
  const positive = (t: string, lanes: number, from: string, as: string) => choose(t, 'ogt', lanes, from, 'zeroinitializer', as); // NaN becomes 0
  add(to, 'i32x4.trunc_sat_f32x4_s', { a: f4 }, w4, `${zeroNaN(f4, 4)}\n${cvt('%z', '%i')}\n${mend('%z', '%i', '%r')}`);
  // What is 2^31 or more converts as 2^31 (0x80000000, by overflow) plus the rest; below that the rest is 0.
  add(to, 'i32x4.trunc_sat_f32x4_u', { a: f4 }, w4, `
    ${positive(f4, 4, '%a', '%x')}
    ${cvt('%x', '%low')}
    %over = fsub ${f4} %x, ${splatOf(f4, two31f)}
    ${positive(f4, 4, '%over', '%rest')}
    ${cvt('%rest', '%i')}
    ${mend('%rest', '%i', '%high')}
    %r = add ${w4} %low, %high`);
  const limit = (value: string, from: string) => choose(d2, 'olt', 2, from, splatOf(d2, value), '%m');
  add(to, 'i32x4.trunc_sat_f64x2_s_zero', { a: d2 }, w4, `${zeroNaN(d2, 2)}\n${limit(two31d, '%z')}\n%r = call ${w4} @llvm.x86.sse2.cvttpd2dq(${d2} %m)`);
  // A whole number below 2^32 plus 2^52 has that number in its low 32 bits.
  add(to, 'i32x4.trunc_sat_f64x2_u_zero', { a: d2 }, w4, `
    ${positive(d2, 2, '%a', '%x')}
    ${limit('0x41EFFFFFFFE00000', '%x')}
    %t = call ${d2} @llvm.trunc.v2f64(${d2} %m)
    %sum = fadd ${d2} %t, ${splatOf(d2, '0x4330000000000000')}
    %s = bitcast ${d2} %sum to ${w4}
    %r = shufflevector ${w4} %s, ${w4} zeroinitializer, <4 x i32> <i32 0, i32 2, i32 4, i32 4>`);
}

/** As the scalar accesses: volatile, alignment 1. Parts of a vector are loaded as integers, so that the access has one size and LLVM cannot split it. */
function memoryHelpers(to: Helpers, arch: ArchName): void {
  const at = { base: 'ptr', addr: 'i32', offset: 'i64' };
  const address = '%index = zext i32 %addr to i64\n%ea = add nuw nsw i64 %index, %offset\n%p = getelementptr i8, ptr %base, i64 %ea';
  const load = (type: string, as: string) => `${address}\n${as} = load volatile ${type}, ptr %p, align 1`;
  add(to, 'v128.load', at, VECTOR, load(VECTOR, '%r'));
  const store = (type: string) => `store volatile ${type} %x, ptr %p, align 1\nret void`;
  to.set('waot.v128.store', define(`void @waot.v128.store(ptr %base, i32 %addr, i64 %offset, ${VECTOR} %x)`, `${address}\n${store(VECTOR)}`));
  for (const [lanes, bits] of [[8, 8], [4, 16], [2, 32]]) {
    for (const [sign, extend] of [['s', 'sext'], ['u', 'zext']]) {
      const wide = `<${lanes} x i${bits * 2}>`;
      add(to, `v128.load${bits}x${lanes}_${sign}`, at, wide, `${load('i64', '%i')}\n%n = bitcast i64 %i to <${lanes} x i${bits}>\n%r = ${extend} <${lanes} x i${bits}> %n to ${wide}`);
    }
  }
  for (const bits of [8, 16, 32, 64]) {
    const type = `<${128 / bits} x i${bits}>`;
    const lane = `i${bits}`;
    add(to, `v128.load${bits}_splat`, at, type, `${load(lane, '%x')}\n${splat(type, lane).replace('%i =', '%s =').replace(`${type} %i`, `${type} %s`)}`);
    if (bits >= 32) add(to, `v128.load${bits}_zero`, at, type, `${load(lane, '%x')}\n%r = insertelement ${type} zeroinitializer, ${lane} %x, i64 0`);
    add(to, `v128.load${bits}_lane`, { ...at, a: type, n: 'i32' }, type, `${load(lane, '%x')}\n%r = insertelement ${type} %a, ${lane} %x, i32 %n`);
    to.set(`waot.v128.store${bits}_lane`, define(`void @waot.v128.store${bits}_lane(ptr %base, i32 %addr, i64 %offset, ${VECTOR} %v, i32 %n)`,
      `%a = bitcast ${VECTOR} %v to ${type}\n%x = extractelement ${type} %a, i32 %n\n${address}\n${store(lane)}`));
  }
  for (const [name, text] of [...to]) if (name.startsWith('waot.v128.load') || name.startsWith('waot.v128.store')) to.set(name.replace('waot.', 'waot.charged.'), withCharge(arch, text));
}

function shuffleHelper(name: string): string {
  const lanes = Buffer.from(name.slice('waot.shuffle.'.length), 'hex');
  const helpers: Helpers = new Map();
  const t = ir('i8x16');
  add(helpers, name.slice('waot.'.length), { a: t, b: t }, t, `%r = shufflevector ${t} %a, ${t} %b, <16 x i32> <${[...lanes].map((lane) => `i32 ${lane}`).join(', ')}>`);
  return helpers.get(name) as string;
}

const made = new Map<ArchName, Helpers>();
function helpersOf(arch: ArchName): Helpers {
  let helpers = made.get(arch);
  if (!helpers) {
    helpers = new Map();
    laneHelpers(helpers);
    bitHelpers(helpers);
    integerHelpers(helpers);
    wideningHelpers(helpers);
    targetIntegerHelpers(helpers, arch);
    floatHelpers(helpers, arch);
    convertHelpers(helpers);
    truncHelpers(helpers, arch);
    memoryHelpers(helpers, arch);
    made.set(arch, helpers);
  }
  return helpers;
}

/** Name of the helper of an `i8x16.shuffle` (without `waot.`): each list of 16 lanes, the first lowest in `bits`, has its own. */
export function shuffleName(bits: bigint): string {
  const bytes = Array.from({ length: 16 }, (_, i) => Number((bits >> BigInt(8 * i)) & 0xffn));
  return `shuffle.${Buffer.from(bytes).toString('hex')}`;
}

/** The vector helpers among `names` (`waot.i8x16.add`), to append to the prelude. Names of other helpers are passed over. */
export function vectorPrelude(arch: ArchName, names: Iterable<string>): string {
  const helpers = helpersOf(arch);
  let text = '';
  for (const name of names) text += name.startsWith('waot.shuffle.') ? shuffleHelper(name) : (helpers.get(name) ?? '');
  return text;
}
