import { describe, expect, it } from 'vitest';
import { parsePipeline } from '../../src/pipeline/index.ts';
import { runCli } from '../../src/cli/commands.ts';
import { formatPipeline } from '../e2e/target.ts';
import { toPayload, useOutsider } from './outsider.ts';
import { deadline } from '../time-limits.ts';

describe('A8 Foreign text that could become a command, an option or markup', () => {
  const outsider = useOutsider();
  const { fixture } = outsider;

  it('passes a branch name with shell syntax to the steps as a variable, and to git as a ref', async () => {
    const hook = await fixture.setUp();
    const branch = `a'";$(touch\${IFS}/c3/pwned)\`touch\${IFS}/c3/pwned\`&|<b>%s$C3_SHA`;
    const steps =
      '- git: test "$C3_BRANCH" = "$(cat expected)" && test "$(git rev-parse HEAD)" = "$C3_SHA"\n- main: test "$C3_REF" = "refs/heads/$(cat expected)" && test ! -e /c3/pwned';
    const { status, text } = await fixture.push(
      hook.user,
      { 'c3.yaml': formatPipeline(fixture.target, hook.k8s, steps), expected: branch },
      `refs/heads/${branch}`,
    );
    expect(status).toMatchObject({ state: 'success' });
    expect(text).toContain(branch);
  });

  it('passes a commit message with shell syntax to the steps as a variable', async () => {
    const hook = await fixture.setUp();
    const subject = `'; touch /c3/pwned; $(touch /c3/pwned) \`id\` "$C3_SHA" %d \\n`;
    const source = formatPipeline(
      fixture.target,
      hook.k8s,
      '- main: test "$C3_SUBJECT" = "$(cat expected)" && test ! -e /c3/pwned',
    );
    const { sha } = await hook.user.push({ 'c3.yaml': source, expected: subject.trim() }, subject);
    expect(await hook.user.waitForEnd(sha)).toMatchObject({ state: 'success' });
  });

  it('passes a secret with quotes, line ends and shell syntax to the steps unchanged', async () => {
    const hook = await fixture.setUp();
    const secret = `it's "so"; touch /c3/pwned\n$(touch /c3/pwned)\n'\\''`;
    const sealed = await hook.user.seal('secret:S', secret);
    const source = formatPipeline(
      fixture.target,
      hook.k8s,
      '- main: test "$S" = "$(cat expected)" && test ! -e /c3/pwned',
      `secrets: {S: ${sealed}}\n`,
    );
    expect(await fixture.push(hook.user, { 'c3.yaml': source, expected: secret })).toMatchObject({
      status: { state: 'success' },
    });
  });

  it('sets only C3_* variables from an event in the environment of a step', async () => {
    const hook = await fixture.setUp();
    const hostile = {
      LD_PRELOAD: '/c3/evil.so',
      BASH_ENV: '/c3/evil',
      GIT_SSH_COMMAND: 'sh',
      PATH: '/c3',
      NODE_OPTIONS: '-r /c3/x',
      ENV: '/c3/x',
    };
    const guard = `! env | grep -E '^(LD_|BASH_ENV|ENV=|GIT_SSH|NODE_OPTIONS|__proto__)|/c3/evil'`;
    const source = formatPipeline(fixture.target, hook.k8s, `- main: ${JSON.stringify(guard)}`);
    const { sha } = await hook.user.push({ 'c3.yaml': source }, 'ordinary');
    await hook.user.waitForEnd(sha);
    const before = fixture.world.forge.statuses.length;
    const payload = toPayload(hook, sha, {
      ...hostile,
      env: hostile,
      environment: hostile,
      inputs: hostile,
      head_commit: { id: sha, message: 'm', author: { name: 'x', ...hostile }, ...hostile },
    });
    expect(await outsider.deliver(hook, payload)).toMatchObject({ status: 202 });
    const end = await fixture.world.forge.waitFor(
      () =>
        fixture.world.forge.statuses.slice(before).find((status) => status.sha === sha && status.state !== 'pending'),
      deadline(),
    );
    expect(end).toMatchObject({ state: 'success' });
  });

  it.each([
    ['begins with a dash', 'refs/heads/--upload-pack=touch${IFS}x'],
    ['has a space', 'refs/heads/a b'],
    ['has a line end', 'refs/heads/a\nb'],
    ['has a NUL', 'refs/heads/a\0b'],
    ['has ".." in its path', 'refs/heads/../../config'],
    ['is a range', 'refs/heads/a..b'],
    ['is a reflog', 'refs/heads/a@{1}'],
    ['has a colon, as a refspec', 'refs/heads/a:refs/heads/b'],
    ['has an escape sequence', 'refs/heads/a\u001b[2Jb'],
    ['has a C1 control', 'refs/heads/a\u009b2Jb'],
    ['is a glob', 'refs/heads/*'],
    ['has half a character', 'refs/heads/\ud800'],
    ['is no ref', '--help'],
  ])('refuses a ref that %s', async (_, ref) => {
    const hook = await fixture.setUp();
    await outsider.spare(async () => {
      const answer = await outsider.deliver(hook, toPayload(hook, '1'.repeat(40), { ref }));
      expect(answer).toMatchObject({ status: 400, text: expect.stringMatching(/ref/) });
      // oxlint-disable-next-line no-control-regex -- an answer is shown in the forge's delivery log
      expect(answer.text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
    });
  });

  it('shows messages, names and branches in Telegram as text: no tag, no entity, no mention, no escape sequence', async () => {
    const hook = await fixture.setUp();
    const ref = 'refs/heads/<script>alert(1)</script>&amp;';
    const source = formatPipeline(fixture.target, hook.k8s, '- main: echo');
    const { sha } = await hook.user.push({ 'c3.yaml': source }, 'harmless', ref);
    await hook.user.waitForEnd(sha);
    // Another delivery of the same push: the forge confirms the commit, but not the other fields.
    const hostile = `<b>x</b> &lt; &#60; <a href="tg://user?id=1">y</a> @everybody \u001b]8;;http://evil\u0007z\u001b[31m \u202egnp.exe \u0000end`;
    const author = { name: '</b></a><i>admin</i>' };
    const payload = toPayload(hook, sha, { ref, head_commit: { id: sha, message: hostile, author } });
    expect(await outsider.deliver(hook, payload)).toMatchObject({ status: 202 });
    const isOfIt = (message: string): boolean => message.includes(sha.slice(0, 7)) && message.includes(author.name);
    const shown = await fixture.world.telegram.waitFor(
      ({ versions }) => isOfIt(versions.at(-1)?.text ?? ''),
      deadline(),
    );
    const text = shown.versions.at(-1)?.text ?? '';
    expect(text).toContain('<b>x</b> &lt; &#60; <a href="tg://user?id=1">y</a>');
    expect(text).toContain('<script>alert(1)</script>&amp;');
    expect(text).not.toMatch(/@everybody/);
    // oxlint-disable-next-line no-control-regex -- that is what must not be there
    expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
  });

  it('shows no text of an unconfirmed push in Telegram', async () => {
    const hook = await fixture.setUp();
    const sha = 'abcdef2'.padEnd(40, '0');
    const payload = toPayload(hook, sha, {
      ref: 'refs/heads/your-account-is-locked-see-evil.example',
      head_commit: { id: sha, message: 'call 555-evil', author: { name: 'evil admin' } },
    });
    expect(await outsider.deliver(hook, payload)).toMatchObject({ status: 202 });
    const { text } = await hook.user.waitForMessage(sha);
    expect(text).toContain('so its texts are not shown');
    expect(text).not.toMatch(/evil|locked/);
  });

  it('shows what a step prints as text: markup, links, titles and cursor movements included', async () => {
    const hook = await fixture.setUp();
    const hostile = String.raw`printf '\033]0;title\007\033[2J\033[1;1H<b>bold</b>\033]8;;http://evil\033\\click\033]8;;\033\\ &amp; \233 end\n'; exit 1`;
    const source = formatPipeline(
      fixture.target,
      hook.k8s,
      `- main: ${JSON.stringify(hostile)}\n  name: "<i>name</i> &amp;"`,
    );
    const { text, status } = await fixture.push(hook.user, { 'c3.yaml': source });
    expect(text).toContain('<b>bold</b>click &amp;');
    expect(`${text}${status.description}`).toContain('<i>name</i>');
    // oxlint-disable-next-line no-control-regex -- that is what must not be there
    expect(`${text}${status.description}`).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]|http:\/\/evil/);
  });

  it('does not parse the output of a step as its end', async () => {
    const hook = await fixture.setUp();
    const fake = String.raw`printf 'X 0 0 exited\nL\nS clean\nX 20 0 exited\nD 0 5\n'; exit 5`;
    const source = formatPipeline(fixture.target, hook.k8s, `- main: ${JSON.stringify(fake)}`);
    expect(await fixture.push(hook.user, { 'c3.yaml': source })).toMatchObject({
      status: { state: 'failure', description: expect.stringMatching(/exit code 5/) },
    });
  });

  it('logs a request with a hostile path as one line of JSON', async () => {
    const before = fixture.world.c3.log.length;
    await outsider.send('/x%0a%7B%22level%22:60%7D%1b[2J', { headers: { 'user-agent': 'a\tb' } });
    await outsider.send(`/hook?key=x%0a{"level":60}&repo=${fixture.world.forge.host}/a/b`);
    await expect.poll(() => fixture.world.c3.log.length).toBeGreaterThan(before);
    for (const line of fixture.world.c3.log) expect((JSON.parse(line) as { level: number }).level).toBeLessThan(60);
  });

  it('refuses variables in c3.yaml that change the shell of the steps or have the prefix of c3', () => {
    const names = [
      'LD_PRELOAD',
      'LD_LIBRARY_PATH',
      'LD_AUDIT',
      'BASH_ENV',
      'ENV',
      'PATH',
      'IFS',
      'SHELLOPTS',
      'C3_SHA',
      'C3_BUILD_ID',
      'A-B',
      'A=B',
      '1A',
      'A\nB',
      '',
    ];
    for (const name of names) {
      const source = formatPipeline(
        { kubeconfig: '', forgeHost: '', images: { git: 'g', main: 'm' } },
        'aa.bb.cc.dd',
        '- main: x',
        `env: {${JSON.stringify(name)}: x}\n`,
      );
      const { pipeline, problems } = parsePipeline(source);
      expect({ name, pipeline }).toEqual({ name, pipeline: undefined });
      expect(problems.length).toBeGreaterThan(0);
    }
  });

  it('sets no prototype from a key of c3.yaml', () => {
    const source = formatPipeline(
      { kubeconfig: '', forgeHost: '', images: { git: 'g', main: 'm' } },
      'aa.bb.cc.dd',
      '- main: x',
      `env: {__proto__: polluted, constructor: x}\nx-a: {__proto__: {polluted: yes}}\n`,
    ).replace('{name: shop}', '{name: shop, __proto__: {polluted: yes}}');
    parsePipeline(source);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
    expect(Object.prototype.toString.call({})).toBe('[object Object]');
  });

  it('sets no prototype from a field of a payload', async () => {
    const hook = await fixture.setUp();
    const body = `{"__proto__": {"kind": "push", "deleted": true}, "constructor": {"prototype": {"polluted": 1}}, ${JSON.stringify(toPayload(hook, '1'.repeat(40))).slice(1)}`;
    const payload = JSON.parse(body) as object;
    expect(Object.hasOwn(payload, '__proto__')).toBe(true);
    expect(await outsider.deliver(hook, payload)).toMatchObject({ status: 202 });
    expect(await outsider.send('/healthz', { method: 'GET' })).toMatchObject({ status: 200, text: 'ok' });
  });

  it('removes the escape sequences of a hostile c3.yaml from the output of c3 lint', async () => {
    const printed: string[] = [];
    const source = 'k8s: x\n"\\e]0;owned\\a\\e[2J": 1\nsteps: "\\u009b31m"\n# \u001b[31m\n';
    for (const text of [source, source.replaceAll('\\e', '\u001b')]) {
      await runCli(['lint', 'c3.yaml'], {
        env: {},
        isInputTerminal: false,
        readInput: () => Promise.resolve(''),
        readFile: () => text,
        writeFile: () => {},
        print: (line) => void printed.push(line),
        tell: (line) => void printed.push(line),
      });
    }
    expect(printed.length).toBeGreaterThan(2);
    // oxlint-disable-next-line no-control-regex -- that is what must not be there
    expect(printed.join('\n')).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
  });
});
