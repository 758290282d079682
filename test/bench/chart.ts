/** The results as a picture: for each kernel, the time of each engine relative to our metered code, on a logarithmic scale. */
import type { EngineName } from './engines.js';
import type { Results } from './report.js';
import { geomean } from './statistics.js';

interface Series { readonly name: EngineName; readonly label: string; readonly colour: string }

/** Engines that are drawn, when they were measured. The colours are distinguishable by colour-blind readers (Okabe and Ito's palette). */
const SERIES: readonly Series[] = [
  { name: 'unmetered', label: 'wasm-aot, not metered', colour: '#000000' },
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

/** An SVG document: a row a kernel, a dot an engine, right of the line at 1 where the engine is slower than our metered code. */
export function drawChart({ milliseconds }: Results): string {
  const relative = Object.entries(milliseconds).map(([kernel, times]) => ({
    kernel,
    values: new Map(SERIES.flatMap(({ name }) => (times[name] === undefined || !times.metered ? [] : [[name, times[name] / times.metered] as const]))),
  }));
  const series = SERIES.filter(({ name }) => relative.every(({ values }) => values.has(name)));
  const mean = { kernel: 'geometric mean', values: new Map(series.map(({ name }) => [name, geomean(relative.map(({ values }) => values.get(name) as number))])) };
  const rows = [...relative, mean];

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
  const dots = rows.flatMap(({ kernel, values }, row) => {
    const y = TOP + row * ROW + ROW / 2;
    const name = `<text x="${LEFT - 8}" y="${y + 4}" text-anchor="end"${row === rows.length - 1 ? ' font-weight="bold"' : ''}>${kernel}</text>`;
    return [name, ...series.map((s) => `<circle cx="${x(values.get(s.name) as number)}" cy="${y}" r="4" fill="${s.colour}" fill-opacity="0.8"/>`)];
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${LEFT + WIDTH + 20}" height="${bottom + 30}" font-family="sans-serif" font-size="11">`,
    '<rect width="100%" height="100%" fill="#fff"/>',
    `<text x="${LEFT}" y="16" font-size="13">CPU time relative to wasm-aot, metered (1; right is slower)</text>`,
    ...legend, ...grid, ...dots, '</svg>', '',
  ].join('\n');
}
