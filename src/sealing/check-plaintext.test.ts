import { describe, expect, it } from 'vitest';

import { C3Error } from '../errors.ts';
import { checkPlaintext, isForOperatorsBot, stripNewline } from './check-plaintext.ts';
import { parsePurpose } from './purpose.ts';

const TELEGRAM = 'A Telegram destination is JSON such as {"token": "123:abc", "chat": -100123, "thread": 45}';
const NO_TOKEN =
  'there is no "token"; only the operator of c3 seals for the operator\'s bot, with c3 encrypt and C3_SECRET';
const KUBECONFIG =
  "This is the path of a kubeconfig: give the file's text, for example from kubectl config view --raw --minify --flatten";
const ONE_WORD =
  'An access token is one word of printable ASCII: this text has white space, a control character or a letter outside ASCII';

describe('checkPlaintext', () => {
  it.each([
    ['hook', 'github_pat_abc'],
    ['hook', 'glpat-a.b~c'],
    ['k8s', 'apiVersion: v1\nclusters:\n- name: x\n'],
    ['k8s', '{"clusters": []}'],
    ['telegram', '{"token": "123:abc-_", "chat": -100123, "thread": 45}'],
    ['telegram', '{"token": "123:abc", "chat": "@my_channel"}'],
    ['telegram', '{"token": "123:abc", "chat": "-100123"}'],
    ['secret:KEY', 'two words\nand a line'],
    ['secret:KEY', 'a'.repeat(16 * 1024)],
    ['secret:KEY', 'я'.repeat(8192)],
    ['secret:KEY', ' '.repeat(3) + 'a'],
    ['hook', 'a'.repeat(4096)],
    ['hook', '!'],
    ['hook', '~'],
    ['k8s', 'server: https://h/path'],
    ['k8s', '/a/comment\nclusters: []'],
    ['k8s', 'x/y'],
    ['telegram', '{"token": "1:a", "chat": 1}'],
    ['telegram', '{"token": "1:a", "chat": 1, "thread": 1}'],
    ['telegram', `{"token": "1:a", "chat": ${Number.MAX_SAFE_INTEGER}, "thread": ${Number.MAX_SAFE_INTEGER}}`],
    ['telegram', '{"token": "1:a", "chat": "7"}'],
    ['telegram', '{"token": "1:a", "chat": "-1234567890123456"}'],
    ['telegram', '{"token": "1:a", "chat": "@abcd"}'],
    ['telegram', `{"token": "1:a", "chat": "@${'a'.repeat(32)}"}`],
  ])('accepts for %s %j', (purpose, plaintext) => {
    expect(() => checkPlaintext(parsePurpose(purpose), plaintext)).not.toThrow();
  });

  it.each([
    ['secret:KEY', '', 'There is nothing to seal: the text is empty'],
    ['hook', ' \n', 'There is nothing to seal: the text is empty'],
    ['secret:KEY', 'a\ud800', 'The text to seal is not well-formed Unicode'],
    ['secret:KEY', 'я'.repeat(8193), 'The text to seal is 16386 bytes long, at most 16384 are allowed'],
    ['secret:KEY', 'a\0b', 'A secret with a NUL byte cannot be an environment variable'],
    ['hook', 'two words', ONE_WORD],
    ['hook', 'token\n', ONE_WORD],
    ['hook', 'tok\u007fen', ONE_WORD],
    ['hook', 'a'.repeat(4097), 'An access token has at most 4096 characters, this text has 4097'],
    ['k8s', '/home/me/.kube/config', KUBECONFIG],
    ['k8s', '~/.kube/config', KUBECONFIG],
    ['telegram', '123:abc', `${TELEGRAM}: this text is not JSON`],
    ['telegram', '[]', `${TELEGRAM}: this is not an object`],
    ['telegram', 'null', `${TELEGRAM}: this is not an object`],
    ['telegram', '{"chat": 1}', `${TELEGRAM}: ${NO_TOKEN}`],
    ['telegram', '{"token": "123:abc", "chat": 0}', `${TELEGRAM}: "chat" is not a chat id or an @name`],
    ['telegram', '{"token": "123:abc", "chat": "me"}', `${TELEGRAM}: "chat" is not a chat id or an @name`],
    [
      'telegram',
      '{"token": "123:abc", "chat": 1, "thread": "4"}',
      `${TELEGRAM}: "thread" is not a positive whole number`,
    ],
    ['telegram', '{"token": "123:abc", "chat": 1, "topic": 4}', `${TELEGRAM}: "topic" is not known`],
  ])('refuses for %s %j', (purpose, plaintext, message) => {
    expect(() => checkPlaintext(parsePurpose(purpose), plaintext)).toThrow(new C3Error('PLAINTEXT_INVALID', message));
  });
});

