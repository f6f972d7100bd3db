import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import {
  checkoutVocabulary,
  concurrencyVocabulary,
  pipelineVocabulary,
  podVocabulary,
  sealedVocabulary,
  telegramVocabulary,
} from './language.ts';
import { parsePipeline } from './parse-pipeline.ts';
import { stepConditionVocabulary, stepVocabulary } from './step-language.ts';
import type { Key, Vocabulary } from './vocabulary.ts';

/** Checks docs/c3-yaml.md: its tables match language.ts, and its examples are correct. */
const document = readFileSync(join(import.meta.dirname, '../../docs/c3-yaml.md'), 'utf8');
const blocks = [...document.matchAll(/^```yaml c3( part)?\n(.*?)^```$/gms)].map(([, part, text = '']) => ({
  isPart: part !== undefined,
  text,
}));

test.each<[string, Vocabulary]>([
  ['the file', pipelineVocabulary],
  ['telegram', telegramVocabulary],
  ['a sealed value', sealedVocabulary],
  ['a step', stepVocabulary],
  ['when', stepConditionVocabulary],
  ['concurrency', concurrencyVocabulary],
  ['checkout', checkoutVocabulary],
  ['pod', podVocabulary],
])('the table of %s has each key, with its default and its text', (_what, vocabulary) => {
  const isTop = vocabulary === pipelineVocabulary;
  const rows = [...vocabulary.keys].map(([name, key]) =>
    formatRow(isTop ? `[\`${name}\`](#${name})` : `\`${name}\``, key),
  );
  expect(document).toContain(rows.join('\n'));
});

test.each([...pipelineVocabulary.keys.keys()])('%s has a section', (name) => {
  expect(document).toMatch(new RegExp(`^## ${name}$`, 'm'));
});

describe('the examples', () => {
  test('are all tested', () => {
    expect(
      [...document.matchAll(/^```(.*)$/gm)].filter(([, info]) => info !== '' && !info?.startsWith('yaml c3')),
    ).toEqual([]);
    expect(blocks.length).toBeGreaterThanOrEqual(8);
  });

  test.each(blocks)('are without problems: %#', ({ isPart, text }) => {
    expect(parsePipeline(isPart ? complete(text) : seal(text)).problems).toEqual([]);
  });
});

test.each(
  [
    pipelineVocabulary,
    telegramVocabulary,
    stepVocabulary,
    checkoutVocabulary,
    podVocabulary,
    concurrencyVocabulary,
  ].flatMap((vocabulary) =>
    [...vocabulary.keys]
      .filter(([, key]) => key.default !== undefined)
      .map(([name, key]) => [
        name,
        wrap(vocabulary, `{${name}: ${JSON.stringify(key.default)}}`),
        wrap(vocabulary, '{}'),
      ]),
  ),
)('%s means the same when its default is written out', (_name, written, left) => {
  const { pipeline, problems } = parsePipeline(complete(written ?? ''));
  expect(problems).toEqual([]);
  expect(pipeline).toEqual(parsePipeline(complete(left ?? '')).pipeline);
});

function formatRow(name: string, key: Key): string {
  const fallback = key.default === undefined ? '' : `\`${JSON.stringify(key.default).replaceAll('"', '')}\``;
  return `| ${name} | ${key.isRequired === true ? 'required' : fallback} | ${key.text} |`;
}

/** Puts a mapping where its vocabulary belongs. */
function wrap(vocabulary: Vocabulary, mapping: string): string {
  if (vocabulary === pipelineVocabulary) return `${mapping.slice(1, -1)}\n`;
  if (vocabulary === stepVocabulary) return `steps:\n- ${mapping.replace('{', '{git: ls, ').replace(', }', '}')}\n`;
  const [name] = [...pipelineVocabulary.keys].find(
    ([, { shape }]) => shape.kind === 'mapping' && shape.vocabulary === vocabulary,
  ) ?? [''];
  return `${name}: ${mapping}\n`;
}

/** Completes a part of a file. */
function complete(part: string): string {
  const containers = ['git', 'node', 'kube', 'env'].map(
    (name) => `    - {name: ${name}, image: x, volumeMounts: [{name: project, mountPath: /c3}]}`,
  );
  return [
    'k8s: aa.bb.cc.dd',
    'job:',
    '  apiVersion: v1',
    '  kind: Pod',
    '  metadata: {name: part}',
    '  spec:',
    '    volumes: [{name: project, emptyDir: {}}]',
    '    containers:',
    ...containers,
    ...(part.includes('steps:') ? [] : ['steps:', '- git: ls']),
    part,
  ].join('\n');
}

function seal(source: string): string {
  return source.replaceAll(/<[\w -]+>/g, 'aa.bb.cc.dd');
}
