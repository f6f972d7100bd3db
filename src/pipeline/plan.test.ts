import { describe, expect, test } from 'vitest';

import { createMatcher } from './glob.ts';
import { parsePipeline } from './parse-pipeline.ts';
import type { Pipeline } from './pipeline.ts';
import type { PipelineEvent, PlannedStage } from './plan.ts';
import { needsPaths, planPipeline } from './plan.ts';

const push: PipelineEvent = { event: 'push', ref: { kind: 'branch', name: 'main' } };
const dev: PipelineEvent = { event: 'push', ref: { kind: 'branch', name: 'dev' } };
const tag: PipelineEvent = { event: 'tag', ref: { kind: 'tag', name: 'v1.2' } };
const pull: PipelineEvent = {
  event: 'pull_request',
  ref: { kind: 'branch', name: 'feature' },
  pull: { number: 12, base: 'main', head: 'feature', isDraft: false, isFork: false },
};
const draft: PipelineEvent = { ...pull, pull: { ...pull.pull!, isDraft: true } };
const fork: PipelineEvent = {
  ...pull,
  ref: { kind: 'pull', name: '12' },
  pull: { ...pull.pull!, head: 'main', isFork: true },
};

describe('the when of the file', () => {
  const notEvent = (kind: string): string => `${kind} does not match when.event`;
  test.each<[string, PipelineEvent, string | undefined]>([
    ['{}', push, undefined],
    ['{}', tag, undefined],
    ['{event: push}', push, undefined],
    ['{event: push}', tag, notEvent('a tag')],
    ['{event: tag}', push, notEvent('a push to a branch')],
    ['{event: [push, tag]}', tag, undefined],
    // Branches mean pushes, tags mean tags.
    ['{branch: main}', push, undefined],
    ['{branch: main}', dev, 'branch "dev" does not match when.branch'],
    ['{branch: main}', tag, 'a tag does not match when.branch'],
    ['{tag: v*}', tag, undefined],
    ['{tag: w*}', tag, 'tag "v1.2" does not match when.tag'],
    ['{tag: v*}', push, 'a push to a branch does not match when.tag'],
    ['{branch: main, tag: v*}', push, undefined],
    ['{branch: main, tag: v*}', tag, undefined],
    ['{branch: main, tag: v*}', dev, 'branch "dev" does not match when.branch'],
    // Globs for branches are only for branches, globs for tags only for tags.
    ['{event: [push, tag], branch: main}', tag, undefined],
    ['{event: [push, tag], branch: main}', dev, 'branch "dev" does not match when.branch'],
    ['{event: [push, tag], tag: w*}', push, undefined],
    // Pull requests are built only where the file asks for them.
    ['{}', pull, notEvent('a pull request')],
    ["{path: 'src/**'}", pull, notEvent('a pull request')],
    ['{event: pull_request}', pull, undefined],
    ['{event: pull_request}', push, notEvent('a push to a branch')],
    ['{event: [push, pull_request], branch: main}', pull, undefined],
    ['{event: [push, pull_request], branch: main}', dev, 'branch "dev" does not match when.branch'],
    ['{branch: feature}', pull, 'a pull request does not match when.branch'],
    ['{tag: v*}', pull, 'a pull request does not match when.tag'],
    ['{base: main}', pull, undefined],
    ['{base: main}', push, 'a push to a branch does not match when.base'],
    ['{base: dev}', pull, 'branch "main" does not match when.base'],
    ['{branch: dev, base: main}', pull, undefined],
    ['{branch: dev, base: main}', dev, undefined],
    ['{draft: false}', pull, undefined],
    ['{draft: false}', draft, 'the pull request is a draft, which does not match when.draft'],
    ['{draft: true}', pull, 'the pull request is not a draft, which does not match when.draft'],
    ['{draft: true}', draft, undefined],
    ['{event: [push, pull_request], draft: false}', push, undefined],
    // The branch of a fork has the name of the target branch here, and is still not a push to it.
    ['{branch: main}', fork, 'a pull request does not match when.branch'],
    ['{event: pull_request, base: main}', fork, undefined],
    ["{event: pull_request, path: 'src/**'}", { ...pull, paths: ['docs/a'] }, 'nothing to do for these paths'],
    ["{event: pull_request, path: 'src/**'}", { ...pull, paths: ['src/a'] }, undefined],
    ["{branch: ['**', '!dev']}", dev, 'branch "dev" does not match when.branch'],
    ["{path: 'src/**'}", { ...push, paths: ['docs/a', 'src/a'] }, undefined],
    ["{path: 'src/**'}", { ...push, paths: ['docs/a'] }, 'nothing to do for these paths'],
    ["{path: 'src/**'}", { ...push, paths: [] }, 'nothing to do for these paths'],
    ["{path: 'src/**'}", push, undefined],
    ["{path: 'src/**'}", tag, undefined],
    ["{path: ['**', '!docs/**']}", { ...push, paths: ['docs/a'] }, 'nothing to do for these paths'],
    ["{path: ['**', '!docs/**']}", { ...push, paths: ['docs/a', 'a'] }, undefined],
    ["{branch: main, path: 'src/**'}", { ...dev, paths: ['src/a'] }, 'branch "dev" does not match when.branch'],
  ])('%s', (when, event, reason) => {
    const plan = planPipeline(read(`steps:\n- clj: make\nwhen: ${when}\n`), event);
    expect(plan.kind === 'skipped' ? plan.reason : undefined).toBe(reason);
  });

  test.each([
    ['', true],
    [', when: {status: success}', true],
    [", when: {path: 'a/**'}", true],
    [', when: {event: pull_request}', true],
    [', when: {base: ma*}', true],
    [', when: {branch: main}', false],
    [', when: {event: push}', false],
    [', when: {draft: true}', false],
  ])('in a build of a pull request, the step {clj: x%s} runs: %s', (when, isRun) => {
    const file = `steps:\n- clj: y\n- {clj: x${when}}\nwhen: {event: pull_request}\n`;
    const plan = planPipeline(read(file), pull);
    expect(plan.kind === 'run' && plan.steps[1]?.steps[0]?.skipped === undefined).toBe(isRun);
  });

  test.each([
    // Without its condition on paths, the build would run.
    [`steps:\n- clj: make\nwhen: {path: 'src/**'}\n`, 'paths'],
    [`steps:\n- {clj: make, when: {path: 'src/**'}}\n- {clj: x, when: {branch: main}}\n`, 'paths'],
    [`steps:\n- clj: make\nwhen: {branch: main, path: 'src/**'}\n`, 'event'],
    [`steps:\n- {clj: make, when: {branch: main, path: 'src/**'}}\n`, 'event'],
  ])('%j is skipped by its %s', (file, by) => {
    expect(planPipeline(read(file), { ...dev, paths: ['docs/a'] })).toMatchObject({ kind: 'skipped', by });
  });
});

