import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startC3, type C3Process } from '../../dev/demo/c3-process.ts';
import { formatPipeline } from '../e2e/target.ts';
import { isLong } from '../random.ts';
import { useOutsider } from './outsider.ts';

const ESC = '\u001B';
const BEL = '\u0007';
const OUTPUT_BYTES = (isLong ? 512 : 128) * 1024;
/** The maximum ratio of shown to printed bytes: 40 for lines of eight bytes that are 240 columns wide. */
const MAX_RATIO = 40;
/** The heap of c3 in MiB, too small for a page that is built as a whole. */
const HEAP = 200;

const LINK = `${ESC}]8;;http://${'&'.repeat(2_000)}${BEL}`;
const NO_LINK = `${ESC}]8;;${BEL}`;

/** Creates the longest line that c3 shows, from a start and a repeated unit. */
function fill(head: string, unit: string): string {
  return `${head}${unit.repeat(Math.floor((16_384 - head.length) / unit.length))}\n`;
}

describe('A12 Output that costs more to show than to print', () => {
  const { fixture } = useOutsider();
  let c3: C3Process | undefined;

  beforeAll(async () => {
    c3 = await startC3({ ...fixture.world.settings, NODE_OPTIONS: `--max-old-space-size=${HEAP}` });
  });
  afterAll(async () => await c3?.stop());

  /** Builds a step that prints this; resolves with the URL of its page. */
  async function print(output: string): Promise<string> {
    const { user, k8s } = await fixture.setUp(c3 && { c3 });
    const source = formatPipeline(fixture.target, k8s, '- main: cat bomb\n  name: bomb');
    const { status } = await fixture.push(user, { 'c3.yaml': source, bomb: output });
    expect(status).toMatchObject({ state: 'success' });
    return (status.targetUrl ?? '').replace(fixture.world.c3.url, c3?.url ?? '');
  }

  it.each([
    ['a link with its own style for each letter', fill(LINK, `${ESC}[1mX${ESC}[mX`)],
    ['a link that is cut into a thousand pieces', fill(`${LINK}${'x'.repeat(6_000)}\r${NO_LINK}`, `${ESC}[Cy`)],
    ['a long line that is erased repeatedly', fill('x'.repeat(8_000), `${ESC}[2Kx`)],
    ['columns that are far to the right', `${ESC}[240GX\n`],
    ['nothing but line ends', '\n'],
  ])('shows %s to several readers at a bounded cost, and continues to serve others', async (_, line) => {
    const output = line.repeat(Math.floor(OUTPUT_BYTES / line.length));
    const page = await print(output);
    async function measure(address: string, accept: string): Promise<number> {
      const answer = await fetch(address, { headers: { accept } });
      expect(answer.status).toBe(200);
      return (await answer.text()).length;
    }
    const sizes = await Promise.all(
      Array.from({ length: 2 }, () => [
        measure(page, 'text/html'),
        measure(`${page}/events`, 'text/event-stream'),
        measure(`${page}/events`, 'text/plain'),
      ]).flat(),
    );
    for (const size of sizes) expect(size).toBeLessThan(MAX_RATIO * OUTPUT_BYTES);
    expect(await measure(`${c3?.url}/healthz`, '*/*')).toBeGreaterThan(0);
  });
});
