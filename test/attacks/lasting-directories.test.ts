import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startC3, type C3Process } from '../../dev/demo/c3-process.ts';
import { formatPipeline } from '../e2e/target.ts';
import { useOutsider } from './outsider.ts';

describe('A3 A build that works in the directory of another one, in a volume that outlives both', () => {
  const { fixture } = useOutsider();
  let c3: C3Process;

  beforeAll(async () => {
    // Without Telegram, which gets at most twenty messages a minute.
    c3 = await startC3({ ...fixture.world.settings, C3_TELEGRAM_CHAT: '' });
  });
  afterAll(async () => await c3.stop());

  /** Mounts a directory of the node in place of the emptyDir. */
  const at = (path: string, source: string): string => source.replace('emptyDir: {}', `hostPath: {path: ${path}}`);
  const inEmptyDir = (path: string, source: string): string =>
    at(path, source)
      .replace('volumes: [', 'volumes: [{name: tree, emptyDir: {}}, ')
      .replaceAll('volumeMounts: [', 'volumeMounts: [{name: tree, mountPath: /c3/project}, ');

  const afterNull = (path: string, source: string): string =>
    source.replace('emptyDir: {}', `emptyDir: null, hostPath: {path: ${path}/}`);
  const inPart = (path: string, source: string): string =>
    at(path, source).replaceAll('mountPath: /c3', 'mountPath: /c3, subPath: project/part');
  const inLastContainer = (path: string, source: string): string =>
    source
      .replace('volumes: [', `volumes: [{name: node, hostPath: {path: ${path}}}, `)
      .replace('{name: c3, mountPath: /c3}]}\nsteps', '{name: node, mountPath: /c3}]}\nsteps');
  const inNamespace = (path: string, source: string): string =>
    at(path, source).replace('{name: shop}', '{name: shop, namespace: kube-system}');

  it.each([
    ['the directory of another one', at],
    ['the directory of another one behind an empty member', afterNull],
    ['a part of the directory of another one', inPart],
    ["c3's own directory of another one", inEmptyDir],
    ['the directory of another one in the last container', inLastContainer],
    ['the directory of another one from another namespace', inNamespace],
  ])('lets no second Pod work in %s', async (_, change) => {
    const hook = await fixture.setUp({ c3 });
    const directory = await mkdtemp(join(tmpdir(), 'c3-shared-'));
    const format = (steps: string): string => formatPipeline(fixture.target, hook.k8s, steps);
    const wait = '- main: touch /c3/up; while [ ! -e /c3/go ]; do sleep 0.1; done';
    const first = await hook.user.push({ 'c3.yaml': at(directory, format(wait)) }, 'first');
    await expect.poll(() => existsSync(join(directory, 'up'))).toBe(true);
    const files = { 'c3.yaml': change(directory, format('- main: echo other')) };
    const second = await hook.user.push(files, 'second', 'refs/heads/topic');
    expect(await hook.user.waitForEnd(second.sha)).toMatchObject({
      state: 'error',
      description: expect.stringMatching(/Pod (?:default\/)?shop-\S+ works in the same directory/),
    });
    await writeFile(join(directory, 'go'), '');
    expect(await hook.user.waitForEnd(first.sha)).toMatchObject({ state: 'success' });
    await rm(directory, { recursive: true, maxRetries: 5 });
  });
});
