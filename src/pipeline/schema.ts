import { MAX_GLOB_LENGTH } from './glob.ts';
import { pipelineVocabulary, SEALED_PATTERN, sealedVocabulary } from './language.ts';
import type { JsonObject } from './pipeline.ts';
import { LABEL_PATTERN, MAX_POD_NAME_LENGTH } from './read/read-job.ts';
import { MAX_PARALLEL, MAX_STEPS } from './read/read-steps.ts';
import { VARIABLE_PATTERN } from './read/read-variables.ts';
import { stepVocabulary } from './step-language.ts';
import type { Key, Shape, Vocabulary } from './vocabulary.ts';

/** The `!` of a negation does not count. */
const globPattern = `^(?:![\\s\\S]{1,${MAX_GLOB_LENGTH}}|[^!][\\s\\S]{0,${MAX_GLOB_LENGTH - 1}})$`;

/** Each keyword of a schema checks only values of its own type. */
const commandSchema: JsonObject = {
  type: ['string', 'array'],
  pattern: '\\S',
  items: [{ type: 'string', minLength: 1 }],
  additionalItems: { type: 'string' },
  minItems: 1,
};

/**
 * Allow another value in place of a mapping. Not with `anyOf`: editors would mention it at every mistake in the
 * mapping.
 */
const alternatives: Readonly<Record<'false' | 'sealed', JsonObject>> = {
  false: { type: ['object', 'boolean'], not: { const: true } },
  sealed: { type: ['object', 'string'], pattern: SEALED_PATTERN.source },
};

const labelSchema: JsonObject = { type: 'string', pattern: LABEL_PATTERN.source };

const containerSchema: JsonObject = toObjectSchema(
  {
    name: { ...labelSchema, description: 'the name that steps use for the container' },
    command: { type: 'array', items: { type: 'string' }, examples: [['sleep', '1000000']] },
    args: { type: 'array', items: { type: 'string' } },
  },
  ['name'],
);

/** Only what c3 itself needs. The cluster checks the rest. */
const podSchema: JsonObject = toObjectSchema(
  {
    apiVersion: { const: 'v1' },
    kind: { const: 'Pod' },
    metadata: toObjectSchema({ name: { ...labelSchema, maxLength: MAX_POD_NAME_LENGTH } }, ['name']),
    spec: toObjectSchema({ containers: { type: 'array', minItems: 1, items: containerSchema } }, ['containers']),
  },
  ['apiVersion', 'kind', 'metadata', 'spec'],
);

/**
 * c3.yaml as JSON Schema draft-07, which editors support best, made from language.ts. It accepts everything that the
 * reader accepts. What a schema cannot check, for example whether a container exists, is left to `c3 lint`.
 *
 * @see https://json-schema.org/draft-07
 */
export const pipelineSchema: JsonObject = {
  $schema: 'http://json-schema.org/draft-07/schema#',
  title: 'c3.yaml',
  description: 'Where a build of c3 runs, in which containers, and which commands',
  ...toMappingSchema(pipelineVocabulary),
  patternProperties: { '^x-': true },
  definitions: { step: toStepSchema(false), stage: toStepSchema(true) },
};

/** Formats the schema as in schema/c3.schema.json. */
export function formatSchema(): string {
  return `${JSON.stringify(pipelineSchema, null, 2)}\n`;
}

function toMappingSchema({ keys }: Vocabulary): JsonObject {
  const required = [...keys].filter(([, key]) => key.isRequired).map(([name]) => name);
  return { ...toObjectSchema(toProperties([...keys]), required), additionalProperties: false };
}

function toObjectSchema(properties: JsonObject, required: readonly string[]): JsonObject {
  return { type: 'object', properties, ...(required.length === 0 ? {} : { required }) };
}

function toProperties(keys: readonly (readonly [string, Key])[]): JsonObject {
  return Object.fromEntries(keys.map(([name, key]) => [name, toKeySchema(key)]));
}

function toKeySchema(key: Key): JsonObject {
  return {
    // Links lead to other parts of the documentation.
    description: key.text.replaceAll(/\[([^[\]]+)\]\([^)]+\)/g, '$1'),
    ...toShapeSchema(key.shape),
    ...(key.default === undefined ? {} : { default: key.default }),
    ...(key.examples === undefined ? {} : { examples: key.examples }),
  };
}

function toShapeSchema(shape: Shape): JsonObject {
  switch (shape.kind) {
    case 'sealed':
      return { ...toMappingSchema(sealedVocabulary), ...alternatives.sealed };
    case 'text':
      return { type: 'string', ...(shape.pattern === undefined ? {} : { pattern: shape.pattern.source }) };
    case 'boolean':
      return { type: 'boolean' };
    case 'integer':
      return { type: 'integer', minimum: shape.limits.min, maximum: shape.limits.max };
    case 'duration':
      return { type: 'string', pattern: '^(?=\\d)(?:\\d{1,6}h)?(?:\\d{1,6}m)?(?:\\d{1,6}s)?$' };
    case 'command':
      return commandSchema;
    case 'globs':
      return {
        type: ['string', 'array'],
        pattern: globPattern,
        items: { type: 'string', pattern: globPattern },
        minItems: 1,
      };
    case 'word':
      return { enum: shape.words };
    case 'words':
      return { anyOf: [{ enum: shape.words }, { type: 'array', items: { enum: shape.words }, minItems: 1 }] };
    case 'variables':
      return {
        type: 'object',
        propertyNames: { pattern: VARIABLE_PATTERN.source },
        additionalProperties: toShapeSchema({ kind: shape.values }),
      };
    case 'mapping':
      return { ...toMappingSchema(shape.vocabulary), ...(shape.or && alternatives[shape.or]) };
    case 'stages':
      return { type: 'array', items: { $ref: '#/definitions/stage' }, minItems: 1, maxItems: MAX_STEPS };
    case 'steps':
      return { type: 'array', items: { $ref: '#/definitions/step' }, minItems: 1, maxItems: MAX_PARALLEL };
    case 'pod':
      return podSchema;
  }
}

/**
 * A step, or a stage (a step or `parallel`). A key that is not an option is a container; the schema does not know
 * their names.
 */
function toStepSchema(isStage: boolean): JsonObject {
  const options = [...stepVocabulary.keys].filter(([name]) => name !== 'parallel');
  const parallel = stepVocabulary.keys.get('parallel');
  const onlyOptions = { propertyNames: { enum: [...stepVocabulary.keys.keys()] } };
  // oxlint-disable unicorn/no-thenable -- a keyword of JSON Schema
  const command: JsonObject = {
    if: { anyOf: [{ required: ['container'] }, { required: ['run'] }] },
    then: { required: ['container', 'run'], ...onlyOptions },
    else: { not: onlyOptions },
  };
  return {
    type: 'object',
    properties: {
      ...toProperties(options),
      parallel: isStage && parallel !== undefined ? toKeySchema(parallel) : false,
    },
    additionalProperties: commandSchema,
    ...(isStage ? { if: { required: ['parallel'] }, then: { maxProperties: 1 }, else: command } : command),
  };
}
