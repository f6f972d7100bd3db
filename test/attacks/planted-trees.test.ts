import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { formatPipeline } from '../e2e/target.ts';
import { useOutsider } from './outsider.ts';

/** A program that shows that it ran. */
const MAKE_EVIL = 'printf "#!/bin/sh\\ntouch /c3/pwned\\nenv >> /c3/loot\\ncat\\n" > /c3/evil; chmod +x /c3/evil';

/** Passes only if the work tree has the files and modes of the commit, and nothing planted has run. */
const CHECK = [
  'test ! -e /c3/pwned && test ! -e /c3/loot',
  'test "$(cat file)" = two && test "$(cat dir/inner)" = inner && test ! -L dir',
  'test "$(stat -c %a file)" = 644 && test "$(stat -c %a dir)" = 755',
  'test "$(find . -path ./.git -prune -o ! -type d -print | sort | tr "\\n" " ")" = "./c3.yaml ./dir/inner ./file ./kept "',
  'test "$(cat kept)" = kept',
  'test -d .git && test ! -L .git && test -z "$(git status --porcelain)" && git fsck --strict',
  'test "$(git log -1 --format=%H)" = "$C3_SHA" && test "$(git show HEAD:kept)" = kept',
].join(' && ');

describe('A10 A work tree that an earlier build or another container has prepared', () => {
  const outsider = useOutsider();
  const { fixture } = outsider;

  /** Builds a commit whose step runs the script, then another one that checks. Returns both states. */
  async function plant(container: string, script: string): Promise<(string | undefined)[]> {
    const hook = await fixture.setUp();
    const { user, k8s } = hook;
    const planted = formatPipeline(
      fixture.target,
      k8s,
      `- ${container}: |\n${[MAKE_EVIL, ...script.split('\n')].map((line) => `    ${line}`).join('\n')}`,
    );
    const files = { file: 'one', kept: 'kept', 'dir/inner': 'inner' };
    const first = await fixture.push(user, { 'c3.yaml': planted, ...files });
    const source = formatPipeline(fixture.target, k8s, `- main: ${JSON.stringify(CHECK)}`);
    const second = await fixture.push(user, { 'c3.yaml': source, file: 'two' });
    expect(second.text).toContain('warm');
    return [first.status.state, second.status.state];
  }

  it.each([
    [
      'an index entry with the stat data of a changed file',
      'main',
      'printf evil > kept; git update-index --cacheinfo "100644,$(git hash-object -w kept),kept"; git update-index --assume-unchanged kept',
    ],
    [
      'objects with other bytes, alternates, grafts, replaced objects and a shallow file',
      'main',
      `replaced=$(git rev-parse HEAD:kept); blob=.git/objects/$(echo "$replaced" | sed 's|^..|&/|'); evil=$(echo evil | git hash-object -w --stdin)
mkdir -p "\${blob%/*}"; rm -f "$blob"; cp ".git/objects/$(echo "$evil" | sed 's|^..|&/|')" "$blob"; printf evil > kept
echo /c3/nowhere > .git/objects/info/alternates; git rev-parse HEAD > .git/info/grafts; echo broken > .git/shallow
mkdir -p .git/refs/replace; echo "$evil" > ".git/refs/replace/$replaced"; rm -f .git/objects/pack/*`,
    ],
    [
      'a symbolic link in place of .git, of a directory and of the work tree of a repository',
      'main',
      'mv .git /c3/moved; ln -s /c3/moved .git; rm -r dir; ln -s /c3 dir; printf evil > kept; git init -q nested; git -C nested config core.fsmonitor /c3/evil',
    ],
    [
      'a gitfile that leads to a repository with its own work tree, hooks and includeIf',
      'main',
      'git init -q /c3/evil.git; printf "[core]\\n\\tworktree = /\\n\\tfsmonitor = /c3/evil\\n\\thooksPath = /c3\\n[includeIf \\"gitdir:/\\"]\\n\\tpath = /c3/more\\n" >> /c3/evil.git/.git/config; rm -r .git; echo "gitdir: /c3/evil.git/.git" > .git',
    ],
    [
      'a partial clone whose remote is a program, a common directory and packed refs',
      'main',
      `git config extensions.partialClone origin; git config remote.origin.promisor true; git config remote.origin.url 'ext::/c3/evil'; git config protocol.ext.allow always
rm -f .git/objects/pack/*; mkdir -p /c3/common; echo /c3/common > .git/commondir; echo "$(git rev-parse HEAD 2> /dev/null || echo 1) refs/heads/evil" > .git/packed-refs`,
    ],
    [
      'other modes, names that differ by case, and repositories in directories of the commit',
      'main',
      'chmod 600 file; chmod 777 dir; mkdir .GIT dir/.git FILE Dir; cp /c3/evil .GIT/hooks; printf "[core]\\n\\tfsmonitor = /c3/evil\\n" > dir/.git/config; git config core.ignoreCase true; git config core.fileMode false',
    ],
    [
      'global settings, filters and attributes in the container that checks out',
      'git',
      `git config --global filter.evil.smudge /c3/evil; git config --global filter.evil.required true; git config --global core.fsmonitor /c3/evil; git config --global core.hooksPath /c3
git config --global core.attributesFile /c3/attributes; echo "* filter=evil text eol=crlf" > /c3/attributes; git config --global url.http://127.0.0.1:1/.insteadOf http://; rm -f /c3/pwned /c3/loot`,
    ],
  ])('decides no file and runs nothing with %s', async (_, container, script) => {
    expect(await plant(container, script)).toEqual(['success', 'success']);
  });

  it('runs no hook in a repository that another container puts in place of a submodule', async () => {
    const library = await fixture.setUp();
    const { sha } = await library.user.push({ code: 'library' }, 'library');
    const { user, k8s } = await fixture.setUp();
    const extra = 'checkout: {submodules: true}\n';
    const plant = [
      MAKE_EVIL,
      'test "$(cat vendor/lib/code)" = library || exit 1',
      'rm -rf .git/modules vendor/lib/.git; git init -q vendor/lib; git -C vendor/lib config core.fsmonitor /c3/evil',
      'for h in post-checkout reference-transaction post-index-change; do cp /c3/evil "vendor/lib/.git/hooks/$h"; done',
      'echo evil > vendor/lib/code; rm -f /c3/pwned /c3/loot',
    ];
    const planted = `- main: |\n${plant.map((line) => `    ${line}`).join('\n')}`;
    await mkdir(join(user.tree.path, 'vendor', 'lib'), { recursive: true });
    await user.tree.git('update-index', '--add', '--cacheinfo', `160000,${sha},vendor/lib`);
    const first = await fixture.push(user, {
      '.gitmodules': `[submodule "lib"]\n\tpath = vendor/lib\n\turl = ../../${library.user.fullName}.git\n`,
      'c3.yaml': formatPipeline(fixture.target, k8s, planted, extra),
    });
    expect(first).toMatchObject({ status: { state: 'success' } });
    const check =
      'test ! -e /c3/pwned && test ! -e /c3/loot && test "$(cat vendor/lib/code)" = library && test -z "$(git -C vendor/lib status --porcelain)" && test -f vendor/lib/.git';
    const source = formatPipeline(fixture.target, k8s, `- main: ${JSON.stringify(check)}`, extra);
    expect(await fixture.push(user, { 'c3.yaml': source })).toMatchObject({ status: { state: 'success' } });
  });

  it('gets no token with a small commit, and steps of the same container none with credential: false', async () => {
    const { user, k8s } = await fixture.setUp();
    const { token } = fixture.world.owner;
    const secret = Buffer.from(`x-access-token:${token}`).toString('base64');
    // The reversed text is not masked, and not in the command line of the search itself.
    const reversed = secret.split('').toReversed().join('');
    // Watches every process of the container during the next checkout. It stays part of an exec: a process that a sweep
    // finds strange would end the Pod.
    const watch = `while [ ! -e /c3/stop ]; do touch /c3/looked; cat /proc/[0-9]*/environ 2> /dev/null | tr '\\0' '\\n' | rev | grep -q '${reversed}' && touch /c3/found; done; ls /c3`;
    const extra = 'checkout: {credential: false}\n';
    const steps = `- git: "! env | rev | grep -q '${reversed}'"`;
    const first = await fixture.push(user, {
      'c3.yaml': formatPipeline(fixture.target, k8s, steps, extra),
      file: 'one',
    });
    expect(first.status).toMatchObject({ state: 'success' });
    const pod = outsider.cluster.pods().at(-1)?.metadata.name ?? '';
    const watched = fixture.pods.run(pod, 'git', ['sh', '-c', watch]);
    await expect.poll(() => fixture.pods.run(pod, 'git', ['ls', '/c3'])).toContain('looked');
    const { status } = await fixture.push(user, {
      'c3.yaml': formatPipeline(fixture.target, k8s, steps, extra),
      file: 'two',
    });
    expect(status).toMatchObject({ state: 'success' });
    await fixture.pods.run(pod, 'git', ['touch', '/c3/stop']);
    const seen = await watched;
    expect(seen).toContain('stop');
    expect(seen).not.toContain('found');
  });
});
