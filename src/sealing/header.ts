import { formatPurpose, type Purpose } from './purpose.ts';
import { formatScope, type Scope } from './scope.ts';

/** Where a sealed value may be opened: in this repository, for this purpose. Both are authenticated, neither is in the token. */
export interface Binding {
  readonly scope: Scope;
  readonly purpose: Purpose;
}

/** The protected header, for the public key still without `epk`. The order of the members is part of the format. */
// A type and not an interface: jose wants an index signature, which only a type has implicitly.
export type Header = {
  /** `dir`: sealed with `C3_SECRET`. `ECDH-ES`: sealed with the public key. */
  alg: 'dir' | 'ECDH-ES';
  enc: 'A256GCM';
  kid: string;
  /** `c3/` and the purpose. */
  typ: string;
  /** The scope. */
  sub: string;
};

export function toHeader(alg: Header['alg'], kid: string, { scope, purpose }: Binding): Header {
  return { alg, enc: 'A256GCM', kid, typ: `c3/${formatPurpose(purpose)}`, sub: formatScope(scope) };
}

/** Of a link to a build (see {@link ./link.ts}): no purpose has its `typ`, and no repository its empty `sub`. */
export function toLinkHeader(kid: string): Header {
  return { alg: 'dir', enc: 'A256GCM', kid, typ: 'c3/link', sub: '' };
}

/**
 * The header as the first part of a compact JWE (RFC 7516 §7.1), base64url of its JSON without spaces. It is the additional
 * authenticated data, so that one byte of difference closes the value.
 *
 * @param ephemeralKey `epk.x` of a value sealed with the public key. `epk` comes last and its members are `x`, `crv`, `kty`:
 *   the order in which jose writes them.
 */
export function encodeHeader(header: Header, ephemeralKey?: string): string {
  const whole =
    ephemeralKey === undefined ? header : { ...header, epk: { x: ephemeralKey, crv: 'X25519', kty: 'OKP' } };
  return Buffer.from(JSON.stringify(whole)).toString('base64url');
}
