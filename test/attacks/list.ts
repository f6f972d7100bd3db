import { readdirSync, readFileSync } from 'node:fs';

/** The rows of the threat model and their subjects, worst first. */
const ROWS: Readonly<Record<string, string>> = {
  A1: 'Copied or changed ciphertext',
  A2: 'A forged push',
  A3: 'Forks, pull requests and shared Pods',
  A4: 'Spoofed and replayed webhooks',
  A5: 'Hostile kubeconfigs',
  A6: 'Tokens sent to another address',
  A7: 'Hostile jobs, and a c3 that was broken into',
  A8: 'Injection',
  A9: 'Secrets in what others read',
  A10: 'The checkout and its credential',
  A11: 'Active content in responses',
  A12: 'Exhaustion',
  A13: 'The keys of c3',
  A14: 'Links to builds',
};

export interface Attack {
  /** For example `A5`. */
  readonly row: string;
  readonly title: string;
  readonly file: string;
}

/**
 * Parses the tests of this folder: a title is the quoted text after `it(`, completed with the first cell of each row
 * of a table.
 */
export function listAttacks(): Attack[] {
  const folder = new URL('.', import.meta.url);
  const files = readdirSync(folder)
    .filter((name) => name.endsWith('.test.ts') && name !== 'list.test.ts')
    .sort();
  return files.flatMap((file) => parseTests(file, readFileSync(new URL(file, folder), 'utf8')));
}

/** Renders Markdown: a heading for each row, and for each file a list of its tests. */
export function renderAttacks(attacks: readonly Attack[]): string {
  return Object.entries(ROWS)
    .map(([row, about]) => `### ${row} ${about}\n\n${renderRow(attacks.filter((attack) => attack.row === row))}`)
    .join('\n');
}

function renderRow(attacks: readonly Attack[]): string {
  const files = [...new Set(attacks.map(({ file }) => file))];
  return files
    .map((file) => {
      const lines = attacks.filter((attack) => attack.file === file).map(({ title }) => `- ${escape(title)}\n`);
      return `In [${file}](../test/attacks/${file}):\n\n${lines.join('')}`;
    })
    .join('\n');
}

/** Escapes the Markdown in a title. */
function escape(title: string): string {
  return title.replaceAll(/[\\`*_<>[\]$]/g, String.raw`\$&`);
}

const QUOTED = /'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"/.source;
const TEST = new RegExp(String.raw`\b(describe|it)(\.each\(\[[\s\S]*?\]\))?\(\s*(${QUOTED})`, 'g');
const TABLE_ROW = new RegExp(String.raw`\[\s*(${QUOTED}),`, 'g');

function parseTests(file: string, source: string): Attack[] {
  let row = '';
  return [...source.matchAll(TEST)].flatMap(([, kind = '', table, quoted = '']) => {
    const title = unquote(quoted);
    if (kind === 'describe') {
      [row = ''] = title.split(' ');
      return [];
    }
    if (table === undefined) return [{ row, title, file }];
    const names = [...table.slice('.each(['.length, -2).matchAll(TABLE_ROW)].map(([, name = '']) => unquote(name));
    return names.map((name) => ({ row, title: title.replace('%s', name), file }));
  });
}

function unquote(text: string): string {
  return /^['"]/.test(text) ? text.slice(1, -1).replaceAll(/\\(.)/g, '$1') : text;
}
