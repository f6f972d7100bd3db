import { Ajv } from 'ajv';

type Json = Record<string, unknown>;

/** The part of GitHub's API description that the tests use, as JSON Schema. */
export interface Excerpt {
  readonly about: string;
  /** For `GET /user` and other operations: the schema of each status; null if it has no JSON. */
  readonly operations: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly schemas: Readonly<Record<string, unknown>>;
}

/** What the description has and JSON Schema does not, and what only people read. */
const DROPPED: readonly string[] = [
  'deprecated',
  'description',
  'discriminator',
  'example',
  'examples',
  'externalDocs',
  'title',
  'x-github',
  'x-multi-segment',
];
const FORMATS: readonly unknown[] = ['date-time', 'uri'];

/** The schemas of errors that the description does not list for each operation. */
const ERRORS: Readonly<Record<string, string>> = { 422: 'validation-error' };
const OTHER_ERROR = 'basic-error';

/** Extracts what describes the answers of some operations (`GET /user`). */
export function extractOpenApi(description: Json, names: readonly string[]): Excerpt {
  const schemas: Record<string, unknown> = {};
  const components = description['components'] as Record<string, Record<string, unknown>>;

  function resolve(reference: string): unknown {
    const [kind = '', name = ''] = reference.split('/').slice(-2);
    if (kind !== 'schemas') return convert(components[kind]?.[name]);
    if (!(name in schemas)) {
      schemas[name] = undefined;
      schemas[name] = convert(components['schemas']?.[name]);
    }
    return { $ref: `#/schemas/${name}` };
  }

  /** `nullable` is not of JSON Schema. The names of properties are no keywords. */
  function convert(value: unknown, isMap = false): unknown {
    if (Array.isArray(value)) return value.map((item) => convert(item));
    if (typeof value !== 'object' || value === null) return value;
    const { $ref: reference, nullable, ...rest } = value as Json;
    if (typeof reference === 'string' && !isMap) return resolve(reference);
    if (isMap) return toMap(value as Json);
    const entries = Object.entries(rest)
      .filter(([key, part]) => !DROPPED.includes(key) && (key !== 'format' || FORMATS.includes(part)))
      .map(([key, part]) => [key, convert(part, key === 'properties')]);
    const schema = Object.fromEntries(entries) as Json;
    return nullable === true ? { anyOf: [schema, { type: 'null' }] } : schema;
  }
  const toMap = (value: Json): Json =>
    Object.fromEntries(Object.entries(value).map(([key, part]) => [key, convert(part)]));

  const paths = description['paths'] as Record<string, Record<string, { responses: Record<string, Json> }>>;
  const operations = names.toSorted().map((name) => {
    const [method = '', path = ''] = name.split(' ');
    const operation = paths[path]?.[method.toLowerCase()];
    if (operation === undefined) throw new Error(`GitHub does not describe ${name}`);
    const answers = Object.entries(operation.responses).map(([status, response]) => {
      const { content } = ('$ref' in response ? resolve(response['$ref'] as string) : convert(response)) as {
        content?: Record<string, { schema?: unknown }>;
      };
      return [status, content?.['application/json']?.schema ?? null];
    });
    return [name, Object.fromEntries(answers) as Json];
  });
  for (const name of [...Object.values(ERRORS), OTHER_ERROR]) resolve(`#/components/schemas/${name}`);
  const { version } = description['info'] as { version: string };
  const about = `An excerpt of @octokit/openapi ${version}: GitHub's description of its API, under the MIT licence`;
  return { about, operations: Object.fromEntries(operations) as Excerpt['operations'], schemas };
}

/** Returns what is wrong with an answer; undefined if it is as GitHub describes it. */
export type CheckAnswer = (operation: string, status: number, body: unknown) => string | undefined;

export function createAnswerCheck(excerpt: Excerpt): CheckAnswer {
  const ajv = createAjv();
  ajv.addSchema({ schemas: excerpt.schemas, operations: excerpt.operations }, 'github');
  return (operation, status, body) => {
    const answers = excerpt.operations[operation];
    if (answers === undefined) return `GitHub does not describe ${operation}`;
    const isKnown = String(status) in answers;
    if (!isKnown && status < 400) return `${operation} does not answer ${status}`;
    if (answers[status] === null) return body === undefined || body === '' ? undefined : 'it has a body';
    const pointer = [operation, String(status)].map((part) => part.replaceAll('/', '~1')).map(encodeURIComponent);
    const error = `schemas/${ERRORS[status] ?? OTHER_ERROR}`;
    const validate = ajv.getSchema(`github#/${isKnown ? `operations/${pointer.join('/')}` : error}`);
    return validate?.(body) === true ? undefined : ajv.errorsText(validate?.errors ?? null);
  };
}

/** Validates JSON with the formats of GitHub's descriptions. */
export function createAjv(): Ajv {
  const ajv = new Ajv({ strict: false, allErrors: true });
  ajv.addFormat('date-time', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d)$/);
  ajv.addFormat('uri', { validate: (text: string) => URL.canParse(text) });
  ajv.addFormat('uri-template', /^https?:\/\//);
  return ajv;
}
