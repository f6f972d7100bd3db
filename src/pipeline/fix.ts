import { MAX_PIPELINE_BYTES, parsePipeline } from './parse-pipeline.ts';
import { readYamlTokens } from './yaml/compose-yaml.ts';
import { repairScripts } from './yaml/repair.ts';

export interface Fix {
  readonly text: string;
  /** The scripts that were indented, with their first and last line, from 1. */
  readonly scripts: readonly { readonly key: string; readonly firstLine: number; readonly lastLine: number }[];
}

/**
 * Indents every script as deep as it is read, and keeps every other byte. Returns undefined when there is nothing to
 * repair, or when the result would still have an error. Sealed values do not count: no repair changes them.
 */
export function fixPipeline(source: string): Fix | undefined {
  if (new TextEncoder().encode(source).length > MAX_PIPELINE_BYTES) return undefined;
  const mark = source.startsWith('\uFEFF') ? '\uFEFF' : '';
  const tokens = readYamlTokens(source.slice(mark.length));
  const repair = tokens && repairScripts(tokens);
  if (repair === undefined) return undefined;
  const text = mark + repair.tokens.text;
  if (parsePipeline(text, { withoutSeals: true }).pipeline === undefined) return undefined;
  const scripts = repair.scripts.map(({ key, firstLine, lastLine }) => ({ key, firstLine, lastLine }));
  return { text, scripts };
}
