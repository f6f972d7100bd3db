import type { YAMLError } from 'yaml';
import { isCollection, isNode, isPair } from 'yaml';

import type { ComposedYaml } from './compose-yaml.ts';
import type { Located, ProblemList } from '../problem-list.ts';
import { quote } from '../problem-list.ts';
import { trimEnd } from '../../trim-end.ts';

/** One mistake makes the parser stumble on: of a cascade only the beginning helps. */
const MAX_YAML_ERRORS = 10;

/** Of the library's messages, all of which are shorter but for what they quote. */
const MAX_SENTENCE_LENGTH = 200;

/** Far more than people put into one step, few enough to be looked through for every error. */
const MAX_LINES_BEFORE = 200;

/** Says the parser's errors in words for people who do not know YAML's grammar: the first in each line. */
export function reportYamlErrors(yaml: ComposedYaml, problems: ProblemList): void {
  const lines = new Set<number>();
  let openers: readonly Located[] | undefined;
  const source = { ...yaml, openers: () => (openers ??= findOpeners(yaml)) };
  for (const error of yaml.document.errors) {
    const at = { start: error.pos[0], end: error.pos[1] };
    const line = problems.lineOf(at);
    if (lines.has(line)) continue;
    if (lines.size === MAX_YAML_ERRORS) return;
    lines.add(line);
    const explain = explanations[error.code] ?? explainOther;
    const explanation = explain(error, at, source);
    problems.error(explanation.at ?? at, explanation.message, explanation.hint);
  }
}

interface Explanation {
  /** Where to point, when the parser noticed late. */
  at?: Located;
  message: string;
  hint?: string;
}

const tabIndent: Explanation = { message: 'the line is indented with a tab', hint: 'YAML is indented with spaces' };

const quoteOrBlock = 'put the whole text in quotes, or on its own lines under "|"';

interface ErrorSource extends ComposedYaml {
  /** Found when first asked for. */
  openers(): readonly Located[];
}

type Explain = (error: YAMLError, at: Located, source: ErrorSource) => Explanation;

/** By the parser's code; for the others its own sentence is good enough. */
const explanations: Partial<Record<YAMLError['code'], Explain>> = {
  BLOCK_AS_IMPLICIT_KEY: explainNested,
  TAB_AS_INDENT: () => tabIndent,
  MULTIPLE_DOCS: () => ({
    message: 'a second document begins here',
    hint: 'c3.yaml is one document: remove the "---"',
  }),
  MULTILINE_IMPLICIT_KEY: (_error, at, { text }) => explainMultilineKey(text, at),
  BAD_SCALAR_START: (_error, at, { text }) => ({
    message: `text cannot begin with ${quote(text.charAt(at.start))}`,
    hint: 'put it in quotes',
  }),
  // What the parser says of these three quotes them.
  BAD_DIRECTIVE: () => ({ message: 'this directive is not known', hint: 'c3.yaml is YAML 1.2: remove the line' }),
  BAD_DQ_ESCAPE: () => ({
    message: 'a "\\" in double quotes begins an escape sequence, and this is none',
    hint: 'write "\\\\", or use single quotes',
  }),
  TAG_RESOLVE_FAILED: () => ({
    message: 'this tag cannot be read',
    hint: 'a value that begins with "!" is a tag in YAML: put it in quotes if it is text',
  }),
  RESOURCE_EXHAUSTION: () => ({ message: 'the file is nested too deep' }),
  NON_STRING_KEY: () => ({ message: 'a key must be text', hint: 'not a list or a mapping' }),
  UNEXPECTED_TOKEN: explainUnexpected,
  MISSING_CHAR: explainIndent,
  BAD_INDENT: explainIndent,
};

/** `a: b: c`, or a line that is indented deeper than the one it should stand beside. */
function explainNested(_error: YAMLError, { start }: Located, { text }: ComposedYaml): Explanation {
  const lineBreak = text.indexOf('\n', start);
  const at = { start, end: lineBreak === -1 ? text.length : lineBreak };
  if (/:(?:\s|$)/.test(text.slice(at.start, at.end))) {
    return { at, message: 'this text contains ": ", which begins a mapping in YAML', hint: quoteOrBlock };
  }
  return {
    at,
    message: 'the next line is indented deeper, as if it belonged to this text',
    hint: 'align it with this key',
  };
}

