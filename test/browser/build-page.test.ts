import axe from 'axe-core';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import type { BuildState } from '../../src/build/index.ts';
import { createBuild } from '../fakes/sample-build.ts';
import { createEnded, createState, createStep, FAILED } from '../../dev/telegram/build-states.ts';
import { openBrowser } from './browser.ts';
import { createFailed, createRunning, isInView } from './builds.ts';
import { createFakeBuild, type FakeBuild } from './fake-view.ts';
import { openPageServer, type PageServer } from './page-server.ts';

const ESC = '\u001B';

let server: PageServer;
let browser: Browser;
/** The errors in the browser's console: violations of the policy, and exceptions that no code caught. */
let complaints: string[];

beforeAll(async () => {
  [server, browser] = await Promise.all([openPageServer(), openBrowser()]);
});

afterAll(async () => {
  await browser.close();
  await server.close();
});

beforeEach(() => {
  complaints = [];
});

async function open(path: string, options: BrowserContextOptions & { origin?: string } = {}): Promise<Page> {
  const { origin = server.origin, ...rest } = options;
  const context = await browser.newContext({ permissions: ['clipboard-read', 'clipboard-write'], ...rest });
  const page = await context.newPage();
  page.on('console', (message) => {
    if (message.type() === 'error' && !message.text().includes('ERR_')) complaints.push(message.text());
  });
  page.on('pageerror', (error) => void complaints.push(error.message));
  await page.addInitScript(
    `addEventListener('securitypolicyviolation', (event) => console.error('violation: ' + event.violatedDirective))`,
  );
  await page.goto(`${origin}${path}`);
  return page;
}

function show(name: string, build: FakeBuild): void {
  server.show(name, () => ({ kind: 'seen', view: build.view }));
}

describe('the page of a running build', () => {
  test('updates its lines, state, steps, title and icon', async () => {
    const build = createRunning();
    build.write(2, 'first\n');
    show('look-live', build);
    const page = await open('/b/look-live');
    const icon = await page.locator('#icon').getAttribute('href');
    build.write(2, `${ESC}[32msecond${ESC}[0m\nDownloading 40%`);
    await page.locator('#test-L2 .f2').waitFor();
    await page.locator('.partial', { hasText: 'Downloading 40%' }).waitFor();
    build.write(2, '\rDownloading 100%\n');
    await page.locator('#test-L3', { hasText: /^Downloading 100%$/ }).waitFor();
    expect(await page.locator('#step-test').getAttribute('open')).toBe('');
    build.endLog(2);
    build.show(FAILED);
    await page.getByRole('heading', { name: 'Failed', level: 1 }).waitFor();
    await page.getByText('test failed: exit code 1').waitFor();
    expect(await page.title()).toBe('❌ Failed · acme/shop · main');
    expect(await page.locator('#icon').getAttribute('href')).not.toBe(icon);
    expect(await page.locator('#log-test li[id]').allTextContents()).toStrictEqual([
      'first',
      'second',
      'Downloading 100%',
    ]);
    expect(await page.getByRole('status').first().textContent()).toBe('Failed');
    expect(complaints).toStrictEqual([]);
    await page.context().close();
  });

  test('adds steps when they are known, opens a step that starts and closes a step that passed', async () => {
    const build = createFakeBuild(createState({ kind: 'preparing', detail: 'pulling image alpine/git' }));
    show('look-steps', build);
    const page = await open('/b/look-steps');
    await page.getByText('pulling image alpine/git').waitFor();
    const steps = [createStep('git', { kind: 'running' }, { from: 1 }), createStep('test', { kind: 'pending' })];
    build.show(createState({ kind: 'running' }, { steps }));
    build.write(0, 'Cloning\n');
    await page.locator('#step-git[open] #git-L1').waitFor();
    build.endLog(0);
    const next = [
      createStep('git', { kind: 'passed' }, { from: 1, to: 2 }),
      createStep('test', { kind: 'running' }, { from: 2 }),
    ];
    build.show(createState({ kind: 'running' }, { steps: next }));
    await page.locator('#step-test[open]').waitFor();
    await page.locator('#step-git:not([open])').waitFor({ state: 'attached' });
    expect(await page.locator('.step').count()).toBe(2);
    await page.context().close();
  });

  test('follows the end of the log, and does not scroll when the reader is elsewhere', async () => {
    const build = createRunning();
    build.write(2, 'a line\n'.repeat(300));
    show('look-follow', build);
    const page = await open('/b/look-follow');
    await page.getByRole('button', { name: 'Jump to end' }).click();
    await expect.poll(() => isInView(page, '#test-L300')).toBe(true);
    build.write(2, 'a line\n'.repeat(300));
    await page.locator('#test-L600').waitFor();
    await expect.poll(() => isInView(page, '#test-L600')).toBe(true);
    await page.evaluate('scrollTo({ top: 100 })');
    await page.getByRole('button', { name: 'Jump to end' }).waitFor();
    build.write(2, 'the last\n');
    await page.locator('#test-L601').waitFor({ state: 'attached' });
    expect(await page.evaluate<number>('scrollY')).toBe(100);
    await page.context().close();
  });

  test('continues after c3 restarts, without lost or repeated lines', async () => {
    const build = createRunning();
    build.write(2, 'one\n');
    const first = await openPageServer();
    first.show('look-again', () => ({ kind: 'seen', view: build.view }));
    const page = await open('/b/look-again', { origin: first.origin });
    build.write(2, 'two\n');
    await page.locator('#test-L2').waitFor();
    await first.close();
    await page.getByText('Connection lost. Reconnecting…').waitFor();
    build.write(2, 'three\nfour\n');
    const second = await openPageServer({ port: Number(new URL(first.origin).port) });
    second.show('look-again', () => ({ kind: 'seen', view: build.view }));
    await page.locator('#test-L4').waitFor();
    expect(await page.locator('#log-test li[id]').allTextContents()).toStrictEqual(['one', 'two', 'three', 'four']);
    await page.locator('#connection').waitFor({ state: 'hidden' });
    await page.context().close();
    await second.close();
  });

  test('cancels the build by keyboard, after a confirmation, if the link allows it', async () => {
    show('control-cancel', createRunning());
    const page = await open('/b/control-cancel');
    await page.getByText('Cancel', { exact: true }).focus();
    await page.keyboard.press('Enter');
    await page.getByText('The steps in “finally” still run').waitFor();
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await expect.poll(() => server.posts.at(-1)?.path).toBe('/b/control-cancel/cancel');
    expect(server.posts.at(-1)).toMatchObject({
      body: expect.stringMatching(/^nonce=[\w-]{22}$/) as string,
      origin: server.origin,
    });
    await page.waitForURL('**/b/control-cancel');
    await page.context().close();
  });
});

