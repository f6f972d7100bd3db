import type { Document } from 'yaml';
import { LineCounter, parseDocument } from 'yaml';

export interface ComposedYaml {
  readonly text: string;
  readonly document: Document.Parsed;
  readonly lineCounter: LineCounter;
}

/**
 * Parses with the `yaml` library, made linear: `uniqueKeys` compares each key with each (15 s for 20,000 keys), so
 * duplicates are found in yaml-tree.ts; and each of up to 65,000 errors would capture a stack, six times the cost of
 * the rest, so none does while this runs. It is synchronous: nobody else's errors are touched.
 */
export function composeYaml(text: string): ComposedYaml {
  const lineCounter = new LineCounter();
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    const document = parseDocument(text, {
      lineCounter,
      uniqueKeys: false,
      stringKeys: true,
      prettyErrors: false,
      resolveKnownTags: false,
      // 'silent' would also silence the error about a second document.
      logLevel: 'error',
    });
    return { text, document, lineCounter };
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}
