import type { ComposedYaml, YamlTokens } from './compose-yaml.ts';
import { composeYaml, readYamlTokens } from './compose-yaml.ts';
import type { Repair } from './repair.ts';
import { repairScripts } from './repair.ts';

/** A text as it is read: repaired, where that makes YAML of it. */
export interface ReadYaml extends ComposedYaml, Pick<YamlTokens, 'lexemes'> {
  readonly repair?: Repair;
}

/** Undefined when the text has more than `MAX_LEXEMES`. */
export function readYaml(text: string): ReadYaml | undefined {
  const tokens = readYamlTokens(text);
  if (tokens === undefined) return undefined;
  const repair = repairScripts(tokens);
  const repaired = repair && composeYaml(repair.tokens);
  if (repair !== undefined && repaired?.document.errors.length === 0) {
    return { ...repaired, lexemes: repair.tokens.lexemes, repair };
  }
  return { ...composeYaml(tokens), lexemes: tokens.lexemes };
}

/** Which c3.yaml may not contain; to the parser some of them are marks of the lexer's. */
// oxlint-disable-next-line no-control-regex -- finding control characters is the point
export const CONTROL_CHARACTERS: RegExp = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/g;
