import { expect, test } from 'vitest';
import { HtmlError, parseTelegramHtml } from './html.ts';

test.each([
  ['a <b>bold <i>both</i></b> &lt;&gt;&amp;&quot;&#33;&#x21;', 'a bold both <>&"!!'],
  ['<a href="https://x.example/?a=1&amp;b=2">link</a>', 'link'],
  ['<pre><code class="language-sh">ls</code></pre><code>x</code>', 'lsx'],
  ['<blockquote expandable>q <code>c</code></blockquote><blockquote>r</blockquote>', 'q cr'],
  ['<span class="tg-spoiler">s</span><tg-spoiler>t</tg-spoiler>', 'st'],
])('reads %s', (source, text) => {
  expect(parseTelegramHtml(source).text).toBe(text);
});

test.each([
  ['é<p>x</p>', 'Unsupported start tag "p" at byte offset 2'],
  ['<constructor>', 'Unsupported start tag "constructor" at byte offset 0'],
  ['a << b', 'Unclosed start tag at byte offset 2'],
  ['<b', 'Unclosed start tag at byte offset 0'],
  ['<b>x</b', 'Unclosed end tag at byte offset 4'],
  ['<b>x', 'Can\'t find end tag corresponding to start tag "b"'],
  ['x</b>', 'Unexpected end tag at byte offset 1'],
  ['<b><i>x</b></i>', 'Unmatched end tag at byte offset 7, expected "</i>", found "</b>"'],
  ['a & b', 'Unescaped "&" at byte offset 2'],
  ['a > b', 'Unescaped ">" at byte offset 0'],
  ['&nbsp;', 'Unsupported entity "&nbsp;" at byte offset 0'],
  ['&#0;', 'Unsupported character reference "&#0;" at byte offset 0'],
  ['<b class="x">y</b>', 'Unsupported attribute "class" in the tag "b" at byte offset 0'],
  ['<span>y</span>', 'Tag "span" must have class "tg-spoiler" at byte offset 0'],
  ['<a href="javascript:x">y</a>', 'Tag "a" must have a link as "href" at byte offset 0'],
  ['<pre><b>x</b></pre>', 'Tag "b" inside "pre"'],
  ['<code><i>x</i></code>', 'Tag "i" inside "code"'],
  ['<code class="language-sh">x</code>', 'Tag "code" with a class must be the only content of "pre"'],
  ['<blockquote>a<blockquote>b</blockquote></blockquote>', 'Tag "blockquote" inside "blockquote"'],
])('refuses %s', (source, message) => {
  expect(() => parseTelegramHtml(source)).toThrow(new HtmlError(message));
});
