import { describe, expect, it } from 'vitest';
import { createBuildAgents } from '../../src/agent/index.ts';
import type { SetUp } from '../e2e/fixture.ts';
import { formatPipeline } from '../e2e/target.ts';
import { createLyingContainer } from '../fakes/lying-container.ts';
import { useOutsider } from './outsider.ts';

/** Prints the ids of the processes with the attacker's name. */
const FIND =
  'for p in /proc/[0-9]*; do case $(tr "\\\\0" " " < $p/cmdline) in *c3-spy*) echo "${p#/proc/}" ;; esac; done';

/** A daemon without the environment and the session of its step, which looks for a secret in all processes. */
const SPY = [
  'while :; do for p in /proc/[0-9]*; do',
  'if tr "\\\\0" "\\\\n" < $p/environ | grep -q ^STOLEN=; then touch /c3/loot; fi; done; sleep 0.05; done',
].join(' ');

const START_SPY = `(env -i "PATH=$PATH" setsid sh -c '${SPY}' c3-spy < /dev/null > /dev/null 2>&1 &)
    until [ -n "$(${FIND})" ]; do sleep 0.05; done 2> /dev/null
    until read -r _ _ _ parent _ < /proc/$(${FIND})/stat && [ $parent = 1 ]; do sleep 0.05; done 2> /dev/null
    spy=$(${FIND}); set -- $(cat /proc/$spy/stat); start=\${22}`;

/** Puts a path in the place of c3's directory, with no time between for c3 to miss it. */
const replaceRoot = (call: string): string => `perl -e 'rename($ARGV[0], "/c3/old"); ${call}' $root`;

/** Adds the spy to what c3 has noted of the processes that it spares. */
const ADD = `for f in processes.main processes.git; do echo " $spy-$start $(cat $root/$f)" > $root/new; mv $root/new $root/$f; done 2> /dev/null
    read -r first mac < $root/first; echo "$((start + 1)) $mac" > $root/new; mv $root/new $root/first`;

describe('A3 A step that changes what c3 has noted in the Pod', () => {
  const outsider = useOutsider();
  const { fixture } = outsider;

  async function build(hook: SetUp, steps: string, extra = ''): Promise<string> {
    const source = formatPipeline(fixture.target, hook.k8s, steps, extra);
    const { sha } = await hook.user.push({ 'c3.yaml': source }, steps);
    return (await hook.user.waitForEnd(sha)).state;
  }

  it.each([
    ['adds its process to the notes of c3', ADD],
    [
      'adds its process, with the time of the honest note',
      `touch -r $root/first $root/time; ${ADD}; touch -r $root/time $root/*`,
    ],
    [
      'adds its process to a copy of the directory, behind a link',
      `cp -a $root /c3/copy; ${ADD.replaceAll('$root', '/c3/copy')}; ${replaceRoot('symlink("copy", $ARGV[0])')}`,
    ],
    [
      'puts another directory in the place of the notes',
      `cp -a $root /c3/copy; ${ADD.replaceAll('$root', '/c3/copy')}; ${replaceRoot('rename("/c3/copy", $ARGV[0])')}`,
    ],
    ['deletes the notes', 'rm -f $root/processes.* $root/first'],
    ['deletes the notes again and again', '(while :; do rm -f $root/processes.* $root/first; done &)'],
    ['makes the notes a directory', 'rm -f $root/processes.* $root/first; mkdir $root/processes.main $root/first'],
    [
      'adds every process that there may be',
      'for f in processes.main processes.git; do { echo " "; i=0; while [ $i -lt 99 ]; do i=$((i + 1)); echo " $spy-$((start + i - 9)) "; done; } | tr "\\\\n" " " > $root/$f; done; echo 999999999999999 > $root/first',
    ],
  ])('cannot watch the next build when it %s', async (_what, forge) => {
    const hook = await fixture.setUp();
    const sealed = await hook.user.seal('secret:STOLEN', 'correct-horse-battery');
    expect(await build(hook, '- main: echo')).toBe('success');
    expect(
      await build(hook, `- main: |\n    root=/c3/.c3; ${START_SPY}\n    ${forge.replaceAll('\n', '\n    ')}`),
    ).toBe('success');
    const victim = `- main: |\n    [ -z "$(${FIND})" ] || { until [ -e /c3/loot ]; do sleep 0.05; done; exit 7; }`;
    expect(await build(hook, victim, `secrets: {STOLEN: ${sealed}}\n`)).toBe('success');
  });

  it('cannot answer a sweep by writing to the output of the agent', async () => {
    for (const [isHonest, clean] of [
      [false, 'S clean'],
      [false, 'S clean 0'],
      [true, 'S clean NONCE'],
    ] as const) {
      const container = createLyingContainer();
      const agents = createBuildAgents({
        buildId: 'b',
        workspace: container.workspace,
        roots: ['/c3/.c3', '/tmp/.c3'],
        isReused: true,
        isNew: true,
        reconnectMs: 10,
        takeNotes: () => '',
        toFirstMac: () => 'mac',
      });
      await agents.enter('main');
      const swept = agents.sweep();
      await expect.poll(() => container.heard).toMatch(/^sweep b 2 mac$/m);
      const [, nonce = ''] = /^root use b .* (\S+)$/m.exec(container.heard) ?? [];
      await container.say(`${clean.replace('NONCE', nonce)}\n`);
      expect(await swept).toBe(isHonest);
    }
  });
});
