import type { LookupAddress, lookup } from 'node:dns';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { C3Error } from '../errors.ts';
import { createAddressPolicy, createNameLookups, type AddressPolicy, type LookUpName } from './address-policy.ts';

/** The answer of the fake resolver. */
let answers: LookupAddress[] | Error = [];
vi.mock('node:dns', () => ({
  lookup(_name: string, options: { all?: boolean }, callback: (error: Error | null, found: unknown) => void) {
    if (options.all !== true) throw new Error('not all addresses were asked for');
    if (answers instanceof Error) callback(answers, undefined);
    else callback(null, answers);
  },
}));
afterEach(() => {
  answers = [];
});

/** Returns the class with which a host is refused; undefined when it is allowed. */
function classify(host: string, policy: AddressPolicy = createAddressPolicy([])): string | undefined {
  try {
    policy.checkOrigin(`https://${host}:6443`);
    return undefined;
  } catch (error) {
    if (!(error instanceof C3Error) || error.code !== 'KUBECONFIG_INVALID') throw error;
    return / has the (.*) address /.exec(error.message)?.[1];
  }
}

interface Found {
  readonly error: NodeJS.ErrnoException | null;
  readonly address: string | LookupAddress[];
}

async function resolve(given: LookupAddress[] | Error, policy: AddressPolicy, all = true): Promise<Found> {
  answers = given;
  return await new Promise((done) => {
    policy.lookup('api.example.com', { all }, (error, address) => done({ error, address }));
  });
}

describe('a numeric address', () => {
  it.each([
    ['loopback', ['127.0.0.1', '127.255.255.255', '[::1]']],
    ['loopback', ['0x7f.1', '2130706433', '0177.0.0.1', '127.1', '127.0.0.1.', '１２７.0.0.1', '①②⑦.⓪.⓪.①']],
    ['unspecified', ['0.0.0.0', '0.1.2.3', '0', '[::]']],
    ['link-local', ['169.254.0.1', '169.254.255.255', '[fe80::1]', '[febf::1]', '[fec0::1]', '[64:ff9b::a9fe:1]']],
    ['metadata', ['169.254.169.254', '[fd00:ec2::254]', '[fd20:ce::254]', '100.100.100.200', '192.0.0.192']],
    ['metadata', ['[64:ff9b::a9fe:a9fe]', '[::169.254.169.254]', '[64:ff9b::192.0.0.192]', '168.63.129.16']],
    [
      'private',
      ['10.0.0.1', '10.255.255.255', '172.16.0.1', '172.31.255.255', '192.168.0.1', '[fc00::1]', '[fdff::1]'],
    ],
    ['carrier-grade NAT', ['100.64.0.1', '100.127.255.255']],
    ['documentation', ['192.0.2.1', '198.51.100.1', '203.0.113.1', '[2001:db8::1]', '[3fff::1]']],
    ['multicast', ['224.0.0.1', '239.255.255.255', '[ff02::1]']],
    ['reserved', ['192.0.0.1', '192.88.99.1', '198.18.0.1', '198.19.255.255', '240.0.0.1', '255.255.255.255']],
    ['NAT64', ['[64:ff9b::8.8.8.8]', '[64:ff9b::7f00:1]']],
    ['reserved', ['[2001:1::1]', '[100::1]', '[::127.0.0.1]', '[5f00::1]', '[::2]', '[4000::1]', '[200::1]']],
  ])('is refused as %s: %j', (name, hosts) => {
    expect(hosts.map((host) => classify(host))).toEqual(hosts.map(() => name));
  });

  it.each([
    [
      '1.1.1.1',
      '8.8.8.8',
      '172.15.255.255',
      '172.32.0.0',
      '100.63.255.255',
      '100.128.0.0',
      '169.253.0.1',
      '223.255.255.255',
    ],
    ['[2606:4700::1111]', '[2a00::1]', '[2001:4860::1]', '[2600:1:1:1:1:5efe:808:808]'],
  ])('is allowed when it is public: %s, …', (...hosts) => {
    expect(hosts.map((host) => classify(host))).toEqual(hosts.map(() => undefined));
  });

  it('is refused with the name of the setting that opens its network, if there is one', () => {
    const { checkOrigin } = createAddressPolicy([]);
    expect(() => checkOrigin('https://10.0.0.1:6443')).toThrow(
      expect.objectContaining({
        message: 'Kubeconfig refused: its server has the private address 10.0.0.1, to which c3 does not connect',
        hint: 'its operator can open a network with C3_ALLOW_NETS',
      }),
    );
    expect(() => checkOrigin('https://[64:ff9b::169.254.169.254]')).toThrow(
      expect.objectContaining({
        message:
          'Kubeconfig refused: its server has the metadata address 64:ff9b::a9fe:a9fe, to which c3 does not connect',
        hint: 'no setting opens it',
      }),
    );
  });

  it('is not what a name is: the resolver checks it', () => {
    expect(classify('localhost')).toBeUndefined();
    expect(classify('127.0.0.1.nip.example')).toBeUndefined();
  });

  it('is judged the same in upper case', () => {
    fc.assert(
      fc.property(fc.ipV6(), (address) => {
        expect(classify(`[${address.toUpperCase()}]`)).toBe(classify(`[${address}]`));
      }),
    );
  });
});

