import { describe, expect, it } from 'vitest';
import { formatPipeline } from '../e2e/target.ts';
import { isLong } from '../random.ts';
import { useOutsider } from './outsider.ts';

/** Prints everything that a process of a container can read about itself, its neighbours and the shared volume. */
const LOOK = [
  'sh',
  '-c',
  'cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2> /dev/null; echo; find /c3 -type f -exec cat {} + 2> /dev/null; ls -laR /c3 /tmp 2> /dev/null',
];

describe('A10 The checkout and its credential', () => {
  const outsider = useOutsider();
  const { fixture } = outsider;

  /** Runs `look` in the Pod while the build's git container is in a step. */
  async function lookInto(look: (pod: string) => Promise<void>): Promise<void> {
    const hook = await fixture.setUp();
    const before = new Set(outsider.cluster.pods().map(({ metadata }) => metadata.name));
    const steps = '- git: touch /c3/held; while [ ! -e /c3/go ]; do sleep 0.05; done';
    const { sha } = await hook.user.push({ 'c3.yaml': formatPipeline(fixture.target, hook.k8s, steps) }, 'held');
    const find = (): string | undefined =>
      outsider.cluster.pods().find(({ metadata, status }) => !before.has(metadata.name) && status?.phase === 'Running')
        ?.metadata.name;
    await expect.poll(find).toBeDefined();
    const pod = find() ?? '';
    await expect.poll(() => fixture.pods.run(pod, 'main', ['ls', '/c3'])).toContain('held');
    try {
      await look(pod);
    } finally {
      await fixture.pods.run(pod, 'main', ['touch', '/c3/go']);
    }
    expect(await hook.user.waitForEnd(sha)).toMatchObject({ state: 'success' });
  }

  function spellings(): string[] {
    const { token } = fixture.world.owner;
    return [token, Buffer.from(`x-access-token:${token}`).toString('base64'), encodeURIComponent(token)];
  }

  it('is not in the processes, environments and files that another container of the Pod sees', async () => {
    await lookInto(async (pod) => {
      const seen = await fixture.pods.run(pod, 'main', LOOK);
      expect(seen).toContain('repositoryformatversion');
      for (const spelling of spellings()) expect(seen).not.toContain(spelling);
    });
  });

  it('is not in a file, command line or setting of git in its own container', async () => {
    await lookInto(async (pod) => {
      const look =
        'cat /proc/[0-9]*/cmdline; echo; find / -xdev -newer /c3 -type f -size -200k -path "/c3/*" -exec cat {} + 2> /dev/null; cat /c3/project/.git/config ~/.gitconfig ~/.netrc 2> /dev/null';
      const seen = await fixture.pods.run(pod, 'git', ['sh', '-c', look]);
      expect(seen).toContain('c3-agent');
      for (const spelling of spellings()) expect(seen).not.toContain(spelling);
    });
  });

  it('is never in a file that another container of the Pod could read, even for a moment', async () => {
    const hook = await fixture.setUp();
    // More rounds find a short moment more probably; one hit is enough.
    const look = 'cat /c3/.c3/*/* /c3/.c3/*/*/* | grep -a Authorizatio[n] && touch /c3/found || :';
    const watch = `( while [ ! -e /c3/stop ]; do touch /c3/looked; ${look}; done ) > /dev/null 2>&1 &`;
    const steps = [
      ...Array.from({ length: isLong ? 3 : 1 }, () => `- main: ${JSON.stringify(watch)}`),
      ...Array.from({ length: isLong ? 12 : 4 }, () => '- git: echo'),
      '- main: touch /c3/stop; test -e /c3/looked',
      '- main: test ! -e /c3/found',
    ].join('\n');
    const source = formatPipeline(fixture.target, hook.k8s, steps);
    const { text } = await fixture.push(hook.user, { 'c3.yaml': source });
    expect(text).toMatch(/^✅/);
  });

  it('is safe from a script that another container of the Pod writes in place of a step', async () => {
    const hook = await fixture.setUp();
    const replace = 'for f in /c3/.c3/*/*scrip*; do [ ! -e $f ] || echo "env > /c3/loot" > $f; done';
    const watch = `( while [ ! -e /c3/stop ]; do touch /c3/looked; ${replace}; done ) > /dev/null 2>&1 &`;
    const steps = [
      `- main: ${JSON.stringify(watch)}`,
      ...Array.from({ length: isLong ? 12 : 4 }, () => '- git: echo'),
      '- main: touch /c3/stop; test -e /c3/looked; test ! -e /c3/loot',
    ].join('\n');
    const source = formatPipeline(fixture.target, hook.k8s, steps);
    expect(await fixture.push(hook.user, { 'c3.yaml': source })).toMatchObject({ status: { state: 'success' } });
  });

  it('is safe from a forged success that another container of the Pod writes for a failed step', async () => {
    const hook = await fixture.setUp();
    // The checkout is s0, the background loop s1.
    const forge = 'for f in /c3/.c3/*/s2.exit; do [ ! -e $f ] || echo "0 exited end" > $f; done';
    const watch = `( while :; do ${forge}; sleep 0.01; done ) > /dev/null 2>&1 &`;
    const steps = [`- main: ${JSON.stringify(watch)}`, '- git: sleep 1; exit 3'].join('\n');
    const source = formatPipeline(fixture.target, hook.k8s, steps);
    const { status } = await fixture.push(hook.user, { 'c3.yaml': source });
    expect(['failure', 'error']).toContain(status.state);
  });

  it('is not in the Pod object that the cluster stores, nor is a secret or script of a step', async () => {
    await lookInto(() => {
      const stored = JSON.stringify(outsider.cluster.pods());
      for (const spelling of [...spellings(), '/c3/held']) expect(stored).not.toContain(spelling);
      return Promise.resolve();
    });
  });

  it('leaves no secret of a step behind in the Pod', async () => {
    const hook = await fixture.setUp();
    const sealed = await hook.user.seal('secret:S', 'correct-horse-battery');
    const source = formatPipeline(fixture.target, hook.k8s, '- main: test -n "$S"', `secrets: {S: ${sealed}}\n`);
    expect(await fixture.push(hook.user, { 'c3.yaml': source })).toMatchObject({ status: { state: 'success' } });
    const pod = outsider.cluster.pods().at(-1)?.metadata.name ?? '';
    for (const container of ['git', 'main']) {
      expect(await fixture.pods.run(pod, container, LOOK)).not.toContain('correct-horse-battery');
    }
  });

  it('is not passed to hooks, filters, attributes, monitors and worktree settings that a build left in the repository', async () => {
    const hook = await fixture.setUp();
    const plant = [
      'printf "#!/bin/sh\\ntouch /c3/pwned; env >> /c3/loot\\n" > /c3/evil.sh; chmod +x /c3/evil.sh',
      'mkdir -p .git/hooks .git/info',
      'for h in post-checkout pre-commit reference-transaction post-index-change fsmonitor-watchman; do cp /c3/evil.sh .git/hooks/$h; done',
      'git config core.fsmonitor /c3/evil.sh; git config core.hooksPath /c3; git config core.sshCommand /c3/evil.sh',
      'git config filter.evil.smudge /c3/evil.sh; git config filter.evil.clean /c3/evil.sh; echo "* filter=evil" > .git/info/attributes',
      'git config credential.helper /c3/evil.sh; git config core.askPass /c3/evil.sh; git config core.pager /c3/evil.sh',
      'git config url.http://127.0.0.1:1/.insteadOf http://; git config http.proxy http://127.0.0.1:1',
      'git config extensions.worktreeConfig true; git config --worktree core.fsmonitor /c3/evil.sh',
      'git config include.path /c3/more; printf "[core]\\n\\tfsmonitor = /c3/evil.sh\\n" > /c3/more',
      'git update-index --skip-worktree file; echo evil > file',
      'rm -f /c3/pwned /c3/loot',
    ].join('\n    ');
    const planted = formatPipeline(fixture.target, hook.k8s, `- git: |\n    ${plant}`);
    expect(await fixture.push(hook.user, { 'c3.yaml': planted, file: 'one' })).toMatchObject({
      status: { state: 'success' },
    });
    const check = formatPipeline(
      fixture.target,
      hook.k8s,
      '- main: test ! -e /c3/pwned && test ! -e /c3/loot && test -e /c3/evil.sh && grep -q two file',
    );
    expect(await fixture.push(hook.user, { 'c3.yaml': check, file: 'two' })).toMatchObject({
      status: { state: 'success' },
    });
  });

  it('checks out the pushed files in spite of replaced objects, shallow files and links of an earlier build', async () => {
    const hook = await fixture.setUp();
    const plant = [
      'evil=$(echo evil | git hash-object -w --stdin); git replace "$(git rev-parse HEAD:file)" "$evil"',
      'mkdir -p .git/objects/info; echo /c3/nowhere > .git/objects/info/alternates',
      'rm -rf dir; ln -s /c3 dir; git update-index --assume-unchanged file',
    ].join('\n    ');
    const files = { file: 'one', 'dir/inner': 'inner' };
    const planted = formatPipeline(fixture.target, hook.k8s, `- git: |\n    ${plant}`);
    expect(await fixture.push(hook.user, { 'c3.yaml': planted, ...files })).toMatchObject({
      status: { state: 'success' },
    });
    const check = formatPipeline(
      fixture.target,
      hook.k8s,
      '- main: grep -qx one file && test ! -L dir && grep -qx inner dir/inner && test ! -e /c3/inner',
    );
    expect(await fixture.push(hook.user, { 'c3.yaml': check })).toMatchObject({ status: { state: 'success' } });
  });
});
