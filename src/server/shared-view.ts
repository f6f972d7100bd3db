import type { BuildLook } from '../logs/index.ts';

/** One view of a build, for all who look at it at the same time. */
export interface SharedView {
  readonly look: Promise<BuildLook>;
  readonly readers: number;
  /** Whether a new one may show more. `isLedHere`: this process leads the build now. */
  isStale(isLedHere: boolean): boolean;
  /** Takes a place, or several for who needs as much as several readers; answers what gives them back, once. */
  enter(places: number): () => void;
  /** Nobody new will come: it is closed with its last reader. */
  retire(): void;
  close(): Promise<void>;
}

export interface SharedViewOptions {
  /** Never rejects. */
  readonly look: Promise<BuildLook>;
  /** This process leads the build, so that the view changes with it. */
  readonly isLed: boolean;
  /** How long it is kept when nobody looks. */
  readonly idleMs: number;
  /** How long it is taken for true where it does not change by itself. */
  readonly freshMs: number;
  /** Called once, when it is closed. */
  onClose(): Promise<void>;
}

export function createSharedView({ look, isLed, idleMs, freshMs, onClose }: SharedViewOptions): SharedView {
  let readers = 0;
  let isRetired = false;
  let idle: NodeJS.Timeout | undefined;
  let closing: Promise<void> | undefined;
  let opened: { readonly look: BuildLook; readonly at: number } | undefined;
  const noted = look.then((known) => {
    opened = { look: known, at: performance.now() };
  });

  async function end(): Promise<void> {
    clearTimeout(idle);
    await Promise.all([onClose(), noted]);
    if (opened?.look.kind === 'seen') opened.look.view.close();
  }

  function close(): Promise<void> {
    closing ??= end();
    return closing;
  }

  function leave(places: number): void {
    readers -= places;
    if (readers > 0 || closing) return;
    if (isRetired) void close();
    else idle = setTimeout(() => void close(), idleMs).unref();
  }

  return {
    look,
    get readers() {
      return readers;
    },
    isStale(isLedHere) {
      if (isLed || opened === undefined) return false;
      // A build that may go on elsewhere; what has ended stays as it is.
      return isLedHere || (!isOver(opened.look) && performance.now() - opened.at > freshMs);
    },
    enter(places) {
      readers += places;
      clearTimeout(idle);
      return () => leave(places);
    },
    retire() {
      isRetired = true;
      if (readers === 0) void close();
    },
    close,
  };
}

function isOver(look: BuildLook): boolean {
  switch (look.kind) {
    case 'seen':
      return look.view.state.phase.kind === 'ended';
    case 'outcome':
      return look.outcome.status !== undefined && look.outcome.status.state !== 'pending';
    case 'failed':
      return false;
  }
}
