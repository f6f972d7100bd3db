import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { parsePipeline } from '../../src/pipeline/index.ts';
import type { SetUp } from '../e2e/fixture.ts';
import { formatPipeline } from '../e2e/target.ts';
import { toHeaders, toPath, toPayload, useOutsider } from './outsider.ts';

describe('A9 A secret in public output', () => {
  const outsider = useOutsider();
  const { fixture } = outsider;
  const SECRET = 'corr3ct h0rse/battery+staple';

  let shared: SetUp | undefined;
  let earlier = 0;
  beforeAll(() => {
    earlier = fixture.world.forge.statuses.length;
  });

  /** Returns what Telegram and the forge show of a step that prints `$S` with this script and fails. */
  async function show(script: string, secret = SECRET): Promise<string> {
    const hook = (shared ??= await fixture.setUp());
    const sealed = await hook.user.seal('secret:S', secret);
    const source = formatPipeline(
      fixture.target,
      hook.k8s,
      `- main: ${JSON.stringify(`echo begin; ${script}; echo; echo end; exit 1`)}`,
      `secrets: {S: ${sealed}}\n`,
    );
    const { sha, status, text } = await fixture.push(hook.user, { 'c3.yaml': source });
    const versions = fixture.world.telegram
      .messages()
      .flatMap((message) => message.versions.map((version) => version.text));
    const shown = `${versions.filter((version) => version.includes(sha.slice(0, 7))).join('\n')}\n${status.description}`;
    expect(text).toContain('begin');
    expect(text).toContain('end');
    return shown;
  }

  it('is hidden in plain text', async () => {
    expect(await show('echo "$S"')).not.toContain(SECRET);
  });

  it('is hidden when a step writes it byte by byte', async () => {
    const script = 'for i in $(seq 1 ${#S}); do printf %s "$(printf %s "$S" | cut -c$i | tr " " _)"; done';
    expect(await show(script, 'corr3ct_h0rse_battery')).not.toContain('corr3ct_h0rse_battery');
  });

  it('is hidden in base64, wherever it starts in the encoded text', async () => {
    const shown = await show('for before in "" x xx; do printf "%s" "$before$S and more" | base64 -w0; echo; done');
    for (const before of ['', 'x', 'xx']) {
      const encoded = Buffer.from(`${before}${SECRET}`).toString('base64').replace(/=+$/, '');
      expect(shown).not.toContain(encoded.slice(4, -2));
    }
  });

  it('is hidden in hexadecimal of both cases', async () => {
    const shown = await show(
      String.raw`printf %s "$S" | od -An -v -tx1 | tr -d " \n"; echo; printf %s "$S" | od -An -v -tx1 | tr -d " \n" | tr a-f A-F`,
    );
    expect(shown.toLowerCase()).not.toContain(Buffer.from(SECRET).toString('hex'));
  });

  it('is hidden in a URL and in JSON', async () => {
    const secret = 'p@ss"w0rd&more/';
    const url = encodeURIComponent(secret);
    const json = JSON.stringify(secret).slice(1, -1);
    const shown = await show(
      `echo "http://u:${url.replaceAll('%', '%')}@h/"; printf '%s\\n' '{"a":"${json}"}'`,
      secret,
    );
    expect(shown).not.toContain(url);
    expect(shown).not.toContain(json);
  });

  it('is hidden in the quoting of shells', async () => {
    const secret = `correct'horse battery!9`;
    const traces = [
      'sh -xc \': "$S"\' 2>&1',
      'bash -xc \': "$S"\' 2>&1',
      `bash -c 'printf "%q\\n" "$S"; declare -p S'`,
    ];
    const shown = await show([...traces, 'sh -c "export -p" | grep horse'].join('; '), secret);
    expect(shown).not.toMatch(/correct|horse|battery/);
  });

  it('is hidden in the lines that base64 and xxd write', async () => {
    const secret = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY-and-as-much-again-for-a-second-line';
    const hex = String.raw`od -An -v -tx1 | tr -d " \n" | fold -w 60`;
    const shown = await show(`printf %s "$S" | base64; printf %s "$S" | ${hex}`, secret);
    const base64 = Buffer.from(secret).toString('base64');
    for (const line of [base64.slice(0, 76), base64.slice(76, -2)]) expect(shown).not.toContain(line.slice(0, 20));
    for (const at of [0, 60, 120])
      expect(shown).not.toContain(
        Buffer.from(secret)
          .toString('hex')
          .slice(at, at + 20),
      );
  });

  it('is hidden in the JSON of PHP and of Python', async () => {
    const shown = await show(
      String.raw`printf '%s\n' '{"a":"pw\u00e4rts\/geheim","b":"pw\u00E4rts\/geheim"}'`,
      'pwärts/geheim',
    );
    expect(shown).not.toContain('geheim');
  });

  it('is hidden when it contains a colour or other control characters', async () => {
    const shown = await show(
      String.raw`printf '%s\033[1m%s\033[m\n' "$(printf %s "$S" | cut -c1-9)" "$(printf %s "$S" | cut -c10-)"; printf %s "$S" | sed 's/./&\x00/g'`,
    );
    expect(shown).not.toContain(SECRET);
    expect(shown.match(/\*\*\*/g)).toHaveLength(2);
  });

  it('is hidden line by line if it is a key', async () => {
    const key = '-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQ\nZZZZvQIBADANBgkqhkiG9w0BZZ\n-----END KEY-----';
    const shown = await show(`printf '%s\\n' "$S" | sed -n 3p`, key);
    expect(shown).not.toContain('ZZZZvQIBADANBgkqhkiG9w0BZZ');
  });

  it('is hidden if it is the access token or the header with it, which the steps of the git container know', async () => {
    const hook = await fixture.setUp();
    const source = formatPipeline(fixture.target, hook.k8s, '- git: env | grep GIT_CONFIG; exit 1');
    const { text } = await fixture.push(hook.user, { 'c3.yaml': source });
    const { token } = fixture.world.owner;
    expect(text).toContain('Authorization: Basic ***');
    expect(text).not.toContain(token);
    expect(text).not.toContain(Buffer.from(`x-access-token:${token}`).toString('base64'));
  });

  it('is not quoted when c3 refuses to seal it', async () => {
    const hook = await fixture.setUp();
    for (const purpose of ['hook', 'telegram', 'nonsense', 'secret:1']) {
      const answer = await outsider.send(`/encrypt?repo=${hook.user.scope}&for=${purpose}`, {
        body: `${SECRET} not right`,
      });
      expect(answer.status).toBe(400);
      expect(answer.text).not.toContain(SECRET);
    }
  });

  it('is not shown if it is in clear text in place of a sealed value', async () => {
    const hook = await fixture.setUp();
    const token = 'glpat-in-clear-text-by-mistake';
    const source = formatPipeline(
      fixture.target,
      hook.k8s,
      '- main: echo',
      `secrets: {TOKEN: ${token}}\ntelegram: ${token}\n`,
    );
    const { text, status } = await fixture.push(hook.user, { 'c3.yaml': source });
    expect(text).toMatch(/not a sealed value/);
    expect(`${text}${status.description}`).not.toContain(token);
  });

  it.each([
    ['indented as a whole', (yaml: string) => yaml.replaceAll(/^(?=.)/gm, '  ')],
    ['with an anchor at the key', (yaml: string) => yaml.replace('secrets:', '&s secrets:')],
    ['with a tag at the key', (yaml: string) => yaml.replace('secrets:', '!!str secrets:')],
    ['with a question mark before the key', (yaml: string) => yaml.replace('secrets:', '? secrets\n:')],
    ['with escapes in the key', (yaml: string) => yaml.replace('secrets:', String.raw`"sec\x72ets":`)],
    ['with a misspelt key', (yaml: string) => yaml.replace('secrets:', 'secrts:')],
    ['with a quote that is not closed', (yaml: string) => yaml.replace('- main: echo', '- main: "echo')],
    ['in braces', (yaml: string) => `{k8s: ${/glpat[\w-]+/.exec(yaml)?.[0] ?? ''}, secrets: {wrong-name: x}}\n`],
  ])('is not shown in clear text in place of a sealed value in a c3.yaml %s', async (_how, rewrite) => {
    const hook = await fixture.setUp();
    const token = 'glpat-in-clear-text-by-mistake';
    const secrets = `secrets:\n  TOKEN: ${token}\nwrong: x\ntelegram:\n  to: ${token}\n  wrong: x\n`;
    const source = rewrite(formatPipeline(fixture.target, hook.k8s, '- main: echo', secrets));
    expect(source).toContain(token);
    const { text, status } = await fixture.push(hook.user, { 'c3.yaml': source });
    expect(text).toMatch(/c3\.yaml:\d+:\d+ error: /);
    expect(`${text}${status.description}`).not.toContain(token);
    expect(JSON.stringify(parsePipeline(source).problems)).not.toContain(token);
  });

  it('is not in the log of c3: no key, token, signature or secret', async () => {
    const hook = await fixture.setUp();
    const body = JSON.stringify(toPayload(hook, '1'.repeat(40)));
    await outsider.send(toPath(hook.url), { headers: toHeaders('guess', body), body });
    await outsider.send(`${toPath(hook.url)}&key=again`, { headers: toHeaders(hook.secret, body), body });
    await outsider.send(toPath(hook.url).replace('/hook', '/hooks'), { body });
    await outsider.send(`/encrypt?repo=${hook.user.scope}&for=telegram`, { body: fixture.world.bot });
    const { sha } = await hook.user.push(
      { 'c3.yaml': formatPipeline(fixture.target, 'aa.bb.cc.dd', '- main: x') },
      'x',
    );
    await hook.user.waitForEnd(sha);
    const log = fixture.world.c3.log.join('\n');
    expect(log).toContain(sha);
    const { settings, owner, bot } = fixture.world;
    const key = new URL(hook.url).searchParams.get('key') ?? '';
    for (const secret of [
      settings['C3_SECRET'] ?? '',
      owner.token,
      bot,
      bot.split(':')[1] ?? '',
      key,
      hook.secret,
      hook.k8s,
    ]) {
      expect(secret.length).toBeGreaterThan(20);
      expect(log).not.toContain(secret);
    }
  });

  it('is not in the list of processes of the machine', () => {
    const argv = readFileSync(`/proc/${fixture.world.c3.pid}/cmdline`, 'utf8');
    for (const value of Object.values(fixture.world.settings).filter((text) => text.length > 20)) {
      expect(argv).not.toContain(value);
    }
  });

  it('is not in a public commit status, which links only to the page, whose address is sealed', () => {
    const page = `${fixture.world.c3.url}/b/`;
    const targets = fixture.world.forge.statuses.slice(earlier).flatMap(({ targetUrl }) => targetUrl ?? []);
    expect(targets.length).toBeGreaterThan(0);
    for (const target of targets) {
      expect(target.startsWith(page)).toBe(true);
      const bytes = Buffer.from(target.slice(page.length).split('.')[2] ?? '', 'base64url').toString('latin1');
      expect(target.slice(page.length)).toMatch(/^[\w-]{2}(\.[\w-]+){3}$/);
      expect(bytes + target).not.toMatch(/acme|shop|main|github_pat/);
    }
  });
});
