import { createHmac } from 'node:crypto';
import { createRequire } from 'node:module';
import * as fc from 'fast-check';
import { type CommitStatus, findBuildStatus, findOutcome, formatRef } from '../../src/build/index.ts';
import { githubDialect } from '../../src/forges/github/api.ts';
import { changedPaths, readCommit, readFile } from '../../src/forges/github/commits.ts';
import { parseEvent } from '../../src/forges/github/event.ts';
import { proofCalls } from '../../src/forges/github/prove.ts';
import { listStatuses, setStatus } from '../../src/forges/github/statuses.ts';
import { verifyDelivery } from '../../src/forges/github/verify.ts';
import type { HttpResponse } from '../../src/forges/http-client.ts';
import { createRestApi, type RestApi } from '../../src/forges/rest-api.ts';
import { isRefName, toPrintableLine } from '../../src/forges/untrusted-text.ts';
import { anyText, jsonWith, mutated, readCorpus } from './arbitraries.ts';
import { defineTarget, ensure, orRefusal, orRefusalLater, type Target } from './target.ts';

interface Example {
  readonly name: string;
  readonly examples: readonly object[];
}

const SHA = '6113728f27ae82c7b1a177c8d03f9e96e0adf246';
const TARGET = { ref: { kind: 'branch', name: 'main' }, sha: SHA } as const;

// Its own import of JSON lacks the attribute that Node requires.
const known = createRequire(import.meta.url)('@octokit/webhooks-examples') as readonly Example[];
const payloads = [
  ...readCorpus('test/fixtures/github', '.json'),
  ...known
    .filter(({ name }) => ['push', 'ping', 'create', 'delete', 'pull_request'].includes(name))
    .flatMap(({ examples }) => examples.slice(0, 2).map((example) => JSON.stringify(example))),
];

const refs = [
  'refs/heads/main',
  'refs/heads/feature/ü-1',
  'refs/tags/v1.0.0',
  'refs/heads/a.lock/b',
  'refs/pull/1/head',
  'refs/heads/-x',
  'refs/heads/@{1}',
];
const body = fc.string({ unit: 'binary', maxLength: 50 });
const signatures = ['sha256=', `sha256=${'0'.repeat(64)}`, createHmac('sha256', 's').update('').digest('hex')];

/** A response of an API: any status, and JSON with known names or anything else. */
const answer: fc.Arbitrary<HttpResponse> = fc
  .tuple(
    fc.oneof(
      { weight: 5, arbitrary: fc.constant(200) },
      { weight: 1, arbitrary: fc.constantFrom(201, 204, 301, 302, 307, 401, 403, 404, 422, 500) },
    ),
    fc.constantFrom('application/json', 'application/json', 'application/vnd.github.raw+json', 'text/html', ''),
    fc.oneof(
      jsonWith(
        [
          'full_name',
          'permissions',
          'push',
          'commit',
          'sha',
          'protected',
          'name',
          'object',
          'type',
          'status',
          'files',
          'filename',
          'context',
          'description',
          'state',
          'message',
        ],
        [
          'acme/shop',
          true,
          SHA,
          'main',
          'commit',
          'tag',
          'c3/push',
          'success',
          { push: true },
          { sha: SHA },
          { sha: SHA, type: 'commit' },
        ],
      ).map((value) => JSON.stringify(value) ?? ''),
      fc.constantFrom(
        '{"full_name":"acme/shop","permissions":{"push":true}}',
        `{"name":"main","commit":{"sha":"${SHA}"},"protected":true}`,
        `[{"ref":"refs/heads/main","after":"${SHA}"}]`,
      ),
      anyText,
    ),
    fc.boolean(),
  )
  .map(([status, mediaType, text, isCut]) => ({ status, mediaType, body: Buffer.from(text), isCut }));

function createApi(answers: readonly HttpResponse[]): RestApi {
  let next = 0;
  const client = {
    send: () => Promise.resolve(answers[next++ % answers.length] as HttpResponse),
    close: () => Promise.resolve(),
  };
  return createRestApi(client, githubDialect, {
    scope: { host: 'github.com', owner: 'acme', name: 'shop' },
    token: 'token',
  });
}

const { signal } = new AbortController();

