import { formatRef, type Build } from '../build/index.ts';
import type { Repository } from '../forges/forge.ts';
import { hasAttributes, hasSubmodule, parentsOf, readPack, toLooseFile } from '../git/index.ts';
import { LruMap } from '../limiter.ts';
import { formatScope } from '../sealing/index.ts';
import type { Workspace, WorkspaceQuery } from './cluster.ts';

/** The owner of the workspace that unprotected branches share. */
export const SHARED_OWNER = 'branches';

/** What a clone lacks of a commit. With it, the checkout needs neither the forge nor its token. */
export interface Delta {
  /** Variables for `agent/shell/checkout.sh`. */
  readonly env: Readonly<Record<string, string>>;
}

/** Linux limits a variable to 128 KiB. */
const PIECE_LENGTH = 64 * 1024;
/** The shell reads each byte with a system call: this takes about as long as a fetch of the container. */
const MAX_TOTAL_LENGTH = 512 * 1024;
const MAX_OBJECTS = 200;
/** The container starts a process for each. */
const MAX_EDGES = 8;

/**
 * Converts a pack to the variables with which a shell writes its objects. Returns undefined if the pack does not have
 * the wanted commit, or is too large. Pure.
 */
export function toDelta(
  pack: Uint8Array,
  { want, have }: { readonly want: string; readonly have: string },
): Delta | undefined {
  const objects = readPack(pack, want.length === 64 ? 'sha256' : 'sha1') ?? [];
  const ids = new Set(objects.map(({ id }) => id));
  if (!ids.has(want) || objects.length > MAX_OBJECTS) return undefined;
  const parents = objects.filter(({ type }) => type === 'commit').flatMap(parentsOf);
  const edges = new Set(parents.filter((id) => id !== have && !ids.has(id)));
  if (edges.size > MAX_EDGES) return undefined;
  const pieces = objects.flatMap((object) =>
    toPieces(formatForPrintf(toLooseFile(object))).map((text) => ({ ...object, text })),
  );
  if (pieces.reduce((sum, { text }) => sum + text.length, 0) > MAX_TOTAL_LENGTH) return undefined;
  const trees = objects.filter(({ type }) => type === 'tree');
  return {
    env: {
      C3_HAVE: have,
      C3_HAS_LINKS: trees.some(hasSubmodule) ? 'yes' : 'no',
      C3_HAS_ATTRIBUTES: trees.some(hasAttributes) ? 'yes' : 'no',
      /** Commits that the clone must have already. */
      C3_EDGES: [...edges].join('\n'),
      C3_PIECES: String(pieces.length),
      ...Object.fromEntries(
        pieces.flatMap(({ id, text }, index) => [
          [`C3_PIECE_${index}`, text],
          [`C3_PIECE_NAME_${index}`, `${id.slice(0, 2)}/${id.slice(2)}`],
        ]),
      ),
    },
  };
}

const DELTA_OF_NOTHING = { C3_HAS_LINKS: 'no', C3_HAS_ATTRIBUTES: 'no', C3_EDGES: '', C3_PIECES: '0' };

/** Divides a format of `printf`, but no escape: one has at most four characters. */
function toPieces(format: string): string[] {
  const pieces: string[] = [];
  for (let at = 0; at < format.length;) {
    let end = Math.min(at + PIECE_LENGTH, format.length);
    const escape = format.lastIndexOf('\\', end - 1);
    if (end < format.length && escape > end - ESCAPE_LENGTH) end = escape;
    pieces.push(format.slice(at, end));
    at = end;
  }
  return pieces;
}

const ESCAPE_LENGTH = 4;

/** Formats bytes as a format of `printf`, in ASCII. An escape is as short as the next character allows. */
export function formatForPrintf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte, index) => {
    if (isPlain(byte)) return String.fromCharCode(byte);
    const next = bytes[index + 1] ?? 0;
    return `\\${byte.toString(8).padStart(next >= DIGIT_0 && next <= DIGIT_7 ? 3 : 1, '0')}`;
  }).join('');
}

