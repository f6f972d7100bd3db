import { setTimeout as sleep } from 'node:timers/promises';
import { Semaphore } from '../limiter.ts';
import type { HttpRequest, HttpResponse } from './http-client.ts';

/**
 * The pauses before a request is sent again whose answer may not be final: a replica of GitHub's database was seen to lag
 * for ten seconds, and a good token to get a single 401. {@link USED} says how many are used.
 */
export const PAUSES_MS: readonly number[] = [1_000, 2_000, 4_000, 8_000, 15_000];

/** How many of the pauses are used, with the sum of the default ones. */
export const USED = {
  /** 1 s: for every answer to a token that the forge has not confirmed. Strangers can send such tokens (A12). */
  unconfirmed: 1,
  /** 7 s: after 401, if this client has seen no better answer yet. */
  refused: 3,
  /** 15 s: if the answer may be that of a replica which lags. */
  late: 4,
  /** 30 s: after 401, if this client has seen the forge accept the token. */
  refusedLater: 5,
} as const;

export interface PatientRequest extends HttpRequest {
  /**
   * Whether the response may be that of a replica which does not have the push yet. Default: never.
   *
   * @param tries how often the request was sent again
   */
  isLate?: ((response: HttpResponse, tries: number) => boolean) | undefined;
}

/** Sends the requests of one repository with one token. */
export interface PatientClient {
  /** Returns the last response, whatever its status. @throws as `HttpClient.send` */
  send(request: PatientRequest, signal: AbortSignal): Promise<HttpResponse>;
}

interface PatienceOptions {
  readonly pausesMs: readonly number[];
  /** Whether the forge has accepted the token before. */
  isConfirmed(): boolean;
}

/**
 * Creates a client that sends a request again if the answer is 401 or late. After 401, one request at a time is sent
 * again: forges lock out a sender of many refused tokens. A token that stays refused gets no more patience.
 */
export function createPatientClient(client: PatientClient, { pausesMs, isConfirmed }: PatienceOptions): PatientClient {
  let token: 'unknown' | 'accepted' | 'refused' = 'unknown';
  const turn = new Semaphore(1);

  function toPauseMs(tries: number, count: number): number | undefined {
    return pausesMs.slice(0, isConfirmed() ? count : USED.unconfirmed)[tries];
  }

  async function sendOnce(request: PatientRequest, signal: AbortSignal): Promise<HttpResponse> {
    const response = await client.send(request, signal);
    if (response.status < 300) token = 'accepted';
    return response;
  }

  async function sendAfter401(
    first: HttpResponse,
    request: PatientRequest,
    signal: AbortSignal,
  ): Promise<HttpResponse> {
    let response = first;
    for (let tries = 0; response.status === 401 && token !== 'refused'; tries += 1) {
      const pauseMs = toPauseMs(tries, token === 'accepted' ? USED.refusedLater : USED.refused);
      if (pauseMs === undefined) {
        token = 'refused';
        break;
      }
      await pause(pauseMs, signal);
      response = await sendOnce(request, signal);
    }
    return response;
  }

  async function sendAccepted(request: PatientRequest, signal: AbortSignal): Promise<HttpResponse> {
    const response = await sendOnce(request, signal);
    if (response.status !== 401) return response;
    return await turn.run(() => sendAfter401(response, request, signal), signal);
  }

  return {
    async send({ isLate = () => false, ...request }, signal) {
      for (let tries = 0; ; tries += 1) {
        const response = await sendAccepted(request, signal);
        const pauseMs = toPauseMs(tries, USED.late);
        if (pauseMs === undefined || !isLate(response, tries)) return response;
        await pause(pauseMs, signal);
      }
    },
  };
}

/** @throws the signal's reason if it is aborted */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => signal.throwIfAborted());
}