test('the steps keep their order, and each has the reason why it is skipped or the result after which it runs', () => {
  const pipeline = read(
    [
      'steps:',
      '- clj: make',
      '- parallel:',
      '  - clj: a',
      '    when: {branch: main}',
      '  - clj: b',
      '- clj: tell',
      '  when: {status: failure}',
      'finally:',
      '- clj: clean',
      '- clj: celebrate',
      '  when: {status: success, event: tag}',
    ].join('\n'),
  );
  const plan = planPipeline(pipeline, dev);
  expect(plan.kind === 'run' && { steps: plan.steps.map(show), finally: plan.finally.map(show) }).toEqual({
    steps: [
      ['make after success'],
      ['a skipped: branch "dev" does not match when.branch', 'b after success'],
      ['tell after failure'],
    ],
    finally: [['clean after success, failure'], ['celebrate skipped: a push to a branch does not match when.event']],
  });
});

test('a pipeline without a step that can run first is skipped', () => {
  const reason = 'no step runs for this event';
  const ofTags = read('steps:\n- clj: make\n  when: {event: tag}\nfinally:\n- clj: clean\n');
  expect(planPipeline(ofTags, push)).toEqual({ kind: 'skipped', reason, by: 'event' });
  expect(planPipeline(ofTags, tag).kind).toBe('run');
  const afterFailure = read('steps:\n- clj: tell\n  when: {status: failure}\n');
  expect(planPipeline(afterFailure, push)).toEqual({ kind: 'skipped', reason, by: 'event' });
});

test.each([
  ['steps:\n- clj: make\n', false],
  ['steps:\n- clj: make\nwhen: {branch: main}\n', false],
  ['steps:\n- clj: make\nwhen: {path: a}\n', true],
  ['steps:\n- parallel:\n  - clj: make\n    when: {path: a}\n', true],
  ['steps:\n- clj: make\nfinally:\n- clj: make\n  when: {path: a}\n', true],
])('%j needs changed paths: %s', (text, isNeeded) => {
  expect(needsPaths(read(text))).toBe(isNeeded);
});

test('more paths than the limit of work count as unknown', () => {
  const pipeline = read(`steps:\n- clj: make\nwhen: {path: [${`'${'*a'.repeat(100)}b', `.repeat(60)}]}\n`);
  const few = Array.from({ length: 3 }, () => 'a'.repeat(10));
  const many = Array.from({ length: 1_000 }, () => 'a'.repeat(10));
  expect(planPipeline(pipeline, { ...push, paths: few }).kind).toBe('skipped');
  expect(planPipeline(pipeline, { ...push, paths: many }).kind).toBe('run');
});

