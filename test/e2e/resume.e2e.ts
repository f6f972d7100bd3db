import { describe, expect, it } from 'vitest';
import { startC3 } from '../../dev/demo/c3-process.ts';
import type { User } from '../../dev/demo/user.ts';
import type { ForgeKind } from '../../dev/forge/index.ts';
import { useFixture, type SetUp } from './fixture.ts';
import { formatPipeline, type Target } from './target.ts';
import { deadline } from '../time-limits.ts';

/** A step that waits for a file of the test; each start adds a line to /c3/runs. */
const hold = (name: string): string =>
  `echo ${name} >> /c3/runs; echo before; touch /c3/up.${name}; until [ -e /c3/go ]; do sleep 0.1; done; echo after`;
const note = (name: string): string => `echo ${name} >> /c3/runs`;

interface Story {
  /** The name of the Pod. */
  readonly name: string;
  /** The running step when c3 is killed. */
  readonly running: string;
  readonly steps: string;
  readonly state: 'success' | 'failure';
  readonly description: RegExp;
  /** The log of the failed step in the last message, from before and after the kill. */
  readonly shown: string;
  /** The steps that ran, in alphabetical order. */
  readonly ran: readonly string[];
}

const STORIES: readonly Story[] = [
  {
    name: 'passes',
    running: 'held',
    steps: `- main: ${note('first')}\n- main: ${hold('held')}\n- main: ${note('last')}`,
    state: 'success',
    description: /^passed in /,
    shown: '✅ echo first',
    ran: ['first', 'held', 'last'],
  },
  {
    name: 'fails',
    running: 'held',
    steps: `- main: ${hold('held')}; exit 3\n  name: held\n- main: ${note('never')}`,
    state: 'failure',
    description: /^failed at held after .*: exit code 3 /,
    shown: 'before\nafter\nheld failed: exit code 3',
    ran: ['held'],
  },
  {
    name: 'parallel',
    running: 'b',
    steps: `- parallel:
  - main: ${note('a')}
  - main: ${hold('b')}
  - git: ${hold('c')}
- main: ${note('last')}`,
    state: 'success',
    description: /^passed in /,
    shown: '✅ ∥ echo a',
    ran: ['a', 'b', 'c', 'last'],
  },
  {
    name: 'retries',
    running: 'flaky',
    steps: `- main: test -e /c3/tried || { touch /c3/tried; ${note('broken')}; exit 1; }; ${hold('flaky')}\n  retry: 1`,
    state: 'success',
    description: /^passed in /,
    shown: '✅ main · attempt 2',
    ran: ['broken', 'flaky'],
  },
  {
    name: 'finally',
    running: 'tidy',
    steps: `- main: ${note('test')}; exit 4
  name: test
finally:
- main: ${hold('tidy')}
- main: ${note('told')}`,
    state: 'failure',
    description: /^failed at test after .*: exit code 4 /,
    shown: 'test failed: exit code 4',
    ran: ['test', 'tidy', 'told'],
  },
];

/** Kills c3 during builds; another c3 receives their deliveries again. */
export function describeResume(kind: ForgeKind, name: string, getTarget: () => Promise<Target>): void {
  describe(`a c3 after a killed one, with repositories on ${kind} and builds on ${name},`, () => {
    const fixture = useFixture(getTarget, { kind });

    async function begin(story: Story, made: SetUp): Promise<string> {
      const { user, k8s } = made;
      const source = formatPipeline(fixture.target, k8s, story.steps).replace('name: shop', `name: ${story.name}`);
      const { sha } = await user.push({ 'c3.yaml': source }, story.name);
      await user.waitForAnswer(sha);
      return sha;
    }

    /** Runs a script in the Pod of a story when it exists, and returns its output. */
    async function look(story: Story, script: string): Promise<string> {
      const pod = (await fixture.pods.names()).find((one) => one.startsWith(`${story.name}-`));
      return pod === undefined ? '' : await fixture.pods.run(pod, 'main', ['sh', '-c', script]);
    }

    async function deliverAgain({ url, secret }: SetUp, sha: string, to: string): Promise<void> {
      const { origin } = new URL(url);
      const answer = await fixture.deliver(url.replace(origin, to), secret, fixture.findPush(sha)?.request.body ?? '');
      expect(answer.status).toBe(202);
    }

    it('resumes each build at the state in its Pod: every step ran once, with its complete log and the right ending', async () => {
      const killed = await startC3(fixture.world.settings);
      const builds: { story: Story; made: SetUp; sha: string }[] = [];
      for (const story of STORIES) {
        const made = await fixture.setUp({ c3: killed });
        builds.push({ story, made, sha: await begin(story, made) });
      }
      for (const { story } of builds) {
        const isUp = async (): Promise<string> => await look(story, `ls /c3/up.${story.running}`);
        await expect.poll(isUp).toBe(`/c3/up.${story.running}\n`);
      }
      killed.kill('SIGKILL');
      await killed.exited;

      for (const { made, sha } of builds) await deliverAgain(made, sha, fixture.world.c3.url);
      for (const { story } of builds) await look(story, 'touch /c3/go');
      for (const { story, made, sha } of builds) await expectEnd(story, made.user, sha);
    });

    async function expectEnd(story: Story, user: User, sha: string): Promise<void> {
      const { state, description } = await user.waitForEnd(sha);
      expect({ story: story.name, state, description }).toEqual({
        story: story.name,
        state: story.state,
        description: expect.stringMatching(story.description),
      });
      expect((await look(story, 'sort /c3/runs')).trim().split('\n')).toEqual(story.ran);
      const message = await fixture.world.telegram.waitFor((one) => {
        const text = one.versions.at(-1)?.text ?? '';
        return text.includes(sha.slice(0, 7)) && /^(?:✅ Passed|❌ Failed)/.test(text);
      }, deadline());
      expect(message.versions.at(-1)?.text).toContain(story.shown);
    }
  });
}