describe('networks that the operator opened', () => {
  it('are allowed, and no other', () => {
    const policy = createAddressPolicy(['10.1.2.0/24', 'fd12:3456::/32', '127.0.0.1/32']);
    for (const host of ['10.1.2.255', '[fd12:3456:1::1]', '127.0.0.1']) {
      expect(classify(host, policy)).toBeUndefined();
    }
    for (const host of ['10.1.3.0', '127.0.0.2', '[::1]']) expect(classify(host, policy)).toBeDefined();
  });

  it('do not include the metadata addresses of clouds, however wide they are', () => {
    const policy = createAddressPolicy(['0.0.0.0/0', '::/0']);
    expect(classify('10.0.0.1', policy)).toBeUndefined();
    for (const host of ['169.254.169.254', '[64:ff9b::a9fe:a9fe]', '[::a9fe:a9fe]', '[fd00:ec2::254]']) {
      expect(classify(host, policy)).toBe('metadata');
    }
    const others = ['169.254.170.2', '169.254.170.23', '[fd00:ec2::23]', '[fd00:c1::a9fe:a9fe]', '[fd00:42::42]'];
    for (const host of others) expect(classify(host, policy)).toBe('metadata');
    for (const host of ['169.254.42.42', '169.254.0.23', '[fe80::1]'])
      expect(classify(host, policy)).toBe('link-local');
  });

  it.each([
    ['mapped addresses', ['[::ffff:10.0.0.1]', '[::ffff:7f00:1]', '[::ffff:a9fe:a9fe]', '[::ffff:8.8.8.8]']],
    ['NAT64 with a local prefix', ['[64:ff9b:1::a9fe:a9fe]', '[64:ff9b:1:7:a9:fea9:fe00:0]', '[64:ff9b:1::808:808]']],
    ['6to4', ['[2002:a9fe:a9fe::1]', '[2002:808:808::1]']],
    ['SIIT', ['[::ffff:0:a9fe:a9fe]']],
    ['Teredo', ['[2001:0:a9fe:a9fe::1]', '[2001:0:4136:e378:8000:63bf:5601:5601]']],
    ['ISATAP', ['[2001:db8::5efe:a9fe:a9fe]', '[2600:1::200:5efe:8.8.8.8]', '[2600:1:1:1:0:5efe:a9fe:a9fe]']],
  ])('do not include the ranges of IPv6 that lead to IPv4: %s', (_, hosts) => {
    const policy = createAddressPolicy(['0.0.0.0/0', '::/0']);
    expect(hosts.map((host) => classify(host, policy))).toEqual(hosts.map(() => 'IPv4-in-IPv6'));
  });

  it('may include NAT64, but not the metadata addresses behind it', () => {
    const policy = createAddressPolicy(['64:ff9b::/96']);
    expect(classify('[64:ff9b::8.8.8.8]', policy)).toBeUndefined();
    expect(classify('[64:ff9b::169.254.169.254]', policy)).toBe('metadata');
  });
});

