/** What the programs of the tests and those of the benchmark both work on. */

/** SQL that makes a table of orders with an index. */
export const makeOrders = (rows: number): string => `
  CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT, amount REAL, day INTEGER);
  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows})
    INSERT INTO orders SELECT i, printf('customer %d', i * 7919 % 97), round(i * 31.7 % 1000, 2), i % 365 FROM n;
  CREATE INDEX by_customer ON orders (customer, day);`;

/** Queries of the orders: groups, texts, a join of days that lie `gap` apart, and JSON of what customers ordered for more than `amount`. */
export const queryOrders = (gap: number, amount: number): string[] => [
  'SELECT customer, count(*), round(sum(amount), 2) FROM orders GROUP BY customer ORDER BY 3 DESC, 1 LIMIT 5',
  "SELECT day, group_concat(id, '+') FROM orders WHERE customer LIKE '%42' AND day < 50 GROUP BY day ORDER BY day",
  `SELECT a.id, b.id FROM orders a JOIN orders b ON a.customer = b.customer AND b.day = a.day + ${gap} ORDER BY a.amount, a.id LIMIT 5`,
  `SELECT json_group_array(json_object('c', customer, 'n', n)) FROM (SELECT customer, count(*) n FROM orders WHERE amount > ${amount} GROUP BY 1 ORDER BY 1)`,
];

/** A source map of `lines` lines, an even number, in base64 VLQ. */
export function makeSourceMap(lines: number): object {
  // Each pair of lines: a mapping of one place a line, of one with a name (the second, then the third), and of another place.
  const pair = 'AACJ,IAAED,GAAE;AACJ,IAAEC,GAAE;';
  return { version: 3, file: 'out.js', sources: ['a.ts'], names: ['f', 'x', 'y'], mappings: `AAAA,SAASA,IAAI,CAACC,GAAG,EAAEC;${pair.repeat(lines / 2)}` };
}
