import type { CST, Document } from 'yaml';
import { Composer, Lexer, LineCounter, Parser, YAMLParseError } from 'yaml';

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
