import { expect, it } from 'vitest';
import type { Pipeline } from '../../pipeline/index.ts';
import type { Terminal } from '../terminal.ts';
import { fillSecrets, readVariables } from './variables.ts';

function read(text: string): Record<string, string> {
  const terminal = { readFile: (path: string) => (path === '.env' ? text : fail()) } as Terminal;
  return readVariables(terminal, '.env');
}

function fail(): never {
  throw new Error('ENOENT');
}

it('reads names and values as of a .env file', () => {
  const text = `# a comment\nA=1\nexport B='two words'\nC="line one\nline two"\nD=\nE=x # y\n`;
  expect(read(text)).toEqual({ A: '1', B: 'two words', C: 'line one\nline two', D: '', E: 'x' });
});

it('refuses a name that a shell does not take, or that c3 sets, without the value', () => {
  for (const name of ['not-a-name', '1ST', 'C3_SHA']) {
    expect(() => read(`${name}=secret`)).toThrow(
      expect.objectContaining({ code: 'USAGE_INVALID', message: `".env": "${name}" cannot be a variable's name` }),
    );
  }
});

it('says that a file is not there', () => {
  const terminal = { readFile: fail as (path: string) => string } as Terminal;
  expect(() => readVariables(terminal, 'no.env')).toThrow('Cannot read "no.env"');
  expect(readVariables(terminal, undefined)).toEqual({});
});

it('fills the secrets that have a value, and names the others', () => {
  const pipeline = { secrets: { KEY: 'aa.bb.cc.dd', TOKEN: '' } } as unknown as Pipeline;
  expect(fillSecrets(pipeline, { KEY: 'value', OTHER: 'not asked for' })).toEqual({
    pipeline: { secrets: { KEY: 'value' } },
    missing: ['TOKEN'],
  });
});
