import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { BuildTarget, CommitStatus } from '../../build/index.ts';
import { createForgeServer, type ForgeServer, type LoggedRequest } from '../../../dev/forge/index.ts';
import { createWorkTree } from '../../../dev/forge/work-tree.ts';
import type { OpenOptions, Repository } from '../forge.ts';
import type { Forge } from '../forge.ts';
import { createGithub } from './github.ts';
import { deadline } from '../../../test/time-limits.ts';

const { signal } = new AbortController();
const TOKEN = 'good-token';
const UNKNOWN = { status: 422, body: '{"message":"No commit found for SHA: abc"}' };
const MISSING = { status: 404, body: '{"message":"Not Found"}' };
const REFUSED = { status: 401, body: '{"message":"Bad credentials"}' };
const PENDING: CommitStatus = { context: 'c3/push', state: 'pending', description: 'running' };

let root: string;
let server: ForgeServer;
let github: Forge;
let first: string;
let target: BuildTarget;
const faults: (() => void)[] = [];

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'c3-late-answers-test-'));
  server = await createForgeServer({
    root,
    users: [{ login: 'ann', token: TOKEN, permissions: { 'acme/shop': 'write' } }],
  });
  const bare = await server.createRepository({ owner: 'acme', name: 'shop', isPrivate: true });
  const tree = await createWorkTree({ path: join(root, 'work-tree') });
  first = await tree.commit({ 'c3.yaml': 'one' }, 'first');
  const sha = await tree.commit({ 'c3.yaml': 'two' }, 'second');
  await tree.git('push', '--quiet', bare.path, 'main');
  target = { ref: { kind: 'branch', name: 'main' }, sha, before: first };
  github = createGithub({ origin: server.origin, apiBase: server.apiBase, pausesMs: [1, 1, 1, 1, 1] });
  await open().setStatus(sha, PENDING, signal);
});

afterEach(() => {
  for (const end of faults.splice(0)) end();
});

afterAll(async () => {
  await github.close();
  await server.close();
  await rm(root, { recursive: true });
});

function open(token = TOKEN, options: OpenOptions = {}): Repository {
  return github.openRepository({ host: server.host, owner: 'acme', name: 'shop' }, token, options);
}

interface Wrong {
  readonly status: number;
  readonly body: string;
}

function plan(match: RegExp, answer: Wrong, times = Infinity): void {
  faults.push(server.faults.add({ match, kind: 'status', times, ...answer }));
}

const STATUSES = /^GET .*\/commits\/[^/]+\/statuses/;

const CALLS = {
  prove: [(repository: Repository) => repository.prove(target, signal), { kind: 'proven', isHead: true }],
  checkAccess: [async (repository: Repository) => [await repository.checkAccess(signal)], [undefined]],
  readFile: [(repository: Repository) => repository.readFile('c3.yaml', target.sha, signal), { text: 'two' }],
  setStatus: [async (repository: Repository) => [await repository.setStatus(target.sha, PENDING, signal)], [undefined]],
  listStatuses: [
    async (repository: Repository) => (await Array.fromAsync(repository.listStatuses(target.sha, signal))).slice(-1),
    [PENDING],
  ],
  changedPaths: [(repository: Repository) => repository.changedPaths(first, target.sha, signal), ['c3.yaml']],
} as const;

type Call = keyof typeof CALLS;

test.each<[Call, string, RegExp, Wrong]>([
  ['prove', 'the repository is missing', /\/acme\/shop$/, MISSING],
  ['prove', 'the branch is missing', /\/branches\/main$/, MISSING],
  ['prove', 'the token is refused', /\/branches\/main$/, REFUSED],
  ['prove', 'the token is refused for the repository', /\/acme\/shop$/, REFUSED],
  ['checkAccess', 'the repository is missing', /\/acme\/shop$/, MISSING],
  ['readFile', 'the commit is unknown', /\/contents\//, UNKNOWN],
  ['readFile', 'the token is refused', /\/contents\//, REFUSED],
  ['setStatus', 'the commit is unknown', /^POST .*\/statuses\//, UNKNOWN],
  ['setStatus', 'the commit is missing', /^POST .*\/statuses\//, MISSING],
  ['setStatus', 'the token is refused', /^POST .*\/statuses\//, REFUSED],
  ['listStatuses', 'the commit is unknown', STATUSES, UNKNOWN],
  ['listStatuses', 'the commit is missing', STATUSES, MISSING],
  ['listStatuses', 'the token is refused', STATUSES, REFUSED],
  ['changedPaths', 'the commit is missing', /\/compare\//, MISSING],
])('%s succeeds although the forge says once that %s', async (name, _, match, answer) => {
  plan(match, answer, 1);
  const [call, result] = CALLS[name];
  expect(await call(open())).toMatchObject(result);
});

/** Waits for as many requests, which are noted after their answers, and returns all of them. */
async function waitForRequests(least: number, isMeant: (request: LoggedRequest) => boolean): Promise<LoggedRequest[]> {
  const find = (): LoggedRequest[] => server.requests.filter(isMeant);
  return await server.waitFor(() => (find().length >= least ? find() : undefined), deadline());
}

test.each([
  ['1', UNKNOWN, 'the forge answers 422 "No commit found for SHA: abc"', undefined],
  ['2', MISSING, 'the forge answers 404 "Not Found"', 'the token needs the right "Commit statuses: write"'],
])(
  'commit %s… that stays unknown is a fault, with a hint only if the token may be the cause',
  async (digit, answer, end, hint) => {
    const sha = digit.repeat(40);
    plan(/^POST .*\/statuses\//, answer);
    await expect(open().setStatus(sha, PENDING, signal)).rejects.toMatchObject({
      code: 'FORGE_REFUSED',
      message: `Cannot set the status of ${sha.slice(0, 12)} in ${server.host}/acme/shop: ${end}`,
      hint,
    });
    expect(await waitForRequests(5, ({ path }) => path.includes(sha))).toHaveLength(5);
  },
);

test('a status that is not valid is refused at once', async () => {
  const sha = '3'.repeat(40);
  const status = { ...PENDING, description: 'x'.repeat(200) };
  await expect(open().setStatus(sha, status, signal)).rejects.toMatchObject({ code: 'FORGE_REFUSED', hint: undefined });
  expect(await waitForRequests(1, ({ path }) => path.includes(sha))).toHaveLength(1);
});

test('a token that was accepted may be refused five times before a status is set', async () => {
  const repository = open();
  await repository.prove(target, signal);
  plan(/^POST .*\/statuses\//, REFUSED, 5);
  await expect(repository.setStatus(target.sha, PENDING, signal)).resolves.toBeUndefined();
});

test("a stranger's token is tried with one request more, and then not again (A12)", async () => {
  const isStrange = ({ login }: LoggedRequest): boolean => login === undefined;
  const stranger = open('made-up-token', { isConfirmed: () => false });
  const calls = [
    stranger.prove(target, signal),
    stranger.readFile('c3.yaml', target.sha, signal),
    Array.fromAsync(stranger.listStatuses(target.sha, signal)),
  ];
  for (const { status } of await Promise.allSettled(calls)) expect(status).toBe('rejected');
  expect(await waitForRequests(5, isStrange)).toHaveLength(5);
  await expect(stranger.setStatus(target.sha, PENDING, signal)).rejects.toMatchObject({ code: 'FORGE_UNAUTHORIZED' });
  expect(await waitForRequests(6, isStrange)).toHaveLength(6);
});
