import { describe, expect, it } from 'vitest';
import { createBuildPlaces, type BuildPlaces } from './build-places.ts';
import { LimitError } from './limit-error.ts';

/** Takes places until there is none; how many it was, and what gives them back. */
function fill(places: BuildPlaces, claim: Parameters<BuildPlaces['enter']>[0]): (() => void)[] {
  const leaves: (() => void)[] = [];
  try {
    while (leaves.length < 10_000) leaves.push(places.enter(claim));
  } catch (error) {
    if (!(error instanceof LimitError)) throw error;
  }
  return leaves;
}

const mine = { hook: 'mine', repository: 'forge.example/acme/shop', isNew: false };
const stranger = { hook: 'stranger', repository: 'forge.example/acme/shop', isNew: true };

describe('places for builds', () => {
  it('are shared by all confirmed hooks of a repository, and by no other repository', () => {
    const places = createBuildPlaces(50);
    let held = 0;
    for (let token = 0; token < 20; token += 1) held += fill(places, { ...mine, hook: `token ${token}` }).length;
    expect(held).toBe(50);
    expect(() => places.enter(mine)).toThrow('50 builds of this repository run or wait already');
    expect(fill(places, { ...mine, hook: 'other', repository: 'forge.example/acme/other' })).toHaveLength(50);
  });

  it('of a repository are not taken by a stranger with a token of their own', () => {
    const places = createBuildPlaces(50);
    for (let token = 0; token < 20; token += 1) fill(places, { ...stranger, hook: `stranger ${token}` });
    expect(fill(places, mine)).toHaveLength(50);
  });

  it('are few for all hooks together that no forge has confirmed', () => {
    const places = createBuildPlaces(50);
    let held = 0;
    for (let token = 0; token < 20; token += 1) held += fill(places, { ...stranger, hook: `stranger ${token}` }).length;
    expect(held).toBe(250);
    const newcomer = { hook: 'newcomer', repository: 'forge.example/acme/new', isNew: true };
    expect(() => places.enter(newcomer)).toThrow(
      '250 builds of webhooks that have proven nothing yet run or wait already',
    );
  });

  it('of a new hook are bounded by themselves', () => {
    const places = createBuildPlaces(2);
    expect(fill(places, stranger)).toHaveLength(2);
    expect(() => places.enter(stranger)).toThrow('2 builds of this webhook run or wait already');
  });

  it('count for the repository when its hook is confirmed, so that one token after the other gains nothing', () => {
    const places = createBuildPlaces(50);
    let held = 0;
    for (let token = 0; token < 20; token += 1) {
      const hook = `token ${token}`;
      held += fill(places, { ...mine, hook, isNew: true }).length;
      places.confirm(hook);
    }
    expect(held).toBe(50);
  });

  it('are given back once, however often that is said, and whether or not the hook was confirmed since', () => {
    const places = createBuildPlaces(2);
    for (const claim of [mine, stranger, { ...mine, hook: 'late', isNew: true }]) {
      const leaves = fill(places, claim);
      expect(leaves).toHaveLength(2);
      if (claim.hook === 'late') places.confirm(claim.hook);
      for (const leave of [...leaves, ...leaves]) leave();
    }
    expect(fill(places, mine)).toHaveLength(2);
  });

  it('of one owner leave as many for others, however many repositories and groups the owner has', () => {
    const places = createBuildPlaces(50);
    let held = 0;
    for (let n = 0; n < 20; n += 1) {
      const repository = `forge.example/greedy/group${n}/shop`;
      held += fill(places, { hook: `hook ${n}`, repository, isNew: n % 2 === 0 }).length;
      places.confirm(`hook ${n}`);
    }
    expect(held).toBe(500);
    const one = { hook: 'one more', repository: 'forge.example/greedy/more', isNew: false };
    expect(() => places.enter(one)).toThrow('500 builds of this owner run or wait already');
    expect(fill(places, mine)).toHaveLength(50);
  });

  it('of everybody together are bounded', () => {
    const places = createBuildPlaces(50);
    for (let n = 0; n < 20; n += 1) {
      fill(places, { ...mine, hook: `hook ${n}`, repository: `forge.example/owner${n}/shop` });
    }
    const claim = { hook: 'one more', repository: 'forge.example/acme/more', isNew: false };
    expect(() => places.enter(claim)).toThrow('This c3 runs 1000 builds already');
  });
});
