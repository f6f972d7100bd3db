/**
 * Finds traps in the text of a script. It is no parser of shell: it leaves out comments, quoted texts and
 * here-documents, which other programs read. Lines count from 0.
 */

/** A shell that runs what POSIX describes, and little more. */
const PLAIN_SHELLS: ReadonlySet<string> = new Set(['sh', 'ash', 'dash']);
const SHELLS: ReadonlySet<string> = new Set([...PLAIN_SHELLS, 'bash', 'ksh', 'mksh', 'zsh']);

/** Returns the shell that a list command starts; `sh` for any that is no more than that. */
export function findShell(words: readonly string[]): 'sh' | 'other' | undefined {
  const name = words.map(toName).find((word) => SHELLS.has(word));
  return name === undefined ? undefined : PLAIN_SHELLS.has(name) ? 'sh' : 'other';
}

/** Returns the first line that is not empty, if it is a `#!` of a program other than `sh`. */
export function findForeignProgram(script: string): number | undefined {
  const lines = script.split('\n');
  const first = lines.findIndex((line) => line.trim() !== '');
  const line = lines[first] ?? '';
  if (!line.startsWith('#!')) return undefined;
  const [program = '', ...words] = line.slice(2).trim().split(/\s+/).map(toName);
  const isWrapper = program === 'env' || program === 'busybox';
  const name = isWrapper ? words.find((word) => !/^-|=/.test(word)) : program;
  return name === undefined || name === '' || PLAIN_SHELLS.has(name) ? undefined : first;
}

function toName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** A `[[` where a command begins. `[[:alpha:]]` is none. */
const BASH_TEST = /(?:^|[;&|({!)`]|\b(?:if|then|elif|else|while|until|do)\s)\s*\[\[(?:\s|$)/;

/** Returns the first line that has `[[` as a command. */
export function findBashTest(script: string): number | undefined {
  if (!script.includes('[[')) return undefined;
  const lines = blankTexts(script, () => false);
  return toLine(lines.findIndex((line) => BASH_TEST.test(line)));
}

const OUTPUT_FILE = /\/(?:dev\/(?:std(?:err|out)|fd\/[12])|proc\/self\/fd\/[12])(?![\w/.-])/g;

/** Limits what is read before and after the name of a file, so that a line with many names takes linear time. */
const MAX_COMMAND_LENGTH = 200;

/** Returns the first line that opens the output of the step as a file without appending. */
export function findEmptiedLog(script: string): number | undefined {
  if (script.search(OUTPUT_FILE) === -1) return undefined;
  // A command inside double quotes runs, and the name of the file can be in quotes.
  const lines = blankTexts(script, (text) => /\$\(|`/.test(text) || /^["']\/[\w/]+["']$/.test(text));
  return toLine(lines.findIndex(emptiesLog));
}

function emptiesLog(line: string): boolean {
  return [...line.matchAll(OUTPUT_FILE)].some(({ 0: file, index }) => {
    const before = line.slice(Math.max(0, index - MAX_COMMAND_LENGTH), index);
    const words = (before.split(/[;&|()`]/).at(-1) ?? '').trim().split(/\s+/);
    const isTee = words.includes('tee') && !words.some(isAppend);
    const isRedirected = /(?:^|[^>])>\|?["']?$/.test(before.replaceAll(/\s/g, ''));
    // Standard output is no file in a pipeline, and within `$(…)`.
    const after = line.slice(index, index + MAX_COMMAND_LENGTH);
    const isPipe = /(?:stdout|1)$/.test(file) && (/\$\(|`/.test(before) || after.includes('|'));
    return (isTee || isRedirected) && !isPipe;
  });
}

function isAppend(option: string): boolean {
  return option === '--append' || (/^-\w+$/.test(option) && option.includes('a'));
}

function toLine(index: number): number | undefined {
  return index === -1 ? undefined : index;
}

const TEXTS = /\\.|'[^']*'|"(?:\\.|[^"\\])*"|(?<![^\s;&|()])#[^\n]*/gs;

/** Divides a script into lines. Replaces comments and quoted texts, except those to keep, and here-documents. */
function blankTexts(script: string, isKept: (text: string) => boolean): string[] {
  const code = blankHereDocuments(script.split('\n')).join('\n');
  const blank = (text: string): string =>
    text.startsWith('#') ? '' : isKept(text) ? text : text.replaceAll(/[^\n]/g, '_');
  return code.replaceAll(TEXTS, blank).split('\n');
}

const HERE_DOCUMENT = /(?<!<)<<-?[ \t]*\\?["']?([A-Za-z_]\w*)/g;

function blankHereDocuments(lines: readonly string[]): string[] {
  const ends: string[] = [];
  return lines.map((line) => {
    const [end] = ends;
    if (end === undefined) {
      if (!/^\s*#/.test(line)) for (const [, word = ''] of line.matchAll(HERE_DOCUMENT)) ends.push(word);
      return line;
    }
    if (line.trim() === end) ends.shift();
    return '';
  });
}
