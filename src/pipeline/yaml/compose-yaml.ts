import type { CST, Document, YAMLError } from 'yaml';
import { Composer, isCollection, isNode, isPair, Lexer, LineCounter, Parser, YAMLParseError } from 'yaml';
import type { Located, ProblemList } from '../problem-list.ts';

/** A text as tokens of the parser. The repair reads them, and a document is composed from them once. */
export interface YamlTokens {
  readonly text: string;
  readonly tokens: readonly CST.Token[];
  readonly lineCounter: LineCounter;
  /** The cost of all further work is proportional to this. */
  readonly lexemeCount: number;
}

export interface ComposedYaml extends Pick<YamlTokens, 'text' | 'lineCounter'> {
  readonly document: Document.Parsed;
}

/**
 * Limits the words and marks of YAML; a whole script is one word. Composing takes about 2 µs for each, and a file of
 * 64 KiB can have 100,000. A job with 50 containers has about this many.
 */
export const MAX_LEXEMES = 8_000;

/** Returns undefined when there are more than {@link MAX_LEXEMES}. */
export function readYamlTokens(text: string): YamlTokens | undefined {
  const lineCounter = new LineCounter();
  const lexemes: string[] = [];
  for (const lexeme of new Lexer().lex(text)) {
    lexemes.push(lexeme);
    if (lexemes.length > MAX_LEXEMES) return undefined;
  }
  const parser = new Parser(lineCounter.addNewLine);
  lineCounter.addNewLine(0);
  const tokens: CST.Token[] = [];
  for (const lexeme of lexemes) for (const token of parser.next(lexeme)) tokens.push(token);
  for (const token of parser.end()) tokens.push(token);
  return { text, tokens, lineCounter, lexemeCount: lexemes.length };
}

/**
 * Composes a document with the `yaml` library in linear time. `uniqueKeys` compares each key with every other (15 s
 * for 20,000 keys), so yaml-tree.ts finds duplicates instead. Thousands of errors would each capture a stack trace,
 * at six times the cost of the rest, so stack traces are off while this synchronous function runs.
 */
