/* oxlint-disable no-control-regex -- control characters are what this file is about */

/** DEL and C1, bidi controls and line separators: what a terminal obeys, or shows otherwise than it is, and `JSON.stringify` leaves raw. */
const CONTROLS = /[\u007F-\u009F\u061C\u200E\u200F\u2028-\u202E\u2066-\u2069]/;
const ALL_CONTROLS = new RegExp(CONTROLS, 'g');

export function hasControls(text: string): boolean {
  return CONTROLS.test(text);
}

/** Written as escapes in what has them in quotes alone, as JSON has: `\u009b`. It says what it said before. */
export function escapeControls(text: string): string {
  return text.replaceAll(ALL_CONTROLS, (control) => `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
