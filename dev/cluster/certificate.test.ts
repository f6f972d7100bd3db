import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer } from 'node:tls';

import { expect, it } from 'vitest';

import { createCertificate } from './certificate.ts';

it.each(['127.0.0.1', '10.1.2.3', '::1', 'fd00::1:2', '2001:db8:0:0:1:2:3:4'])(
  'is good for %s and localhost, and for nobody else',
  (host) => {
    const { certificate, authority } = createCertificate(host);
    const server = new X509Certificate(certificate);
    const issuer = new X509Certificate(authority);
    expect({ host: server.checkHost('localhost'), other: server.checkHost('example.com') }).toEqual({
      host: 'localhost',
      other: undefined,
    });
    expect(server.checkIP(host)).toBe(host);
    expect(server.checkIP('192.0.2.1')).toBeUndefined();
    expect([server.ca, issuer.ca]).toEqual([false, true]);
    expect([server.verify(issuer.publicKey), issuer.verify(issuer.publicKey)]).toEqual([true, true]);
    expect(server.checkIssued(issuer)).toBe(true);
  },
);

it('is trusted only by a client that trusts its authority', async () => {
  const { key, certificate, authority } = createCertificate('127.0.0.1');
  const server = createServer({ key, cert: certificate }, (socket) => socket.on('error', () => {}).end());
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  const trusting = connect({ host: '127.0.0.1', port, ca: authority });
  await once(trusting, 'secureConnect');
  expect(trusting.authorized).toBe(true);
  trusting.destroy();
  const stranger = connect({ host: '127.0.0.1', port, ca: createCertificate('127.0.0.1').authority });
  await expect(once(stranger, 'secureConnect')).rejects.toThrow(/certificate/);
  server.close();
});

it('is different each time', () => {
  const [first, second] = [createCertificate('127.0.0.1'), createCertificate('127.0.0.1')];
  expect(new X509Certificate(first.certificate).serialNumber).not.toBe(
    new X509Certificate(second.certificate).serialNumber,
  );
  expect(first.key).not.toBe(second.key);
});