export function composeYaml({ text, tokens, lineCounter }: YamlTokens): ComposedYaml {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    const composer = new Composer({
      uniqueKeys: false,
      stringKeys: true,
      prettyErrors: false,
      resolveKnownTags: false,
      logLevel: 'error',
    });
    const documents = composer.compose(tokens, true, text.length);
    // With `forceDoc`, the composer returns a document even for an empty text.
    const document = documents.next().value as Document.Parsed;
    const second = documents.next().value;
    if (second !== undefined) {
      const [start, end] = second.range;
      document.errors.push(new YAMLParseError([start, end], 'MULTIPLE_DOCS', 'A second document'));
    }
    return { text, document, lineCounter };
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

/** One mistake causes many errors of the parser. Only the first of them help. */
const MAX_YAML_ERRORS = 10;

interface Explanation {
  readonly message: string;
  readonly hint?: string;
}

const quoteOrBlock = 'put the whole text in quotes, or on its own lines under "|"';
const indentation: Explanation = {
  message: 'this line is not indented like its neighbours',
  hint: 'give all items the same indentation; indent a script deeper than its key',
};
const anchorOrAlias: Explanation = {
  message: 'this anchor or alias is not valid',
  hint: 'a value that begins with "&" or "*" is an anchor or an alias in YAML: put it in quotes if it is text',
};
const tag: Explanation = {
  message: 'this tag is not valid',
  hint: 'a value that begins with "!" is a tag in YAML: put it in quotes if it is text',
};
const noColon: Explanation = {
  message: 'this line is neither "key: value" nor part of the text above',
  hint: 'write `key: value`, or indent the line deeper than the key of the text above',
};
const other: Explanation = { message: 'this is not valid YAML' };

/** By the parser's code. Its own sentences quote values, which can be secrets. */
const explanations: Partial<Record<YAMLError['code'], Explanation>> = {
  ALIAS_PROPS: anchorOrAlias,
  BAD_ALIAS: anchorOrAlias,
  MULTIPLE_ANCHORS: anchorOrAlias,
  MULTIPLE_TAGS: tag,
  TAG_RESOLVE_FAILED: tag,
  BAD_COLLECTION_TYPE: tag,
  BAD_DIRECTIVE: { message: 'this directive is unknown', hint: 'c3.yaml is YAML 1.2: remove the line' },
  BAD_DQ_ESCAPE: {
    message: 'this "\\" in double quotes does not begin an escape sequence',
    hint: 'write "\\\\", or use single quotes',
  },
  BAD_INDENT: indentation,
  BAD_SCALAR_START: { message: 'text cannot begin with this character', hint: 'put it in quotes' },
  BLOCK_AS_IMPLICIT_KEY: {
    message: 'this text contains ": ", or the next line is indented deeper than this key',
    hint: `for text, ${quoteOrBlock}; for a key, align it with this one`,
  },
  BLOCK_IN_FLOW: { message: 'a block cannot be inside brackets', hint: quoteOrBlock },
  KEY_OVER_1024_CHARS: { message: 'the key is longer than 1,024 characters' },
  MISSING_CHAR: noColon,
  MULTILINE_IMPLICIT_KEY: noColon,
  MULTIPLE_DOCS: { message: 'a second document begins here', hint: 'c3.yaml is one document: remove the "---"' },
  NON_STRING_KEY: { message: 'a key must be text', hint: 'not a list or a mapping' },
  RESOURCE_EXHAUSTION: { message: 'the file is nested too deep' },
  TAB_AS_INDENT: { message: 'the line is indented with a tab', hint: 'YAML is indented with spaces' },
  UNEXPECTED_TOKEN: {
    message: 'this text is not expected here',
    hint: `a value that begins with a quote or a bracket ends where that closes: ${quoteOrBlock}`,
  },
};

/** An error of the parser, in words for people who do not know the grammar of YAML. */
export interface YamlMistake extends Explanation {
  /** `UNCLOSED` is located at the quote or the bracket. */
  readonly code: YAMLError['code'] | 'UNCLOSED';
  readonly at: Located;
  readonly line: number;
}

/** Lists the first parser error of each line. */
export function listYamlMistakes(yaml: ComposedYaml, { lineOf }: Pick<ProblemList, 'lineOf'>): YamlMistake[] {
  const mistakes: YamlMistake[] = [];
  const lines = new Set<number>();
  let unclosed: readonly Located[] | undefined;
  for (const { code, pos } of yaml.document.errors) {
    const at = { start: pos[0], end: pos[1] };
    const line = lineOf(at);
    if (lines.has(line)) continue;
    if (lines.size === MAX_YAML_ERRORS) break;
    lines.add(line);
    if (code === 'MISSING_CHAR' || code === 'BAD_INDENT') {
      // The parser reports a quote or a bracket that is not closed at its end. The start helps more.
      unclosed ??= findUnclosed(yaml);
      const opener = unclosed.findLast(({ start, end }) => start < at.start && end >= at.start - 1);
      if (opener !== undefined) {
        const first = { start: opener.start, end: opener.start + 1 };
        const message = `the ${yaml.text.charAt(opener.start)} is not closed`;
        mistakes.push({ code: 'UNCLOSED', at: first, line: lineOf(first), message });
        continue;
      }
    }
    const lineStart = yaml.text.lastIndexOf('\n', at.start - 1) + 1;
    const isTab = /^ *\t/.test(yaml.text.slice(lineStart, at.start + 1));
    const shownCode = isTab ? 'TAB_AS_INDENT' : code;
    mistakes.push({ code: shownCode, at, line, ...(explanations[shownCode] ?? other) });
  }
  return mistakes;
}

const closers: Readonly<Record<string, string>> = { '"': '"', "'": "'", '[': ']', '{': '}' };

/**
 * Finds the values in quotes or brackets that are not closed, in order. The library's `visit` takes quadratic time.
 */
function findUnclosed({ document, text }: ComposedYaml): Located[] {
  const found: Located[] = [];
  const waiting: unknown[] = [document.contents];
  while (waiting.length > 0) {
    const node = waiting.pop();
    if (isPair(node)) waiting.push(node.value, node.key);
    if (!isNode(node)) continue;
    const [start = 0, end = 0] = node.range ?? [];
    const closer = closers[text.charAt(start)];
    if (closer !== undefined && (end - start < 2 || text.charAt(end - 1) !== closer)) found.push({ start, end });
    if (isCollection(node)) waiting.push(...node.items.toReversed());
  }
  return found;
}
