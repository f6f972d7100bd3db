import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { BuildState } from '../../build/index.ts';
import { createBuild } from '../../../test/fakes/sample-build.ts';
import { createState, FAILED, PASSED, RUNNING } from '../../../dev/telegram/build-states.ts';
import type { TelegramServer } from '../../../dev/telegram/server.ts';
import { newest } from '../../../dev/telegram/world.ts';
import { GROUP, openReporting, PRIVATE } from '../../../test/fakes/telegram-reporting.ts';

type Trouble =
  | { readonly kind: 'flood'; readonly method: string; readonly seconds: number }
  | { readonly kind: 'cut' | 'lost answer' | 'server error' | 'other answer'; readonly method: string }
  | { readonly kind: 'deleted' };

const method = fc.constantFrom('sendMessage', 'editMessageText');
const trouble: fc.Arbitrary<Trouble> = fc.oneof(
  fc.record({ kind: fc.constant('flood' as const), method, seconds: fc.integer({ min: 1, max: 120 }) }),
  fc.record({ kind: fc.constantFrom('cut', 'lost answer', 'server error', 'other answer'), method }),
  fc.constant({ kind: 'deleted' as const }),
);

const build = fc.record({
  states: fc.integer({ min: 1, max: 4 }),
  hasFailed: fc.boolean(),
  chat: fc.constantFrom(GROUP, PRIVATE),
});

function cause(server: TelegramServer, one: Trouble): void {
  switch (one.kind) {
    case 'flood':
      return server.faults.flood(one.method, one.seconds);
    case 'cut':
      return server.faults.cut(one.method);
    case 'lost answer':
      return server.faults.loseAnswer(one.method);
    case 'server error':
      return server.faults.fail(one.method, 502, 'Bad Gateway');
    case 'other answer':
      return server.faults.garble(one.method, 200);
    case 'deleted': {
      const message = server.messages().find((each) => !each.isDeleted && !newest(each).text.includes('end — '));
      if (message) server.faults.remove(message.chatId, message.messageId);
    }
  }
}

test('despite any faults, each chat shows the right ending of each build, and no other', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(build, { minLength: 1, maxLength: 5 }),
      fc.array(trouble, { maxLength: 6 }),
      async (builds, troubles) => {
        const { server, clock, warnings, create, close } = await openReporting({ hasLimits: true });
        try {
          const running = builds.map(({ states, hasFailed, chat }, index) => {
            const toOwn = (state: BuildState, subject: string): BuildState => ({
              ...state,
              build: createBuild({ commit: { subject, author: `author ${index}` } }),
            });
            const path = Array.from({ length: states }, (_, at) => toOwn(RUNNING, `state ${at}`));
            const end = toOwn(hasFailed ? FAILED : PASSED, 'end');
            const reporter = create({ chat });
            reporter.report(toOwn(createState({ kind: 'queued' }), 'begin'));
            return { reporter, path: [...path, end] };
          });
          for (let at = 0; at < 5; at += 1) {
            for (const { reporter, path } of running)
              for (const state of path.slice(at, at + 1)) reporter.report(state);
            const [one] = troubles.slice(at, at + 1);
            if (one) cause(server, one);
            if (at === 4) for (const last of troubles.slice(5)) cause(server, last);
            clock.pass(1_000);
          }
          await clock.jumpUntil(Promise.all(running.map(({ reporter }) => reporter.finish())));
          expect(warnings.filter((warning) => !warning.includes('trying for ten minutes'))).toEqual([]);
          for (const [index, { chat, hasFailed }] of builds.entries()) {
            const ends = server
              .messages(chat)
              .filter(({ isDeleted, replyTo }) => !isDeleted && replyTo === undefined)
              .map((message) => newest(message).text)
              .filter((text) => text.includes(`end — author ${index}\n`));
            // Twice, where the answer to the first got lost: nothing tells a bot what it has sent.
            expect([...new Set(ends)]).toEqual([expect.stringContaining(hasFailed ? '❌ Failed' : '✅ Passed')]);
          }
        } finally {
          await close();
        }
      },
    ),
    { numRuns: 100 },
  );
});