const DIGIT_0 = 0x30;
const DIGIT_7 = 0x37;
/** Also the quote, which the shell's quoting would make longer, and the dash, which may begin an option. */
const SPECIAL: ReadonlySet<number> = new Set(Buffer.from(`%\\'-`));

function isPlain(byte: number): boolean {
  return byte >= 0x20 && byte < 0x7f && !SPECIAL.has(byte);
}

/** What this process knows about the clones in warm workspaces. There is one in a process. */
export interface Clones {
  /**
   * Begins to fetch what the clone of the build's ref probably lacks. The proof need not have come: a pack is data, and
   * nothing of it is used before.
   */
  begin(
    build: Pick<Build, 'scope' | 'ref' | 'sha' | 'before'>,
    repository: Repository,
    signal: AbortSignal,
  ): CloneUpdate;
}

export interface CloneUpdate {
  /**
   * Resolves with what the clone lacks, after a guess if the clone is unknown: the checkout compares. Resolves with
   * undefined if there is no guess, or if the forge does not send a small pack: then the container fetches. Never
   * rejects.
   */
  take(place: ClonePlace): Promise<Delta | undefined>;
  /** Notes that the clone has the commit. */
  note(place: ClonePlace): void;
}

export interface ClonePlace {
  readonly workspace: Pick<Workspace, 'key' | 'isWarm'>;
  readonly owner: WorkspaceQuery['owner'];
  /** The container and the path of the checkout. */
  readonly container: string;
  readonly path: string;
}

/** More Pods than this are not warm in one process. A sha takes about 200 bytes. */
const MAX_CLONES = 10_000;
/** The container fetches if the forge takes longer. */
const MAX_FETCH_MS = 5_000;

export function createClones(): Clones {
  /** The commit of each clone, by its place. */
  const byPlace = new LruMap<string, string>(MAX_CLONES);
  /** The last commit of each ref, and of the shared workspace, to guess before the workspace and its trust are known. */
  const byRef = new LruMap<string, string>(MAX_CLONES);
  const toKey = ({ workspace, container, path }: ClonePlace): string =>
    JSON.stringify([workspace.key, container, path]);
  const toRefKey = (scope: Build['scope'], ref: string): string => JSON.stringify([formatScope(scope), ref]);

  return {
    begin({ scope, ref, sha, before }, repository, signal) {
      const limit = AbortSignal.any([signal, AbortSignal.timeout(MAX_FETCH_MS)]);
      async function fetchDelta(have: string): Promise<Delta | undefined> {
        if (have === sha) return { env: { C3_HAVE: have, ...DELTA_OF_NOTHING } };
        try {
          for (const isShallow of [true, false]) {
            const pack = await repository.fetchPack?.({ want: sha, have, isShallow }, limit);
            const delta = pack && toDelta(pack, { want: sha, have });
            if (delta) return delta;
          }
        } catch {
          // The container fetches, and reports what is wrong.
        }
        return undefined;
      }
      // A tag or a fork gets a new Pod. After a restart of c3, the commit before the push is the best guess.
      const guess =
        ref.kind !== 'branch'
          ? undefined
          : (byRef.get(toRefKey(scope, formatRef(ref))) ?? byRef.get(toRefKey(scope, SHARED_OWNER)) ?? before);
      const guessed = guess === undefined ? undefined : fetchDelta(guess);
      return {
        async take(place) {
          const have = place.workspace.isWarm ? (byPlace.get(toKey(place)) ?? guess) : undefined;
          if (have === undefined) return undefined;
          return await (have === guess ? guessed : fetchDelta(have));
        },
        note(place): void {
          byPlace.set(toKey(place), sha);
          byRef.set(toRefKey(scope, place.owner === SHARED_OWNER ? SHARED_OWNER : formatRef(ref)), sha);
        },
      };
    },
  };
}