/** The innermost value in quotes or brackets that goes on until `end`. */
function findUnclosed(openers: readonly Located[], end: number): Located | undefined {
  const found = openers.findLast((opener) => opener.start < end && opener.end >= end - 1);
  return found && { start: found.start, end: found.start + 1 };
}

/** The values in quotes or brackets, in their order. Not with the library's `visit`, whose cost grows with the depth. */
function findOpeners({ document, text }: ComposedYaml): Located[] {
  const openers: Located[] = [];
  const waiting: unknown[] = [document.contents];
  while (waiting.length > 0) {
    const node = waiting.pop();
    if (isPair(node)) waiting.push(node.value, node.key);
    if (!isNode(node)) continue;
    const [start, end] = node.range ?? [];
    if (start !== undefined && end !== undefined && '"\'[{'.includes(text.charAt(start))) openers.push({ start, end });
    if (isCollection(node)) waiting.push(...node.items.toReversed());
  }
  return openers;
}

/** A line without a colon where a key is due: nearly always the rest of a script that is not indented enough. */
function explainMultilineKey(text: string, at: Located): Explanation {
  const scalar = openScalarBefore(text, at.start);
  if (scalar === undefined) return { message: 'this line is neither "key: value" nor part of the text above' };
  return {
    message: `the text under ${quote(`${scalar}: |`)} ends here, because this line is indented less`,
    hint: `indent every line of the text deeper than "${scalar}"`,
  };
}

function explainUnexpected(error: YAMLError, at: Located, { text }: ComposedYaml): Explanation {
  const before = text.slice(text.lastIndexOf('\n', at.start - 1) + 1, at.start);
  if (error.message.endsWith('at node end')) {
    const opener = /(?:^|[:-] )\s*(["'[{])/.exec(before)?.[1];
    if (opener !== undefined) {
      return { message: `a value that begins with ${opener} ends where that closes`, hint: quoteOrBlock };
    }
  }
  return explainOther(error);
}

function explainIndent(error: YAMLError, at: Located, { text, openers }: ErrorSource): Explanation {
  const opener = / end with a |Missing closing/.test(error.message) ? findUnclosed(openers(), at.start) : undefined;
  if (opener !== undefined) return { at: opener, message: `the ${text.charAt(opener.start)} is not closed` };
  const lineStart = text.lastIndexOf('\n', at.start - 1) + 1;
  if (/^[ ]*\t/.test(text.slice(lineStart))) {
    return tabIndent;
  }
  if (error.message.startsWith('Implicit map keys')) return explainMultilineKey(text, at);
  if (error.message.startsWith('All mapping items') || error.message.startsWith('All sequence items')) {
    return { message: 'this line is indented unlike its neighbours', hint: 'give all items the same indentation' };
  }
  return explainOther(error);
}

/** The key of the nearest `key: |` above, when only its lines lie between. */
function openScalarBefore(text: string, offset: number): string | undefined {
  const lineStart = text.lastIndexOf('\n', offset - 1) + 1;
  const indent = offset - lineStart;
  for (const line of linesBefore(text, lineStart)) {
    const header = /^[ ]*(?:- +)?([\w.-]+):[ ]+[|>][-+0-9]*[ ]*\r?$/.exec(line);
    if (header !== null) return header[1];
    if (line.trim() !== '' && line.search(/\S/) < indent) return undefined;
  }
  return undefined;
}

/** The library's own sentence in this room's style, without what it quotes after a colon: that may be a secret. It quotes nowhere else, but for the codes above. */
function explainOther(error: YAMLError): Explanation {
  const sentence = error.message.slice(0, MAX_SENTENCE_LENGTH).split(/:\s|\n/, 1)[0] ?? '';
  return { message: sentence.charAt(0).toLowerCase() + trimEnd(sentence.slice(1), '.: ') };
}

/** The lines above a line's start, the nearest first. */
function linesBefore(text: string, lineStart: number): string[] {
  const lines: string[] = [];
  for (let end = lineStart - 1; end > 0 && lines.length < MAX_LINES_BEFORE;) {
    const start = text.lastIndexOf('\n', end - 1) + 1;
    lines.push(text.slice(start, end));
    end = start - 1;
  }
  return lines;
}