describe('the page of an ended build', () => {
  test('runs the build again if the link allows it, and leads to the new build', async () => {
    show('control-ended', createFailed('no\n'));
    show('control-new', createRunning());
    const page = await open('/b/control-ended', { javaScriptEnabled: false });
    await page.getByText('Re-run', { exact: true }).click();
    await page.getByRole('button', { name: 'Run it again' }).click();
    await page.waitForURL('**/b/control-new');
    await page.getByRole('heading', { name: 'Running', level: 1 }).waitFor();
    expect(server.posts.at(-1)?.path).toBe('/b/control-ended/rerun');
    await page.context().close();
  });

  test.each([1_200, 390])('shows the confirmation of a re-run inside a window of %i px', async (width) => {
    const failed = createFailed('no\n');
    const commit = { subject: 'a long subject '.repeat(20), author: 'Ann Lee' };
    failed.show({ ...FAILED, build: createBuild({ commit }) });
    show('control-long', failed);
    const page = await open('/b/control-long', { viewport: { width, height: 700 } });
    await page.getByText('Re-run', { exact: true }).click();
    const box = await page.locator('.confirm form').boundingBox();
    expect(box).toMatchObject({
      x: expect.toSatisfy((x: number) => x >= 0 && x + (box?.width ?? 0) <= width) as number,
    });
    await page.getByRole('button', { name: 'Run it again' }).click({ trial: true });
    await page.context().close();
  });

  test('says with a view link how to get the control link', async () => {
    show(`look-${'x'.repeat(200)}`, createFailed('no\n'));
    const page = await open(`/b/look-${'x'.repeat(200)}`, { viewport: { width: 390, height: 700 } });
    await page.getByText('Re-run', { exact: true }).click();
    await page.getByText(`gh auth token | c3 link https://c3.example.com/b/look-${'x'.repeat(200)}`).waitFor();
    expect(await page.locator('form').count()).toBe(0);
    expect(await page.evaluate<number>('document.documentElement.scrollWidth')).toBe(390);
    await page.context().close();
  });

  test('puts a line in the address on a click on its number, and a range on a shift-click', async () => {
    show('look-lines', createFailed('a line\n'.repeat(1_000)));
    const page = await open('/b/look-lines#git-L1');
    await page.locator('#step-git[open] .hit#git-L1').waitFor();
    await page.goto(`${server.origin}/b/look-lines#test-L700-L702`);
    await page.locator('.hit#test-L702').waitFor();
    expect(await page.locator('.hit').count()).toBe(3);
    await expect.poll(() => isInView(page, '#test-L700')).toBe(true);
    await page.locator('#test-L703').click({ position: { x: 20, y: 5 } });
    expect(new URL(page.url()).hash).toBe('#test-L703');
    await page.locator('#test-L705').click({ position: { x: 20, y: 5 }, modifiers: ['Shift'] });
    expect(new URL(page.url()).hash).toBe('#test-L703-L705');
    await page.locator('#test-L706').click({ position: { x: 200, y: 5 } });
    expect(new URL(page.url()).hash).toBe('#test-L703-L705');
    await page.context().close();
  });

  test('lets the browser search the whole log, also outside the screen', async () => {
    show('look-find', createFailed(`${'a line\n'.repeat(5_000)}needle in the hay\n${'a line\n'.repeat(5_000)}`));
    const page = await open('/b/look-find');
    expect(await page.evaluate<boolean>(`find('needle in the hay')`)).toBe(true);
    expect(await page.evaluate<string>(`getSelection().anchorNode.parentElement.closest('li').id`)).toBe('test-L5001');
    await page.getByRole('button', { name: 'Open all' }).click();
    expect(await page.evaluate<boolean>(`find('output of lint', false, true)`)).toBe(true);
    await page.context().close();
  });

  test('copies the log without numbers and times, and links to the raw log', async () => {
    show('look-copy', createFailed(`${ESC}[31mred${ESC}[0m\n\nand more\n`));
    const page = await open('/b/look-copy');
    await page.locator('#step-test').getByRole('button', { name: 'Copy' }).click();
    await page.getByText('Copied').waitFor();
    expect(await page.evaluate<string>('navigator.clipboard.readText()')).toBe('red\n\nand more\n');
    await page.evaluate(`getSelection().selectAllChildren(document.getElementById('log-test'))`);
    expect(await page.evaluate<string>('getSelection().toString()')).not.toMatch(/\d/);
    await page.getByRole('link', { name: 'Raw log of test' }).click();
    expect(await page.evaluate<string>('document.body.innerText')).toContain('and more');
    await page.context().close();
  });

  test('shows the elapsed times of lines on request, without a script', async () => {
    const build = createRunning(FAILED);
    build.write(2, 'one\ntwo\n', { seconds: 75 });
    build.endLog(2);
    show('look-times', build);
    const page = await open('/b/look-times', { javaScriptEnabled: false });
    const read = `getComputedStyle(document.getElementById('test-L1'), '::after').content`;
    expect(await page.evaluate<string>(read)).toBe('none');
    await page.getByLabel('Times').check();
    expect(await page.evaluate<string>(read)).toBe('"1:15"');
    await page.context().close();
  });

  test('works without a script, and then reloads while the build runs', async () => {
    show('look-plain', createFailed('no\n'));
    const running = createRunning();
    running.write(2, 'so far\n');
    show('look-plain-running', running);
    const page = await open('/b/look-plain', { javaScriptEnabled: false });
    await page.locator('#step-test[open] #test-L1', { hasText: 'no' }).waitFor();
    await page.getByRole('heading', { name: 'git' }).click();
    await page.locator('#git-L1', { hasText: 'output of git' }).waitFor();
    expect(await page.locator('button:visible').count()).toBe(0);
    await page.goto(`${server.origin}/b/look-plain-running`);
    await page.locator('#test-L1', { hasText: 'so far' }).waitFor();
    running.write(2, 'and then\n');
    await page.locator('#test-L2', { hasText: 'and then' }).waitFor();
    await page.context().close();
  });
});

