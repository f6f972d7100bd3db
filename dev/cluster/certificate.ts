import { generate } from 'selfsigned';

export interface Certificate {
  readonly key: string;
  readonly certificate: string;
  /** What a client trusts. */
  readonly authority: string;
}

/** A certificate of its own authority for this address, good for a year: it lives no longer than one embedded cluster. */
export async function createCertificate(host: string): Promise<Certificate> {
  const end = new Date(Date.now() + 365 * 86_400_000);
  const authority = await generate([{ name: 'commonName', value: 'c3 embedded cluster CA' }], {
    keyType: 'ec',
    algorithm: 'sha256',
    notAfterDate: end,
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    ],
  });
  const server = await generate([{ name: 'commonName', value: 'c3 embedded cluster' }], {
    keyType: 'ec',
    algorithm: 'sha256',
    notAfterDate: end,
    ca: { key: authority.private, cert: authority.cert },
    extensions: [
      { name: 'basicConstraints', cA: false, critical: true },
      { name: 'keyUsage', digitalSignature: true, critical: true },
      { name: 'extKeyUsage', serverAuth: true },
      {
        name: 'subjectAltName',
        altNames: [
          { type: 2, value: 'localhost' },
          { type: 7, ip: host },
        ],
      },
    ],
  });
  return { key: server.private, certificate: server.cert, authority: authority.cert };
}
