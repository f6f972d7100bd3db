import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { C3Error } from '../../errors.ts';
import type { ForgeEvent } from '../forge.ts';
import { parseEvent } from './event.ts';

const FIXTURES = new URL('../../../test/fixtures/gitea/', import.meta.url);

function parse(name: string, payload: unknown, header = 'x-gitea-event'): ForgeEvent {
  const bytes = Buffer.from(JSON.stringify(payload));
  const headers = { [header]: name, 'content-type': 'application/json' };
  return parseEvent('git.example.com', headers, { bytes, verified: true });
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

const EVENTS: readonly (readonly [prefix: string, event: string])[] = [
  ['pull-', 'pull_request'],
  ['comment', 'issue_comment'],
];
const goldens = readdirSync(FIXTURES)
  .filter((file) => !file.endsWith('.event.json'))
  .map((file) => file.replace(/\.json$/, ''));

// `C3_UPDATE_GOLDEN=1 npx vitest run src/forges` writes the expected events.
test.each(goldens)('%s.json becomes its event', (name) => {
  const golden = new URL(`${name}.event.json`, FIXTURES);
  const [, kind = 'push'] = EVENTS.find(([prefix]) => name.startsWith(prefix)) ?? [];
  const event = parse(kind, read(name));
  if (process.env['C3_UPDATE_GOLDEN'] === '1') {
    writeFileSync(golden, `${JSON.stringify(event, undefined, 2)}\n`);
  }
  expect(event).toEqual(JSON.parse(readFileSync(golden, 'utf8')));
  expect(parse(kind, read(name), 'x-forgejo-event')).toEqual(event);
});

test('the host comes from the forge, and no URL from the payload', () => {
  const payload = read('branch-push');
  const moved = JSON.stringify(payload).replaceAll('git.example.com', 'evil.example');
  expect(parse('push', JSON.parse(moved))).toEqual(parse('push', payload));
});

test.each([
  'create',
  'delete',
  'fork',
  'issues',
  'repository',
  'release',
  'pull_request_approved',
  'package',
  'toString',
])('the event %s is ignored', (name) => {
  expect(parse(name, { repository: { full_name: 'a/b' } })).toMatchObject({ kind: 'ignored' });
});

test.each<[string, string, object]>([
  ['without a repository', 'push', { ref: 'refs/heads/main' }],
  ['of a repository in a group', 'push', { repository: { full_name: 'a/b/c' } }],
  ['without a ref', 'push', { repository: { full_name: 'a/b' } }],
  ['with a bad ref', 'push', { repository: { full_name: 'a/b' }, ref: 'refs/heads/-x', after: 'a'.repeat(40) }],
  ['with a bad commit', 'push', { repository: { full_name: 'a/b' }, ref: 'refs/heads/x', after: 'A' }],
  ['without a pull request', 'pull_request', { repository: { full_name: 'a/b' }, action: 'opened' }],
  ['without a comment', 'issue_comment', { repository: { full_name: 'a/b' }, action: 'created', is_pull: true }],
])('a delivery %s is invalid', (_, name, payload) => {
  expect(outcome(() => parse(name, payload))).toBe('PAYLOAD_INVALID');
});

test('any change of a payload is an event or one clear fault', () => {
  const paths = goldens.map(read);
  fc.assert(
    fc.property(fc.constantFrom(...paths), fc.jsonValue(), fc.nat(), (payload, value, index) => {
      const keys = Object.keys(payload);
      const changed = { ...payload, [keys[index % keys.length] ?? '']: value };
      for (const name of ['push', 'pull_request', 'issue_comment']) {
        expect(['build', 'ignored', 'ping', 'closed', 'comment', 'PAYLOAD_INVALID']).toContain(
          outcome(() => parse(name, changed)),
        );
      }
    }),
    { numRuns: 300 },
  );
});
