import { escapeHtml, readBrowserFile, toDataElement, toSecurityPolicy, type Page } from './html.ts';

export interface StartPageOptions {
  /** c3's public base URL, without a slash at its end. */
  readonly baseUrl: string;
  /** The key to seal with, as `/.well-known/jwks.json` has it first. */
  readonly publicKey: { readonly kid: string; readonly x: string };
}

const script = readBrowserFile('start-page.js');
const style = readBrowserFile('start-page.css');

/** No form of it can send anything. */
const contentSecurityPolicy = toSecurityPolicy(script, style);

/** `GET /`: what c3 is, a form that seals in the browser and sends nothing, and what to do next. Readable without a script. */
export function renderStartPage({ baseUrl, publicKey }: StartPageOptions): Page {
  const data = toDataElement('c3', { baseUrl, publicKey: { kid: publicKey.kid, x: publicKey.x } });
  const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>c3</title>
<style>${style}</style>
</head>
<body>
<main>
<h1>c3</h1>
<p>A minimal, stateless CI/CD service for Kubernetes. A push becomes a build in a Pod of your own cluster, and one Telegram
message that changes as the build goes on. c3 keeps nothing: what it must know of a repository is sealed, so that only this c3
opens it, only for that repository. The forges it serves so far: GitHub, on github.com and on your own server.</p>
<h2>Seal a value</h2>
<p class="quiet">It is sealed in this browser, with this server's public key. What you type is sent nowhere.</p>
<form hidden autocomplete="off">
<label>Repository <input id="repo" required placeholder="github.com/acme/shop" spellcheck="false" autocapitalize="none"></label>
<label>For <select id="for">
<option value="hook">the webhook: an access token</option>
<option value="k8s">k8s: a kubeconfig</option>
<option value="secret">secrets: a variable of the steps</option>
<option value="telegram">telegram: a bot and a chat</option>
</select></label>
<label id="name-field" hidden>Name <input id="name" placeholder="DEPLOY_KEY" spellcheck="false" autocapitalize="none"></label>
<label>Value <textarea id="value" rows="4" required spellcheck="false" autocapitalize="none"></textarea></label>
<p class="quiet" data-for="hook">On GitHub: a fine-grained token for this one repository, with <em>Contents</em> read and <em>Commit statuses</em> read and write, of somebody who may push.</p>
<p class="quiet" data-for="k8s" hidden>Of a service account with no more rights than builds need, as <code>kubectl config view --raw --minify --flatten</code> prints it.</p>
<p class="quiet" data-for="secret" hidden>Every step finds it in its environment. It is masked in everything c3 shows.</p>
<p class="quiet" data-for="telegram" hidden>JSON: <code>{"token": "123:abc", "chat": -100123, "thread": 45}</code>; the thread may be left out.</p>
<button>Seal</button>
<p id="fault" role="alert"></p>
</form>
<section id="answer" tabindex="-1" aria-label="Sealed" hidden>
<h2>Sealed</h2>
<dl id="sealed"></dl>
<p id="too-long" hidden><strong>This URL is longer than 255 characters</strong>, and GitHub has been seen to cut there. Seal on the server
instead, which makes a shorter one, or look at the webhook after you have saved it.</p>
<p data-for="hook">Next: on GitHub, <em>Settings → Webhooks → Add webhook</em>, with this URL and secret, content type
<code>application/json</code>, only the push event. GitHub sends a ping, and c3 answers that the webhook works.</p>
<p data-for="k8s" hidden>Next: put it into c3.yaml as <code>k8s:</code>, commit and push.</p>
<p data-for="secret" hidden>Next: put it into c3.yaml, below <code>secrets:</code>. It opens under this name only.</p>
<p data-for="telegram" hidden>Next: put it into c3.yaml as <code>telegram:</code>.</p>
</section>
<h2>The same without a browser</h2>
<p>On your machine, with the public key:</p>
<pre><code>c3 encrypt --public-key ${escapeHtml(baseUrl)} --repo github.com/acme/shop --for k8s &lt; kubeconfig</code></pre>
<p>Or on the server:</p>
<pre><code>curl --data-binary @token '${escapeHtml(baseUrl)}/encrypt?repo=github.com/acme/shop&amp;for=hook'</code></pre>
<p>The public key: <a href="/.well-known/jwks.json">/.well-known/jwks.json</a>. The schema of c3.yaml, for editors:
<a href="/schema.json">/schema.json</a>.</p>
</main>
${data}
<script type="module">${script}</script>
</body>
</html>
`;
  return { html, contentSecurityPolicy };
}
