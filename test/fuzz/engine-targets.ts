import { spawnSync } from 'node:child_process';
import * as fc from 'fast-check';
import { createBuild } from '../fakes/sample-build.ts';
import { toBuildEnvironment } from '../../src/engine/tasks.ts';
import { FrameDecoder, type Frame } from '../../src/agent/frames.ts';
import { toShownTail } from '../../src/engine/step-log.ts';
import { createMasking } from '../../src/sealing/index.ts';
import { formatArgv, formatExports } from '../../src/agent/shell.ts';
import { anyText, inPieces, mutated } from './arbitraries.ts';
import { defineTarget, ensure, type Target } from './target.ts';

const conversations = [
  'R 1700000000000 4711 4700 c0ffee\nD 0 5\nhelloD 5 3\nabcH 8\nX 8 0 exited end\nS clean\n',
  'R 1 2  \nK 0 100\nX 100 137 timed-out end \nS left 12 13\n',
  'N\nL\nC\nE no room\n',
];

/** Joins adjacent data frames: the positions of cuts do not matter. */
function join(frames: readonly Frame[]): string[] {
  const joined: string[] = [];
  let open: { offset: number; bytes: Buffer } | undefined;
  const flush = (): void => {
    if (open) joined.push(`data ${open.bytes.toString('latin1')}`);
    open = undefined;
  };
  for (const frame of frames) {
    if (frame.kind === 'data') {
      ensure(open === undefined || frame.offset >= open.offset, 'data arrives in order');
      open = { offset: frame.offset, bytes: Buffer.concat([open?.bytes ?? Buffer.alloc(0), frame.bytes]) };
    } else {
      flush();
      joined.push(JSON.stringify(frame));
    }
  }
  flush();
  return joined;
}

/**
 * Reads a word by POSIX 2.2.1 and 2.2.2: single quotes keep their text, and a backslash outside keeps the next
 * character.
 */
function readWord(source: string, at: number): { text: string; end: number } {
  let text = '';
  let index = at;
  while (index < source.length && source[index] !== ' ' && source[index] !== '\n') {
    if (source[index] === "'") {
      const close = source.indexOf("'", index + 1);
      ensure(close > 0, 'a quote is closed');
      text += source.slice(index + 1, close);
      index = close + 1;
    } else if (source[index] === '\\') {
      text += source.charAt(index + 1);
      index += 2;
    } else {
      ensure(/[\w=]/.test(source.charAt(index)), 'no character outside quotes is special to a shell');
      text += source.charAt(index);
      index += 1;
    }
  }
  return { text, end: index };
}

const value = fc
  .oneof(anyText, fc.string({ unit: fc.constantFrom("'", '\\', '"', '$', '`', '\n', ' ', 'a', ';') }))
  .map((text) => text.replaceAll('\0', ''));

export const engineTargets: readonly Target[] = [
  defineTarget(
    'agent-frames',
    inPieces(fc.constant(Buffer.alloc(0))).chain(() =>
      mutated(conversations).chain((text) => inPieces(fc.constant(Buffer.from(text)))),
    ),
    ({ whole, pieces }) => {
      const [inOne, inMany] = [new FrameDecoder(), new FrameDecoder()];
      const one = join([...inOne.push(whole)]);
      const many = join(pieces.flatMap((piece) => [...inMany.push(piece)]));
      ensure(JSON.stringify(one) === JSON.stringify(many), 'frames are the same wherever they are cut');
      const fault = one.findIndex((frame) => frame.startsWith('{"kind":"fault","message":"the agent sent'));
      ensure(fault === -1 || fault === one.length - 1, 'no frame follows invalid data');
    },
  ),

  defineTarget(
    'shown-tail',
    fc.tuple(
      fc.oneof(
        anyText.map((text) => Buffer.from(text)),
        fc.uint8Array({ maxLength: 90 }),
      ),
      fc.integer({ min: 0, max: 2 }),
    ),
    ([bytes, more]) => {
      const text = toShownTail({ size: bytes.length + more, bytes }, createMasking([]));
      const whole = Buffer.from(bytes).toString('utf8');
      ensure(more > 0 || text === whole, 'a small log is shown completely');
      ensure(Buffer.byteLength(text) <= 3 * bytes.length, 'a tail is not longer than its bytes');
    },
  ),

  defineTarget('shell-quotes', fc.tuple(value, fc.array(value, { minLength: 1, maxLength: 4 })), ([text, argv]) => {
    const exports = formatExports({ NAME: text });
    ensure(exports.startsWith('export NAME=') && exports.endsWith('\n'), 'a variable is set and exported');
    const word = readWord(exports, 'export '.length);
    ensure(word.text === `NAME=${text}` && word.end === exports.length - 1, 'a value is one word for a shell');
    const command = formatArgv(argv);
    let at = 'exec '.length;
    for (const argument of argv) {
      const { text: read, end } = readWord(command, at);
      ensure(read === argument, 'an argument is one word for a shell');
      at = end + 1;
    }
    ensure(at === command.length, 'nothing follows the last argument');
  }),

  defineTarget('event-variables', fc.tuple(anyText, anyText, anyText), ([name, subject, author]) => {
    const build = createBuild({ ref: { kind: 'branch', name }, commit: { subject, author } });
    const variables = toBuildEnvironment(build);
    ensure(
      Object.keys(variables).every((key) => key === 'CI' || /^C3(?:_[A-Z_]+)?$/.test(key)),
      'an event sets only variables of c3',
    );
  }),
];

/** Reads the text back with this machine's shell, to check the reader above once. */
export function askShell(text: string): string {
  return spawnSync('sh', ['-c', `${formatExports({ NAME: text })}printf %s "$NAME"`], { encoding: 'utf8' }).stdout;
}
