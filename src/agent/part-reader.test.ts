import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { setUp, someShells, type LocalSteps } from '../../test/fakes/local-steps.ts';
import { copyLog, type CopyRequest, type LogReading } from './read-log.ts';
import { createPartReader, type LogPart, type PartPlace, type PartReader } from './part-reader.ts';

const MIB = 1024 * 1024;

function createReader({ workspace, buildId, root }: LocalSteps): PartReader {
  return createPartReader({
    workspace,
    buildId,
    roots: [root, `${root}.second`],
  });
}

const START: PartPlace = { container: 'main', stepId: 's1', offset: 0, base: 0 };

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

interface Copied {
  readonly reading: LogReading;
  readonly bytes: number;
  readonly sha256: string;
}

async function copy(reader: PartReader, request: Partial<CopyRequest> = {}): Promise<Copied> {
  const hash = createHash('sha256');
  let bytes = 0;
  const reading = await copyLog(reader, {
    container: 'main',
    stepId: 's1',
    offset: 0,
    signal: new AbortController().signal,
    isAwaited: () => false,
    isOver: () => false,
    ...request,
    async onBytes(chunk) {
      bytes += chunk.length;
      hash.update(chunk);
      await request.onBytes?.(chunk);
    },
  });
  return { reading, bytes, sha256: hash.digest('hex') };
}

/** Mebibytes of numbered lines in a file. */
function writeLines({ workspace }: LocalSteps, count: number): { file: string; sha256(from?: number): string } {
  const file = join(workspace.directory, 'lines');
  const lines = Buffer.from(
    Array.from({ length: (count * MIB) / 16 }, (_, line) => `${String(line + 1).padStart(15, '0')}\n`).join(''),
  );
  writeFileSync(file, lines);
  return { file, sha256: (from = 0) => createHash('sha256').update(lines.subarray(from)).digest('hex') };
}

