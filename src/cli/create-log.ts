import type { EventEmitter } from 'node:events';
import { pino, stdTimeFunctions, type DestinationStream } from 'pino';
import type { Config } from '../config/index.ts';
import type { Log } from '../log.ts';
import { createMasking } from '../sealing/index.ts';

/** Limits the message of an error, which another server may have written. */
const MAX_FAULT_CHARACTERS = 2000;

/**
 * Creates c3's own log: one JSON object per line. Every line is masked for the operator's secrets. No room logs a
 * build's secrets.
 *
 * @param destination replaces standard output
 */
export function createLog(
  { secret, telegramToken, logLevel }: Pick<Config, 'secret' | 'telegramToken' | 'logLevel'>,
  destination: DestinationStream = pino.destination({ dest: 1, sync: true }),
): Log {
  const keys = secret.split(',').map((key) => key.trim());
  const masking = createMasking([...keys, ...(telegramToken === undefined ? [] : [telegramToken])]);
  return pino(
    {
      level: logLevel,
      timestamp: stdTimeFunctions.isoTime,
      base: null,
      hooks: { streamWrite: (line) => masking.mask(line) },
    },
    destination,
  );
}

/**
 * Logs uncaught errors and continues, so that one bad event does not end the builds of others. An uncaught error can
 * leave only one request or one build unfinished: shared state changes within one turn of the event loop.
 */
export function logCrashes(source: EventEmitter, log: Log): void {
  source.on('uncaughtException', (error) => log.error(describeCrash(error), 'uncaught error'));
  source.on('unhandledRejection', (error) => log.error(describeCrash(error), 'unhandled rejection'));
}

/**
 * Returns code and message, never the error object: an error of `ws` or `undici` holds its socket, and with it keys.
 * Never throws.
 */
export function describeCrash(error: unknown): { code?: string; error: string } {
  try {
    // Both may have any type.
    const { code, message }: { code?: unknown; message: unknown } = error instanceof Error ? error : { message: error };
    const text = { error: String(message).slice(0, MAX_FAULT_CHARACTERS) };
    return typeof code === 'string' ? { code: code.slice(0, 100), ...text } : text;
  } catch {
    return { error: 'an error that cannot be described' };
  }
}
