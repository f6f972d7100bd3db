import { createHmac } from 'node:crypto';
import * as fc from 'fast-check';
import { findBuildStatus, formatRef } from '../../src/build/index.ts';
import { gitlabDialect } from '../../src/forges/gitlab/api.ts';
import { changedPaths, readCommit, readFile } from '../../src/forges/gitlab/commits.ts';
import { parseEvent } from '../../src/forges/gitlab/event.ts';
import { proofCalls } from '../../src/forges/gitlab/prove.ts';
import { mayApprove, readPull } from '../../src/forges/gitlab/pulls.ts';
import { listStatuses, setStatus } from '../../src/forges/gitlab/statuses.ts';
import { verifyDelivery } from '../../src/forges/gitlab/verify.ts';
import type { HttpResponse } from '../../src/forges/http-client.ts';
import { createRestApi, type RestApi } from '../../src/forges/rest-api.ts';
import { isRefName } from '../../src/forges/untrusted-text.ts';
import { anyText, jsonWith, mutated, readCorpus } from './arbitraries.ts';
import { defineTarget, ensure, orRefusal, orRefusalLater, type Target } from './target.ts';

const SHA = '6113728f27ae82c7b1a177c8d03f9e96e0adf246';
const TARGET = { ref: { kind: 'branch', name: 'main' }, sha: SHA } as const;
const SECRET = Buffer.alloc(32, 7).toString('base64url');
const { signal } = new AbortController();

const body = fc.string({ unit: 'binary', maxLength: 50 });

const PROJECT = '{"path_with_namespace":"acme/web/shop","permissions":{"project_access":{"access_level":30}}}';
const BRANCH = `{"name":"main","commit":{"id":"${SHA}"},"protected":true}`;

/** A response of GitLab's API: any status, and JSON with known names or anything else. */
const answer: fc.Arbitrary<HttpResponse> = fc
  .tuple(
    fc.oneof(
      { weight: 5, arbitrary: fc.constant(200) },
      { weight: 1, arbitrary: fc.constantFrom(201, 204, 301, 302, 400, 403, 404, 409, 422) },
    ),
    fc.constantFrom('application/json', 'application/json', 'text/plain', ''),
    fc.oneof(
      jsonWith(
        [
          'path_with_namespace',
          'permissions',
          'project_access',
          'access_level',
          'commit',
          'id',
          'protected',
          'name',
          'push_data',
          'commit_to',
          'diffs',
          'compare_timeout',
          'status',
          'description',
          'message',
          'source_branch',
          'target_branch',
          'author',
          'username',
        ],
        ['acme/web/shop', 30, SHA, 'main', 'c3/push', 'success', 'failed', { id: SHA }, { access_level: 30 }],
      ).map((value) => JSON.stringify(value) ?? ''),
      fc.constantFrom(PROJECT, BRANCH, `[{"push_data":{"ref_type":"branch","ref":"main","commit_to":"${SHA}"}}]`),
      anyText,
    ),
    fc.boolean(),
  )
  .map(([status, mediaType, text, isCut]) => ({ status, mediaType, body: Buffer.from(text), isCut }));

function createApi(answers: readonly HttpResponse[]): RestApi {
  let next = 0;
  const client = { send: () => Promise.resolve(answers[next++ % answers.length] as HttpResponse) };
  const scope = { host: 'gitlab.com', owner: 'acme/web', name: 'shop' };
  return createRestApi(client, gitlabDialect, { scope, token: 'token' });
}

export const gitlabTargets: readonly Target[] = [
  defineTarget(
    'gitlab-signature',
    fc.tuple(fc.oneof(anyText, fc.constant('v1,')), fc.oneof(anyText, fc.constant(SECRET)), body),
    ([header, token, text]) => {
      const bytes = Buffer.from(text);
      const right = `v1,${createHmac('sha256', Buffer.alloc(32, 7)).update('id.1.').update(bytes).digest('base64')}`;
      for (const signature of [header, right, `${right}x`]) {
        const headers = { 'webhook-id': 'id', 'webhook-timestamp': '1', 'webhook-signature': signature };
        const verified = orRefusal(() =>
          verifyDelivery({ headers: { ...headers, 'x-gitlab-token': token }, body: bytes }, SECRET),
        );
        const isRight = signature === '' ? token === SECRET : signature.split(' ').includes(right);
        ensure((verified === 'refused') === !isRight, 'only one signature and one secret are valid');
      }
    },
  ),

  defineTarget(
    'gitlab-payload',
    fc.tuple(
      mutated(readCorpus('test/fixtures/gitlab', '.json')),
      fc.oneof(fc.constantFrom('Push Hook', 'Tag Push Hook', 'Merge Request Hook', 'Note Hook'), anyText),
    ),
    ([text, event]) => {
      const headers = { 'x-gitlab-event': event, 'content-type': 'application/json' };
      const bytes = Buffer.from(text);
      const parsed = orRefusal(() => parseEvent('gitlab.com', headers, { bytes, verified: true }));
      if (parsed === 'refused' || parsed.kind !== 'build') return;
      const { ref, sha, commit } = parsed.build;
      ensure(isRefName(formatRef(ref)), 'the ref of a build is valid for git');
      ensure(/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(sha), 'a sha is lower-case hex of full length');
      ensure(!/[\p{Cc}\u2028\u2029\u202a-\u202e]/u.test(commit.subject + commit.author), 'the shown text is one line');
      ensure(commit.subject.length <= 200 && commit.author.length <= 100, 'the shown text is short');
    },
  ),

  defineTarget('gitlab-proof', fc.array(answer, { minLength: 1, maxLength: 8 }), async (answers) => {
    const proof = await orRefusalLater(() =>
      proofCalls.prove(createApi(answers), TARGET, { signal, lagPausesMs: [0] }),
    );
    if (proof === 'refused' || proof.kind === 'refused') return;
    const texts = answers.filter(({ status }) => status === 200).map((one) => Buffer.from(one.body).toString());
    ensure(
      texts.some((text) => text.includes('"access_level":30') && text.includes('acme/web/shop')),
      'a response proves the role',
    );
    ensure(
      texts.some((text) => text.includes('"main"')),
      'a response proves the ref',
    );
  }),

  defineTarget('gitlab-answers', fc.array(answer, { minLength: 1, maxLength: 3 }), async (answers) => {
    const file = await orRefusalLater(() => readFile(createApi(answers), 'c3.yaml', { sha: SHA, signal }));
    ensure(
      file === 'refused' || file.kind !== 'found' || file.text.length <= answers[0]!.body.length,
      'a file is the response',
    );
    const status = { context: 'c3/push', state: 'pending', description: 'running (main, build 5f3a0c91d2e4)' } as const;
    await orRefusalLater(() => setStatus(createApi(answers), SHA, { status, signal }));
    const found = await orRefusalLater(() => findBuildStatus(listStatuses(createApi(answers), SHA, signal), 'abc'));
    const state = typeof found === 'object' ? found.state : found;
    ensure([undefined, 'refused', 'pending', 'success', 'failure', 'error'].includes(state), 'a state is one of four');
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
    await orRefusalLater(() => readPull(createApi(answers), 12, signal));
    const comment = { pull: 12, id: '1', author: 'ada', createdAt: 0, text: '/retest' };
    const refusal = await orRefusalLater(() => mayApprove(createApi(answers), comment, signal));
    const texts = answers.map((one) => Buffer.from(one.body).toString());
    ensure(refusal !== undefined || texts.some((text) => text.includes('"access_level"')), 'a role proves the right');
  }),
];
