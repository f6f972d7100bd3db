import { randomBytes } from 'node:crypto';
import { toSigningToken } from '../../src/forges/gitlab/verify.ts';
import type { ForgeKind, ForgeServer, Hook } from '../forge/index.ts';

/** What a user does differently at each kind of forge. */
export interface ForgeUse {
  readonly name: string;
  /** Makes an access token of the usual form. */
  createToken(): string;
  /** The name of the user with which git sends a token. */
  readonly gitUser: string;
  /** Whether a new webhook is pinged. */
  readonly hasPing: boolean;
  /** The kinds of deliveries for a push to a branch, and others. */
  readonly pushEvents: readonly [string, ...string[]];
  /** How a hook created with this secret signs. */
  toSigner(secret: string): Pick<Hook, 'secret' | 'signingToken'>;
  /** Creates a webhook for all events that c3 reads. @throws with the forge's refusal */
  createHook(forge: ForgeServer, hook: NewUserHook): Promise<void>;
}

export interface NewUserHook {
  /** `owner/name`. */
  readonly fullName: string;
  readonly token: string;
  readonly url: string;
  readonly secret: string;
}

const REQUEST_MS = 60_000;

/** A new kind of forge needs an entry here. */
export const FORGE_USES: Readonly<Record<ForgeKind, ForgeUse>> = {
  github: {
    name: 'GitHub',
    createToken: () => `github_pat_${randomBytes(41).toString('hex')}`,
    gitUser: 'x-access-token',
    hasPing: true,
    pushEvents: ['push'],
    toSigner: (secret) => ({ secret }),
    async createHook(forge, { fullName, token, url, secret }) {
      const events = ['push', 'pull_request', 'issue_comment'];
      const body = { name: 'web', active: true, events, config: { url, secret, content_type: 'json' } };
      await post(`${forge.apiBase}/repos/${fullName}/hooks`, token, body);
    },
  },
  gitea: {
    name: 'Gitea',
    createToken: () => randomBytes(20).toString('hex'),
    gitUser: 'c3',
    hasPing: false,
    pushEvents: ['push'],
    toSigner: (secret) => ({ secret }),
    async createHook(forge, { fullName, token, url, secret }) {
      const events = ['push', 'pull_request', 'pull_request_comment'];
      const body = { type: 'gitea', active: true, events, config: { url, secret, content_type: 'json' } };
      await post(`${forge.apiBase}/repos/${fullName}/hooks`, token, body);
    },
  },
  gitlab: {
    name: 'GitLab',
    createToken: () => `glpat-${randomBytes(15).toString('base64url')}`,
    gitUser: 'oauth2',
    hasPing: false,
    pushEvents: ['push_events', 'tag_push_events'],
    toSigner: (secret) => ({ secret: undefined, signingToken: toSigningToken(secret) }),
    async createHook(forge, { fullName, token, url, secret }) {
      const events = { push_events: true, tag_push_events: true, merge_requests_events: true, note_events: true };
      const body = { url, signing_token: toSigningToken(secret), ...events };
      const hook = await post(`${forge.apiBase}/projects/${encodeURIComponent(fullName)}/hooks`, token, body);
      // GitLab before 19 ignores the token.
      if (hook['signing_token_present'] !== true) throw new Error('The forge did not accept the signing token');
    },
  },
};

async function post(url: string, token: string, body: object): Promise<Record<string, unknown>> {
  const answer = await fetch(url, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', 'user-agent': 'c3-demo' },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(REQUEST_MS),
  });
  if (!answer.ok) throw new Error(`The forge refused the webhook: ${await answer.text()}`);
  return (await answer.json()) as Record<string, unknown>;
}
