import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { Ajv } from 'ajv';
import { expect, test } from 'vitest';

import { composeYaml, readYamlTokens } from './yaml/compose-yaml.ts';
import { parsePipeline } from './parse-pipeline.ts';
import type { JsonObject, JsonValue } from './pipeline.ts';
import { createProblemList } from './problem-list.ts';
import { repairScripts } from './yaml/repair.ts';
import { formatSchema, pipelineSchema } from './schema.ts';
import { toJson, toTree } from './yaml-tree.ts';

const root = join(import.meta.dirname, '../..');
const corpus = join(root, 'test/fixtures/c3-yaml');
const validate = new Ajv({
  allErrors: true,
  strict: true,
  strictTuples: false,
  strictRequired: false,
  strictTypes: false,
}).compile(pipelineSchema);

/** What the reader checks and a schema cannot, by the messages. Every other error is about form. */
const semantic: Readonly<Record<string, RegExp>> = {
  'whether a container is there': /^the job has no container /,
  'whether two keys of a step are containers': /^a step runs in one container, and /,
  'whether a container mounts the revision': /^(?:container .*|this container) has no volume at /,
  'whether a volume is there': /^the job has no volume /,
  'whether names are alike': /has the name of another container$|^".*" is in both env and secrets$/,
  'how long a duration is': /must be longer than 0s and at most 168h$|^timeout is longer than pod\.max_age/,
  'whether a glob can be read and match': /^when\.\w+ has (?:an invalid glob|a glob that never matches)/,
  'how long all globs are together': /^the globs for branches and tags are longer /,
  'whether the glob of a ref can be read': /\.ref has an invalid glob/,
  'whether a ref has an effect': /^telegram\.ref has no effect /,
  'whether a condition has an effect': /^when\.\w+ has no effect: /,
  'how many steps there are, those within parallel counted': /^\w+ has more than 100 steps$/,
  'which text no program accepts': / contains a NUL character/,
};

/** Errors about YAML and not about a value: then there is no value that a schema could check. */
const yamlAlone =
  /^c3 does not know the tag|^this alias has no anchor|^the merge key|^merge keys|^the key .* is here twice$|^the key "__proto__"|nested deeper|aliases written out|%YAML|^JSON has no such number/;

const files = ['good', 'bad'].flatMap((folder) =>
  readdirSync(join(corpus, folder))
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => {
      const source = readFileSync(join(corpus, folder, name), 'utf8');
      const { pipeline, problems } = parsePipeline(source);
      const errors = problems.filter(({ severity }) => severity === 'error').map(({ message }) => message);
      return { name: `${folder}/${name}`, isRight: pipeline !== undefined, errors, value: toValue(source) };
    }),
);

test.each(files)('the schema and the reader agree about $name', ({ isRight, errors, value }) => {
  const isAsked = value !== undefined && !errors.some((message) => yamlAlone.test(message));
  const ofForm = errors.filter((message) => !isSemantic(message) && !isContainerToo(message, value ?? null));
  // The schema accepts all that the reader accepts, and refuses all whose form the reader refuses.
  let allowed = ['taken', 'refused'];
  if (isRight) allowed = ['taken'];
  else if (!isAsked) allowed = ['not asked'];
  else if (ofForm.length > 0) allowed = ['refused'];
  expect(allowed).toContain(isAsked ? (validate(value) ? 'taken' : 'refused') : 'not asked');
});

test.each(Object.entries(semantic))(
  'the schema does not check %s: it accepts a file that the reader refuses',
  (_what, pattern) => {
    const taken = files.filter(
      ({ value, errors }) => errors.some((message) => pattern.test(message)) && validate(value),
    );
    expect(taken.map(({ name }) => name)).not.toEqual([]);
  },
);

test('the corpus has at least 150 files', () => {
  expect(files.length).toBeGreaterThanOrEqual(150);
});

test('schema/c3.schema.json is current; UPDATE_GOLDEN=1 writes it anew', () => {
  const path = join(root, 'schema/c3.schema.json');
  if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(path, formatSchema());
  expect(existsSync(path)).toBe(true);
  expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual(JSON.parse(formatSchema()));
});

/**
 * Returns the value that a schema checks: repaired, with aliases and merge keys written out. Undefined when c3 cannot
 * read the YAML.
 */
function toValue(source: string): JsonValue | undefined {
  const tokens = readYamlTokens(source.replace(/^\uFEFF/, ''));
  // oxlint-disable-next-line no-control-regex -- what parsePipeline refuses
  if (tokens === undefined || /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/.test(source)) return undefined;
  const repair = repairScripts(tokens);
  const candidates = [...(repair === undefined ? [] : [composeYaml(repair.tokens)]), composeYaml(tokens)];
  const yaml = candidates.find(({ document }) => document.errors.length === 0);
  if (yaml === undefined) return undefined;
  const problems = createProblemList({ ...yaml, insertedColumns: new Map(), withoutSeals: false });
  return toJson(toTree(yaml.document, problems));
}

/**
 * Returns whether the message is about a key of a step that could be a container: the schema does not know the job.
 */
function isContainerToo(message: string, value: JsonValue): boolean {
  const key = /^unknown key "(.*)"$/.exec(message)?.[1];
  return (
    key !== undefined && findSteps(value).some((step) => !Object.hasOwn(step, 'container') && isCommand(step[key]))
  );
}

function findSteps(value: JsonValue): JsonObject[] {
  if (!isObject(value)) return [];
  return [value['steps'], value['finally'], value['parallel']].flatMap((list) =>
    Array.isArray(list) ? list.filter(isObject).flatMap((step) => [step, ...findSteps(step)]) : [],
  );
}

function isCommand(value: JsonValue | undefined): boolean {
  return Array.isArray(value) ? value.every((word) => typeof word === 'string') : typeof value === 'string';
}

function isSemantic(message: string): boolean {
  return Object.values(semantic).some((pattern) => pattern.test(message));
}

function isObject(value: JsonValue): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
