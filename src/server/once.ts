/** The same function, of which only the first call does anything. */
export function once<T extends readonly unknown[]>(act: (...given: T) => void): (...given: T) => void {
  let isDone = false;
  return (...given) => {
    if (isDone) return;
    isDone = true;
    act(...given);
  };
}
