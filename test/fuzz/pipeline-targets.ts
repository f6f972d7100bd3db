import * as fc from 'fast-check';
import { matchGlob } from '../../src/config/index.ts';
import { formatProblem, parsePipeline, planPipeline, summarizeProblem } from '../../src/pipeline/index.ts';
import { createMatcher, parseGlob } from '../../src/pipeline/glob.ts';
import { parseDuration } from '../../src/pipeline/read/read-value.ts';
import { anyText, mutated, readCorpus } from './arbitraries.ts';
import { defineTarget, ensure, type Target } from './target.ts';

const corpus = [...readCorpus('test/fixtures/c3-yaml', '.yaml'), ...readCorpus('examples', '.yaml')];

/** Lines of YAML in random order. */
const soup = fc
  .array(
    fc.tuple(
      fc.integer({ min: 0, max: 5 }),
      fc.constantFrom('- ', '', '? ', '&a ', '*a', '!!seq ', '|', '>-', '"', "'", '{', '[', '# ', '---', '...', '<<: '),
      fc.constantFrom(
        'k8s',
        'job',
        'steps',
        'run',
        'main',
        'when',
        'parallel',
        'a',
        '',
        'env',
        'secrets',
        'x-y',
        '[a, b]',
        '{a: b}',
        '*a',
        '&b c',
      ),
      fc.constantFrom(': ', ':', ' ', ': |', ': >', ': &a', ': *a', ',', '}', ']', '"'),
      fc.oneof(fc.constant(''), anyText),
    ),
    { maxLength: 20 },
  )
  .map((lines) =>
    lines.map(([indent, before, key, after, rest]) => `${' '.repeat(indent)}${before}${key}${after}${rest}`).join('\n'),
  );

const globs = [
  'main',
  'release/*',
  'src/**',
  '**/*.ts',
  '!docs/**',
  '{a,b}/c',
  '[a-z]?',
  '*a*a*a*b',
  '\\*',
  '{{{{',
  '[!]]',
];

function checkParsed(source: string): void {
  const { pipeline, problems } = parsePipeline(source);
  const errors = problems.filter(({ severity }) => severity === 'error');
  ensure((pipeline === undefined) === errors.length > 0, 'there is a pipeline exactly when there is no error');
  const lines = source.split('\n').length;
  for (const problem of problems.slice(0, 20)) {
    ensure(problem.line >= 1 && problem.line <= lines && problem.column >= 1, 'a problem has a place in the file');
    const shown = `${formatProblem(problem, source)}\n${summarizeProblem(problem)}`;
    // oxlint-disable-next-line no-control-regex -- that is what must not be there
    ensure(!/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/.test(shown), 'the text of a problem has no control character');
    ensure(summarizeProblem(problem).length <= 140, 'a summary fits a commit status');
  }
  if (pipeline === undefined) return;
  const event = { event: 'push', ref: { kind: 'branch', name: 'main' }, paths: ['src/a.ts'] } as const;
  const plan = planPipeline(pipeline, event);
  ensure(plan.kind === 'skipped' || plan.steps.length > 0, 'a pipeline that runs has steps');
  for (const name of [...Object.keys(pipeline.env), ...Object.keys(pipeline.secrets)]) {
    ensure(
      /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && !/^(?:C3_|LD_PRELOAD$|BASH_ENV$|PATH$)/.test(name),
      'variables are harmless',
    );
  }
}

export const pipelineTargets: readonly Target[] = [
  defineTarget('c3-yaml', mutated(corpus), checkParsed),
  defineTarget('yaml-soup', fc.oneof(soup, anyText), checkParsed),

  defineTarget(
    'duration',
    fc.oneof(mutated(['90s', '10m', '1h30m', '999999h999999m999999s', '0s']), anyText),
    (text) => {
      const ms = parseDuration(text);
      ensure(ms === undefined || (Number.isSafeInteger(ms) && ms >= 0), 'a duration is a whole number');
    },
  ),

  defineTarget(
    'globs',
    fc.tuple(
      fc.array(fc.oneof(mutated(globs), anyText), { maxLength: 3 }),
      fc.oneof(anyText, mutated(['src/a/b.ts', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaac'])),
    ),
    ([patterns, text]) => {
      for (const pattern of patterns) {
        const glob = parseGlob(pattern);
        if (glob.kind === 'invalid') ensure(glob.message !== '', 'an invalid glob has a message');
        else ensure(typeof glob.matches(text) === 'boolean', 'a glob matches or does not');
        const isPlain = pattern !== '' && /^[\w./-]+$/.test(pattern);
        if (isPlain && glob.kind === 'glob') ensure(glob.matches(pattern), 'a name matches itself');
      }
      const matches = createMatcher(patterns);
      ensure(
        createMatcher([...patterns, '**'])(text) && !createMatcher([...patterns, '!**'])(text),
        'the last matching pattern wins',
      );
      ensure(typeof matches(text) === 'boolean', 'a list matches or does not');
    },
  ),

  defineTarget(
    'repository-globs',
    fc.tuple(
      mutated(['github.com/acme/*', '**', 'gitlab.com/a/**', '*.*/*/*']),
      mutated(['github.com/acme/shop', 'gitlab.com/a/b/c']),
    ),
    ([glob, scope]) => {
      const isMatch = matchGlob([glob], scope);
      if (!glob.includes('*')) ensure(isMatch === (glob === scope), 'a glob without a star is a name');
      ensure(!matchGlob([], scope), 'an empty list of globs allows nothing');
    },
  ),
];
