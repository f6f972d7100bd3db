import { parseRef, toPullRef, type PullRequest, type Ref, type ReportedBuild } from '../build/index.ts';
import { C3Error } from '../errors.ts';
import { isJsonObject, parseJson, readString, type UnknownObject } from '../json.ts';
import { formatScope, parseScope, type Scope } from '../sealing/scope.ts';
import { isRefName, toCommitFacts, toPrintableLine } from './untrusted-text.ts';

/** The limit of a quotation from the payload in a message. */
const MAX_QUOTE_LENGTH = 80;

/**
 * Anywhere in the head commit's message.
 *
 * @see https://docs.github.com/en/actions/how-tos/manage-workflow-runs/skip-workflow-runs
 */
const SKIP_MARK = /\[(?:skip ci|ci skip|no ci|skip actions|actions skip)\]/i;

/** A trailer, in the last paragraph of the message. */
const SKIP_TRAILER = /^skip-checks:[ \t]*true$/i;

/**
 * More objects and arrays, or keys, block the event loop for a second (A12). A push of 2,048 commits has about 15,000
 * and 45,000.
 */
const MAX_BRACKETS = 200_000;
const MAX_KEYS = 200_000;

/** Each takes about 50 bytes of memory. 25 MB of paths, the most that GitHub sends, have half as many. */
const MAX_VALUES = 1_000_000;

/**
 * Parses the body of a webhook: an object in JSON, or in the field `payload` of a form.
 *
 * @throws {C3Error} PAYLOAD_INVALID, also for a payload that is larger than what forges send
 */
export function parsePayload(contentType: string, bytes: Uint8Array): UnknownObject {
  const text = toJsonText(contentType, bytes);
  const { brackets, keys, values } = countMarks(text);
  if (brackets > MAX_BRACKETS) throw invalid(`has more than ${MAX_BRACKETS} objects and arrays`);
  if (keys > MAX_KEYS) throw invalid(`has more than ${MAX_KEYS} keys`);
  if (values > MAX_VALUES) throw invalid(`has more than ${MAX_VALUES} values`);
  const json = parseJson(text);
  if (json === undefined) throw invalid('is not JSON');
  return requireObject(json, 'the payload');
}

/** Returns what in a commit's message says that it is not to be built; undefined if nothing does. */
export function findSkipMark(message: string): string | undefined {
  const [mark] = SKIP_MARK.exec(message) ?? [];
  if (mark !== undefined) return mark.toLowerCase();
  const lines = message.split('\n').map((line) => line.trim());
  const last = lines.findLastIndex((line) => line !== '');
  const blank = lines.lastIndexOf('', last);
  const trailers = blank === -1 ? [] : lines.slice(blank + 1, last + 1);
  return trailers.some((line) => SKIP_TRAILER.test(line)) ? 'skip-checks: true' : undefined;
}

interface Marks {
  brackets: number;
  keys: number;
  /** Values of arrays and objects after the first one. */
  values: number;
}

/** Counts the marks of a JSON text outside of its strings: paths can hold brackets, commas and colons. */
function countMarks(text: string): Marks {
  const marks: Marks = { brackets: 0, keys: 0, values: 0 };
  for (let at = 0; at < text.length; at++) {
    const character = text.charCodeAt(at);
    if (character === QUOTE) at = findStringEnd(text, at);
    else if (character === BRACKET || character === BRACE) marks.brackets += 1;
    else if (character === COLON) marks.keys += 1;
    else if (character === COMMA) marks.values += 1;
  }
  return marks;
}

const [QUOTE, BACKSLASH, BRACKET, BRACE, COLON, COMMA] = [0x22, 0x5c, 0x5b, 0x7b, 0x3a, 0x2c];

/** Returns the position of the quote that ends a string. Without one, that of the end of the text. */
function findStringEnd(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let first = end;
    while (text.charCodeAt(first - 1) === BACKSLASH) first -= 1;
    if ((end - first) % 2 === 0) return end;
  }
  return text.length;
}

/** GitHub's default content type is a form whose one field, `payload`, contains the JSON. */
function toJsonText(contentType: string, bytes: Uint8Array): string {
  const [mediaType = ''] = contentType.toLowerCase().split(';', 1);
  switch (mediaType.trim()) {
    case 'application/json':
      return toUtf8(bytes);
    case 'application/x-www-form-urlencoded':
      return toFormPayload(bytes);
    default:
      throw invalid(`has the content type ${quotePayload(contentType)}, not application/json`);
  }
}

const FORM_FIELD = 'payload=';
const PLUS = 0x2b;
const SPACE = 0x20;

/**
 * Reads the one field of the form. `URLSearchParams` takes minutes for two million fields, and `replaceAll` takes
 * seconds for a body of plus signs (A12).
 */
