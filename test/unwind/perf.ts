/** perf's view of a Node process in wasm: `perf record --call-graph dwarf`, which takes the stack of each sample and unwinds it by the artifact's own tables. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { closeCompiler, compile } from '../loader/wat.js';
import { missingTools } from '../c/build.js';

const TIMEOUT_MS = 120_000;
/** Counted by the kernel's clock: hardware counters are rare in virtual machines. */
const EVENT = ['-e', 'cpu-clock:u'];

function perf(args: readonly string[]) {
  const { status, signal, stdout, stderr } = spawnSync('perf', args, { encoding: 'utf8', timeout: TIMEOUT_MS, maxBuffer: 1 << 28 });
  return { ok: status === 0, text: `${stdout}${stderr}`, end: String(signal ?? status) };
}

/** Why perf cannot record here; undefined when it can. */
export function whyNoPerf(): string | undefined {
  if (missingTools([['perf', 'linux-perf']])) return 'perf is not installed (Debian package linux-perf)';
  const { ok, text, end } = perf(['record', ...EVENT, '-o', '/dev/null', '--call-graph', 'dwarf', 'true']);
  return ok ? undefined : `perf cannot record here (${text.trim().split('\n').at(-1) || end}; kernel.perf_event_paranoid?)`;
}

/** Of the samples in wasm, how many there are, and how many show its functions by their names, the entry trampoline, and the addon below that. */
export interface Samples { readonly inWasm: number; readonly whole: number; readonly text: string }

/** Records a process that runs wasm for some hundred milliseconds, and reads its stacks. */
export async function recordByPerf(directory: string): Promise<Samples> {
  const path = await compile(`(module (func $hot_leaf (export "hot_leaf") (param $n i32) (result i32) (local $s i32)
      (loop $l (local.set $s (i32.rotl (i32.add (local.get $s) (local.get $n)) (i32.const 3))) (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1))))) (local.get $s))
    (func (export "hot_caller") (param i32) (result i32) (local $i i32) (loop $l (drop (call $hot_leaf (local.get 0))) (br_if $l (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 200)))) (local.get $i)))`, { optLevel: 0 });
  await closeCompiler();
  const script = `import(${JSON.stringify(new URL('../../loader/index.js', import.meta.url).href)}).then(({ load }) => { for (let i = 0; i < 5; i++) load(${JSON.stringify(path)}).instantiate().exports.hot_caller(300000); })`;
  const recorded = perf(['record', ...EVENT, '-F', '199', '-o', join(directory, 'perf.data'), '--call-graph', 'dwarf,8192', process.execPath, '-e', script]);
  if (!recorded.ok) return { inWasm: 0, whole: 0, text: recorded.text };
  const { text } = perf(['script', '--no-inline', '-i', join(directory, 'perf.data'), '-F', 'ip,sym']);
  const chains = text.split(/\n\s*\n/).filter((chain) => /hot_leaf/.test(chain));
  return { inWasm: chains.length, whole: chains.filter((chain) => /hot_leaf[\s\S]*hot_caller[\s\S]*waot_enter[\s\S]*call_export/.test(chain)).length, text };
}

/** Whether that is what perf should show: a sample may be taken in the middle of something that perf's copy of the stack does not reach. */
export const isGood = ({ inWasm, whole }: Samples): boolean => inWasm > 10 && whole > inWasm * 0.9;
