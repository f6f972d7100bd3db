import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, test } from 'vitest';
import { toFile, useWorlds, type Answers, type World } from '../../test/fakes/build-world.ts';
import type { PullFacts } from '../forges/forge.ts';

const createWorld = useWorlds();

const PASSED = { kind: 'passed', allowed: [] } as const;
const BASE_SHA = 'b'.repeat(40);
const ASKED = 'when: {event: pull_request}\n';

/** What the forge says of an open pull request whose head is the world's commit. */
function toFacts(world: World, changes: Partial<PullFacts> = {}): PullFacts {
  return {
    number: 12,
    base: 'main',
    head: 'feature',
    isDraft: false,
    isFork: false,
    sha: world.sha,
    isOpen: true,
    isPublic: true,
    baseSha: undefined,
    commit: { subject: 'a title', author: 'mallory' },
    ...changes,
  };
}

/** A build of that pull request as a webhook reports it. */
function ofPull(world: World, facts: Partial<PullFacts> = {}, part: Partial<Answers> = {}): Partial<Answers> {
  const { number, base, head, isDraft, isFork } = toFacts(world, facts);
  const pull = { number, base, head, isDraft, isFork };
  const ref = isFork ? ({ kind: 'pull', name: '12' } as const) : ({ kind: 'branch', name: head } as const);
  return {
    file: toFile('- main: env > DIRECTORY/env', ASKED),
    pull: () => toFacts(world, facts),
    ...part,
    build: { event: 'pull_request', ref, pull, ...part.build },
  };
}

/** The variables of the step. */
function readEnv(world: World): Record<string, string> {
  const lines = readFileSync(join(world.workspace.directory, 'env'), 'utf8').split('\n');
  return Object.fromEntries(lines.map((line) => line.split(/=(.*)/s).slice(0, 2) as [string, string]));
}

describe('a pull request in the same repository', () => {
  it('is built as its branch, with what the forge says about it', async () => {
    const world = createWorld();
    const proof = { kind: 'proven', trust: 'other', isHead: true } as const;
    expect(await world.run(ofPull(world, { isDraft: true }, { proof }))).toEqual(PASSED);
    expect(readEnv(world)).toMatchObject({
      C3_EVENT: 'pull_request',
      C3_REF: 'refs/heads/feature',
      C3_BRANCH: 'feature',
      C3_PR: '12',
      C3_BASE_BRANCH: 'main',
      C3_HEAD_BRANCH: 'feature',
    });
    expect(world.orders[0]).toMatchObject({ owner: 'branches', reuse: true });
    expect(world.states.at(-1)?.build).toMatchObject({ pull: { number: 12, isDraft: true } });
  });

  it('is not what the webhook claims', async () => {
    const world = createWorld();
    const file = toFile('- main: echo', 'when: {base: main, draft: false}\n');
    const claimed = { number: 12, base: 'main', head: 'release', isDraft: false, isFork: false };
    const pull = (): PullFacts => toFacts(world, { base: 'dev', isDraft: true });
    const ending = await world.run(ofPull(world, {}, { file, pull, build: { pull: claimed } }));
    expect(ending).toMatchObject({
      kind: 'skipped',
      message: 'branch "dev" does not match when.base',
    });
    expect(world.states.at(-1)?.build.ref).toEqual({ kind: 'branch', name: 'feature' });
  });

  it.each<[string, Partial<PullFacts> | undefined]>([
    ['pull request #12 does not exist', undefined],
    ['pull request #12 is closed', { isOpen: false }],
    ['pull request #12 has moved on to ccccccc', { sha: 'c'.repeat(40) }],
    ['pull request #12 is from a fork', { isFork: true, baseSha: BASE_SHA }],
  ])('opens nothing when %s', async (message, facts) => {
    const world = createWorld();
    const pull = (): PullFacts | undefined => facts && toFacts(world, facts);
    expect(await world.run(ofPull(world, {}, { pull }))).toEqual({ kind: 'refused', message });
    expect(world.events).toEqual([]);
  });

  it('waits for a forge that shows the head before the push', async () => {
    const world = createWorld();
    const before = 'd'.repeat(40);
    const shown = [undefined, toFacts(world, { sha: before })];
    const pull = (): PullFacts | undefined => (shown.length > 0 ? shown.shift() : toFacts(world));
    expect(await world.run(ofPull(world, {}, { pull, build: { before } }))).toEqual(PASSED);
  });

  it('compares its paths with the merge base', async () => {
    const world = createWorld();
    const file = toFile('- main: echo', "when: {event: pull_request, path: 'src/**'}\n");
    expect(await world.run(ofPull(world, {}, { file, paths: ['docs/a'] }))).toMatchObject({ by: 'paths' });
    expect(world.events).toEqual(['prove', 'compare with the merge base of main']);
  });
});

