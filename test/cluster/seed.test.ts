import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createUser, type User } from '../../dev/demo/user.ts';
import { createWorld, type World } from '../../dev/demo/world.ts';
import { openPods, type Pods } from '../e2e/pods.ts';
import { openTarget } from './target.ts';

/** Fills in `k8s:` only. The rest of the file is unchanged, also the under-indented block scalar. */
async function fillIn(k8s: string): Promise<string> {
  const seed = await readFile(new URL('../../examples/seed.c3.yaml', import.meta.url), 'utf8');
  expect(seed).toContain('k8s: <encrypted-k8s-config>\n');
  return seed.replace('<encrypted-k8s-config>', k8s);
}

describe('the reference c3.yaml on a real Kubernetes', () => {
  let world: World;
  let pods: Pods;
  let user: User;
  let libraryUrl: string;

  beforeAll(async () => {
    const target = await openTarget();
    world = await createWorld({ forgeHost: target.forgeHost });
    pods = await openPods(target.kubeconfig);
    await world.forge.createRepository({ owner: 'acme', name: 'library', isPrivate: true });
    await world.forge.createRepository({ owner: 'acme', name: 'shop', isPrivate: true });
    const library = await createUser(world, { owner: 'acme', name: 'library' });
    await library.push({ 'code.clj': '(ns code)\n' }, 'A private library');
    libraryUrl = library.cloneUrl;

    user = await createUser(world, { owner: 'acme', name: 'shop' });
    const [url = '', secret = ''] = (await user.seal('hook', world.owner.token)).split('\n');
    await user.createHook(url, secret);
    await user.tree.git('submodule', 'add', '--quiet', libraryUrl, 'library');
    await user.tree.git('commit', '--quiet', '--message', 'Use the library');
    const source = await fillIn(await user.seal('k8s', target.kubeconfig));
    await user.tree.commit({ 'c3.yaml': source, Dockerfile: 'FROM scratch\n' }, 'Build it');
  });
  afterAll(async () => {
    await world.close();
    await pods.clear();
    await pods.close();
  });

  async function findPod(): Promise<string> {
    const [pod = '', ...others] = await pods.names();
    expect(others).toEqual([]);
    expect(pod).toMatch(/^buildit-[a-z0-9]+$/);
    return pod;
  }

  it('runs to the end with a private submodule, and reports what c3 repaired', async () => {
    const { sha } = await user.push({}, 'First push');
    const [status, { text }] = await Promise.all([user.waitForEnd(sha), user.waitForMessage(sha)]);
    expect(status).toMatchObject({ state: 'success' });
    expect(text).toMatch(/^✅ Passed/);
    expect(text).toMatch(/✅ checkout.*\n✅ git.*\n✅ clojure -A:test.*\n✅ clojure -A:jar.*\n✅ kaniko/);
    expect(text).toContain('c3.yaml:58:12 warning: the text under "kaniko: |" is not indented deeper than "kaniko"');
    expect(text).toContain('cold');

    const pod = await findPod();
    const clojure = await pods.run(pod, 'clj', ['cat', '/c3/proof/clojure.log']);
    expect(clojure.match(/^clojure .*$/gm)).toEqual(['clojure -A:test', 'clojure -A:jar']);
    expect(clojure.match(/^cwd .*$/gm)).toEqual(['cwd /c3/project', 'cwd /c3/project']);
    expect(clojure).toContain(`HEAD ${sha}`);
    expect(clojure).toContain('file ./library/code.clj');
    expect(await pods.run(pod, 'kaniko', ['cat', '/c3/proof/kaniko.log'])).toBe(
      [
        'executor',
        'argument --dockerfile=/c3/project/Dockerfile',
        'argument --context=/c3/project',
        'argument --no-push',
        'argument --tarPath=/c3/img',
        '',
      ].join('\n'),
    );
  });

  it('is built again in the warm Pod at the next push, at the new revision', async () => {
    const before = await findPod();
    const { sha } = await user.push({ 'new.txt': 'new\n' }, 'Second push');
    const [status, { text }] = await Promise.all([user.waitForEnd(sha), user.waitForMessage(sha)]);
    expect(status).toMatchObject({ state: 'success' });
    expect(text).toContain('warm');
    expect(await findPod()).toBe(before);
    const clojure = await pods.run(before, 'clj', ['cat', '/c3/proof/clojure.log']);
    expect(clojure.slice(clojure.lastIndexOf('clojure -A:jar'))).toContain(`HEAD ${sha}`);
    expect(clojure.slice(clojure.lastIndexOf('clojure -A:jar'))).toContain('file ./new.txt');
  });

  it('leaves no token in the Pod', async () => {
    const pod = await findPod();
    const { token } = world.owner;
    const credentials = Buffer.from(`x-access-token:${token}`).toString('base64');
    for (const secret of [token, credentials]) {
      // The pattern matches the secret, but not itself in a process list or a script.
      const pattern = `${secret.slice(0, -1)}[${secret.slice(-1)}]`;
      expect(await pods.run(pod, 'git', ['grep', '-rl', pattern, '/c3'])).toBe('');
    }
    expect(world.c3.log.join('\n')).not.toContain(token);
  });
});
