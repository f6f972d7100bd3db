import { expect, it } from 'vitest';
import type { CommitStatus, Repository } from '../forges/forge.ts';
import { openLink, parseKeyring, parseScope, type BuildLink } from '../sealing/index.ts';
import { createBuildLinks } from './build-links.ts';
import { createBuildRepository } from './build-repository.ts';

const keyring = parseKeyring('YzMtdGVzdC1zZWNyZXQtb2YtMzItYnl0ZXMtISEhISE');
const FACTS: Omit<BuildLink, 'right'> = {
  scope: parseScope('git.example.com/acme/shop'),
  buildId: '5f3a0c91d2e4',
  sha: 'a1'.repeat(20),
  isProtected: true,
  ref: { kind: 'branch', name: 'feature/a-branch-whose-name-takes-all-the-room' },
  before: 'b2'.repeat(20),
  token: `glpat-${'x'.repeat(87)}`,
};
const GITLAB = 255;

function open(url: string): Promise<BuildLink> {
  return openLink(keyring, url.split('/b/')[1] ?? '');
}

it('leads to the same build with two rights', async () => {
  const { look, control } = await createBuildLinks(keyring, FACTS, {
    baseUrl: 'https://c3.example',
    maxTargetUrl: undefined,
  });
  expect([look, control].every((url) => url.startsWith('https://c3.example/b/'))).toBe(true);
  expect(await open(look)).toEqual({ ...FACTS, right: 'look', before: undefined });
  expect(await open(control)).toEqual({ ...FACTS, right: 'control' });
});

it('leaves the ref out of a link to look that is longer than the forge takes, and never out of one to control', async () => {
  const options = { baseUrl: 'https://c3.example', maxTargetUrl: GITLAB };
  const { look, control } = await createBuildLinks(keyring, FACTS, options);
  expect(look.length).toBeLessThanOrEqual(GITLAB);
  expect(await open(look)).toMatchObject({ ref: undefined, buildId: FACTS.buildId });
  expect(await open(control)).toMatchObject({ ref: FACTS.ref });
  const short = { ...FACTS, ref: { kind: 'branch', name: 'main' } } as const;
  expect(await open((await createBuildLinks(keyring, short, options)).look)).toMatchObject({ ref: short.ref });
});

it('sets a status without a target where that is still too long for the forge, and says so', async () => {
  const statuses: CommitStatus[] = [];
  const forge = {
    maxTargetUrl: GITLAB,
    setStatus: (_sha: string, status: CommitStatus) => Promise.resolve(void statuses.push(status)),
  } as unknown as Repository;
  const limits = {
    countNewcomer: () => {},
    countDelivery: () => {},
    trust: () => {},
    isTrusted: () => true,
    enterBuild: () => () => {},
  };
  const repository = createBuildRepository(forge, { hook: 'h', limits });
  const set = (description: string, targetUrl: string): Promise<void> =>
    repository.setStatus(
      'sha',
      { state: 'success', description, buildId: 'b', targetUrl },
      new AbortController().signal,
    );
  const fits = `https://c3.example/b/${'x'.repeat(GITLAB - 21)}`;
  expect(fits).toHaveLength(GITLAB);
  await set('passed in 8s', fits);
  await set('passed in 8s', `${fits}x`);
  await set('y'.repeat(140), `${fits}x`);
  expect(statuses).toEqual([
    { state: 'success', description: 'passed in 8s', buildId: 'b', targetUrl: fits },
    { state: 'success', description: "passed in 8s; its page's address is too long for this forge", buildId: 'b' },
    {
      state: 'success',
      description: `${'y'.repeat(59)}…; its page's address is too long for this forge`,
      buildId: 'b',
    },
  ]);
});
