import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { setUp, shells, type LocalSteps } from '../../test/fakes/local-steps.ts';
import { createPartReader, type LogPart, type PartPlace, type PartReader } from './part-reader.ts';

const MIB = 1024 * 1024;

function createReader({ workspace, buildId, root }: LocalSteps): PartReader {
  const { name, id, exec } = workspace;
  return createPartReader({
    workspace: { name, id, exec, close: () => undefined },
    buildId,
    roots: [root, `${root}.second`],
  });
}

const START: PartPlace = { container: 'main', stepId: 's1', offset: 0, base: 0, isWhole: false };

/** All parts from a place on, until one is not a part, or is the last, or brings nothing. */
async function readParts(reader: PartReader, from: Partial<PartPlace> = {}): Promise<LogPart[]> {
  const parts: LogPart[] = [];
  let place = { ...START, ...from };
  for (;;) {
    const part = await reader.readPart(place);
    parts.push(part);
    if (part.kind !== 'part' || part.isLast || part.offset === place.offset) return parts;
    place = { ...place, offset: part.offset, base: part.base };
  }
}

function toText(parts: readonly LogPart[]): string {
  return parts.map((part) => (part.kind === 'part' ? Buffer.from(part.bytes).toString('latin1') : '')).join('');
}

function toLongest(parts: readonly LogPart[]): number {
  return Math.max(...parts.map((part) => (part.kind === 'part' ? part.bytes.length : 0)));
}

