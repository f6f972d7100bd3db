import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, type TlsOptions } from 'node:tls';
import { inspect } from 'node:util';
import { generate } from 'selfsigned';
import { describe, expect, test } from 'vitest';
import { createClient } from './client.ts';
import { isTransientAnswer, toTlsOptions } from './cluster-connection.ts';

test('printed options of a connection do not show the key', async () => {
  const { cert, private: key } = await generate([{ name: 'commonName', value: 'c3' }], { keySize: 2048 });
  const access = {
    origin: 'https://k8s.example',
    basePath: '',
    namespace: 'default',
    ca: cert,
    clientCertificate: { cert, key },
    serverName: 'kubernetes',
  };
  const options = toTlsOptions(access);
  expect(inspect(options, { depth: 10, showHidden: true })).not.toMatch(/BEGIN|PRIVATE KEY/);
  expect(Object.keys(options)).toEqual(['secureContext', 'servername', 'lookup']);
});

const CALL = 'failed calling webhook "w.example.com": failed to call webhook: Post "https://w.ns.svc:443/?timeout=10s"';
const DENIAL = 'admission webhook "w.example.com" denied the request';

test.each([
  [403, 'pods "shop-1" is forbidden: not yet ready to handle request', true],
  [403, 'pods "shop-1" is forbidden: status unknown for quota: compute, resources: pods', true],
  [403, 'pods "shop-1" is forbidden: User "ci" cannot create resource "pods/exec"', false],
  [422, 'not yet ready to handle request', false],
  [500, 'The POST operation against pods could not be completed at this time, please try again.', true],
  [500, 'Internal error occurred: resource quota evaluation timed out', true],
  [500, `Internal error occurred: ${CALL}: no endpoints available for service "w"`, true],
  [500, `Internal error occurred: ${CALL}: x509: certificate signed by unknown authority`, true],
  [500, `Internal error occurred: ${CALL}: EOF`, true],
  [400, DENIAL, false],
  [403, `pods "shop-1" is forbidden: ${DENIAL}: no`, false],
  [500, `Internal error occurred: ${DENIAL}: the policy "failed calling webhook" forbids it`, false],
])('%i %s is transient: %s', (code, message, isTransient) => {
  expect(isTransientAnswer({ code, message })).toBe(isTransient);
});

test.each([
  ['POST', 'Conflict', 'Operation cannot be fulfilled on resourcequotas "compute": the object has been modified', true],
  ['POST', 'AlreadyExists', 'pods "shop-1" already exists', false],
  ['POST', 'Conflict', `${DENIAL}: no`, false],
  ['PUT', 'Conflict', 'Operation cannot be fulfilled on leases "shop-1": the object has been modified', false],
])('a %s that is refused with %s, %s, is sent again: %s', (method, reason, message, isSentAgain) => {
  expect(isTransientAnswer({ code: 409, method, reason, message })).toBe(isSentAgain);
});

describe('the key exchange with a server', () => {
  /** Returns the error of c3 with a server that only supports these options of TLS. */
  async function connect(speaks: TlsOptions): Promise<string> {
    const pems = await generate([{ name: 'commonName', value: 'fake' }], {
      keySize: 2048,
      extensions: [
        { name: 'basicConstraints', cA: true },
        { name: 'subjectAltName', altNames: [{ type: 7, ip: '127.0.0.1' }] },
      ],
    });
    const body = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}';
    const server = createServer({ key: pems.private, cert: pems.cert, ...speaks }, (socket) => socket.end(body));
    server.on('tlsClientError', () => undefined).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const origin = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const client = createClient({ origin, basePath: '', namespace: 'default', ca: pems.cert, token: 'a-token' });
    try {
      return (await client.request({ method: 'GET', path: '/api' })).kind;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    } finally {
      await client.close();
      server.close();
    }
  }

  test.each([
    ['with a curve in TLS 1.2', { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-RSA-AES128-GCM-SHA256' }],
    ['with a curve in TLS 1.3', { minVersion: 'TLSv1.3', ecdhCurve: 'P-384' }],
  ] as const)('%s is spoken with', async (_, speaks) => {
    expect(await connect(speaks)).toBe('ok');
  });

  test.each([
    ['with a prime of the server', { maxVersion: 'TLSv1.2', ciphers: 'DHE-RSA-AES128-GCM-SHA256', dhparam: 'auto' }],
    ['with a prime in TLS 1.3', { minVersion: 'TLSv1.3', ecdhCurve: 'ffdhe2048' }],
  ] as const)('%s is refused', async (_, speaks) => {
    expect(await connect(speaks)).toMatch(/^Cannot reach the cluster at .*handshake failure/);
  });
});
