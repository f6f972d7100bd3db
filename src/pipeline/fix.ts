import { readYamlTokens } from './yaml/compose-yaml.ts';
import { MAX_PIPELINE_BYTES, parsePipeline } from './parse-pipeline.ts';
import { repairScripts } from './yaml/repair.ts';

/** What was changed: the scripts that were indented. */
export interface Fix {
  readonly text: string;
  /** First and last line of each, from 1. */
  readonly scripts: readonly { readonly key: string; readonly firstLine: number; readonly lastLine: number }[];
}

/**
 * The file with every script indented as deeply as it is read, and every other byte as it was. Undefined when there is nothing to
 * repair, or when the result would still have an error (sealed values aside: no repair touches them).
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
