import type { Hono } from 'hono';
import type { Ending } from '../../src/build/index.ts';
import type { BuildLook } from '../../src/logs/index.ts';
import type { BuildRequest } from '../../src/engine/index.ts';
import { C3Error } from '../../src/errors.ts';
import type { Forge } from '../../src/forges/forge.ts';
import { createForges } from '../../src/forges/index.ts';
import { KeyedTokenBucket } from '../../src/limiter.ts';
import { parseKeyring, type Scope } from '../../src/sealing/index.ts';
import { createApp } from '../../src/server/app.ts';
import { createBuilds, type Builds, type RunContext } from '../../src/server/builds.ts';
import { FairTokenBucket } from '../../src/server/fair-token-bucket.ts';
import { HookLimits } from '../../src/server/limits.ts';
import { createOpenViews } from '../../src/server/open-views.ts';
import { createBodyReader, type BodyLimits } from '../../src/server/read-body.ts';

export const SECRET = 'YzMtdGVzdC1zZWNyZXQtb2YtMzItYnl0ZXMtISEhISE';
export const TOKEN: string = `github_pat_${'x'.repeat(82)}`;

/** An app whose builds run until `end` is called. Its forge confirms every push, and its clock is stopped. */
export interface ServedApp {
  readonly app: Hono;
  readonly builds: Builds;
  readonly requests: readonly BuildRequest[];
  readonly contexts: readonly RunContext[];
  readonly log: readonly string[];
  /** Ends the builds. */
  end(): void;
}

export interface ServedAppOptions {
  readonly baseUrl?: () => string;
  readonly keys?: string;
  /** What the forge says about every token. Default: that it may push. */
  readonly refusal?: string;
  readonly rateLimitNew?: number;
  readonly maxBuilds?: number;
  readonly bodies?: Partial<BodyLimits>;
  /** Default: `refusal`. */
  checkAccess?(token: string): Promise<string | undefined>;
  /** Whether each commit is the head of its ref. Default true. */
  readonly isHead?: boolean;
  /** `C3_FORKS`; default: approve. */
  readonly forks?: 'off' | 'approve';
}

/** Creates an app. By default every rate is 60 a minute, and there are two slots for builds. */
export function serveApp({
  baseUrl = () => 'https://c3.example',
  keys = SECRET,
  refusal,
  rateLimitNew = 60,
  maxBuilds = 2,
  bodies = {},
  checkAccess = () => Promise.resolve(refusal),
  isHead = true,
  forks = 'approve',
}: ServedAppOptions = {}): ServedApp {
  const forges = createForges([{ kind: 'github', origin: 'https://github.com', apiBase: 'https://api.github.com' }]);
  const requests: BuildRequest[] = [];
  const contexts: RunContext[] = [];
  const lines: string[] = [];
  const ended = Promise.withResolvers<Ending>();
  function note(fields: object, message: string): void {
    lines.push(`${JSON.stringify(fields)} ${message}`);
  }
  const log = { info: note, warn: note, error: note };
  const now = (): number => 0;
  const limits = new HookLimits({ rateLimit: 60, rateLimitNew, maxBuilds, now });
  const builds = createBuilds({
    limits,
    log,
    run(request, context) {
      requests.push(request);
      contexts.push(context);
      return ended.promise;
    },
  });
  const keyring = parseKeyring(keys);
  const forgeFor = (scope: Scope): Forge => confirmEverything(forges.forgeFor(scope), { checkAccess, isHead });
  function checkScope(scope: Scope): void {
    if (scope.owner !== 'stranger') return;
    throw new C3Error('SCOPE_REFUSED', 'This c3 does not serve github.com/stranger/shop');
  }
  const open = (): Promise<BuildLook> => Promise.resolve({ kind: 'failed', message: 'there is no cluster' });
  const views = createOpenViews({ keyring, forgeFor, checkScope, findRunning: builds.find, open });
  const sealings = { perMinute: 60, maxKeys: 1_000, now };
  const app = createApp({
    keyring,
    bodies: createBodyReader(bodies),
    tokenChecks: new KeyedTokenBucket({ perMinute: 3, maxKeys: 10 }),
    sealings: { values: new FairTokenBucket(sealings), hooks: new FairTokenBucket(sealings) },
    limits,
    baseUrl,
    builds,
    log,
    openView: views.open,
    now: Date.now,
    closing: new AbortController().signal,
    forgeFor,
    forks,
    checkScope,
  });
  return { app, builds, requests, contexts, log: lines, end: () => ended.resolve({ kind: 'passed', allowed: [] }) };
}

function confirmEverything(
  forge: Forge,
  { checkAccess, isHead }: Required<Pick<ServedAppOptions, 'checkAccess' | 'isHead'>>,
): Forge {
  return {
    ...forge,
    openRepository: (scope, token, options) => ({
      ...forge.openRepository(scope, token, options),
      async prove() {
        const message = await checkAccess(token);
        if (message !== undefined) return { kind: 'refused', message };
        return { kind: 'proven', trust: 'other', isHead };
      },
      checkAccess: () => checkAccess(token),
      readCommit: () => Promise.resolve({ subject: 'Fix the cart', author: 'Ann' }),
    }),
  };
}

/** `POST /encrypt`. */
export async function encrypt(
  app: Hono,
  query: string,
  body: string | Uint8Array,
  headers: Record<string, string> = {},
): Promise<{ status: number; text: string }> {
  const answer = await app.request(`/encrypt?${query}`, { method: 'POST', body, headers });
  return { status: answer.status, text: (await answer.text()).trimEnd() };
}
