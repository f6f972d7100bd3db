import { expect, test } from 'vitest';
import { createChatThrottle } from './chat-throttle.ts';

test('edits of one chat are given times one after another, further apart the more builds there are', () => {
  const throttle = createChatThrottle({ now: () => 0 });
  const first = throttle.join('1', -5);
  expect([first.reserve(), first.reserve()]).toEqual([0, 5_000]);
  const second = throttle.join('1', -5);
  expect([second.reserve(), first.reserve()]).toEqual([10_000, 16_000]);
  second.leave();
  second.leave();
  expect([first.reserve(), first.reserve()]).toEqual([22_000, 27_000]);
});

test('other chats and other bots have times of their own', () => {
  const throttle = createChatThrottle({ now: () => 0 });
  const seats = [throttle.join('1', 5), throttle.join('2', 5), throttle.join('1', 6)];
  expect(seats.map((seat) => [seat.reserve(), seat.reserve()])).toEqual([
    [0, 3_000],
    [0, 3_000],
    [0, 3_000],
  ]);
});

test('a silence outlives the build that met it, and no longer than it lasts', () => {
  let now = 0;
  const throttle = createChatThrottle({ now: () => now });
  const first = throttle.join('1', 5);
  first.block(60_000);
  first.leave();
  expect(throttle.join('1', 5).reserve()).toBe(60_000);
  now = 70_000;
  expect(throttle.join('1', 5).blockedUntil()).toBeLessThanOrEqual(now);
});

test('what did not wait keeps the next edit away', () => {
  const seat = createChatThrottle({ now: () => 0 }).join('1', 5);
  seat.spend();
  expect(seat.reserve()).toBe(3_000);
});
