import { describe, expect, test } from 'vitest';
import type { BuildLink } from '../build/index.ts';
import { createLink } from '../../test/fakes/sample-build.ts';
import { createEnded, createState, createStep, FAILED, RUNNING, START } from '../../dev/telegram/build-states.ts';
import { createFakeBuild, type FakeBuild } from '../../test/browser/fake-view.ts';
import type { BuildLook } from '../logs/index.ts';
import { handleBuildLog } from './build-log.ts';
import { handleBuildPage, type BuildPageDependencies } from './build-page.ts';

const link = createLink({
  right: 'view',
  scope: { host: 'github.com', owner: 'acme', name: 'shop' },
  id: '1f2e3d4c5b6a',
  sha: FAILED.build.sha,
  trust: 'protected',
  token: 'ghp_abcdefgh12345678',
});

interface Asked {
  readonly answer: Response;
  readonly text: string;
  readonly released: number;
}

async function ask(
  look: BuildLook,
  { path = '', right = 'view', method = 'GET' }: { path?: string; right?: BuildLink['right']; method?: string } = {},
): Promise<Asked> {
  let released = 0;
  const dependencies: BuildPageDependencies = {
    openView: () => Promise.resolve({ link: { ...link, right }, found: look, release: () => void (released += 1) }),
    baseUrl: () => 'https://c3.example',
    now: () => START + 38_000,
    closing: new AbortController().signal,
  };
  const request = new Request(`https://c3.example/b/SEALED${path}`, { method });
  const answer = await (path.startsWith('/log') ? handleBuildLog : handleBuildPage)(request, 'SEALED', dependencies);
  const text = await answer.text();
  return { answer, text, released };
}

function seen(build: FakeBuild): BuildLook {
  return { kind: 'seen', view: build.view };
}

function createFailed(): FakeBuild {
  const build = createFakeBuild(FAILED);
  build.write(0, 'Cloning\nHEAD is now at 1a2b3c4\n');
  build.write(1, 'fine\n');
  build.write(2, '\u001B[31mred <b>\u001B[0m\nlast line', { seconds: 3 });
  for (const index of [0, 1, 2]) build.endLog(index);
  return build;
}

