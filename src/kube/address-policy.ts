import { lookup, type LookupAddress, type LookupOptions } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { C3Error } from '../errors.ts';
import { KeyedSemaphore, LruMap, Semaphore, type Release } from '../limiter.ts';

/**
 * Decides to which addresses c3 connects for a kubeconfig, which a stranger may have written (threat model A5).
 * Public addresses are allowed, and the networks that the operator opened with `C3_ALLOW_NETS`. The policy is applied
 * where the connection is made: `checkOrigin` for a numeric address, which no resolver sees, and `lookup` for a name.
 */
export interface AddressPolicy {
  /** @throws {C3Error} KUBECONFIG_INVALID when the host of `https://host[:port]` is a refused address */
  checkOrigin(origin: string): void;
  /**
   * Replaces `dns.lookup` in `net.connect`. The checked address is the address that is used, so a name cannot resolve
   * to one address for the check and to another for the connection. One refused address refuses the whole name.
   */
  readonly lookup: LookupFunction;
}

/** The `code` of the error with which `lookup` fails. */
export const ADDRESS_REFUSED = 'ERR_C3_ADDRESS_REFUSED';

/**
 * IPv4 addresses at which clouds give a machine its credentials: AWS, Google and most others; containers; Alibaba;
 * Oracle; Azure.
 */
const METADATA_IPV4 = ['169.254.169.254', '169.254.170.0/24', '100.100.100.200', '192.0.0.192', '168.63.129.16'];
/** The same over IPv6: AWS, Oracle, Scaleway, Google, and the link-local address. */
const METADATA_IPV6 = ['fd00:ec2::/32', 'fd00:c1::/32', 'fd00:42::/32', 'fd20:ce::254/128', 'fe80::a9fe:a9fe/128'];
const LINK_LOCAL_IPV4 = '169.254.0.0/16';

/** ISATAP (RFC 5214) marks its tunnels in the lower half of the address, under any prefix. */
const ISATAP = /:(?:0|200)?:5efe:[0-9a-f]{1,4}:[0-9a-f]{1,4}$/;
/**
 * Ranges of IPv6 that lead to an IPv4 address: mapped (RFC 4291), SIIT (RFC 2765), Teredo (RFC 4380), 6to4 (RFC 3056)
 * and NAT64 with a local prefix (RFC 8215). A cluster in such a range has an IPv4 address that can be used instead.
 */
const IPV4_IN_IPV6 = ['::ffff:0:0/96', '::ffff:0:0:0/96', '2001::/32', '2002::/16', '64:ff9b:1::/48'];

/**
 * The ranges to which c3 does not connect. The first match wins. The operator can open those that IANA lists as
 * special. No setting opens the others, because no cluster is in them. The last range is the part of IPv6 that is not
 * assigned to the public internet.
 *
 * @see https://www.iana.org/assignments/iana-ipv4-special-registry
 * @see https://www.iana.org/assignments/iana-ipv6-special-registry
 * @see https://www.iana.org/assignments/ipv6-address-space
 */
