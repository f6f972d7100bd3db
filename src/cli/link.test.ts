import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { runCli } from './commands.ts';
import type { Terminal } from './terminal.ts';

const close: (() => void)[] = [];
afterEach(() => {
  for (const one of close.splice(0)) one();
});

/** Serves a c3 on this machine. Returns its origin and the requests that it gets. */
async function serve(
  respond: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<{ readonly origin: string; readonly seen: string[] }> {
  const seen: string[] = [];
  const server = createServer((request, response) => {
    seen.push(`${request.method} ${request.url} ${request.headers.authorization}`);
    respond(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  close.push(() => {
    server.close();
    server.closeAllConnections();
  });
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
}

async function run(address: string, input: string): Promise<{ exitCode: number; out: string; err: string }> {
  const [out, err]: string[][] = [[], []];
  const terminal: Terminal = {
    env: {},
    isInputTerminal: false,
    readInput: () => Promise.resolve(input),
    readFile: () => '',
    writeFile: () => {},
    print: (text) => void out?.push(text),
    tell: (text) => void err?.push(text),
  };
  const exitCode = await runCli(['link', address], terminal);
  return { exitCode, out: (out ?? []).join('\n'), err: (err ?? []).join('\n') };
}

describe('c3 link', () => {
  it('sends the token of standard input to the c3 of the link, and prints the control link', async () => {
    const control = 'https://c3.example.com/b/kS.control';
    const { origin, seen } = await serve((_, response) => response.end(`${control}\n`));
    expect(await run(`${origin}/below/b/kS.view?x#test-L1`, 'ghp_abc\n')).toEqual({
      exitCode: 0,
      out: control,
      err: `c3: sending the token to ${origin}`,
    });
    expect(seen).toEqual(['POST /below/b/kS.view/control Bearer ghp_abc']);
  });

  it('prints the reason of a refusal, as text', async () => {
    const { origin } = await serve((_, response) =>
      response.writeHead(403).end('This \u001B[31mtoken may not\nuse one'),
    );
    expect(await run(`${origin}/b/kS.view`, 'ghp_abc')).toEqual({
      exitCode: 1,
      out: '',
      err: `c3: sending the token to ${origin}\nc3: error: This token may not\nc3: hint: use one`,
    });
  });

  it('follows no redirect, which would send the token to another host', async () => {
    const other = await serve((_, response) => response.end());
    const { origin } = await serve((_, response) => response.writeHead(307, { location: `${other.origin}/b/x` }).end());
    expect(await run(`${origin}/b/kS.view`, 'ghp_abc')).toMatchObject({ exitCode: 2, out: '' });
    expect(other.seen).toEqual([]);
  });

  it('prints nothing of a server that is not a c3', async () => {
    const { origin } = await serve((_, response) => response.end('<html>'));
    const { out, err } = await run(`${origin}/b/kS.view`, 'ghp_abc');
    expect(out).toBe('');
    expect(err).toContain(`Cannot get the control link from ${origin}: its answer is not a link`);
    expect(err).not.toContain('ghp_abc');
  });

  it.each([
    ['http://c3.example.com/b/kS.view', 'ghp_abc', 'c3 sends no token to http://c3.example.com without TLS'],
    [
      'http://127.0.0.1.evil.example/b/kS.view',
      'ghp_abc',
      'c3 sends no token to http://127.0.0.1.evil.example without',
    ],
    ['https://c3.example.com/hook?key=x', 'ghp_abc', 'The argument is not a link to a build'],
    ['kS.view', 'ghp_abc', 'The argument is not a link to a build'],
    ['https://c3.example.com/b/kS.view', '', 'Standard input is not an access token'],
    ['https://c3.example.com/b/kS.view', 'not a token', 'Standard input is not an access token'],
  ])('sends nothing for %s and "%s"', async (address, input, message) => {
    const { exitCode, err } = await run(address, input);
    expect(exitCode).toBe(2);
    expect(err).toContain(`c3: error: ${message}`);
  });
});
