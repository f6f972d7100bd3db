import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatRef } from '../../build/index.ts';
import { C3Error } from '../../errors.ts';
import type { ForgeEvent } from '../forge.ts';
import { parseEvent } from './event.ts';

const FIXTURES = new URL('../../../test/fixtures/github/', import.meta.url);
const SHA = '6113728f27ae82c7b1a177c8d03f9e96e0adf246';

interface Example {
  readonly name: string;
  readonly examples: readonly Record<string, unknown>[];
}

// The package's own import of JSON lacks the attribute that Node requires.
const all = createRequire(import.meta.url)('@octokit/webhooks-examples') as readonly Example[];
const examplesOf = (name: string): readonly Record<string, unknown>[] =>
  all.find((example) => example.name === name)?.examples ?? [];

function parse(name: string, payload: unknown): ForgeEvent {
  const bytes = Buffer.from(JSON.stringify(payload));
  return parseEvent(
    'github.com',
    { 'x-github-event': name, 'content-type': 'application/json' },
    { bytes, verified: true },
  );
}

function parseText(text: string | Uint8Array, contentType = 'application/json'): ForgeEvent {
  const headers = { 'x-github-event': 'push', 'content-type': contentType };
  return parseEvent('github.com', headers, { bytes: Buffer.from(text), verified: true });
}

/** The event's kind, or the code of the fault. */
function outcome(parsing: () => ForgeEvent): string {
  try {
    return parsing().kind;
  } catch (error) {
    return error instanceof C3Error && error.message.length < 300 ? error.code : String(error);
  }
}

const push = {
  ref: 'refs/heads/main',
  after: SHA,
  deleted: false,
  head_commit: { id: SHA, message: 'Fix it\n\nand more', author: { name: 'Ada', username: 'ada' } },
  repository: { full_name: 'Acme/Shop', clone_url: 'https://evil.example/acme/shop.git' },
  pusher: { name: 'bob' },
};

test.each([
  ['Fix it [skip ci]', '[skip ci]'],
  ['[CI SKIP] wip', '[ci skip]'],
  ['Fix it\n\nlong story\n[Skip CI]\n', '[skip ci]'],
  ['Fix it [no ci]', '[no ci]'],
  ['[skip actions] Fix it', '[skip actions]'],
  ['Fix it [actions skip]', '[actions skip]'],
  ['Fix it\n\n\nskip-checks: true', 'skip-checks: true'],
  ['Fix it\r\n\r\nWhy\r\n\r\nSkip-Checks:true\r\nSigned-off-by: A <a@b.c>\r\n', 'skip-checks: true'],
])('a commit whose message is %j is ignored', (message, mark) => {
  const event = parse('push', { ...push, head_commit: { ...push.head_commit, message } });
  expect(event).toMatchObject({ kind: 'ignored', reason: `the commit's message says ${mark}` });
});

test.each(['v1.2.3 [skip ci]', 'v1.2.3\n\nskip-checks: true'])('a tag on the commit %j is built', (message) => {
  const change = { ref: 'refs/tags/v1.2.3', head_commit: { ...push.head_commit, message } };
  expect(parse('push', { ...push, ...change })).toMatchObject({ kind: 'build', build: { event: 'tag' } });
});

test.each([
  'skip-checks: true',
  'Fix it\n\nskip-checks: true is what I want\n',
  'Fix it\n\nskip-checks: false',
  'Fix it\n\nskip-checks: true\n\nmore',
])('a commit whose message is %j is built', (message) => {
  expect(parse('push', { ...push, head_commit: { ...push.head_commit, message } }).kind).toBe('build');
});

test.each([
  ['90 commits with 2,500 paths each', 90, 2_500, 'pages/[id]/{a,b}'],
  ['25 MB of paths', 45, 9_000, `${'directory/'.repeat(5)}[a]"`],
])('a push of %s is built', (_what, count, paths, path) => {
  const added = Array.from({ length: paths }, (_, index) => `${path}${index}`);
  const commits = Array.from({ length: count }, () => ({ ...push.head_commit, added }));
  expect(parse('push', { ...push, commits }).kind).toBe('build');
});