const REFUSED = [
  toRange('IPv4-in-IPv6', false, IPV4_IN_IPV6),
  toRange('metadata', false, [...METADATA_IPV4, ...METADATA_IPV6, ...METADATA_IPV4.flatMap(embed)]),
  toRange('link-local', false, [LINK_LOCAL_IPV4, 'fe80::/10', ...embed(LINK_LOCAL_IPV4)]),
  toRange('unspecified', true, ['0.0.0.0/8', '::/128']),
  toRange('loopback', true, ['127.0.0.0/8', '::1/128']),
  toRange('link-local', true, ['fec0::/10']),
  toRange('private', true, ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7']),
  toRange('carrier-grade NAT', true, ['100.64.0.0/10']),
  toRange('NAT64', true, ['64:ff9b::/96']),
  toRange('documentation', true, ['192.0.2.0/24', '198.51.100.0/24', '203.0.113.0/24', '2001:db8::/32', '3fff::/20']),
  toRange('multicast', true, ['224.0.0.0/4', 'ff00::/8']),
  toRange('reserved', true, ['192.0.0.0/24', '192.88.99.0/24', '198.18.0.0/15', '240.0.0.0/4', '2001::/23']),
  toRange('reserved', true, ['::/3', '4000::/2', '8000::/1']),
];

/** @param allowNets the networks that the operator opened beyond the public internet, as `address/prefix` */
export function createAddressPolicy(allowNets: readonly string[]): AddressPolicy {
  const allowed = toBlockList(allowNets);
  const lookUp = createNameLookups();

  /** Describes why c3 does not connect to an address; undefined when it does. */
  function findRefusal(address: string): { sentence: string; hint: string } | undefined {
    const [bare = ''] = address.split('%');
    const family = toFamily(bare);
    const range = isIsatap(bare) ? REFUSED[0] : REFUSED.find((range) => range[family].check(bare, family));
    if (range === undefined || (range.canOpen && allowed.check(bare, family))) return undefined;
    const hint = range.canOpen ? 'its operator can open a network with C3_ALLOW_NETS' : 'no setting opens it';
    return { sentence: `has the ${range.name} address ${address}, to which c3 does not connect`, hint };
  }

  return {
    checkOrigin(origin) {
      // A URL's host is canonical: 0x7f.1, 2130706433 and full-width digits have become 127.0.0.1.
      const host = new URL(origin).hostname.replace(/^\[(.*)\]$/, '$1');
      const refusal = isIP(host) === 0 ? undefined : findRefusal(host);
      if (refusal === undefined) return;
      const { sentence, hint } = refusal;
      throw new C3Error('KUBECONFIG_INVALID', `Kubeconfig refused: its server ${sentence}`, { hint });
    },
    lookup(hostname, options, callback) {
      void lookUp(hostname, options).then(
        (addresses) => {
          const [refusal] = addresses.flatMap(({ address }) => findRefusal(address) ?? []);
          const [first] = addresses;
          if (refusal !== undefined) {
            const error = new Error(`${hostname} ${refusal.sentence}; ${refusal.hint}`);
            callback(Object.assign(error, { code: ADDRESS_REFUSED }), '', 0);
          } else if (first === undefined) callback(new Error(`${hostname} has no address`), '', 0);
          else if (options.all) callback(null, [...addresses]);
          else callback(null, first.address, first.family);
        },
        (error: NodeJS.ErrnoException) => callback(error, '', 0),
      );
    },
  };
}

function isIsatap(address: string): boolean {
  // A URL writes it canonically: hexadecimal groups, and "::" for the longest run of zeros.
  return isIP(address) === 6 && ISATAP.test(new URL(`http://[${address}]`).hostname.slice(1, -1));
}

/** Returns a network of IPv4 behind the prefix of NAT64 (RFC 6052), and behind that of IPv4-compatible addresses. */
function embed(net: string): string[] {
  const [address = '', bits = '32'] = net.split('/');
  return ['64:ff9b::', '::'].map((prefix) => `${prefix}${address}/${96 + Number(bits)}`);
}

/** The families are apart, because Node's BlockList finds each IPv4 address in a range of mapped ones. */
function toRange(name: string, canOpen: boolean, nets: readonly string[]) {
  const [ipv4, ipv6] = [nets.filter((net) => !net.includes(':')), nets.filter((net) => net.includes(':'))];
  return { name, canOpen, ipv4: toBlockList(ipv4), ipv6: toBlockList(ipv6) };
}

function toBlockList(nets: readonly string[]): BlockList {
  const list = new BlockList();
  for (const net of nets) {
    const [address = '', bits = '32'] = net.split('/');
    list.addSubnet(address, Number(bits), toFamily(address));
  }
  return list;
}

function toFamily(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 6 ? 'ipv6' : 'ipv4';
}

/** Resolves a name to all of its addresses. Rejects as the resolver does, or when other names take too long. */
export type LookUpName = (hostname: string, options: LookupOptions) => Promise<readonly LookupAddress[]>;

/**
 * Node resolves names in a pool of threads, two at a time for the whole process, including c3's own forge. A name of
 * a slow server holds a thread until the system's resolver gives up, and nothing can cancel it. So names from
 * kubeconfigs use one thread at a time, or two when one is slow (threat model A12). After this time a lookup counts
 * as slow.
 */
const SLOW_MS = 2_000;
/** How long a name waits for its lookup to start. A connection waits as long. */
const QUEUE_MS = 10_000;
/** After this time, or when the lookup fails, a name that was resolved before gets its previous addresses. */
const STALE_AFTER_MS = 1_000;
const STALE_FOR_MS = 24 * 3_600_000;
/** Names whose addresses are kept. */
const MAX_KEPT = 1_000;
/** An API server has a few addresses. */
const MAX_ADDRESSES = 32;

/**
 * Creates a resolver for untrusted names. Equal names share a lookup. Domains are served in rotation, so that the
 * owner of many names delays only itself. A name that was resolved before is not waited for long.
 */
export function createNameLookups(lookUp: typeof lookup = lookup): LookUpName {
  const current = new Map<string, Promise<readonly LookupAddress[]>>();
  const known = new LruMap<string, { readonly addresses: readonly LookupAddress[]; readonly at: number }>(MAX_KEPT);
  /** One lookup of a domain at a time, so that each domain has one place in the queue. */
  const domains = new KeyedSemaphore(1);
  const [quick, slow] = [new Semaphore(1), new Semaphore(1)];

  async function find(key: string, hostname: string, options: LookupOptions): Promise<readonly LookupAddress[]> {
    const queue = new AbortController();
    const late = new Error(`other names were looked up before ${hostname}`);
    const timer = setTimeout(() => queue.abort(late), QUEUE_MS).unref();
    async function work(): Promise<readonly LookupAddress[]> {
      const leave = leaveWhenSlow(await quick.acquire(queue.signal));
      clearTimeout(timer);
      const found = new Promise<LookupAddress[]>((resolve, reject) => {
        lookUp(hostname, { ...options, all: true }, (error, all) => (error ? reject(error) : resolve(all)));
      });
      return await found.finally(leave);
    }
    try {
      const addresses = await domains.run(toDomain(hostname), work, queue.signal);
      if (addresses.length > 0) known.set(key, { addresses: addresses.slice(0, MAX_ADDRESSES), at: performance.now() });
      return addresses;
    } finally {
      clearTimeout(timer);
      current.delete(key);
    }
  }
  /** Lets the next name in when a lookup is slow and no other slow one runs. Returns the function that ends it. */
  function leaveWhenSlow(leaveQuick: Release): Release {
    let leave = leaveQuick;
    const over = new AbortController();
    const timer = setTimeout(() => void slow.acquire(over.signal).then(change, () => undefined), SLOW_MS).unref();
    function change(leaveSlow: Release): void {
      leave();
      leave = leaveSlow;
      if (over.signal.aborted) leave();
    }
    return () => {
      clearTimeout(timer);
      over.abort();
      leave();
    };
  }

  return async (hostname, options) => {
    const key = JSON.stringify([hostname, options.family, options.hints, options.order]);
    const before = known.get(key);
    const answer = current.get(key) ?? find(key, hostname, options);
    current.set(key, answer);
    if (before === undefined || performance.now() - before.at > STALE_FOR_MS) return await answer;
    const stale = Promise.withResolvers<readonly LookupAddress[]>();
    const timer = setTimeout(() => stale.resolve(before.addresses), STALE_AFTER_MS);
    // A resolver that restarts may answer that there is no such name.
    const answered = answer.catch(() => before.addresses);
    return await Promise.race([answered, stale.promise]).finally(() => clearTimeout(timer));
  };
}

/**
 * Returns the end of a name, which normally has one owner who pays for it: `example.com`, `example.co.uk`. Names
 * below it are free, and one slow server may answer for all of them.
 */
function toDomain(hostname: string): string {
  const labels = hostname.replace(/\.$/, '').split('.');
  const hasTwoSuffixes = (labels.at(-2) ?? '').length <= 3;
  return labels.slice(hasTwoSuffixes ? -3 : -2).join('.');
}
