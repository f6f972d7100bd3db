import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { C3Error } from '../../errors.ts';
import type { ForgeEvent } from '../forge.ts';
import { parseEvent } from './event.ts';

const FIXTURES = new URL('../../../test/fixtures/gitlab/', import.meta.url);
const SHA = '6113728f27ae82c7b1a177c8d03f9e96e0adf246';
const ZERO = '0'.repeat(40);

function parse(name: string, payload: unknown): ForgeEvent {
  const bytes = Buffer.from(JSON.stringify(payload));
  const headers = { 'x-gitlab-event': name, 'content-type': 'application/json' };
  return parseEvent('gitlab.example.com', headers, { bytes, verified: true });
}

/** The event's kind, or the code of the fault. */
function outcome(parsing: () => ForgeEvent): string {
  try {
    return parsing().kind;
  } catch (error) {
    return error instanceof C3Error && error.message.length < 300 ? error.code : String(error);
  }
}

const read = (name: string): Record<string, unknown> =>
  JSON.parse(readFileSync(new URL(`${name}.json`, FIXTURES), 'utf8')) as Record<string, unknown>;

/** A golden payload of a merge request or a note with other attributes. */
function withAttributes(name: string, attributes: Readonly<Record<string, unknown>>): unknown {
  const payload = read(name);
  return { ...payload, object_attributes: { ...(payload['object_attributes'] as object), ...attributes } };
}

const EVENTS: readonly (readonly [prefix: string, event: string])[] = [
  ['pull-', 'Merge Request Hook'],
  ['comment', 'Note Hook'],
];
const goldens = readdirSync(FIXTURES)
  .filter((file) => !file.endsWith('.event.json'))
  .map((file) => file.replace(/\.json$/, ''));

// `C3_UPDATE_GOLDEN=1 npx vitest run src/forges` writes the expected events.
test.each(goldens)('%s.json becomes its event', (name) => {
  const payload = read(name);
  const golden = new URL(`${name}.event.json`, FIXTURES);
  const ofRef = payload['object_kind'] === 'tag_push' ? 'Tag Push Hook' : 'Push Hook';
  const [, kind = ofRef] = EVENTS.find(([prefix]) => name.startsWith(prefix)) ?? [];
  const event = parse(kind, payload);
  if (process.env['C3_UPDATE_GOLDEN'] === '1') {
    writeFileSync(golden, `${JSON.stringify(event, undefined, 2)}\n`);
  }
  expect(event).toEqual(JSON.parse(readFileSync(golden, 'utf8')));
});

test('the host comes from the forge, and no URL from the payload', () => {
  const payload = read('branch-push');
  const moved = JSON.stringify(payload).replaceAll('gitlab.example.com', 'evil.example');
  expect(parse('Push Hook', JSON.parse(moved))).toEqual(parse('Push Hook', payload));
});

test('a merge request of GitLab before 14 is a draft by its older name', () => {
  const draft = { draft: undefined, work_in_progress: true };
  expect(parse('Merge Request Hook', withAttributes('pull-opened', draft))).toMatchObject({
    build: { pull: { isDraft: true } },
  });
});

test.each(['System Hook', 'Pipeline Hook', 'Job Hook', 'Issue Hook', 'Confidential Note Hook', 'constructor'])(
  'the event %j is ignored',
  (name) => {
    expect(parse(name, { object_kind: 'other' })).toEqual({
      kind: 'ignored',
      scope: undefined,
      reason: `c3 ignores the event "${name}"`,
    });
  },
);

test('refuses a delivery without an event header', () => {
  const body = { bytes: Buffer.from('{}'), verified: true } as const;
  expect(() => parseEvent('gitlab.com', {}, body)).toThrow('The webhook has no X-Gitlab-Event header');
});

