import { describe, expect, it } from 'vitest';

import { formatPurpose, parsePurpose, withSignature } from './purpose.ts';

describe('parsePurpose', () => {
  it.each(['hook', 'hook:signature=optional', 'k8s', 'telegram', 'secret:DEPLOY_KEY', 'secret:_x9'])(
    'reads %s, and writes it the same',
    (text) => {
      expect(formatPurpose(parsePurpose(text))).toBe(text);
    },
  );

  it("never reads the purpose of the operator's bot, for which a server must not seal", () => {
    const text = formatPurpose({ kind: 'telegram', bot: 'operator' });
    expect(text).toBe('telegram:bot=operator');
    expect(() => parsePurpose(text)).toThrow(expect.objectContaining({ code: 'USAGE_INVALID' }));
  });

  it.each(['', 'Hook', 'secret', 'kubeconfig', 'hook ', 'hook:signature=none'])(
    'refuses %j, which is no purpose',
    (text) => {
      expect(() => parsePurpose(text)).toThrow(
        expect.objectContaining({
          code: 'USAGE_INVALID',
          message: `Purpose "${text}" is not one of hook, k8s, telegram, secret:NAME`,
        }),
      );
    },
  );

  it.each(['', '9LIVES', 'A-B', 'A B', 'A\n', 'ключ', 'A'.repeat(101)])('refuses the secret name %j', (name) => {
    expect(() => parsePurpose(`secret:${name}`)).toThrow(
      expect.objectContaining({
        code: 'USAGE_INVALID',
        message: `Secret name "${name}" is not a name of a shell variable`,
      }),
    );
  });
});

describe('withSignature', () => {
  it('returns another purpose for a hook whose signature is optional', () => {
    expect(withSignature({ kind: 'hook' }, 'optional')).toStrictEqual({ kind: 'hook', signature: 'optional' });
    expect(formatPurpose(withSignature({ kind: 'hook' }, 'optional'))).toBe('hook:signature=optional');
    for (const signature of ['required', undefined]) {
      expect(formatPurpose(withSignature({ kind: 'hook' }, signature))).toBe('hook');
    }
  });

  it('refuses other words and other purposes', () => {
    const fault = { code: 'USAGE_INVALID', message: 'Signature "no" is not one of required, optional' };
    expect(() => withSignature({ kind: 'hook' }, 'no')).toThrow(expect.objectContaining(fault));
    const other = { code: 'USAGE_INVALID', message: 'Only a hook has a signature' };
    expect(() => withSignature({ kind: 'k8s' }, 'optional')).toThrow(expect.objectContaining(other));
  });
});
