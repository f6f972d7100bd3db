import { describe, expect, it } from 'vitest';
import { type CommitStatus, type Ending, formatCommitStatus, readCommitStatus } from '../../build/index.ts';
import { createEnded, createState, RUNNING } from '../../../dev/telegram/build-states.ts';
import { createBuild } from '../../../test/fakes/sample-build.ts';
import { type Canned, type CannedApi, createCannedApi, failed, ok } from '../../../test/fakes/canned-api.ts';
import { deadline } from '../../../test/time-limits.ts';
import { listStatuses, setStatus } from './statuses.ts';

const SCOPE = { host: 'gitlab.com', owner: 'acme/web', name: 'shop' };
const SHA = 'a'.repeat(40);
const POST = `POST /statuses/${SHA}`;
const LIST = `/repository/commits/${SHA}/statuses`;
const CREATED: Canned = { status: 201, body: { id: 1 } };

type Answers = Readonly<Record<string, Canned | readonly Canned[]>>;

/** Sets a status, and returns the bodies that were sent. */
async function setWith(status: CommitStatus, answers: Answers = {}): Promise<readonly unknown[]> {
  const api = createCannedApi(SCOPE, { [POST]: CREATED, ...answers });
  await setStatus(api, SHA, { status, signal: deadline() });
  return api.requests.filter(({ method }) => method === 'POST').map(({ body }) => body);
}

const list = (api: CannedApi): Promise<CommitStatus[]> => Array.fromAsync(listStatuses(api, SHA, deadline()));

const withoutLink = ({ context, state, description }: CommitStatus): CommitStatus => ({ context, state, description });
const running = withoutLink(formatCommitStatus(RUNNING));

describe('a status that c3 sets', () => {
  const endings: readonly (readonly [Ending, state: string])[] = [
    [{ kind: 'passed', allowed: [] }, 'success'],
    [{ kind: 'skipped', message: 'no path matches' }, 'success'],
    [{ kind: 'failed', step: 'test', message: 'exit code 1' }, 'failed'],
    [{ kind: 'timed-out', message: 'after 10m' }, 'failed'],
    [{ kind: 'cancelled', message: 'in Telegram' }, 'canceled'],
    [{ kind: 'superseded', message: 'by a newer push' }, 'canceled'],
    [{ kind: 'config-error', message: 'c3.yaml:3:1 unknown key "job2"' }, 'failed'],
    [{ kind: 'refused', message: 'the token may not push' }, 'failed'],
    [{ kind: 'infrastructure-error', message: 'the Pod was lost' }, 'failed'],
    [{ kind: 'needs-approval', message: '1a2b3c4' }, 'pending'],
  ];

  it.each(endings)('of %j has the state %j, and is read as it was', async (ending, state) => {
    const status = withoutLink(formatCommitStatus(createEnded(ending)));
    const [body] = await setWith(status);
    expect(body).toMatchObject({ state, name: status.context, description: status.description });
    expect(await list(createCannedApi(SCOPE, { [LIST]: ok([{ ...(body as object), status: state }]) }))).toEqual([
      status,
    ]);
  });

  it.each([RUNNING, createState({ kind: 'preparing', detail: 'pulling image node:24' })])(
    'is running before the end',
    async (state) => {
      const [body] = await setWith(formatCommitStatus(state));
      expect(body).toMatchObject({ state: 'running' });
    },
  );

  it('has a link of at most 255 characters, or none', async () => {
    const long = `https://c3.example.com/${'x'.repeat(232)}`;
    expect(await setWith({ ...running, targetUrl: long })).toMatchObject([{ target_url: long }]);
    const [body] = await setWith({ ...running, targetUrl: `${long}x` });
    expect(body).not.toHaveProperty('target_url');
  });
});

describe('the ref of a status', () => {
  const refOf = async (part: Parameters<typeof createBuild>[0], answers: Answers = {}): Promise<unknown> => {
    const status = formatCommitStatus(createState({ kind: 'running' }, { build: createBuild(part) }));
    const [body] = await setWith(status, answers);
    return (body as { ref?: string }).ref;
  };
  const pull = { number: 12, base: 'main', head: 'cart', isDraft: false, isFork: false };
  const long = `feature/${'a'.repeat(60)}`;

  it('is the branch or the tag', async () => {
    expect(await refOf({ ref: { kind: 'branch', name: 'release/1.x' } })).toBe('release/1.x');
    expect(await refOf({ ref: { kind: 'branch', name: '#12' } })).toBe('#12');
    expect(await refOf({ event: 'tag', ref: { kind: 'tag', name: 'v1' } })).toBe('v1');
  });

  it('with a long name is one of those that have the commit', async () => {
    const refs = ok([{ type: 'branch', name: `${long}b` }, { name: long }]);
    const build = { ref: { kind: 'branch', name: long } } as const;
    expect(await refOf(build, { [`/repository/commits/${SHA}/refs?type=branch&per_page=100`]: refs })).toBe(long);
    expect(await refOf(build)).toBeUndefined();
  });

  it('of a merge request is its branch, or for a fork that of its commits', async () => {
    const found = { source_branch: 'cart', target_branch: 'main', source_project_id: 1, target_project_id: 1 };
    const build = { event: 'pull_request', pull } as const;
    expect(await refOf(build, { '/merge_requests/12': ok(found) })).toBe('cart');
    const fork = ok({ ...found, source_project_id: 2 });
    expect(await refOf(build, { '/merge_requests/12': fork })).toBe('refs/merge-requests/12/head');
  });

  it('is left out for a text that c3 did not write', async () => {
    expect(await setWith({ context: 'c3/push', state: 'success', description: 'fine' })).toEqual([
      { name: 'c3/push', state: 'success', description: 'fine' },
    ]);
  });
});

