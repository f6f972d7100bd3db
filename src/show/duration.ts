/**
 * `0.4s`, `8s`, `1m 12s`, `2h 5m`: the two largest units, rounded down, tenths below ten seconds; what took any time at all took
 * a tenth. A negative span (clocks differ) is `0s`.
 */
export function formatDuration(ms: number): string {
  if (ms > 0 && ms < 10_000) return `${Math.max(1, Math.floor(ms / 100)) / 10}s`;
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  if (hours > 0) return minutes % 60 === 0 ? `${hours}h` : `${hours}h ${minutes % 60}m`;
  if (minutes > 0) return seconds % 60 === 0 ? `${minutes}m` : `${minutes}m ${seconds % 60}s`;
  return `${seconds}s`;
}
