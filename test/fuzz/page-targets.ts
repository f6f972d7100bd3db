import * as fc from 'fast-check';
import type { BuildLink } from '../../src/build/index.ts';
import { createBuild } from '../fakes/sample-build.ts';
import { FIRST_LINE, renderLines } from '../../src/show/log-html.ts';
import { renderOpening } from '../../src/show/page-document.ts';
import { renderParts, type PageOptions } from '../../src/show/page-parts.ts';
import { toStepIds } from '../../src/show/page-steps.ts';
import { formatPositions, parsePositions } from '../../src/server/log-positions.ts';
import { readLine, toPlainText } from '../../src/terminal/text.ts';
import { anyText, mutated } from './arbitraries.ts';
import { output, state } from './report-targets.ts';
import { defineTarget, ensure, type Target } from './target.ts';

/** The only markup that the page writes around a line's text. */
const LINE_MARKUP =
  /<li id=s-L\d+>|<span class=(?:[a-z0-9]+|"[a-z0-9 ]+")>|<\/span>|<a href="https?:[^"<>]*" rel="noopener noreferrer nofollow">|<\/a>/g;
const ORDER: PageOptions = { sealed: 'AA.b.c.d', address: '', canControl: true, nonce: 'n'.repeat(22), now: 1 };
const LINK: BuildLink = {
  right: 'view',
  build: createBuild({ id: '1f2e3d4c5b6a' }),
  token: 'ghp_of-nobody',
};
const genuine = formatPositions(
  new Map([[0, { kind: 'part', attempt: 1, log: { offset: 99, pieces: 0 }, lines: FIRST_LINE }]]),
  LINK,
);

export const pageTargets: readonly Target[] = [
  defineTarget('log-html', fc.array(output, { maxLength: 5 }), (texts) => {
    const lines = texts.flatMap((text) => text.split('\n')).map((text) => ({ text, seconds: undefined }));
    const html = renderLines(lines, { id: 's', from: FIRST_LINE })
      .chunks.map((chunk) => chunk.html)
      .join('');
    const text = html.replaceAll(LINE_MARKUP, '');
    ensure(!/[<>"]|&(?!amp;|lt;|gt;|quot;)/.test(text), 'no output becomes markup');
    ensure(html.split('<li').length - 1 === lines.length, 'a line is one line');
    for (const line of lines) {
      const shown = readLine(line.text).replaceAll('\t', '    ').trim();
      ensure(shown === '' || toPlainText(line.text).trim() === shown, 'a page and a message show the same text');
    }
  }),

  defineTarget('build-page-html', state, (one) => {
    const view = { state: one, isLed: false };
    const page = renderOpening(view, ORDER);
    const inside = [page.slice(page.indexOf('</style>')), ...renderParts(view, ORDER).values()].join('');
    const tags = inside.match(/<[^>]*>/g) ?? [];
    const allowed =
      /^<(?:\/?(?:style|head|body|main|div|p|h[1-3]|span|a|code|time|pre|section|label|button|details|summary|form|svg|ul|li)|input|circle|path)[ >]/;
    ensure(
      tags.every((tag) => allowed.test(tag)),
      'no text becomes an element',
    );
    ensure(
      !/href="(?!https?:\/\/|AA\.b\.c\.d\/|data:image)/.test(inside),
      'a link is a web address or the link to its log',
    );
  }),

  defineTarget('step-ids', fc.array(anyText, { maxLength: 20 }), (names) => {
    const ids = toStepIds(names);
    ensure(new Set(ids).size === names.length, 'ids are unique');
    ensure(
      ids.every((id) => /^[a-z0-9_.-]{1,50}$/.test(id)),
      'an id needs no escape',
    );
  }),

  defineTarget(
    'log-positions',
    mutated([genuine, formatPositions(new Map(), LINK), 'AAAAAAAAAAAAAAAA.0.1']),
    (text) => {
      const positions = parsePositions(text, LINK);
      // Base64 can encode the same proof in more than one way.
      const rest = text.slice(text.indexOf('.'));
      const isGenuine = positions === undefined || formatPositions(positions, LINK).slice(16) === rest;
      ensure(isGenuine, 'a position was issued by c3');
    },
  ),
];
