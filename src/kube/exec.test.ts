import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { WebSocket } from 'ws';
import { answerJson, createFakeApiServer, type FakeApiServer } from '../../test/contract/fake-api-server.ts';
import { countHeld } from '../../test/fakes/memory.ts';
import type { ExecAnswer, ExecOptions, ExecSession } from '../engine/cluster.ts';
import { createExecClient, type ExecClient } from './exec.ts';
import type { SessionLimits } from './exec-session.ts';

const TARGET = { namespace: 'default', pod: 'p', container: 'main', argv: ['sh', '-c', 'a b'] };
const QUICK: Partial<SessionLimits> = { pingEveryMs: 20, silenceMs: 150, closeMs: 50 };
const FAILURE = {
  status: 'Failure',
  reason: 'NonZeroExitCode',
  message: 'command terminated with exit code 3',
  details: { causes: [{ reason: 'ExitCode', message: '3' }] },
};

let server: FakeApiServer;
let client: ExecClient;

beforeAll(async () => {
  server = await createFakeApiServer();
  client = createExecClient(server.access, QUICK);
});
afterAll(async () => {
  client.close();
  await server.close();
});

function frame(channel: number, data: string | object): Buffer {
  const text = typeof data === 'string' ? data : JSON.stringify(data);
  return Buffer.concat([Buffer.from([channel]), Buffer.from(text)]);
}

/** Makes the server accept the next exec and then call `act`. */
function onAccept(act: (socket: WebSocket, url: string) => void): void {
  server.onUpgrade = (request, socket, head) =>
    void server.accept(request, socket, head).then((webSocket) => act(webSocket, request.url ?? ''));
}

function record(options: Partial<ExecOptions> = {}): { output: string[]; options: ExecOptions } {
  const output: string[] = [];
  return {
    output,
    options: {
      signal: new AbortController().signal,
      onStdout: (chunk) => void output.push(`out:${Buffer.from(chunk).toString()}`),
      onStderr: (chunk) => void output.push(`err:${Buffer.from(chunk).toString()}`),
      ...options,
    },
  };
}

async function openSession(options: ExecOptions): Promise<ExecSession> {
  const answer = await client.open(TARGET, options);
  if (answer.kind !== 'open') throw new Error(answer.message);
  return answer.session;
}

async function openRefused(): Promise<Extract<ExecAnswer, { kind: 'refused' }>> {
  const answer = await client.open(TARGET, record().options);
  if (answer.kind !== 'refused') throw new Error('it was not refused');
  return answer;
}

