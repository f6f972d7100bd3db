/** GitHub refuses longer names, and so do file systems, where a ref is a file. */
const MAX_REF_LENGTH = 255;

/** What `git check-ref-format` refuses, plus C1 controls, which git takes and no terminal does. */
// oxlint-disable-next-line no-control-regex -- control characters are what is looked for
const FORBIDDEN = /[\u0000-\u0020\u007f-\u009f~^:?*[\\]|\.\.|@\{|\/\/|\/\.|\.lock(?:\/|$)|[./]$/;

/**
 * Whether a full ref (`refs/heads/main`) is safe to hand to git and to a forge: what `git check-ref-format` accepts, and its
 * short name does not begin with a dash, so that no program takes it for an option.
 *
 * @see https://git-scm.com/docs/git-check-ref-format
 */
export function isRefName(ref: string): boolean {
  return /^refs\/[^/]+\/[^-]/.test(ref) && ref.length <= MAX_REF_LENGTH && ref.isWellFormed() && !FORBIDDEN.test(ref);
}
