import { readConfig, type Flags } from '../config/index.ts';
import { createC3 } from './create-c3.ts';
import { createLog, logCrashes } from './create-log.ts';
import type { Terminal } from './terminal.ts';

/**
 * Runs `c3 serve` until SIGTERM or SIGINT. Then it accepts no builds and waits for the running ones. A second signal
 * cancels them; a third also ends the wait for their `finally`. Logs JSON lines to standard output.
 */
export async function serve(terminal: Terminal, flags: Flags): Promise<number> {
  const config = readConfig(terminal.env, flags, (path) => terminal.readFile(path));
  const log = createLog(config);
  logCrashes(process, log);
  const c3 = await createC3(config, log);
  log.info({ origin: c3.origin, url: c3.url }, 'listening');

  const cancel = new AbortController();
  const halt = new AbortController();
  await new Promise<void>((resolve) => {
    function onSignal(signal: NodeJS.Signals): void {
      log.info({ signal, builds: c3.buildCount }, 'shutting down');
      resolve();
      for (const name of ['SIGTERM', 'SIGINT'] as const) {
        process.off(name, onSignal);
        process.on(name, () => (cancel.signal.aborted ? halt : cancel).abort());
      }
    }
    for (const name of ['SIGTERM', 'SIGINT'] as const) process.on(name, onSignal);
  });
  await c3.close(cancel.signal, halt.signal);
  return 0;
}