describe('a name', () => {
  const policy = createAddressPolicy([]);
  const PUBLIC = { address: '93.184.216.34', family: 4 };

  it('resolves to its addresses when all of them are public', async () => {
    const both = [PUBLIC, { address: '2606:2800::1', family: 6 }];
    expect(await resolve(both, policy)).toEqual({ error: null, address: both });
    expect(await resolve(both, policy, false)).toEqual({ error: null, address: PUBLIC.address });
  });

  it.each([
    ['127.0.0.1', 4, 'loopback'],
    ['169.254.169.254', 4, 'metadata'],
    ['::ffff:10.0.0.1', 6, 'IPv4-in-IPv6'],
    ['fe80::1%eth0', 6, 'link-local'],
  ])('is refused when its last address is %s', async (address, family, name) => {
    for (const all of [true, false]) {
      const { error, address: dialled } = await resolve([PUBLIC, { address, family }], policy, all);
      expect(error).toMatchObject({ code: 'ERR_C3_ADDRESS_REFUSED' });
      expect(error?.message).toContain(
        `api.example.com has the ${name} address ${address}, to which c3 does not connect`,
      );
      expect(dialled).toBe('');
    }
  });

  it('without an address fails with the error of the resolver', async () => {
    const error = Object.assign(new Error('getaddrinfo ENOTFOUND api.example.com'), { code: 'ENOTFOUND' });
    const fresh = createAddressPolicy([]);
    expect(await resolve(error, fresh)).toEqual({ error, address: '' });
    expect((await resolve([], fresh)).error?.message).toBe('api.example.com has no address');
  });
});

