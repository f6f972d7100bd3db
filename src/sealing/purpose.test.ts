import { describe, expect, it } from 'vitest';

import { formatPurpose, parsePurpose } from './purpose.ts';

describe('parsePurpose', () => {
  it.each(['hook', 'k8s', 'telegram', 'secret:DEPLOY_KEY', 'secret:_x9'])(
    'reads %s, and writes it the same',
    (text) => {
      expect(formatPurpose(parsePurpose(text))).toBe(text);
    },
  );

  it.each(['', 'Hook', 'secret', 'kubeconfig', 'hook '])('refuses %j, which is no purpose', (text) => {
    expect(() => parsePurpose(text)).toThrow(
      expect.objectContaining({
        code: 'USAGE_INVALID',
        message: `Purpose "${text}" is not one of hook, k8s, telegram, secret:NAME`,
      }),
    );
  });

  it.each(['', '9LIVES', 'A-B', 'A B', 'A\n', 'ключ', 'A'.repeat(101)])('refuses the secret name %j', (name) => {
    expect(() => parsePurpose(`secret:${name}`)).toThrow(
      expect.objectContaining({
        code: 'USAGE_INVALID',
        message: `Secret name "${name}" is not a name of a shell variable`,
      }),
    );
  });
});
