import { type EventKind, parseRef, toEventKind } from '../../build/index.ts';
import { C3Error } from '../../errors.ts';
import { isJsonObject, parseJson, readObject, readString, type UnknownObject } from '../../json.ts';
import { formatScope, parseScope, type Scope } from '../../sealing/scope.ts';
import type { Delivery, ForgeEvent, VerifiedBody } from '../forge.ts';
import { isRefName, MAX_AUTHOR_LENGTH, MAX_SUBJECT_LENGTH, toPrintableLine } from '../untrusted-text.ts';

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
 * Reads a delivery. An attacker can write any text in it, even if its signature is valid. So this function checks
 * each value that it returns, and uses no URL from the payload (A6, A8).
 *
 * @throws {C3Error} PAYLOAD_INVALID if GitHub would not send such a payload
 * @see https://docs.github.com/en/webhooks/webhook-events-and-payloads#push
 */
export function parseEvent(host: string, headers: Delivery['headers'], body: VerifiedBody): ForgeEvent {
  const name = headers['x-github-event'];
  if (name === undefined || name === '') throw invalid('has no X-GitHub-Event header');
  const text = toJsonText(headers['content-type'] ?? '', body.bytes);
  const { brackets, keys, values } = countMarks(text);
  if (brackets > MAX_BRACKETS) throw invalid(`has more than ${MAX_BRACKETS} objects and arrays`);
  if (keys > MAX_KEYS) throw invalid(`has more than ${MAX_KEYS} keys`);
  if (values > MAX_VALUES) throw invalid(`has more than ${MAX_VALUES} values`);
  const json = parseJson(text);
  if (json === undefined) throw invalid('is not JSON');
  const payload = requireObject(json, 'the payload');
  const scope = parseRepository(host, payload['repository']);
  if (name === 'ping') return { kind: 'ping', scope };
  if (name !== 'push') return { kind: 'ignored', scope, reason: `c3 ignores the event ${quotePayload(name)}` };
  if (scope === undefined) throw invalid('is a push but names no repository');
  return parsePush(scope, payload);
}

function parsePush(scope: Scope, payload: UnknownObject): ForgeEvent {
  const fullRef = requireText(payload['ref'], 'ref');
  if (!isRefName(fullRef)) throw invalid(`names the ref ${quotePayload(fullRef)}, which is not a valid ref name`);
  const ref = parseRef(fullRef);
  if (ref === undefined) return { kind: 'ignored', scope, reason: `${fullRef} is neither a branch nor a tag` };
  const after = requireSha(payload['after'], 'after');
  const isDeleted = payload['deleted'] === true || /^0+$/.test(after);
  if (isDeleted) return { kind: 'ignored', scope, reason: 'the ref was deleted' };
  const commit = isJsonObject(payload['head_commit']) ? payload['head_commit'] : undefined;
  const message = readString(commit?.['message']) ?? '';
  const event = toEventKind(ref);
  // A release commit often has a mark, so that its branch is not built again. But its tag must be built.
  const skipMark = event === 'tag' ? undefined : findSkipMark(message);
  if (skipMark !== undefined) return { kind: 'ignored', scope, reason: `the commit's message says ${skipMark}` };
  // For an annotated tag, `after` is the tag object. Only `head_commit` has the commit that the tag points at:
  // https://github.blog/changelog/2021-10-01-the-push-webhook-payload-provides-a-consistent-head_commit-on-tag-creation/
  const sha = event === 'tag' && commit !== undefined ? requireSha(commit['id'], 'head_commit.id') : after;
  const subject = toPrintableLine(message, MAX_SUBJECT_LENGTH);
  const author = toAuthor(commit?.['author']) || toAuthor(payload['pusher']);
  const before = toBefore(event, payload['before']);
  return { kind: 'build', scope, build: { scope, event, ref, sha, before, commit: { subject, author } } };
}

/** Returns undefined for a tag and for a new branch. GitHub writes the commit before a new branch as zeros. */
function toBefore(event: EventKind, value: unknown): string | undefined {
  if (event === 'tag' || value === undefined) return undefined;
  const before = requireSha(value, 'before');
  return /^0+$/.test(before) ? undefined : before;
}

function findSkipMark(message: string): string | undefined {
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

function parseRepository(host: string, repository: unknown): Scope | undefined {
  if (repository === undefined || repository === null) return undefined;
  const fullName = requireText(requireObject(repository, 'repository')['full_name'], 'repository.full_name');
  const expected = `${host}/${fullName.toLowerCase()}`;
  const scope = /^[^/]+\/[^/]+$/.test(fullName) ? tryParseScope(expected) : undefined;
  // parseScope accepts spaces and `.git` from people. A forge never sends them.
  if (scope === undefined || formatScope(scope) !== expected) {
    throw invalid(`names the repository ${quotePayload(fullName)}, which is not of the form OWNER/NAME`);
  }
  return scope;
}

function tryParseScope(text: string): Scope | undefined {
  try {
    return parseScope(text);
  } catch {
    return undefined;
  }
}

function toAuthor(value: unknown): string {
  const { name, username } = readObject(value);
  const names = [name, username].map((text) => toPrintableLine(readString(text) ?? '', MAX_AUTHOR_LENGTH));
  return names.find((text) => text !== '') ?? '';
}

function requireSha(value: unknown, field: string): string {
  const text = requireText(value, field);
  // Only lower case, so that each commit has one spelling.
  if (!/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(text)) {
    throw invalid(`has ${quotePayload(text)} in ${field}, not a commit's 40 or 64 lower-case hex digits`);
  }
  return text;
}

function requireText(value: unknown, field: string): string {
  const text = readString(value);
  if (text === undefined) throw invalid(`has no text in ${field}`);
  return text;
}

function requireObject(value: unknown, field: string): UnknownObject {
  if (!isJsonObject(value)) throw invalid(`has no object in ${field}`);
  return value;
}

function quotePayload(text: string): string {
  return `"${toPrintableLine(text, MAX_QUOTE_LENGTH)}"`;
}

function invalid(what: string, cause?: unknown): C3Error {
  return new C3Error('PAYLOAD_INVALID', `The webhook ${what}`, { cause });
}
