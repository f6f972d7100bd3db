import { SEALED_PATTERN } from '../language.ts';
import type { Located, ProblemList } from '../problem-list.ts';
import type { YamlNode } from '../yaml-tree.ts';

export interface SealedUse {
  /** `k8s`, `secrets.DEPLOY_KEY`. */
  readonly what: string;
  /** As in `c3 encrypt --for`: `k8s`, `telegram`, `secret:DEPLOY_KEY`. */
  readonly purpose: string;
  /** What is sealed: `a kubeconfig`. */
  readonly content: string;
  /** Where a problem is shown: the key, since the value may be a secret in the clear. */
  readonly at: Located;
}

/**
 * A sealed value, still closed: only its form is looked at, four or five base64url parts. The value is never quoted: what is not
 * sealed may be the secret itself, in the brackets of a placeholder too.
 */
export function readSealed(node: YamlNode, use: SealedUse, problems: ProblemList): string | undefined {
  const value = node.kind === 'scalar' && typeof node.value === 'string' ? node.value.trim() : undefined;
  if (value !== undefined && isSealed(value)) return value;
  if (problems.withoutSeals) return '';
  const command = `c3 encrypt --repo HOST/OWNER/NAME --for ${use.purpose}`;
  const hint = `seal ${use.content} with \`${command}\` or POST /encrypt, and put the answer here`;
  if (value !== undefined && isPlaceholder(value)) {
    problems.error(use.at, `${use.what} is still the placeholder of an example`, hint);
  } else if (node.kind === 'scalar' && (node.value === null || value === '')) {
    problems.error(use.at, `${use.what} is empty`, hint);
  } else {
    problems.error(
      use.at,
      `${use.what} is not a sealed value`,
      `${hint}; what is in clear text here is no longer secret`,
    );
  }
  return undefined;
}

/** `kid.iv.ciphertext.tag`, or with the ephemeral public key as second part. */
function isSealed(value: string): boolean {
  return SEALED_PATTERN.test(value);
}

function isPlaceholder(value: string): boolean {
  return /^<[\w .:-]{1,60}>$/.test(value);
}
