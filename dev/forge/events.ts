import type { Dialect, ForgeChange } from './dialect.ts';
import type { Repository } from './repositories.ts';
import type { Hook, Webhooks } from './webhooks.ts';

/** Sends webhook deliveries for what happens at the forge, and tracks those that are not answered yet. */
export interface Events {
  /** Resolves when the deliveries are made, and not when they are answered. */
  send(change: Exclude<ForgeChange, { kind: 'ping' }>, at?: number): Promise<void>;
  ping(hook: Hook, repository: Repository | undefined): void;
  /** Resolves when every delivery has ended. */
  settled(): Promise<void>;
}

export function createEvents(origin: string, dialect: Dialect, webhooks: Webhooks): Events {
  const sending = new Set<Promise<void>>();
  const track = (work: Promise<unknown>): void => {
    const done: Promise<void> = work.then(() => {
      sending.delete(done);
    });
    sending.add(done);
  };
  return {
    async send(change, at = Date.now()) {
      const message = await dialect.toMessage(origin, change);
      const repository = toRepository(change).fullName;
      if (message) track(webhooks.sendAll({ repository, at }, message.event, message.payload));
    },
    ping(hook, repository) {
      const send = async (): Promise<void> => {
        const message = await dialect.toMessage(origin, { kind: 'ping', repository, hook });
        if (message) await webhooks.send(hook, message.event, message.payload);
      };
      track(send());
    },
    async settled() {
      await Promise.all(sending);
    },
  };
}

function toRepository(change: Exclude<ForgeChange, { kind: 'ping' }>): Repository {
  switch (change.kind) {
    case 'push':
      return change.push.repository;
    case 'pull':
      return change.pull.repository;
    case 'comment':
      return change.comment.pull.repository;
  }
}
