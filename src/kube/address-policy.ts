import type { LookupAddress } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { C3Error } from '../errors.ts';
import { createNameLookups } from './name-lookups.ts';

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

type Nets = readonly string[];

/**
 * IPv4 addresses at which clouds give a machine its credentials: AWS, Google and most others; containers; Alibaba;
 * Oracle; Azure.
 */
const METADATA_IPV4: Nets = [
  '169.254.169.254/32',
  '169.254.170.0/24',
  '100.100.100.200/32',
  '192.0.0.192/32',
  '168.63.129.16/32',
];
/** The same over IPv6: AWS, Oracle, Scaleway, Google, and the link-local address. */
const METADATA_IPV6: Nets = [
  'fd00:ec2::/32',
  'fd00:c1::/32',
  'fd00:42::/32',
  'fd20:ce::254/128',
  'fe80::a9fe:a9fe/128',
];
const LINK_LOCAL_IPV4 = '169.254.0.0/16';
/** Prefixes of 96 bits, before an IPv4 address: NAT64 (RFC 6052), and the deprecated IPv4-compatible form. */
const EMBEDDING_PREFIXES = ['64:ff9b::', '::'];

/** Ranges that no setting opens, because no cluster is in them. The first match wins. */
const NEVER = toRanges([
  ['metadata', [...METADATA_IPV4, ...METADATA_IPV6, ...METADATA_IPV4.flatMap(embed)]],
  ['link-local', [LINK_LOCAL_IPV4, 'fe80::/10', ...embed(LINK_LOCAL_IPV4)]],
]);

/**
 * Ranges of IPv6 that lead to an IPv4 address: mapped (RFC 4291), SIIT (RFC 2765), Teredo (RFC 4380), 6to4 (RFC 3056)
 * and NAT64 with a local prefix (RFC 8215). No setting opens them. A cluster in such a range has an IPv4 address that
 * can be used instead.
 */
const IPV4_IN_IPV6 = toBlockList(['::ffff:0:0/96', '::ffff:0:0:0/96', '2001::/32', '2002::/16', '64:ff9b:1::/48']);
/** ISATAP (RFC 5214) marks its tunnels in the lower half of the address, under any prefix. */
const ISATAP = /:(?:0|200)?:5efe:[0-9a-f]{1,4}:[0-9a-f]{1,4}$/;

/**
 * Ranges that are not public: IANA's registries of special addresses. The operator can open them. The first match
 * wins.
 *
 * @see https://www.iana.org/assignments/iana-ipv4-special-registry
 * @see https://www.iana.org/assignments/iana-ipv6-special-registry
 */
const NOT_PUBLIC = toRanges([
  ['unspecified', ['0.0.0.0/8', '::/128']],
  ['loopback', ['127.0.0.0/8', '::1/128']],
  ['link-local', ['fec0::/10']],
  ['private', ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7']],
  ['carrier-grade NAT', ['100.64.0.0/10']],
  ['NAT64', ['64:ff9b::/96']],
  ['documentation', ['192.0.2.0/24', '198.51.100.0/24', '203.0.113.0/24', '2001:db8::/32', '3fff::/20']],
  ['multicast', ['224.0.0.0/4', 'ff00::/8']],
  ['reserved', ['192.0.0.0/24', '192.88.99.0/24', '198.18.0.0/15', '240.0.0.0/4', '2001::/23']],
]);

/** The part of IPv6 that is assigned to the public internet: https://www.iana.org/assignments/ipv6-address-space */
const GLOBAL_UNICAST = toBlockList(['2000::/3']);

/** @param allowNets the networks that the operator opened beyond the public internet, as `address/prefix` */
export function createAddressPolicy(allowNets: readonly string[]): AddressPolicy {
  const allowed = toBlockList(allowNets);
  const lookUp = createNameLookups();

  /** Why c3 does not connect to an address; undefined when it does. */
  function findRefusal(address: string): { sentence: string; hint: string } | undefined {
    const refused = classifyRefused(address, allowed);
    if (refused === undefined) return undefined;
    const hint = refused.canOpen ? 'its operator can open a network with C3_ALLOW_NETS' : 'no setting opens it';
    return { sentence: `has the ${refused.name} address ${address}, to which c3 does not connect`, hint };
  }
  function check(hostname: string, addresses: readonly LookupAddress[]): NodeJS.ErrnoException | undefined {
    const refusal = addresses.map(({ address }) => findRefusal(address)).find((found) => found !== undefined);
    if (refusal === undefined) return undefined;
    const message = `${hostname} ${refusal.sentence}; ${refusal.hint}`;
    return Object.assign(new Error(message), { code: ADDRESS_REFUSED });
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
          const fault = check(hostname, addresses);
          const [first] = fault === undefined ? addresses : [];
          if (first === undefined) callback(fault ?? new Error(`${hostname} has no address`), '', 0);
          else if (options.all) callback(null, [...addresses]);
          else callback(null, first.address, first.family);
        },
        (error: NodeJS.ErrnoException) => callback(error, '', 0),
      );
    },
  };
}

/** The name of the refused range that contains an address; undefined when c3 may connect to it. */
function classifyRefused(address: string, allowed: BlockList): { name: string; canOpen: boolean } | undefined {
  const [bare = ''] = address.split('%');
  const isIpv6 = isIP(bare) === 6;
  const family = isIpv6 ? 'ipv6' : 'ipv4';
  // Only for IPv6: Node's BlockList finds each IPv4 address in a range of mapped ones.
  if (isIpv6 && isIpv4InIpv6(bare)) return { name: 'IPv4-in-IPv6', canOpen: false };
  const never = NEVER.find(({ list }) => list.check(bare, family));
  if (never) return { name: never.name, canOpen: false };
  if (allowed.check(bare, family)) return undefined;
  const special = NOT_PUBLIC.find(({ list }) => list.check(bare, family));
  if (special) return { name: special.name, canOpen: true };
  return isIpv6 && !GLOBAL_UNICAST.check(bare, family) ? { name: 'reserved', canOpen: true } : undefined;
}

function isIpv4InIpv6(address: string): boolean {
  // A URL writes it canonically: hexadecimal groups, and "::" for the longest run of zeros.
  return IPV4_IN_IPV6.check(address, 'ipv6') || ISATAP.test(new URL(`http://[${address}]`).hostname.slice(1, -1));
}

/** A network of IPv4, below each of the prefixes that embed one. */
function embed(net: string): string[] {
  const [address = '', bits = ''] = net.split('/');
  return EMBEDDING_PREFIXES.map((prefix) => `${prefix}${address}/${96 + Number(bits)}`);
}

function toRanges(ranges: readonly (readonly [string, Nets])[]): readonly { name: string; list: BlockList }[] {
  return ranges.map(([name, nets]) => ({ name, list: toBlockList(nets) }));
}

function toBlockList(nets: Nets): BlockList {
  const list = new BlockList();
  for (const net of nets) {
    const [address = '', prefix] = net.split('/');
    list.addSubnet(address, Number(prefix), isIP(address) === 6 ? 'ipv6' : 'ipv4');
  }
  return list;
}
