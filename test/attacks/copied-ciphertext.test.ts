import { describe, expect, it } from 'vitest';
import { formatPipeline } from '../e2e/target.ts';
import type { SetUp } from '../e2e/fixture.ts';
import { useOutsider } from './outsider.ts';

describe('A1 A sealed value that is copied to another place', () => {
  const outsider = useOutsider();
  const { fixture } = outsider;

  const CLOSED = 'it is damaged, or was sealed for another repository or purpose';

  /**
   * Pushes a c3.yaml with the value to the attacker's own repository. The rest of the file is valid. Returns the
   * commit status.
   */
  async function push(mine: SetUp, { k8s = mine.k8s, extra = '' }: { k8s?: string; extra?: string }): Promise<string> {
    let told = '';
    await outsider.spare(async () => {
      const source = formatPipeline(fixture.target, k8s, '- main: env', extra);
      const { status, text } = await fixture.push(mine.user, { 'c3.yaml': source });
      expect(text).toContain(CLOSED);
      told = `${status.state}: ${status.description}`;
    });
    return told;
  }

  it("refuses another repository's kubeconfig", async () => {
    const [mine, other] = [await fixture.setUp(), await fixture.setUp()];
    expect(await push(mine, { k8s: other.k8s })).toContain('error: config error: c3.yaml: k8s: ');
  });

  it("refuses another repository's secret under its own name", async () => {
    const [mine, other] = [await fixture.setUp(), await fixture.setUp()];
    const stolen = await other.user.seal('secret:DEPLOY_KEY', 'correct horse battery');
    expect(await push(mine, { extra: `secrets: {DEPLOY_KEY: ${stolen}}\n` })).toContain(
      'error: config error: c3.yaml: secrets.DEPLOY_KEY: ',
    );
  });

  it("refuses another repository's Telegram destination", async () => {
    const [mine, other] = [await fixture.setUp(), await fixture.setUp()];
    const { bot, chat } = fixture.world;
    const stolen = await other.user.seal('telegram', JSON.stringify({ token: bot, chat }));
    expect(await push(mine, { extra: `telegram: ${stolen}\n` })).toContain('error: config error: c3.yaml: telegram: ');
  });

  it('refuses the kubeconfig as a secret of the steps', async () => {
    const mine = await fixture.setUp();
    expect(await push(mine, { extra: `secrets: {KUBECONFIG_TEXT: ${mine.k8s}}\n` })).toContain(
      'error: config error: c3.yaml: secrets.KUBECONFIG_TEXT: ',
    );
  });

  it('refuses the access token of the hook URL as a secret of the steps', async () => {
    const mine = await fixture.setUp();
    const key = new URL(mine.url).searchParams.get('key') ?? '';
    expect(await push(mine, { extra: `secrets: {TOKEN: ${key}}\n` })).toContain(
      'error: config error: c3.yaml: secrets.TOKEN: ',
    );
  });

  it('refuses a secret under the name of another secret', async () => {
    const mine = await fixture.setUp();
    const sealed = await mine.user.seal('secret:PROD_KEY', 'correct horse battery');
    expect(await push(mine, { extra: `secrets: {TEST_KEY: ${sealed}}\n` })).toContain(
      'error: config error: c3.yaml: secrets.TEST_KEY: ',
    );
  });

  it('refuses a secret under its name in another case', async () => {
    const mine = await fixture.setUp();
    const sealed = await mine.user.seal('secret:PROD_KEY', 'correct horse battery');
    expect(await push(mine, { extra: `secrets: {prod_key: ${sealed}}\n` })).toContain(
      'error: config error: c3.yaml: secrets.prod_key: ',
    );
  });

  it('refuses a secret as the kubeconfig', async () => {
    const mine = await fixture.setUp();
    const sealed = await mine.user.seal('secret:K8S', fixture.target.kubeconfig);
    expect(await push(mine, { k8s: sealed })).toContain('error: config error: c3.yaml: k8s: ');
  });

  it('refuses a value of a repository with the same name on another forge', async () => {
    const mine = await fixture.setUp();
    const answer = await outsider.send(`/encrypt?repo=github.com/${mine.user.fullName}&for=k8s`, {
      body: fixture.target.kubeconfig,
    });
    expect(answer.status).toBe(200);
    expect(await push(mine, { k8s: answer.text })).toContain('error: config error: c3.yaml: k8s: ');
  });

  it('refuses a value of a repository whose name starts with the same letters', async () => {
    const mine = await fixture.setUp();
    const answer = await outsider.send(`/encrypt?repo=${mine.user.scope}0&for=k8s`, {
      body: fixture.target.kubeconfig,
    });
    expect(answer.status).toBe(200);
    expect(await push(mine, { k8s: answer.text })).toContain('error: config error: c3.yaml: k8s: ');
  });

  it('has no route that opens a sealed value or seals it again', async () => {
    const { k8s } = await fixture.setUp();
    for (const path of ['/decrypt', '/open', '/rotate', '/reencrypt', '/re-encrypt', '/v1/rotate', '/unseal']) {
      for (const method of ['GET', 'POST', 'PUT']) {
        const answer = await outsider.send(`${path}?for=k8s`, method === 'GET' ? { method } : { method, body: k8s });
        expect({ path, status: answer.status }).toEqual({ path, status: 404 });
      }
    }
  });

  it('reads the repository and the purpose of a new value only from the query, never from the text to seal', async () => {
    const mine = await fixture.setUp();
    const body = JSON.stringify({ repo: 'github.com/acme/victim', for: 'k8s', value: 'x'.repeat(20) });
    const { text } = await outsider.send(`/encrypt?repo=${mine.user.scope}&for=secret:A`, {
      body,
      headers: { 'content-type': 'application/json', 'x-repo': 'github.com/acme/victim' },
    });
    const source = formatPipeline(fixture.target, mine.k8s, `- main: test "$A" = '${body}'`, `secrets: {A: ${text}}\n`);
    expect(await fixture.push(mine.user, { 'c3.yaml': source })).toMatchObject({ status: { state: 'success' } });
  });
});