test('a commit whose message mentions skipping without a mark is a push', () => {
  const event = parse('push', {
    ...push,
    head_commit: { ...push.head_commit, message: 'Document [skip-ci]; skip ci' },
  });
  expect(event.kind).toBe('build');
});

test.each([
  ['a push to an existing branch', {}, 'b'.repeat(40), 'b'.repeat(40)],
  ['a push that creates a branch', {}, '0'.repeat(40), undefined],
  ['a tag', { ref: 'refs/tags/v1' }, 'b'.repeat(40), undefined],
])('%s has the commit before, if there is one', (_, change, before, expected) => {
  const event = parse('push', { ...push, ...change, before });
  expect(event.kind === 'build' && event.build.before).toBe(expected);
});

test('refuses a commit before that is not a sha', () => {
  expect(outcome(() => parse('push', { ...push, before: 'HEAD~1' }))).toBe('PAYLOAD_INVALID');
});

describe('the real payloads', () => {
  test('every ping is a ping', () => {
    expect(examplesOf('ping').map((payload) => parse('ping', payload))).toEqual([
      ...Array.from({ length: 3 }, () => ({
        kind: 'ping',
        scope: { host: 'github.com', owner: 'octocoders', name: 'hello-world' },
      })),
      { kind: 'ping', scope: undefined },
    ]);
  });

  test('every push is a push or a deletion', () => {
    const events = examplesOf('push').map((payload) => parse('push', payload));
    expect(
      events.map((event) =>
        event.kind === 'build' ? formatRef(event.build.ref) : event.kind === 'ignored' && event.reason,
      ),
    ).toEqual([
      'refs/tags/simple-tag',
      'the ref was deleted',
      'the ref was deleted',
      'the ref was deleted',
      'refs/heads/master',
      'refs/heads/master',
      'the ref was deleted',
    ]);
  });

  test('a pull request is built, closed or ignored, by its action', () => {
    const events = examplesOf('pull_request').map((payload) => {
      const event = parse('pull_request', payload);
      return [String(payload['action']), event.kind === 'build' ? event.build.event : event.kind];
    });
    const built = ['opened', 'synchronize', 'reopened', 'ready_for_review'];
    for (const [action, kind] of events) {
      expect(kind).toBe(built.includes(action ?? '') ? 'pull_request' : action === 'closed' ? 'closed' : 'ignored');
    }
    expect(new Set(events.map(([action]) => action)).size).toBeGreaterThan(10);
  });

  test('a comment on an issue that is no pull request is ignored', () => {
    const events = examplesOf('issue_comment').map((payload) => parse('issue_comment', payload));
    expect(events.map(({ kind }) => kind)).toEqual(events.map(() => 'ignored'));
    expect(events.length).toBeGreaterThan(5);
  });

  const known = ['push', 'ping', 'pull_request', 'issue_comment'];
  const others = all.filter(({ name }) => !known.includes(name));
  test.each(others.map(({ name, examples }) => ({ name, examples })))(
    'every $name is ignored',
    ({ name, examples }) => {
      for (const payload of examples) {
        expect(parse(name, payload)).toMatchObject({
          kind: 'ignored',
          reason: `c3 ignores the event "${name}"`,
        });
      }
      expect(examples.length).toBeGreaterThan(0);
    },
  );
});

const EVENTS: readonly (readonly [prefix: string, event: string])[] = [
  ['pull-', 'pull_request'],
  ['comment', 'issue_comment'],
];
const goldens = readdirSync(FIXTURES)
  .filter((file) => !file.endsWith('.event.json'))
  .map((file) => file.replace(/\.json$/, ''));

test.each(['toString', 'constructor', '__proto__'])(
  'the event %s, which is a name of JavaScript, is ignored',
  (name) => {
    expect(parse(name, { repository: { full_name: 'a/b' } })).toMatchObject({ kind: 'ignored' });
  },
);

