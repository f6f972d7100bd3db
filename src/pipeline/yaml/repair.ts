import type { CST } from 'yaml';

import type { YamlTokens } from './compose-yaml.ts';
import { readYamlTokens } from './compose-yaml.ts';
import { findOption, isStepKey } from '../step-language.ts';
import type { Located } from '../problem-list.ts';

/** A c3.yaml with its under-indented scripts indented. The repair only inserts spaces at the start of lines. */
export interface Repair {
  /** The repaired text. */
  readonly tokens: YamlTokens;
  /** How many columns were inserted, by line from 1. */
  readonly insertedColumns: ReadonlyMap<number, number>;
  readonly scripts: readonly RepairedScript[];
}

interface RepairedScript {
  /** The container, or `run`. */
  readonly key: string;
  /** `|`, `>-`. */
  readonly style: string;
  /** The position of `style` in the repaired text. */
  readonly header: Located;
  /** The lines of the script, from 1, inclusive. */
  readonly firstLine: number;
  readonly lastLine: number;
  /** The line after it, if it reads as an option that a step does not have. */
  readonly doubtfulLine?: number;
}

/** The text must be deeper than its key. */
const insertion = '  ';

/**
 * Each pass repairs every script that it finds. A script that begins with a quote hides the next one from the parser.
 */
const MAX_PASSES = 8;

/** Limits the lexemes of all passes. An honest file needs two short passes. */
const MAX_LEXEMES_READ = 16_000;

/**
 * Repairs scripts under `container: |` that are indented as deep as their key, not deeper. This is invalid YAML, or
 * worse: an empty script and some keys. People write it, and its meaning is clear:
 *
 *     - clj: |
 *       make
 *
 * The parser's tokens show it: a step has an empty block scalar without an indentation digit, and the next line that
 * is not blank begins in the column of the key and does not read as an option. The script continues until a line that
 * is indented less or reads as an option, also as a misspelt one: as a part of the script, `whne: {branch: main}` would
 * have no effect, and the step would run on every branch.
 *
 * Returns undefined when there is nothing to repair. The caller uses a repair only when it is valid YAML.
 */
export function repairScripts(original: YamlTokens): Repair | undefined {
  let tokens: YamlTokens | undefined = original;
  let lexemesLeft = MAX_LEXEMES_READ;
  const lines = original.text.split('\n');
  const insertedColumns = new Map<number, number>();
  const found = new Map<number, Omit<RepairedScript, 'header'> & { readonly column: number }>();
  for (let pass = 0; pass < MAX_PASSES && tokens !== undefined && lexemesLeft > 0; pass++) {
    const countBefore = found.size;
    for (const { key, style, keyColumn, offset } of findEmptyScripts(tokens.tokens)) {
      const { line, col } = tokens.lineCounter.linePos(offset);
      const body = found.has(line) ? undefined : findBody(lines, line, keyColumn);
      if (body === undefined) continue;
      for (let index = body.first; index <= body.last; index++) {
        if (lines[index]?.trim() === '') continue;
        lines[index] = insertion + lines[index];
        insertedColumns.set(index + 1, insertion.length);
      }
      const { doubtful } = body;
      found.set(line, {
        key,
        style,
        column: col - 1,
        firstLine: body.first + 1,
        lastLine: body.last + 1,
        ...(doubtful === undefined ? {} : { doubtfulLine: doubtful + 1 }),
      });
    }
    if (found.size === countBefore) break;
    lexemesLeft -= tokens.lexemeCount;
    tokens = readYamlTokens(lines.join('\n'));
  }
  if (found.size === 0 || tokens === undefined) return undefined;
  const { lineStarts } = tokens.lineCounter;
  const scripts = [...found].map(([line, { column, ...script }]) => {
    const start = (lineStarts[line - 1] ?? 0) + column;
    return { ...script, header: { start, end: start + script.style.length } };
  });
  return { tokens, insertedColumns, scripts };
}

interface EmptyScript {
  readonly key: string;
  readonly style: string;
  /** From 0. */
  readonly keyColumn: number;
  /** The position of `style` in the text. */
  readonly offset: number;
}

function findEmptyScripts(tokens: readonly CST.Token[]): EmptyScript[] {
  const scripts: EmptyScript[] = [];
  for (const token of tokens) {
    if (token.type !== 'document' || token.value?.type !== 'block-map') continue;
    for (const item of token.value.items) {
      const key = toKey(item);
      if (key === 'steps' || key === 'finally') scripts.push(...findInSteps(item.value));
    }
  }
  return scripts;
}

function findInSteps(steps: CST.Token | undefined): EmptyScript[] {
  if (steps?.type !== 'block-seq') return [];
  return steps.items.flatMap((step) => (step.value?.type === 'block-map' ? findInStep(step.value) : []));
}

function findInStep(step: CST.BlockMap): EmptyScript[] {
  return step.items.flatMap((item) => {
    const key = toKey(item);
    if (key === 'parallel') return findInSteps(item.value);
    if (key === undefined || (key !== 'run' && isStepKey(key)) || step.indent === 0) return [];
    if (item.value?.type !== 'block-scalar' || item.value.source.trim() !== '') return [];
    const header = item.value.props.find((token) => token.type === 'block-scalar-header');
    if (header === undefined || !('source' in header) || /\d/.test(header.source)) return [];
    return [{ key, style: header.source, keyColumn: step.indent, offset: header.offset }];
  });
}

function toKey(item: CST.CollectionItem): string | undefined {
  return item.key?.type === 'scalar' ? item.key.source : undefined;
}

interface Body {
  readonly first: number;
  readonly last: number;
  readonly doubtful?: number;
}

/** Finds the indices of the first and the last line of the script that is not blank, after the line of its header. */
function findBody(lines: readonly string[], start: number, column: number): Body | undefined {
  let first: number | undefined;
  let last = start;
  let doubtful: number | undefined;
  for (let index = start; index < lines.length; index++) {
    const line = lines[index] ?? '';
    if (line.trim() === '') continue;
    const indent = line.search(/[^ ]/);
    if (indent < column) break;
    const option = indent === column ? findOption(line) : undefined;
    if (option !== undefined && !isStepKey(option)) doubtful = index;
    if (option !== undefined || (first === undefined && indent !== column)) break;
    first ??= index;
    last = index;
  }
  return first === undefined ? undefined : { first, last, ...(doubtful === undefined ? {} : { doubtful }) };
}
