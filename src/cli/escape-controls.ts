/** DEL and C1, bidi controls and line separators: what a terminal obeys, or shows otherwise than it is, and `JSON.stringify` leaves raw. */
const CONTROLS = /[\u007F-\u009F\p{Bidi_Control}\u2028\u2029]/gu;

/** Written as escapes in what has them in quotes alone, as JSON has: `\u009b`. It says what it said before. */
export function escapeControls(text: string): string {
  return text.replaceAll(CONTROLS, (control) => `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
