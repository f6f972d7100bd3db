import { describe, expect, it } from 'vitest';
import { openLine, type Line } from '../../src/engine/line.ts';
import { createPodReader, type PartPlace } from '../../src/engine/pod-reader.ts';
import { createLyingContainer, type LyingContainer } from '../fakes/lying-container.ts';
import { collectGarbage } from '../fakes/memory.ts';

const MIB = 1024 * 1024;
const ROOTS = ['/c3/.c3', '/tmp/.c3'] as const;
const START: PartPlace = { container: 'main', stepId: 's0', offset: 0, base: 0, isWhole: false };

/** More often than this nobody need say the same. */
const PLENTY = 2000;

async function openInto({ workspace }: LyingContainer): Promise<Line> {
  return await openLine(workspace, 'main', { buildId: 'b', epoch: 1, roots: ROOTS, silenceMs: 45_000 });
}

function openReader({ workspace }: LyingContainer) {
  return createPodReader({ workspace: { ...workspace, close: () => undefined }, buildId: 'b', roots: ROOTS });
}

/** Resolves once c3 has asked something. */
async function untilAsked(container: LyingContainer, command: string): Promise<void> {
  await expect.poll(() => container.heard).toContain(command);
}

describe('A12 An image whose sh speaks the language of the courier', () => {
  it('makes c3 keep no more of a log than the part that it asked for', async () => {
    const container = createLyingContainer();
    const asked = openReader(container).readPart(START);
    await untilAsked(container, 'part b s0');
    let offset = 0;
    while (await container.say(Buffer.concat([Buffer.from(`D ${offset} ${MIB}\n`), Buffer.alloc(MIB)]))) offset += MIB;
    expect(offset).toBe(MIB);
    const message = 'container "main" says what it was not asked';
    expect(await asked).toEqual({ kind: 'cut', message, isFinal: true });
  });

  it.each([
    ['goes on elsewhere in the log', 'D 7 1\nx'],
    ['leaves out a part that is not there', 'K 7 9\n'],
    ['leaves out something twice', 'K 0 9\nK 9 20\n'],
    ['ends elsewhere', 'X 7 0 exited\n'],
    ['says that there is more elsewhere', 'P 7 0\n'],
    ['speaks of its life for ever', 'H\n'.repeat(100)],
  ])('is not believed when it %s', async (_what, words) => {
    const container = createLyingContainer();
    const asked = openReader(container).readPart(START);
    await untilAsked(container, 'part b s0');
    expect(await container.say(words)).toBe(false);
    expect(await asked).toMatchObject({ kind: 'cut', isFinal: true });
  });

  it('makes c3 keep no more lines of a file than it has room for, empty ones neither', async () => {
    const container = createLyingContainer();
    const asked = openReader(container).tell('main', 'journal.');
    await untilAsked(container, 'tell b journal.');
    expect(await container.repeat(Buffer.from('J\n'.repeat(MIB / 2)), PLENTY)).toBeLessThan(PLENTY);
    const told = await asked;
    expect(told.kind === 'answered' && told.value.lines.length).toBe((16 * MIB) / 64);
  });

  it('makes c3 keep no more of its standard error than the end, on none of many connections', async () => {
    await collectGarbage();
    const before = process.memoryUsage().heapUsed;
    const lines: Line[] = [];
    for (let count = 0; count < 20; count += 1) {
      const container = createLyingContainer();
      lines.push(await openInto(container));
      await container.mutter(Buffer.alloc(4 * MIB, 0xff));
    }
    await collectGarbage();
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(20 * MIB);
    expect(lines).toHaveLength(20);
  });

  it('is cut off when it goes on though nobody asks', async () => {
    const container = createLyingContainer();
    const line = await openInto(container);
    expect(await container.repeat(Buffer.from('H\n'), PLENTY)).toBe(1000);
    expect(await line.over).toMatchObject({ isFinal: true, message: expect.stringContaining('nothing is asked') });
  });

  it('is cut off when it answers before it has said that it is there', async () => {
    const container = createLyingContainer('T\n');
    const line = await openInto(container);
    expect(await line.over).toMatchObject({ isFinal: true, message: expect.stringContaining('spoke before') });
  });
});
