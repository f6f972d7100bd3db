import { describe, expect, it } from 'vitest';
import type { ExecEnd, Workspace } from './cluster.ts';
import { openLine, type Cut } from './line.ts';

/** A line into a container whose exec the cluster ends at once with these words. */
async function endWith(end: ExecEnd): Promise<Cut> {
  const session = { write: () => Promise.resolve(), done: Promise.resolve(end), close: () => {} };
  const workspace: Workspace = {
    name: 'pod',
    id: 'uid',
    isWarm: true,
    epoch: 1,
    warnings: [],
    lost: new Promise<string>(() => {}),
    exec: () => Promise.resolve({ kind: 'open', session }),
    release: () => Promise.resolve(),
  };
  const line = await openLine(workspace, 'main', { buildId: 'b1', epoch: 1, roots: ['/a', '/b'], silenceMs: 1000 });
  return await line.over;
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

describe('a line is worth another try when', () => {
  it.each([
    // What is not there is the runtime's socket: the node's containerd restarts.
    toStatus(
      'rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing dial unix /run/containerd/containerd.sock: connect: no such file or directory"',
    ),
    toStatus('error dialing backend: dial tcp 10.0.0.1:10250: connect: connection refused'),
    { kind: 'cut', message: 'the socket was cut' } as const,
  ])('its end is told as $message', async (end) => {
    const cut = await endWith(end);
    expect(cut).toMatchObject({ kind: 'cut', isFinal: false, message: end.message });
    expect(cut.isShellMissing).toBeUndefined();
  });
});