describe('the page of a build that has ended', () => {
  test('holds its state, its steps and their logs, escaped, numbered and coloured', async () => {
    const { text, released } = await ask(seen(createFailed()));
    expect(text).toContain('<title>❌ Failed · acme/shop · main</title>');
    expect(text).toContain('<p class="sentence">test failed: exit code 1</p>');
    expect(text).toContain('<ol start=1><li id=git-L1>Cloning<li id=git-L2>HEAD is now at 1a2b3c4</ol>');
    expect(text).toContain(
      '<li id=test-L1 data-t=0:03><span class=f1>red &lt;b&gt;</span><li id=test-L2>last line</ol>',
    );
    expect(text).toMatch(/<details class="step" id="step-test" data-phase="failed" data-attempt="1" open>/);
    expect(text).toMatch(/<details class="step" id="step-git" data-phase="passed" data-attempt="1">/);
    expect(released).toBe(1);
  });

  test('is complete and does not reload', async () => {
    const { text } = await ask(seen(createFailed()));
    expect(text).not.toContain('http-equiv="refresh"');
    expect(text).not.toContain('id="live"');
  });

  test('is not framed, stored or followed elsewhere', async () => {
    const { answer } = await ask(seen(createFailed()));
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(answer.headers.get('referrer-policy')).toBe('same-origin');
    expect(answer.headers.get('x-robots-tag')).toBe('noindex, nofollow');
    expect(answer.headers.get('content-security-policy')).toMatch(
      /^default-src 'none'; script-src 'sha256-[^ ]{44}'; style-src 'sha256-[^ ]{44}'; img-src data:; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'$/,
    );
  });

  test('offers a re-run to a control link only', async () => {
    const [look, control] = await Promise.all(
      (['view', 'control'] as const).map((right) => ask(seen(createFailed()), { right })),
    );
    expect(look?.text).not.toContain('<form');
    expect(control?.text).toMatch(
      /<form method="post" action="SEALED\/rerun">.*<input type="hidden" name="nonce" value="[\w-]{22}">/,
    );
    expect(control?.text).not.toContain('SEALED/cancel');
  });

  test('reports where a log could not be read, and loads the rest later', async () => {
    const build = createFailed();
    build.endLog(2, { failure: 'the container is gone' });
    const { text } = await ask(seen(build));
    expect(text).toContain('<p class="cut">c3 could not read the log to its end: the container is gone</p>');
    expect(text).toContain('id="live"');
  });

  test('reports what is omitted from a huge log', async () => {
    const build = createFakeBuild(FAILED);
    build.endLog(0);
    build.endLog(1);
    build.write(2, 'a\nend');
    build.endLog(2, { cut: 2_500_000 });
    const { text } = await ask(seen(build));
    expect(text).toContain(
      '<li id=test-L1>a</ol><p class="cut">2.5 MB are omitted here. The raw log contains them.</p><ol start=2><li id=test-L2>end</ol>',
    );
  });

  test('ends where a browser would become slow, even if the lines are short', async () => {
    const build = createFakeBuild(FAILED);
    for (const index of [0, 1, 2]) build.endLog(index);
    build.write(2, '\n'.repeat(400_000));
    const { text } = await ask(seen(build));
    const lines = text.split('<li id=test-L').length - 1;
    expect(lines).toBeGreaterThan(300_000);
    expect(lines).toBeLessThan(350_000);
    expect(text).toContain('The raw log has the rest.');
    expect(text).not.toContain('id="live"');
  });

  test('ends there if the HTML of the lines is long', async () => {
    const build = createFakeBuild(FAILED);
    for (const index of [0, 1, 2]) build.endLog(index);
    build.write(2, `${'"'.repeat(1_000)}\n`.repeat(8_000));
    const { text } = await ask(seen(build));
    expect(text.length).toBeGreaterThan(32 * 1024 * 1024);
    expect(text.length).toBeLessThan(40 * 1024 * 1024);
    expect(text).toContain('The raw log has the rest.');
  });

  test('responds to HEAD without reading a log', async () => {
    const { answer, text, released } = await ask(seen(createFakeBuild(RUNNING)), { method: 'HEAD' });
    expect([answer.status, text, released]).toStrictEqual([200, '', 1]);
  });
});

