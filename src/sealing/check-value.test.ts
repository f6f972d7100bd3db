import { expect, test } from 'vitest';
import { checkValue } from './check-value.ts';
import { parsePurpose } from './purpose.ts';

const PARTS =
  'c3 hides whole lines of this value, not a password inside a line: seal each password as a value of its own';

const WORDS =
  'c3 hides this value as a whole, not its words: use the variable in double quotes, or a shell splits it at spaces';

test.each([
  ['seven77', ['c3 does not hide this value in logs: it has 7 characters, and c3 hides 8 or more']],
  [' seven77\n', ['c3 does not hide this value in logs: it has 7 characters, and c3 hides 8 or more']],
  ['eight888', []],
  [
    'user1\ncorrect horse\npass22\n',
    ['c3 does not hide 2 lines of this value in logs: c3 hides lines of 8 or more characters'],
  ],
  [
    'correct horse\r\npin1',
    ['c3 does not hide one line of this value in logs: c3 hides lines of 8 or more characters'],
  ],
  ['correct horse\n\n--\nbattery staple', []],
  ['{"password": "correct horse"}', [PARTS]],
  ['postgres://me:correct-horse@db/shop', [PARTS]],
  ['export TOKEN=correct-horse', [PARTS]],
  ["correct'horse battery!9", [WORDS]],
  ['correct\thorse\n', [WORDS]],
  [' correct-horse \n', []],
  ['https://example.com/a:b@c', []],
])('of %j, what c3 cannot hide is reported', (value, expected) => {
  expect(checkValue({ kind: 'secret', name: 'A' }, value)).toEqual(expected);
});

test.each(['hello', 'apiVersion: v1\nkind: Config', 'clusters: []\nusers: []', 'my clusters, contexts and users'])(
  '%j is not sealed as a kubeconfig',
  (text) => {
    expect(() => checkValue({ kind: 'k8s' }, text)).toThrow(/^This is not a kubeconfig: it has no "/);
  },
);

const UTF_16 =
  'The text is UTF-16, as the `>` of Windows PowerShell writes it: write the file with `| Out-File -Encoding utf8`';

test.each(['hook', 'k8s', 'telegram', 'secret:A'])('UTF-16 is no %s, in any form', (purpose) => {
  for (const text of [
    'clusters: []\r\ncontexts: []\r\nusers: []\r\n',
    'ghp_abcdefgh',
    '\uFEFFgröße\r\n',
    '\uFEFF密码\n',
  ]) {
    const bytes = Buffer.from(text, 'utf16le');
    expect(() => checkValue(parsePurpose(purpose), bytes.toString())).toThrow(UTF_16);
    expect(() => checkValue(parsePurpose(purpose), bytes.swap16().toString())).toThrow(UTF_16);
  }
});

test('a text with a replacement character or a NUL byte is not called UTF-16', () => {
  for (const text of ['\uFFFD\uFFFDcorrect horse', 'correct\0horse\0', '\0\0\0\0correct horse']) {
    expect(() => checkValue({ kind: 'secret', name: 'A' }, text)).not.toThrow();
  }
});

test.each([
  ['', 'There is nothing to seal: the text is empty'],
  ['~/.kube/config', 'This is the path of a kubeconfig: give the file'],
])('of a kubeconfig %j, the most exact mistake is reported', (text, message) => {
  expect(() => checkValue({ kind: 'k8s' }, text)).toThrow(message);
});

test.each([
  '\uFEFFclusters: []\ncontexts: []\nusers: []',
  'clusters: []\ncontexts: []\nusers: []',
  '{"users":[],"contexts":[],"clusters":[]}',
  'users : []\n{contexts: 1, clusters: 2}',
])('%j can be a kubeconfig', (text) => {
  expect(checkValue({ kind: 'k8s' }, text)).toEqual([]);
});
