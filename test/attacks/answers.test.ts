import { describe, expect, it } from 'vitest';
import { formatPipeline } from '../e2e/target.ts';
import { toPath, useOutsider } from './outsider.ts';

describe('A11 A response with active content', () => {
  const outsider = useOutsider();
  const { fixture } = outsider;

  it('has headers on every response that forbid loading, frames, forms, caching, sniffing and referrers', async () => {
    const hook = await fixture.setUp();
    const answers = await Promise.all([
      outsider.send('/', { method: 'GET' }),
      outsider.send('/healthz', { method: 'GET' }),
      outsider.send('/readyz', { method: 'GET' }),
      outsider.send('/.well-known/jwks.json', { method: 'GET' }),
      outsider.send('/no-such-page', { method: 'GET' }),
      outsider.send(`/encrypt?repo=${hook.user.scope}&for=secret:A`, { body: 'a value' }),
      outsider.send(`/encrypt?repo=${hook.user.scope}&for=hook`, {
        body: fixture.world.owner.token,
        headers: { accept: 'application/json' },
      }),
      outsider.send('/encrypt?repo=x', { body: 'a value' }),
      outsider.send(toPath(hook.url), { body: '{}' }),
      outsider.send('/hook?key=x', { body: '{}' }),
    ]);
    for (const { headers } of answers) {
      expect(headers).toMatchObject({
        'content-security-policy': expect.stringMatching(/default-src 'none'.*frame-ancestors 'none'/),
        'referrer-policy': 'no-referrer',
        'cache-control': 'no-store',
        'x-content-type-options': 'nosniff',
      });
      expect(headers['content-type']).not.toMatch(/html|javascript|svg|xml/);
      expect(headers).not.toHaveProperty('access-control-allow-origin');
      expect(headers).not.toHaveProperty('set-cookie');
    }
  });

  it('returns a path, a parameter or a name as text only', async () => {
    const script = '<script>alert(1)</script>';
    const paths = [
      `/${script}`,
      `/encrypt?repo=${script}&for=${script}`,
      `/encrypt?repo=a/b/c&for=${script}`,
      `/hook?key=aa.bb.cc.dd&repo=${script}`,
    ];
    for (const path of paths) {
      const { headers, status } = await outsider.send(encodeURI(path), { body: 'x' });
      expect(status).toBeGreaterThanOrEqual(400);
      expect(headers['content-type']).toBe('text/plain; charset=utf-8');
    }
  });

  it('has no header that a request injects', async () => {
    const hook = await fixture.setUp();
    const { headers } = await outsider.send(`/encrypt?repo=${hook.user.scope}&for=hook%0d%0aset-cookie:%20a=b`, {
      body: 'x',
    });
    expect(headers).not.toHaveProperty('set-cookie');
  });

  it('disables link previews in Telegram, and links only to web addresses', async () => {
    const hook = await fixture.setUp();
    await fixture.push(hook.user, { 'c3.yaml': formatPipeline(fixture.target, hook.k8s, '- main: echo') });
    const calls = fixture.world.telegram.calls.filter(({ method }) => /sendMessage|editMessageText/i.test(method));
    expect(calls.length).toBeGreaterThan(0);
    for (const { parameters } of calls) {
      expect(parameters['link_preview_options']).toEqual({ is_disabled: true });
      const links = [...String(parameters['text']).matchAll(/href="([^"]*)"/g)].map(([, href = '']) => href);
      expect(links.filter((href) => !href.startsWith(fixture.world.forge.origin))).toEqual([]);
    }
  });
});
