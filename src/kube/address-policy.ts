import type { LookupAddress } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { C3Error } from '../errors.ts';
import { createNameLookups } from './name-lookups.ts';

/**
 * Which addresses c3 dials for a kubeconfig, which a stranger may have written: public ones, and what the operator opened. It is
 * asked where the connection is made: `checkOrigin` for an address in figures, which no resolver sees, `lookup` for a name.
 */
export interface AddressPolicy {
  /** @throws {C3Error} KUBECONFIG_INVALID when the host of `https://host[:port]` is an address that may not be dialled */
  checkOrigin(origin: string): void;
  /**
   * For `net.connect` in place of `dns.lookup`. What it answers is what is dialled, so that a name cannot be resolved once to be
   * checked and once more to be dialled. One refused address among several refuses the name.
   */
  readonly lookup: LookupFunction;
}

/** The `code` of the error that `lookup` fails with. */
export const ADDRESS_REFUSED = 'ERR_C3_ADDRESS_REFUSED';

/**
 * What is not public, first match wins: IANA's registries of special addresses, and where clouds serve credentials.
 *
 * @see https://www.iana.org/assignments/iana-ipv4-special-registry
 * @see https://www.iana.org/assignments/iana-ipv6-special-registry
 */
const CLASSES: readonly (readonly [string, readonly string[]])[] = [
  ['unspecified', ['0.0.0.0/8', '::/128']],
  ['loopback', ['127.0.0.0/8', '::1/128']],
  ['link-local', ['169.254.0.0/16', 'fe80::/10', 'fec0::/10']],
  ['private', ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7', '64:ff9b:1::/48']],
  ['carrier-grade NAT', ['100.64.0.0/10']],
  ['documentation', ['192.0.2.0/24', '198.51.100.0/24', '203.0.113.0/24', '2001:db8::/32', '3fff::/20']],
  ['multicast', ['224.0.0.0/4', 'ff00::/8']],
  ['reserved', ['192.0.0.0/24', '192.88.99.0/24', '198.18.0.0/15', '240.0.0.0/4', '2001::/23']],
];

/**
 * Addresses at which clouds tell a machine its credentials: AWS and most others, Alibaba, Oracle, Azure; AWS and Google over IPv6.
 * No cluster is there, so that `C3_ALLOW_NETS` does not open them either, however wide it is.
 */
const METADATA = toBlockList([
  '169.254.169.254/32',
  '100.100.100.200/32',
  '192.0.0.192/32',
  '168.63.129.16/32',
  'fd00:ec2::254/128',
  'fd20:ce::254/128',
]);

const LISTS = CLASSES.map(([name, nets]) => ({ name, list: toBlockList(nets) }));

/** All that is assigned to the public internet in IPv6 so far: https://www.iana.org/assignments/ipv6-address-space */
const GLOBAL_UNICAST = toBlockList(['2000::/3']);

/**
 * IPv6 addresses that lead to an IPv4 one, and at which of their eight groups it stands: mapped (RFC 4291), the older compatible
 * form, NAT64 (RFC 6052), 6to4 (RFC 3056).
 */
const CARRIERS = [
  ['::ffff:0:0/96', 6],
  ['::/96', 6],
  ['64:ff9b::/96', 6],
  ['2002::/16', 1],
] as const;
const CARRIER_LISTS = CARRIERS.map(([net, group]) => ({ list: toBlockList([net]), group }));

/** @param allowNets what the operator opened beyond the public internet, as `address/prefix` */
export function createAddressPolicy(allowNets: readonly string[]): AddressPolicy {
  const allowed = toBlockList(allowNets);
  const lookUp = createNameLookups();
  return {
    checkOrigin(origin) {
      // A URL's host is canonical: 0x7f.1, 2130706433 and full-width digits have become 127.0.0.1.
      const host = new URL(origin).hostname.replace(/^\[(.*)\]$/, '$1');
      const refused = isIP(host) === 0 ? undefined : classifyRefused(host, allowed);
      if (refused === undefined) return;
      throw new C3Error('KUBECONFIG_INVALID', `Kubeconfig refused: its server ${toSentence(host, refused)}`, {
        hint: toHint(refused),
      });
    },
    lookup(hostname, options, callback) {
      void lookUp(hostname, options).then(
        (addresses) => {
          const fault = findFault(hostname, addresses, allowed);
          const [first] = fault === null ? addresses : [];
          if (first === undefined) callback(fault ?? new Error(`${hostname} has no address`), '', 0);
          else if (options.all) callback(null, [...addresses]);
          else callback(null, first.address, first.family);
        },
        (error: NodeJS.ErrnoException) => callback(error, '', 0),
      );
    },
  };
}

function findFault(
  hostname: string,
  addresses: readonly LookupAddress[],
  allowed: BlockList,
): NodeJS.ErrnoException | null {
  for (const { address } of addresses) {
    const refused = classifyRefused(address, allowed);
    if (refused === undefined) continue;
    const message = `${hostname} ${toSentence(address, refused)}; ${toHint(refused)}`;
    return Object.assign(new Error(message), { code: ADDRESS_REFUSED });
  }
  return null;
}

function toSentence(address: string, refused: string): string {
  return `has the ${refused} address ${address}, to which c3 does not connect`;
}

function toHint(refused: string): string {
  if (refused === 'metadata') return 'no setting opens it';
  return 'its operator can open a network with C3_ALLOW_NETS';
}

/** The class of an address that may not be dialled; undefined when it may. */
function classifyRefused(address: string, allowed: BlockList): string | undefined {
  const [bare = ''] = address.split('%');
  const family = isIP(bare) === 6 ? 'ipv6' : 'ipv4';
  const carried = family === 'ipv6' ? findCarried(bare) : undefined;
  if (METADATA.check(bare, family) || (carried !== undefined && METADATA.check(carried))) return 'metadata';
  if (allowed.check(bare, family)) return undefined;
  if (carried !== undefined) return classifyRefused(carried, allowed);
  const special = LISTS.find(({ list }) => list.check(bare, family));
  if (special) return special.name;
  return family === 'ipv6' && !GLOBAL_UNICAST.check(bare, family) ? 'reserved' : undefined;
}

/** The IPv4 address within an IPv6 one; `::` and `::1` are none of IPv4's. */
function findCarried(address: string): string | undefined {
  const carrier = CARRIER_LISTS.find(({ list }) => list.check(address, 'ipv6'));
  const groups = toGroups(address);
  if (carrier === undefined || groups.slice(0, 7).every((group) => group === 0)) return undefined;
  const [high = 0, low = 0] = groups.slice(carrier.group, carrier.group + 2);
  return [high >> 8, high & 0xff, low >> 8, low & 0xff].join('.');
}

/** The eight groups of an IPv6 address. */
function toGroups(address: string): number[] {
  // A URL writes it canonically, with hexadecimal groups only and at most one "::".
  const text = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [head = [], tail = []] = text.split('::').map((part) => (part === '' ? [] : part.split(':')));
  const zeros = Array.from({ length: 8 - head.length - tail.length }, () => '0');
  return [...head, ...zeros, ...tail].map((group) => Number.parseInt(group, 16));
}

function toBlockList(nets: readonly string[]): BlockList {
  const list = new BlockList();
  for (const net of nets) {
    const [address = '', prefix] = net.split('/');
    list.addSubnet(address, Number(prefix), isIP(address) === 6 ? 'ipv6' : 'ipv4');
  }
  return list;
}