describe('before the cluster has accepted the exec', () => {
  test.each([
    [400, 'container nope is not valid for pod p', false],
    [403, 'pods "p" is forbidden', false],
    [404, 'pods "p" not found', false],
    [500, 'error dialing backend: dial tcp 10.0.0.1:10250: i/o timeout', true],
    [500, 'container not found ("main")', false],
    [
      500,
      'rpc error: code = Unavailable desc = dial unix /run/containerd.sock: connect: no such file or directory',
      true,
    ],
    [429, 'too many requests', true],
    [503, 'the server is currently unable to handle the request', true],
  ])('the answer %d "%s" is a refusal with its own message', async (code, message, isTransient) => {
    server.onUpgrade = (_request, socket) => {
      const body = JSON.stringify({ kind: 'Status', status: 'Failure', message, code });
      socket.end(
        `HTTP/1.1 ${code} No\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
      );
    };
    const rights = code === 403 ? ' (the account needs the verbs get and create for "pods/exec")' : '';
    expect(await openRefused()).toEqual({ kind: 'refused', code, message: message + rights, isTransient });
  });

  test('an answer of 200 is a refusal', async () => {
    server.onUpgrade = (_request, socket) =>
      socket.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok');
    expect(await openRefused()).toEqual({ kind: 'refused', code: 200, message: 'ok', isTransient: false });
  });

  test('a redirect is not followed', async () => {
    server.onUpgrade = (_request, socket) =>
      socket.end(
        'HTTP/1.1 302 Found\r\nlocation: https://127.0.0.1:1/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n',
      );
    const message = 'the cluster answered 302';
    expect(await openRefused()).toEqual({ kind: 'refused', code: 302, message, isTransient: false });
  });

  test('a broken connection is a transient refusal', async () => {
    server.onUpgrade = (_request, socket) => socket.destroy();
    expect(await openRefused()).toMatchObject({ kind: 'refused', isTransient: true });
  });

  test('a certificate of another authority is a permanent refusal', async () => {
    const { ca: _ca, ...access } = server.access;
    const stranger = createExecClient(access);
    expect(await stranger.open(TARGET, record().options)).toMatchObject({ kind: 'refused', isTransient: false });
    stranger.close();
  });

  test('an answer that arrives byte by byte is a transient refusal after the handshake limit', async () => {
    const hasty = createExecClient(server.access, { ...QUICK, handshakeMs: 200 });
    let trickle: NodeJS.Timeout | undefined;
    server.onUpgrade = (_request, socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nx-slow: ');
      trickle = setInterval(() => socket.write('x'), 10);
    };
    expect(await hasty.open(TARGET, record().options)).toEqual({
      kind: 'refused',
      message: 'the cluster did not answer the request for an exec within 0.2 s',
      isTransient: true,
    });
    clearInterval(trickle);
    hasty.close();
  });

  test('an abort ends a request without an answer', async () => {
    const abort = new AbortController();
    server.onUpgrade = () => abort.abort();
    const answer = await client.open(TARGET, record({ signal: abort.signal }).options);
    expect(answer).toEqual({ kind: 'refused', message: 'aborted', isTransient: false });
  });
});

describe('an open exec', () => {
  test('requests stdin, both outputs and no terminal, with the unchanged argv', async () => {
    let asked = '';
    onAccept((socket, url) => {
      asked = url;
      socket.close();
    });
    await (
      await openSession(record().options)
    ).done;
    expect(asked).toBe(
      '/api/v1/namespaces/default/pods/p/exec?container=main&command=sh&command=-c&command=a+b&stdin=true&stdout=true&stderr=true&tty=false',
    );
  });

  test('delivers both channels in order, ignores empty frames and ends with the exit code', async () => {
    onAccept((socket) => {
      for (const part of [frame(1, ''), frame(1, 'a'), frame(2, 'b'), frame(1, 'c'), frame(3, FAILURE)])
        socket.send(part);
      socket.close();
    });
    const { output, options } = record();
    const end = await (await openSession(options)).done;
    expect(output).toEqual(['out:a', 'err:b', 'out:c']);
    expect(end).toEqual({ kind: 'status', exitCode: 3, message: 'command terminated with exit code 3' });
  });

  test.each([
    [{ status: 'Success' }, { kind: 'status', exitCode: 0, message: '' }],
    [
      { status: 'Failure', reason: 'InternalError', message: 'runtime is gone' },
      { kind: 'status', exitCode: undefined, message: 'runtime is gone' },
    ],
    [
      { ...FAILURE, details: { causes: [{ reason: 'ExitCode', message: '0' }] } },
      { kind: 'status', exitCode: undefined, message: FAILURE.message },
    ],
    [{ status: 'Perhaps' }, { kind: 'cut', message: 'the connection ended with an unknown status' }],
  ])('ends with the status %j', async (status, expected) => {
    onAccept((socket) => socket.send(frame(3, status), () => socket.close()));
    expect(await (await openSession(record().options)).done).toEqual(expected);
  });

  test('settles after a status even if the server never closes', async () => {
    onAccept((socket) => socket.send(frame(3, { status: 'Success' })));
    expect(await (await openSession(record().options)).done).toEqual({ kind: 'status', exitCode: 0, message: '' });
  });

  test('a cut without a status has no exit code', async () => {
    onAccept((socket) => socket.send(frame(1, 'half'), () => socket.terminate()));
    const { output, options } = record();
    expect(await (await openSession(options)).done).toMatchObject({ kind: 'cut' });
    expect(output).toEqual(['out:half']);
  });

  test('a clean close without a status is a cut', async () => {
    onAccept((socket) => socket.close(1000));
    const end = await (await openSession(record().options)).done;
    expect(end).toEqual({ kind: 'cut', message: 'the connection was cut without a status' });
  });

  test('a status cut in the middle is a cut', async () => {
    onAccept((socket) => socket.send(frame(3, '{"status":"Succ'), () => socket.close()));
    expect(await (await openSession(record().options)).done).toMatchObject({ kind: 'cut' });
  });

  test('a frame beyond the limit is a cut', async () => {
    onAccept((socket) => socket.send(Buffer.alloc(5 * 1024 * 1024, 1)));
    expect(await (await openSession(record().options)).done).toMatchObject({ kind: 'cut' });
  });

  test('a server that answers no ping is disconnected', async () => {
    onAccept(() => undefined);
    const end = await (await openSession(record().options)).done;
    expect(end).toEqual({ kind: 'cut', message: 'the cluster was silent for 0 s' });
  });

  test('silence does not count while a callback is pending', async () => {
    onAccept((socket) => {
      socket.on('ping', () => socket.pong());
      socket.send(frame(1, 'a'), () => socket.send(frame(3, { status: 'Success' }), () => socket.close()));
    });
    // Longer than the limit for silence.
    const { options } = record({ onStdout: async () => await new Promise((resolve) => setTimeout(resolve, 400)) });
    expect(await (await openSession(options)).done).toEqual({ kind: 'status', exitCode: 0, message: '' });
  });

  test('stops reading from the socket while output is not delivered', async () => {
    let sent = 0;
    onAccept((socket) => {
      const chunk = Buffer.concat([Buffer.from([1]), Buffer.alloc(64 * 1024)]);
      const more = (): void => {
        if (sent < 2_000) socket.send(chunk, () => ((sent += 1), more()));
      };
      more();
    });
    const first = Promise.withResolvers<void>();
    const { options } = record({ onStdout: async () => (first.resolve(), await new Promise<never>(() => undefined)) });
    const session = await openSession(options);
    await first.promise;
    // The server sends until the kernel's buffers are full, that is, until the count does not change for a while.
    let before = -1;
    while (before !== sent) {
      before = sent;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    expect(sent).toBeLessThan(500);
    session.close();
    expect(await session.done).toEqual({ kind: 'cut', message: 'closed by c3' });
  });

  test('an output callback that throws ends the exec', async () => {
    onAccept((socket) => socket.send(frame(1, 'a')));
    const { options } = record({ onStdout: () => Promise.reject(new Error('disk full')) });
    const end = await (await openSession(options)).done;
    expect(end).toEqual({ kind: 'cut', message: 'c3 could not process its output: disk full' });
  });

  test('input arrives whole and in order, however large', async () => {
    const received: Buffer[] = [];
    const all = Promise.withResolvers<void>();
    onAccept((socket) =>
      socket.on('message', (data) => {
        received.push(data as Buffer);
        if (received.reduce((size, part) => size + part.length - 1, 0) === 100_003) all.resolve();
      }),
    );
    const session = await openSession(record().options);
    await session.write('abc');
    await session.write(Buffer.alloc(100_000, 'x'));
    await all.promise;
    expect(received.every((part) => part[0] === 0)).toBe(true);
    expect(Buffer.concat(received.map((part) => part.subarray(1))).toString()).toBe(`abc${'x'.repeat(100_000)}`);
    session.close();
  });

  test('input to a session that is over fails', async () => {
    onAccept((socket) => socket.terminate());
    const session = await openSession(record().options);
    await session.done;
    await expect(session.write('late')).rejects.toThrow('Cannot write to the program');
  });

  test('an abort ends the exec', async () => {
    const abort = new AbortController();
    onAccept(() => undefined);
    const session = await openSession(record({ signal: abort.signal }).options);
    abort.abort();
    expect(await session.done).toEqual({ kind: 'cut', message: 'aborted' });
  });

  test('resumes the TLS session of earlier execs', async () => {
    onAccept((socket) => socket.send(frame(3, { status: 'Success' }), () => socket.close()));
    await (
      await openSession(record().options)
    ).done;
    const { resumed } = server.connections;
    await (
      await openSession(record().options)
    ).done;
    expect(server.connections.resumed).toBe(resumed + 1);
  });
});

test('no error message contains the token', async () => {
  server.onRequest = (_request, response) => answerJson(response, 500, {});
  server.onUpgrade = (_request, socket) => socket.end('HTTP/1.1 101 Switching Protocols\r\n\r\n');
  const refusal = await openRefused();
  expect(JSON.stringify(refusal)).not.toContain(server.access.token);
});

test('thousands of frames at once do not block other work', async () => {
  let turns = 0;
  let timer: NodeJS.Immediate | undefined;
  function count(): void {
    turns += 1;
    timer = setImmediate(count);
  }
  onAccept((socket) => {
    for (let index = 0; index < 1_000; index += 1) socket.send(frame(1, 'x'));
    socket.send(frame(3, { status: 'Success' }));
    socket.close();
  });
  const { output, options } = record({ onStderr: () => undefined });
  const session = await openSession({
    ...options,
    onStdout: (chunk) => {
      if (output.length === 0) count();
      return options.onStdout(chunk);
    },
  });
  expect(await session.done).toMatchObject({ kind: 'status', exitCode: 0 });
  clearImmediate(timer);
  expect(output).toHaveLength(1_000);
  expect(turns).toBeGreaterThan(900);
});

test('an open exec does not keep what was written to it', async () => {
  onAccept(() => undefined);
  const patient = createExecClient(server.access);
  const answer = await patient.open(TARGET, record().options);
  if (answer.kind !== 'open') throw new Error(answer.message);
  const written: WeakRef<object>[] = [];
  for (let count = 0; count < 10; count += 1) {
    const bytes = new Uint8Array(100_000);
    written.push(new WeakRef(bytes));
    await answer.session.write(bytes);
  }
  // This function still refers to the last one.
  expect(await countHeld(written)).toBeLessThanOrEqual(1);
  patient.close();
});
