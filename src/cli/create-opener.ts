import { C3Error } from '../errors.ts';
import { openSealed, type Binding, type Keyring } from '../sealing/index.ts';

/**
 * Opens a sealed value. @throws {C3Error} SEALED_INVALID; TELEGRAM_INVALID when the value needs an operator's bot and
 * there is none
 */
export type Opener = (token: string, binding: Binding) => Promise<{ plaintext: string; isOldKey: boolean }>;

/**
 * Creates what opens sealed values. It adds the operator's bot token to a Telegram destination for that bot, so that
 * all other code sees one kind of destination.
 *
 * @param operatorsBot the token of the operator's bot, if there is one
 */
export function createOpener(keyring: Keyring, operatorsBot: string | undefined): Opener {
  return async (token, binding) => {
    if (binding.purpose.kind !== 'telegram') return await openSealed(keyring, token, binding);
    try {
      return await openSealed(keyring, token, binding);
    } catch (error) {
      const purpose = { kind: 'telegram', bot: 'operator' } as const;
      const opened = await openSealed(keyring, token, { ...binding, purpose }).catch(() => undefined);
      if (opened === undefined) throw error;
      if (operatorsBot === undefined) {
        throw new C3Error(
          'TELEGRAM_INVALID',
          "The Telegram destination is for the operator's bot, and this c3 has none",
          {
            hint: 'its operator sets C3_TELEGRAM_TOKEN; or seal a destination with the token of a bot of your own',
            cause: error,
          },
        );
      }
      const chat = JSON.parse(opened.plaintext) as object;
      return { ...opened, plaintext: JSON.stringify({ ...chat, token: operatorsBot }) };
    }
  };
}
