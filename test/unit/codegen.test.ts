/** The codegen addon: what it makes of a module, and what it says when the module is wrong. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CpuFeature } from '../../runtime-c/abi.js';
import { CompileError } from '../../compiler/diagnostics.js';
import { type CompileOptions, compile, hostCpu, resolveCpu, version } from '../../compiler/llvm/codegen.js';
import { TARGETS, cpuFeatureBits, findTarget, resolveCpuFrom } from '../../compiler/llvm/target.js';

const PRELUDE = `
define linkonce_odr hidden void @charge(i64 %n) alwaysinline { call void asm sideeffect "addq $0, %rbp", "er"(i64 %n) #0\n ret void }
define linkonce_odr hidden i32 @load(ptr %p) alwaysinline { %v = load volatile i32, ptr %p, align 1\n ret i32 %v }
attributes #0 = { nounwind willreturn memory(argmem: readwrite, inaccessiblemem: readwrite) }`;
const MODULE = `
declare void @charge(i64)
declare void @other(i32)
@waot_module = constant i32 1
@table = global i32 2
define i32 @f(i32 %x) { call void @charge(i64 5)\n %y = add i32 %x, 1\n call void @other(i32 %y)\n ret i32 %y }`;
const OPTIONS: CompileOptions = { triple: 'x86_64-unknown-linux-gnu', cpu: 'x86-64-v3', features: '', prelude: PRELUDE, optLevel: 1, emit: 'ir' };

const text = async (ir: string, options: Partial<CompileOptions> = {}) => (await compile(Buffer.from(ir), { ...OPTIONS, ...options })).output.toString();

async function failure(ir: string | Buffer, options: Partial<CompileOptions> = {}): Promise<CompileError> {
  const error = await compile(Buffer.from(ir), { ...OPTIONS, ...options }).then(() => undefined, (reason: unknown) => reason);
  assert.instance(error, CompileError);
  return error as CompileError;
}

test('the version is LLVM 22', () => {
  assert.match(version(), /^22\.\d+\.\d+$/);
});

for (const optLevel of [0, 1, 2, 3] as const) {
  test(`-O${optLevel}: the prelude's helpers are inlined, and none is left`, async () => {
    const ir = await text(MODULE, { optLevel });
    assert.match(ir, /asm sideeffect "addq \$0, %rbp"/);
    assert.not.match(ir, /@charge|@load/);
  });
}

test('definitions and declarations carry the attributes that the runtime relies on', async () => {
  const ir = await text(MODULE, { passes: 'always-inline' });
  for (const name of ['f', 'other']) {
    const group = new RegExp(`@${name}\\(.*#(\\d+)`).exec(ir)?.[1];
    const attributes = new RegExp(`attributes #${group} = {(.*)}`).exec(ir)?.[1] ?? '';
    for (const attribute of ['"frame-pointer"="reserved"', '"no-realign-stack"', '"probe-stack"="inline-asm"', 'uwtable', '"no-builtins"', '"target-cpu"="x86-64-v3"']) {
      assert.ok(attributes.includes(attribute), `${name}: ${attribute}`);
    }
    assert.not.match(attributes, 'uwtable(sync)');
  }
});

test('every symbol is hidden but the descriptor', async () => {
  const ir = await text(MODULE);
  assert.match(ir, /define hidden .*@f\(/);
  assert.match(ir, /declare hidden .*@other\(/);
  assert.match(ir, /@table = hidden /);
  assert.match(ir, /@waot_module = (local_unnamed_addr )?constant/);
});

test('induction variables are not widened', async () => {
  const ir = await text(`
    define i32 @sum(ptr %base, i32 %n) {
    entry: br label %loop
    loop:
      %i = phi i32 [ 0, %entry ], [ %next, %loop ]
      %acc = phi i32 [ 0, %entry ], [ %more, %loop ]
      %wide = zext i32 %i to i64
      %p = getelementptr i8, ptr %base, i64 %wide
      %v = load volatile i32, ptr %p, align 1
      %more = add i32 %acc, %v
      %next = add nuw nsw i32 %i, 4
      %again = icmp ult i32 %next, %n
      br i1 %again, label %loop, label %done
    done: ret i32 %more
    }`, { passes: 'loop(indvars)' });
  assert.match(ir, /phi i32 \[ 0, %entry \], \[ %next/);
  assert.not.match(ir, /phi i64/);
});

test('objects, assembly, bitcode and IR come out, and bitcode goes in', async () => {
  const object = (await compile(Buffer.from(MODULE), { ...OPTIONS, emit: 'obj' })).output;
  assert.equal([...object.subarray(0, 4)], [0x7f, 0x45, 0x4c, 0x46]);
  assert.is(object.readUInt16LE(18), 62); // EM_X86_64
  assert.match(await text(MODULE, { emit: 'asm' }), /addq\s+\$5, %rbp/);
  const bitcode = (await compile(Buffer.from(MODULE), { ...OPTIONS, emit: 'bc' })).output;
  assert.is(bitcode.subarray(0, 2).toString(), 'BC');
  assert.match((await compile(bitcode, { ...OPTIONS, emit: 'asm' })).output.toString(), /addq\s+\$5, %rbp/);
});

test('the AArch64 row compiles, with its register reserved', async () => {
  const prelude = PRELUDE.replace('addq $0, %rbp', 'add x28, x28, $0').replace('"er"', '"r"');
  const options = { triple: 'aarch64-unknown-linux-gnu', cpu: 'generic', prelude };
  assert.match(await text(MODULE, { ...options, emit: 'asm' }), /add\s+x28, x28, x\d+/);
  assert.match(await text(MODULE, options), '"target-features"="+reserve-x28"');
});

test('equal input gives equal output, many at once', async () => {
  const outputs = await Promise.all(Array.from({ length: 16 }, async () => (await compile(Buffer.from(MODULE), { ...OPTIONS, optLevel: 2, emit: 'obj' })).output));
  for (const output of outputs) assert.ok(output.equals(outputs[0]));
});

test('the input may change as soon as compile has been called', async () => {
  const bytes = Buffer.from(MODULE);
  const promise = compile(bytes, OPTIONS);
  bytes.fill(0);
  assert.match((await promise).output.toString(), '@f(');
});

test('errors carry LLVM\'s words and leave the process alive', async () => {
  assert.match((await failure('define i32 @f( {')).message, 'expected type');
  assert.match((await failure('define i32 @f(i32 %x) { %y = add i32 %x, %z\n %z = add i32 1, 1\n ret i32 %y }')).message, 'does not dominate all uses');
  assert.match((await failure('define void @f() { call void asm sideeffect "bogus", ""()\n ret void }', { emit: 'obj' })).message, 'invalid instruction mnemonic');
  assert.match((await failure(MODULE, { passes: 'bogus' })).message, 'unknown pass name');
  assert.match((await failure(MODULE, { prelude: 'define broken' })).message, 'prelude');
  assert.match((await failure('define void @charge(i32 %x) { ret void }', { prelude: 'define void @charge(i64 %n) { ret void }' })).message, /symbol multiply defined/);
  assert.is((await failure(Buffer.concat([Buffer.from([0x42, 0x43, 0xc0, 0xde]), Buffer.from('garbage')]))).errors[0].kind, 'internal');
  assert.is((await failure(MODULE, { triple: 'riscv64-unknown-linux-gnu' })).errors[0].kind, 'unsupported');
  assert.match(await text(MODULE), '@f(');
});

test('CPU levels: what LLVM is told, and what the artifact requires', () => {
  assert.equal(resolveCpu('v2').required, ['sse3', 'ssse3', 'sse4.1', 'sse4.2', 'popcnt', 'cx16']);
  assert.is(resolveCpu('v3').cpu, 'x86-64-v3');
  assert.is(resolveCpu('v3').required.length, 14);
  assert.is(resolveCpu('v4').required.length, Object.keys(CpuFeature).length);
  assert.is(cpuFeatureBits(['sse3', 'popcnt', 'avx512vl']), (1n << 0n) | (1n << 4n) | (1n << 18n));
  const all = Object.keys(CpuFeature).map((name) => `+${name}`);
  assert.is(resolveCpuFrom('native', all.join(',')).cpu, 'x86-64-v4');
  const noFma = resolveCpuFrom('native', all.filter((name) => name !== '+fma').join(','));
  assert.is(noFma.cpu, 'x86-64-v2');
  assert.ok(noFma.features.split(',').includes('-fma') && noFma.features.split(',').includes('+avx2') && !noFma.required.includes('fma'));
  assert.equal(resolveCpuFrom('native', '+sse3,-avx').required, ['sse3']);
  assert.is(resolveCpuFrom('native', '+sse3,-avx').cpu, 'x86-64');
});

test('native asks for no more than the machine has', () => {
  const has = hostCpu().features.split(',');
  for (const name of resolveCpu('native').required) assert.ok(has.includes(`+${name}`), name);
});

test('the table of targets: its rows are found, another triple is refused', () => {
  for (const row of TARGETS) assert.is(findTarget(row.triple), row);
  assert.throws(() => findTarget('m68k-amiga'), /no target "m68k-amiga"/);
});

test.run();