describe('the lookup of a name', () => {
  const ADDRESS: LookupAddress = { address: '93.184.216.34', family: 4 };

  /** Running lookups by name, in the order in which they started. Each ends when the test calls it. */
  let running: Map<string, (addresses: LookupAddress[] | Error) => void>;
  let find: LookUpName;
  /** The results of the callers, in order. */
  let results: string[];

  beforeEach(() => {
    vi.useFakeTimers();
    [running, results] = [new Map(), []];
    const fake = (name: string, _: object, callback: (error: Error | null, found?: LookupAddress[]) => void): void => {
      running.set(name, (found) => {
        running.delete(name);
        if (found instanceof Error) callback(found);
        else callback(null, found);
      });
    };
    find = createNameLookups(fake as unknown as typeof lookup);
  });
  afterEach(() => vi.useRealTimers());

  async function ask(...names: string[]): Promise<void> {
    for (const name of names) {
      find(name, { family: 0 }).then(
        ([first]) => results.push(`${name} ${first?.address ?? 'nothing'}`),
        (error: Error) => results.push(error.message),
      );
    }
    await vi.advanceTimersByTimeAsync(0);
  }
  function started(): string[] {
    return [...running.keys()];
  }
  async function answer(name: string, found: LookupAddress[] | Error = [ADDRESS]): Promise<void> {
    running.get(name)?.(found);
    await vi.advanceTimersByTimeAsync(0);
  }

  it('concurrent callers share the lookup of a name, and a later caller starts a new one', async () => {
    await ask('api.one.test', 'api.one.test', 'api.one.test');
    expect(started()).toEqual(['api.one.test']);
    await answer('api.one.test');
    expect(results).toEqual(Array.from({ length: 3 }, () => 'api.one.test 93.184.216.34'));
    await ask('api.one.test');
    expect(started()).toEqual(['api.one.test']);
  });

  it('domains take turns, however many names each has', async () => {
    await ask(
      'a.many.test',
      'b.many.test',
      'c.many.test',
      'd.many.test',
      'api.one.test',
      'api.two.co.uk',
      'b.two.co.uk',
    );
    const order: string[] = [];
    for (let [name] = started(); name !== undefined; [name] = started()) {
      order.push(name);
      await answer(name, new Error('ENOTFOUND'));
    }
    expect(order).toEqual([
      'a.many.test',
      'api.one.test',
      'api.two.co.uk',
      'b.many.test',
      'b.two.co.uk',
      'c.many.test',
      'd.many.test',
    ]);
  });

  describe('a name of a slow server', () => {
    const SLOW = ['a.slow.test', 'b.slow.test', 'c.slow.test'];

    it('lets the next domain in after two seconds, but no other name of its own', async () => {
      await ask(...SLOW, 'api.one.test');
      expect(started()).toEqual(['a.slow.test']);
      await vi.advanceTimersByTimeAsync(2_000);
      expect(started()).toEqual(['a.slow.test', 'api.one.test']);
      await answer('api.one.test');
      await ask('new.slow.test', 'api.two.test');
      expect(started()).toEqual(['a.slow.test', 'api.two.test']);
      await answer('a.slow.test');
      await answer('api.two.test');
      expect(started()).toEqual(['b.slow.test']);
    });

    it('and one of another slow domain occupy both threads, until one of them ends', async () => {
      await ask('a.slow.test', 'a.tough.test', 'api.one.test');
      await vi.advanceTimersByTimeAsync(4_000);
      expect(started()).toEqual(['a.slow.test', 'a.tough.test']);
      await answer('a.slow.test');
      expect(started()).toEqual(['a.tough.test', 'api.one.test']);
    });

    it('makes others of its domain time out, with a message that says why', async () => {
      await ask(...SLOW);
      await vi.advanceTimersByTimeAsync(10_000);
      expect(results).toEqual(['b', 'c'].map((name) => `other names were looked up before ${name}.slow.test`));
      await answer('a.slow.test');
      expect(started()).toEqual([]);
      expect(results.at(-1)).toBe('a.slow.test 93.184.216.34');
    });
  });

  describe('a name that was resolved before', () => {
    it('gets its previous addresses when there is no answer within a second', async () => {
      await ask('api.one.test');
      await answer('api.one.test');
      await ask('api.one.test');
      await vi.advanceTimersByTimeAsync(999);
      expect(results).toHaveLength(1);
      await vi.advanceTimersByTimeAsync(1);
      expect(results).toEqual(['api.one.test 93.184.216.34', 'api.one.test 93.184.216.34']);
    });

    it('gets them also while it waits for its turn, and gets its new addresses later', async () => {
      await ask('api.one.test');
      await answer('api.one.test');
      await ask('a.slow.test', 'api.one.test');
      await vi.advanceTimersByTimeAsync(1_000);
      expect(results.at(-1)).toBe('api.one.test 93.184.216.34');
      await vi.advanceTimersByTimeAsync(1_000);
      await answer('api.one.test', [{ address: '1.1.1.1', family: 4 }]);
      await ask('api.one.test');
      await vi.advanceTimersByTimeAsync(1_000);
      expect(results.at(-1)).toBe('api.one.test 1.1.1.1');
    });

    it('has its previous addresses while the resolver does not know it', async () => {
      await ask('api.one.test');
      await answer('api.one.test', new Error('getaddrinfo ENOTFOUND api.one.test'));
      expect(results.at(-1)).toBe('getaddrinfo ENOTFOUND api.one.test');
      await ask('api.one.test');
      await answer('api.one.test');
      await ask('api.one.test');
      await answer('api.one.test', new Error('getaddrinfo ENOTFOUND api.one.test'));
      expect(results.at(-1)).toBe('api.one.test 93.184.216.34');
    });
  });
});
