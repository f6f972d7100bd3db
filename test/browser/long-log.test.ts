import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Browser } from 'playwright-core';
import { openBrowser } from './browser.ts';
import { createFailed, createRunning, isInView } from './builds.ts';
import { openPageServer, type PageServer } from './page-server.ts';

const ESC = '\u001B';

let server: PageServer;
let browser: Browser;

beforeAll(async () => {
  [server, browser] = await Promise.all([openPageServer(), openBrowser()]);
});

afterAll(async () => {
  await browser.close();
  await server.close();
});

/** Lines of about 100 bytes: with one coloured word, as most tools write, and with a time, a level and a word. */
const LINES: readonly [name: string, line: (number: number) => string][] = [
  [
    'one colour a line',
    (n) => `compiling module ${n} of the shop, and what else there is to say of it ${ESC}[32mok${ESC}[0m\n`,
  ],
  [
    'three colours a line',
    (n) =>
      `${ESC}[32m2026-03-14T09:26:53Z${ESC}[0m ${ESC}[1;34mINFO${ESC}[0m compiling module ${n} of the shop ${ESC}[33mwarning${ESC}[39m: unused\n`,
  ],
];

test.each(LINES)(
  'a log of 100,000 lines with %s opens, jumps to a line and scrolls (prints the times)',
  async (name, line) => {
    const log = Array.from({ length: 100_000 }, (_, index) => line(index + 1)).join('');
    const build = createFailed(log);
    server.show('look-big', () => ({ kind: 'seen', view: build.view }));
    const page = await browser.newPage({ viewport: { width: 1_280, height: 900 } });
    await page.goto(`${server.origin}/b/look-big#test-L70000`);
    const timing = await page.evaluate<{ load: number; paint: number }>(`({
    load: performance.getEntriesByType('navigation')[0].loadEventEnd,
    paint: performance.getEntriesByName('first-contentful-paint')[0].startTime,
  })`);
    await expect.poll(() => isInView(page, '#test-L70000')).toBe(true);
    const frames = await page.evaluate<number[]>(`(async () => {
    const frames = [];
    for (let frame = 0, before = performance.now(); frame < 120; frame++) {
      scrollBy(0, 300);
      await new Promise(requestAnimationFrame);
      frames.push(performance.now() - before);
      before = performance.now();
    }
    return frames.sort((one, other) => one - other);
  })()`);
    expect(await page.locator('#log-test li').count()).toBe(100_000);
    await page.close();
    process.stdout.write(
      `100,000 lines, ${name}, ${(log.length / 1e6).toFixed(1)} MB: first paint ${timing.paint.toFixed(0)} ms, loaded ${timing.load.toFixed(0)} ms; ` +
        `frames while scrolling: median ${frames[60]?.toFixed(0)} ms, 95th percentile ${frames[114]?.toFixed(0)} ms\n`,
    );
  },
);

test('a page that follows an endless log keeps its newest 200,000 lines', async () => {
  const build = createRunning();
  server.show('look-endless', () => ({ kind: 'seen', view: build.view }));
  const page = await browser.newPage();
  await page.goto(`${server.origin}/b/look-endless`);
  build.write(2, 'x\n'.repeat(205_000));
  await page.locator('#test-L205000').waitFor({ timeout: 50_000 });
  expect(await page.locator('#log-test li').count()).toBeLessThanOrEqual(200_000);
  expect(await page.locator('#log-test > .cut').allTextContents()).toStrictEqual(['Older lines are in the raw log.']);
});