describe('every page', () => {
  const config: BuildState = createEnded(
    {
      kind: 'config-error',
      message: 'c3.yaml:4:5 error: unknown key "wen"',
      problems: [
        {
          location: 'c3.yaml:4:5',
          url: 'https://github.com/acme/shop/blob/0/c3.yaml#L4',
          message: 'unknown key "wen"',
          hint: 'did you mean "when"?',
        },
      ],
    },
    { warnings: [`c3.yaml:3:12 warning: ${'a long sentence '.repeat(20)}\n  3 | - kaniko: |`] },
  );
  const log = [
    `${ESC}[1m${ESC}[46m RUN ${ESC}[49m${ESC}[22m ${ESC}[36mv4.1.12${ESC}[0m ${ESC}[2mdim${ESC}[22m`,
    ...Array.from(
      { length: 16 },
      (_, colour) => `${ESC}[38;5;${colour}mcolour${ESC}[0m ${ESC}[48;5;${colour}mground${ESC}[0m`,
    ),
    `${ESC}[38;5;17mdark${ESC}[0m ${ESC}[7minverse${ESC}[0m ${ESC}]8;;https://a.example${ESC}\\link${ESC}]8;;${ESC}\\`,
    'x'.repeat(5_000),
  ].join('\n');

  beforeEach(() => {
    const running = createRunning();
    running.write(2, log);
    show('control-running', running);
    const failed = createFailed(log);
    const command = 'npm ci\nnpm test\n'.repeat(20);
    failed.show({ ...FAILED, steps: FAILED.steps.map((step) => ({ ...step, command })) });
    show('control-failed', failed);
    show('look-config', createFakeBuild(config));
    const { build, urls } = FAILED;
    const text = 'failed at test after 54s: exit code 1';
    const status = { buildId: build.id, state: 'failure', ending: undefined, text } as const;
    server.show('look-gone', () => ({
      kind: 'outcome',
      outcome: { build, urls, status, message: 'its Pod was deleted, and its logs with it', problems: [] },
    }));
    server.show('look-trouble', () => ({ kind: 'failed', message: 'GitHub does not answer' }));
  });

  const names = ['control-running', 'control-failed', 'look-config', 'look-gone', 'look-trouble'];

  test.each(names.flatMap((name) => (['light', 'dark'] as const).map((scheme) => [name, scheme] as const)))(
    '%s has no serious accessibility problem in %s colours',
    async (name, colorScheme) => {
      const page = await open(`/b/${name}`, { colorScheme });
      await page.evaluate(axe.source);
      const found = await page.evaluate<{ id: string; impact: string; nodes: { html: string }[] }[]>(
        `axe.run().then(({ violations }) => violations.map(({ id, impact, nodes }) => ({ id, impact, nodes })))`,
      );
      const serious = found.filter(({ impact }) => impact === 'serious' || impact === 'critical');
      expect(serious.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`)).toStrictEqual([]);
      await page.context().close();
    },
  );

  test.each(names)('%s fits a phone: no element is wider than the screen', async (name) => {
    const page = await open(`/b/${name}`, { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true });
    await page.evaluate(`document.getElementById('times')?.click()`);
    expect(await page.evaluate<number>('document.documentElement.scrollWidth')).toBeLessThanOrEqual(360);
    await page.context().close();
  });

  test('has the colours of the system', async () => {
    const ground = 'getComputedStyle(document.body).backgroundColor';
    const colours = await Promise.all(
      (['light', 'dark'] as const).map(async (colorScheme) => {
        const page = await open('/b/control-failed', { colorScheme });
        const colour = await page.evaluate<string>(ground);
        await page.context().close();
        return colour;
      }),
    );
    expect(colours).toStrictEqual(['rgb(255, 255, 255)', 'rgb(11, 14, 19)']);
  });
});

test('output and names of a build run no script, load nothing and stay text', async () => {
  const evil = `"><img src=x onerror="console.error('ran')"><script>console.error('ran')</script>`;
  const state = createEnded(
    { kind: 'failed', step: evil, message: evil },
    {
      steps: [createStep(evil, { kind: 'failed', exitCode: 1 }, { from: 1, to: 2 })],
      warnings: [evil],
      build: createBuild({ ref: { kind: 'branch', name: evil }, commit: { subject: evil, author: evil } }),
    },
  );
  const lines = [
    evil,
    `${ESC}]8;;javascript:console.error('ran')${ESC}\\click${ESC}]8;;${ESC}\\`,
    `${ESC}]8;;https://a.example/"onclick="console.error('ran')${ESC}\\click`,
    `</ol></div></details></main><script>console.error('ran')</script>`,
    `${ESC}]0;<script>console.error('ran')</script>\u0007${ESC}P<b>${ESC}\\`,
    '<!-- <style>*{display:none}</style> <base href=https://evil.example> <meta http-equiv=refresh content=0;url=https://evil.example>',
    '\u202Egnp.exe \u0000 \u2028',
  ];
  const steps = [createStep(evil, { kind: 'running' }, { from: 1 })];
  const build = createFakeBuild({ ...state, steps, phase: { kind: 'running' }, endedAt: undefined });
  build.write(0, `${lines.join('\n')}\n`);
  show('control-evil', build);
  const page = await open('/b/control-evil');
  const requests: string[] = [];
  page.on('request', (request) => void requests.push(request.url()));
  build.write(0, `${lines.join('\n')}\n${evil}`);
  await page.locator('.partial').waitFor();
  build.endLog(0);
  build.show(state);
  await page.getByRole('heading', { name: 'Failed', level: 1 }).waitFor();
  expect(await page.locator('#steps .log li[id]').count()).toBe(lines.length * 2 + 1);
  expect(await page.locator('main script, main img, main base, main .log a[href^="javascript"]').count()).toBe(0);
  expect(requests.filter((url) => !url.startsWith(server.origin))).toStrictEqual([]);
  expect(complaints).toStrictEqual([]);
  await page.context().close();
});

test('every view is released after its reader has left', async () => {
  await expect.poll(() => server.released).toBe(server.opened);
});
