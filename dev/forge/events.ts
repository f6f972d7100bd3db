import { toPushPayload, toRepositoryJson } from './push-payload.ts';
import type { ReceivedPush, Repository } from './repositories.ts';
import type { Hook, Webhooks } from './webhooks.ts';

/** Sends webhook deliveries for changes of repositories, and tracks those that are not answered yet. */
export interface Events {
  pushed(push: ReceivedPush): Promise<void>;
  ping(hook: Hook, repository: Repository | undefined): void;
  /** Resolves when every delivery has ended. */
  settled(): Promise<void>;
}

/** GitHub sends no event for a push of more tags than this. */
const MAX_TAGS = 3;

export function createEvents(origin: string, webhooks: Webhooks): Events {
  const sending = new Set<Promise<void>>();
  const track = (work: Promise<unknown>): void => {
    const done: Promise<void> = work.then(() => {
      sending.delete(done);
    });
    sending.add(done);
  };
  return {
    async pushed(push) {
      const tags = push.changes.filter(({ ref }) => ref.startsWith('refs/tags/'));
      const changes = push.changes.filter((change) => tags.length <= MAX_TAGS || !tags.includes(change));
      for (const change of changes) {
        const payload = await toPushPayload(origin, push, change);
        track(webhooks.sendAll({ repository: push.repository.fullName, at: push.receivedAt }, 'push', payload));
      }
    },
    ping(hook, repository) {
      const shown = repository === undefined ? {} : { repository: toRepositoryJson(origin, repository) };
      track(webhooks.send(hook, 'ping', { zen: 'Keep it logically awesome.', hook_id: hook.id, ...shown }));
    },
    async settled() {
      await Promise.all(sending);
    },
  };
}
