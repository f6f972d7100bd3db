/** When which part of a step's log was written, as the watch in its container noted (shell/watch.sh). */
export interface LogTimes {
  /**
   * Whole seconds after the step's start at which the byte at a place of the raw log was written; undefined: in the second that was
   * the last when this was read, or later.
   */
  find(offset: number): number | undefined;
}

/** @param lines `SECONDS BYTES`: the log's size when so many seconds of the step were over. Written by whoever is in the container: what makes no sense is passed over. */
export function readLogTimes(lines: readonly string[]): LogTimes {
  const notes: { readonly seconds: number; readonly size: number }[] = [];
  for (const line of lines) {
    const [, seconds, size] = /^(\d{1,9}) (\d{1,15})$/.exec(line) ?? [];
    const last = notes.at(-1);
    const note = { seconds: Number(seconds), size: Number(size) };
    // A log that was emptied grows anew; its places do not.
    if (size !== undefined && (!last || (note.seconds > last.seconds && note.size > last.size))) notes.push(note);
  }
  return {
    find(offset) {
      let [low, high] = [0, notes.length];
      while (low < high) {
        const middle = (low + high) >> 1;
        if ((notes[middle]?.size ?? 0) > offset) high = middle;
        else low = middle + 1;
      }
      // The watch counts a second when it is over.
      const found = notes[low];
      return found && Math.max(0, found.seconds - 1);
    },
  };
}
