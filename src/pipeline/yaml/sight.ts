import type { Alias, Document, Pair } from 'yaml';
import { isAlias, isCollection, isMap, isNode, isPair, isScalar, isSeq } from 'yaml';

import type { Shape, Vocabulary } from '../language.ts';
import { pipelineVocabulary, stepVocabulary } from '../language.ts';
import type { Anchors } from './anchors.ts';
import { findAnchors } from './anchors.ts';

/**
 * What may be seen of a place in c3.yaml: `keys` without their values, as in most places; `all`, where a value is known to be no
 * secret; or `marks` alone, where a value belongs that is sealed, whatever stands there.
 */
export type Sight = 'keys' | 'all' | 'marks';

/** More than anybody writes. Each is looked at once for every other that leads to it. */
const MAX_ANCHORS = 100;

/** What a Pod is made of: anything beside it may belong elsewhere. */
const podKeys: ReadonlySet<string> = new Set(['apiVersion', 'kind', 'metadata', 'spec']);

/** The keys whose values are sealed, and how other systems spell them: they show no value, in a job neither, where they are by mistake. */
const secretKeys: ReadonlySet<string> = new Set(
  [...pipelineVocabulary.keys].flatMap(([name, { shape, aliases }]) =>
    isSecret(shape) ? [name, ...(aliases ?? [])] : [],
  ),
);

interface Painting {
  readonly text: string;
  /** By place. */
  readonly sights: Sight[];
  /** What looks like the value of one key may be that of another, so none is shown for what it seems to be. */
  readonly isBroken: boolean;
  readonly anchors: Anchors['anchors'];
  /** Of the job: what a step says under any other key is no command. */
  readonly containers: Set<string>;
  /** Mappings and texts that were shown: an alias leads to the same one. */
  readonly seen: Set<unknown>;
  /** What is hidden when all is shown that may be: an alias where it is harmless takes nothing away from that. */
  readonly hidden: { readonly start: number; readonly end: number; readonly sight: Sight }[];
}

/**
 * By what c3.yaml may say, `language.ts`: a value is shown where one belongs that is no secret, and nowhere else. A key that is
 * misspelt, in the wrong place or unknown to c3 shows none, and neither does a text that is not YAML.
 */
export function findSights(document: Document.Parsed, text: string): (offset: number) => Sight {
  const { anchors, aliases } = findAnchors(document.contents);
  const painting: Painting = {
    text,
    sights: Array.from({ length: text.length }, () => 'keys'),
    isBroken:
      document.errors.length > 0 || [...anchors.values()].flat().length > MAX_ANCHORS || isCutInBraces(document, text),
    anchors,
    containers: new Set(),
    seen: new Set(),
    hidden: [],
  };
  addContainers(document.contents, painting);
  walkMapping(document.contents, pipelineVocabulary, painting);
  for (const { start, end, sight } of painting.hidden) painting.sights.fill(sight, start, end);
  if (!painting.isBroken) hideTargets(aliases, painting);
  return (offset) => painting.sights[offset] ?? 'keys';
}

/** In braces a comment may take the end of a value with it, and its key: what follows it in the next line is then of another. */
function isCutInBraces({ contents }: Document.Parsed, text: string): boolean {
  return isCollection(contents) && contents.flow === true && /(?:^|\s)#/.test(text);
}

/** Whether a sealed value belongs there, or several. */
export function isSecret(shape: Shape): boolean {
  if (shape.kind === 'mapping') return shape.or === 'sealed';
  return shape.kind === 'sealed' || (shape.kind === 'variables' && shape.values === 'sealed');
}

function walkMapping(node: unknown, vocabulary: Vocabulary, painting: Painting): void {
  for (const { name, pair } of takeEntries(node, painting)) {
    const shape = vocabulary.keys.get(name)?.shape;
    if (shape !== undefined) walkValue(pair, shape, painting);
    else if (name === '<<' && vocabulary !== pipelineVocabulary) {
      for (const source of findSources(pair, painting)) walkMapping(source, vocabulary, painting);
    } else if (vocabulary === pipelineVocabulary && secretKeys.has(name)) hide(pair, 'keys', painting);
  }
}

function walkValue(pair: Pair, shape: Shape, painting: Painting): void {
  if (isSecret(shape)) return walkSecret(pair, shape, painting);
  // Of variables too only the names are shown: nobody knows what they hold.
  if (shape.kind === 'variables') return;
  const value = follow(pair.value, painting);
  if (shape.kind === 'pod') showJob(value, painting);
  else if (shape.kind === 'stages' || shape.kind === 'steps') walkSteps(value, shape, painting);
  else if (shape.kind === 'mapping') walkMapping(value, shape.vocabulary, painting);
  else if (isText(value)) show(pair, painting);
}

/** The names of secrets are none; nor is what stands beside a sealed value, where c3 knows it. */
function walkSecret(pair: Pair, shape: Shape, painting: Painting): void {
  if (!isMap(pair.value) || shape.kind === 'sealed') return hide(pair, 'marks', painting);
  for (const { name, pair: inner } of takeEntries(pair.value, painting)) {
    const known = shape.kind === 'mapping' ? shape.vocabulary.keys.get(name)?.shape : undefined;
    if (known === undefined) hide(inner, 'marks', painting);
    else walkValue(inner, known, painting);
  }
}

function walkSteps(value: unknown, list: Shape, painting: Painting): void {
  if (!isSeq(value)) return walkStep(value, list, painting);
  let [end] = rangeOf(value);
  for (const item of value.items) {
    const [start, , nodeEnd] = rangeOf(item);
    reveal([end, start], painting);
    end = nodeEnd;
    walkStep(follow(item, painting), list, painting);
  }
}

