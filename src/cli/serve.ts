import { pino, stdTimeFunctions } from 'pino';
import { readConfig, type Flags } from '../config/index.ts';
import { toMessage } from '../errors.ts';
import { createC3 } from './create-c3.ts';
import type { Terminal } from './terminal.ts';

/**
 * `c3 serve`: runs until SIGTERM or SIGINT, then takes no more builds and waits for those that run; a second signal cancels them.
 * Log lines are JSON on standard output.
 */
export async function serve(terminal: Terminal, flags: Flags): Promise<number> {
  const config = readConfig(terminal.env, flags, (path) => terminal.readFile(path));
  const log = pino({ level: config.logLevel, timestamp: stdTimeFunctions.isoTime, base: null });
  // A build's forgotten promise must not take the other builds along.
  process.on('unhandledRejection', (error) =>
    log.error({ error: toMessage(error) }, 'a promise was rejected and nobody listened'),
  );
  const c3 = await createC3(config, log);
  log.info({ origin: c3.origin, url: config.url }, 'listening');

  const cancel = new AbortController();
  await new Promise<void>((resolve) => {
    function onSignal(signal: NodeJS.Signals): void {
      log.info({ signal, builds: c3.buildCount }, 'shutting down');
      resolve();
      for (const name of ['SIGTERM', 'SIGINT'] as const) {
        process.off(name, onSignal);
        process.once(name, () => cancel.abort());
      }
    }
    for (const name of ['SIGTERM', 'SIGINT'] as const) process.on(name, onSignal);
  });
  await c3.close(cancel.signal);
  return 0;
}
