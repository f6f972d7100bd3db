import {
  deriveWebhookSecret,
  formatHookUrl,
  parseScope,
  sealForPublicKey,
  withSignature,
} from '../../src/sealing/index.ts';

export interface OfflineHook {
  readonly url: string;
  readonly secret: string;
}

/** Seals any token for any repository with c3's public key. Nobody asks the forge. */
export async function createOfflineHook(
  { baseUrl, jwks }: { baseUrl: string; jwks: unknown },
  repo: string,
  { token, signature }: { token: string; signature?: string },
): Promise<OfflineHook> {
  const scope = parseScope(repo);
  const binding = { scope, purpose: withSignature({ kind: 'hook' }, signature) };
  const url = formatHookUrl(baseUrl, await sealForPublicKey(jwks, token, binding), binding);
  return { url, secret: deriveWebhookSecret(token, scope) };
}
