import { LimitError } from './limit-error.ts';
import { once } from './once.ts';
import { createTally, ownerOf } from './tally.ts';

/** Places for builds that run or wait: how many of whom there may be at a time. */
export interface BuildPlaces {
  /** Takes one, and answers what gives it back. @throws {LimitError} */
  enter(claim: BuildClaim): () => void;
  /** The forge has confirmed the hook: what it has counts for its repository from now on. */
  confirm(hook: string): void;
}

export interface BuildClaim {
  /** A repository with a token (see `HookLimits`). */
  readonly hook: string;
  /** `host/owner/name`. */
  readonly repository: string;
  /** The forge has not confirmed it. */
  readonly isNew: boolean;
}

/** A build takes about 200 KiB of memory while it runs, with its connections and its log's tail. */
const MAX_BUILDS_IN_ALL = 1000;
/** Of all repositories of one owner: a forge gives everybody as many as they like. */
const MAX_BUILDS_OF_OWNER = 500;
/** More than are there at once when strangers send as many deliveries as c3 takes, and the forge takes as long as it may to refuse each. */
const MAX_NEW_BUILDS = 250;

/** When a build ends is not known; a warm one takes seconds. */
const RETRY_BUILD_AFTER_SECONDS = 30;

/** The builds of one hook. */
interface HookBuilds {
  readonly repository: string;
  isNew: boolean;
  count: number;
}

/**
 * All confirmed hooks of a repository share `maxBuilds` places, however many tokens there are. A hook that is new has as many of its own:
 * anybody can seal a token of theirs for somebody else's repository, and must not fill what its owner has.
 */
export function createBuildPlaces(maxBuilds: number): BuildPlaces {
  const hooks = new Map<string, HookBuilds>();
  /** Of confirmed hooks. */
  const ofRepositories = createTally();
  const ofOwners = createTally();
  let newBuilds = 0;
  let inAll = 0;

  function add(builds: HookBuilds, count: number): void {
    builds.count += count;
    inAll += count;
    if (builds.isNew) {
      newBuilds += count;
      return;
    }
    ofRepositories.add(builds.repository, count);
    ofOwners.add(ownerOf(builds.repository), count);
  }

  function check({ repository, isNew, count }: HookBuilds): void {
    const ofRepository = ofRepositories.get(repository);
    const ofOwner = ofOwners.get(ownerOf(repository));
    if (ofRepository >= maxBuilds) throw toFull(`${ofRepository} builds of this repository run or wait already`);
    if (ofOwner >= MAX_BUILDS_OF_OWNER) throw toFull(`${ofOwner} builds of this owner run or wait already`);
    if (isNew && count >= maxBuilds) throw toFull(`${count} builds of this webhook run or wait already`);
    if (isNew && newBuilds >= MAX_NEW_BUILDS) {
      throw toFull(`${newBuilds} builds of webhooks that have proven nothing yet run or wait already`);
    }
    if (inAll >= MAX_BUILDS_IN_ALL) throw toFull(`This c3 runs ${inAll} builds already`);
  }

  return {
    enter({ hook, repository, isNew }) {
      const builds = hooks.get(hook) ?? { repository, isNew, count: 0 };
      check(builds);
      hooks.set(hook, builds);
      add(builds, 1);
      return once(() => {
        add(builds, -1);
        if (builds.count === 0) hooks.delete(hook);
      });
    },
    confirm(hook) {
      const builds = hooks.get(hook);
      if (builds === undefined || !builds.isNew) return;
      const { count } = builds;
      add(builds, -count);
      builds.isNew = false;
      add(builds, count);
    },
  };
}

function toFull(message: string): LimitError {
  return new LimitError(message, RETRY_BUILD_AFTER_SECONDS);
}
