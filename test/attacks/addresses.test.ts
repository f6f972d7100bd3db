import { afterEach, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { createAddressPolicy } from '../../src/kube/address-policy.ts';
import { createExecClient } from '../../src/kube/exec.ts';
import { createClusterPool } from '../../src/kube/index.ts';
import { createTrap, type Trap } from './trap.ts';
import { REQUEST } from './request.ts';
import { deadline } from '../time-limits.ts';

/** Returns the refusal of c3 for a cluster at an address. */
async function refusalOf(server: string, allowNets: readonly string[] = []): Promise<string> {
  const pool = createClusterPool({ allowNets });
  const text = stringify({
    'current-context': 'm',
    contexts: [{ name: 'm', context: { cluster: 'c', user: 'u' } }],
    clusters: [{ name: 'c', cluster: { server } }],
    users: [{ name: 'u', user: { token: 'a-token' } }],
  });
  try {
    const answer = await pool.getCluster(text).openWorkspace(REQUEST, {
      signal: deadline(),
      startTimeoutMs: 120_000,
      onWaiting: () => {},
    });
    return 'message' in answer ? answer.message : answer.kind;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    await pool.close();
  }
}

describe('A5 A kubeconfig whose server is in the network of c3', () => {
  const traps: Trap[] = [];
  afterEach(async () => {
    await Promise.all(traps.splice(0).map((trap) => trap.close()));
  });

  async function setTrap(): Promise<{ trap: Trap; port: string }> {
    const trap = await createTrap(undefined, { isSecure: true });
    traps.push(trap);
    return { trap, port: new URL(trap.origin).port };
  }

  it.each([
    ['the loopback interface', '127.0.0.1'],
    ['the loopback interface by another of its addresses', '127.8.9.10'],
    ['the loopback interface of IPv6', '[::1]'],
    ['the loopback interface as one number', '2130706433'],
    ['the loopback interface in hexadecimal', '0x7f.1'],
    ['the loopback interface in octal', '0177.0.0.01'],
    ['the loopback interface in full-width digits', '\uff11\uff12\uff17.0.0.1'],
    ['the loopback interface with a dot at the end', '127.0.0.1.'],
    ['the loopback interface as an IPv6 address of IPv4', '[::ffff:127.0.0.1]'],
    ['the loopback interface through NAT64', '[64:ff9b::7f00:1]'],
    ['the loopback interface through 6to4', '[2002:7f00:1::]'],
    ['the unspecified address', '0.0.0.0'],
    ['the unspecified address of IPv6', '[::]'],
    ["the cloud's credentials", '169.254.169.254'],
    ["the cloud's credentials over IPv6", '[fd00:ec2::254]'],
    ['the link', '[fe80::1]'],
    ['a private network', '10.0.0.1'],
    ['another private network', '172.31.255.255'],
    ['a third private network', '192.168.1.1'],
    ['a private network of IPv6', '[fd12:3456::1]'],
    ["a carrier's network", '100.64.0.1'],
    ['a multicast group', '224.0.0.1'],
    ['a reserved network', '240.0.0.1'],
    ['everybody on the link', '255.255.255.255'],
  ])('does not connect to %s', async (_, host) => {
    const { trap, port } = await setTrap();
    expect(await refusalOf(`https://${host}:${port}`)).toMatch(
      /has the [\w-]+(?: \w+)? address .* to which c3 does not connect/,
    );
    expect(trap.requests).toEqual([]);
  });

  it('does not connect to a name that resolves to such an address at connection time', async () => {
    const { trap, port } = await setTrap();
    for (const name of ['localhost', 'localhost.', 'LOCALHOST', 'a.localhost']) {
      expect(await refusalOf(`https://${name}:${port}`)).toMatch(/loopback|ENOTFOUND|EAI_AGAIN/);
    }
    expect(trap.requests).toEqual([]);
  });

  it('applies the same policy to execs and requests', async () => {
    const { trap, port } = await setTrap();
    const { lookup } = createAddressPolicy([]);
    const execs = createExecClient({
      origin: `https://localhost:${port}`,
      basePath: '',
      namespace: 'default',
      ca: trap.ca,
      lookup,
    });
    const target = { namespace: 'default', pod: 'p', container: 'c', argv: ['sh'] };
    const answer = await execs.open(target, {
      signal: deadline(),
      onStdout: () => {},
      onStderr: () => {},
    });
    expect(answer).toMatchObject({ kind: 'refused', message: expect.stringMatching(/loopback/) });
    expect(trap.requests).toEqual([]);
    execs.close();
  });

  it('does not connect to metadata addresses of clouds even if the operator has opened every network', async () => {
    const everything = ['0.0.0.0/0', '::/0'];
    const plain = [
      '169.254.169.254',
      '169.254.170.2',
      '169.254.170.23',
      '100.100.100.200',
      '192.0.0.192',
      '168.63.129.16',
    ];
    const ofIpv6 = ['[fd00:ec2::254]', '[fd00:ec2::23]', '[fd00:c1::a9fe:a9fe]', '[fd00:42::42]', '[fe80::a9fe:a9fe]'];
    for (const host of [...plain, ...ofIpv6, '[64:ff9b::169.254.169.254]', '[::169.254.169.254]']) {
      expect(await refusalOf(`https://${host}`, everything)).toMatch(/metadata address/);
    }
    const embedding = [
      '[::ffff:169.254.169.254]',
      '[64:ff9b:1::a9fe:a9fe]',
      '[::ffff:0:a9fe:a9fe]',
      '[2001:0:a9fe:a9fe::1]',
      '[2600:1::5efe:169.254.169.254]',
    ];
    for (const host of embedding) {
      expect(await refusalOf(`https://${host}`, everything)).toMatch(/IPv4-in-IPv6 address/);
    }
    for (const host of ['169.254.42.42', '169.254.0.23']) {
      expect(await refusalOf(`https://${host}`, everything)).toMatch(/link-local address/);
    }
  });
});
