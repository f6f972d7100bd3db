import { readFileSync, writeFileSync } from 'node:fs';

/** Resident memory of a process in MiB. @see https://man7.org/linux/man-pages/man5/proc_pid_status.5.html */
export function readMemoryMiB(pid: number): number {
  return readField(pid, 'VmRSS');
}

/** The most that it has been since the last `resetPeak`. */
export function readPeakMiB(pid: number): number {
  return readField(pid, 'VmHWM');
}

/** @see https://man7.org/linux/man-pages/man5/proc_pid_clear_refs.5.html (5 resets the peak) */
export function resetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
}

function readField(pid: number, name: string): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const kibibytes = new RegExp(String.raw`^${name}:\s+(\d+) kB$`, 'm').exec(status)?.[1];
  return Math.round(Number(kibibytes) / 1024);
}
