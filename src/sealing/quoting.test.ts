import { execFileSync } from 'node:child_process';
import { inspect } from 'node:util';
import { describe, expect, it, test } from 'vitest';
import { isShellInstalled } from '../../test/fakes/local-workspace.ts';
import { createRandom, SEED } from '../../test/random.ts';
import { createMasking } from './mask.ts';

const SECRET = String.raw`correct'horse "b\t" $cd<&>éș;x`;

/** What each program printed. */
describe('a secret with all kinds of quotes', () => {
  it.each([
    ['bash -x', String.raw`+ echo 'correct'\''horse "b\t" $cd<&>éș;x'`],
    ['dash: export -p', String.raw`export A='correct'"'"'horse "b\t" $cd<&>éș;x'`],
    ['bash: declare -p', String.raw`declare -x A="correct'horse \"b\\t\" \$cd<&>éș;x"`],
    ['bash: printf %q', String.raw`correct\'horse\ \"b\\t\"\ \$cd\<\&\>éș\;x`],
    ['bash without a locale: printf %q', String.raw`$'correct\'horse "b\\t" $cd<&>\303\251\310\231;x'`],
    ['Python: repr', String.raw`'correct\'horse "b\\t" $cd<&>éș;x'`],
    ['Python: ascii', String.raw`'correct\'horse "b\\t" $cd<&>\xe9\u0219;x'`],
    ['Python: repr of bytes', String.raw`b'correct\'horse "b\\t" $cd<&>\xc3\xa9\xc8\x99;x'`],
    ['PyYAML', String.raw`"correct'horse \"b\\t\" $cd<&>\xE9\u0219;x"`],
    ['YAML in single quotes', String.raw`'correct''horse "b\t" $cd<&>éș;x'`],
    ['Go: %q', String.raw`"correct'horse \"b\\t\" $cd<&>éș;x"`],
    ['Go: %+q', String.raw`"correct'horse \"b\\t\" $cd<&>\u00e9\u0219;x"`],
    ['Go: html.EscapeString', String.raw`correct&#39;horse &#34;b\t&#34; $cd&lt;&amp;&gt;éș;x`],
    ['Python: html.escape', String.raw`correct&#x27;horse &quot;b\t&quot; $cd&lt;&amp;&gt;éș;x`],
    ['PHP: htmlspecialchars', String.raw`correct&#039;horse &quot;b\t&quot; $cd&lt;&amp;&gt;éș;x`],
    ['XML', String.raw`<a>correct'horse "b\t" $cd&lt;&amp;&gt;éș;x</a>`],
    ['XML in ASCII', String.raw`<a>correct'horse "b\t" $cd&lt;&amp;&gt;&#233;&#537;;x</a>`],
    ['CSV', String.raw`"correct'horse ""b\t"" $cd<&>éș;x"`],
    ['PHP: var_export', String.raw`'correct\'horse "b\\t" $cd<&>éș;x'`],
    ['JSON in JSON', JSON.stringify(JSON.stringify({ a: SECRET }))],
    ['JSON in JSON in JSON', JSON.stringify(JSON.stringify(JSON.stringify({ a: SECRET })))],
    ['Node: inspect', inspect({ a: SECRET })],
    ['Node: inspect, with another quote', inspect({ a: `\`${SECRET}` })],
  ])('is hidden in what %s writes', (_what, output) => {
    const shown = createMasking([SECRET]).mask(output);
    expect(shown).toContain('***');
    expect(shown).not.toMatch(/correct|horse|d<|d&lt/);
  });

  it('is hidden with its lines when bash writes them as one', () => {
    const shown = createMasking(["it's\nline two\tend"]).mask(String.raw`declare -x A=$'it\'s\nline two\tend'`);
    expect(shown).toBe("declare -x A=$'***'");
  });
});

const SCRIPT = `
for value; do
  printf '%q\\0' "$value"
  printf '%s\\0' "\${value@Q}"
  declare -p value
  printf '\\0'
  (set -x; : "$value") 2>&1
  printf '\\0'
done`;
const SET_X = `for value; do (set -x; : "$value") 2>&1; printf '\\0'; export value; export -p | sed -n '/value/,$p'; printf '\\0'; done`;

/** The shells of this machine, as in the tests of the agent. */
const shells = (
  [
    ['bash', SCRIPT, { LC_ALL: 'C' }],
    ['bash', SCRIPT, { LC_ALL: 'C.UTF-8' }],
    ['dash', SET_X, { LC_ALL: 'C' }],
    ['busybox', SET_X, { LC_ALL: 'C' }],
  ] as const
).filter(([shell]) => isShellInstalled(shell));

test.each(shells)('all that %s writes of a secret is hidden', (program, script, env) => {
  const random = createRandom(SEED);
  const alphabet = Array.from(`abcXYZ01'"\\ $\`!#&()*,;<>=?[]^{|}~%+-./:@_é\u0219😀\t\u001b`);
  const pick = (): string => alphabet[random(alphabet.length)] ?? '';
  const values = Array.from({ length: 300 }, () => Array.from({ length: 8 + random(9) }, pick).join(''));
  const shell = program === 'busybox' ? ['ash'] : [];
  const out = execFileSync(program, [...shell, '-c', script, program, ...values], {
    env: { PATH: process.env['PATH'], ...env },
  });
  const outputs = out.toString().split('\0').slice(0, -1);
  const perValue = outputs.length / values.length;
  const shown = outputs.map((output, index) =>
    createMasking([values[Math.floor(index / perValue)] ?? '']).mask(output.replace(/\n$/, '')),
  );
  const left = shown
    .map((text, index) => [text, outputs[index]])
    .filter(([text = '']) => !/^(?:\+ : |declare -- value=|export value=|\\|)?\$?['"]*\*{3}['"]*\s*$/.test(text));
  expect(left).toEqual([]);
});