describe('the page of a build that runs', () => {
  test('contains the logs so far, and the position to continue from', async () => {
    const build = createFakeBuild(RUNNING);
    build.endLog(0);
    build.endLog(1);
    build.write(2, 'so far\nand not');
    const { text } = await ask(seen(build));
    expect(text).toContain('<li id=test-L1>so far</ol></div></div>');
    expect(text).not.toContain('and not');
    expect(text).toMatch(/<script type="application\/json" id="live">\{"from":"[\w-]{16}\.0\.1~1\.1~2\.1\.7\.0\.1\.0"/);
    expect(text).toContain('<noscript><meta http-equiv="refresh" content="5"></noscript>');
    expect(build.readers).toBe(0);
  });

  test('offers to cancel it only if this c3 runs it', async () => {
    const led = createFakeBuild(createState({ kind: 'running' }));
    const left = createFakeBuild(createState({ kind: 'running' }), { isLed: false });
    expect((await ask(seen(led), { right: 'control' })).text).toContain('action="SEALED/cancel"');
    const { text } = await ask(seen(left), { right: 'control' });
    expect(text).toContain('action="SEALED/rerun"');
    expect(text).toContain('This c3 does not run this build, and knows no other c3 that does.');
  });

  test('links to the logs of earlier attempts', async () => {
    const steps = [createStep('test & more', { kind: 'running' }, { from: 1, attempt: 3, isAllowed: true })];
    const { text } = await ask(seen(createFakeBuild(createState({ kind: 'running' }, { steps }))));
    expect(text).toContain('href="SEALED/log?step=test-more&amp;attempt=2">Attempt 2</a>');
    expect(text).toContain('href="SEALED/log?step=test-more&amp;attempt=1">Attempt 1</a>');
    expect(text).toContain('<span class="note">attempt 3</span>');
  });
});

describe('a build that no Pod knows', () => {
  const { build, urls } = FAILED;
  const message = 'its Pod was deleted, and its logs with it';

  test('is shown as the forge knows it', async () => {
    const ending = { kind: 'failed', step: '<test>', message: 'exit code 1' } as const;
    const status = { buildId: 'b', state: 'failure', ending, text: 'failed at <test>' } as const;
    const outcome = { build, urls, status, message, problems: [] };
    const { text, released } = await ask({ kind: 'outcome', outcome });
    expect(text).toContain('<span>Failed</span></h1>');
    expect(text).toContain('<p class="sentence">failed at &lt;test&gt;</p>');
    expect(text).toContain(`c3 can show no more: ${message}`);
    expect(released).toBe(1);
  });

  test('shows an error of c3.yaml once', async () => {
    const problem = 'c3.yaml:4:5 error: unknown key';
    const ending = { kind: 'config-error', message: problem } as const;
    const status = { buildId: 'b', state: 'error', ending, text: `config error: ${problem}` } as const;
    const url = 'https://f.example/c3.yaml#L4';
    const problems = [{ location: 'c3.yaml:4:5', url, message: 'unknown key', hint: 'do <this>' }];
    const { text: full } = await ask({ kind: 'outcome', outcome: { build, urls, status, message: problem, problems } });
    const link = `<a href="${url}" rel="noopener noreferrer"><code>c3.yaml:4:5</code></a>`;
    expect(full).toContain(`<li>${link} error: unknown key<p class="quiet">do &lt;this&gt;</p></li>`);
    for (const some of [problems, []]) {
      const outcome = { build, urls, status, message: problem, problems: some };
      const { text } = await ask({ kind: 'outcome', outcome });
      expect(text.split('unknown key')).toHaveLength(2);
      expect(text).toContain('<span>Config error</span></h1>');
      expect(text).not.toContain('c3 can show no more');
    }
  });

  test.each([
    [undefined, 'Unknown'],
    [{ buildId: 'b', state: 'pending', ending: undefined, text: 'queued' } as const, 'Not ended'],
  ])('with the status %o is "%s"', async (status, word) => {
    const { text } = await ask({ kind: 'outcome', outcome: { build, urls, status, message, problems: [] } });
    expect(text).toContain(`<span>${word}</span></h1>`);
  });

  test('is shown with the reason if nothing is known', async () => {
    const { text } = await ask({ kind: 'failed', message: 'GitHub does not answer' });
    expect(text).toContain('<p class="sentence">GitHub does not answer</p>');
  });
});

describe('the raw log', () => {
  test.each(['?step=test', '?step=test&attempt=1'])('of one step is as the step wrote it: %s', async (query) => {
    const { answer, text, released } = await ask(seen(createFailed()), { path: `/log${query}` });
    expect(text).toBe('\u001B[31mred <b>\u001B[0m\nlast line');
    expect(answer.headers.get('content-type')).toBe('text/plain; charset=utf-8');
    expect(answer.headers.get('content-security-policy')).toMatch(/^default-src 'none'/);
    expect(released).toBe(1);
  });

  test('of all steps has a heading for each', async () => {
    const { text } = await ask(seen(createFailed()), { path: '/log' });
    expect(text).toMatch(/^== git ==\nCloning\n.*\n== lint ==\nfine\n== test ==\n/);
  });

  test.each([
    ['?step=nothing', 'The build has no such step'],
    ['?step=image', 'The step does not have this log, or not yet'],
    ['?step=test&attempt=2', 'The step does not have this log, or not yet'],
    ['?step=test&attempt=x', 'The step does not have this log, or not yet'],
  ])('responds 404 if there is none: %s', async (query, sentence) => {
    const { answer, text, released } = await ask(seen(createFailed()), { path: `/log${query}` });
    expect([answer.status, text, released]).toStrictEqual([404, `${sentence}\n`, 1]);
  });

  test('reports where it breaks off', async () => {
    const build = createFakeBuild(createEnded({ kind: 'passed', allowed: [] }, { steps: FAILED.steps.slice(0, 1) }));
    build.write(0, 'half');
    build.endLog(0, { failure: 'the Pod is gone' });
    const { text } = await ask(seen(build), { path: '/log?step=git' });
    expect(text).toBe('half\n== c3 could not read the log to its end: the Pod is gone ==\n');
  });
});
