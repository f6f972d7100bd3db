import { describe, expect, it } from 'vitest';

import { C3Error } from '../errors.ts';
import { checkPlaintext, stripNewline } from './check-plaintext.ts';
import { parsePurpose } from './purpose.ts';

const TELEGRAM = 'A Telegram destination is JSON such as {"token": "123:abc", "chat": -100123, "thread": 45}';
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
    ['telegram', '{"chat": 1}', `${TELEGRAM}: "token" is not a bot token`],
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

describe('stripNewline', () => {
  it.each([
    ['a\n', 'a'],
    ['a\r\n', 'a'],
    ['a\n\n', 'a\n'],
    ['a', 'a'],
    ['\n', ''],
  ])('makes %j to %j', (piped, expected) => {
    expect(stripNewline(piped)).toBe(expected);
  });
});
