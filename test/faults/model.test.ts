import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { createPartReader } from '../../src/agent/part-reader.ts';
import { copyLog } from '../../src/agent/read-log.ts';
import type { StepResult } from '../../src/agent/step.ts';
import { setUp, shells, type LocalSteps } from '../fakes/local-steps.ts';
import { createRandom, isLong, SEED, type Random } from '../random.ts';

/**
 * The events of a step. The model states what must hold despite all of them: the step runs once or never; it ends
 * with its own exit code, or cancelled, or lost if its supervisor was killed; each holder reads its complete log, in
 * order.
 */
type Event =
  /** Cuts the connections, and the next ones after these numbers of bytes. */
  | { readonly kind: 'cut'; readonly next: readonly number[] }
  /** Another c3 takes over the build and runs the same step. The old one continues as long as it can. */
  | { readonly kind: 'take-over' }
  /** The step writes this number of lines. */
  | { readonly kind: 'write'; readonly lines: number }
  | { readonly kind: 'pause'; readonly ms: number }
  | { readonly kind: 'cancel' }
  | { readonly kind: 'kill-supervisor' };

interface Schedule {
  readonly events: readonly Event[];
  readonly exitCode: number;
  readonly padding: number;
}

const SCHEDULES = isLong ? 10 : 4;
const MAX_EVENTS = 8;

function plan(random: Random): Schedule {
  const events = Array.from({ length: 1 + random(MAX_EVENTS) }, (): Event => {
    const dice = random(20);
    if (dice < 6) return { kind: 'cut', next: Array.from({ length: random(3) }, () => random(10 ** random(5))) };
    if (dice < 10) return { kind: 'take-over' };
    if (dice < 15) return { kind: 'write', lines: 1 + random(10 ** random(5)) };
    if (dice < 18) return { kind: 'pause', ms: random(60) };
    return { kind: dice === 18 ? 'cancel' : 'kill-supervisor' };
  });
  return { events, exitCode: random(256), padding: random(10 ** random(6)) };
}

interface Holder {
  readonly controller: AbortController;
  readonly result: Promise<StepResult>;
  log(): string;
}

/** Reads the files `orders.1`, `orders.2`, …: each has a number of lines to write, or `end`. */
function toScript(directory: string, { exitCode, padding }: Schedule): string {
  return `# ${'x'.repeat(padding)}
echo run >> ${directory}/ran
order=1 line=0
while :; do
  until [ -e ${directory}/orders.$order ]; do sleep 0.05; done
  read -r lines < ${directory}/orders.$order
  [ "$lines" = end ] && exit ${exitCode}
  while [ "$lines" -gt 0 ]; do lines=$((lines - 1)) line=$((line + 1)); echo "line $line"; done
  order=$((order + 1))
done
`;
}

describe.each(shells)('under %s', (shell) => {
  test.each(Array.from({ length: SCHEDULES }, (_, index) => index + 1))(
    'a step keeps to its model under cuts, successors, cancels and kills (schedule %i)',
    async (number) => {
      const schedule = plan(createRandom(SEED + number));
      const what = `TEST_SEED=${SEED} schedule ${number}: ${JSON.stringify(schedule)}`;
      const steps = setUp(shell);
      const outcome = await play(steps, schedule);
      expect({ what, ...outcome }).toEqual({ what, ...expectation(schedule, outcome) });
    },
  );
});

interface Outcome {
  /** The result of the last holder. */
  readonly result: StepResult;
  readonly runs: number;
  readonly log: string;
  /** The logs of earlier holders that are not a prefix of the last one's. */
  readonly strays: readonly string[];
}

async function play(steps: LocalSteps, schedule: Schedule): Promise<Outcome> {
  const { directory } = steps.workspace;
  const script = toScript(directory, schedule);
  const holders: Holder[] = [hold(steps, script, 1)];
  let orders = 0;
  function order(text: string): void {
    orders += 1;
    const file = join(directory, `orders.${orders}`);
    writeFileSync(`${file}.new`, `${text}\n`);
    renameSync(`${file}.new`, file);
  }
  for (const event of schedule.events) {
    switch (event.kind) {
      case 'cut':
        steps.workspace.plan.push(...event.next.map((bytes) => ({ kind: 'cut-after', bytes: bytes + 1 }) as const));
        steps.workspace.cut();
        break;
      case 'take-over':
        holders.push(hold(steps, script, holders.length + 1));
        break;
      case 'write':
        order(String(event.lines));
        break;
      case 'pause':
        await sleep(event.ms);
        break;
      case 'cancel':
        holders.at(-1)?.controller.abort();
        break;
      case 'kill-supervisor':
        killSupervisor(steps);
        break;
    }
  }
  order('end');
  const last = holders.at(-1);
  if (!last) throw new Error('there is always a holder');
  const result = await last.result;
  await Promise.all(holders.map(async (holder) => await holder.result));
  return {
    result,
    runs: existsSync(join(directory, 'ran')) ? readFileSync(join(directory, 'ran'), 'utf8').split('\n').length - 1 : 0,
    log: last.log(),
    strays: holders.map((holder) => holder.log()).filter((log) => !last.log().startsWith(log)),
  };
}

function hold(steps: LocalSteps, script: string, epoch: number): Holder {
  const [controller, ended] = [new AbortController(), new AbortController()];
  const log: Buffer[] = [];
  const { workspace, buildId, root } = steps;
  const reader = createPartReader({ workspace, buildId, roots: [root, `${root}.second`] });
  const read = copyLog(reader, {
    container: 'main',
    stepId: 's1',
    offset: 0,
    signal: new AbortController().signal,
    wake: ended.signal,
    isAwaited: () => !ended.signal.aborted,
    isOver: () => ended.signal.aborted,
    onBytes: (bytes) => void log.push(Buffer.from(bytes)),
  });
  async function run(): Promise<StepResult> {
    const agent = steps.openAgent({ epoch });
    const result = await steps.run(script, { agent, epoch, signal: controller.signal });
    ended.abort();
    await read;
    return result;
  }
  return { controller, result: run(), log: () => Buffer.concat(log).toString() };
}

/** Kills the step's supervisor if there is one by now. */
function killSupervisor({ root, buildId }: LocalSteps): void {
  const claim = join(root, buildId, 's1.claim');
  if (!existsSync(join(root, buildId, 's1.log'))) return;
  const pid = Number(readFileSync(claim, 'utf8').split(' ')[0]);
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}

function expectation({ events, exitCode }: Schedule, outcome: Outcome): Outcome {
  const lines = events.reduce((sum, event) => sum + (event.kind === 'write' ? event.lines : 0), 0);
  const whole = Array.from({ length: lines }, (_, index) => `line ${index + 1}\n`).join('');
  const isKilled = events.some(({ kind }) => kind === 'kill-supervisor');
  const isCancelled = events.some(({ kind }) => kind === 'cancel');
  const { result, log, runs } = outcome;
  const endings: StepResult[] = [{ kind: 'exited', exitCode }];
  if (isCancelled) endings.push({ kind: 'cancelled' });
  if (isKilled) endings.push({ kind: 'lost', message: 'its supervisor in the container was killed' });
  const ending = endings.find((one) => JSON.stringify(one) === JSON.stringify(result)) ?? endings[0];
  const isWhole = ending?.kind === 'exited';
  return {
    result: ending ?? { kind: 'exited', exitCode },
    // A step that was cancelled before it started never runs.
    runs: isWhole ? 1 : Math.min(runs, 1),
    // A step that did not end by itself has written a part.
    log: isWhole || !whole.startsWith(log) ? whole : log,
    strays: [],
  };
}