describe.each(shells)('under %s', (shell) => {
  it('a log is read in parts to the end of its step, from any place', async () => {
    const steps = setUp(shell);
    const file = join(steps.workspace.directory, 'random');
    const bytes = Buffer.from(Array.from({ length: 3 * MIB + 12_345 }, (_, index) => (index * 7919) & 255));
    writeFileSync(file, bytes);
    await steps.run(`cat ${file}`);
    const reader = createReader(steps);
    for (const offset of [0, 1, 65_537, 2 * MIB, bytes.length - 1, bytes.length]) {
      const parts = await readParts(reader, { offset });
      expect(Buffer.from(toText(parts), 'latin1').equals(bytes.subarray(offset))).toBe(true);
      expect(parts.at(-1)).toMatchObject({ kind: 'part', isLast: true, offset: bytes.length });
      expect(Math.max(...parts.map((part) => (part.kind === 'part' ? part.bytes.length : 0)))).toBeLessThanOrEqual(MIB);
    }
    reader.close();
  });

  it('of a huge log the middle is left out, unless all of it is wanted', async () => {
    const steps = setUp(shell);
    const file = join(steps.workspace.directory, 'huge');
    writeFileSync(file, Buffer.alloc(17 * MIB, 'x'));
    await steps.run(`cat ${file}; echo end`);
    const reader = createReader(steps);
    const size = 17 * MIB + 4;
    const parts = await readParts(reader);
    const skipped = parts.flatMap((part) => (part.kind === 'part' && part.skipped ? [part.skipped] : []));
    expect(skipped).toEqual([{ from: 16 * MIB, to: size - 65_536 }]);
    expect(toText(parts)).toHaveLength(16 * MIB + 65_536);
    const whole = await readParts(reader, { isWhole: true });
    expect(toText(whole)).toHaveLength(size);
    // Who reads along may be one of hundreds, and holds a part for as long as they take nothing.
    expect([parts, whole].map(toLongest)).toEqual([MIB / 4, MIB]);
    reader.close();
  });

  it('a step that runs tells what there is, and one that began to write anew goes on', async () => {
    const steps = setUp(shell);
    const reader = createReader(steps);
    const nothing = { begunAtMs: 0, lines: [] };
    expect(await reader.tell('main', 'journal.')).toEqual({ kind: 'answered', value: nothing });
    expect(await reader.readPart(START)).toEqual({ kind: 'none' });
    expect(existsSync(steps.root)).toBe(false);
    const dir = steps.workspace.directory;
    const wait = (name: string): string => `until [ -e ${dir}/${name} ]; do sleep 0.05; done`;
    const ended = steps.run(`echo first line; ${wait('one')}; echo x > /dev/stderr; ${wait('two')}; echo last`);
    await steps.seen('first line\n');
    const first = await reader.readPart(START);
    expect(first).toMatchObject({ kind: 'part', offset: 11, base: 0, isLast: false, isCut: false });
    const next = { ...START, offset: 11 };
    expect(await reader.readPart(next)).toMatchObject({ kind: 'part', offset: 11, isLast: false });
    writeFileSync(join(dir, 'one'), '');
    await steps.seen('x\n');
    const anew = await reader.readPart(next);
    expect(anew).toMatchObject({ kind: 'part', offset: 13, base: 11, isLast: false });
    writeFileSync(join(dir, 'two'), '');
    await ended;
    const rest = await readParts(reader, { offset: 13, base: 11 });
    expect(toText([first, anew, ...rest])).toBe('first line\nx\nlast\n');
    reader.close();
  });

  it('a part that is cut is kept as far as it came', async () => {
    const steps = setUp(shell);
    await steps.run('head -c 300000 /dev/zero');
    const reader = createReader(steps);
    steps.workspace.plan.push({ kind: 'cut-after', bytes: 100_000 });
    const part = await reader.readPart(START);
    expect(part).toMatchObject({ kind: 'part', isCut: true, isLast: false });
    const { offset } = part.kind === 'part' ? part : { offset: 0 };
    expect(offset).toBeGreaterThan(90_000);
    expect(toText(await readParts(reader, { offset }))).toHaveLength(300_000 - offset);
    reader.close();
  });

  it('a step whose supervisor was killed, or whose files are gone, has no end', async () => {
    const steps = setUp(shell);
    const running = steps.run('echo up; sleep 1000');
    await steps.seen('up\n');
    const [pid] = readFileSync(join(steps.root, steps.buildId, 's1.claim'), 'utf8').split(' ');
    process.kill(Number(pid), 'SIGKILL');
    const reader = createReader(steps);
    expect(await running).toMatchObject({ kind: 'lost' });
    expect((await readParts(reader)).at(-1)).toEqual({
      kind: 'lost',
      message: 'its supervisor in the container was killed',
    });
    await steps.run(`rm ${steps.root}/${steps.buildId}/s1.exit`, { stepId: 's2', agent: steps.openAgent() });
    expect(await reader.readPart(START)).toEqual({ kind: 'lost', message: `its files in ${steps.root} were removed` });
    // What the step left running goes with its Pod elsewhere.
    expect(await steps.sweep(steps.openAgent())).toBe(true);
    reader.close();
  });

  it('the journal is kept as it was noted, for everybody in the Pod, and told whole', async () => {
    const steps = setUp(shell);
    const line = String.raw`{"e":1,"n":1,"k":"a","v":"$(x)\u0020\\\"'${'`'}*%s\u00e9"}`;
    const agent = steps.openAgent();
    const note = `note ${steps.buildId} ${line}\n`;
    const answer = await agent.perform(`${note}${note}cancel ${steps.buildId} s9\n`, (frame) =>
      frame.kind === 'cancel-noted' ? true : undefined,
    );
    expect(answer).toEqual({ kind: 'answered', value: true });
    const file = join(steps.root, steps.buildId, 'journal.main');
    expect(readFileSync(file, 'utf8')).toBe(`${line}\n${line}\n`);
    expect((statSync(file).mode & 0o777).toString(8)).toBe('644');
    writeFileSync(join(steps.root, steps.buildId, 'journal.other'), `${line}\ncut`);
    const reader = createReader(steps);
    expect(await reader.tell('main', 'journal.')).toMatchObject({ value: { lines: [line, line, line] } });
    expect(await reader.tell('main', 's1.times')).toMatchObject({ value: { lines: [] } });
    reader.close();
  });

  it('a note that finds no room, or no directory, costs nothing', async () => {
    const steps = setUp(shell);
    const agent = steps.openAgent();
    const answer = await agent.perform(`note nowhere x\ncancel ${steps.buildId} s9\n`, (frame) =>
      frame.kind === 'cancel-noted' ? true : undefined,
    );
    expect(answer).toEqual({ kind: 'answered', value: true });
  });

  it('the size of a log is noted in each second in which it grew', async () => {
    const steps = setUp(shell);
    const file = `${steps.root}/${steps.buildId}/s1.times`;
    const noted = (size: number): string => `until grep -qs ' ${size}$' ${file}; do sleep 0.05; done`;
    await steps.run(`echo a; ${noted(2)}; echo b; ${noted(4)}`);
    const reader = createReader(steps);
    const told = await reader.tell('main', 's1.times');
    const times = told.kind === 'answered' ? told.value.lines.map((line) => line.split(' ').map(Number)) : [];
    expect(times.map(([, size]) => size)).toEqual([2, 4]);
    const [first = 0, second = 0] = times.map(([seconds]) => seconds);
    expect(first).toBeGreaterThanOrEqual(1);
    expect(second).toBeGreaterThan(first);
    reader.close();
  });

  it('a reader comes after a greater epoch, and takes the Pod from nobody', async () => {
    const steps = setUp(shell);
    await steps.run('echo one');
    const other = steps.openAgent({ buildId: 'other', epoch: 7 });
    expect((await other.ready()).kind).toBe('answered');
    const reader = createReader(steps);
    expect(toText(await readParts(reader))).toBe('one\n');
    expect((await steps.openAgent({ buildId: 'other', epoch: 7 }).ready()).kind).toBe('answered');
    reader.close();
  });
});

it('who asks the same at the same moment has one answer, and at most four lines are open', async () => {
  const steps = setUp('dash');
  await steps.run('head -c 200000 /dev/zero');
  const before = steps.workspace.execCount;
  const reader = createReader(steps);
  const same = await Promise.all([reader.readPart(START), reader.readPart(START)]);
  expect(same[0]).toBe(same[1]);
  const offsets = Array.from({ length: 40 }, (_, index) => index);
  const parts = await Promise.all(offsets.map(async (offset) => await reader.readPart({ ...START, offset })));
  expect(parts.map((part) => part.kind === 'part' && part.bytes[0])).toEqual(offsets.map(() => 0));
  expect(steps.workspace.execCount - before).toBe(4);
  reader.close();
  expect((await reader.readPart(START)).kind).toBe('cut');
});