/** A build of a fork's commit that is approved. */
function ofFork(world: World, part: Partial<Answers> = {}, facts: Partial<PullFacts> = {}): Partial<Answers> {
  const build = { cause: 'comment', ...part.build } as const;
  return ofPull(world, { isFork: true, head: 'main', baseSha: BASE_SHA, ...facts }, { ...part, build });
}

describe('a pull request from a fork', () => {
  it('needs an approval, and nothing is opened before', async () => {
    const world = createWorld();
    const read: string[] = [];
    const order = ofFork(world, { build: { cause: 'webhook' }, onRead: (sha) => read.push(sha) });
    const short = world.sha.slice(0, 7);
    expect(await world.run(order)).toEqual({
      kind: 'needs-approval',
      message: `${short}: comment "/ok-to-test ${short}" to run it`,
    });
    expect(read).toEqual([BASE_SHA]);
    expect(world.events).toEqual(['access']);
  });

  it('runs after its approval without a secret, a token, a branch or the Pod of others', async () => {
    const world = createWorld();
    const read: string[] = [];
    const file = toFile('- main: env > DIRECTORY/env', `secrets: {DEPLOY_KEY: aa.bb.cc.dd}\n${ASKED}`);
    expect(await world.run(ofFork(world, { file, onRead: (sha) => read.push(sha) }))).toEqual(PASSED);
    expect(read).toEqual([BASE_SHA]);
    expect(world.events.filter((event) => event.startsWith('open'))).toEqual(['open k8s']);
    const env = readEnv(world);
    expect(env).toMatchObject({ C3_REF: 'refs/pull/12/head', C3_REF_NAME: '12', C3_PR: '12', C3_HEAD_BRANCH: 'main' });
    for (const name of ['DEPLOY_KEY', 'C3_BRANCH', 'C3_TAG']) expect(env).not.toHaveProperty(name);
    expect(JSON.stringify(env)).not.toContain('tokentoken');
    expect(world.orders[0]).toMatchObject({
      owner: 'refs/pull/12/head',
      reuse: false,
      manifest: { metadata: { labels: { 'c3/trust': 'fork' } }, spec: { automountServiceAccountToken: false } },
    });
  });

  it.each<[string, Partial<PullFacts>, Partial<Answers>]>([
    ['operator has not set C3_FORKS=approve', {}, { forks: 'off' }],
    ['a fork of a private repository is not built', { isPublic: false }, {}],
    ['branch main, whose c3.yaml is used, no longer exists', { baseSha: undefined }, {}],
    ['may not push', {}, { access: 'the token may not push' }],
    ['pull request #12 has moved on to ccccccc', { sha: 'c'.repeat(40) }, {}],
  ])('is refused with "%s"', async (message, facts, part) => {
    const world = createWorld();
    const order = ofFork(world, part);
    const ending = await world.run({
      ...order,
      pull: () => toFacts(world, { isFork: true, head: 'main', baseSha: BASE_SHA, ...facts }),
    });
    expect(ending).toEqual({ kind: 'refused', message: expect.stringContaining(message) });
    expect(world.events.filter((event) => event !== 'access')).toEqual([]);
  });

  it('is not built for a second delivery after its approval', async () => {
    const world = createWorld();
    const statuses = [{ context: 'c3/pr', state: 'success', description: 'passed in 8s (#12, build a)' }] as const;
    const order = ofFork(world, {
      build: { cause: 'webhook' },
      async *ownStatuses() {
        yield* await Promise.resolve(statuses);
      },
    });
    expect(await world.run(order)).toMatchObject({ message: expect.stringContaining('approved and was built before') });
    expect(world.states.map(({ phase }) => phase.kind)).not.toContain('ended');
  });

  it('still needs its approval after a build that never began', async () => {
    const world = createWorld();
    const order = ofFork(world, {
      build: { cause: 'webhook' },
      async *ownStatuses() {
        yield await Promise.resolve({
          context: 'c3/pr',
          state: 'pending',
          description: 'needs approval: 1234567 (#12, build a)',
        } as const);
      },
    });
    expect(await world.run(order)).toMatchObject({ kind: 'needs-approval' });
  });

  test('a step that needs a secret is a config error before anything runs', async () => {
    const world = createWorld();
    const file = toFile(
      '- {main: ./deploy "$DEPLOY_KEY", name: deploy}',
      `secrets: {DEPLOY_KEY: aa.bb.cc.dd}\n${ASKED}`,
    );
    expect(await world.run(ofFork(world, { file }))).toMatchObject({
      kind: 'config-error',
      message: 'c3.yaml: step "deploy" needs DEPLOY_KEY, and the build of a fork gets no secrets',
    });
    expect(world.events).not.toContain('pod');
  });
});
