import { CST } from 'yaml';

import { pipelineVocabulary, stepConditionVocabulary, stepVocabulary } from '../language.ts';
import type { ReadYaml } from './read-yaml.ts';
import { CONTROL_CHARACTERS, readYaml } from './read-yaml.ts';
import { findSights } from './sight.ts';

/** A line of c3.yaml without what may be a secret: an ellipsis stands for it. */
export interface SafeLine {
  readonly text: string;
  /** Where a column of the line is in `text`; both from 1. */
  toColumn(column: number): number;
}

/** A stretch of the text, in UTF-16 units from its start; `end` is exclusive. */
interface Stretch {
  readonly start: number;
  readonly end: number;
}

const HIDDEN = '…';

/** Nobody's secret, wherever they stand. */
const words: ReadonlySet<string> = new Set(
  [pipelineVocabulary, stepVocabulary, stepConditionVocabulary]
    .flatMap(({ keys }) => [...keys.keys()])
    .concat('apiVersion', 'kind', 'metadata', 'spec', 'containers', 'image', 'command', 'args'),
);

/** Where a colon is wrong, a value may be a part of what reads as a key. */
const KEY = /^(["']?)[\w./-]+\1$|^<<$/;

/** Lines of a text, by their number from 1, as they may be shown: what is not known to be harmless is not. See `sight.ts`. */
export function createSafeLines(source: string): (line: number) => SafeLine {
  const original = source.replace(/^\uFEFF/, '').replaceAll(CONTROL_CHARACTERS, '\uFFFD');
  const yaml = readYaml(original);
  const text = yaml?.text ?? original;
  const hidden = yaml === undefined ? [{ start: 0, end: text.length }] : findHidden(yaml);
  const starts = [0, ...[...text.matchAll(/\n/g)].map(({ index }) => index + 1)];
  return (line) => {
    const start = starts[line - 1];
    if (start === undefined) return { text: '', toColumn: () => 1 };
    const inserted = yaml?.repair?.insertedColumns.get(line) ?? 0;
    const end = (starts[line] ?? text.length + 1) - 1;
    return toSafeLine(text, { start: start + inserted, end: Math.max(start + inserted, end) }, hidden);
  };
}

/** What is neither a mark of YAML nor in sight, in order. */
function findHidden(yaml: ReadYaml): Stretch[] {
  const sightOf = findSights(yaml.document, yaml.text);
  return findWords(yaml).filter(({ start, isKey }) => {
    const sight = sightOf(start);
    return sight !== 'all' && !(sight === 'keys' && isKey);
  });
}

interface Word extends Stretch {
  readonly isKey: boolean;
}

interface Lexeme extends Stretch {
  readonly source: string;
  readonly kind: 'mark' | 'item' | 'property' | 'word' | 'space' | 'colon';
}

/** All that is no mark. Of a text that is not YAML a colon may be a part of a value, and so may be what stands before it. */
function findWords({ lexemes: sources, text, document }: ReadYaml): readonly Word[] {
  const lexemes = toLexemes(sources);
  // The stretches of a lexer that leaves out a character would be those of other words.
  if (lexemes.at(-1)?.end !== text.length) return [{ start: 0, end: text.length, isKey: false }];
  const isBroken = document.errors.length > 0;
  const commands = isBroken ? findCommands(lexemes) : undefined;
  const found: Word[] = [];
  for (const [index, lexeme] of lexemes.entries()) {
    const { kind, source, start, end } = lexeme;
    const isBeforeColon = kind === 'word' && !source.includes('\n') && nextOf(lexemes, index)?.kind === 'colon';
    const isBelieved = commands === undefined || words.has(unquote(source)) || commands.has(lexeme);
    const isKey = isBeforeColon && isBelieved && KEY.test(source);
    const isOtherColon = kind === 'colon' && isBroken && found.at(-1)?.isKey !== true;
    if (kind === 'word' || kind === 'property' || isOtherColon) found.push({ start, end, isKey });
  }
  return found;
}

/** Where a step begins with the name of a container: some `name` says it too. */
function findCommands(lexemes: readonly Lexeme[]): ReadonlySet<Lexeme> {
  const names = new Set<string>();
  const begins: Lexeme[] = [];
  for (const [index, { kind, source }] of lexemes.entries()) {
    const next = nextOf(lexemes, index);
    if (kind === 'item' && next?.kind === 'word') begins.push(next);
    if (kind === 'word' && unquote(source) === 'name' && next?.kind === 'colon') {
      const name = nextOf(lexemes, lexemes.indexOf(next, index));
      if (name?.kind === 'word') names.add(unquote(name.source));
    }
  }
  return new Set(begins.filter(({ source }) => names.has(unquote(source))));
}

function nextOf(lexemes: readonly Lexeme[], index: number): Lexeme | undefined {
  const next = lexemes[index + 1];
  return next?.kind === 'space' ? lexemes[index + 2] : next;
}

function unquote(source: string): string {
  return source.replace(/^(["'])(.*)\1$/s, '$2');
}

/** With their places; those of the lexer's own, which do not stand in the text, are left out. */
function toLexemes(sources: readonly string[]): Lexeme[] {
  const lexemes: Lexeme[] = [];
  let end = 0;
  let isScalar = false;
  for (const source of sources) {
    const isMarker = source === CST.SCALAR || source === CST.DOCUMENT || source === CST.FLOW_END;
    const kind = isScalar ? 'word' : toKind(source);
    if (!isMarker) lexemes.push({ source, kind, start: end, end: (end += source.length) });
    isScalar = source === CST.SCALAR;
  }
  return lexemes;
}

function toKind(source: string): Lexeme['kind'] {
  switch (CST.tokenType(source)) {
    case 'byte-order-mark':
    case 'newline':
    case 'explicit-key-ind':
    case 'flow-map-start':
    case 'flow-map-end':
    case 'flow-seq-start':
    case 'flow-seq-end':
    case 'comma':
    case 'doc-start':
    case 'doc-end':
      return 'mark';
    case 'seq-item-ind':
      return 'item';
    case 'space':
      return 'space';
    case 'map-value-ind':
      return 'colon';
    case 'block-scalar-header':
      return /^[|>][-+0-9]*$/.test(source) ? 'mark' : 'word';
    case 'directive-line':
      return /^%YAML +\d\.\d *$/.test(source) ? 'mark' : 'word';
    case 'anchor':
    case 'tag':
      return 'property';
    default:
      return 'word';
  }
}

function toSafeLine(text: string, line: Stretch, hidden: readonly Stretch[]): SafeLine {
  const gaps = findGaps(text, line, hidden);
  let shown = '';
  let at = line.start;
  for (const { start, end } of gaps) {
    shown += text.slice(at, start) + HIDDEN;
    at = end;
  }
  return {
    text: shown + text.slice(at, line.end),
    toColumn(column) {
      const offset = Math.min(line.start + column - 1, line.end);
      let removed = 0;
      for (const { start, end } of gaps) {
        if (offset < start) break;
        if (offset < end) return start - removed - line.start + 1;
        removed += end - start - HIDDEN.length;
      }
      return offset - removed - line.start + 1;
    },
  };
}

/** What is hidden in a line, without the blanks around it; neighbours as one. */
function findGaps(text: string, line: Stretch, hidden: readonly Stretch[]): readonly Stretch[] {
  const gaps: { readonly start: number; end: number }[] = [];
  for (const stretch of hidden) {
    if (stretch.end <= line.start || stretch.start >= line.end) continue;
    const from = Math.max(line.start, stretch.start);
    const piece = text.slice(from, Math.min(line.end, stretch.end));
    if (piece.trim() === '' || words.has(piece.trim())) continue;
    const start = from + piece.search(/\S/);
    const end = start + piece.trim().length;
    const before = gaps.at(-1);
    if (before !== undefined && text.slice(before.end, start).trim() === '') before.end = end;
    else gaps.push({ start, end });
  }
  return gaps;
}
