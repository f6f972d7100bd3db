import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { afterAll, beforeAll, expect, test } from 'vitest';

const require = createRequire(import.meta.url);

/** Tests the schema with the language server that editors run. */
const root = join(import.meta.dirname, '../..');
const schemaUrl = pathToFileURL(join(root, 'schema/c3.schema.json')).href;
const head = [
  `# yaml-language-server: $schema=${schemaUrl}`,
  'k8s: aa.aXY.Y3Q.dGFn',
  'job:',
  '  apiVersion: v1',
  '  kind: Pod',
  '  metadata: {name: demo}',
  '  spec: {containers: [{name: clj}]}',
  'steps:',
  '- clj: make',
  '',
].join('\n');

/** The schema store is on the internet: tests do not use it. */
const settings = { validate: true, completion: true, hover: true, schemaStore: { enable: false } };

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: unknown;
  readonly result?: unknown;
}

let editor: Editor;
beforeAll(async () => {
  editor = await startEditor();
});
afterAll(async () => await editor.stop());

test('a correct file has no diagnostics', async () => {
  expect(await editor.diagnose(`${head}  timeout: 10m\nwhen: {branch: [main]}\ncheckout: false\n`)).toEqual([]);
});

test('each mistake is underlined', async () => {
  const text = `${head}  retry: 11\n- name: x\nwhen: {event: psuh}\ncheckout: {depht: 1}\nwat: 1\n`;
  expect(await editor.diagnose(text)).toEqual([
    '9: Value is above the maximum of 10.',
    expect.stringMatching(/^10: /),
    expect.stringMatching(/^11: Value is not accepted. Valid values: "push", "tag"/),
    '12: Property depht is not allowed.',
    '13: Property wat is not allowed.',
  ]);
});

test('keys are completed, at the top, in a step and in its condition', async () => {
  expect(await editor.complete(head, { line: 9, character: 0 })).toEqual(
    expect.arrayContaining([
      'checkout',
      'concurrency',
      'env',
      'finally',
      'pod',
      'secrets',
      'telegram',
      'timeout',
      'when',
    ]),
  );
  expect(await editor.complete(`${head}  t`, { line: 9, character: 3 })).toEqual(
    expect.arrayContaining(['allow_failure', 'env', 'name', 'retry', 'timeout', 'when']),
  );
  expect(await editor.complete(`${head}  when:\n    `, { line: 10, character: 4 })).toEqual(
    expect.arrayContaining(['branch', 'event', 'path', 'status', 'tag']),
  );
});

test('values are completed', async () => {
  expect(await editor.complete(`${head}when:\n  event: `, { line: 10, character: 9 })).toEqual(
    expect.arrayContaining(['push', 'tag']),
  );
});

test('a key shows its description', async () => {
  expect(await editor.hover(`${head}  retry: 2\n`, { line: 9, character: 3 })).toContain(
    'how many times c3 runs the step again after a failure',
  );
});

interface Position {
  readonly line: number;
  readonly character: number;
}

interface Editor {
  diagnose(text: string): Promise<string[]>;
  complete(text: string, position: Position): Promise<string[]>;
  hover(text: string, position: Position): Promise<string>;
  stop(): Promise<void>;
}

/** @see https://microsoft.github.io/language-server-protocol/specifications/lsp/3.17/specification/ */
async function startEditor(): Promise<Editor> {
  const server = require.resolve('yaml-language-server/bin/yaml-language-server');
  const child = spawn(process.execPath, [server, '--stdio'], { stdio: ['pipe', 'pipe', 'ignore'] });
  const waiting = new Map<number | string, (message: Message) => void>();
  let ids = 0;
  let files = 0;

  function send(message: Omit<Message, 'id'> & { readonly id?: number | undefined }): void {
    const body = JSON.stringify({ jsonrpc: '2.0', ...message });
    child.stdin.write(`Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
  }

  async function request(method: string, params: unknown): Promise<unknown> {
    const id = ++ids;
    const answer = new Promise<Message>((resolve) => waiting.set(id, resolve));
    send({ id, method, params });
    return (await answer).result;
  }

  function receive(message: Message): void {
    if (message.method === 'textDocument/publishDiagnostics') {
      const { uri } = message.params as { uri: string };
      waiting.get(uri)?.(message);
    } else if (message.method === 'workspace/configuration') {
      const { items } = message.params as { items: { section: string }[] };
      send({ id: message.id, result: items.map(({ section }) => (section === 'yaml' ? settings : {})) });
    } else if (message.method !== undefined) {
      // The server asks for permissions; the answer does not matter.
      if (message.id !== undefined) send({ id: message.id, result: null });
    } else if (message.id !== undefined) {
      waiting.get(message.id)?.(message);
    }
  }

  let rest = Buffer.alloc(0);
  child.stdout.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk]);
    for (;;) {
      const header = /^Content-Length: (\d+)\r\n(?:[^\r]+\r\n)*\r\n/.exec(rest.toString('latin1'));
      const end = header === null ? 0 : header[0].length + Number(header[1]);
      if (header === null || rest.length < end) return;
      const body = rest.subarray(header[0].length, end).toString('utf8');
      rest = rest.subarray(end);
      receive(JSON.parse(body) as Message);
    }
  });

  async function open(text: string): Promise<{ uri: string; diagnostics: string[] }> {
    const uri = pathToFileURL(join(root, `editor-${++files}`, 'c3.yaml')).href;
    const published = new Promise<Message>((resolve) => waiting.set(uri, resolve));
    const textDocument = { uri, languageId: 'yaml', version: 1, text };
    send({ method: 'textDocument/didOpen', params: { textDocument } });
    const { diagnostics } = (await published).params as {
      diagnostics: { message: string; range: { start: { line: number } } }[];
    };
    return { uri, diagnostics: diagnostics.map(({ message, range }) => `${range.start.line}: ${message}`) };
  }

  await request('initialize', {
    processId: process.pid,
    rootUri: pathToFileURL(root).href,
    capabilities: { workspace: { configuration: true } },
  });
  send({ method: 'initialized', params: {} });

  return {
    diagnose: async (text) => (await open(text)).diagnostics,
    async complete(text, position) {
      const { uri } = await open(text);
      const result = await request('textDocument/completion', { textDocument: { uri }, position });
      return (result as { items: { label: string }[] }).items.map(({ label }) => label);
    },
    async hover(text, position) {
      const { uri } = await open(text);
      return JSON.stringify(await request('textDocument/hover', { textDocument: { uri }, position }));
    },
    async stop() {
      const ended = once(child, 'exit');
      child.kill();
      await ended;
    },
  };
}
