import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateSync, inflateSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, expect, it } from 'vitest';
import { toTestGitEnvironment } from '../../test/fakes/git-environment.ts';
import { formatFetchRequest, hasSubmodule, parentsOf, readFetchResponse, readPack, toLooseFile } from './index.ts';

const root = mkdtempSync(join(tmpdir(), 'c3-pack-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
const env = toTestGitEnvironment(root);

function git(directory: string, ...args: string[]): string {
  return execFileSync('git', ['-C', directory, ...args], { env, encoding: 'utf8', stdio: 'pipe' }).trim();
}

/** A large text, so that another version of it is a delta. */
const TEXT = Array.from({ length: 400 }, (_, line) => `line ${line} ${line ** 3}\n`).join('');

function createSource(name: string, format = 'sha1'): { source: string; commit(text: string): string } {
  const source = join(root, name);
  git(root, 'init', '-q', '-b', 'main', `--object-format=${format}`, source);
  return {
    source,
    commit(text): string {
      writeFileSync(join(source, 'file'), TEXT + text);
      writeFileSync(join(source, 'other'), `${text}${TEXT}`);
      git(source, 'add', '-A');
      git(source, 'commit', '-q', '-m', text);
      return git(source, 'rev-parse', 'HEAD');
    },
  };
}

/** Sends a request to git's own server. */
function ask(source: string, order: Parameters<typeof formatFetchRequest>[0]): Buffer {
  const { stdout } = spawnSync('git', ['upload-pack', '--stateless-rpc', source], {
    env: { ...env, GIT_PROTOCOL: 'version=2' },
    input: formatFetchRequest(order),
    maxBuffer: 2 ** 30,
  });
  return stdout;
}

it.each(['sha1', 'sha256'] as const)('reads the objects that git sends for a commit, with %s', (format) => {
  const { source, commit } = createSource(`read-${format}`, format);
  const have = commit('one');
  const want = commit('two');
  const pack = readFetchResponse(ask(source, { want, have, isShallow: true }));
  const objects = readPack(pack ?? Buffer.alloc(0), format) ?? [];
  expect(objects.map(({ type }) => type).sort()).toEqual(['blob', 'blob', 'commit', 'tree']);
  for (const object of objects) {
    expect(git(source, 'cat-file', '-t', object.id)).toBe(object.type);
    const loose = inflateSync(toLooseFile(object));
    expect(createHash(format).update(loose).digest('hex')).toBe(object.id);
  }
  const tip = objects.find(({ id }) => id === want);
  expect(tip && parentsOf(tip)).toEqual([have]);
});

it('sends the history of a merged branch only to a clone that may lack it', () => {
  const { source, commit } = createSource('merge');
  const first = commit('one');
  const have = commit('two');
  git(source, 'checkout', '-q', '-b', 'side', first);
  writeFileSync(join(source, 'side'), 'side');
  git(source, 'add', '-A');
  git(source, 'commit', '-q', '-m', 'side');
  git(source, 'checkout', '-q', 'main');
  git(source, 'merge', '-q', '--no-ff', '-m', 'merged', 'side');
  const want = git(source, 'rev-parse', 'HEAD');
  const commits = (isShallow: boolean): number =>
    (readPack(readFetchResponse(ask(source, { want, have, isShallow })) ?? Buffer.alloc(0), 'sha1') ?? []).filter(
      ({ type }) => type === 'commit',
    ).length;
  expect([commits(true), commits(false)]).toEqual([3, 2]);
});

it('sees a submodule in a tree', () => {
  const { source, commit } = createSource('submodule');
  const have = commit('one');
  git(source, 'update-index', '--add', '--cacheinfo', `160000,${'1'.repeat(40)},library`);
  git(source, 'commit', '-q', '-m', 'two');
  const want = git(source, 'rev-parse', 'HEAD');
  const pack = readFetchResponse(ask(source, { want, have, isShallow: true })) ?? Buffer.alloc(0);
  expect((readPack(pack, 'sha1') ?? []).some(hasSubmodule)).toBe(true);
});

it('returns nothing for a refusal, and for an answer that is not complete', () => {
  const { source, commit } = createSource('refuse');
  const have = commit('one');
  const want = commit('two');
  expect(readFetchResponse(ask(source, { want: '1'.repeat(40), have, isShallow: true }))).toBeUndefined();
  const answer = ask(source, { want, have, isShallow: true });
  expect(readFetchResponse(answer)).toBeDefined();
  for (let end = 0; end < answer.length; end += 1) {
    expect(readFetchResponse(answer.subarray(0, end))).toBeUndefined();
  }
  expect(readFetchResponse(Buffer.concat([answer, Buffer.from('0000')]))).toBeUndefined();
});

it.each([
  ['an error in the pack', '000dpackfile\n0009\u0003oops0000'],
  ['a wrong band', '000dpackfile\n0009\u0004oops0000'],
  ['another section', '000dsecrets!\n0009\u0001oops0000'],
  ['a forge whose repository is shallow', `0011shallow-info\n0034shallow ${'1'.repeat(40)}0001000dpackfile\n0000`],
  ['endless delimiters', '0001'.repeat(1000)],
  ['a length below its own size', '0003'],
  ['a length that is no number', 'xyzw'],
  ['an ERR line', '000dERR nope\n'],
])('returns nothing for %s', (_, answer) => {
  expect(readFetchResponse(Buffer.from(answer, 'latin1'))).toBeUndefined();
});

function toPack(count: number, body: Buffer): Buffer {
  const head = Buffer.from([...Buffer.from('PACK'), 0, 0, 0, 2, 0, 0, 0, 0]);
  head.writeUInt32BE(count, 8);
  const bytes = Buffer.concat([head, body]);
  return Buffer.concat([bytes, createHash('sha1').update(bytes).digest()]);
}

/** Formats the type and the size of an entry, then its data. */
function toEntry(type: number, size: number, data: Buffer): Buffer {
  const bytes = [(type << 4) | (size & 15)];
  for (let rest = Math.floor(size / 16); rest > 0; rest = Math.floor(rest / 128)) {
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) | 128;
    bytes.push(rest & 127);
  }
  return Buffer.concat([Buffer.from(bytes), data]);
}

const hello = toEntry(3, 5, deflateSync('hello'));

it.each([
  ['a bomb', toPack(1, toEntry(3, 64 * 2 ** 20, deflateSync(Buffer.alloc(64 * 2 ** 20))))],
  ['a bomb with a small size', toPack(1, toEntry(3, 5, deflateSync(Buffer.alloc(2 ** 24))))],
  ['too few objects', toPack(2, hello)],
  ['bytes after the last object', toPack(1, Buffer.concat([hello, hello]))],
  ['too many objects', toPack(1_000_000, hello)],
  ['an unknown type', toPack(1, toEntry(5, 5, deflateSync('hello')))],
  [
    'a delta without its base',
    toPack(1, toEntry(7, 4, Buffer.concat([Buffer.alloc(20), deflateSync('\u0005\u0005\u0005hello')]))),
  ],
  ['a delta on itself', toPack(1, toEntry(6, 4, Buffer.concat([Buffer.from([0]), deflateSync('abcd')])))],
  [
    'a delta that copies more than its base',
    toPack(
      2,
      Buffer.concat([
        hello,
        toEntry(6, 5, Buffer.concat([Buffer.from([hello.length]), deflateSync(Buffer.from([5, 200, 1, 0x90, 200]))])),
      ]),
    ),
  ],
  [
    'a delta that says that it grows to gigabytes',
    toPack(
      2,
      Buffer.concat([
        hello,
        toEntry(
          6,
          7,
          Buffer.concat([Buffer.from([hello.length]), deflateSync(Buffer.from([5, 255, 255, 255, 127, 0x90, 5]))]),
        ),
      ]),
    ),
  ],
])('returns nothing for a pack with %s', (_, pack) => {
  expect(readPack(toPack(1, hello), 'sha1')).toHaveLength(1);
  expect(readPack(pack, 'sha1')).toBeUndefined();
});

it('applies a delta that copies and inserts', () => {
  const delta = deflateSync(Buffer.from([5, 8, 0x90, 5, 3, 0x21, 0x21, 0x21]));
  const entry = toEntry(6, 8, Buffer.concat([Buffer.from([hello.length]), delta]));
  const objects = readPack(toPack(2, Buffer.concat([hello, entry])), 'sha1');
  expect(objects?.map(({ content }) => content.toString())).toEqual(['hello', 'hello!!!']);
});

it('returns for any bytes', () => {
  fc.assert(
    fc.property(fc.nat({ max: 3 }), fc.uint8Array({ maxLength: 60 }), (count, body) => {
      expect(() => [readPack(toPack(count, Buffer.from(body)), 'sha1'), readFetchResponse(body)]).not.toThrow();
    }),
  );
});
