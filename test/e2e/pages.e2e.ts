import { describe, expect, it } from 'vitest';
import { startC3 } from '../../dev/demo/c3-process.ts';
import type { ForgeKind, Status } from '../../dev/forge/index.ts';
import { useFixture } from './fixture.ts';
import { formatPipeline, type Target } from './target.ts';
import { deadline } from '../time-limits.ts';

/** The pages and actions behind the links of a build, on any cluster. */
export function describePages(kind: ForgeKind, name: string, getTarget: () => Promise<Target>): void {
  describe(`the page of a build of ${kind} on ${name}`, () => {
    const fixture = useFixture(getTarget, { kind });

    async function read(url: string, headers: Record<string, string> = {}): Promise<{ status: number; text: string }> {
      const answer = await fetch(url, { headers, signal: deadline() });
      return { status: answer.status, text: await answer.text() };
    }

    /** Submits the page's form as a browser does; returns the address of the next page. */
    async function press(page: string, action: string): Promise<string> {
      const answer = await fetch(`${page}/${action}`, {
        method: 'POST',
        headers: { 'sec-fetch-site': 'same-origin' },
        body: new URLSearchParams({ nonce: crypto.randomUUID() }),
        redirect: 'manual',
        signal: deadline(),
      });
      expect({ status: answer.status, text: await answer.text() }).toMatchObject({ status: 303 });
      return new URL(answer.headers.get('location') ?? '', `${page}/${action}`).href;
    }

    /** Returns the URL of a button of the commit's message. */
    async function findButton(sha: string, label: string): Promise<string> {
      let url = '';
      await fixture.world.telegram.waitFor((message) => {
        const newest = message.versions.at(-1);
        const { inline_keyboard: rows = [] } = (newest?.replyMarkup ?? {}) as { inline_keyboard?: Button[][] };
        const button = rows.flat().find(({ text }) => text.includes(label));
        url = newest?.text.includes(sha.slice(0, 7)) === true ? (button?.url ?? '') : '';
        return url !== '';
      }, deadline());
      return url;
    }

    function waitForStatus(sha: string, find: (status: Status) => boolean): Promise<Status> {
      const { forge } = fixture.world;
      return forge.waitFor(() => forge.statuses.find((one) => one.sha === sha && find(one)), deadline());
    }

    /** Reads the live log as text until it contains these words. */
    async function followUntil(page: string, words: string): Promise<void> {
      const answer = await fetch(`${page}/events`, {
        headers: { accept: 'text/plain' },
        signal: deadline(),
      });
      let text = '';
      for await (const chunk of answer.body ?? []) {
        text += Buffer.from(chunk as Uint8Array).toString();
        // Leaving the loop closes the connection.
        if (text.includes(words)) return;
      }
      throw new Error(`the live log ended without "${words}":\n${text}`);
    }

    it('is linked by the commit status from the beginning to the end, and shows the output of the steps', async () => {
      const { user, k8s } = await fixture.setUp();
      const steps = "- main: echo 'a line & <markup>'\n  name: unit tests\n- main: echo second";
      const { sha, status } = await fixture.push(user, { 'c3.yaml': formatPipeline(fixture.target, k8s, steps) });
      const targets = fixture.world.forge.statuses.filter((one) => one.sha === sha).map(({ targetUrl }) => targetUrl);
      expect(targets).toEqual([status.targetUrl, status.targetUrl]);
      const page = await read(status.targetUrl ?? '');
      expect(page.status).toBe(200);
      expect(page.text).toContain('Passed');
      expect(page.text).toContain('unit tests');
      expect(page.text).toContain('a line &amp; &lt;markup&gt;');
      expect(page.text).not.toMatch(/cancel"|rerun"/);
      const log = await read(`${status.targetUrl}/log?step=${encodeURIComponent('unit tests')}`);
      expect(log).toEqual({ status: 200, text: 'a line & <markup>\n' });
      expect((await read(`${status.targetUrl}/log`)).text).toMatch(/unit tests[^]*a line & <markup>\n[^]*second\n/);
    });

    it('shows the live log, and cancels the build, whose final steps still run', async () => {
      const { user, k8s } = await fixture.setUp();
      const steps = '- main: echo begun; sleep 1000\n  name: long\nfinally:\n- main: echo tidied\n  name: tidy';
      const { sha } = await user.push({ 'c3.yaml': formatPipeline(fixture.target, k8s, steps) }, 'runs for long');
      const control = await findButton(sha, 'Cancel');
      await followUntil(control, 'begun');
      expect((await read(control)).text).toMatch(/Running[^]*begun/);
      expect(await press(control, 'cancel')).toBe(control);
      expect(await user.waitForEnd(sha)).toMatchObject({
        state: 'error',
        description: expect.stringMatching(
          /^cancelled after .*: The build was cancelled by somebody with the control link during step "long"/,
        ),
      });
      expect((await read(control)).text).toMatch(/Cancelled[^]*tidied/);
      // During the final steps, another cancel changes nothing.
      const cancelAgain = async (): Promise<number> =>
        (await fetch(`${control}/cancel`, { method: 'POST', redirect: 'manual' })).status;
      await expect.poll(cancelAgain).toBe(409);
    });

    it('is live on another c3, which ends its streams when it stops', async () => {
      const { user, k8s } = await fixture.setUp();
      const steps = '- main: echo begun; sleep 1000\n  name: long';
      const { sha } = await user.push({ 'c3.yaml': formatPipeline(fixture.target, k8s, steps) }, 'runs for long');
      const control = await findButton(sha, 'Cancel');
      await followUntil(control, 'begun');
      const other = await startC3(fixture.world.settings);
      const answer = await fetch(`${control.replace(fixture.world.c3.url, other.url)}/events`, {
        headers: { accept: 'text/plain' },
        signal: deadline(),
      });
      let text = '';
      for await (const chunk of answer.body ?? []) {
        text += Buffer.from(chunk as Uint8Array).toString();
        if (text.includes('begun')) other.kill('SIGTERM');
      }
      expect(text).toContain('begun');
      expect(await other.exited).toBe(0);
      await press(control, 'cancel');
      expect(await user.waitForEnd(sha)).toMatchObject({ state: 'error' });
    });

    it('reruns the commit as a new build, which is reported as fixed when it passes', async () => {
      const { user, k8s } = await fixture.setUp();
      // The second run uses a warm Pod.
      const steps = '- main: test -e /c3/tried || { touch /c3/tried; exit 3; }\n  name: flaky';
      const { sha, status } = await fixture.push(user, { 'c3.yaml': formatPipeline(fixture.target, k8s, steps) });
      expect(status).toMatchObject({ state: 'failure' });
      const first = await findButton(sha, 'Re-run');
      const second = await press(first, 'rerun');
      expect(second).not.toBe(first);
      const passed = await waitForStatus(sha, ({ state }) => state === 'success');
      expect(passed.description).toMatch(/^passed in .*, fixed \(main, build [0-9a-f]{12}\)$/);
      const ofCommit = fixture.world.forge.statuses.filter((one) => one.sha === sha);
      expect(ofCommit.map(({ state }) => state)).toEqual(['pending', 'failure', 'pending', 'success']);
      const builds = new Set(ofCommit.map(({ description }) => /, build (\w+)\)$/.exec(description ?? '')?.[1]));
      expect(builds.size).toBe(2);
      expect((await read(second)).text).toMatch(/Passed|Fixed/);
      expect((await read(passed.targetUrl ?? '')).text).toMatch(/Passed|Fixed/);
    });

    it('shows an ended build and its logs on a new c3', async () => {
      const { user, k8s } = await fixture.setUp();
      const secret = await user.seal('secret:DEPLOY_KEY', 'correct horse battery');
      const source = formatPipeline(
        fixture.target,
        k8s,
        '- main: echo "<$DEPLOY_KEY>"; exit 4\n  name: deploy',
        `secrets: {DEPLOY_KEY: ${secret}}\n`,
      );
      const { sha, status } = await fixture.push(user, { 'c3.yaml': source });
      const other = await startC3(fixture.world.settings);
      try {
        const page = (status.targetUrl ?? '').replace(fixture.world.c3.url, other.url);
        const { text } = await read(page);
        expect(text).toMatch(/Failed[^]*deploy[^]*&lt;\*\*\*&gt;/);
        expect(text).toContain(sha.slice(0, 7));
        expect(text).not.toContain('horse');
        expect((await read(`${page}/log?step=deploy`)).text).toBe('<***>\n');
        const control = (await findButton(sha, 'Re-run')).replace(fixture.world.c3.url, other.url);
        const again = await press(control, 'rerun');
        expect(again.startsWith(`${other.url}/b/`)).toBe(true);
        await fixture.world.forge.waitFor(
          () => fixture.world.forge.statuses.filter((one) => one.sha === sha && one.state === 'failure')[1],
          deadline(),
        );
      } finally {
        await other.stop();
      }
    });

    it('shows the problems of a c3.yaml, without a Pod', async () => {
      const { user, k8s } = await fixture.setUp();
      const source = formatPipeline(fixture.target, k8s, '- main: echo\n  wen: {branch: main}');
      const { status } = await fixture.push(user, { 'c3.yaml': source });
      expect(status).toMatchObject({ state: fixture.faultState });
      const { text } = await read(status.targetUrl ?? '');
      expect(text).toMatch(/[Cc]onfig error/);
      expect(text).toMatch(/c3\.yaml:\d+:\d+/);
      expect(text).not.toContain('wen: {');
      expect(text).toContain('did you mean');
    });

    it('shows an earlier build of the same Pod, and without the Pod how the build ended', async () => {
      const { user, k8s } = await fixture.setUp();
      const source = formatPipeline(fixture.target, k8s, '- main: echo first');
      const { status } = await fixture.push(user, { 'c3.yaml': source });
      await fixture.push(user, { 'c3.yaml': formatPipeline(fixture.target, k8s, '- main: echo second') });
      const page = status.targetUrl ?? '';
      expect((await read(`${page}/log?step=main`)).text).toBe('first\n');
      await fixture.pods.clear();
      const other = await startC3(fixture.world.settings);
      try {
        const { text } = await read(page.replace(fixture.world.c3.url, other.url));
        expect(text).toMatch(/Pod [\w-]+ was deleted, and its logs with it/);
        expect(text).toMatch(/passed in /);
        expect(text).toContain(`Change ${user.fullName}`);
      } finally {
        await other.stop();
      }
    });
  });
}

interface Button {
  readonly text: string;
  readonly url?: string;
}
