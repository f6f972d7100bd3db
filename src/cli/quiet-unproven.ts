import type { BuildPhase, BuildState, Reporter } from '../build/index.ts';

export interface UnprovenOptions {
  /** Whether the forge has confirmed the push. It does before the first report, or never. */
  isProven(): boolean;
  /** Whether one more may be told. */
  enter(): boolean;
  /** It has been told, or was given up. */
  leave(): void;
  /** It is not told. */
  onKept(): void;
}

const NOT_SHOWN = 'not confirmed by the forge, so nothing of it is shown';

/**
 * A reporter that tells of a build whose push was not proven, however it ended, when `enter` says that there were few of them, and
 * then in c3's own words alone. Anybody can begin such a build for any repository, with a token of their own; whoever reads the
 * operator's chat must not drown in them, nor read what strangers put into a branch or a commit, nor their own builds wait for that.
 */
export function quietUnproven(reporter: Reporter, { isProven, enter, leave, onKept }: UnprovenOptions): Reporter {
  let kind: 'proven' | 'told' | 'kept' | undefined;
  function toKind(): 'proven' | 'told' | 'kept' {
    if (isProven()) return 'proven';
    if (enter()) return 'told';
    onKept();
    return 'kept';
  }
  return {
    ...reporter,
    report(state) {
      // A build that is not proven is reported once, when it is over.
      kind ??= toKind();
      if (kind !== 'kept') reporter.report(kind === 'proven' ? state : withoutPayload(state));
    },
    async finish() {
      await reporter.finish();
      if (kind === 'told') leave();
    },
  };
}

/** Keeps the repository, which the hook's key names and c3 serves, and the commit's hash. Every other text may be a stranger's. */
function withoutPayload({ build, phase, ...state }: BuildState): BuildState {
  const shown = { ...build, ref: { kind: 'branch', name: '' }, commit: { subject: NOT_SHOWN, author: '' } } as const;
  return { ...state, build: shown, phase: withoutRef(phase, build.ref.name) };
}

/** Why the forge did not confirm it may name the ref. */
function withoutRef(phase: BuildPhase, name: string): BuildPhase {
  if (phase.kind !== 'ended' || !('message' in phase.ending) || name === '') return phase;
  const message = phase.ending.message.replaceAll(`/${name}`, '/…').replaceAll(`/${encodeURI(name)}`, '/…');
  return { kind: 'ended', ending: { ...phase.ending, message } };
}
