import { readdirSync, readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import type { SetUp } from '../e2e/fixture.ts';
import { useFixture } from '../e2e/fixture.ts';
import { formatPipeline } from '../e2e/target.ts';
import { openTarget } from './target.ts';

/** The default takes less than a minute, a thousand builds take five. */
const BUILDS = Number(process.env['C3_TEST_BUILDS'] ?? 140);
/** The first builds open pooled connections, modules and compiled code, which stay. */
const WARM_UP = 40;
/** Below the limit of waiting builds of a repository. */
const AT_ONCE = 5;
/** The number of builds whose files are kept in a Pod (src/agent/shell). */
const KEPT = 10;
/** V8 collects garbage late. A leak in every build exceeds this after a thousand builds. */
const GROWTH_MIB = 80;

describe('many builds in one warm Pod of a real Kubernetes', () => {
  const fixture = useFixture(openTarget, {
    settings: {
      C3_RATE_LIMIT: '100000',
      // As in deploy/Dockerfile: young objects do not count as leaks.
      NODE_OPTIONS: '--max-semi-space-size=2',
    },
  });
  let made: SetUp;
  beforeAll(async () => {
    made = await fixture.setUp();
  });

  /** Pushes builds that use the Pod one after the other, and waits for the end of all. */
  async function build(from: number, to: number): Promise<void> {
    const { user, k8s } = made;
    const steps = '- main: echo one; sh -c "echo two" | cat; sleep 0 & wait $!';
    const source = formatPipeline(fixture.target, k8s, steps, 'checkout: false\n');
    for (let index = from; index < to; index += AT_ONCE) {
      const shas: string[] = [];
      for (let more = index; more < Math.min(index + AT_ONCE, to); more += 1)
        shas.push((await user.push({ 'c3.yaml': source, index: String(more) }, `push ${more}`)).sha);
      const ends = await Promise.all(shas.map((sha) => user.waitForEnd(sha)));
      expect(ends.map(({ state }) => state)).toEqual(shas.map(() => 'success'));
    }
  }
  async function look(script: string): Promise<number> {
    const [pod = '', ...others] = await fixture.pods.names();
    expect(others).toEqual([]);
    return Number(await fixture.pods.run(pod, 'main', ['sh', '-c', script]));
  }
  /** Counts zombies too: one stays in /proc until its parent waits for it, and this Pod's PID 1 never does. */
  const countProcesses = async (): Promise<number> => await look('set -- /proc/[0-9]*; echo $#');
  const countFiles = async (): Promise<number> => await look('ls -R /c3/.c3 | wc -l');
  function readC3(): { handles: number; mebibytes: number } {
    const { pid } = fixture.world.c3;
    const [, kibibytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    return { handles: readdirSync(`/proc/${pid}/fd`).length, mebibytes: Number(kibibytes) / 1024 };
  }

  it(`leaves no process, no zombie and no file behind, in the Pod or in c3, ${BUILDS} times`, async () => {
    await build(0, WARM_UP);
    const before = { processes: await countProcesses(), files: await countFiles(), c3: readC3() };
    await build(WARM_UP, BUILDS);
    // The sweep of the last build follows its end.
    await expect.poll(countProcesses).toBeLessThanOrEqual(before.processes);
    expect(await countFiles()).toBeLessThanOrEqual(before.files);
    expect(await look('ls /c3/.c3 | grep -c "^[0-9a-f]\\{12\\}$"')).toBeLessThanOrEqual(KEPT);
    const { handles, mebibytes } = readC3();
    expect(handles).toBeLessThanOrEqual(before.c3.handles + 2);
    expect(mebibytes).toBeLessThan(before.c3.mebibytes + GROWTH_MIB);
  });
});
