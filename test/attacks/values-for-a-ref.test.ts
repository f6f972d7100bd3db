import { describe, expect, it } from 'vitest';
import type { SetUp } from '../e2e/fixture.ts';
import { formatPipeline } from '../e2e/target.ts';
import { useOutsider } from './outsider.ts';

/** A contributor may push branches and tags, and reads what is sealed for main in the history of the repository. */
describe('A1 A sealed value for a ref, in a build of another ref', () => {
  // Its own world: the many builds of this file would delay the Telegram messages of others.
  const outsider = useOutsider({});
  const { fixture } = outsider;

  const VALUE = 'correct horse battery';
  const MAIN = 'refs/heads/main';
  /** Shows whether a step has the value, without its name. */
  const HAS = '- main: env | grep "correct horse"';
  const HAS_NOT = "- main: if env | grep 'correct horse'; then exit 1; fi";

  interface Attack {
    /** The pattern that the value is sealed for. */
    readonly sealedFor?: string | undefined;
    /** What the contributor writes beside it. Undefined: the value alone. */
    readonly written: string | undefined;
    /** What they push to. */
    readonly ref: string;
    readonly steps?: string;
  }

  /** Pushes a c3.yaml with a secret. Returns the commit status. */
  async function push({ sealedFor = MAIN, written, ref, steps = HAS }: Attack): Promise<string> {
    const hook = await fixture.setUp();
    const sealed = await hook.user.seal('secret:KEY', VALUE, sealedFor);
    const value = written === undefined ? sealed : `{value: ${sealed}, ref: '${written}'}`;
    return await pushFile(hook, formatPipeline(fixture.target, hook.k8s, steps, `secrets: {KEY: ${value}}\n`), ref);
  }

  async function pushFile({ user }: SetUp, source: string, ref: string): Promise<string> {
    const { sha } = await user.push({ 'c3.yaml': source }, 'A change', ref);
    const { state, description } = await user.waitForEnd(sha);
    return `${state}: ${description}`;
  }

  it.each([
    ['a branch', { written: MAIN, ref: 'refs/heads/evil' }],
    ['a branch whose name begins with it', { written: MAIN, ref: 'refs/heads/main2' }],
    ['a branch in another case', { written: MAIN, ref: 'refs/heads/Main' }],
    ['a branch with a Cyrillic letter in place of a Latin one', { written: MAIN, ref: 'refs/heads/m\u0430in' }],
    ['a tag of the same name', { written: MAIN, ref: 'refs/tags/main' }],
    ['a tag that is named like its full name', { written: MAIN, ref: 'refs/tags/refs/heads/main' }],
    ['a branch that is named like its full name', { written: MAIN, ref: 'refs/heads/refs/heads/main' }],
    [
      'a branch that is named like a tag',
      { sealedFor: 'refs/tags/v*', written: 'refs/tags/v*', ref: 'refs/heads/refs/tags/v1' },
    ],
    ['a branch below a star', { sealedFor: 'refs/heads/*', written: 'refs/heads/*', ref: 'refs/heads/a/b' }],
    [
      'a branch that is named like the glob',
      { sealedFor: 'refs/heads/{main,dev}', written: 'refs/heads/{main,dev}', ref: 'refs/heads/{main,dev}' },
    ],
  ])('is not opened where it was copied with its ref: %s', async (_, attack) => {
    expect(await push({ ...attack, steps: HAS_NOT })).toContain('success: ');
  });

  it.each([
    ['is removed', { written: undefined, ref: 'refs/heads/evil' }],
    ['is the name of the branch', { written: 'refs/heads/evil', ref: 'refs/heads/evil' }],
    ['is a glob for both', { written: 'refs/heads/{main,evil}', ref: 'refs/heads/evil' }],
    ['is a glob for all branches', { written: 'refs/heads/**', ref: 'refs/heads/evil' }],
    ['is another spelling of the same glob', { written: 'refs/heads/[m]ain', ref: MAIN }],
    ['has a Cyrillic letter', { written: 'refs/heads/m\u0430in', ref: 'refs/heads/m\u0430in' }],
    ['is in another case', { written: 'refs/heads/Main', ref: 'refs/heads/Main' }],
    [
      'is composed of other characters',
      { sealedFor: 'refs/heads/\u00e9', written: 'refs/heads/e\u0301', ref: 'refs/heads/e\u0301' },
    ],
    ['is for tags', { written: 'refs/tags/**', ref: 'refs/tags/v1' }],
  ])('does not open when its ref %s', async (_, attack) => {
    let told = '';
    await outsider.spare(async () => {
      told = await push(attack);
    });
    expect(told).toContain('error: config error: c3.yaml: secrets.KEY: The sealed secret KEY does not open for ');
  });

  it.each([
    ['has a space at its end', `${MAIN} `],
    ['has an invisible space', `${MAIN}\u200b`],
    ['is for branches and tags', 'refs/{heads,tags}/**'],
    ['has no prefix', '**'],
  ])('is not read when its ref %s', async (_, written) => {
    const told = await push({ written, ref: 'refs/heads/evil' });
    expect(told).toMatch(/^error: config error: c3\.yaml:\d+:\d+ error: secrets\.KEY\.ref (?:must be|contains) /);
  });

  it('starts nothing in a build with a step that names it', async () => {
    let told = '';
    await outsider.spare(async () => {
      told = await push({ written: MAIN, ref: 'refs/heads/evil', steps: '- main: echo "$KEY" | rev\n  name: leak' });
    });
    expect(told).toContain('error: config error: c3.yaml: step "leak" needs KEY, which is sealed for refs/heads/main');
  });

  it('starts nothing with a kubeconfig for another ref, and does not open it', async () => {
    const hook = await fixture.setUp();
    const sealed = await hook.user.seal('k8s', fixture.target.kubeconfig, MAIN);
    const source = (ref: string): string =>
      formatPipeline(fixture.target, `{value: ${sealed}, ref: '${ref}'}`, '- main: echo');
    await outsider.spare(async () => {
      const message =
        'error: config error: c3.yaml: k8s is sealed for refs/heads/main, this build is of refs/heads/evil';
      expect(await pushFile(hook, source(MAIN), 'refs/heads/evil')).toContain(message);
      const closed = 'error: config error: c3.yaml: k8s: The sealed kubeconfig does not open for ';
      expect(await pushFile(hook, source('refs/heads/evil'), 'refs/heads/evil')).toContain(closed);
    });
    expect(await pushFile(hook, source(MAIN), MAIN)).toContain('success: ');
  });

  it('sends nothing to a chat that is for another ref', async () => {
    const hook = await fixture.setUp();
    const chat = 424_242;
    const sealed = await hook.user.seal('telegram', JSON.stringify({ token: fixture.world.bot, chat }), MAIN);
    const file = (to: string): string => formatPipeline(fixture.target, hook.k8s, '- main: echo', `telegram: ${to}\n`);
    const told = await pushFile(hook, file(`{to: ${sealed}, ref: refs/heads/evil}`), 'refs/heads/evil');
    expect(told).toContain(
      'error: config error: c3.yaml: telegram: The sealed Telegram destination does not open for ',
    );
    expect(await pushFile(hook, file(`{to: ${sealed}, ref: ${MAIN}}`), 'refs/heads/evil')).toContain('success: ');
    const reached = (): boolean =>
      fixture.world.telegram.calls.some(({ parameters }) => JSON.stringify(parameters).includes(String(chat)));
    expect(reached()).toBe(false);
    expect(await pushFile(hook, file(`{to: ${sealed}, ref: ${MAIN}}`), MAIN)).toContain('success: ');
    await expect.poll(reached).toBe(true);
  });

  it('is opened in no Pod that another unprotected branch has used', async () => {
    const hook = await fixture.setUp();
    const release = 'refs/heads/release';
    const sealed = await hook.user.seal('secret:KEY', VALUE, release);
    const build = (ref: string, steps: string): Promise<string> => {
      const secrets = `secrets: {KEY: {value: ${sealed}, ref: ${release}}}\n`;
      return pushFile(hook, formatPipeline(fixture.target, hook.k8s, steps, secrets), ref);
    };
    expect(await build('refs/heads/evil', '- main: touch /c3/poison')).toContain('success: ');
    expect(await build(release, '- main: test ! -e /c3/poison; test -n "$KEY"')).toContain('success: ');
    expect(await build('refs/heads/evil', '- main: test -e /c3/poison')).toContain('success: ');
  });

  it('opens in builds of its own ref', async () => {
    expect(await push({ written: MAIN, ref: MAIN, steps: HAS })).toContain('success: ');
    const glob = 'refs/tags/v*';
    expect(await push({ sealedFor: glob, written: glob, ref: 'refs/tags/v1.0', steps: HAS })).toContain('success: ');
  });
});
