import { inspect } from 'node:util';
import { generate } from 'selfsigned';
import { expect, test } from 'vitest';
import { toTlsOptions } from './connection.ts';

test('the options of a connection hold the key where no printing of them shows it', async () => {
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
  expect(Object.keys(options)).toEqual(['secureContext', 'servername']);
});
