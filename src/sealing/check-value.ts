import { C3Error } from '../errors.ts';
import { isJsonObject, parseJson } from '../json.ts';
import { checkPlaintext } from './check-plaintext.ts';
import { createMasking } from './mask.ts';
import { MIN_MASKED_CHARACTERS } from './patterns.ts';
import type { Purpose } from './purpose.ts';

/**
 * Checks a value that a person seals, beyond what `seal` checks, and returns what the person should know. `findMistake`,
 * `findKubeconfigMistake` and `findUnmaskable` in `start-page.js` do the same.
 *
 * @throws {C3Error} PLAINTEXT_INVALID for UTF-16, and for a text that is not a kubeconfig; the kube room checks a
 * kubeconfig itself
 */
export function checkValue(purpose: Purpose, plaintext: string): string[] {
  if (UTF_16.test(plaintext)) throw new C3Error('PLAINTEXT_INVALID', UTF_16_MISTAKE);
  if (purpose.kind === 'secret') return findUnmaskable(plaintext);
  // Its sentences are more exact: an empty text, or the path of a file.
  if (purpose.kind === 'k8s') checkPlaintext(purpose, plaintext);
  const missing = ['clusters', 'contexts', 'users'].find(
    (key) => !new RegExp(`(?:^|[\\s{,"'])${key}["']?\\s*:`).test(plaintext),
  );
  if (purpose.kind !== 'k8s' || missing === undefined) return [];
  throw new C3Error('PLAINTEXT_INVALID', `This is not a kubeconfig: it has no "${missing}"`, {
    hint: 'give the text that kubectl config view --raw --minify --flatten prints',
  });
}

/**
 * UTF-16 that was read as UTF-8. Its byte order mark is then two replacement characters, and every second byte of ASCII
 * is NUL.
 */
// oxlint-disable-next-line no-control-regex -- NUL is what UTF-16 has
const UTF_16 = /^(?:\uFFFD\uFFFD.*\0|[^\0]\0[^\0]\0|\0[^\0]\0[^\0])/s;

const UTF_16_MISTAKE =
  'The text is UTF-16, as the `>` of Windows PowerShell writes it: write the file with `| Out-File -Encoding utf8`';

/**
 * Lists what c3 cannot hide in logs of a value that a step gets, in sentences that do not quote it (A9). It is reported
 * when the value is sealed.
 */
function findUnmaskable(value: string): string[] {
  const lines = value.split(/\r\n|\r|\n/).map((line) => line.trim());
  const { length } = value.trim();
  const shortLines = lines.filter((line) => /\w/.test(line) && line.length < MIN_MASKED_CHARACTERS).length;
  if (length < MIN_MASKED_CHARACTERS) {
    return [
      `c3 does not hide this value in logs: it has ${length} characters, and c3 hides ${MIN_MASKED_CHARACTERS} or more`,
    ];
  }
  const found: string[] = [];
  if (createMasking([value]).isTooMuch()) {
    found.push('this value is too long to be hidden in logs: a build that uses it ends before its first step');
  }
  if (shortLines > 0) {
    const which = shortLines === 1 ? 'one line of this value' : `${shortLines} lines of this value`;
    found.push(`c3 does not hide ${which} in logs: c3 hides lines of ${MIN_MASKED_CHARACTERS} or more characters`);
  }
  if (hasParts(value, lines)) {
    found.push(
      'c3 hides whole lines of this value, not a password inside a line: seal each password as a value of its own',
    );
  } else if (lines.filter(Boolean).length === 1 && /\S[ \t]+\S/.test(value)) {
    found.push(
      'c3 hides this value as a whole, not its words: use the variable in double quotes, or a shell splits it at spaces',
    );
  }
  return found;
}

/** Whether programs take the value apart: JSON, `NAME=value`, a URL with a password. */
function hasParts(value: string, lines: readonly string[]): boolean {
  const json = parseJson(value);
  return (
    isJsonObject(json) ||
    Array.isArray(json) ||
    /^[a-z][a-z0-9+.-]*:\/\/[^\s/@:]*:[^\s/@]+@/i.test(value) ||
    lines.some((line) => /^(?:export )?[A-Za-z_]\w*=./.test(line))
  );
}
