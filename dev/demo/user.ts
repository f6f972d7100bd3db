import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { createWorkTree, type WorkTree } from '../forge/work-tree.ts';
import type { Status } from '../forge/index.ts';
import type { StoredMessage } from '../telegram/world.ts';
import { FORGE_USES } from './forge-use.ts';
import type { World } from './world.ts';

/** The actions of a user of c3, over HTTP and git, and their results. */
export interface User {
  /** `host/owner/name`. */
  readonly scope: string;
  /** `owner/name`. */
  readonly fullName: string;
  readonly cloneUrl: string;
  readonly tree: WorkTree;
  /** Seals a value with `POST /encrypt`, for all refs or for one pattern. @throws the error message of the response */
  seal(purpose: string, value: string, ref?: string): Promise<string>;
  /** Creates the webhook through the forge's API. */
  createHook(url: string, secret: string): Promise<void>;
  /** Commits the files and pushes them. Returns the commit's sha and the time of the push. */
  push(files: Readonly<Record<string, string>>, message: string, ref?: string): Promise<{ sha: string; at: number }>;
  /** Resolves with c3's response to the delivery of this commit's push. */
  waitForAnswer(sha: string): Promise<{ status: number; body: string }>;
  /** Resolves with the last status of a commit, when its build has ended. */
  waitForEnd(sha: string): Promise<Status>;
  /** Resolves with the Telegram message of the commit, when it reports the end of the build. */
  waitForMessage(sha: string): Promise<{ message: StoredMessage; text: string }>;
}

/** A build that takes longer than this hangs. */
const PATIENCE_MS = 240_000;
const REQUEST_MS = 60_000;

/** The first words of the message of an ended build, after its symbol. */
const ENDED = /^\S+ (?:Passed|Fixed|Failed|Timed out|Cancelled|Superseded|Config error|Refused|Infrastructure error)/i;

/** `remote`: where the user pushes; default: the forge's URL. */
export async function createUser(
  world: World,
  options: { owner: string; name: string; token?: string; remote?: string },
): Promise<User> {
  const { forge, c3, telegram } = world;
  const use = FORGE_USES[forge.kind];
  const token = options.token ?? world.owner.token;
  const fullName = `${options.owner}/${options.name}`;
  const scope = `${forge.host}/${fullName}`;
  const tree = await createWorkTree({ token, path: await mkdtemp(join(world.directory, 'tree-')) });
  const cloneUrl = `${forge.origin}/${fullName}.git`;

  return {
    scope,
    fullName,
    cloneUrl,
    tree,
    async seal(purpose, value, ref): Promise<string> {
      const query = new URLSearchParams({ repo: scope, for: purpose, ...(ref === undefined ? {} : { ref }) });
      const url = `${c3.url}/encrypt?${query.toString()}`;
      const answer = await fetch(url, { method: 'POST', body: value, signal: AbortSignal.timeout(REQUEST_MS) });
      const text = (await answer.text()).trimEnd();
      if (!answer.ok) throw new Error(text);
      return text;
    },
    createHook: (url, secret) => use.createHook(forge, { fullName, token, url, secret }),
    async push(files, message, ref = 'refs/heads/main'): Promise<{ sha: string; at: number }> {
      const sha = await tree.commit(files, message);
      await tree.git('push', '--quiet', '--force', options.remote ?? cloneUrl, `HEAD:${ref}`);
      return { sha, at: Date.now() };
    },
    waitForAnswer(sha): Promise<{ status: number; body: string }> {
      return forge.waitFor(() => {
        const delivery = forge.deliveries.find(
          ({ event, request }) => use.pushEvents.includes(event) && request.body.includes(`"after":"${sha}"`),
        );
        if (delivery?.answer === undefined) return undefined;
        if (delivery.answer.kind === 'answered')
          return { status: delivery.answer.status, body: delivery.answer.body.trimEnd() };
        throw new Error(`The webhook was not delivered: ${JSON.stringify(delivery.answer)}`);
      }, AbortSignal.timeout(PATIENCE_MS));
    },
    waitForEnd(sha): Promise<Status> {
      return forge.waitFor(
        () => forge.statuses.findLast((status) => status.sha === sha && status.state !== 'pending'),
        AbortSignal.timeout(PATIENCE_MS),
      );
    },
    async waitForMessage(sha): Promise<{ message: StoredMessage; text: string }> {
      const short = sha.slice(0, 7);
      const message = await telegram.waitFor((one) => {
        const text = one.versions.at(-1)?.text ?? '';
        return text.includes(short) && ENDED.test(text);
      }, AbortSignal.timeout(PATIENCE_MS));
      return { message, text: message.versions.at(-1)?.text ?? '' };
    },
  };
}
