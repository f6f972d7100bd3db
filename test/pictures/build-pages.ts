import type { Browser, BrowserContextOptions } from 'playwright-core';
import type { BuildState } from '../../src/build/index.ts';
import { FAILED, RUNNING, START } from '../../dev/telegram/build-states.ts';
import { createFakeBuild, type FakeBuild } from '../browser/fake-view.ts';
import { openPageServer } from '../browser/page-server.ts';

interface Picture {
  readonly name: string;
  readonly build: FakeBuild;
  readonly options: BrowserContextOptions;
  /** Text that shows that the page is complete. */
  readonly text: string;
}

const ESC = '\u001B';
const green = (text: string): string => `${ESC}[32m${text}${ESC}[39m`;
const red = (text: string): string => `${ESC}[31m${text}${ESC}[39m`;
const grey = (text: string): string => `${ESC}[90m${text}${ESC}[39m`;
const bold = (text: string): string => `${ESC}[1m${text}${ESC}[22m`;

const HEAD = `\n${ESC}[1m${ESC}[46m RUN ${ESC}[49m${ESC}[22m ${ESC}[36mv4.1.12${ESC}[39m ${grey('/c3/project')}\n\n`;
const PASSING = [
  ` ${green('✓')} src/cart.test.ts ${grey('(18 tests)')} 41ms`,
  ` ${green('✓')} src/tax.test.ts ${grey('(9 tests)')} 12ms`,
  ` ${green('✓')} src/stock/reserve.test.ts ${grey('(23 tests)')} ${ESC}[33m312ms${ESC}[39m`,
  '',
].join('\n');
const FAILING = [
  ` ${red('×')} src/price.test.ts ${grey('(7 tests | 1 failed)')} 18ms`,
  `   ${red('× rounds 2.345 to 2.34')}`,
  '',
  `${ESC}[1m${ESC}[41m FAIL ${ESC}[49m${ESC}[22m src/price.test.ts > rounds 2.345 to 2.34`,
  red(`${bold('AssertionError')}: expected 2.35 to be 2.34`),
  '',
  green('- 2.34'),
  red('+ 2.35'),
  '',
  `${ESC}[36m ❯ src/price.test.ts:41:24${ESC}[39m`,
  '',
  ` Test Files  ${bold(red('1 failed'))} | ${bold(green('3 passed'))} (4)`,
  `      Tests  ${bold(red('1 failed'))} | ${bold(green('56 passed'))} (57)`,
  '',
].join('\n');

const COMMANDS: Readonly<Record<string, string>> = {
  lint: 'npx prettier --check .',
  test: 'npm ci --no-audit\nnpm test',
};

/** Takes pictures of pages with control, in light and dark colours, on a screen and on a phone. */
export async function* drawBuildPages(browser: Browser, folder: string): AsyncGenerator<string> {
  const server = await openPageServer({ now: () => START + 38_000 });
  const screen = { viewport: { width: 1_000, height: 690 }, deviceScaleFactor: 1.5 };
  const phone = { viewport: { width: 390, height: 740 }, deviceScaleFactor: 2, isMobile: true };
  const [failed, running] = [createFailed(), createRunning()];
  const pictures: readonly Picture[] = [
    { name: 'failed-light', build: failed, options: { ...screen, colorScheme: 'light' }, text: '56 passed' },
    { name: 'failed-dark', build: failed, options: { ...screen, colorScheme: 'dark' }, text: '56 passed' },
    { name: 'running-light', build: running, options: { ...screen, colorScheme: 'light' }, text: 'price.test.ts' },
    { name: 'running-phone', build: running, options: { ...phone, colorScheme: 'dark' }, text: 'price.test.ts' },
  ];
  try {
    for (const { name, build, options, text } of pictures) {
      server.show(`control-${name}`, () => ({ kind: 'seen', view: build.view }));
      const page = await browser.newPage({ ...options, reducedMotion: 'reduce' });
      await page.goto(`${server.origin}/b/control-${name}`);
      await page.getByText(text).waitFor();
      if (name.startsWith('failed')) await page.getByLabel('Times').check();
      const path = `${folder}page-${name}.png`;
      await page.screenshot({ path, fullPage: name.startsWith('failed') });
      await page.close();
      yield path;
    }
  } finally {
    await server.close();
  }
}

function createFailed(): FakeBuild {
  const build = createBegun(FAILED);
  build.write(2, HEAD, { seconds: 1 });
  build.write(2, PASSING, { seconds: 12 });
  build.write(2, FAILING, { seconds: 41 });
  build.endLog(2);
  return build;
}

function createRunning(): FakeBuild {
  const build = createBegun(RUNNING);
  build.write(2, HEAD + PASSING);
  build.write(2, ` ${ESC}[33m❯${ESC}[39m src/price.test.ts ${grey('3/7')}`);
  return build;
}

function createBegun(state: BuildState): FakeBuild {
  const steps = state.steps.map((step) => ({ ...step, command: COMMANDS[step.name] }));
  const build = createFakeBuild({ ...state, steps });
  build.write(0, 'HEAD is now at 1a2b3c4 Round prices half to even, not half up\n');
  build.write(1, 'All matched files use the formatter’s style.\n');
  build.endLog(0);
  build.endLog(1);
  return build;
}
