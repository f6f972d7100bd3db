import type { JsonValue } from './pipeline.ts';

/** A key of c3.yaml: the reader uses it to check a file, schema.ts for editors, docs/c3-yaml.md for its tables. */
export interface Key {
  readonly shape: Shape;
  /** What the key means: a clause without a full stop, code in backticks. */
  readonly text: string;
  readonly isRequired?: true;
  /** As a user would write it. */
  readonly default?: JsonValue;
  readonly examples?: readonly JsonValue[];
  /** What other CI systems call this key. A better hint than the most similar word. */
  readonly aliases?: readonly string[];
}

/** What a value can be. Selects its reader and its part of the schema. */
export type Shape =
  | { readonly kind: 'sealed' | 'boolean' | 'duration' | 'globs' | 'command' | 'pod' | 'stages' | 'steps' }
  | { readonly kind: 'text'; readonly pattern?: RegExp }
  | { readonly kind: 'integer'; readonly limits: IntegerLimits }
  /** One of the words. */
  | { readonly kind: 'word'; readonly words: readonly string[] }
  /** One of the words, or a list of them. */
  | { readonly kind: 'words'; readonly words: readonly string[] }
  | { readonly kind: 'variables'; readonly values: 'text' | 'sealed' }
  | { readonly kind: 'mapping'; readonly vocabulary: Vocabulary; readonly or?: 'false' | 'sealed' };

/** Inclusive. */
export interface IntegerLimits {
  readonly min: number;
  readonly max: number;
}

/** The keys that a mapping can have. */
export interface Vocabulary {
  readonly keys: ReadonlyMap<string, Key>;
  /** Keys of other CI systems that c3 has no key for, and what to do instead. */
  readonly foreign: ReadonlyMap<string, string>;
}

export function key(shape: Shape, text: string, more: Omit<Key, 'shape' | 'text'> = {}): Key {
  return { shape, text, ...more };
}

export function toVocabulary(keys: Record<string, Key>, foreign: Record<string, string> = {}): Vocabulary {
  return { keys: new Map(Object.entries(keys)), foreign: new Map(Object.entries(foreign)) };
}

/** Gives each of the words the same hint. */
export function forEach(words: readonly string[], hint: string): Record<string, string> {
  return Object.fromEntries(words.map((word) => [word, hint]));
}

/** Returns the key that another CI system spells like this. */
export function findAliased(word: string, vocabulary: Vocabulary): string | undefined {
  for (const [name, key] of vocabulary.keys) if (key.aliases?.includes(word) === true) return name;
  return undefined;
}
