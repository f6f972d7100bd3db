import { describe, expect, test } from 'vitest';
import { capitalize, describeBuild, formatDuration, type Ending, type StepPhase, type Tone } from '../build/index.ts';
import { createBuild } from '../../test/fakes/sample-build.ts';
import { createEnded, createState, createStep } from '../../dev/telegram/build-states.ts';
import type { BuildLook } from '../logs/build-view.ts';
import { renderEmptySteps, renderOpening, renderShortPage } from './page-document.ts';
import { renderParts, toIcon, type PageOptions } from './page-parts.ts';
import { formatPalette } from './log-html.ts';
import { toPageSteps } from './page-steps.ts';

interface BrowserScript {
  formatRunningTime(ms: number): string;
  parseLineRange(hash: string): { step: string; first: number; last: number } | undefined;
}

const browser = (await import(new URL('browser/build-page.js', import.meta.url).href)) as BrowserScript;
const options: PageOptions = {
  sealed: 'SEALED',
  address: 'https://c3.example/b/SEALED',
  canControl: true,
  nonce: 'n'.repeat(22),
  now: Date.UTC(2026, 2, 14, 9, 27),
};

const MESSAGE = { message: 'why' };

describe('the state of a build', () => {
  const endings: readonly [Ending, Tone, string][] = [
    [{ kind: 'passed', allowed: [] }, 'passed', 'passed'],
    [{ kind: 'passed', allowed: ['lint'] }, 'warned', 'passed with allowed failures'],
    [{ kind: 'skipped', ...MESSAGE }, 'skipped', 'skipped'],
    [{ kind: 'failed', step: 'test', ...MESSAGE }, 'failed', 'failed'],
    [{ kind: 'timed-out', ...MESSAGE }, 'failed', 'timed out'],
    [{ kind: 'cancelled', ...MESSAGE }, 'stopped', 'cancelled'],
    [{ kind: 'superseded', ...MESSAGE }, 'stopped', 'superseded'],
    [{ kind: 'config-error', ...MESSAGE }, 'failed', 'config error'],
    [{ kind: 'refused', ...MESSAGE }, 'failed', 'refused'],
    [{ kind: 'infrastructure-error', ...MESSAGE }, 'failed', 'infrastructure error'],
  ];

  test.each(endings)('%j is %s, "%s", in title, icon and text', (ending, tone, word) => {
    const state = createEnded(ending);
    expect(describeBuild(state)).toMatchObject({ tone, word });
    const html = renderOpening({ state, isLed: false }, options);
    expect(html).toMatch(new RegExp(`<title>[^ ]+ ${capitalize(word)} · acme/shop · main</title>`));
    expect(html).toContain(`<svg class="symbol ${tone}"`);
    expect(html).toContain(`<span>${capitalize(word)}</span></h1>`);
  });

  test.each(endings.filter(([ending]) => 'message' in ending))('%j comes with its sentence', (ending) => {
    const html = renderOpening({ state: createEnded(ending), isLed: false }, options);
    expect(html).toMatch(/<p class="sentence">(?:test failed: )?why<\/p>/);
  });

  test('a build that passes after a failed one is "fixed"', () => {
    const state = createEnded({ kind: 'passed', allowed: [] }, { previous: 'failed' });
    expect(describeBuild(state)).toStrictEqual({ tone: 'passed', word: 'fixed', symbol: '✅' });
  });

  test.each(endings)(
    '%j without the confirmation of the forge (else %s) does not look like a success',
    (ending, tone, word) => {
      const state = createEnded(ending, { isUnconfirmed: true });
      const shown = tone === 'passed' ? 'warned' : tone;
      expect(describeBuild(state)).toMatchObject({ tone: shown, word: `${word}, not confirmed` });
      const html = renderOpening({ state, isLed: false }, options);
      expect(html).toMatch(new RegExp(`<title>[^ ✅]+ ${capitalize(word)}, not confirmed · acme/shop · main</title>`));
      expect(html).toContain(`<svg class="symbol ${shown}"`);
      expect(html).toContain(`id="icon" href="${toIcon(shown)}"`);
    },
  );

  test('the page works without the name of the branch', () => {
    const state = createEnded({ kind: 'passed', allowed: [] });
    const html = renderOpening(
      { state: { ...state, build: createBuild({ ref: { kind: 'branch', name: '' } }) }, isLed: false },
      options,
    );
    expect(html).toContain('<title>✅ Passed · acme/shop</title>');
    expect(html).not.toContain('class="ref"');
  });

  test('each tone has its own icon', () => {
    const icons = (['waiting', 'running', 'passed', 'warned', 'failed', 'stopped', 'skipped'] as const).map(toIcon);
    expect(new Set(icons).size).toBe(icons.length);
    for (const icon of icons) expect(icon).toMatch(/^data:image\/svg\+xml,[^"<>\s]+$/);
  });
});

describe('a step', () => {
  const phases: readonly [StepPhase, boolean, string, string | undefined][] = [
    [{ kind: 'pending' }, false, 'waiting', undefined],
    [{ kind: 'running' }, false, 'running', undefined],
    [{ kind: 'passed' }, false, 'passed', undefined],
    [{ kind: 'failed', exitCode: 3 }, false, 'failed', 'exit code 3'],
    [{ kind: 'failed', exitCode: undefined }, false, 'failed', 'could not start'],
    [{ kind: 'failed', exitCode: 3 }, true, 'warned', 'exit code 3, allowed'],
    [{ kind: 'timed-out' }, false, 'failed', 'timed out'],
    [{ kind: 'cancelled' }, false, 'stopped', 'cancelled'],
    [{ kind: 'lost', message: 'the node went' }, false, 'failed', 'outcome unknown: the node went'],
    [
      { kind: 'skipped', reason: 'branch "dev" does not match' },
      false,
      'skipped',
      'skipped: branch &quot;dev&quot; does not match',
    ],
    [{ kind: 'skipped', reason: undefined }, false, 'skipped', 'skipped'],
  ];

  test.each(phases)('with phase %j, allowed to fail: %s, is %s and says "%s"', (phase, isAllowed, tone, note) => {
    const state = createState({ kind: 'running' }, { steps: [createStep('test', phase, { isAllowed })] });
    const summary = renderParts({ state, isLed: true }, options).get('sum-test') ?? '';
    expect(summary).toContain(`<svg class="symbol ${tone}"`);
    expect(/<span class="note">(.*?)<\/span>/.exec(summary)?.[1]).toBe(note);
  });

  test('says that it runs in parallel and repeats', () => {
    const steps = [createStep('a', { kind: 'running' }, { from: 1, group: 0, attempt: 2 })];
    const summary = renderParts({ state: createState({ kind: 'running' }, { steps }), isLed: true }, options).get(
      'sum-a',
    );
    expect(summary).toContain('<span class="note">in parallel · attempt 2</span>');
  });
});

describe('the command of a step', () => {
  const render = (command: string | undefined): string => {
    const steps = [createStep('test', { kind: 'passed' }, { command })];
    return renderEmptySteps(
      { state: createEnded({ kind: 'passed', allowed: [] }, { steps }), isLed: false },
      options,
    )[0]!;
  };

  test('is shown whole above its log, and without control characters', () => {
    expect(render('npm ci\nnpm test\u001B[31m && echo "<done>"')).toContain(
      'aria-label="Command of test"><code>npm ci\nnpm test &amp;&amp; echo &quot;&lt;done&gt;&quot;</code></pre><div class="tools">',
    );
  });

  test('is not shown for the checkout, which runs a script of c3', () => {
    expect(render(undefined)).not.toContain('command');
  });
});

test('a view link has no form, and shows the command that gets the control link', () => {
  const state = createEnded({ kind: 'passed', allowed: [] });
  const controls = renderParts({ state, isLed: false }, { ...options, canControl: false }).get('controls');
  expect(controls).toContain('<code>gh auth token | c3 link https://c3.example/b/SEALED</code>');
  expect(controls).not.toMatch(/<form|<button|nnnn/);
});

describe('the page of a wrong c3.yaml', () => {
  const problems = [{ location: 'c3.yaml:4:5', url: '', message: 'unknown key "wen"', hint: 'did you mean "when"?' }];
  const ending = { kind: 'config-error', message: 'c3.yaml:4:5 error: unknown key "wen"', problems } as const;
  const missing = 'There is no c3.yaml at 1a2b3c4';
  const { build, urls } = createEnded(ending);
  const status = { buildId: build.id, state: 'error', text: `config error: ${missing}` } as const;
  const outcome = { build, urls, status: { ...status, ending: { ...ending, message: missing } }, problems: [] };
  const look = (changes: object): BuildLook => ({
    kind: 'outcome',
    outcome: { ...outcome, message: missing, ...changes },
  });

  test.each([
    ['that this c3 runs', renderOpening({ state: createEnded(ending), isLed: true }, options), 'unknown key'],
    ['that has ended', renderShortPage(look({ problems }) as never, options), 'unknown key'],
    ['that does not exist', renderShortPage(look({}) as never, options), 'There is no c3.yaml'],
  ])('%s says each thing once', (_, html, sentence) => {
    const body = html.slice(html.indexOf('<body>'), html.indexOf('<script'));
    expect(body.split(sentence)).toHaveLength(2);
    expect(body.split('Config error')).toHaveLength(2);
    expect(body).not.toContain('c3 can show no more');
  });
});

test('texts from outside are escaped everywhere, and link only to the web', () => {
  const evil = '"><script>alert(1)</script>';
  const state = createEnded(
    {
      kind: 'config-error',
      message: evil,
      problems: [{ location: evil, url: 'javascript:alert(1)', message: evil, hint: evil }],
    },
    { warnings: [evil], steps: [createStep(evil, { kind: 'lost', message: evil })] },
  );
  const shown = {
    ...state,
    build: createBuild({ ref: { kind: 'branch', name: evil }, commit: { subject: evil, author: evil } }),
    urls: { ...state.urls, commit: 'javascript:alert(1)' },
  };
  const html = renderOpening({ state: shown, isLed: false }, { ...options, sealed: evil, nonce: evil });
  const parts = [...renderParts({ state: shown, isLed: false }, options).values()].join('');
  for (const text of [html.slice(html.indexOf('</style>')), parts]) {
    expect(text).not.toContain('<script>');
    expect(text).not.toContain('javascript:');
  }
});

test('every colour is readable on its background', () => {
  const rules = [...formatPalette().matchAll(/\.b(\d+)\{background:(#\w+);color:(#\w+)\}/g)];
  expect(rules).toHaveLength(256);
  for (const [, , background = '', colour = ''] of rules) expect(contrast(background, colour)).toBeGreaterThan(4.5);
  const inks = [...formatPalette().matchAll(/\.f\d+(?:,\.r\d+)?\{color:(#\w+)\}/g)];
  expect(inks).toHaveLength(256);
  for (const [, colour = ''] of inks) expect(contrast('#0d1117', colour)).toBeGreaterThanOrEqual(4.5);
});

function contrast(one: string, other: string): number {
  const [low = 0, high = 0] = [one, other].map(luminance).sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}

function luminance(colour: string): number {
  const digits = colour.length === 4 ? colour.slice(1).replaceAll(/./g, '$&$&') : colour.slice(1);
  const parts = (digits.match(/../g) ?? []).map((part) => Number.parseInt(part, 16) / 255);
  const [red = 0, green = 0, blue = 0] = parts.map((part) =>
    part <= 0.04 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4,
  );
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

describe("the page's script", () => {
  test.each([10_000, 59_999, 60_000, 72_000, 3_600_000, 7_500_000])('formats %i ms as the server does', (ms) => {
    expect(browser.formatRunningTime(ms)).toBe(formatDuration(ms));
  });

  test.each([
    ['#test-L12', { step: 'test', first: 12, last: 12 }],
    ['#unit-tests-L20-L3', { step: 'unit-tests', first: 3, last: 20 }],
    ['#step-test', undefined],
    ['', undefined],
    ['#test-Lx', undefined],
  ])('reads the range of lines in "%s"', (hash, lines) => {
    expect(browser.parseLineRange(hash)).toStrictEqual(lines);
  });
});

test('the steps of a state are converted once', () => {
  const { steps } = createState({ kind: 'running' }, { steps: [createStep('a', { kind: 'running' }, { from: 1 })] });
  expect(toPageSteps(steps)).toBe(toPageSteps(steps));
  expect(toPageSteps([...steps])).toStrictEqual(toPageSteps(steps));
});