test.each([
  ['an upper-case commit', { after: SHA.toUpperCase() }, "not a commit's 40 or 64 lower-case hex digits"],
  ['a commit that is an option', { after: '--upload-pack=x' }, 'has "--upload-pack=x" in after'],
  ['a number for a commit', { after: 7 }, 'The webhook has no text in after'],
  ['a ref that is an option', { ref: 'refs/heads/-x' }, 'names the ref "refs/heads/-x", which is not a valid ref name'],
  ['a ref with dots', { ref: 'refs/heads/../../x' }, 'not a valid ref name'],
  ['a tag without its commit', { ref: 'refs/tags/v1', checkout_sha: 'x' }, 'has "x" in checkout_sha'],
  ['a commit before that is no sha', { before: 'HEAD~1' }, 'has "HEAD~1" in before'],
  ['no project', { project: undefined }, 'The webhook is a Push Hook but names no project'],
  ['a project with dots', { project: { path_with_namespace: '../shop' } }, 'not of the form OWNER/NAME'],
  ['a project without a group', { project: { path_with_namespace: 'shop' } }, 'not of the form OWNER/NAME'],
  ['a project with a suffix', { project: { path_with_namespace: 'a/b.git' } }, 'not of the form OWNER/NAME'],
])('refuses %s', (_, change, message) => {
  const parsing = (): ForgeEvent => parse('Push Hook', { ...read('branch-push'), ...change });
  expect(parsing).toThrow(message);
  expect(parsing).toThrow(expect.objectContaining({ code: 'PAYLOAD_INVALID' }));
});

test.each([
  ['no number', { iid: 'twelve' }, 'has no positive number in object_attributes.iid'],
  ['a source branch that is an option', { source_branch: '-x' }, 'has "-x" in object_attributes.source_branch'],
  ['a target branch with spaces', { target_branch: 'a b' }, 'has "a b" in object_attributes.target_branch'],
  ['a commit that is no sha', { last_commit: { id: 'HEAD' } }, 'has "HEAD" in object_attributes.last_commit.id'],
])('refuses a merge request with %s', (_, change, message) => {
  expect(() => parse('Merge Request Hook', withAttributes('pull-opened', change))).toThrow(message);
});

test.each([
  ['no text', { note: null }, 'has no text in object_attributes.note'],
  ['no id', { id: 0 }, 'has no positive number in object_attributes.id'],
  ['no time', { created_at: 'soon' }, 'has no time in object_attributes.created_at'],
])('refuses a comment with %s', (_, change, message) => {
  expect(() => parse('Note Hook', withAttributes('comment', change))).toThrow(message);
});

test.each([
  ['a ref that is neither branch nor tag', { ref: 'refs/notes/commits' }, 'neither a branch nor a tag'],
  ['a deletion', { after: ZERO, checkout_sha: null }, 'the ref was deleted'],
])('%s is ignored', (_, change, reason) => {
  expect(parse('Push Hook', { ...read('branch-push'), ...change })).toMatchObject({
    kind: 'ignored',
    reason: expect.stringContaining(reason) as string,
  });
});

test('any JSON is an event or is refused', () => {
  const odd = fc.oneof(fc.jsonValue(), fc.string({ unit: 'binary' }), fc.constant(SHA), fc.constant('refs/heads/main'));
  const names = ['Push Hook', 'Tag Push Hook', 'Merge Request Hook', 'Note Hook'];
  const attributes = fc.dictionary(
    fc.constantFrom('iid', 'action', 'last_commit', 'source_branch', 'target_branch', 'oldrev', 'note', 'id'),
    fc.oneof(odd, fc.constantFrom<unknown>('open', 'update', 12)),
  );
  const payload = fc.oneof(
    fc.jsonValue(),
    fc.record(
      {
        ref: odd,
        after: odd,
        before: odd,
        checkout_sha: odd,
        commits: odd,
        push_options: odd,
        user: odd,
        changes: odd,
        merge_request: fc.oneof(odd, fc.record({ iid: odd })),
        object_attributes: fc.oneof(odd, attributes),
        project: fc.oneof(odd, fc.record({ path_with_namespace: odd }), fc.constant({ path_with_namespace: 'a/b' })),
      },
      { requiredKeys: [] },
    ),
  );
  fc.assert(
    fc.property(fc.constantFrom(...names), payload, (name, value) => {
      expect(outcome(() => parse(name, value))).toMatch(/^(?:build|ignored|closed|comment|PAYLOAD_INVALID)$/);
    }),
  );
});
