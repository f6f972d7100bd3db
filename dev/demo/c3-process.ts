import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** A separate `c3 serve` process, as an operator starts it. */
export interface C3Process {
  /** Its base URL. */
  readonly url: string;
  readonly pid: number;
  /** Its log so far, one JSON object per line. */
  readonly log: readonly string[];
  /** Resolves with the exit code when it has ended. */
  readonly exited: Promise<number | null>;
  kill(signal: NodeJS.Signals): void;
  /** Sends SIGTERM and waits for the end. */
  stop(): Promise<void>;
}

/** It takes a second. With an empty compile cache, on a busy machine, it took half a minute. */
const START_MS = 120_000;

const SOURCE = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

/**
 * Starts c3 with these settings on the loopback interface and resolves when it listens. Default port: any free one.
 * `program`: the file that Node runs; default: c3 from its source.
 */
export async function startC3(
  settings: Readonly<Record<string, string>>,
  program: string = SOURCE,
): Promise<C3Process> {
  const port = settings['C3_PORT'] ?? (await findFreePort());
  const url = settings['C3_URL'] ?? `http://127.0.0.1:${port}`;
  const { PATH, NODE_COMPILE_CACHE } = process.env;
  const inherited = NODE_COMPILE_CACHE === undefined ? { PATH } : { PATH, NODE_COMPILE_CACHE };
  const child = spawn(process.execPath, [program, 'serve'], {
    env: { ...inherited, C3_HOST: '127.0.0.1', C3_PORT: String(port), C3_URL: url, ...settings },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const log: string[] = [];
  const listening = Promise.withResolvers<void>();
  const exited = new Promise<number | null>((resolve) => {
    child.once('exit', (code) => {
      listening.reject(new Error(`c3 ended with exit code ${code} before it listened:\n${log.join('\n')}`));
      resolve(code);
    });
  });
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      log.push(line);
      if (line.includes('"msg":"listening"')) listening.resolve();
    });
  }
  const timer = setTimeout(() => {
    listening.reject(new Error(`c3 did not listen within ${START_MS / 1000} s:\n${log.join('\n')}`));
    child.kill('SIGKILL');
  }, START_MS);
  await listening.promise.finally(() => clearTimeout(timer));
  return {
    url: `http://127.0.0.1:${port}`,
    pid: child.pid ?? 0,
    log,
    exited,
    kill: (signal) => void child.kill(signal),
    async stop(): Promise<void> {
      child.kill('SIGTERM');
      await exited;
    },
  };
}

function findFreePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}
