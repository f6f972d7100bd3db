import { describe, expect, it } from 'vitest';
import { createTurns, type Turns } from './turns.ts';

const NEVER = new AbortController().signal;

/** Takes a turn, and notes its name once it has it. */
async function take(turns: Turns, owner: string, notes: string[]): Promise<() => void> {
  const leave = await turns.take(owner, NEVER);
  notes.push(owner);
  return leave;
}

describe('turns', () => {
  it('are so many for each owner, whatever others have', async () => {
    const turns = createTurns(2);
    const notes: string[] = [];
    const held = [await take(turns, 'a', notes), await take(turns, 'a', notes)];
    const third = take(turns, 'a', notes);
    await take(turns, 'b', notes);
    expect(notes).toEqual(['a', 'a', 'b']);
    held[0]?.();
    await third;
    expect(notes).toEqual(['a', 'a', 'b', 'a']);
  });

  it('go to whoever waits the longest, and not to who has gone', async () => {
    const turns = createTurns(1);
    const leave = await turns.take('a', NEVER);
    const gone = new AbortController();
    const order: string[] = [];
    const lost = turns.take('a', gone.signal);
    const waiting = ['first', 'second'].map(async (name) => {
      const end = await turns.take('a', NEVER);
      order.push(name);
      end();
    });
    gone.abort(new Error('gone'));
    await expect(lost).rejects.toThrow('gone');
    leave();
    await Promise.all(waiting);
    expect(order).toEqual(['first', 'second']);
    await expect(turns.take('a', gone.signal)).rejects.toThrow('gone');
    (await turns.take('a', NEVER))();
  });
});
