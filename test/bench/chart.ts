/** The results as a picture: for each kernel and each program, the time of each engine relative to our metered code, on a logarithmic scale. */
import type { EngineName } from './engines.js';
import type { Results } from './report.js';
import { geomean } from './statistics.js';

interface Series { readonly name: EngineName; readonly label: string; readonly colour: string }

/** Engines that are drawn, when they were measured. The colours are distinguishable by colour-blind readers (Okabe and Ito's palette). */
const SERIES: readonly Series[] = [
  { name: 'unmetered', label: 'wasm-aot, not metered', colour: '#000000' },
  { name: 'plain', label: 'and without exact traps', colour: '#56b4e9' },
  { name: 'native', label: 'native clang -O3', colour: '#009e73' },
  { name: 'v8', label: 'V8, not metered', colour: '#0072b2' },
  { name: 'v8-injected', label: 'V8, metering injected', colour: '#d55e00' },
  { name: 'wasmtime-fuel', label: 'wasmtime with fuel', colour: '#cc79a7' },
  { name: 'wasm2c', label: 'wasm2c + clang', colour: '#e69f00' },
];
const ROW = 18;
const LEFT = 130;
const WIDTH = 620;
const TOP = 70;
const TICKS = [0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4, 6, 8];

/** Times relative to the metered code's, by engine. */
interface Row { readonly name: string; readonly values: ReadonlyMap<EngineName, number>; readonly bold: boolean }

/** The rows of some workloads, and of their mean; of the engines that ran all of them. */
function makeRows(names: readonly string[], mean: string, milliseconds: Results['milliseconds']): Row[] {
  const times = names.map((name) => milliseconds[name]).filter((row) => row.metered);
  const engines = SERIES.map(({ name }) => name).filter((engine) => times.length > 0 && times.every((row) => row[engine] !== undefined));
  const relative = (row: Partial<Record<EngineName, number>>, engine: EngineName) => (row[engine] as number) / (row.metered as number);
  if (engines.length === 0) return [];
  return [
    ...names.filter((name) => milliseconds[name].metered).map((name) => ({ name, values: new Map(engines.map((engine) => [engine, relative(milliseconds[name], engine)])), bold: false })),
    { name: mean, values: new Map(engines.map((engine) => [engine, geomean(times.map((row) => relative(row, engine)))])), bold: true },
  ];
}

/** An SVG document: a row a kernel or program, a dot an engine, right of the line at 1 where the engine is slower than our metered code. */
export function drawChart({ kernels, programs, milliseconds }: Results): string {
  const rows = [...makeRows(Object.keys(kernels), 'mean of kernels', milliseconds), ...makeRows(Object.keys(programs), 'mean of programs', milliseconds)];
  const series = SERIES.filter(({ name }) => rows.some(({ values }) => values.has(name)));

  const all = rows.flatMap(({ values }) => [...values.values()]);
  const [low, high] = [Math.min(0.9, ...all) / 1.05, Math.max(1.1, ...all) * 1.05];
  const x = (ratio: number) => (LEFT + (Math.log(ratio / low) / Math.log(high / low)) * WIDTH).toFixed(1);
  const bottom = TOP + rows.length * ROW;
  const grid = TICKS.filter((tick) => tick > low && tick < high).flatMap((tick) => [
    `<line x1="${x(tick)}" y1="${TOP}" x2="${x(tick)}" y2="${bottom}" stroke="${tick === 1 ? '#555' : '#ddd'}"/>`,
    `<text x="${x(tick)}" y="${bottom + 14}" text-anchor="middle">${tick}</text>`,
  ]);
  const legend = series.map(({ label, colour }, i) => {
    const [left, top] = [LEFT + (i % 3) * 205, 34 + Math.floor(i / 3) * 16];
    return `<circle cx="${left}" cy="${top}" r="4" fill="${colour}"/><text x="${left + 8}" y="${top + 4}">${label}</text>`;
  });
  const dots = rows.flatMap(({ name, values, bold }, row) => {
    const y = TOP + row * ROW + ROW / 2;
    const label = `<text x="${LEFT - 8}" y="${y + 4}" text-anchor="end"${bold ? ' font-weight="bold"' : ''}>${name}</text>`;
    const drawn = series.filter((s) => values.has(s.name));
    return [label, ...drawn.map((s) => `<circle cx="${x(values.get(s.name) as number)}" cy="${y}" r="4" fill="${s.colour}" fill-opacity="0.8"/>`)];
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${LEFT + WIDTH + 20}" height="${bottom + 30}" font-family="sans-serif" font-size="11">`,
    '<rect width="100%" height="100%" fill="#fff"/>',
    `<text x="${LEFT}" y="16" font-size="13">CPU time relative to wasm-aot, metered (1; right is slower)</text>`,
    ...legend, ...grid, ...dots, '</svg>', '',
  ].join('\n');
}
