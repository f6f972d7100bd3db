import { pino, stdTimeFunctions, type DestinationStream } from 'pino';
import type { Config } from '../config/index.ts';
import type { Log } from '../log.ts';
import { createMasking } from '../sealing/index.ts';

/** Longest sentence of a fault that is kept: other people's servers write them. */
const MAX_FAULT_CHARACTERS = 2000;

/**
 * c3's own log: a JSON object a line. Every line goes through a mask for the operator's secrets; no room hands it those of a build.
 *
 * @param destination in place of standard output
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

/** What of the process {@link logCrashes} uses. */
export interface CrashSource {
  on(event: 'uncaughtException' | 'unhandledRejection', listener: (error: unknown) => void): unknown;
}

/**
 * Logs what nobody caught, and goes on: one bad event must not take along the builds of others. What it may have left half done is
 * one request's or one build's; whatever they share is changed in one turn of the event loop.
 */
export function logCrashes(source: CrashSource, log: Log): void {
  source.on('uncaughtException', (error) => log.error(describeCrash(error), 'an error that nobody caught'));
  source.on('unhandledRejection', (error) => log.error(describeCrash(error), 'a promise that was rejected unheard'));
}

/**
 * Code and message, never the object: an error of `ws` or `undici` holds its socket, and with it keys. It must not throw itself,
 * whatever was thrown.
 */
export function describeCrash(error: unknown): { code?: string; error: string } {
  try {
    // Who throws may have put anything into either.
    const { code, message }: { code?: unknown; message: unknown } = error instanceof Error ? error : { message: error };
    const text = { error: String(message).slice(0, MAX_FAULT_CHARACTERS) };
    return typeof code === 'string' ? { code: code.slice(0, 100), ...text } : text;
  } catch {
    return { error: 'an error that cannot be described' };
  }
}