/** The rules of git-check-ref-format as its manual numbers them, written out once more. */
function isSafeRef(ref: string): boolean {
  const parts = ref.split('/');
  const isRule1 = parts.every((part) => !part.startsWith('.') && !part.endsWith('.lock'));
  const isRule3to5 =
    !ref.includes('..') &&
    // oxlint-disable-next-line no-control-regex -- rule 4 is about them
    !/[\u0000-\u0020\u007f~^:?*[]/.test(ref);
  const isRule6to9 =
    parts.every((part) => part !== '') && !ref.endsWith('.') && !ref.includes('@{') && !ref.includes('\\');
  return isRule1 && isRule3to5 && isRule6to9 && parts.length >= 3 && parts[2]?.startsWith('-') === false;
}

export const forgeTargets: readonly Target[] = [
  defineTarget('webhook-signature', fc.tuple(fc.oneof(mutated(signatures), anyText), body), ([header, text]) => {
    const bytes = Buffer.from(text);
    const right = `sha256=${createHmac('sha256', 's').update(bytes).digest('hex')}`;
    for (const signature of [header, right, right.toUpperCase(), `${right} `]) {
      const verified = orRefusal(() =>
        verifyDelivery({ headers: { 'x-hub-signature-256': signature }, body: bytes }, 's'),
      );
      ensure((verified === 'refused') === (signature !== right), 'only one signature is valid');
    }
  }),

  defineTarget(
    'github-payload',
    fc.tuple(
      mutated(payloads),
      fc.oneof(fc.constantFrom('push', 'ping', 'create', 'pull_request'), anyText),
      fc.oneof(
        fc.constantFrom('application/json', 'application/x-www-form-urlencoded', 'application/json; charset=utf-8'),
        anyText,
      ),
    ),
    ([text, event, type]) => {
      const isForm = type.startsWith('application/x-www-form');
      const bytes = Buffer.from(isForm ? `payload=${encodeURIComponent(text.toWellFormed())}` : text);
      const headers = { 'x-github-event': event, 'content-type': type };
      const parsed = orRefusal(() => parseEvent('github.com', headers, { bytes, verified: true }));
      if (parsed === 'refused' || parsed.kind !== 'build') return;
      const { ref, sha, commit } = parsed.build;
      ensure(isSafeRef(formatRef(ref)), 'the ref of a push is valid for git');
      ensure(/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(sha), 'a sha is lower-case hex of full length');
      ensure(!/[\p{Cc}\u2028\u2029\u202a-\u202e]/u.test(commit.subject + commit.author), 'the shown text is one line');
      ensure(commit.subject.length <= 200 && commit.author.length <= 100, 'the shown text is short');
    },
  ),

  defineTarget(
    'ref-name',
    fc.oneof(
      mutated(refs),
      anyText.map((text) => `refs/heads/${text}`),
    ),
    (ref) => {
      if (isRefName(ref))
        ensure(isSafeRef(ref) && ref.length <= 255, 'an accepted ref is valid for git, and is no option');
    },
  ),

  defineTarget('one-line', fc.tuple(anyText, fc.integer({ min: 1, max: 40 })), ([text, length]) => {
    const line = toPrintableLine(text, length);
    ensure(line.length <= length && line.isWellFormed(), 'a line is short and well-formed');
    ensure(!/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u.test(line), 'a line has no control character');
  }),

  defineTarget('github-proof', fc.array(answer, { minLength: 1, maxLength: 8 }), async (answers) => {
    const proof = await orRefusalLater(() =>
      proofCalls.prove(createApi(answers), TARGET, { signal, lagPausesMs: [0] }),
    );
    if (proof === 'refused' || proof.kind === 'refused') return;
    const texts = answers.filter(({ status }) => status === 200).map(({ body }) => Buffer.from(body).toString());
    ensure(
      texts.some((text) => /"push":true/.test(text) && text.includes('acme/shop')),
      'a response proves the permission to push',
    );
    ensure(
      texts.some((text) => text.includes('"main"')),
      'a response proves the ref',
    );
  }),

  defineTarget('github-answers', fc.array(answer, { minLength: 1, maxLength: 3 }), async (answers) => {
    const file = await orRefusalLater(() => readFile(createApi(answers), 'c3.yaml', { sha: SHA, signal }));
    ensure(
      file === 'refused' || file.kind !== 'found' || file.text.length <= answers[0]!.body.length,
      'a file is the response',
    );
    await orRefusalLater(() =>
      setStatus(createApi(answers), SHA, {
        status: { context: 'c3/push', state: 'success', description: 'passed' },
        signal,
      }),
    );
    const statuses = (): AsyncIterable<CommitStatus> => listStatuses(createApi(answers), SHA, signal);
    const found = await orRefusalLater(() => findBuildStatus(statuses(), 'abc'));
    const state = typeof found === 'object' ? found.state : found;
    ensure([undefined, 'refused', 'pending', 'success', 'failure', 'error'].includes(state), 'a state is one of four');
    const outcome = await orRefusalLater(() => findOutcome(statuses(), { event: 'push', ref: TARGET.ref }));
    const kind = typeof outcome === 'object' ? outcome.kind : outcome;
    ensure([undefined, 'refused', 'passed', 'failed', 'timed-out'].includes(kind), 'an outcome passed or failed');
    const commit = await orRefusalLater(() => readCommit(createApi(answers), SHA, signal));
    ensure(
      commit === 'refused' || commit === undefined || !/\p{Cc}/u.test(commit.subject + commit.author),
      'the name of a commit is one line',
    );
    const paths = await orRefusalLater(() => changedPaths(createApi(answers), SHA, { sha: SHA, signal }));
    ensure(
      paths === 'refused' || paths === undefined || paths.every((path) => typeof path === 'string'),
      'paths are strings',
    );
  }),
];
