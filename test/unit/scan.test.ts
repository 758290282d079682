/** The object scan notices whatever touches the fuel register, and lets charges and the synchronous check pass. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CompileError } from '../../compiler/diagnostics.js';
import { type MachineOptions, compile, resolveCpu } from '../../compiler/llvm/codegen.js';
import { scan, scanObject } from '../../compiler/scan.js';

const X64: MachineOptions = { triple: 'x86_64-unknown-linux-gnu', ...resolveCpu('v3') };
const ARM64: MachineOptions = { triple: 'aarch64-unknown-linux-gnu', cpu: 'generic', features: '' };

async function objectOf(ir: string, machine: MachineOptions): Promise<Buffer> {
  return (await compile(Buffer.from(ir), { ...machine, prelude: '', optLevel: 1, emit: 'obj' })).output;
}

/** An object whose function `f` is one piece of assembly. */
function assembly(text: string, machine: MachineOptions): Promise<Buffer> {
  return objectOf(`define void @f() { call void asm sideeffect "${text.split('$').join('$$')}", ""()\n ret void }`, machine);
}

async function judge(text: string, machine: MachineOptions): Promise<'charge' | 'read' | 'offence' | 'nothing'> {
  const report = await scan(await assembly(text, machine), machine);
  assert.is(report.functions, 1, text);
  if (report.offences.length > 0) return 'offence';
  return report.charges > 0 ? 'charge' : report.reads > 0 ? 'read' : 'nothing';
}

async function judgeAll(texts: readonly string[], machine: MachineOptions, expected: string): Promise<void> {
  for (const text of texts) assert.is(await judge(text, machine), expected, text);
}

test('x86-64: charges and reads pass', async () => {
  await judgeAll(['addq $5, %rbp', 'addq $200000, %rbp', 'addq %rax, %rbp', 'addq %r15, %rbp', 'leaq 7(%rbp), %rbp', 'leaq (%rbp,%rcx), %rbp', 'leaq -8(%rbp), %rbp'], X64, 'charge');
  await judgeAll(['movq %rbp, %rax', 'testq %rbp, %rbp', 'cmpq $0, %rbp'], X64, 'read');
  await judgeAll(['addq $5, %rbx', 'movq (%rsp), %rax', 'vaddpd %ymm0, %ymm1, %ymm2', 'ud1l 5(%eax), %eax'], X64, 'nothing');
});

test('x86-64: every other use is an offence', async () => {
  await judgeAll([
    'addq $-1, %rbp', 'addl $1, %ebp', 'addw $1, %bp', 'addb $1, %bpl', 'addq %rbp, %rbp', 'addq %rsp, %rbp', 'addq (%rax), %rbp', 'addq %rbp, %rax', 'addq $1, (%rbp)',
    'lock addq $1, (%rbp)', 'subq $1, %rbp', 'incq %rbp', 'decq %rbp', 'xorl %ebp, %ebp', 'movq $0, %rbp', 'movq %rax, %rbp', 'movq %rbp, (%rax)', 'movq (%rbp), %rax',
    'movq %rbp, %rsp', 'movb %bpl, %al', 'leaq -100000000(%rbp), %rbp', 'leaq -8(%rbp), %rsp', 'leaq -8(%rbp,%rax), %rbp', 'leaq 8(%rbp), %rax', 'leaq (%rbp,%rbp), %rbp', 'leaq (%rax,%rbp), %rbp', 'leaq (%rbp,%rax,2), %rbp',
    'leal 8(%rbp), %ebp', 'pushq %rbp', 'popq %rbp', 'xchgq %rbp, %rax', 'cmovneq %rax, %rbp', 'imulq $3, %rbp, %rbp', 'cmpq $1, %rbp', 'testl %ebp, %ebp',
    'vmovq %xmm0, %rbp', 'movsbq %bpl, %rax', 'bswapq %rbp', 'enter $16, $0', 'leave', 'callq *%rbp', 'jmpq *(%rax,%rbp,8)',
  ], X64, 'offence');
});

test('x86-64: bytes that are no instruction are an offence', async () => {
  const report = await scan(await assembly('.byte 0x06', X64), X64);
  assert.equal(report.offences.map((o) => ({ symbol: o.symbol, text: o.text, offset: o.offset })), [{ symbol: 'f', text: '(not an instruction)', offset: 0 }]);
  // The length of the next instruction is unknown, yet the scan goes on and sees what follows.
  const after = await scan(await assembly('.byte 0x06\\0Amovq $0, %rbp', X64), X64);
  assert.ok(after.offences.some((o) => o.text === 'movq $0, %rbp'));
});

