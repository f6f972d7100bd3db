import { createHmac, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Browser, Page } from 'playwright-core';
import { parse } from 'yaml';
import { readConfig } from '../../src/config/index.ts';
import { createC3, type C3 } from '../../src/cli/create-c3.ts';
import {
  deriveWebhookSecret,
  formatSecret,
  openSealed,
  parseKeyring,
  parsePurpose,
  parseScope,
} from '../../src/sealing/index.ts';
import { openBrowser } from './browser.ts';

const SCOPE = parseScope('github.com/acme/shop');
const secret = formatSecret(randomBytes(32));
const keyring = parseKeyring(secret);
const silent = { info: () => {}, warn: () => {}, error: () => {} };

let c3: C3;
let browser: Browser;
let page: Page;
/** Every request that the page made. */
let requests: string[];
/** The errors in the browser's console: violations of the policy, and exceptions that no code caught. */
let complaints: string[];

beforeAll(async () => {
  const config = readConfig(
    { C3_SECRET: secret, C3_ALLOW_REPOS: '**', C3_PORT: '0', C3_HOST: '127.0.0.1' },
    {},
    () => '',
  );
  [c3, browser] = await Promise.all([createC3(config, silent), openBrowser()]);
});

afterAll(async () => {
  await browser.close();
  await c3.close(new AbortController().signal);
});

beforeEach(async () => {
  [requests, complaints] = [[], []];
  const context = await browser.newContext({ permissions: ['clipboard-read', 'clipboard-write'] });
  page = await context.newPage();
  page.on('request', (request) => void requests.push(`${request.method()} ${new URL(request.url()).pathname}`));
  page.on('console', (message) => {
    if (message.type() === 'error' && !message.text().includes('favicon')) complaints.push(message.text());
  });
  page.on('pageerror', (error) => void complaints.push(error.message));
  await page.goto(c3.origin);
  return () => context.close();
});

async function fill(values: { repo: string; for: string; name?: string; ref?: string; value: string }): Promise<void> {
  await page.getByLabel('Repository').fill(values.repo);
  await page.getByLabel('For').selectOption(values.for);
  if (values.name !== undefined) await page.getByLabel('Name').fill(values.name);
  if (values.ref !== undefined) await page.getByLabel('Ref').fill(values.ref);
  await page.getByLabel('Value').fill(values.value);
  await page.getByRole('button', { name: 'Seal' }).click();
}