describe('what globs cost', () => {
  const slow = `${'*a'.repeat(127)}b`;
  const longest: PipelineEvent = { event: 'push', ref: { kind: 'branch', name: 'a'.repeat(255) } };

  function count(pipeline: Pipeline, event: PipelineEvent): number {
    const work = { left: Number.MAX_SAFE_INTEGER };
    planPipeline(pipeline, event, work);
    return Number.MAX_SAFE_INTEGER - work.left;
  }

  test.each([
    ['branch', longest],
    ['path', { ...push, paths: [longest.ref.name] }],
  ])('is the same for two hundred steps that share a list of the key "%s" as for one', (key, event) => {
    const once = `{${key}: ['${slow}', '${slow}c', '!${slow}d']}`;
    const others = Array.from({ length: 99 }, () => '- {clj: x, when: *w}\n').join('');
    const one = count(read(`steps:\n- clj: x\n- {clj: x, when: ${once}}\n`), event);
    const written = `- {clj: x, when: ${once}}\n- {clj: x, when: ${once}}\n`;
    expect(one).toBeGreaterThan(100_000);
    expect(count(read(`steps:\n- clj: x\n${written}`), event)).toBe(one);
    const all = `steps:\n- clj: x\n- {clj: x, when: &w ${once}}\n${others.slice(0, -21)}finally:\n${others}`;
    expect(count(read(all), event)).toBe(one);
  });

  test('allows every list of globs for branches that a file can have, and skips the build for a branch name that is too long', () => {
    const lists = Array.from({ length: 16 }, (_, index) => `'${slow.slice(0, 250)}${index}'`);
    const pipeline = read(`steps:\n- {clj: x, when: {branch: [${lists.join(', ')}]}}\n`);
    expect(count(pipeline, longest)).toBeGreaterThan(500_000);
    expect(planPipeline(pipeline, longest)).toEqual({
      kind: 'skipped',
      reason: 'no step runs for this event',
      by: 'event',
    });
    expect(planPipeline(pipeline, { event: 'push', ref: { kind: 'branch', name: 'a'.repeat(4_000) } })).toEqual({
      kind: 'skipped',
      reason: 'the name of the branch is too long for the globs',
      by: 'event',
    });
  });

  test('stops at the limit for any number of paths of any length', () => {
    const pipeline = read(`steps:\n- {clj: x, when: {path: ['${slow}', '${slow}c']}}\n`);
    for (const paths of [
      ['a'.repeat(1_000_000)],
      Array.from({ length: 100_000 }, () => 'b'),
      Array.from({ length: 1_000 }, () => 'a'.repeat(250)),
    ]) {
      const work = { left: 1_000_000 };
      expect(planPipeline(pipeline, { ...push, paths }, work).kind).toBe('run');
      expect(work.left).toBeGreaterThan(-1_000);
    }
  });

  test('does not match paths for a step that does not run anyway', () => {
    const pipeline = read(`steps:\n- clj: x\n- {clj: x, when: {branch: dev, path: ['${slow}']}}\n`);
    expect(count(pipeline, { ...push, paths: ['a'.repeat(255)] })).toBeLessThan(100);
  });
});

test.each([
  [['a*', '!ab', 'abc'], 'ab', false],
  [['a*', '!ab*', 'abc'], 'abc', true],
  [['!ab'], 'x', true],
  [['!ab'], 'ab', false],
  [['\\!a'], '!a', true],
  [[], 'a', false],
])('the last glob of %j that matches decides about %j: %s', (globs, text, isMatch) => {
  expect(createMatcher(globs)(text)).toBe(isMatch);
});

function show(stage: PlannedStage): string[] {
  return stage.steps.map(({ step, skipped, runsAfter }) => {
    const { run } = step;
    const name = run.kind === 'script' ? run.text : run.argv.join(' ');
    return skipped === undefined ? `${name} after ${runsAfter.join(', ')}` : `${name} skipped: ${skipped}`;
  });
}

function read(text: string): Pipeline {
  const head =
    'k8s: a.b.c.d\njob: {apiVersion: v1, kind: Pod, metadata: {name: x}, spec: {containers: [{name: clj}]}}\n';
  const { pipeline, problems } = parsePipeline(`${head}checkout: false\n${text}`);
  if (pipeline === undefined) throw new Error(problems.map(({ message }) => message).join('; '));
  return pipeline;
}
