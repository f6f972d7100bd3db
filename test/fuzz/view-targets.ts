import * as fc from 'fast-check';
import { type BuildState, UNKNOWN_COMMIT } from '../../src/build/index.ts';
import { createBuild } from '../fakes/sample-build.ts';
import { readJournal } from '../../src/engine/journal.ts';
import { MAC_LENGTH } from '../../src/engine/macs.ts';
import { createLogLines, readLogTimes, toLeadIn } from '../../src/logs/log-lines.ts';
import { createMasking } from '../../src/sealing/index.ts';
import { anyText, inPieces, mutated } from './arbitraries.ts';
import { defineTarget, ensure, type Target } from './target.ts';

/** For each line, as if the owner of the kubeconfig had written it. */
const MAC = '0'.repeat(MAC_LENGTH);

const journals = [
  '{"e":7,"n":1,"v":{"build":{"startedAt":1000,"isWarm":true,"previous":"failed"}}}',
  '{"e":7,"n":2,"v":{"source":{"subject":"a\\u0020b","author":"Ann"}}}',
  '{"e":7,"n":3,"v":{"ref":{"refKind":"tag","refName":"v1"}}}',
  '{"e":7,"n":4,"v":{"warning 0":"careful"}}',
  '{"e":7,"n":5,"v":{"step 0":{"phase":{"kind":"failed","exitCode":3},"attempt":2,"startedAt":1,"endedAt":2}}}',
  '{"e":7,"n":6,"v":{"step 1":{"phase":{"kind":"skipped","reason":"branch"},"attempt":1}}}',
  '{"e":7,"n":7,"v":{"phase":{"phase":{"kind":"ended","ending":{"kind":"failed","step":"a","message":"b"}},"endedAt":5}}}',
];

const step = {
  name: 'a',
  container: 'main',
  phase: { kind: 'pending' },
  attempt: 1,
  isAllowed: true,
  group: undefined,
  startedAt: undefined,
  endedAt: undefined,
  tail: '',
} as const;

const known: BuildState = {
  build: createBuild({ commit: UNKNOWN_COMMIT }),
  urls: { repository: 'https://git.example.com/a/b', commit: 'https://git.example.com/a/b/commit/1' },
  phase: { kind: 'running' },
  steps: [step, step],
  warnings: [],
  isWarm: undefined,
  previous: undefined,
  links: undefined,
  startedAt: 1_700_000_000_000,
  endedAt: undefined,
};

/** Longest text of a state, with the sign that it was cut. */
const MAX_TEXT = 1201;

function checkTexts(value: unknown): void {
  if (typeof value === 'string') ensure(value.length <= MAX_TEXT, 'every text of a journal is short');
  if (typeof value === 'number') ensure(Number.isSafeInteger(value) && value >= 0, 'numbers are integers');
  if (typeof value === 'object' && value !== null) for (const part of Object.values(value)) checkTexts(part);
}

export const viewTargets: readonly Target[] = [
  defineTarget('journal', fc.array(fc.oneof(mutated(journals), anyText), { maxLength: 12 }), async (texts) => {
    const lines = texts.map((text) => `${text}${MAC}`);
    const state = await readJournal(lines, known, { toMac: () => MAC });
    if (!state) return;
    checkTexts(state);
    const { build, urls, links } = state;
    ensure(
      JSON.stringify([{ ...build, commit: UNKNOWN_COMMIT }, urls]) === JSON.stringify([known.build, known.urls]),
      'a journal changes no field of the link',
    );
    ensure(links === undefined, 'a journal creates no links');
    ensure(state.steps.length === 2 && state.steps.every(({ name }) => name === 'a'), 'steps are those of c3.yaml');
    ensure(
      !Number.isNaN(state.startedAt) && state.startedAt <= known.startedAt,
      'a build does not start later than its link says',
    );
  }),

  defineTarget(
    'log-times',
    fc.tuple(fc.array(fc.oneof(mutated(['1 10', '2 30', '9 31']), anyText), { maxLength: 9 }), fc.nat({ max: 50 })),
    ([lines, offset]) => {
      const times = readLogTimes(lines);
      const [early, late] = [times(offset), times(offset + 1)];
      ensure(early === undefined || (Number.isSafeInteger(early) && early >= 0), 'a second is an integer');
      ensure(late === undefined || (early !== undefined && early <= late), 'times of lines do not decrease');
    },
  ),

  defineTarget(
    'log-lines',
    fc.tuple(
      mutated(['a line\nand a secret-secret\r\n', 'é\u001b[0m😀\n'.repeat(3)]).chain((text) =>
        inPieces(fc.constant(Buffer.from(text))),
      ),
      fc.nat({ max: 90 }),
      fc.nat({ max: 2 }),
    ),
    ([{ whole, pieces }, offset, count]) => {
      const from = { offset, pieces: count };
      function read(chunks: readonly Uint8Array[]): string {
        const lines = createLogLines(from, createMasking(['secret-secret']));
        let skip = toLeadIn(from);
        for (const chunk of chunks) {
          lines.push(chunk.subarray(Math.min(skip, chunk.length)));
          skip = Math.max(0, skip - chunk.length);
        }
        lines.end();
        return JSON.stringify(lines.drain());
      }
      ensure(read([whole]) === read(pieces), 'lines are the same wherever the log is cut');
      ensure(!read([whole]).includes('secret-secret'), 'no line shows a secret');
    },
  ),
];