describe('the start page', () => {
  test('seals a token into a hook URL that this c3 opens, with its webhook secret, and sends nothing', async () => {
    await fill({ repo: 'https://github.com/Acme/Shop.git', for: 'hook', value: 'ghp_abcdefgh12345678\n' });
    const [url = '', webhookSecret] = await page.locator('#sealed code').allTextContents();
    const key = new URL(url).searchParams.get('key') ?? '';
    const opened = await openSealed(keyring, key, { scope: SCOPE, purpose: { kind: 'hook' } });
    expect(opened.plaintext).toBe('ghp_abcdefgh12345678');
    expect(new URL(url).searchParams.get('repo')).toBe('acme/shop');
    expect(webhookSecret).toBe(deriveWebhookSecret('ghp_abcdefgh12345678', SCOPE));
    expect(requests.filter((request) => !request.endsWith('/favicon.ico'))).toStrictEqual(['GET /']);
    expect(complaints).toStrictEqual([]);
  });

  test('also shows the secret in the form that GitLab wants', async () => {
    await fill({ repo: 'gitlab.com/acme/web/shop', for: 'hook', value: 'glpat-abcdefgh12345678' });
    const [, webhookSecret = '', signingToken] = await page.locator('#sealed code').allTextContents();
    expect(signingToken).toBe(`whsec_${Buffer.from(webhookSecret, 'base64url').toString('base64')}`);
  });

  test('makes a hook URL that answers a signed ping', async () => {
    await fill({ repo: 'github.com/acme/shop', for: 'hook', value: 'ghp_abcdefgh12345678' });
    const [url = '', webhookSecret = ''] = await page.locator('#sealed code').allTextContents();
    const body = JSON.stringify({ zen: 'Keep it simple', repository: { full_name: 'acme/shop' } });
    const { search } = new URL(url);
    const answer = await fetch(`${c3.origin}/hook${search}`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'x-github-event': 'ping',
        'x-hub-signature-256': `sha256=${createHmac('sha256', webhookSecret).update(body).digest('hex')}`,
      },
      body,
    });
    expect(await answer.text()).toBe('pong: the webhook of github.com/acme/shop works\n');
  });

  test('seals a secret for its name, copies it and clears the value', async () => {
    await fill({ repo: 'github.com/acme/shop', for: 'secret', name: 'DEPLOY_KEY', value: 'größe\nline 2' });
    await page.getByRole('button', { name: 'Copy DEPLOY_KEY' }).click();
    await page.getByText('Copied').waitFor();
    const token = await page.evaluate<string>('navigator.clipboard.readText()');
    const opened = await openSealed(keyring, token, { scope: SCOPE, purpose: { kind: 'secret', name: 'DEPLOY_KEY' } });
    expect(opened.plaintext).toBe('größe\nline 2');
    await page.getByText('c3 does not hide 2 lines of this value in logs').waitFor();
    expect(await page.getByLabel('Value').inputValue()).toBe('');
    expect(complaints).toStrictEqual([]);
  });

  test('shows commands whole on a phone, copies them, and leads to the documents', async () => {
    await page.setViewportSize({ width: 390, height: 800 });
    expect(await page.evaluate<number>('document.documentElement.scrollWidth')).toBe(390);
    const cut = `[...document.querySelectorAll('pre')].filter((pre) => pre.scrollWidth > pre.clientWidth).length`;
    expect(await page.evaluate<number>(cut)).toBe(0);
    await page.locator('.copyable').first().getByRole('button', { name: 'Copy' }).click();
    await page.getByText('Copied').waitFor();
    expect(await page.evaluate<string>('navigator.clipboard.readText()')).toBe(
      `c3 encrypt \\\n  --public-key ${c3.origin.replace('127.0.0.1', 'localhost')} \\\n  --repo github.com/acme/shop \\\n  --for k8s < kubeconfig`,
    );
    await page.getByRole('link', { name: 'get started' }).click();
    await page.getByText('# Get started').waitFor();
    await page.getByRole('link', { name: 'docs', exact: true }).click();
    await page.waitForURL('**/docs/README.md');
    expect(complaints).toStrictEqual([]);
  });

  test('shows an error as a page', async () => {
    const answer = await page.goto(`${c3.origin}/b/kS.incomplete`);
    expect(answer?.status()).toBe(401);
    await page.getByText('This link does not open').waitFor();
    await page.getByRole('link', { name: 'What is c3?' }).click();
    await page.getByLabel('Repository').waitFor();
  });

  test.each([
    ['k8s', undefined],
    ['secret', 'NPM_TOKEN'],
  ])('seals %s for a ref, and shows the lines of c3.yaml to copy', async (purpose, name) => {
    const values = {
      repo: 'github.com/acme/shop',
      for: purpose,
      ref: 'refs/tags/{v*,größe}',
      value: 'clusters: contexts: users: 1',
    };
    await fill({ ...values, ...(name === undefined ? {} : { name }) });
    await page.getByRole('button', { name: 'Copy c3.yaml' }).click();
    await page.getByText('Copied').waitFor();
    const copied = await page.evaluate<string>('navigator.clipboard.readText()');
    const [, token = ''] = /value: (\S+)/.exec(copied) ?? [];
    const written = { value: token, ref: values.ref };
    expect(parse(copied)).toStrictEqual(name === undefined ? { k8s: written } : { secrets: { [name]: written } });
    const bound = {
      scope: SCOPE,
      purpose: parsePurpose(name === undefined ? purpose : `secret:${name}`),
      ref: values.ref,
    };
    expect((await openSealed(keyring, token, bound)).plaintext).toBe('clusters: contexts: users: 1');
    await expect(openSealed(keyring, token, { ...bound, ref: undefined })).rejects.toThrow('does not open');
    expect(complaints).toStrictEqual([]);
  });

  test('asks for no ref for a hook, and ignores one that was typed before', async () => {
    await page.getByLabel('For').selectOption('k8s');
    await page.getByLabel('Ref').fill('refs/heads/main');
    await fill({ repo: 'github.com/acme/shop', for: 'hook', value: 'ghp_abcdefgh12345678' });
    expect(await page.getByLabel('Ref').isVisible()).toBe(false);
    const [url = ''] = await page.locator('#sealed code').allTextContents();
    const key = new URL(url).searchParams.get('key') ?? '';
    expect(await openSealed(keyring, key, { scope: SCOPE, purpose: { kind: 'hook' } })).toMatchObject({
      plaintext: 'ghp_abcdefgh12345678',
    });
  });

  test.each([
    [
      { repo: 'github.com/a/b', for: 'k8s', ref: 'main', value: 'x' },
      'The ref must begin with refs/heads/ or refs/tags/, for example refs/heads/main or refs/tags/v*',
    ],
    [{ repo: 'nonsense', for: 'hook', value: 'ghp_abc' }, 'The repository must have the form HOST/OWNER/NAME'],
    [
      { repo: 'github.com/a/b', for: 'hook', value: 'two words' },
      'An access token contains only ASCII letters, digits and punctuation, and no spaces',
    ],
    [{ repo: 'github.com/a/b', for: 'k8s', value: ' ' }, 'The value is empty'],
    [{ repo: 'github.com/a/b', for: 'k8s', value: 'hello' }, 'This is not a kubeconfig: it has no "clusters"'],
  ])('reports what is wrong with %o', async (values, sentence) => {
    await fill(values);
    await page.getByRole('alert').filter({ hasText: sentence }).waitFor();
    expect(await page.locator('#answer').isVisible()).toBe(false);
  });

  test('explains what to do when the hook URL may be too long for GitHub', async () => {
    await fill({ repo: `github.com/acme/${'x'.repeat(60)}`, for: 'hook', value: `github_pat_${'a'.repeat(82)}` });
    expect(await page.locator('#too-long').isVisible()).toBe(true);
  });

  test('works with only a keyboard', async () => {
    await page.getByLabel('Repository').focus();
    await page.keyboard.type('github.com/acme/shop');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Tab');
    await page.keyboard.type('ghp_abcdefgh12345678');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.locator('#answer').waitFor();
    expect(await page.locator(':focus').getAttribute('id')).toBe('answer');
  });

  test('shows everything except the form without a script', async () => {
    const context = await browser.newContext({ javaScriptEnabled: false });
    const plain = await context.newPage();
    await plain.goto(c3.origin);
    expect(await plain.locator('form').isVisible()).toBe(false);
    expect(await plain.getByText('--public-key http').isVisible()).toBe(true);
    await context.close();
  });
});
