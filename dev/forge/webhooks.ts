import { randomUUID } from 'node:crypto';
import { Agent, request } from 'undici';
import type { Dialect } from './dialect.ts';

/** A webhook as a client created it. */
export interface Hook {
  readonly id: number;
  /** Epoch milliseconds. */
  readonly createdAt: number;
  /** `owner/name`. */
  readonly repository: string;
  readonly url: string;
  readonly contentType: 'json' | 'form';
  /** Without one, deliveries are not signed. */
  readonly secret: string | undefined;
  /** The newer signing token of GitLab. */
  readonly signingToken?: string | undefined;
  /** `*` for all. */
  readonly events: readonly string[];
  readonly isActive: boolean;
  /** Does not check the certificate. */
  readonly isInsecure: boolean;
}

/** A delivery and its response. */
export interface Delivery {
  readonly id: number;
  /** The forge's id of the delivery; the same for a redelivery. */
  readonly guid: string;
  readonly hookId: number;
  readonly repository: string;
  readonly event: string;
  readonly isRedelivery: boolean;
  /** Epoch milliseconds. */
  readonly sentAt: number;
  readonly request: { readonly headers: Readonly<Record<string, string>>; readonly body: string };
  /** `undefined` until the response arrives. */
  readonly answer: DeliveryAnswer | undefined;
}

type DeliveryAnswer =
  | { readonly kind: 'answered'; readonly status: number; readonly body: string; readonly durationMs: number }
  /** No connection, or no answer within 10 s. */
  | { readonly kind: 'failed'; readonly message: string };

export interface Webhooks {
  readonly hooks: readonly Hook[];
  /** In the order of sending. */
  readonly deliveries: readonly Delivery[];
  add(hook: Omit<Hook, 'id' | 'createdAt'>): Hook;
  /** Keeps the hooks of a repository that was renamed. */
  rename(before: string, after: string): void;
  /** Sends to one hook; resolves when it is answered. Never rejects: see {@link Delivery.answer}. */
  send(hook: Hook, event: string, payload: unknown): Promise<Delivery>;
  /** Sends to each active hook of the event that the repository had at that time. */
  sendAll(source: EventSource, event: string, payload: unknown): Promise<void>;
  /** Sends the same body, headers and id again. */
  redeliver(id: number): Promise<Delivery>;
  /** Aborts the open deliveries. */
  close(): Promise<void>;
}

interface EventSource {
  /** `owner/name`. */
  readonly repository: string;
  /** Epoch milliseconds. */
  readonly at: number;
}

/** GitHub's own limit; there is no retry. */
const DELIVERY_TIMEOUT_MS = 10_000;
/** The maximum size of a recorded response. */
const MAX_ANSWER_BYTES = 64 * 1024;

export interface WebhooksOptions extends Pick<Dialect, 'toHeaders'> {
  onChange(): void;
  /** Default: ten seconds. */
  readonly timeoutMs?: number | undefined;
}

export function createWebhooks({ toHeaders, onChange, timeoutMs = DELIVERY_TIMEOUT_MS }: WebhooksOptions): Webhooks {
  const hooks: Hook[] = [];
  const deliveries: Delivery[] = [];
  const closing = new AbortController();
  const strict = new Agent();
  const insecure = new Agent({ connect: { rejectUnauthorized: false } });

  async function deliver(hook: Hook, first: Omit<Delivery, 'id' | 'sentAt' | 'answer'>): Promise<Delivery> {
    const index = deliveries.length;
    const pending: Delivery = { ...first, id: index + 1, sentAt: Date.now(), answer: undefined };
    deliveries.push(pending);
    onChange();
    const dispatcher = hook.isInsecure ? insecure : strict;
    const answer = await post(hook.url, first.request, {
      dispatcher,
      signal: AbortSignal.any([closing.signal, AbortSignal.timeout(timeoutMs)]),
    });
    const done: Delivery = { ...pending, answer };
    deliveries[index] = done;
    onChange();
    return done;
  }

  const send: Webhooks['send'] = (hook, event, payload) => {
    const guid = randomUUID();
    const request = toRequest(hook, { event, guid, json: JSON.stringify(payload) }, toHeaders);
    return deliver(hook, { guid, hookId: hook.id, repository: hook.repository, event, isRedelivery: false, request });
  };

  return {
    hooks,
    deliveries,
    add(options) {
      const hook = { ...options, id: hooks.length + 1, createdAt: Date.now() };
      hooks.push(hook);
      return hook;
    },
    rename(before, after) {
      for (const [index, hook] of hooks.entries()) {
        if (hook.repository === before) hooks[index] = { ...hook, repository: after };
      }
    },
    send,
    async sendAll(source, event, payload) {
      const isWanted = (hook: Hook): boolean =>
        hook.isActive &&
        hook.repository === source.repository &&
        hook.createdAt <= source.at &&
        hook.events.some((name) => name === event || name === '*');
      await Promise.all(hooks.filter(isWanted).map((hook) => send(hook, event, payload)));
    },
    redeliver(id) {
      const delivery = deliveries[id - 1];
      const hook = hooks.find((candidate) => candidate.id === delivery?.hookId);
      if (delivery === undefined || hook === undefined) {
        throw new Error(`there is no delivery ${id}`);
      }
      const { guid, hookId, repository, event, request } = delivery;
      return deliver(hook, { guid, hookId, repository, event, isRedelivery: true, request });
    },
    async close() {
      closing.abort(new Error('the forge was closed'));
      await Promise.all([strict.destroy(), insecure.destroy()]);
    },
  };
}

function toRequest(
  hook: Hook,
  message: { readonly event: string; readonly guid: string; readonly json: string },
  toHeaders: Dialect['toHeaders'],
): Delivery['request'] {
  const isForm = hook.contentType === 'form';
  const body = isForm ? new URLSearchParams({ payload: message.json }).toString() : message.json;
  const contentType = isForm ? 'application/x-www-form-urlencoded' : 'application/json';
  const { event, guid } = message;
  return { headers: { 'Content-Type': contentType, ...toHeaders(hook, { event, guid, body }) }, body };
}

async function post(
  url: string,
  message: Delivery['request'],
  { dispatcher, signal }: { readonly dispatcher: Agent; readonly signal: AbortSignal },
): Promise<DeliveryAnswer> {
  const startedAt = performance.now();
  try {
    const { headers, body } = message;
    const response = await request(url, { dispatcher, method: 'POST', headers, body, signal });
    const text = (await readStart(response.body)).toString('utf8');
    const durationMs = Math.round(performance.now() - startedAt);
    return { kind: 'answered', status: response.statusCode, body: text, durationMs };
  } catch (error) {
    return { kind: 'failed', message: error instanceof Error ? error.message : String(error) };
  }
}

async function readStart(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of stream) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > MAX_ANSWER_BYTES) {
      break;
    }
  }
  return Buffer.concat(chunks).subarray(0, MAX_ANSWER_BYTES);
}