function walkStep(step: unknown, list: Shape, painting: Painting): void {
  for (const { name, pair } of takeEntries(step, painting)) {
    const shape = stepVocabulary.keys.get(name)?.shape;
    if (name === '<<') {
      for (const source of findSources(pair, painting)) walkStep(source, list, painting);
    } else if (shape === undefined) {
      if (painting.containers.has(name)) walkValue(pair, { kind: 'command' }, painting);
    } else if (shape.kind !== 'steps' || list.kind === 'stages') walkValue(pair, shape, painting);
  }
}

/** The cluster reads it as it stands; c3 does not know its words. */
function showJob(job: unknown, painting: Painting): void {
  if (!isMap(job)) return;
  reveal(rangeOf(job), painting);
  const waiting: unknown[] = [job];
  while (waiting.length > 0) {
    const node = waiting.pop();
    for (const item of isCollection(node) ? node.items : []) {
      if (!isPair(item)) waiting.push(item);
      else if (item.value === null) hide(item, 'marks', painting);
      else if (node === job && !podKeys.has(nameOf(item))) hide(item, 'keys', painting);
      else if (secretKeys.has(nameOf(item))) hide(item, 'marks', painting);
      else waiting.push(item.value);
    }
  }
}

/** The container's command is known by its container's name. */
function addContainers(root: unknown, painting: Painting): void {
  let node = root;
  for (const key of ['job', 'spec', 'containers']) node = childOf(node, key, painting);
  for (const item of isSeq(node) ? node.items : []) {
    const name = childOf(item, 'name', painting);
    if (isScalar(name) && typeof name.value === 'string') painting.containers.add(name.value);
  }
}

function childOf(node: unknown, key: string, painting: Painting): unknown {
  const map = targetOf(node, painting);
  const pair = isMap(map) ? map.items.find((item) => nameOf(item) === key) : undefined;
  return targetOf(pair?.value, painting);
}

/** The entries of a mapping, the first time that it is asked for. */
function takeEntries(node: unknown, { seen }: Painting): readonly { readonly name: string; readonly pair: Pair }[] {
  if (!isMap(node) || seen.has(node)) return [];
  seen.add(node);
  return node.items.map((pair) => ({ name: nameOf(pair), pair }));
}

function nameOf({ key }: Pair): string {
  return isScalar(key) ? String(key.value) : '';
}

/** What a merge key brings in. */
function findSources(pair: Pair, painting: Painting): readonly unknown[] {
  show(pair, painting);
  return (isSeq(pair.value) ? pair.value.items : [pair.value]).map((source) => follow(source, painting));
}

/** What an alias names; the alias is shown with it. Where anchors bear one name, nothing is. */
function follow(node: unknown, painting: Painting): unknown {
  if (isAlias(node)) reveal(rangeOf(node), painting);
  return targetOf(node, painting);
}

function targetOf(node: unknown, { anchors }: Painting): unknown {
  if (!isAlias(node)) return node;
  const [target, ...others] = anchors.get(node.source) ?? [];
  return others.length === 0 ? target : undefined;
}

/** Or a list of texts: what should be one of the two, and is a mapping, may have come there by mistake. */
function isText(node: unknown): boolean {
  return isScalar(node) || isAlias(node) || (isSeq(node) && node.items.every(isText));
}

/** From its key on, with a comment behind it in the same line; and what it is an alias of. */
function show({ key, value }: Pair, painting: Painting): void {
  const { text } = painting;
  const [, end] = rangeOf(value);
  const comment = /[ \t]+#[^\n]*/y;
  comment.lastIndex = end;
  const rest = text[end - 1] === '\n' ? undefined : comment.exec(text)?.[0];
  reveal([rangeOf(key)[1], end + (rest?.length ?? 0)], painting);
  const target = isAlias(value) ? targetOf(value, painting) : undefined;
  if (target === undefined || painting.seen.has(target)) return;
  painting.seen.add(target);
  reveal(rangeOf(target), painting);
}

/** From its key on, with what stands between the two and behind the value: a tag, an anchor, a comment. Without a colon, the key. */
function hide({ key, value }: Pair, sight: Sight, painting: Painting): void {
  const [start, end] = rangeOf(key);
  painting.hidden.push(value === null ? { start, end, sight } : { start: end, end: rangeOf(value)[2], sight });
}

function reveal([start, end]: readonly [number, number, ...unknown[]], painting: Painting): void {
  if (!painting.isBroken) painting.sights.fill('all', start, end);
}

function rangeOf(node: unknown): readonly [start: number, valueEnd: number, nodeEnd: number] {
  return (isNode(node) ? node.range : undefined) ?? [0, 0, 0];
}

/**
 * A secret may stand far from its key. What an alias names is seen as little as the alias; where several anchors bear its name,
 * all of them; and so is what they name in their turn.
 */
function hideTargets(aliases: readonly Alias[], { sights, anchors }: Painting): void {
  const hidden = new Set<string>();
  for (let count = -1; count < hidden.size;) {
    count = hidden.size;
    for (const alias of aliases) {
      const sight = sights[rangeOf(alias)[0]] ?? 'keys';
      const name = `${sight} ${alias.source}`;
      if (sight === 'all' || hidden.has(name)) continue;
      hidden.add(name);
      for (const target of anchors.get(alias.source) ?? []) {
        const [start, , end] = rangeOf(target);
        for (let at = start; at < end; at++) if (sights[at] !== 'marks') sights[at] = sight;
      }
    }
  }
}