// `C3_UPDATE_GOLDEN=1 npx vitest run src/forges` writes the expected events.
test.each(goldens)('%s.json becomes its event', (name) => {
  const payload: unknown = JSON.parse(readFileSync(new URL(`${name}.json`, FIXTURES), 'utf8'));
  const golden = new URL(`${name}.event.json`, FIXTURES);
  const [, kind = 'push'] = EVENTS.find(([prefix]) => name.startsWith(prefix)) ?? [];
  const event = parse(kind, payload);
  if (process.env['C3_UPDATE_GOLDEN'] === '1') {
    writeFileSync(golden, `${JSON.stringify(event, undefined, 2)}\n`);
  }
  expect(event).toEqual(JSON.parse(readFileSync(golden, 'utf8')));
});

test('the host comes from the forge, and no URL from the payload', () => {
  expect(parse('push', push)).toEqual({
    kind: 'build',
    scope: { host: 'github.com', owner: 'acme', name: 'shop' },
    build: {
      scope: { host: 'github.com', owner: 'acme', name: 'shop' },
      event: 'push',
      ref: { kind: 'branch', name: 'main' },
      sha: SHA,
      before: undefined,
      commit: { subject: 'Fix it', author: 'Ada' },
    },
  });
});

test("a form that contains the JSON, GitHub's default, is the same event", () => {
  const form = new URLSearchParams({ payload: JSON.stringify(push) }).toString();
  expect(parseText(form, 'application/x-www-form-urlencoded')).toEqual(parse('push', push));
});

test('a form is decoded with its spaces and signs', () => {
  const message = 'a + b & c = 100 % \u00e9';
  const form = new URLSearchParams({ payload: JSON.stringify({ ...push, head_commit: { message } }) }).toString();
  expect(parseText(form, 'application/x-www-form-urlencoded')).toMatchObject({
    build: { commit: { subject: message } },
  });
});

test('a message that is not a string counts as empty, even if it is deeply nested', () => {
  const deep = JSON.stringify({ ...push, head_commit: { message: 0 } }).replace(
    '"message":0',
    `"message":${'['.repeat(62)}${']'.repeat(62)}`,
  );
  expect(parseText(deep, 'application/json')).toMatchObject({ build: { commit: { subject: '' } } });
});

test.each(['{},', '[[],'])('a payload of millions of %j is refused before it is parsed', (piece) => {
  const text = JSON.stringify({ ...push, extra: 0 }).replace('"extra":0', `"extra":[${piece.repeat(300_000)}0]`);
  expect(() => parseText(text)).toThrow('The webhook has more than 200000 objects and arrays');
});

test('the pusher replaces a missing author', () => {
  expect(parse('push', { ...push, head_commit: null })).toMatchObject({
    build: { commit: { subject: '', author: 'bob' }, sha: SHA },
  });
});

test('a ref that is neither branch nor tag is ignored', () => {
  expect(parse('push', { ...push, ref: 'refs/notes/commits' })).toMatchObject({
    kind: 'ignored',
    reason: 'refs/notes/commits is neither a branch nor a tag',
  });
});

test('a push to the zero commit is a deletion, even if "deleted" is false', () => {
  expect(parse('push', { ...push, after: '0'.repeat(40) })).toMatchObject({
    kind: 'ignored',
    reason: 'the ref was deleted',
  });
});

test.each([
  ['an upper-case commit', { after: SHA.toUpperCase() }, "not a commit's 40 or 64 lower-case hex digits"],
  ['a short commit', { after: SHA.slice(0, 12) }, 'in after'],
  ['a commit that is an option', { after: '--upload-pack=x' }, 'has "--upload-pack=x" in after'],
  ['a number for a commit', { after: 7 }, 'The webhook has no text in after'],
  ['a bad tag commit', { ref: 'refs/tags/v1', head_commit: { id: 'x' } }, 'in head_commit.id'],
  ['a ref that is an option', { ref: 'refs/heads/-x' }, 'names the ref "refs/heads/-x", which is not a valid ref name'],
  ['a ref with dots', { ref: 'refs/heads/../../x' }, 'not a valid ref name'],
  ['no ref', { ref: undefined }, 'has no text in ref'],
  ['no repository', { repository: undefined }, 'The webhook is a push but names no repository'],
  ['a repository with dots', { repository: { full_name: '../shop' } }, 'not of the form OWNER/NAME'],
  ['a repository with three parts', { repository: { full_name: 'a/b/c' } }, 'not of the form OWNER/NAME'],
  ['a repository with a suffix', { repository: { full_name: 'a/b.git' } }, 'not of the form OWNER/NAME'],
  ['a repository with spaces', { repository: { full_name: 'a/b ' } }, 'not of the form OWNER/NAME'],
  ['a repository that is a list', { repository: [] }, 'has no object in repository'],
])('refuses %s', (_, change, message) => {
  const parsing = (): ForgeEvent => parse('push', { ...push, ...change });
  expect(parsing).toThrow(message);
  expect(parsing).toThrow(expect.objectContaining({ code: 'PAYLOAD_INVALID' }));
});

