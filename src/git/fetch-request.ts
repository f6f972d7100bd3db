/** What c3 asks a forge for: the objects of a commit that a clone lacks. */
export interface FetchOrder {
  /** The wanted commit: 40 hexadecimal digits, or 64 in a repository with SHA-256. */
  readonly want: string;
  /** The commit that the clone has. */
  readonly have: string;
  /**
   * Whether the forge must assume that the clone has no ancestor of `have`. So the answer is complete even if the
   * clone is shallow, but it holds the whole history of a merged branch.
   */
  readonly isShallow: boolean;
}

/**
 * Formats the body of `POST <repository>/git-upload-pack` for version 2 of git's protocol. It asks for no thin pack:
 * {@link readPack} needs all bases of the deltas.
 *
 * @see https://git-scm.com/docs/protocol-v2#_fetch
 */
export function formatFetchRequest({ want, have, isShallow }: FetchOrder): string {
  const format = want.length === 64 ? 'sha256' : 'sha1';
  const lines = [
    'ofs-delta',
    'no-progress',
    ...(isShallow ? [`shallow ${have}`] : []),
    `want ${want}`,
    `have ${have}`,
    'done',
  ];
  return [
    ...['command=fetch', 'agent=c3', `object-format=${format}`].map(formatLine),
    DELIMITER,
    ...lines.map(formatLine),
    FLUSH,
  ].join('');
}

const DELIMITER = '0001';
const FLUSH = '0000';

/** Formats a pkt-line: its length in four hexadecimal digits, with the digits themselves, then the text. */
function formatLine(text: string): string {
  const line = `${text}\n`;
  return (line.length + 4).toString(16).padStart(4, '0') + line;
}