describe('a status that GitLab refuses', () => {
  const refused = failed(400, 'Cannot transition status via :run from :running (Reason(s): Status cannot transition)');
  const ref = readCommitStatus(running).refName;
  const target = { name: running.context, ref };

  it('because it is set already counts as set', async () => {
    const shown = { name: running.context, status: 'running', description: running.description };
    const bodies = await setWith(running, { [POST]: refused, [LIST]: ok([shown]) });
    expect(bodies).toEqual([{ ...target, state: 'running', description: running.description }]);
  });

  it('because the commit waits for approval already, or is approved and runs, counts as set', async () => {
    const waiting = formatCommitStatus(createEnded({ kind: 'needs-approval', message: '1a2b3c4' }));
    const enqueue = failed(400, 'Cannot transition status via :enqueue from :running');
    expect(await setWith(waiting, { [POST]: enqueue })).toMatchObject([{ state: 'pending' }]);
  });

  it('because another build has not ended replaces that one', async () => {
    const shown = { name: running.context, status: 'running', description: 'running (main, build 000000000000)' };
    const bodies = await setWith(running, { [POST]: [refused, CREATED], [LIST]: ok([shown]) });
    expect(bodies).toMatchObject([{ state: 'running' }, { ...target, state: 'canceled' }, { state: 'running' }]);
  });

  it.each([
    ['again', { [POST]: refused }, 'the forge answers 400'],
    ['for its text', { [POST]: failed(400, { description: ['is too long'] }) }, 'the forge answers 400 "description'],
    ['for its right', { [POST]: failed(403, '403 Forbidden') }, 'the forge answers 403 "403 Forbidden"'],
    ['for its ref', { [POST]: failed(404, '404 References for commit Not Found') }, 'the forge answers 404'],
  ])('%s is a fault', async (_, answers, words) => {
    await expect(setWith(running, answers)).rejects.toMatchObject({
      code: 'FORGE_REFUSED',
      message: expect.stringContaining(
        `Cannot set the status of ${SHA.slice(0, 12)} in gitlab.com/acme/web/shop: ${words}`,
      ) as string,
    });
  });
});

describe('the statuses of a commit', () => {
  const entry = (id: number, change: object): object => ({
    id,
    name: 'c3/push',
    status: 'success',
    description: `${id}`,
    created_at: `2026-11-30T12:00:0${id}.000Z`,
    ...change,
  });

  it('are those of c3, those that changed last first', async () => {
    const entries = [
      entry(1, { started_at: '2026-11-30T12:00:01.000Z', finished_at: '2026-11-30T12:09:00.000Z' }),
      entry(2, { finished_at: '2026-11-30T12:05:00.000Z', status: 'canceled' }),
      entry(3, { started_at: '2026-11-30T12:07:00.000Z', status: 'running' }),
      entry(4, { finished_at: '2026-11-30T12:05:00.000Z', status: 'failed' }),
      entry(5, { name: 'unit tests' }),
      entry(6, { description: null }),
      entry(7, { status: 'manual' }),
    ];
    expect(await list(createCannedApi(SCOPE, { [LIST]: ok(entries) }))).toEqual([
      { context: 'c3/push', state: 'success', description: '1' },
      { context: 'c3/push', state: 'pending', description: '3' },
      { context: 'c3/push', state: 'failure', description: '4' },
      { context: 'c3/push', state: 'error', description: '2' },
    ]);
  });

  it('are on many pages', async () => {
    const page = (count: number): Canned => ok(Array.from({ length: count }, () => entry(1, {})));
    const api = createCannedApi(SCOPE, { [LIST]: [page(100), page(100), page(7)] });
    expect(await list(api)).toHaveLength(207);
    expect(api.requests.at(-1)?.path).toBe(`${LIST}?all=true&per_page=100&page=3`);
  });

  it('are not known if there are more than 3,000', async () => {
    const page = ok(Array.from({ length: 100 }, () => entry(1, {})));
    await expect(list(createCannedApi(SCOPE, { [LIST]: page }))).rejects.toThrow('has more than 3000 statuses');
  });

  it('are none for an unknown commit', async () => {
    expect(await list(createCannedApi(SCOPE, {}))).toEqual([]);
  });

  it.each([failed(403), ok({})])('are a fault if the forge answers %j', async (answer) => {
    await expect(list(createCannedApi(SCOPE, { [LIST]: answer }))).rejects.toMatchObject({
      code: 'FORGE_REFUSED',
      message: expect.stringContaining('Cannot read the statuses of aaaaaaaaaaaa') as string,
    });
  });
});