test.each([
  ['incomplete JSON', '{"ref":', 'application/json', 'The webhook is not JSON'],
  ['a list', '[]', 'application/json', 'has no object in the payload'],
  ['bytes that are not UTF-8', Buffer.from([0x7b, 0xff, 0x7d]), 'application/json', 'The webhook is not UTF-8'],
  ['deep nesting', '['.repeat(1_000_000), 'application/json', 'more than 200000 objects and arrays'],
  ['a list of many values', `[${'{},'.repeat(370_000)}{}]`, 'application/json', 'more than 200000 objects and arrays'],
  ['many keys', `{${'"a":0,'.repeat(200_001)}"a":0}`, 'application/json', 'more than 200000 keys'],
  ['many values', `[${'0,'.repeat(1_000_001)}0]`, 'application/json', 'more than 1000000 values'],
  ['a string that does not end', `{"ref": "${'\\\\'.repeat(100_000)}\\"`, 'application/json', 'is not JSON'],
  ['a form without payload', 'a=b', 'application/x-www-form-urlencoded', 'other fields than the one field "payload"'],
  ['a form with more', 'payload={}&a=b', 'application/x-www-form-urlencoded', 'other fields than the one field'],
  [
    'a form of separators',
    '&'.repeat(5_000_000),
    'application/x-www-form-urlencoded',
    'other fields than the one field',
  ],
  [
    'a form with an incomplete character',
    'payload=%c3',
    'application/x-www-form-urlencoded',
    'is not encoded as UTF-8',
  ],
  ['a form that ends in an escape', 'payload=%7', 'application/x-www-form-urlencoded', 'is not encoded as UTF-8'],
  ['XML', '<a/>', 'text/xml', 'has the content type "text/xml", not application/json'],
])('refuses %s', (_, text, contentType, message) => {
  expect(() => parseText(text, contentType)).toThrow(message);
});

test.each([
  [2_048, 50, 'src/some/file.ts'],
  [90, 2_500, 'a/file.ts'],
])('accepts a push of %d commits that each changed %d files', (commits, files, path) => {
  const commit = { ...push.head_commit, added: [], removed: [], modified: Array<string>(files).fill(path) };
  expect(parse('push', { ...push, commits: Array.from({ length: commits }, () => commit) })).toEqual(
    parse('push', push),
  );
});

test('refuses a delivery without an event header', () => {
  const body = { bytes: Buffer.from('{}'), verified: true } as const;
  expect(() => parseEvent('github.com', {}, body)).toThrow('The webhook has no X-GitHub-Event header');
});

test('any JSON is an event or is refused', () => {
  const odd = fc.oneof(fc.jsonValue(), fc.string({ unit: 'binary' }), fc.constant(SHA), fc.constant('refs/heads/main'));
  const payload = fc.oneof(
    fc.jsonValue(),
    fc.record(
      {
        ref: odd,
        after: odd,
        deleted: odd,
        head_commit: odd,
        repository: fc.oneof(odd, fc.record({ full_name: odd })),
        pusher: odd,
      },
      { requiredKeys: [] },
    ),
  );
  fc.assert(
    fc.property(payload, (value) => {
      expect(outcome(() => parse('push', value))).toMatch(/^(?:build|ignored|PAYLOAD_INVALID)$/);
    }),
  );
});
