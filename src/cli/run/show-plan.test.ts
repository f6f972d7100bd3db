import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import type { WorkspaceRequest } from '../../engine/index.ts';
import { createPodPrinter } from './show-plan.ts';

async function print(env: Record<string, string>): Promise<string> {
  const order: WorkspaceRequest = {
    manifest: {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'shop' },
      spec: { containers: [{ name: 'sh', env }] },
    },
    scope: 'github.com/acme/shop',
    owner: 'branches',
    root: '/c3/.c3',
    buildId: 'b1',
    isResumed: false,
    reuse: true,
    idleMs: 1,
    maxAgeMs: 1,
    neededMs: 1,
  };
  const printed: string[] = [];
  const signal = new AbortController().signal;
  await createPodPrinter((text) => void printed.push(text)).openWorkspace(order, {
    signal,
    startTimeoutMs: 1,
    onWaiting: () => {},
  });
  return printed.join('\n');
}

it('prints what a terminal obeys as escapes in double quotes, and all else as it is', async () => {
  const text = await print({ A: 'x\u009b2J\u007f', B: 'y\u202ez', 'c\u0085': '\u2028', D: 'plain', E: 'é "q"' });
  expect(text).toContain(
    [
      '      env:',
      String.raw`        A: "x\u009b2J\u007f"`,
      String.raw`        B: "y\u202ez"`,
      String.raw`        "c\u0085": "\u2028"`,
      '        D: plain',
      '        E: é "q"',
    ].join('\n'),
  );
});

it('prints YAML of the very manifest, with nothing in it that a terminal obeys', async () => {
  const text = fc.string({
    maxLength: 100,
    unit: fc.constantFrom(
      'a',
      ' ',
      '\n',
      '\t',
      '\\',
      '"',
      ':',
      '\u009b',
      '\u0085',
      '\u202e',
      '\u2028',
      '\u007f',
      '\u001b',
      '\r',
      '#',
      '-',
    ),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.dictionary(
        text.filter((key) => key !== ''),
        text,
        { maxKeys: 4 },
      ),
      async (env) => {
        const printed = await print(env);
        expect(printed.replaceAll('\n', '').replaceAll('\t', '')).not.toMatch(/[\p{Cc}\p{Bidi_Control}\u2028]/u);
        expect(parse(printed)).toMatchObject({ spec: { containers: [{ env }] } });
      },
    ),
  );
});
