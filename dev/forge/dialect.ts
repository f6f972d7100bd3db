import type { ApiAnswer, ApiRequest, ApiState } from './route.ts';
import type { Comment } from './comments.ts';
import type { Pull } from './pulls.ts';
import type { ReceivedPush, Repository } from './repositories.ts';
import type { Hook } from './webhooks.ts';

/** What happened at the forge. `actor`: the login of the user who did it. */
export type ForgeChange =
  | { readonly kind: 'ping'; readonly repository: Repository | undefined; readonly hook: Hook }
  | { readonly kind: 'push'; readonly push: ReceivedPush; readonly change: ReceivedPush['changes'][number] }
  | { readonly kind: 'pull'; readonly action: PullAction; readonly pull: Pull; readonly actor: string }
  | { readonly kind: 'comment'; readonly action: CommentAction; readonly comment: Comment; readonly actor: string };

export type PullAction =
  | { readonly kind: 'opened' | 'reopened' | 'closed' | 'ready' | 'drafted' }
  | { readonly kind: 'synchronized'; readonly before: string }
  | { readonly kind: 'base-changed'; readonly before: string; readonly beforeSha: string }
  | { readonly kind: 'title-changed'; readonly before: string };

export type CommentAction =
  | { readonly kind: 'created' | 'deleted' }
  | { readonly kind: 'edited'; readonly before: string };

/** A webhook, except for its headers. */
export interface Message {
  /** The name by which hooks select it. */
  readonly event: string;
  readonly payload: unknown;
}

/** One kind of forge: its API, the payloads of its webhooks and their headers. A folder implements it. */
export interface Dialect {
  /** The path of the API below the origin, `/api/v3`. */
  readonly apiPath: string;
  /** The events that a new hook of {@link ForgeServer.createHook} gets. */
  readonly defaultEvents: readonly string[];
  /** How many tags one push may have before the forge sends no event for them. */
  readonly maxTags: number;
  /** The ref at which the base repository has the head of a pull request. */
  toPullRef(number: number): string;
  createApi(state: ApiState): (request: ApiRequest) => Promise<ApiAnswer>;
  /** Returns undefined where this kind of forge sends no webhook. */
  toMessage(origin: string, change: ForgeChange): Promise<Message | undefined>;
  /** Makes the headers of a delivery, with its signature. The content type is added. */
  toHeaders(
    hook: Pick<Hook, 'id' | 'secret' | 'signingToken'>,
    message: { readonly event: string; readonly guid: string; readonly body: string },
  ): Record<string, string>;
}