function toFormPayload(bytes: Uint8Array): string {
  const form = Buffer.from(bytes);
  if (!form.subarray(0, FORM_FIELD.length).equals(Buffer.from(FORM_FIELD)) || form.includes('&')) {
    throw invalid('is a form with other fields than the one field "payload"');
  }
  for (let at = form.indexOf(PLUS); at >= 0; at = form.indexOf(PLUS, at + 1)) form[at] = SPACE;
  const encoded = toUtf8(form.subarray(FORM_FIELD.length));
  try {
    return decodeURIComponent(encoded);
  } catch (error) {
    throw invalid('is a form whose field "payload" is not encoded as UTF-8', error);
  }
}

function toUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw invalid('is not UTF-8', error);
  }
}

/**
 * Returns the scope of a path that the payload names, `OWNER/NAME`.
 *
 * @throws {C3Error} PAYLOAD_INVALID
 */
export function requireScope(host: string, path: unknown, field: string): Scope {
  const fullName = requireText(path, field);
  const expected = `${host}/${fullName.toLowerCase()}`;
  const scope = tryParseScope(expected);
  // parseScope accepts spaces and `.git` from people. A forge never sends them.
  if (scope === undefined || formatScope(scope) !== expected) {
    throw invalid(`names the repository ${quotePayload(fullName)}, which is not of the form OWNER/NAME`);
  }
  return scope;
}

/** The branch or tag that a push changed, and the object that it points at now. */
export type PushedRef =
  | { readonly kind: 'pushed'; readonly ref: Ref; readonly after: string }
  | { readonly kind: 'ignored'; readonly reason: string };

/** Reads `ref` and `after` of a push. @throws {C3Error} PAYLOAD_INVALID */
export function readPushedRef(payload: UnknownObject): PushedRef {
  const fullRef = requireText(payload['ref'], 'ref');
  if (!isRefName(fullRef)) throw invalid(`names the ref ${quotePayload(fullRef)}, which is not a valid ref name`);
  const ref = parseRef(fullRef);
  if (ref === undefined) return { kind: 'ignored', reason: `${fullRef} is neither a branch nor a tag` };
  const after = requireSha(payload['after'], 'after');
  return /^0+$/.test(after) ? { kind: 'ignored', reason: DELETED } : { kind: 'pushed', ref, after };
}

export const DELETED = 'the ref was deleted';

/** What a payload says about a pull request. */
export interface ReportedPull extends PullRequest {
  readonly scope: Scope;
  readonly sha: string;
  /** Its head before a push to it. */
  readonly before: string | undefined;
  readonly title: string;
  readonly author: string;
}

/** Returns the build of a pull request. People recognize it by its title and its author. */
export function toPullBuild({ scope, sha, before, title, author, ...pull }: ReportedPull): ReportedBuild {
  const commit = toCommitFacts(title, [author]);
  return { scope, event: 'pull_request', ref: toPullRef(pull), pull, sha, before, commit };
}

/** @throws {C3Error} PAYLOAD_INVALID for a name that no branch can have */
export function requireBranch(value: unknown, field: string): string {
  const name = requireText(value, field);
  if (!isRefName(`refs/heads/${name}`)) throw invalid(`has ${quotePayload(name)} in ${field}, which is no branch`);
  return name;
}

/** @throws {C3Error} PAYLOAD_INVALID */
export function requireNumber(value: unknown, field: string): number {
  if (Number.isSafeInteger(value) && Number(value) > 0) return Number(value);
  throw invalid(`has no positive number in ${field}`);
}

/** Reads a time such as `2026-11-30T12:00:00Z`, in epoch milliseconds. @throws {C3Error} PAYLOAD_INVALID */
export function requireTime(value: unknown, field: string): number {
  const time = Date.parse(requireText(value, field));
  if (!Number.isNaN(time)) return time;
  throw invalid(`has no time in ${field}`);
}

/** Returns a commit; undefined for zeros, which stand for no commit, and for no value. */
export function toCommitBefore(value: unknown, field: string): string | undefined {
  if (value === undefined || value === null) return undefined;
  const sha = requireSha(value, field);
  return /^0+$/.test(sha) ? undefined : sha;
}

function tryParseScope(text: string): Scope | undefined {
  try {
    return parseScope(text);
  } catch {
    return undefined;
  }
}

export function requireSha(value: unknown, field: string): string {
  const text = requireText(value, field);
  // Only lower case, so that each commit has one spelling.
  if (!/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(text)) {
    throw invalid(`has ${quotePayload(text)} in ${field}, not a commit's 40 or 64 lower-case hex digits`);
  }
  return text;
}

export function requireText(value: unknown, field: string): string {
  const text = readString(value);
  if (text === undefined) throw invalid(`has no text in ${field}`);
  return text;
}

export function requireObject(value: unknown, field: string): UnknownObject {
  if (!isJsonObject(value)) throw invalid(`has no object in ${field}`);
  return value;
}

export function quotePayload(text: string): string {
  return `"${toPrintableLine(text, MAX_QUOTE_LENGTH)}"`;
}

export function invalid(what: string, cause?: unknown): C3Error {
  return new C3Error('PAYLOAD_INVALID', `The webhook ${what}`, { cause });
}
