import { Hono } from 'hono';
import { createBuild } from '../fakes/sample-build.ts';
import type { BuildLink } from '../../src/build/index.ts';
import type { BuildLook } from '../../src/logs/index.ts';
import { handleBuildEvents } from '../../src/server/build-events.ts';
import { handleBuildLog } from '../../src/server/build-log.ts';
import { handleBuildPage } from '../../src/server/build-page.ts';
import { listen } from '../../src/server/listen.ts';

/** A server of the pages of fake builds, on a real socket. */
export interface PageServer {
  readonly origin: string;
  /** Adds a build. Its address ends in `sealed`: `look-…` is read-only, `control-…` grants control. */
  show(sealed: string, look: () => BuildLook): void;
  /** The submitted forms, the newest last. */
  readonly posts: readonly { readonly path: string; readonly body: string; readonly origin: string | null }[];
  readonly released: number;
  readonly opened: number;
  /** Ends all connections, like a c3 that stops. The port is free for the next server. */
  close(): Promise<void>;
}

export interface PageServerOptions {
  /** 0: the system chooses a free port. */
  readonly port?: number;
  now?(): number;
}

export async function openPageServer({ port = 0, now = Date.now }: PageServerOptions = {}): Promise<PageServer> {
  const looks = new Map<string, () => BuildLook>();
  const posts: { path: string; body: string; origin: string | null }[] = [];
  const closing = new AbortController();
  const counts = { opened: 0, released: 0 };
  const dependencies = {
    openView(sealed: string): ReturnType<Parameters<typeof handleBuildPage>[2]['openView']> {
      counts.opened += 1;
      const found = looks.get(sealed)?.() ?? { kind: 'failed', message: 'There is no such build' };
      const right = sealed.startsWith('control') ? 'control' : 'view';
      return Promise.resolve({ link: { ...LINK, right }, found, release: () => void (counts.released += 1) });
    },
    baseUrl: () => 'https://c3.example.com',
    now,
    closing: closing.signal,
  };
  const app = new Hono();
  app.get('/b/:sealed', ({ req }) => handleBuildPage(req.raw, req.param('sealed'), dependencies));
  app.get('/b/:sealed/log', ({ req }) => handleBuildLog(req.raw, req.param('sealed'), dependencies));
  app.get('/b/:sealed/events', ({ req }) => handleBuildEvents(req.raw, req.param('sealed'), dependencies));
  app.post('/b/:sealed/:action', async ({ req, redirect }) => {
    posts.push({ path: req.path, body: await req.text(), origin: req.raw.headers.get('origin') });
    return redirect(req.param('action') === 'rerun' ? '/b/control-new' : `/b/${req.param('sealed')}`, 303);
  });
  const listener = await listen(app, { host: '127.0.0.1', port, onFault: (error) => console.error(error) });
  return {
    origin: listener.origin,
    show: (sealed, look) => void looks.set(sealed, look),
    posts,
    get released() {
      return counts.released;
    },
    get opened() {
      return counts.opened;
    },
    close(): Promise<void> {
      closing.abort();
      return listener.close();
    },
  };
}

const LINK: BuildLink = {
  right: 'view',
  build: createBuild({ id: '1f2e3d4c5b6a' }),
  token: 'ghp_of-nobody',
};
