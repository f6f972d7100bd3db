import {
  closeDocument,
  escapeHtml,
  openDocument,
  readBrowserFiles,
  toDataElement,
  toSecurityPolicy,
  type Page,
} from './html.ts';

export interface StartPageOptions {
  /** c3's public base URL, without a trailing slash. */
  readonly baseUrl: string;
  /** The first key of `/.well-known/jwks.json`. */
  readonly publicKey: { readonly kid: string; readonly x: string };
}

const script = readBrowserFiles('start-page.js');
const style = readBrowserFiles('page.css');

/** Forms cannot send anything. */
const contentSecurityPolicy = toSecurityPolicy(script, style, { isInteractive: false });

/** Renders `GET /`: what c3 is, and a form that seals a value in the browser. Readable without a script. */
export function renderStartPage({ baseUrl, publicKey }: StartPageOptions): Page {
  const data = toDataElement('c3', { baseUrl, publicKey: { kid: publicKey.kid, x: publicKey.x } });
  const html = `${openDocument({ title: 'c3', style })}<main class="narrow">
<h1>c3</h1>
<p>A minimal, stateless CI/CD service for Kubernetes. A push starts a build in a Pod of your own cluster. One Telegram message
shows its progress. c3 stores nothing: secrets are sealed, and only this c3 can open them, only for their repository.
Supported forges: GitHub, on github.com and on your own server, Gitea, Forgejo and GitLab.</p>
<h2>Seal a value</h2>
<p class="quiet">This browser seals the value with this server's public key. Nothing that you type is sent anywhere.</p>
<form hidden autocomplete="off">
<label>Repository <input id="repo" required placeholder="github.com/acme/shop" spellcheck="false" autocapitalize="none"></label>
<label>For <select id="for">
<option value="hook">the webhook: an access token</option>
<option value="k8s">k8s: a kubeconfig</option>
<option value="secret">secrets: a variable of the steps</option>
<option value="telegram">telegram: a bot and a chat</option>
</select></label>
<label id="name-field" hidden>Name <input id="name" placeholder="DEPLOY_KEY" spellcheck="false" autocapitalize="none"></label>
<label id="ref-field" hidden>Ref (optional) <input id="ref" placeholder="refs/tags/v*" spellcheck="false" autocapitalize="none"></label>
<label>Value <textarea id="value" rows="4" required spellcheck="false" autocapitalize="none"></textarea></label>
<p class="quiet" data-for="hook">On GitHub, create a fine-grained token for this repository only. It needs <em>Contents</em> (read) and
<em>Commit statuses</em> (read and write), and its owner must be allowed to push.</p>
<p class="quiet" data-for="hook">On Gitea and Forgejo, create a token with the scopes <em>repository</em> (read and write) and <em>issue</em> (read).
Its user must be allowed to push.</p>
<p class="quiet" data-for="hook">On GitLab, create a project access token with the scope <code>api</code>. Its role must be allowed to push to the branches:
Maintainer, for protected ones.</p>
<p class="quiet" data-for="k8s" hidden>The output of <code>kubectl config view --raw --minify --flatten</code>, for a service account with only
the rights that builds need.</p>
<p class="quiet" data-for="secret" hidden>Every step has it in its environment. c3 masks it wherever it shows output.
With a ref, only builds of matching branches or tags open it: <code>refs/heads/main</code>, <code>refs/tags/v*</code>.</p>
<p class="quiet" data-for="telegram" hidden>JSON: <code>{"token": "123:abc", "chat": -100123, "thread": 45}</code>; <code>thread</code> is optional.</p>
<button>Seal</button>
<p id="fault" role="alert"></p>
</form>
<section id="answer" tabindex="-1" aria-label="Sealed" hidden>
<h2>Sealed</h2>
<dl id="sealed"></dl>
<p id="warning"></p>
<p id="too-long" hidden><strong>This URL is longer than 255 characters</strong>, and GitHub may cut it. Seal on the server instead, which
makes a shorter URL, or check the URL of the webhook after you have saved it.</p>
<p data-for="hook">Next: on GitHub, open <em>Settings → Webhooks → Add webhook</em>. Enter this URL and secret, content type
<code>application/json</code>, and only the push event. GitHub sends a ping, and c3 answers that the webhook works.</p>
<p data-for="hook">Next: on Gitea and Forgejo, open <em>Settings → Webhooks → Add webhook</em>. Enter this URL and secret, content type
<code>application/json</code>, and push events. <em>Test delivery</em> shows that the webhook works.</p>
<p data-for="hook">Next: on GitLab, open <em>Settings → Webhooks → Add new webhook</em>. Enter this URL and the signing token; before GitLab
19, enter the secret as the secret token. Select push events and tag push events.</p>
<p data-for="k8s" hidden>Next: add it to c3.yaml as <code>k8s:</code>, commit and push.</p>
<p data-for="secret" hidden>Next: add it to c3.yaml below <code>secrets:</code>. c3 opens it only under this name.</p>
<p data-for="telegram" hidden>Next: add it to c3.yaml as <code>telegram:</code>.</p>
</section>
<h2>Seal without a browser</h2>
<p>On your machine, with the public key:</p>
${renderCommand('c3 encrypt', [`--public-key ${baseUrl}`, '--repo github.com/acme/shop', '--for k8s < kubeconfig'])}
<p>Or on the server:</p>
${renderCommand('curl --data-binary @token', [`'${baseUrl}/encrypt?repo=github.com/acme/shop&for=hook'`])}
<p><a href="/docs/README.md">Documents</a>: <a href="/docs/get-started.md">get started</a>,
<a href="/docs/c3-yaml.md">c3.yaml</a>, <a href="/docs/sealing.md">sealing</a>, <a href="/docs/security.md">security</a>.</p>
<p>Public key: <a href="/.well-known/jwks.json">/.well-known/jwks.json</a>. Schema of c3.yaml for editors:
<a href="/schema.json">/schema.json</a>.</p>
</main>
${data}
${closeDocument(script)}`;
  return { html, contentSecurityPolicy };
}

/** Renders a command in several lines, so that a phone shows it whole. The script of the page adds the copying. */
function renderCommand(program: string, words: readonly string[]): string {
  const text = [program, ...words].join(' \\\n  ');
  return `<div class="copyable"><pre><code>${escapeHtml(text)}</code></pre><button type="button" class="copy" hidden>Copy</button></div>`;
}