test('x86-64: what takes the frame pointer silently is noticed', async () => {
  const silent = {
    'llvm.frameaddress': 'declare ptr @llvm.frameaddress.p0(i32)\ndefine ptr @f() { %p = call ptr @llvm.frameaddress.p0(i32 0)\n ret ptr %p }',
    'a dynamic alloca': 'declare void @g(ptr)\ndefine void @f(i64 %n) { %p = alloca i8, i64 %n\n call void @g(ptr %p)\n ret void }',
    'assembly that clobbers the stack pointer': 'define void @f() { call void asm sideeffect "", "~{rsp}"()\n ret void }',
    'a constraint that names the register': 'define i64 @f() { %r = call i64 asm sideeffect "movq $$1, $0", "={rbp}"()\n ret i64 %r }',
  };
  for (const [what, ir] of Object.entries(silent)) {
    const report = await scan(await objectOf(ir, X64), X64);
    assert.ok(report.offences.length > 0, what);
    assert.is(report.offences[0].symbol, 'f', what);
  }
});

test('an offence is an error that names function, offset and instruction', async () => {
  const object = await objectOf(`
    define void @clean() { ret void }
    define void @"func[7]"() { call void asm sideeffect "nop; nop; pushq %rbp; popq %rbp; pushq %rbp", ""()\n ret void }`, X64);
  try {
    await scanObject(object, X64);
    assert.unreachable();
  } catch (error) {
    assert.instance(error, CompileError);
    assert.is((error as CompileError).errors[0].kind, 'internal');
    assert.match((error as CompileError).message, 'func[7]+0x2: pushq %rbp (2 times)');
    assert.match((error as CompileError).message, 'func[7]+0x3: popq %rbp');
    assert.not.match((error as CompileError).message, 'clean');
  }
});

test('a report counts functions, instructions, charges', async () => {
  const object = await objectOf(`
    define void @a() { call void asm sideeffect "addq $$1, %rbp; addq $$1, %rbp; addq $$2, %rbp", ""()\n ret void }
    define void @b() { call void asm sideeffect "addq $$1, %rbp; testq %rbp, %rbp", ""()\n ret void }`, X64);
  const { functions, charges, reads, offences } = await scanObject(object, X64);
  assert.equal({ functions, charges, reads, offences }, { functions: 2, charges: 4, reads: 1, offences: [] });
});

test('AArch64: charges pass, the rest is an offence', async () => {
  await judgeAll(['add x28, x28, #5', 'add x28, x28, #1, lsl #12', 'add x28, x28, x3', 'sub x28, x28, #1'], ARM64, 'charge');
  await judgeAll(['mov x0, x28', 'cmp x28, #0'], ARM64, 'read');
  await judgeAll(['add x27, x27, #5', 'ldp x26, x27, [sp]', 'mov x2, #28'], ARM64, 'nothing');
  await judgeAll(['sub x28, x28, x3', 'subs x28, x28, #1', 'sub x28, x27, #1', 'add w28, w28, #1', 'add x28, x28, x28', 'mov x28, x0', 'ldp x27, x28, [sp]', 'str x28, [sp]', 'ldr x0, [x28]', 'add x0, x28, #1'], ARM64, 'offence');
  const report = await scan(await assembly('.inst 0xffffffff', ARM64), ARM64);
  assert.is(report.offences[0]?.text, '(not an instruction)');
});

test('damaged objects are refused, not misread', async () => {
  const object = await assembly('nop', X64);
  const refused = async (bytes: Uint8Array) => await scan(bytes, X64).then(() => false, (error) => error instanceof CompileError);
  assert.ok(await refused(new Uint8Array(0)));
  assert.ok(await refused(Buffer.from('not an object')));
  for (const length of [16, 63, 64, object.length - 1]) assert.ok(await refused(object.subarray(0, length)), `cut to ${length}`);
  const damaged = Buffer.from(object);
  damaged.writeBigUInt64LE(0xffff_ffff_ffff_fff8n, 40); // e_shoff
  assert.ok(await refused(damaged));
  for (let at = 0; at < object.length; at += 7) {
    const flipped = Buffer.from(object);
    flipped[at] ^= 0xff;
    await scan(flipped, X64).catch((error) => assert.instance(error, CompileError)); // whatever it says, it must not crash
  }
});

test.run();
