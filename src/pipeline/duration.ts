const unitMs: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1_000 };

/** Seven days: a build or a Pod that needs more is a mistake, and Node's timers end at 24.8 days. */
export const MAX_DURATION_MS: number = 7 * 24 * 3_600_000;

/**
 * Milliseconds of `90s`, `10m`, `1h30m`, `12h`: whole numbers with `h`, `m`, `s`, each at most once and in this order.
 * `undefined` for anything else; a bare number among them, because the field reads it as seconds here and minutes there.
 */
export function parseDuration(text: string): number | undefined {
  const match = /^(?=\d)(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?$/.exec(text);
  if (match === null) return undefined;
  return ['h', 'm', 's'].reduce((sum, unit, index) => sum + Number(match[index + 1] ?? 0) * (unitMs[unit] ?? 0), 0);
}

/** The shortest spelling that {@link parseDuration} reads back: `1h30m`. Rounded down to seconds. */
export function formatDuration(ms: number): string {
  const seconds = Math.floor(ms / 1_000);
  const parts = [
    [Math.floor(seconds / 3_600), 'h'],
    [Math.floor(seconds / 60) % 60, 'm'],
    [seconds % 60, 's'],
  ] as const;
  return (
    parts
      .filter(([count]) => count > 0)
      .map(([count, unit]) => `${count}${unit}`)
      .join('') || '0s'
  );
}
