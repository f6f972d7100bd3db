import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { LINKS, PASSED } from '../../dev/telegram/build-states.ts';
import { createOpener } from '../../src/cli/create-opener.ts';
import { runCli } from '../../src/cli/commands.ts';
import {
  formatSecret,
  openSealed,
  parseKeyring,
  parseScope,
  sealForPublicKey,
  toJwks,
  type Binding,
} from '../../src/sealing/index.ts';
import { GROUP, openReporting, TOKEN } from '../fakes/telegram-reporting.ts';
import { useOutsider } from './outsider.ts';

const SECRET = formatSecret(randomBytes(32));
const keyring = parseKeyring(SECRET);
const jwks = toJwks(keyring);
const SCOPE = parseScope('github.com/acme/shop');
const CHAT = '{"chat": -1001234567890}';
const OPERATORS: Binding = { scope: SCOPE, purpose: { kind: 'telegram', bot: 'operator' } };
const TELEGRAM: Binding = { scope: SCOPE, purpose: { kind: 'telegram' } };
const open = createOpener(keyring, TOKEN);
const CLOSED = { code: 'SEALED_INVALID' };

/** Runs `c3 encrypt --for telegram` with the operator's secret on a text. */
async function encrypt(text: string, ...flags: string[]): Promise<string> {
  const [out, err]: [string[], string[]] = [[], []];
  await runCli(['encrypt', '--repo', 'github.com/acme/shop', '--for', 'telegram', ...flags], {
    env: { C3_SECRET: SECRET },
    isInputTerminal: false,
    readInput: () => Promise.resolve(text),
    readFile: () => '',
    writeFile: () => {},
    print: (line) => void out.push(line),
    tell: (line) => void err.push(line),
  });
  return [...out, ...err].join('\n');
}

describe("A1 A chat for the operator's bot that the operator did not choose", () => {
  const { send } = useOutsider();

  it('cannot be sealed by a request, with any purpose', async () => {
    const refused = await send('/encrypt?repo=github.com/acme/shop&for=telegram', { method: 'POST', body: CHAT });
    expect([refused.status, refused.text]).toEqual([
      400,
      expect.stringContaining("only the operator of c3 seals for the operator's bot, with c3 encrypt and C3_SECRET"),
    ]);
    for (const purpose of ['telegram:bot=operator', 'telegram%3Abot%3Doperator', 'telegram&bot=operator']) {
      const path = `/encrypt?repo=github.com/acme/shop&for=${purpose}`;
      expect((await send(path, { method: 'POST', body: CHAT })).status).toBe(400);
    }
  });

  it('does not open when it was sealed with the public key, for any purpose', async () => {
    const forged = await sealForPublicKey(jwks, CHAT, OPERATORS);
    await expect(open(forged, TELEGRAM)).rejects.toMatchObject(CLOSED);
    await expect(openSealed(keyring, forged, OPERATORS)).rejects.toMatchObject(CLOSED);
    await expect(sealForPublicKey(jwks, CHAT, TELEGRAM)).rejects.toMatchObject({ code: 'PLAINTEXT_INVALID' });
  });

  it('opens only in the repository for which the operator sealed it', async () => {
    const sealed = await encrypt(CHAT);
    expect(JSON.parse((await open(sealed, TELEGRAM)).plaintext)).toEqual({ chat: -1001234567890, token: TOKEN });
    const scope = parseScope('github.com/mallory/shop');
    await expect(open(sealed, { ...TELEGRAM, scope })).rejects.toMatchObject(CLOSED);
  });

  it('opens only with the ref for which the operator sealed it', async () => {
    const ref = 'refs/heads/main';
    const [sealed = ''] = (await encrypt(CHAT, '--ref', ref)).split('\n');
    expect(JSON.parse((await open(sealed, { ...TELEGRAM, ref })).plaintext)).toMatchObject({ token: TOKEN });
    for (const other of [undefined, 'refs/heads/*', 'refs/heads/evil']) {
      await expect(open(sealed, { ...TELEGRAM, ref: other })).rejects.toMatchObject(CLOSED);
    }
  });

  it('is refused if the operator has no bot', async () => {
    const sealed = await encrypt(CHAT);
    await expect(createOpener(keyring, undefined)(sealed, TELEGRAM)).rejects.toMatchObject({
      code: 'TELEGRAM_INVALID',
      message: "The Telegram destination is for the operator's bot, and this c3 has none",
    });
  });
});

describe('A12 A chat of another user', () => {
  it('gets its messages without delay during a flood with an invalid token of the same bot', async () => {
    const { clock, server, create, close } = await openReporting({ hasLimits: true });
    try {
      const before = clock.now();
      const token = `${TOKEN.split(':')[0]}:${'x'.repeat(35)}`;
      const strangers = Array.from({ length: 30 }, () => create({ token, chat: GROUP }));
      for (const stranger of strangers) stranger.report(PASSED);
      const reporter = create({ chat: GROUP });
      reporter.report(PASSED);
      await reporter.finish();
      expect(server.messages(GROUP)).toHaveLength(1);
      expect(clock.now()).toBe(before);
      await clock.jumpUntil(Promise.all(strangers.map((stranger) => stranger.finish())));
    } finally {
      await close();
    }
  });
});

describe('A9 Control links in logs', () => {
  it('are not in the log when Telegram quotes the URL of a button that it refuses', async () => {
    const { server, create, finish, warnings, close } = await openReporting();
    try {
      const reporter = create();
      const quoted = `Bad Request: inline keyboard button URL '${LINKS.control}' is invalid: Wrong HTTP URL`;
      server.faults.fail('sendMessage', 400, quoted);
      server.faults.fail('sendMessage', 400, `Bad Request: ${LINKS.control} is not for you`);
      reporter.report({ ...PASSED, links: LINKS });
      await finish(reporter);
      expect(warnings).toHaveLength(2);
      expect(warnings.join('\n')).not.toContain('/b/');
    } finally {
      await close();
    }
  });
});