describe.each(someShells)('under %s', (shell) => {
  it('a log is copied from an offset, over cuts, while its step runs', async () => {
    const steps = setUp(shell);
    const { file, sha256 } = writeLines(steps, 2);
    const ended = steps.run(`head -c ${MIB} ${file}; sleep 0.3; tail -c ${MIB} ${file}; exit 2`);
    await steps.seen('000000000000002');
    for (let cut = 0; cut < 3; cut += 1) steps.workspace.plan.push({ kind: 'cut-after', bytes: 100_000 });
    const reader = createReader(steps);
    const copied = await copy(reader, { offset: 17 });
    expect(copied).toEqual({ reading: { kind: 'whole', to: 2 * MIB }, bytes: 2 * MIB - 17, sha256: sha256(17) });
    expect(steps.workspace.plan).toEqual([]);
    expect(await ended).toEqual({ kind: 'exited', exitCode: 2 });
    reader.close();
  });

  it('a slow reader gets every byte, and one that wants no more or throws gets none', async () => {
    const steps = setUp(shell);
    const { file, sha256 } = writeLines(steps, 2);
    await steps.run(`cat ${file}`);
    const reader = createReader(steps);
    const slow = await copy(reader, { offset: 5, onBytes: () => new Promise((resolve) => setTimeout(resolve, 1)) });
    expect(slow).toEqual({ reading: { kind: 'whole', to: 2 * MIB }, bytes: 2 * MIB - 5, sha256: sha256(5) });
    const enough = new AbortController();
    const aborted = await copy(reader, { signal: enough.signal, onBytes: () => enough.abort() });
    expect(aborted.reading).toEqual({ kind: 'aborted' });
    expect(aborted.bytes).toBeLessThan(MIB);
    const failure = new Error('the disk is full');
    await expect(copy(reader, { onBytes: () => Promise.reject(failure) })).rejects.toBe(failure);
    reader.close();
  });

  it('a log that never existed is not waited for', async () => {
    const steps = setUp(shell);
    await steps.run(':', { stepId: 's2' });
    const message = 'there is no such log in the container';
    expect((await copy(createReader(steps))).reading).toEqual({ kind: 'failed', to: 0, message });
  });

  // Busybox has a `dd` of its own, which nothing can take the place of.
  it.skipIf(shell === 'busybox')('a log that is emptied while it is sent breaks nothing', async () => {
    const steps = setUp(shell);
    const dir = steps.workspace.directory;
    await steps.run('echo a line that is long enough');
    // As if it still ran: its agent lives, and no reporter reads its log beside this test.
    const exit = join(steps.root, steps.buildId, 's1.exit');
    const note = readFileSync(exit);
    writeFileSync(exit, 'pending\n');
    // Before it sends, the `dd` of this container empties the log, once.
    const bin = join(dir, 'bin');
    const dd = spawnSync('which', ['dd'], { encoding: 'utf8' }).stdout.trim();
    rmSync(join(bin, 'dd'), { force: true });
    const log = join(steps.root, steps.buildId, 's1.log');
    const shim = `#!/bin/sh\n[ -e ${bin}/emptied ] || { : > ${bin}/emptied; echo cut > ${log}; }\nexec ${dd} "$@"\n`;
    writeFileSync(join(bin, 'dd'), shim, { mode: 0o755 });
    const before = steps.workspace.execCount;
    const reader = createReader(steps);
    const first = await reader.readPart(START);
    const zeros = '\0'.repeat('a line that is long enough\n'.length - 4);
    expect(toText([first])).toBe(`cut\n${zeros}`);
    appendFileSync(log, 'end\n');
    writeFileSync(exit, note);
    const { offset, base } = first.kind === 'part' ? first : START;
    expect(toText(await readParts(reader, { offset, base }))).toBe('end\n');
    expect(steps.workspace.execCount - before).toBe(1);
    reader.close();
  });

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

  it('the middle of a huge log is left out, unless all of it is wanted', async () => {
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
    // Hundreds of readers may keep a part each while they take nothing.
    expect(toLongest(parts)).toBe(MIB / 4);
    expect(await copy(reader)).toMatchObject({ reading: { kind: 'whole', to: size }, bytes: size });
    const skips: number[] = [];
    const { bytes } = await copy(reader, { onSkip: (count) => skips.push(count) });
    expect([bytes, skips]).toEqual([16 * MIB + 65_536, [size - 65_536 - 16 * MIB]]);
    reader.close();
  });

  it('a part of a running step has what is written, also after the step has emptied its log', async () => {
    const steps = setUp(shell);
    const reader = createReader(steps);
    const nothing = { begunAtMs: 0, lines: [] };
    expect(await reader.readFiles('main', 'journal.')).toEqual({ kind: 'answered', value: nothing });
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

  it('the journal is kept as noted, readable in the whole Pod, and read whole', async () => {
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
    expect(await reader.readFiles('main', 'journal.')).toMatchObject({ value: { lines: [line, line, line] } });
    expect(await reader.readFiles('main', 's1.times')).toMatchObject({ value: { lines: [] } });
    reader.close();
  });

  it('a note without room or directory does no harm', async () => {
    const steps = setUp(shell);
    const agent = steps.openAgent();
    const answer = await agent.perform(`note nowhere x\ncancel ${steps.buildId} s9\n`, (frame) =>
      frame.kind === 'cancel-noted' ? true : undefined,
    );
    expect(answer).toEqual({ kind: 'answered', value: true });
  });

  it('the size of a log is noted for each second in which it grew', async () => {
    const steps = setUp(shell);
    const file = `${steps.root}/${steps.buildId}/s1.times`;
    const noted = (size: number): string => `until grep -qs ' ${size}$' ${file}; do sleep 0.05; done`;
    await steps.run(`echo a; ${noted(2)}; echo b; ${noted(4)}`);
    const reader = createReader(steps);
    const answer = await reader.readFiles('main', 's1.times');
    const times = answer.kind === 'answered' ? answer.value.lines.map((line) => line.split(' ').map(Number)) : [];
    expect(times.map(([, size]) => size)).toEqual([2, 4]);
    const [first = 0, second = 0] = times.map(([seconds]) => seconds);
    expect(first).toBeGreaterThanOrEqual(1);
    expect(second).toBeGreaterThan(first);
    reader.close();
  });

  it('a reader comes after a greater epoch and takes the Pod from nobody', async () => {
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

it('equal requests at the same moment share one answer, and at most four connections are open', async () => {
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
