import type { CST, Document } from 'yaml';
import { Composer, Lexer, LineCounter, Parser, YAMLParseError } from 'yaml';

/** A text as the parser's tokens: what a repair looks at, and what a document is composed from, once. */
export interface YamlTokens {
  readonly text: string;
  readonly tokens: readonly CST.Token[];
  readonly lineCounter: LineCounter;
  /** Of the lexer: the text in pieces, among them marks of its own. What the rest of the work is proportional to. */
  readonly lexemes: readonly string[];
}

export interface ComposedYaml {
  readonly text: string;
  readonly document: Document.Parsed;
  readonly lineCounter: LineCounter;
}

/**
 * Words and marks of YAML, a whole script being one. Composing costs about 2 µs for each, and a file of 64 KiB has room
 * for 100,000. This many are a job of 50 containers.
 */
export const MAX_LEXEMES = 8_000;

/** Undefined when there are more than {@link MAX_LEXEMES}. */
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
  return { text, tokens, lineCounter, lexemes };
}

/**
 * Composes with the `yaml` library, made linear: `uniqueKeys` compares each key with each (15 s for 20,000 keys), so
 * duplicates are found in yaml-tree.ts; and each of thousands of errors would capture a stack, six times the cost of
 * the rest, so none does while this runs. It is synchronous: nobody else's errors are touched.
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
    // Forced to, the composer makes a document even of nothing.
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