describe('a Telegram destination', () => {
  it.each([
    ['"text"', 'this is not an object'],
    ['7', 'this is not an object'],
    ['{"token": "1:a"', 'this text is not JSON'],
    ['{"token": 1, "chat": 1}', '"token" is not a bot token'],
    ['{"token": ":a", "chat": 1}', '"token" is not a bot token'],
    ['{"token": "1:", "chat": 1}', '"token" is not a bot token'],
    ['{"token": "1a", "chat": 1}', '"token" is not a bot token'],
    ['{"token": "bot1:a", "chat": 1}', '"token" is not a bot token'],
    ['{"token": "1:a/../b", "chat": 1}', '"token" is not a bot token'],
    ['{"token": "1:a"}', '"chat" is not a chat id or an @name'],
    ['{"token": "1:a", "chat": 1.5}', '"chat" is not a chat id or an @name'],
    ['{"token": "1:a", "chat": 9007199254740992}', '"chat" is not a chat id or an @name'],
    ['{"token": "1:a", "chat": [1]}', '"chat" is not a chat id or an @name'],
    ['{"token": "1:a", "chat": ["@abcd"]}', '"chat" is not a chat id or an @name'],
    ['{"token": "1:a", "chat": "0"}', '"chat" is not a chat id or an @name'],
    ['{"token": "1:a", "chat": "12345678901234567"}', '"chat" is not a chat id or an @name'],
    ['{"token": "1:a", "chat": "1x"}', '"chat" is not a chat id or an @name'],
    ['{"token": "1:a", "chat": "x1"}', '"chat" is not a chat id or an @name'],
    ['{"token": "1:a", "chat": "@abc"}', '"chat" is not a chat id or an @name'],
    ['{"token": "1:a", "chat": "@1abc"}', '"chat" is not a chat id or an @name'],
    ['{"token": "1:a", "chat": "x@abcd"}', '"chat" is not a chat id or an @name'],
    ['{"token": "1:a", "chat": "@abcd!"}', '"chat" is not a chat id or an @name'],
    [`{"token": "1:a", "chat": "@${'a'.repeat(33)}"}`, '"chat" is not a chat id or an @name'],
    ['{"token": "1:a", "chat": 1, "thread": 0}', '"thread" is not a positive whole number'],
    ['{"token": "1:a", "chat": 1, "thread": -1}', '"thread" is not a positive whole number'],
    ['{"token": "1:a", "chat": 1, "thread": 1.5}', '"thread" is not a positive whole number'],
    ['{"token": "1:a", "chat": 1, "thread": null}', '"thread" is not a positive whole number'],
    [`{"${'x'.repeat(61)}": 1}`, `"${'x'.repeat(60)}" is not known`],
  ])('%s is refused: %s', (text, mistake) => {
    expect(() => checkPlaintext({ kind: 'telegram' }, text)).toThrow(
      expect.objectContaining({ code: 'PLAINTEXT_INVALID', message: `${TELEGRAM}: ${mistake}` }),
    );
  });
});

describe("a destination of the operator's bot", () => {
  const purpose = { kind: 'telegram', bot: 'operator' } as const;

  it.each([
    ['{"chat": -100123, "thread": 45}', true],
    ['{"chat": 0}', true],
    ['{"token": null, "chat": 1}', false],
    ['{"token": "1:a", "chat": 1}', false],
    ['[]', false],
    ['null', false],
    ['chat', false],
  ])('has no token: %s', (text, isOne) => {
    expect(isForOperatorsBot(text)).toBe(isOne);
  });

  it('has a chat and no token', () => {
    expect(() => checkPlaintext(purpose, '{"chat": -100123, "thread": 45}')).not.toThrow();
    expect(() => checkPlaintext(purpose, '{"chat": 0}')).toThrow(`${TELEGRAM}: "chat" is not a chat id or an @name`);
    const mistake = `${TELEGRAM}: one for the operator's bot has no "token"`;
    expect(() => checkPlaintext(purpose, '{"token": "1:a", "chat": 1}')).toThrow(mistake);
  });
});

describe('a file name in place of a kubeconfig', () => {
  it.each(['/', './config', '/etc/rancher/k3s/k3s.yaml'])('%s is refused', (text) => {
    expect(() => checkPlaintext({ kind: 'k8s' }, text)).toThrow(KUBECONFIG);
  });
});

describe('an access token', () => {
  it.each([' token', 'token ', 'to\tken', 'tökén', '\u0000token', 'token\r\nX-Evil: 1'])('is not %j', (text) => {
    expect(() => checkPlaintext({ kind: 'hook' }, text)).toThrow(ONE_WORD);
  });
});

describe('stripNewline', () => {
  it.each([
    ['a\n', 'a'],
    ['a\r\n', 'a'],
    ['a\n\n', 'a\n'],
    ['a', 'a'],
    ['\n', ''],
    ['a\nb', 'a\nb'],
    ['\na', '\na'],
    ['a\r', 'a\r'],
  ])('turns %j into %j', (piped, expected) => {
    expect(stripNewline(piped)).toBe(expected);
  });
});
