export { isForOperatorsBot, MAX_PLAINTEXT_BYTES, stripNewline } from './check-plaintext.ts';
export { checkValue } from './check-value.ts';
export { deriveWebhookSecret, formatHookUrl, MAX_HOOK_URL_CHARACTERS, parseHookQuery } from './hook-url.ts';
export { formatSecret, parseKeyring, toJwks, type Keyring } from './keyring.ts';
export {
  createMasking,
  MASK_REACH_BYTES,
  MASK_TEXT,
  type MaskedPiece,
  type Masker,
  type Masking,
  type PieceMasker,
} from './mask.ts';
export { formatPurpose, parsePurpose, withSignature, type Purpose } from './purpose.ts';
export { formatScope, formatShortScope, parseScope, parseShortScope, type Scope } from './scope.ts';
export { openSealed, seal, sealForPublicKey } from './seal.ts';
export { openBytes, pack, sealBytes, splitToken, toLinkHeader, unpack, type Binding } from './token.ts';
