import { describe, expect, it } from 'vitest';
import { createBareWorkspace } from '../../test/fakes/bare-workspace.ts';
import { setUp } from '../../test/fakes/local-steps.ts';
import { countHeld } from '../../test/fakes/memory.ts';
import { createLyingContainer } from '../../test/fakes/lying-container.ts';
import type { ExecEnd } from '../engine/cluster.ts';
import { openConnection, type Cut } from './connection.ts';

/** A connection into a container whose exec the cluster ends at once with these words. */
async function endWith(end: ExecEnd): Promise<Cut> {
  const session = { write: () => Promise.resolve(), done: Promise.resolve(end), close: () => {} };
  const workspace = createBareWorkspace(() => Promise.resolve({ kind: 'open', session }));
  const connection = await openConnection(workspace, 'main', {
    buildId: 'b1',
    epoch: 1,
    roots: ['/a', '/b'],
    silenceMs: 1000,
  });
  return await connection.over;
}

function toStatus(message: string, exitCode?: number): ExecEnd {
  return { kind: 'status', exitCode, message };
}

describe('a container counts as one without a shell when', () => {
  it.each([
    toStatus('command terminated with exit code 126', 126),
    toStatus('OCI runtime exec failed: exec failed: exec: "sh": executable file not found in $PATH: unknown'),
    toStatus('executable file `sh` not found in $PATH: No such file or directory'),
  ])('its runtime says $message', async (end) => {
    expect(await endWith(end)).toMatchObject({ isFinal: true, isShellMissing: true });
  });
});

describe('a connection may be tried again when', () => {
  it.each([
    // What is not there is the runtime's socket: the node's containerd restarts.
    toStatus(
      'rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing dial unix /run/containerd/containerd.sock: connect: no such file or directory"',
    ),
    toStatus('error dialing backend: dial tcp 10.0.0.1:10250: connect: connection refused'),
    { kind: 'cut', message: 'the socket was cut' } as const,
  ])('the exec ended with $message', async (end) => {
    const cut = await endWith(end);
    expect(cut).toMatchObject({ kind: 'cut', isFinal: false, message: end.message });
    expect(cut.isShellMissing).toBeUndefined();
  });
});

it('a connection that serves many builds keeps none of their commands and answers', async () => {
  const steps = setUp('dash');
  const { workspace, root } = steps;
  const order = { roots: [root, `${root}.second`] as const, silenceMs: 30_000 };
  const connection = await openConnection(workspace, 'main', { ...order, buildId: steps.buildId, epoch: 1 });
  const answers: WeakRef<object>[] = [];
  for (let build = 0; build < 10; build += 1) {
    expect(await connection.begin({ buildId: steps.buildId, epoch: 1 })).toBe(true);
    const answer = await connection.perform(`cancel ${steps.buildId} s${build}\n`, (frame) =>
      frame.kind === 'cancel-noted' ? { frame } : undefined,
    );
    if (answer.kind !== 'answered') throw new Error(answer.message);
    answers.push(new WeakRef(answer.value));
  }
  // The last is in the hands of this function.
  expect(await countHeld(answers)).toBeLessThanOrEqual(1);
  connection.close();
});

it('a command right behind the greeting of a kept connection gets what follows "ready"', async () => {
  let written = '';
  let receive: (text: string) => Promise<void> = () => Promise.resolve();
  const session = {
    write: (text: string) => Promise.resolve(void (written += text)),
    done: new Promise<ExecEnd>(() => {}),
    close: () => {},
  };
  const workspace = createBareWorkspace((_container, _argv, { onStdout }) => {
    receive = async (text) => onStdout(Buffer.from(text));
    return Promise.resolve({ kind: 'open', session });
  });
  const order = { roots: ['/a', '/b'] as const, silenceMs: 60_000 };
  const connection = await openConnection(workspace, 'main', { ...order, buildId: 'b1', epoch: 1 });
  await receive('R 5 100\n');
  const begun = connection.begin({ buildId: 'b2', epoch: 2 });
  const exit = connection.perform('wait b2 s0\n', (frame) => (frame.kind === 'exit' ? frame.exitCode : undefined));
  const [, nonce] = /\nroot use b2 main 2 \d+ (\S+)\n\/a\n\/b\nwait b2 s0\n$/.exec(written) ?? [];
  // Such as a late answer to the build before, or what a step of it writes into the connection.
  await receive('X 0 7 exited end\n');
  await receive('R 9 100   guess\nX 0 8 exited end\n');
  await receive(`R 9 100   ${nonce}\nX 0 1 exited end\n`);
  expect(await begun).toBe(true);
  expect(await exit).toEqual({ kind: 'answered', value: 1 });
});

it('a cut reports the end of standard error, from a whole character on', async () => {
  const container = createLyingContainer('');
  const connection = await openConnection(container.workspace, 'main', {
    buildId: 'b1',
    epoch: 1,
    roots: ['/a', '/b'],
    silenceMs: 60_000,
  });
  await container.mutter(Buffer.from('ü'.repeat(400)));
  await container.mutter(Buffer.from('the end'));
  connection.close();
  expect(await connection.over).toMatchObject({ message: `closed by c3: ${'ü'.repeat(252)}the end` });
});

it('a connection ends when its agent is never ready', async () => {
  const { workspace } = createLyingContainer('');
  const connection = await openConnection(workspace, 'main', {
    buildId: 'b1',
    epoch: 1,
    roots: ['/a', '/b'],
    silenceMs: 40,
  });
  expect(await connection.ready).toMatchObject({ kind: 'cut', isFinal: false });
});
